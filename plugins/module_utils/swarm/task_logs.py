# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The logs of the tasks of a stack: which ones there are, and reading them side by side within a time."""

from __future__ import annotations

import datetime
import functools
import re
import typing as t
import urllib.parse

from ..common.concurrency import side_by_side
from ..common.failure import Failure
from .model import Moment, Raw
from .verdict import ENDED_BADLY, created, node_name

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


# The Engine splits longer messages; of a terminal's output a line may be longer.
_LONGEST_LINE = 64 * 1024
_HEADER = 8
_STREAMS = (0, 1, 2, 3)
# The stream in which the Engine itself writes.
OF_THE_ENGINE = 3
_NODE_LABEL = "com.docker.swarm.node.id"
_TASK_LABEL = "com.docker.swarm.task.id"
_PREFIX = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d) (\S*) ?(.*)", re.DOTALL)


class LogLine(t.NamedTuple):
    """One message of a task's log."""

    time: str  # as in RFC 3339, in UTC, to the second
    node: str  # its id
    task: str  # its id
    text: str


def moment_of(timestamp: str) -> datetime.datetime:
    """One of the Engine's timestamps, to the second."""
    match = _PREFIX.match(f"{timestamp} ")
    if not match:
        return datetime.datetime.fromtimestamp(0, tz=datetime.timezone.utc)
    return datetime.datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00"))


def messages(chunks: t.Iterable[bytes]) -> t.Iterator[tuple[int, str]]:
    """The messages of a stream with the stream's number, from either form: with frames, or as a terminal shows it.

    The Engine puts a timestamp before each message, and no digit can begin a frame: so the first byte shows the form.
    """
    source = iter(chunks)
    buffer = bytearray()
    for chunk in source:
        buffer += chunk
        if len(buffer) >= 4:
            break
    if not buffer:
        return
    framed = buffer[0] in _STREAMS and not any(buffer[1:4])
    yield from (_framed if framed else _plain)(buffer, source)


def _framed(buffer: bytearray, source: t.Iterator[bytes]) -> t.Iterator[tuple[int, str]]:
    skip = 0
    while True:
        if skip:
            dropped = min(skip, len(buffer))
            del buffer[:dropped]
            skip -= dropped
        elif len(buffer) >= _HEADER:
            length = int.from_bytes(buffer[4:_HEADER], "big")
            kept = min(length, _LONGEST_LINE)
            if len(buffer) >= _HEADER + kept:
                yield buffer[0], bytes(buffer[_HEADER : _HEADER + kept]).decode(errors="replace").rstrip("\r\n")
                del buffer[: _HEADER + kept]
                skip = length - kept
                continue
        if skip and buffer:
            continue
        chunk = next(source, None)
        if chunk is None:
            return
        buffer += chunk


def _plain(buffer: bytearray, source: t.Iterator[bytes]) -> t.Iterator[tuple[int, str]]:
    while True:
        *lines, rest = bytes(buffer).split(b"\n")
        for line in lines:
            yield 1, line[:_LONGEST_LINE].decode(errors="replace").rstrip("\r")
        buffer[:] = rest[:_LONGEST_LINE]
        chunk = next(source, None)
        if chunk is None:
            if buffer:
                yield 1, bytes(buffer).decode(errors="replace").rstrip("\r")
            return
        buffer += chunk


def line_of(message: str) -> LogLine | None:
    """A message with its timestamp and labels taken apart."""
    match = _PREFIX.fullmatch(message)
    if not match:
        return None
    node, task = _origin(match[4])
    return LogLine(f"{match[1]}Z", node, task, match[5]) if task else None


@functools.lru_cache(maxsize=256)
def _origin(labels: str) -> tuple[str, str]:
    """The ids of node and task in the labels of a message."""
    known = dict(urllib.parse.parse_qsl(labels.replace(",", "&")))
    return known.get(_NODE_LABEL, ""), known.get(_TASK_LABEL, "")
