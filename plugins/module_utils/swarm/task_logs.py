# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The logs of the tasks of a stack: which ones there are, and reading them side by side within a time."""

from __future__ import annotations

import typing as t

from ..common.concurrency import side_by_side
from ..common.failure import Failure
from .log_stream import messages
from .model import Moment, Raw
from .tasks import ENDED_BADLY, created, node_name

# Swarm keeps five tasks of each replica that have ended; of a service that keeps more, the newest explain the most.
MOST_LOGS = 32
# What is read of failed tasks to explain a verdict.
_FAILED_LOGS = 5
_SECONDS_TO_END = 1.0
_SHORT_ID = 12

ReadLog = t.Callable[[str], t.Any]


class Logs(t.NamedTuple):
    """The tasks whose log can be asked for, the newest first, and what cannot be read, in words."""

    tasks: list[Raw]
    unread: list[str]


def logs_of(tasks: t.Iterable[Raw], moment: Moment, most: int = MOST_LOGS) -> Logs:
    """Which of these tasks have a log. One without a container has written none, and the Engine may wait for it."""
    written = sorted(filter(_had_container, tasks), key=created, reverse=True)
    logs = Logs([], [])
    for task in written[:most]:
        node = moment.nodes.get(task.get("NodeID", ""))
        state = node["Status"]["State"] if node else "gone"
        if state == "ready":
            logs.tasks.append(task)
        else:
            logs.unread.append(f"{_named(task, moment)}: the node is {state}")
    if len(written) > most:
        logs.unread.append(f"{len(written) - most} older tasks: only the logs of the newest {most} were read")
    return logs


def read_logs(logs: Logs, moment: Moment, read: ReadLog, seconds: float) -> tuple[dict[str, t.Any], list[str]]:
    """What C(read) made of each log, by the id of its task, and what could not be read, in words.

    Args:
        logs: What to read.
        moment: Where the names of nodes are known.
        read: Called with the id of a task, each in a thread of its own, and ends by itself after C(seconds).
        seconds: The time for all of them. What hangs longer is left behind.
    """

    def attempt(task_id: str) -> t.Any:
        try:
            return read(task_id)
        except Failure as failure:
            return failure

    jobs = {task["ID"]: (lambda task_id=task["ID"]: attempt(task_id)) for task in logs.tasks}
    answers = side_by_side(jobs, seconds + _SECONDS_TO_END)
    unread = list(logs.unread)
    for task in logs.tasks:
        answer = answers.get(task["ID"], Failure("LOG_UNREAD", f"it was not at its end after {seconds:g} seconds"))
        if isinstance(answer, Failure):
            answers.pop(task["ID"], None)
            unread.append(f"{_named(task, moment)}: {answer.message.rstrip('.')}")
    return answers, unread


class LastWords(t.NamedTuple):
    """The last lines of a failed task's log, and what could not be read, in words."""

    lines: list[str]
    unread: list[str]


def log_of_failure(read: t.Callable[..., t.Iterable[bytes]], moment: Moment, lines: int, seconds: float) -> LastWords:
    """The end of the longest log of the failed tasks; of those as long, the newest.

    Args:
        read: C(Engine.task_log).
        moment: What was observed.
        lines: How many lines.
        seconds: The time for all of it.
    """
    own = {service["ID"] for service in moment.services.values()}
    ended = [task for task in moment.tasks if task["ServiceID"] in own and _has_failed(task)]
    logs = logs_of(ended, moment, _FAILED_LOGS)

    def last_lines(task_id: str) -> list[str]:
        return [text for _stream, text in messages(read(task_id, lines=lines, seconds=seconds))][-lines:]

    found, unread = read_logs(logs, moment, last_lines, seconds)
    # The log of the newest one may still lack its last lines, which those before it have.
    whole: list[str] = max((found.get(task["ID"], []) for task in logs.tasks), key=len, default=[])
    return LastWords(whole, unread)


def _has_failed(task: Raw) -> bool:
    return task["Status"]["State"] in (*ENDED_BADLY, "complete")


def _had_container(task: Raw) -> bool:
    return bool((task["Status"].get("ContainerStatus") or {}).get("ContainerID"))


def _named(task: Raw, moment: Moment) -> str:
    return f"the log of task {task['ID'][:_SHORT_ID]} on {node_name(task, moment) or 'a node that is gone'}"
