# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the content cache's image as an archive for ``docker load``, without a Docker Engine.

The same input gives the same bytes: owners, times and the order of files are fixed.

The format is that of the Docker Image Specification v1.2: ``manifest.json`` names the configuration and the layers;
a layer is a tar file of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import tarfile
from pathlib import Path, PurePosixPath
from typing import NamedTuple

# What a registry and a shell need besides their own files: name, mode.
FOLDERS = (("tmp", 0o1777), ("var/lib/registry", 0o755))
LINKS = (("bin/sh", "busybox"),)
RUN = {"Entrypoint": ["/start.sh"], "Cmd": ["/config.yml"], "Env": ["PATH=/bin"], "WorkingDir": "/"}
CREATED = "1970-01-01T00:00:00Z"


class Addition(NamedTuple):
    """A file of this machine and its place and mode in the image."""

    source: Path
    target: str
    mode: int


def addition(text: str) -> Addition:
    """Read ``source:target:mode``, with the mode in octal."""
    source, target, mode = text.rsplit(":", 2)
    return Addition(Path(source), target, int(mode, 8))


def entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    """Return a tar header whose owner (root) and time (the epoch) are always the same."""
    info = tarfile.TarInfo(name)
    info.type = kind
    info.mode = mode
    return info


def add_bytes(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    """Add a regular file."""
    info = entry(name, tarfile.REGTYPE, mode)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def with_parents(folders: dict[str, int], names: list[str]) -> dict[str, int]:
    """Return the modes of all folders that the named files and the given folders need, parents first."""
    needed = {
        str(parent): 0o755
        for name in [*names, *folders]
        for parent in PurePosixPath(name).parents
        if str(parent) != "."
    }
    return dict(sorted({**needed, **folders}.items()))


def layer(additions: list[Addition]) -> bytes:
    """Return the image's only layer as an uncompressed tar file."""
    buffer = io.BytesIO()
    names = [item.target for item in additions] + [name for name, _ in LINKS]
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, mode in with_parents(dict(FOLDERS), names).items():
            archive.addfile(entry(name, tarfile.DIRTYPE, mode))
        for item in sorted(additions, key=lambda item: item.target):
            add_bytes(archive, item.target, item.source.read_bytes(), item.mode)
        for name, target in LINKS:
            link = entry(name, tarfile.SYMTYPE, 0o777)
            link.linkname = target
            archive.addfile(link)
    return buffer.getvalue()


def write_image(output: Path, architecture: str, additions: list[Addition], references: list[str]) -> None:
    """Write the archive with one image under all the given references (``repository:tag``)."""
    content = layer(additions)
    digest = hashlib.sha256(content).hexdigest()
    configuration = {
        "architecture": architecture,
        "os": "linux",
        "created": CREATED,
        "config": RUN,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created": CREATED, "comment": "tests/lab/cache-image/build"}],
    }
    configuration_json = json.dumps(configuration, sort_keys=True).encode()
    configuration_name = f"{hashlib.sha256(configuration_json).hexdigest()}.json"
    layer_name = f"{digest}/layer.tar"
    manifest = [{"Config": configuration_name, "RepoTags": references, "Layers": [layer_name]}]
    with tarfile.open(output, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        add_bytes(archive, configuration_name, configuration_json)
        add_bytes(archive, layer_name, content)
        add_bytes(archive, "manifest.json", json.dumps(manifest).encode())


def main() -> None:
    """Read the command line and write the archive."""
    parser = argparse.ArgumentParser(description="Write an image of one layer for docker load.")
    parser.add_argument("output", type=Path)
    parser.add_argument("references", nargs="+", metavar="REPOSITORY:TAG")
    parser.add_argument("--architecture", required=True, help="as Go names it, such as amd64")
    parser.add_argument("--add", type=addition, action="append", default=[], metavar="SOURCE:TARGET:MODE")
    arguments = parser.parse_args()
    write_image(arguments.output, arguments.architecture, arguments.add, arguments.references)


if __name__ == "__main__":
    main()
