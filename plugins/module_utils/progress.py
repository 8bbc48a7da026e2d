# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a long task got: told by the module in a file, read by the control node while the module runs."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import time
import typing as t

_Item = t.TypeVar("_Item")
_Result = t.TypeVar("_Result")

# Every record replaces the one before it in a single write, so all have the same length.
_RECORD_BYTES = 120
_SECONDS_BETWEEN_RECORDS = 0.5


class Progress:
    """Writes the progress of one module.

    Args:
        path: A file that exists already. Where it cannot be opened, as on another host than the one that waits for the
            module, or where there is none, nothing is told.
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

    def counted(self, doing: str, total: int, work: t.Callable[[_Item], _Result]) -> t.Callable[[_Item], _Result]:
        """The same work, with each call counted, however it ends.

        Args:
            doing: What is done, as a participle: C(read).
            total: How many calls there will be.
            work: What to count. It may be called by several threads.
        """
        if self._file is None:
            return work
        numbers = itertools.count(1)

        def counting(item: _Item) -> _Result:
            try:
                return work(item)
            finally:
                self._tell(doing, next(numbers), total)

        return counting

    def _tell(self, doing: str, done: int, total: int) -> None:
        now = time.monotonic()
        if self._file is None or (now < self._next_record and done < total):
            return
        self._next_record = now + _SECONDS_BETWEEN_RECORDS
        record = json.dumps({"doing": doing, "done": done, "total": total})
        # A full disk must not end what the task is really about.
        with contextlib.suppress(OSError):
            os.pwrite(self._file, record.ljust(_RECORD_BYTES).encode(), 0)


def sentence(record: str) -> str | None:
    """What a file holds, in words, or C(None) while there is nothing in it that can be understood."""
    try:
        told = json.loads(record)
        return f"{told['done']:,} of {told['total']:,} accounts {told['doing']}"
    except (ValueError, TypeError, KeyError):
        return None
