# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deadline for a part of a task. Ansible's own C(timeout) is one for the whole task, whatever it does."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
import typing as t


class _Over(BaseException):
    """The time is over; like Ansible's own time-out of a task, no handler of errors catches it."""


class TooLate(Exception):
    """The part was not done in its time."""


@contextlib.contextmanager
def within(seconds: int) -> t.Iterator[None]:
    """End what is done here after so many seconds.

    A C(timeout) that the user has given to the task goes on to count. Outside of the main thread nothing can be ended.

    Raises:
        TooLate: The time was over.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(_number: int, _frame: t.Any) -> t.NoReturn:
        raise _Over

    began = time.monotonic()
    left = signal.alarm(0)
    if left and left <= seconds:
        # The user's comes first.
        signal.alarm(left)
        yield
        return
    before = signal.signal(signal.SIGALRM, end)
    try:
        try:
            signal.alarm(seconds)
            yield
        finally:
            signal.alarm(0)
    except _Over:
        raise TooLate from None
    finally:
        signal.signal(signal.SIGALRM, before)
        if left:
            signal.alarm(max(1, left - int(time.monotonic() - began)))
