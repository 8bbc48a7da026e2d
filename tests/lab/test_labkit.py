# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the lab that can be tried without a lab."""

from __future__ import annotations

import datetime
import gzip
import json
import subprocess
import sys
import tarfile
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from labkit import bundles, certificates, images, names, topology
from labkit.files import write_file
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


def test_a_hosts_file_that_does_not_end_in_a_line_feed_keeps_its_last_line() -> None:
    assert "192.0.2.7 mail\n# dtr.cache lab: begin\n" in names.with_block("192.0.2.7 mail")


def test_lines_of_others_inside_or_after_a_damaged_block_are_kept() -> None:
    damaged = f"{HOSTS}{names.BEGIN}\n198.18.57.10\tdtr.lab.test\n192.0.2.8 added.example\n198.51.100.1 later\n"
    assert names.without_block(damaged) == f"{HOSTS}192.0.2.8 added.example\n198.51.100.1 later\n"


def test_an_end_without_a_beginning_is_left_alone() -> None:
    assert names.without_block(f"{HOSTS}{names.END}\n") == f"{HOSTS}{names.END}\n"


def test_a_file_is_written_only_when_it_differs(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    assert write_file(file, "one", 0o600)
    inode = file.stat().st_ino
    assert not write_file(file, "one", 0o600)
    assert file.stat().st_ino == inode
    assert write_file(file, "one", 0o640)
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("one", 0o640)
    assert list(tmp_path.iterdir()) == [file]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    write_file(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_every_interface_name_fits_and_every_address_is_given_once() -> None:
    assert max(len(node.namespace) for node in topology.NODES) <= 15
    addresses = [node.address for node in topology.NODES]
    assert len(set(addresses)) == len(addresses)
    assert all(address in topology.NETWORK for address in addresses)


def test_certificates_are_kept_while_they_are_good(folders: Folders) -> None:
    assert certificates.make_all(folders)
    before = certificate_files(folders)
    assert not certificates.make_all(folders)
    assert certificate_files(folders) == before


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


@pytest.mark.parametrize("damage", ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_damaged_intermediate_is_made_anew_with_what_it_had_signed(folders: Folders, damage: str) -> None:
    certificates.make_all(folders)
    before = certificate_files(folders)
    (folders.certs / "cache-intermediate.pem").write_text(damage)
    assert certificates.make_all(folders)
    changed = {name for name, content in certificate_files(folders).items() if before[name] != content}
    assert {"cache-intermediate.pem", "cache-asia.lab.test.cert.pem", "cache-europe.lab.test.cert.pem"} <= changed
    assert not {"cache-ca.pem", "dtr.cert.pem"} & changed


def test_a_key_of_another_certificate_is_noticed(folders: Folders) -> None:
    certificates.make_all(folders)
    (folders.certs / "dtr.key.pem").write_bytes((folders.certs / "dtr-ca.key.pem").read_bytes())
    assert certificates.make_all(folders)
    assert (folders.certs / "dtr.key.pem").stat().st_mode & 0o777 == 0o600


def test_bundles_are_kept_while_their_content_is_the_same(folders: Folders) -> None:
    certificates.make_all(folders)
    assert bundles.make_all(folders)
    assert not bundles.make_all(folders)


def test_images_are_always_the_same_and_the_versions_share_layers() -> None:
    first, second = images.all_images(), images.all_images()
    assert first == second
    older, newer = (json.loads(first[f"engineering/app:{version}"].manifest)["layers"] for version in ("1.0", "2.0"))
    assert older[:3] == newer[:3]
    assert not [layer for layer in older[3:] if layer in newer]


def test_an_images_manifest_names_its_blobs_and_the_configuration_its_layers(tmp_path: Path) -> None:
    image = images.all_images()["engineering/app:1.0"]
    images.write_folder(tmp_path / "image", image)
    manifest = json.loads((tmp_path / "image/manifest.json").read_bytes())
    contents = []
    for blob in (manifest["config"], *manifest["layers"]):
        content = (tmp_path / "image" / blob["digest"].removeprefix("sha256:")).read_bytes()
        assert (images.digest(content), len(content)) == (blob["digest"], blob["size"])
        contents.append(content)
    config, *layers = contents
    opened = [gzip.decompress(layer) for layer in layers]
    assert json.loads(config)["rootfs"]["diff_ids"] == [images.digest(layer) for layer in opened]
    with tarfile.open(fileobj=BytesIO(opened[0])) as shell:
        assert {"bin/busybox", "bin/sh"} <= set(shell.getnames())


def test_the_image_list_names_both_platforms() -> None:
    image = images.all_images()["engineering/multi:1.0"]
    listed = json.loads(image.manifest)["manifests"]
    assert {entry["platform"]["architecture"] for entry in listed} == {"amd64", "arm64"}
    assert [entry["digest"] for entry in listed] == [images.digest(part.manifest) for part in image.platforms]


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
