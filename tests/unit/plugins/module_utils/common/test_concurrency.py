# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same thing for many items side by side."""

from __future__ import annotations

import threading

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.concurrency import failed_accounts, fan_out, side_by_side
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure


def never(_failure: Failure) -> bool:
    return False


def test_every_item_once() -> None:
    results = fan_out(lambda item: item * 2, range(1000), 8, never)
    assert results.done == {item: item * 2 for item in range(1000)}
    assert results.failed == {}


def test_nothing_to_do() -> None:
    assert fan_out(lambda item: item, [], 8, never).done == {}


def test_no_more_at_a_time_than_allowed() -> None:
    barrier = threading.Barrier(3, timeout=5)
    busy: set[int] = set()
    most = []

    def work(item: int) -> None:
        busy.add(item)
        barrier.wait()
        most.append(len(busy))
        barrier.wait()
        busy.discard(item)

    fan_out(work, range(9), 3, never)
    assert max(most) <= 3
    assert len(most) == 9


def test_one_failure_does_not_stop_the_others() -> None:
    def work(item: int) -> int:
        if item == 3:
            raise Failure("BROKEN", "three")
        return item

    results = fan_out(work, range(10), 4, never)
    assert len(results.done) == 9
    assert [(item, failure.code) for item, failure in results.failed.items()] == [(3, "BROKEN")]


def test_after_a_hopeless_failure_nothing_more_is_tried() -> None:
    tried = []

    def work(item: int) -> None:
        tried.append(item)
        raise Failure("NOT_AUTHENTICATED", "wrong password", http_status=401)

    results = fan_out(work, range(1000), 4, lambda failure: failure.http_status == 401)
    assert len(tried) <= 8
    assert len(results.failed) == 1000
    assert {failure.code for failure in results.failed.values()} == {"NOT_AUTHENTICATED", "NOT_TRIED"}
    assert "wrong password" in results.failed[999].message


def test_mistakes_are_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        fan_out(lambda item: 1 // item, range(10), 4, never)


def test_as_results_name_them() -> None:
    failures = {"bob": Failure("B", "two"), "alice": Failure("A", "one")}
    assert failed_accounts(failures) == [
        {"name": "alice", "code": "A", "message": "one"},
        {"name": "bob", "code": "B", "message": "two"},
    ]


class TestTasks:
    def test_an_error_comes_out(self) -> None:
        def broken() -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            side_by_side({"broken": broken}, 5)

    def test_what_hangs_is_left_behind(self) -> None:
        never = threading.Event()
        assert side_by_side({"a": lambda: 1, "b": never.wait}, 0.2) == {"a": 1}
        never.set()
