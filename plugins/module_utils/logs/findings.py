# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counting the causes that the lines of a log and the states of tasks point to.

A log of any length is read in one pass; what is kept of it is a few facts for each known cause.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime
import threading
import typing as t

from ..common.redaction import redacted
from ..swarm.log_stream import OF_THE_ENGINE, LogLine, line_of, messages, moment_of
from ..swarm.model import Raw
from ..swarm.tasks import ENDED_BADLY
from . import causes
from .causes import NO_SERVICE, NODE_LOST, Cause
from .message import trouble_in

_LONGEST_TEXT = 8 * 1024
_ENDED = (*ENDED_BADLY, "complete")
# Several lines of one request are one event: so many requests are remembered for each cause.
_REQUESTS_REMEMBERED = 256
_REJECTED = "upstream_token_rejected"
_WELL_STATES = ("running", "shutdown")


@dataclasses.dataclass
class Finding:
    """What was seen of one cause."""

    cause: Cause
    count: int
    first_seen: str
    last_seen: str
    text: str
    nodes: set[str]
    task: str
    requests: collections.OrderedDict[str, None] = dataclasses.field(default_factory=collections.OrderedDict)


class Collector:
    """Counts the causes that the lines of a log and the states of tasks point to.

    Args:
        begin: Older lines are not its business, as in C(2026-01-31T12:00:00Z).
    """

    def __init__(self, begin: str = "") -> None:
        self._begin = begin
        self.findings: dict[str, Finding] = {}
        self.lines = 0
        self.unread: dict[str, None] = {}
        self._lock = threading.Lock()

    def read(self, chunks: t.Iterable[bytes], also: t.Callable[[LogLine], None] | None = None) -> int:
        """Take in a whole stream, and say how many lines it had. Several threads may do so side by side.

        Args:
            chunks: The stream.
            also: Gets each line as well.
        """
        lines = 0
        try:
            for stream, message in messages(chunks):
                if stream == OF_THE_ENGINE or message.startswith("error from daemon"):
                    with self._lock:
                        self.unread[redacted(message)] = None
                    continue
                line = line_of(message)
                if line is not None:
                    lines += 1
                    if line.time >= self._begin:
                        self.take_line(line)
                    if also:
                        also(line)
        finally:
            with self._lock:
                self.lines += lines
        return lines

    def take_line(self, line: LogLine) -> None:
        """Take in one line."""
        trouble = trouble_in(line.text)
        if trouble is None or not trouble.text:
            return
        cause = causes.of_line(trouble.text[:_LONGEST_TEXT], fatal=trouble.fatal)
        if cause is None or (trouble.probe and cause.code == _REJECTED):
            return
        self._add(cause, line.time, trouble.text, line.node, line.task, trouble.request)

    def take_task(self, task: Raw, begin: datetime.datetime) -> None:
        """Take in why a task has ended since C(begin), or still waits for its beginning."""
        status = task["Status"]
        error, seen = status.get("Err", ""), moment_of(status["Timestamp"])
        waits = task["DesiredState"] in ("ready", "running") and status["State"] not in ("running", *_ENDED)
        if error and (waits or (status["State"] in _ENDED and seen >= begin)):
            time = seen.strftime("%Y-%m-%dT%H:%M:%SZ")
            self._add(causes.of_task(error), time, error, task.get("NodeID", ""), task["ID"], "")

    def take_node(self, node: Raw, tasks: t.Sequence[Raw], now: datetime.datetime) -> None:
        """Take in that a node which should run a task is lost; Swarm goes on to call such a task running."""
        name, state = node["Description"]["Hostname"], node["Status"]["State"]
        here = [task for task in tasks if task.get("NodeID") == node["ID"] and task["DesiredState"] == "running"]
        if here and state != "ready":
            time = now.strftime("%Y-%m-%dT%H:%M:%SZ")
            self._add(NODE_LOST, time, f"node {name} is {state}", node["ID"], here[0]["ID"], "")

    def take_absence(self, stack: str, now: datetime.datetime) -> None:
        """There is no service at all."""
        time = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        self._add(NO_SERVICE, time, f"no service of stack {stack} in this Swarm", "", "", "")

    def _add(self, cause: Cause, time: str, text: str, node: str, task: str, request: str) -> None:
        with self._lock:
            self._count(cause, time, text, node, task, request)

    def _count(self, cause: Cause, time: str, text: str, node: str, task: str, request: str) -> None:
        finding = self.findings.get(cause.code)
        if finding is None:
            finding = self.findings[cause.code] = Finding(cause, 0, time, "", "", set(), task)
        if request in finding.requests:
            return
        if request:
            finding.requests[request] = None
            if len(finding.requests) > _REQUESTS_REMEMBERED:
                finding.requests.popitem(last=False)
        finding.count += 1
        finding.first_seen = min(finding.first_seen, time)
        finding.nodes.add(node)
        if time >= finding.last_seen:
            finding.last_seen, finding.task, finding.text = time, task, text[:_LONGEST_TEXT]

    def rows(self, tasks: t.Sequence[Raw], nodes: t.Mapping[str, Raw]) -> list[dict[str, t.Any]]:
        """The findings as the result shows them, the most likely cause of a present trouble first."""
        outdated = _outdated(tasks)
        # A log that hangs may be read on.
        with self._lock:
            found = list(self.findings.items())
        rows = [
            {
                "cause": code,
                "edge": finding.cause.place,
                "summary": finding.cause.summary,
                "current": finding.task not in outdated,
                "count": finding.count,
                "first_seen": finding.first_seen,
                "last_seen": finding.last_seen,
                "nodes": sorted(_name_of(nodes, node) for node in finding.nodes if node),
                "sample": redacted(finding.text),
                "hint": finding.cause.hint,
            }
            for code, finding in found
        ]
        return sorted(rows, key=lambda row: (not row["current"], causes.RANK[row["cause"]]))


def advice(error: str, line: str) -> str:
    """Return what to do about a task that failed; empty where its error and its log say no more than that it did.

    Args:
        error: Swarm's reason.
        line: The last line of its log.
    """
    trouble = trouble_in(line)
    found = [causes.of_line(trouble.text, fatal=True)] if trouble else []
    found += [causes.of_task(error)] if error else []
    return next((cause.hint for cause in found if cause and cause.code not in causes.VAGUE), "")


def _name_of(nodes: t.Mapping[str, Raw], node: str) -> str:
    return str(nodes[node]["Description"]["Hostname"]) if node in nodes else node


def _outdated(tasks: t.Sequence[Raw]) -> set[str]:
    """The ids of tasks of which what went wrong is over.

    In their place is a newer one that runs, or ran until Swarm stopped it, or that was made from another definition.
    """
    places: dict[t.Any, list[Raw]] = {}
    for task in sorted(tasks, key=lambda task: str(task["CreatedAt"])):
        places.setdefault(_place(task), []).append(task)
    found = set()
    for made in places.values():
        well = max((number for number, task in enumerate(made) if task["Status"]["State"] in _WELL_STATES), default=0)
        found |= {task["ID"] for task in made[:well]}
        found |= {task["ID"] for task in made if task.get("Spec") != made[-1].get("Spec")}
    return found


def _place(task: Raw) -> tuple[str, t.Any]:
    return task["ServiceID"], task.get("Slot") or task.get("NodeID", "")
