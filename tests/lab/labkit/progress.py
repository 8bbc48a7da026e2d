# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Telling what happens, and waiting for it."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

from .errors import LabError


class Progress:
    """Lines on the standard error, each with the seconds since the start. Safe to use from several threads."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._lock = threading.Lock()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    def say(self, message: str) -> None:
        with self._lock:
            print(f"[{self.elapsed:5.1f} s] {message}", file=sys.stderr, flush=True)


def wait_until(ready: Callable[[], bool], *, what: str, timeout: float = 60.0, interval: float = 0.1) -> None:
    """Ask again and again, every C(interval) seconds, until the answer is yes.

    Raises:
        LabError: The answer was still no after C(timeout) seconds; C(what) says what was waited for.
    """
    deadline = time.monotonic() + timeout
    while not ready():
        if time.monotonic() > deadline:
            raise LabError(f"waited {timeout:.0f} s in vain: {what}")
        time.sleep(interval)
