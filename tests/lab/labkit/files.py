# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are there whole or not at all, and are touched only when their content differs."""

from __future__ import annotations

import os
from pathlib import Path


def write_file(path: Path, content: str | bytes, mode: int = 0o644) -> bool:
    """Make the file have this content and mode. Returns whether anything had to be done.

    The content is written beside the file and renamed, so that no reader and no kill sees half of it. A file that is
    itself a mount (as C(/etc/hosts) in a container, and in a lab of its own) is written in place: it cannot be renamed,
    and what lies beside it is of all labs.
    """
    data = content.encode() if isinstance(content, str) else content
    target = path.resolve()
    try:
        known = target.stat()
        if target.read_bytes() == data and known.st_mode & 0o7777 == mode:
            return False
        if known.st_dev != target.parent.stat().st_dev:
            return _in_place(target, data, mode)
    except FileNotFoundError:
        pass
    beside = target.with_name(f".{target.name}.dtr-cache-lab")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        os.fchmod(stream.fileno(), mode)
        stream.flush()
        os.fsync(stream.fileno())
    try:
        beside.replace(target)
    except OSError:
        beside.unlink()
        return _in_place(target, data, mode)
    return True


def _in_place(target: Path, data: bytes, mode: int) -> bool:
    target.write_bytes(data)
    target.chmod(mode)
    return True
