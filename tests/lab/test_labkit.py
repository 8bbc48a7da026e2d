# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the lab that can be tried without a lab."""

from __future__ import annotations

import datetime
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from labkit import certificates, names
from labkit.folders import Folders

HOSTS = "127.0.0.1 localhost\n# a comment\n192.0.2.7\tmail.example mail\n"


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    made = Folders(tmp_path / "lab")
    made.make()
    return made


def certificate_files(folders: Folders) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folders.certs.iterdir()}


def test_the_names_come_and_go_and_the_rest_of_the_hosts_file_stays() -> None:
    added = names.with_block(HOSTS)
    assert added.startswith(HOSTS)
    assert "198.18.57.10\tdtr.lab.test\n" in added
    assert names.with_block(added) == added
    assert names.without_block(added) == HOSTS


def test_certificates_that_end_within_a_month_are_renewed(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as short:
        short.setattr(certificates, "LEAF_LIFETIME", datetime.timedelta(days=29))
        certificates.make_all(folders)
    before = certificate_files(folders)
    assert certificates.make_all(folders)
    changed = {name for name, content in certificate_files(folders).items() if before[name] != content}
    assert "dtr.cert.pem" in changed
    assert "dtr-ca.pem" not in changed
    assert not certificates.make_all(folders)


COMPILE_ONCE = Path(__file__).parent / "compile_once.py"
IMPORT_OF_ARCHIVE = """
import runpy, sys
runpy.run_path(sys.argv[1])["compile_once"].__globals__["KEPT"] = sys.argv[2]
sys.path.insert(0, sys.argv[3])
import part
print(part.VALUE, part.__spec__.origin, part.where.__code__.co_filename)
"""


def test_what_comes_from_an_archive_is_compiled_once_and_again_when_it_differs(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()

    def imported(archive: Path, value: int) -> None:
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("part.py", f"VALUE = {value}\ndef where(): ...\n")
        command = [sys.executable, "-c", IMPORT_OF_ARCHIVE, str(COMPILE_ONCE), str(kept), str(archive)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        assert said == [str(value), f"{archive}/part.py", f"{archive}/part.py"]

    imported(tmp_path / "one.zip", 1)
    made = {file.name: file.stat().st_mtime_ns for file in kept.iterdir()}
    assert len(made) == 1
    imported(tmp_path / "other.zip", 1)
    assert {file.name: file.stat().st_mtime_ns for file in kept.iterdir()} == made
    imported(tmp_path / "one.zip", 2)
    assert len(list(kept.iterdir())) == 2
    for file in kept.iterdir():
        file.write_bytes(file.read_bytes()[:9])
    imported(tmp_path / "one.zip", 2)
