# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tasks have a log, and reading some side by side within a time."""

from __future__ import annotations

import threading
import time
import typing as t

from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.swarm.task_logs import (
    line_of,
    log_of_failure,
    logs_of,
    messages,
    read_logs,
)
from ansible_collections.dtr.cache.tests.unit.support.logs import (
    framed,
    message,
)
from ansible_collections.dtr.cache.tests.unit.support.stacks import moment, node, task
from hypothesis import given
from hypothesis import strategies as st


def written(name: str, state: str = "running", *, day: int = 1, **options: t.Any) -> dict[str, t.Any]:
    """A task that had a container."""
    made = task(state, at=f"2026-01-{day:02d}T00:00:00Z", **options)
    made["Status"]["ContainerStatus"] = {"ContainerID": f"c-{name}"}
    return {**made, "ID": name}


def test_only_what_had_a_container_on_a_node_that_is_ready_is_asked_for() -> None:
    lost = written("lost", node="n2")
    gone = written("gone", node="n9")
    seen = moment(written("old"), written("new", day=2), task("preparing"), task("rejected"), lost, gone)
    logs = logs_of(seen.tasks, seen)
    assert [each["ID"] for each in logs.tasks] == ["new", "old"]
    assert logs.unread == [
        "the log of task lost on worker-2: the node is down",
        "the log of task gone on a node that is gone: the node is gone",
    ]


def test_the_newest_are_read_where_there_are_many() -> None:
    seen = moment(*(written(f"t{day}", day=day) for day in range(1, 10)))
    logs = logs_of(seen.tasks, seen, 3)
    assert [each["ID"] for each in logs.tasks] == ["t9", "t8", "t7"]
    assert logs.unread == ["6 older tasks: only the logs of the newest 3 were read"]


def test_what_hangs_or_fails_is_named_and_hides_nothing_of_the_others() -> None:
    nodes = {"n1": node("worker-1"), "n2": node("worker-2")}
    seen = moment(written("well"), written("hangs", node="n2"), written("fails"), nodes=nodes)
    released = threading.Event()

    def read(task_id: str) -> int:
        if task_id == "hangs":
            released.wait(20)
        if task_id == "fails":
            raise Failure("LOG_UNREAD", "the Engine does not give it: no such task")
        return 7

    began = time.monotonic()
    found, unread = read_logs(logs_of(seen.tasks, seen), seen, read, 0.1)
    released.set()
    assert time.monotonic() - began < 5
    assert found == {"well": 7}
    assert sorted(unread) == [
        "the log of task fails on worker-1: the Engine does not give it: no such task",
        "the log of task hangs on worker-2: it was not at its end after 0.1 seconds",
    ]


def test_they_are_read_side_by_side() -> None:
    seen = moment(*(written(f"t{day}", day=day) for day in range(1, 9)))
    together = threading.Barrier(8, timeout=5)
    found, unread = read_logs(logs_of(seen.tasks, seen), seen, lambda _task: together.wait() >= 0, 5)
    assert (len(found), unread) == (8, [])


def test_the_last_words_are_those_of_the_newest_failure_that_has_some() -> None:
    seen = moment(
        written("runs", day=9),
        written("silent", "failed", day=3),
        written("b", "failed", day=2),
        written("a", "failed"),
    )
    asked: dict[str, dict[str, t.Any]] = {}

    def read(task_id: str, **options: t.Any) -> t.Iterator[bytes]:
        asked[task_id] = options
        yield b"" if task_id == "silent" else framed(f"first of {task_id}", f"last of {task_id}")

    words = log_of_failure(read, seen, 1, 5)
    assert (words.lines, words.unread) == (["last of b"], [])
    assert set(asked) == {"silent", "b", "a"}
    assert asked["a"] == {"lines": 1, "seconds": 5}


@given(st.lists(st.text(alphabet="ab \u00e4", max_size=30), max_size=6), st.integers(1, 40), st.booleans())
def test_a_stream_may_be_cut_anywhere(texts: list[str], size: int, frames: bool) -> None:
    lines = [message(text) for text in texts]
    whole = framed(*lines) if frames else "".join(lines).encode()
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    seen = [text for _stream, text in messages(pieces)]
    assert [line_of(text) for text in seen] == [line_of(line.rstrip("\n")) for line in lines]
    assert all(line is not None for line in map(line_of, seen))
