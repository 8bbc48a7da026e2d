# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What another user has laid in a folder of everybody, and what of it is in nobody's way."""

from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.files import foreign_part, foreign_words, write_whole
from ansible_collections.dtr.cache.tests.unit.support.others import given_away


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """As C(/tmp) is."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


def test_own_things_and_missing_ones(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (shared / "link").symlink_to(tmp_path / "real")
    for path in ("link/file", "missing/deep/file", "", "../shared/./x"):
        assert foreign_part(f"{shared}/{path}") is None
    assert foreign_words(f"{shared}/link/file") == ""


@pytest.mark.parametrize("kind", ["folder", "link", "file", "dangling"])
def test_what_another_user_has_laid(kind: str, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    laid = shared / "review"
    if kind == "folder":
        laid.mkdir()
    elif kind == "file":
        laid.touch()
    else:
        laid.symlink_to(tmp_path if kind == "link" else "/nowhere/at/all")
    user = given_away(laid, monkeypatch)
    assert foreign_part(f"{laid}/region-asia/config.yml") == str(laid)
    assert foreign_part(str(laid)) == str(laid)
    assert foreign_words(str(laid)) == (
        f"{laid} belongs to user {user} and lies in a folder where everybody may write; name a path in a folder of "
        "your own"
    )


def test_on_the_way_of_an_own_link(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (shared / "theirs").mkdir()
    (tmp_path / "mine").symlink_to("shared/theirs")
    given_away(shared / "theirs", monkeypatch)
    assert foreign_part(f"{tmp_path}/mine/file") == f"{shared}/theirs"


def test_a_folder_of_somebody_is_his_business(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a web server's, into which root writes a report."""
    folder = tmp_path / "www"
    folder.mkdir()
    given_away(folder, monkeypatch)
    assert foreign_part(f"{folder}/status.html") is None


def test_links_without_end(shared: Path) -> None:
    (shared / "a").symlink_to("b")
    (shared / "b").symlink_to("a")
    assert foreign_part(f"{shared}/a/file") is None
    with pytest.raises(OSError):
        os.stat(shared / "a")


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
