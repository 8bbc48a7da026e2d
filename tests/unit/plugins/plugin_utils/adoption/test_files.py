# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where variables of a host are written, and what is never lost."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.plugin_utils.adoption.files import Written, place_of, write
from ansible_collections.dtr.cache.tests.unit.support.others import given_away

TEXT = "---\ndtr_cache_name: region-asia\n"


def written(path: Path, *, overwrite: bool = False, check_mode: bool = False, text: str = TEXT) -> Written:
    return write(str(path), text, overwrite=overwrite, check_mode=check_mode)


@pytest.mark.parametrize("name", ["asia", "asia.yml", "asia.yaml", "asia.json"])
def test_the_file_that_ansible_reads_for_the_host_is_the_place(tmp_path: Path, name: str) -> None:
    assert place_of(str(tmp_path), "asia") == str(tmp_path / "asia.yml")
    (tmp_path / name).write_text("")
    assert place_of(str(tmp_path), "asia") == str(tmp_path / name)


def test_in_a_folder_of_the_host_it_is_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "asia").mkdir()
    assert place_of(str(tmp_path), "asia") == str(tmp_path / "asia" / "dtr_cache.yml")


def test_a_new_file_in_a_new_folder(tmp_path: Path) -> None:
    path = tmp_path / "host_vars" / "asia.yml"
    first = written(path)
    assert first.changed and path.read_text() == TEXT and stat.S_IMODE(path.stat().st_mode) == 0o644
    assert first.diff == {"before_header": str(path), "after_header": str(path), "before": "", "after": TEXT}
    before = path.stat()
    assert not written(path).changed
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_check_mode_writes_nothing(tmp_path: Path) -> None:
    assert written(tmp_path / "host_vars" / "asia.yml", check_mode=True).changed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("check_mode", [True, False])
def test_another_file_is_replaced_only_when_that_is_asked_for(tmp_path: Path, check_mode: bool) -> None:
    path = tmp_path / "asia.yml"
    path.write_text("ansible_host: 192.0.2.1\n")
    with pytest.raises(Failure) as raised:
        written(path, check_mode=check_mode)
    assert raised.value.code == "FILE_EXISTS" and "or overwrite: true to replace it" in str(raised.value.hint)
    assert path.read_text() == "ansible_host: 192.0.2.1\n"
    path.chmod(0o640)
    assert written(path, overwrite=True, check_mode=check_mode).changed
    assert path.read_text() == ("ansible_host: 192.0.2.1\n" if check_mode else TEXT)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_the_diff_shows_no_password_that_somebody_put_there(tmp_path: Path) -> None:
    path = tmp_path / "asia.yml"
    path.write_text(f"{TEXT}dtr_cache_registry_password: a-password\n  # note\n")
    diff = written(path, overwrite=True).diff
    assert diff["before"] == f"{TEXT}dtr_cache_registry_password: '***'\n# ***\n"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.yml").write_text("old: true\n")
    (tmp_path / "asia.yml").symlink_to("real.yml")
    written(tmp_path / "asia.yml", overwrite=True)
    assert (tmp_path / "asia.yml").is_symlink() and (tmp_path / "real.yml").read_text() == TEXT


def test_what_cannot_be_read_or_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "asia.yml").write_bytes(b"\xff")
    with pytest.raises(Failure, match="it is not text in UTF-8"):
        written(tmp_path / "asia.yml", overwrite=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(Failure, match="cannot be written: "):
        written(tmp_path / "file" / "asia.yml")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["asia.yml", "file"]


def test_what_another_user_has_laid_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o1777)
    laid = tmp_path / "host_vars"
    laid.mkdir()
    (laid / "asia.yml").write_text("before")
    given_away(laid, monkeypatch)
    with pytest.raises(Failure, match="belongs to user ") as raised:
        write(str(laid / "asia.yml"), "after", overwrite=True, check_mode=False)
    assert raised.value.code == "FOREIGN_FILE"
    assert (laid / "asia.yml").read_text() == "before"
