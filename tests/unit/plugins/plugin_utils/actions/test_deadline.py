# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deadline for a part of a task, beside one that the user has given to the whole task."""

from __future__ import annotations

import signal
import threading
import time
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.plugin_utils.actions.deadline import TooLate, within


class OfTheTask(BaseException):
    """Ansible's own end of a task."""


@pytest.fixture(autouse=True)
def no_alarm() -> t.Iterator[None]:
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)


def stubborn() -> None:
    """What catches all errors that there are."""
    try:
        time.sleep(20)
    except Exception:  # noqa: BLE001
        pytest.fail("nobody keeps the deadline from ending it")


def test_what_takes_too_long_is_ended_and_nothing_is_left_of_the_deadline() -> None:
    began = time.monotonic()
    with pytest.raises(TooLate), within(1):
        stubborn()
    assert time.monotonic() - began < 5
    assert signal.alarm(0) == 0
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL


def test_what_is_quicker_goes_on() -> None:
    with within(1):
        done = True
    assert done
    time.sleep(1.2)


def of_the_task(seconds: int) -> None:
    def end(*_args: t.Any) -> t.NoReturn:
        raise OfTheTask

    signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)


def test_the_users_own_deadline_comes_first_where_it_is_shorter() -> None:
    of_the_task(1)
    with pytest.raises(OfTheTask), within(1):
        stubborn()


def test_and_goes_on_to_count_where_it_is_longer() -> None:
    of_the_task(2)
    with pytest.raises(TooLate), within(1):
        stubborn()
    with pytest.raises(OfTheTask):
        stubborn()


def test_in_a_thread_nothing_can_be_ended() -> None:
    done: list[bool] = []

    def work() -> None:
        with within(1):
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
