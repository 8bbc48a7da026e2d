# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the log of a Swarm service, as the Engine streams it, and the states of its tasks, to findings.

A log of any length is read in one pass; what is kept of it is a few facts for each known cause.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime
import functools
import json
import re
import typing as t
import urllib.parse

from ..common.failure import Failure
from ..common.redaction import redacted
from ..http.transport import USER_AGENT
from ..swarm.model import Raw
from . import causes as log_causes

# The Engine splits longer messages; of a terminal's output a line may be longer.
_LONGEST_LINE = 64 * 1024
_LONGEST_TEXT = 8 * 1024
_HEADER = 8
_STREAMS = (0, 1, 2, 3)
_OF_THE_ENGINE = 3
# Several lines of one request are one event: so many requests are remembered for each cause.
_REQUESTS_REMEMBERED = 256

_NODE_LABEL = "com.docker.swarm.node.id"
_TASK_LABEL = "com.docker.swarm.task.id"
_PREFIX = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d) (\S*) ?(.*)", re.DOTALL)
# C(name=value), as the registry's text formatter writes it.
_FIELD = re.compile(r"([\w.@-]{1,64})=(\"(?:\\.|[^\"\\])*\"?|\S*)")
# By far the most lines are such, and not worth a closer look.
_WELL = re.compile(r"time=\"[^\"]*\" level=(?:info|debug|trace) ")
_ESCAPED = re.compile(r"\\(.)")
_ACCESS_LOG = re.compile(r"\S+ \S+ \S+ \[\d\d/\w{3}/\d{4}:")
# What these hold comes from the client's request, or tells nothing of a cause.
_UNTOLD = re.compile(
    r"(?:http\.|vars\.|go\.|instance\.id$|version$|@version$|@timestamp$|time$|level$|digest$|bytes$|seconds$|service$"
    r"|environment$|repository$|status$|cache$)"
)
_DURATION = re.compile(r"(\d+)\s*([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
# DTR's refusal is what these requests of the collection expect: the one by which M(dtr.cache.cache_health) looks at the
# way to DTR, and those by which M(dtr.cache.cache_pull) finds out what is cached. They carry no signature.
_PROBE = "dtr-cache-health/probe"
_REJECTED = "upstream_token_rejected"
_ENDED = ("failed", "rejected", "orphaned", "complete")
_WELL_STATES = ("running", "shutdown")


class Line(t.NamedTuple):
    """One message of a task's log."""

    time: str  # as in RFC 3339, in UTC, to the second
    node: str  # its id
    task: str  # its id
    text: str


class Told(t.NamedTuple):
    """What a message says, without what comes from a client's request."""

    text: str
    fatal: bool
    request: str
    probe: bool


@dataclasses.dataclass
class Finding:
    """What was seen of one cause."""

    cause: log_causes.Cause
    count: int
    first_seen: str
    last_seen: str
    text: str
    nodes: set[str]
    task: str
    requests: collections.OrderedDict[str, None] = dataclasses.field(default_factory=collections.OrderedDict)


def since(text: str, now: datetime.datetime) -> datetime.datetime:
    """The moment that C(2h) before C(now), or a timestamp, means.

    Raises:
        Failure: C(INVALID_INPUT).
    """
    match = _DURATION.fullmatch(text.strip())
    try:
        if match:
            return now - datetime.timedelta(seconds=int(match[1]) * _SECONDS[match[2]])
        moment = datetime.datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except (ValueError, OverflowError):
        raise Failure(
            "INVALID_INPUT",
            f"since: {text!r} is neither a time such as 2h nor a moment such as 2026-01-31T12:00:00Z.",
            hint="The units are s, m, h, d and w.",
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)


def moment_of(timestamp: str) -> datetime.datetime:
    """One of the Engine's timestamps, to the second."""
    match = _PREFIX.match(f"{timestamp} ")
    if not match:
        return datetime.datetime.fromtimestamp(0, tz=datetime.timezone.utc)
    return datetime.datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00"))


def messages(chunks: t.Iterable[bytes]) -> t.Iterator[tuple[int, str]]:
    """The messages of a stream with the stream's number, from either form: with frames, or as a terminal shows it.

    The Engine puts a timestamp before each message, and no digit can begin a frame: so the first byte tells the form.
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


def line_of(message: str) -> Line | None:
    """A message with its timestamp and labels taken apart."""
    match = _PREFIX.fullmatch(message)
    if not match:
        return None
    node, task = _origin(match[4])
    return Line(f"{match[1]}Z", node, task, match[5]) if task else None


@functools.lru_cache(maxsize=256)
def _origin(labels: str) -> tuple[str, str]:
    """The ids of node and task in the labels of a message."""
    known = dict(urllib.parse.parse_qsl(labels.replace(",", "&")))
    return known.get(_NODE_LABEL, ""), known.get(_TASK_LABEL, "")


def told_by(text: str) -> Told | None:
    """What a message of the registry says; C(None) when it is no report of trouble.

    A line of the access log, and fields such as C(http.request.useragent), hold what a client sent, which may read
    like anything.
    """
    if _WELL.match(text):
        return None
    if text.startswith("{"):
        fields = _json_fields(text)
    elif _ACCESS_LOG.match(text):
        return None
    elif text.startswith(("time=", "level=")):
        fields = {match[1]: _unquoted(match[2]) for match in _FIELD.finditer(text)}
    else:
        # Go's own words: a panic, or what its libraries write without a logger.
        return Told(text, text.startswith(("panic: ", "fatal error: ")), "", False)
    level = fields.get("level", "")
    if level in ("info", "debug", "trace"):
        return None
    text = fields.pop("msg", "") or fields.pop("message", "")
    rest = [f"{name}={value}" for name, value in fields.items() if not _UNTOLD.match(name)]
    return Told(
        " ".join([text, *rest]),
        level in ("fatal", "panic"),
        fields.get("http.request.id", ""),
        _PROBE in (fields.get("vars.name"), fields.get("repository")) or _asks_what_is_cached(fields),
    )


def _asks_what_is_cached(fields: t.Mapping[str, str]) -> bool:
    agent, method = fields.get("http.request.useragent", ""), fields.get("http.request.method")
    return method == "HEAD" and agent.startswith(USER_AGENT)


def _json_fields(text: str) -> dict[str, str]:
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return {str(key): str(value) for key, value in document.items()} if isinstance(document, dict) else {}


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    return _ESCAPED.sub(lambda match: {"n": " ", "t": " "}.get(match[1], match[1]), value.strip('"'))


class Collector:
    """Counts what the lines of a log and the states of tasks tell."""

    def __init__(self) -> None:
        self.findings: dict[str, Finding] = {}
        self.lines = 0
        self.lines_by_task: collections.Counter[str] = collections.Counter()
        self.unread: dict[str, None] = {}

    def read(self, chunks: t.Iterable[bytes]) -> None:
        """Take in a whole stream."""
        for stream, message in messages(chunks):
            if stream == _OF_THE_ENGINE or message.startswith("error from daemon"):
                self.unread[redacted(message)] = None
                continue
            line = line_of(message)
            if line is not None:
                self.lines += 1
                self.lines_by_task[line.task] += 1
                self.take_line(line)

    def take_line(self, line: Line) -> None:
        """Take in one line."""
        told = told_by(line.text)
        if told is None or not told.text:
            return
        cause = log_causes.of_line(told.text[:_LONGEST_TEXT], fatal=told.fatal)
        if cause is None or (told.probe and cause.code == _REJECTED):
            return
        self._add(cause, line.time, told.text, line.node, line.task, told.request)

    def take_task(self, task: Raw, begin: datetime.datetime) -> None:
        """Take in why a task has ended since C(begin), or still waits for its beginning."""
        status = task["Status"]
        error, seen = status.get("Err", ""), moment_of(status["Timestamp"])
        waits = task["DesiredState"] in ("ready", "running") and status["State"] not in ("running", *_ENDED)
        if error and (waits or (status["State"] in _ENDED and seen >= begin)):
            time = seen.strftime("%Y-%m-%dT%H:%M:%SZ")
            self._add(log_causes.of_task(error), time, error, task.get("NodeID", ""), task["ID"], "")

    def take_node(self, node: Raw, tasks: t.Sequence[Raw], now: datetime.datetime) -> None:
        """Take in that a node which should run a task is lost; Swarm goes on to call such a task running."""
        name, state = node["Description"]["Hostname"], node["Status"]["State"]
        here = [task for task in tasks if task.get("NodeID") == node["ID"] and task["DesiredState"] == "running"]
        if here and state != "ready":
            time = now.strftime("%Y-%m-%dT%H:%M:%SZ")
            self._add(log_causes.NODE_LOST, time, f"node {name} is {state}", node["ID"], here[0]["ID"], "")

    def take_absence(self, stack: str, now: datetime.datetime) -> None:
        """There is no service at all."""
        time = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        self._add(log_causes.NO_SERVICE, time, f"no service of stack {stack} in this Swarm", "", "", "")

    def _add(self, cause: log_causes.Cause, time: str, text: str, node: str, task: str, request: str) -> None:
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
        rows = [
            {
                "cause": code,
                "edge": finding.cause.edge,
                "summary": finding.cause.summary,
                "current": finding.task not in outdated,
                "count": finding.count,
                "first_seen": finding.first_seen,
                "last_seen": finding.last_seen,
                "nodes": sorted(_name_of(nodes, node) for node in finding.nodes if node),
                "sample": redacted(finding.text),
                "hint": finding.cause.hint,
            }
            for code, finding in self.findings.items()
        ]
        return sorted(rows, key=lambda row: (not row["current"], log_causes.RANK[row["cause"]]))


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
