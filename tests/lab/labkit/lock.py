# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""One command at a time changes the lab."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from .folders import LOCK
from .progress import Progress


@contextmanager
def exclusive(progress: Progress) -> Iterator[None]:
    """Hold the machine's lock for the lab. The kernel frees it when the holder ends, however it ends."""
    with LOCK.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say("another command works on the lab: waiting for it")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield
