# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""How wide the terminal is."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import termios
import typing as t
from pathlib import Path

import pytest
from ansible_collections.dtr.cache.plugins.plugin_utils.actions.terminal import terminal_width


@pytest.mark.parametrize(("environment", "width"), [({"COLUMNS": "66"}, 66), ({"COLUMNS": "x"}, 120), ({}, 120)])
def test_without_a_terminal_the_environment_says_it(tmp_path: Path, environment: dict[str, str], width: int) -> None:
    with (tmp_path / "log").open("w") as log:
        assert terminal_width(log, environment) == width


def test_a_terminal_has_a_width() -> None:
    leader, follower = pty.openpty()
    try:
        fcntl.ioctl(leader, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 93, 0, 0))
        with os.fdopen(follower, "w", closefd=True) as stream:
            assert terminal_width(stream, {}) == 93
            assert terminal_width(stream, {"COLUMNS": "40"}) == 40
    finally:
        os.close(leader)


def test_a_closed_stream_is_no_terminal(tmp_path: Path) -> None:
    stream: t.Any = (tmp_path / "log").open("w")
    stream.close()
    assert terminal_width(stream, {}) == 120
