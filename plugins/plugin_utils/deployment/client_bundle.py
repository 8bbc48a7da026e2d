# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client bundle of UCP or MKE on the control node: the address of its Engine, and its TLS files.

Docker's programs need the files on a disk, so an archive is unpacked into a private folder below Ansible's temporary
one, which is removed with the run. The next run removes folders of runs that were killed.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
import typing as t
import zipfile
from pathlib import Path

from ...module_utils.common.failure import Failure

ENVIRONMENT = "env.sh"
TLS_FILES = {"ca_path": "ca.pem", "client_cert": "cert.pem", "client_key": "key.pem"}
PREFIX = "dtr-cache-bundle-"

# A process: its namespace, its number and the time of its start.
_OWNER = re.compile(r"([0-9]+)-([0-9]+)-[0-9a-z]+(?=-)")
_DOCKER_HOST = re.compile(r"""^\s*(?:export\s+)?DOCKER_HOST=["']?([^\s"']+)""", re.MULTILINE)


class Bundle(t.NamedTuple):
    """The connection options of an Engine, and the folder that was made for them."""

    engine: dict[str, t.Any]
    unpacked: str | None


def open_bundle(path: str, temporary: Path) -> Bundle:
    """Make a bundle ready for use.

    Args:
        path: The folder or zip file.
        temporary: This run's own temporary folder.

    Raises:
        Failure: C(INVALID_BUNDLE), with what is wrong with it and what to do.
    """
    remove_left_over(temporary.parent)
    bundle = Path(path)
    try:
        if bundle.is_dir():
            files = {name: (bundle / name).read_bytes() for name in _names() if (bundle / name).is_file()}
            engine = _engine(files)
            return Bundle({**engine, **{option: str(bundle / name) for option, name in TLS_FILES.items()}}, None)
        with zipfile.ZipFile(bundle) as archive:
            files = {name: archive.read(name) for name in _names() if name in archive.namelist()}
    except (OSError, zipfile.BadZipFile, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Failure("INVALID_BUNDLE", f"{path} cannot be read on the control node: {reason}") from error
    engine = _engine(files)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{_owner(os.getppid())}-", dir=temporary))
    for name in TLS_FILES.values():
        (folder / name).touch(mode=0o600)
        (folder / name).write_bytes(files[name])
    return Bundle({**engine, **{option: str(folder / name) for option, name in TLS_FILES.items()}}, str(folder))


def remove_left_over(folder: Path) -> None:
    """Remove folders of runs that have ended. Those of other process namespaces and of other users stay."""
    for left in folder.glob(f"*/{PREFIX}*"):
        owner = _OWNER.match(left.name[len(PREFIX) :])
        if owner and owner[1] == _namespace() and _owner(int(owner[2])) != owner[0] and _is_own_folder(left):
            shutil.rmtree(left, ignore_errors=True)


def _is_own_folder(path: Path) -> bool:
    try:
        there = [os.lstat(place) for place in (path.parent, path)]
    except OSError:
        return False
    return all(stat.S_ISDIR(each.st_mode) and each.st_uid == os.geteuid() for each in there)


def _names() -> list[str]:
    return [ENVIRONMENT, *TLS_FILES.values()]


def _engine(files: t.Mapping[str, bytes]) -> dict[str, t.Any]:
    missing = [name for name in _names() if name not in files]
    if missing:
        raise Failure("INVALID_BUNDLE", f"has no {', '.join(missing)}; download a new one from UCP or MKE")
    address = _DOCKER_HOST.search(files[ENVIRONMENT].decode(errors="replace"))
    if address is None:
        raise Failure(
            "INVALID_BUNDLE",
            f"names no Engine: its {ENVIRONMENT} sets no DOCKER_HOST; download a new one from UCP or MKE",
        )
    return {"docker_host": address[1], "validate_certs": True}


def _owner(pid: int) -> str:
    """Return what distinguishes a process from all others, also from a later one with its number."""
    try:
        started = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except OSError:
        started = "gone"
    return f"{_namespace()}-{pid}-{started}"


def _namespace() -> str:
    try:
        return re.sub(r"\D", "", os.readlink("/proc/self/ns/pid"))
    except OSError:
        return "0"
