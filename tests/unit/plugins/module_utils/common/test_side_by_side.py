# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks that end in time, and what hangs."""

from __future__ import annotations

import threading

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.side_by_side import side_by_side


class TestTasks:
    def test_an_error_comes_out(self) -> None:
        def broken() -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            side_by_side({"broken": broken}, 5)

    def test_what_hangs_is_left_behind(self) -> None:
        never = threading.Event()
        assert side_by_side({"a": lambda: 1, "b": never.wait}, 0.2) == {"a": 1}
        never.set()
