# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client bundle for each Swarm, as UCP and MKE hand them out: a folder, and the same as an archive."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from . import certificates
from .files import write_file
from .folders import Folders
from .topology import ENGINE_PORT, REGIONS, Node


def folder(folders: Folders, manager: Node) -> Path:
    return folders.bundles / manager.name


def archive(folders: Folders, manager: Node) -> Path:
    return folders.bundles / f"{manager.name}.zip"


def make_all(folders: Folders) -> bool:
    """Make the bundles. Returns whether something was written."""
    changed = False
    for region in REGIONS:
        files = _content(folders, region.manager)
        place = folder(folders, region.manager)
        place.mkdir(mode=0o700, exist_ok=True)
        for name, content in files.items():
            changed |= write_file(place / name, content, 0o600)
        changed |= write_file(archive(folders, region.manager), _zipped(files), 0o600)
    return changed


def _content(folders: Folders, manager: Node) -> dict[str, bytes]:
    client = certificates.engine(folders, "client")
    return {
        "ca.pem": certificates.engine_ca(folders).read_bytes(),
        "cert.pem": client.certificate.read_bytes(),
        "key.pem": client.private_key.read_bytes(),
        "env.sh": _environment(manager).encode(),
    }


def _environment(manager: Node) -> str:
    return (
        '# Load it from within its folder: eval "$(<env.sh)"\n'
        "export DOCKER_TLS_VERIFY=1\n"
        "export COMPOSE_TLS_VERSION=TLSv1_2\n"
        'export DOCKER_CERT_PATH="$(pwd)"\n'
        f"export DOCKER_HOST=tcp://{manager.address}:{ENGINE_PORT}\n"
    )


def _zipped(files: dict[str, bytes]) -> bytes:
    """An archive that is the same for the same files: its entries carry no time of their making."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as bundle:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o600 << 16
            bundle.writestr(entry, content)
    return stream.getvalue()
