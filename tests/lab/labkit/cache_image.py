# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The content cache's image: built once on the machine, loaded on each node of a Swarm."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
import typing as t
from pathlib import Path

from docker.errors import ImageNotFound

from . import engines
from .commands import run_bound
from .errors import LabError
from .folders import LAB_SOURCE, Folders
from .topology import CACHE_IMAGES, CACHE_VERSIONS, Node

BUILD = LAB_SOURCE / "cache-image" / "build"


def archive(folders: Folders) -> Path:
    return folders.image / "dtr-content-cache.tar"


def build(folders: Folders) -> bool:
    """Compile and pack the image unless nothing has changed since. Returns whether it was built."""
    before = _version(archive(folders))
    scratch = folders.builds / "scratch"
    # The compiler's temporary files of a build that was killed.
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    environment = {**os.environ, "DTR_CACHE_LAB": str(folders.root), "TMPDIR": str(scratch)}
    run_bound([str(BUILD), *CACHE_VERSIONS], log=folders.builds / "cache-image.log", environment=environment)
    return _version(archive(folders)) != before


def _version(file: Path) -> tuple[int, int] | None:
    """What changes whenever the file is written anew."""
    try:
        return file.stat().st_ino, file.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def image_ids(archive_file: Path) -> dict[str, str]:
    """The id of each tagged image in an archive as C(docker load) takes it: the digest of its configuration."""
    with tarfile.open(archive_file) as tar:
        member = tar.extractfile("manifest.json")
        if member is None:
            raise LabError(f"{archive_file} has no manifest.json")
        listed: list[dict[str, t.Any]] = json.load(member)
    return {tag: "sha256:" + Path(image["Config"]).stem for image in listed for tag in image["RepoTags"] or []}


def load(folders: Folders, node: Node) -> bool:
    """Load the image on a node unless it has it. Returns whether it was loaded."""
    ids = image_ids(archive(folders))
    if found := [tag for tag in CACHE_IMAGES if tag not in ids]:
        raise LabError(f"{archive(folders)} has no image {', '.join(found)}")
    with engines.connect(folders, node, timeout=120) as client:
        if all(_image_id(client, tag) == ids[tag] for tag in CACHE_IMAGES):
            return False
        with archive(folders).open("rb") as stream:
            client.images.load(stream)
    return True


def _image_id(client: t.Any, tag: str) -> str | None:
    try:
        return t.cast(str, client.images.get(tag).id)
    except ImageNotFound:
        return None


def missing(folders: Folders, node: Node) -> list[str]:
    """The tags that a node does not have."""
    with engines.connect(folders, node) as client:
        return [tag for tag in CACHE_IMAGES if _image_id(client, tag) is None]
