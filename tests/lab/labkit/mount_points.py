# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of the machine that a node mounts its own over, made where the machine has none."""

from __future__ import annotations

import contextlib
from pathlib import Path

from .files import write_file
from .folders import Folders

NEEDED = (Path("/var/lib/docker"), Path("/opt/containerd"))
"""Where an Engine keeps what is no setting: C(containerd) makes the second one whatever its configuration."""


def make(folders: Folders) -> bool:
    """Make what is missing, and note it down first. Returns whether something was missing."""
    missing = [folder for folder in NEEDED if not folder.exists()]
    if not missing:
        return False
    noted = {*_noted(folders), *missing}
    write_file(_list(folders), "".join(f"{folder}\n" for folder in sorted(noted)))
    for folder in missing:
        folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    return True


def remove(folders: Folders) -> None:
    """Remove what C(make) made, unless somebody has put something into it since."""
    for folder in _noted(folders):
        with contextlib.suppress(OSError):
            folder.rmdir()
    _list(folders).unlink(missing_ok=True)


def _list(folders: Folders) -> Path:
    return folders.root / "mount-points"


def _noted(folders: Folders) -> list[Path]:
    try:
        return [Path(line) for line in _list(folders).read_text().splitlines()]
    except FileNotFoundError:
        return []
