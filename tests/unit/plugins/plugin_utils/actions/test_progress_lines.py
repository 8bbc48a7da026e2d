# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the control node shows while a module works."""

from __future__ import annotations

import threading
import typing as t
from pathlib import Path

import pytest
from ansible import constants, context
from ansible.module_utils.common.collections import ImmutableDict
from ansible_collections.dtr.cache.plugins.module_utils.common.progress import Progress
from ansible_collections.dtr.cache.plugins.plugin_utils.actions import progress_lines as shown_progress


class Screen:
    """What was shown, and a way to wait for more."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, bool]] = []
        self._changed = threading.Condition()

    def display(self, line: str, stderr: bool = False) -> None:
        with self._changed:
            self.lines.append((line, stderr))
            self._changed.notify_all()

    def wait_for(self, what: t.Callable[[list[str]], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: what([line for line, _stderr in self.lines]), timeout=20)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Screen:
    made = Screen()
    monkeypatch.setattr(shown_progress, "display", made)
    monkeypatch.setattr(shown_progress, "SECONDS_BETWEEN_LINES", 0.01)
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    return made


def test_a_line_comes_again_and_again(screen: Screen, tmp_path: Path) -> None:
    """Also while nothing is counted yet, and while the count stands still."""
    with shown_progress.progress_shown("title", True) as path, Progress(path) as progress:
        screen.wait_for(lambda lines: lines.count("title: still working") >= 2)
        assert list(progress.listed(range(3))) == [0, 1, 2]
        screen.wait_for(lambda lines: lines.count("title: 1 accounts listed") >= 2)
        progress._next_record = 0.0
        progress.counted("moved", 7, str)("alice")
        screen.wait_for(lambda lines: lines.count("title: 1 of 7 accounts moved") >= 2)
    assert all(stderr for _line, stderr in screen.lines)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_shown_where_nobody_reads(screen: Screen) -> None:
    with shown_progress.progress_shown("title", False) as path:
        assert path is None
    assert screen.lines == []


@pytest.mark.parametrize(
    ("callback", "one_line", "people"),
    [
        ("default", False, True),
        ("ansible.builtin.default", False, True),
        ("awx_display", False, True),
        ("ansible.posix.json", False, False),
        ("default", True, False),
    ],
)
def test_who_reads(monkeypatch: pytest.MonkeyPatch, callback: str, one_line: bool, people: bool) -> None:
    monkeypatch.setattr(constants, "DEFAULT_STDOUT_CALLBACK", callback, raising=False)
    monkeypatch.setattr(context, "CLIARGS", ImmutableDict({"one_line": True} if one_line else {}))
    assert shown_progress.read_by_people() is people
