# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.whole_file import write_whole


def test_text_and_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(str(path), "first")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("first", 0o600)
    write_whole(str(path), "second", 0o644)
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("second", 0o644)


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_what_cannot_be_completed_leaves_what_was_there(tmp_path: Path, step: str) -> None:
    path = tmp_path / "file"
    path.write_text("first")
    with mock.patch.object(os, step, side_effect=OSError(28, "No space left on device")), pytest.raises(OSError):
        write_whole(str(path), "second")
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]
