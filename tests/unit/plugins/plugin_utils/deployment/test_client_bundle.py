# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Client bundles, as folder and as archive: what they lead to, what is wrong with them, and what stays of them."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.plugin_utils.deployment import client_bundle
from ansible_collections.dtr.cache.tests.unit.support.others import given_away

FILES = {
    "ca.pem": "ca",
    "cert.pem": "cert",
    "key.pem": "key",
    "env.sh": 'export DOCKER_TLS_VERIFY=1\nexport DOCKER_CERT_PATH="$(pwd)"\nexport DOCKER_HOST=tcp://ucp.example.org:443\n',
}


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    folder = tmp_path / "tmp" / "ansible-local-1x"
    folder.mkdir(parents=True)
    return folder


def archive(path: Path, files: dict[str, str]) -> str:
    with zipfile.ZipFile(path, "w") as made:
        for name, content in files.items():
            made.writestr(name, content)
    return str(path)


def folder(path: Path, files: dict[str, str]) -> str:
    path.mkdir()
    for name, content in files.items():
        (path / name).write_text(content)
    return str(path)


def test_a_folder_is_used_where_it_is(tmp_path: Path, temporary: Path) -> None:
    place = folder(tmp_path / "bundle", FILES)
    bundle = client_bundle.open_bundle(place, temporary)
    assert bundle.unpacked is None
    assert bundle.engine == {
        "docker_host": "tcp://ucp.example.org:443",
        "validate_certs": True,
        "ca_path": f"{place}/ca.pem",
        "client_cert": f"{place}/cert.pem",
        "client_key": f"{place}/key.pem",
    }


def test_of_an_archive_the_tls_files_alone_are_unpacked_for_their_owner(tmp_path: Path, temporary: Path) -> None:
    path = archive(tmp_path / "bundle.zip", {**FILES, "kube.yml": "token: x", "../evil": "x"})
    bundle = client_bundle.open_bundle(path, temporary)
    assert bundle.unpacked is not None
    unpacked = Path(bundle.unpacked)
    assert unpacked.parent == temporary
    assert {file.name: file.read_text() for file in unpacked.iterdir()} == {
        name: FILES[name] for name in ("ca.pem", "cert.pem", "key.pem")
    }
    assert [stat.S_IMODE(os.stat(place).st_mode) for place in (unpacked, unpacked / "key.pem")] == [0o700, 0o600]
    assert bundle.engine["client_key"] == f"{unpacked}/key.pem"
    assert list(tmp_path.rglob("evil")) == []


@pytest.mark.parametrize("make", [archive, folder])
@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({**FILES, "env.sh": "export X=1\n"}, "names no Engine: its env.sh sets no DOCKER_HOST"),
        ({"env.sh": FILES["env.sh"], "ca.pem": "x"}, "has no cert.pem, key.pem; download a new one"),
    ],
)
def test_what_is_wrong_with_a_bundle_is_told_and_nothing_unpacked(
    tmp_path: Path, temporary: Path, make: object, files: dict[str, str], sentence: str
) -> None:
    assert callable(make)
    with pytest.raises(Failure, match=sentence):
        client_bundle.open_bundle(make(tmp_path / "bundle", files), temporary)
    assert list(temporary.iterdir()) == []


def test_what_is_no_bundle_is_told_with_the_reason(tmp_path: Path, temporary: Path) -> None:
    with pytest.raises(Failure, match=r"missing\.zip cannot be read on the control node: No such file or directory"):
        client_bundle.open_bundle(str(tmp_path / "missing.zip"), temporary)
    (tmp_path / "text.zip").write_text("no archive")
    with pytest.raises(Failure, match=r"text\.zip cannot be read on the control node: File is not a zip file"):
        client_bundle.open_bundle(str(tmp_path / "text.zip"), temporary)


KILLED = """
import os, sys
from pathlib import Path
from ansible_collections.dtr.cache.plugins.plugin_utils.deployment import client_bundle
from ansible_collections.dtr.cache.tests.unit.support.others import given_away

# The worker of a run, whose end is that of its parent.
worker = os.fork()
if worker == 0:
    client_bundle.open_bundle(sys.argv[1], Path(sys.argv[2]))
    os._exit(0)
os.waitpid(worker, 0)
"""


def test_what_a_killed_run_has_left_goes_with_the_next_and_nothing_else(tmp_path: Path, temporary: Path) -> None:
    path = archive(tmp_path / "bundle.zip", FILES)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", KILLED, path, str(temporary)], check=True, env=environment)
    (left,) = temporary.iterdir()
    running = client_bundle.open_bundle(path, temporary)
    assert not left.exists()
    other = temporary.parent / "ansible-local-2y"
    other.mkdir()
    client_bundle.open_bundle(path, other)
    assert running.unpacked is not None
    assert Path(running.unpacked).exists(), "of a run that goes on"


@pytest.mark.parametrize("laid", ["folder", "parent", "link"])
def test_what_another_user_has_laid_beside_stays(
    laid: str, tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The temporary folder may be one of everybody, such as C(/tmp)."""
    gone = f"{client_bundle.PREFIX}{client_bundle._namespace()}-1-1-x"
    parent = temporary.parent / "theirs"
    target = tmp_path / "precious" if laid == "link" else parent
    (target / gone).mkdir(parents=True)
    (target / gone / "kept").touch()
    if laid == "link":
        parent.symlink_to(target)
    # Names that only look like ours are no reason to end.
    (temporary / f"{client_bundle.PREFIX}{client_bundle._namespace()}-many-1-x").mkdir()
    given_away({"folder": target / gone, "parent": parent, "link": parent}[laid], monkeypatch)
    client_bundle.remove_left_over(temporary.parent)
    assert (target / gone / "kept").exists()
