# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a long task got: written by the module to a file, read by the control node while the module runs."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import threading
import time
import typing as t

_Item = t.TypeVar("_Item")
_Result = t.TypeVar("_Result")

# Every record replaces the one before it in a single write, so all have the same length.
_RECORD_BYTES = 200
_SECONDS_BETWEEN_RECORDS = 0.5


class Progress:
    """Writes the progress of one module.

    Args:
        path: A file that exists already. Where it cannot be opened, as on another host than the one that waits for the
            module, or where there is none, nothing is reported.
    """

    def __init__(self, path: str | None) -> None:
        self._file: int | None = None
        self._next_record = 0.0
        if path:
            with contextlib.suppress(OSError):
                self._file = os.open(path, os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0))

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def counted(
        self, doing: str, total: int, work: t.Callable[[_Item], _Result], things: str = "accounts"
    ) -> t.Callable[[_Item], _Result]:
        """The same work, with each call counted, however it ends.

        Args:
            doing: What is done, as a participle: C(read).
            total: How many calls there will be.
            work: What to count. It may be called by several threads.
            things: What is counted.
        """
        if self._file is None:
            return work
        numbers = itertools.count(1)
        # Otherwise a thread that was held up could write an old number over the last one.
        lock = threading.Lock()

        def counting(item: _Item) -> _Result:
            try:
                return work(item)
            finally:
                with lock:
                    self._report(doing, next(numbers), total, things=things)

        return counting

    def listed(self, items: t.Iterable[_Item], things: str = "accounts") -> t.Iterator[_Item]:
        """The same items, counted while they come; how many there will be is not known."""
        for number, item in enumerate(items, start=1):
            self._report("listed", number, None, things=things)
            yield item

    def transfer(self) -> Transfer:
        """Counts of a transfer of blobs, reported like all else."""
        return Transfer(self._report)

    def _report(self, doing: str, done: int, total: int | None, **more: t.Any) -> None:
        if self._file is None:
            return
        now = time.monotonic()
        if now < self._next_record and (total is None or done < total):
            return
        self._next_record = now + _SECONDS_BETWEEN_RECORDS
        record = json.dumps({"doing": doing, "done": done, "total": total, **more})
        # A full disk must not end what the task is really about.
        with contextlib.suppress(OSError):
            os.pwrite(self._file, record.ljust(_RECORD_BYTES).encode(), 0)


UNREPORTED = Progress(None)
"""Where nobody asks."""


class Transfer:
    """How much of some blobs came, counted by several threads.

    Args:
        report: Takes what is done, the number of blobs that are complete, that of all, and sizes.
    """

    def __init__(self, report: t.Callable[..., None]) -> None:
        self._report = report
        self._lock = threading.Lock()
        self._blobs = self._bytes = 0
        self._blobs_in_all = self._bytes_in_all = 0

    def expect(self, blobs: int, size: int) -> None:
        """How much there will be in all."""
        self._blobs_in_all, self._bytes_in_all = blobs, size

    def received(self, size: int) -> None:
        """Another piece came."""
        with self._lock:
            self._bytes += size
            self._report_sizes()

    def complete(self) -> None:
        """A blob is done."""
        with self._lock:
            self._blobs += 1
            self._report_sizes()

    def _report_sizes(self) -> None:
        # What broke off and is read again counts twice.
        size = min(self._bytes, self._bytes_in_all)
        sizes = {"bytes": size, "bytes_in_all": self._bytes_in_all}
        self._report("through the cache", self._blobs, self._blobs_in_all, things="blobs", **sizes)


def sentence(record: str) -> str | None:
    """What a file holds, in words, or C(None) while there is nothing in it that can be understood."""
    try:
        counts = json.loads(record)
        of_all = "" if counts["total"] is None else f" of {counts['total']:,}"
        counted = f"{counts['done']:,}{of_all} {counts.get('things', 'accounts')} {counts['doing']}"
        if "bytes" in counts:
            return f"{counted}, {counts['bytes'] / 10**6:,.1f} of {counts['bytes_in_all'] / 10**6:,.1f} MB"
        return counted
    except (ValueError, TypeError, KeyError):
        return None
