# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the logs and tasks of a stack: why its service fails, and what it has served.

A log of any length is read in one pass; what is kept of it is a few facts for each known cause.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime
import re
import threading
import typing as t

from ..common.failure import Failure
from ..common.redaction import redacted
from ..http.transport import USER_AGENT
from ..swarm.model import Moment, Raw
from ..swarm.task_logs import OF_THE_ENGINE, LogLine, line_of, logs_of, messages, moment_of, read_logs
from ..swarm.verdict import ENDED_BADLY
from . import causes
from .causes import NO_SERVICE, NODE_LOST, Cause
from .traffic import MOST_PAIRS, TaskTraffic, fields_of, summary

if t.TYPE_CHECKING:
    from ..swarm.engine import Engine

_DURATION = re.compile(r"(0*[1-9][0-9]*)\s*([smhdw])")
# What Python 3.9 on a manager understands as well as a newer one on the control node.
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{3})?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
# The most by which a manager's clock may be behind that of the author of a moment.
_CLOCKS = datetime.timedelta(days=1)
# The Engine counts the seconds since then.
_FIRST = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
# A service is made a moment before its first tasks.
_SECONDS_TO_BEGIN = 60
_LONGEST_TEXT = 8 * 1024
_ENDED = (*ENDED_BADLY, "complete")
_WELL_STATES = ("running", "shutdown")
# Several lines of one request are one event: so many requests are remembered for each cause.
_REQUESTS_REMEMBERED = 256
_REJECTED = "upstream_token_rejected"
# By far the most lines report no trouble, and need no closer reading.
_WELL = re.compile(r"time=\"[^\"]*\" level=(?:info|debug|trace) ")
_ACCESS_LOG = re.compile(r"\S+ \S+ \S+ \[\d\d/\w{3}/\d{4}:")
# Fields that come from the client's request, or say nothing of a cause.
_LEFT_OUT = re.compile(
    r"(?:http\.|vars\.|go\.|instance\.id$|version$|@version$|@timestamp$|time$|level$|digest$|bytes$|seconds$|service$"
    r"|environment$|repository$|status$|cache$)"
)
# DTR's refusal is what these requests of the collection expect: the one by which M(dtr.cache.cache_health) checks the
# way to DTR, and those by which M(dtr.cache.cache_pull) finds out what is cached. They carry no signature.
_PROBE = "dtr-cache-health/probe"


def since(text: str, now: datetime.datetime) -> datetime.datetime:
    """Return the moment that a duration before C(now), such as C(2h), or a timestamp means.

    Raises:
        Failure: C(INVALID_INPUT).
    """
    match = _DURATION.fullmatch(text.strip())
    try:
        if match:
            return max(_FIRST, now - datetime.timedelta(seconds=int(match[1]) * _SECONDS[match[2]]))
        if not _MOMENT.fullmatch(text.strip()):
            raise ValueError(text)
        moment = datetime.datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)
        if moment > now + _CLOCKS:
            raise ValueError(text)
        return max(_FIRST, moment.astimezone(datetime.timezone.utc))
    except (ValueError, OverflowError):
        raise Failure(
            "INVALID_INPUT",
            f"since: {text!r} is neither a time such as 2h nor a moment in the past such as 2026-01-31T12:00:00Z.",
            hint="The units are s, m, h, d and w.",
        ) from None


def findings_of(engine: Engine, options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return what the logs and tasks of a stack point to, and what it has served if that is asked.

    Raises:
        Failure: The Engine cannot be read, or an option makes no sense.
    """
    stack, lines, seconds = options["name"], options["lines"], options["timeout"]
    if lines < 1 or seconds <= 0:
        raise Failure("INVALID_INPUT", "lines and timeout have to be greater than zero.")
    now = moment_of(engine.require_manager()["SystemTime"])
    begin = since(options["since"], now)
    served_since = since(options["traffic_since"], now) if options.get("traffic_since") else None
    earliest = min(begin, served_since or begin)
    moment = engine.observe(stack)
    collector = Collector(_text_of(begin))
    served: dict[str, TaskTraffic] = {}
    if not moment.services:
        collector.take_absence(stack, now)
    for task in moment.tasks:
        collector.take_task(task, begin)
    for node in moment.nodes.values():
        collector.take_node(node, moment.tasks, now)

    def read(task_id: str) -> int:
        log = engine.task_log(
            task_id, lines=lines, seconds=seconds, since=max(0, int(earliest.timestamp())), described=True
        )
        if served_since is None:
            return collector.read(log)
        traffic = served[task_id] = TaskTraffic(_text_of(served_since))
        return collector.read(log, traffic.take)

    counts, unread = read_logs(logs_of(moment.tasks, moment), moment, read, seconds)
    cut = [task_id for task_id, count in counts.items() if count >= lines]
    unread += [f"task {task_id}: only its newest {lines} lines were read; raise lines for more" for task_id in cut]
    unread = [_with_names(text, moment.nodes) for text in dict.fromkeys([*unread, *list(collector.unread)])]
    return {
        "changed": False,
        "findings": collector.rows(moment.tasks, moment.nodes),
        "since": _text_of(begin),
        "lines_read": collector.lines,
        "unread": unread,
        "traffic": None if served_since is None else _traffic(dict(served), served_since, moment, cut, unread),
    }


def _traffic(
    served: t.Mapping[str, TaskTraffic],
    begin: datetime.datetime,
    moment: Moment,
    cut: t.Collection[str],
    unread: t.Sequence[str],
) -> dict[str, t.Any]:
    """Return what was served, and what is missing of it: logs that were cut, and those of replicas that are gone."""
    asked = _text_of(begin)
    missing = list(unread)
    starts = [asked, *(traffic.first_time for task_id, traffic in served.items() if task_id in cut)]
    oldest = min((moment_of(task["CreatedAt"]) for task in moment.tasks), default=None)
    made = min((moment_of(each["CreatedAt"]) for each in moment.services.values() if "CreatedAt" in each), default=None)
    if oldest and made and oldest > begin and (oldest - made).total_seconds() > _SECONDS_TO_BEGIN:
        starts.append(_text_of(oldest))
        missing.append(f"the replicas before {_text_of(oldest)} are gone with their logs: Swarm keeps few of them")
    if made and made > begin:
        # The logs of an earlier stack are gone.
        starts.append(_text_of(made))
    if any(map(_has_no_log, moment.services.values())):
        missing.append("the logging driver of the service is none (dtr_cache_service_extra), so it has no log")
    if any(traffic.tally.is_full for traffic in served.values()):
        missing.append(
            f"a log has more than {MOST_PAIRS} pairs of an image and a client; the others are in the sums only"
        )
    sums = summary(served.values())
    return {"since": asked, "complete_since": max(starts), "missing": missing, **sums}


def _has_no_log(service: Raw) -> bool:
    driver = service["Spec"]["TaskTemplate"].get("LogDriver") or {}
    return bool(driver.get("Name") == "none")


def _text_of(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _with_names(text: str, nodes: t.Mapping[str, t.Mapping[str, t.Any]]) -> str:
    """Return the Engine's words with host names in the place of ids."""
    for node_id, node in nodes.items():
        text = text.replace(node_id, node["Description"]["Hostname"])
    return text


class Trouble(t.NamedTuple):
    """The trouble that a message of the registry reports, without anything that a client could have written into it."""

    text: str
    fatal: bool
    request: str
    probe: bool


def trouble_in(text: str) -> Trouble | None:
    """Return the trouble that a message of the registry reports; C(None) when it reports none.

    A line of the access log, and fields such as C(http.request.useragent), hold text of a client, which may imitate
    anything.
    """
    if _WELL.match(text) or _ACCESS_LOG.match(text):
        return None
    if not text.startswith(("{", "time=", "level=")):
        # Go's own words: a panic, or what its libraries write without a logger.
        return Trouble(text, text.startswith(("panic: ", "fatal error: ")), "", False)
    fields = fields_of(text)
    level = fields.get("level", "")
    if level in ("info", "debug", "trace"):
        return None
    text = fields.pop("msg", "") or fields.pop("message", "")
    rest = [f"{name}={value}" for name, value in fields.items() if not _LEFT_OUT.match(name)]
    agent, method = fields.get("http.request.useragent", ""), fields.get("http.request.method")
    is_probe = _PROBE in (fields.get("vars.name"), fields.get("repository"))
    is_probe = is_probe or (method == "HEAD" and agent.startswith(USER_AGENT))
    return Trouble(" ".join([text, *rest]), level in ("fatal", "panic"), fields.get("http.request.id", ""), is_probe)


@dataclasses.dataclass
class Finding:
    """The occurrences of one cause."""

    cause: Cause
    first_seen: str
    task: str
    count: int = 0
    last_seen: str = ""
    text: str = ""
    nodes: set[str] = dataclasses.field(default_factory=set)
    requests: collections.OrderedDict[str, None] = dataclasses.field(default_factory=collections.OrderedDict)


class Collector:
    """Counts the causes that the lines of a log and the states of tasks point to.

    Args:
        begin: The time from which on lines count, such as C(2026-01-31T12:00:00Z).
    """

    def __init__(self, begin: str = "") -> None:
        self._begin = begin
        self.findings: dict[str, Finding] = {}
        self.lines = 0
        self.unread: dict[str, None] = {}
        self._lock = threading.Lock()

    def read(self, chunks: t.Iterable[bytes], also: t.Callable[[LogLine], None] | None = None) -> int:
        """Read a whole stream, and return its number of lines. Several threads may do so side by side.

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
        """Count one line."""
        trouble = trouble_in(line.text)
        if trouble is None or not trouble.text:
            return
        cause = causes.of_line(trouble.text[:_LONGEST_TEXT], fatal=trouble.fatal)
        if cause is None or (trouble.probe and cause.code == _REJECTED):
            return
        self._count(cause, line.time, trouble.text, line.node, line.task, trouble.request)

    def take_task(self, task: Raw, begin: datetime.datetime) -> None:
        """Count why a task has ended since C(begin), or still waits for its beginning."""
        status = task["Status"]
        error, seen = status.get("Err", ""), moment_of(status["Timestamp"])
        waits = task["DesiredState"] in ("ready", "running") and status["State"] not in ("running", *_ENDED)
        if error and (waits or (status["State"] in _ENDED and seen >= begin)):
            self._count(causes.of_task(error), _text_of(seen), error, task.get("NodeID", ""), task["ID"])

    def take_node(self, node: Raw, tasks: t.Sequence[Raw], now: datetime.datetime) -> None:
        """Count a node that should run a task and is lost; Swarm goes on to call such a task running."""
        name, state = node["Description"]["Hostname"], node["Status"]["State"]
        here = [task for task in tasks if task.get("NodeID") == node["ID"] and task["DesiredState"] == "running"]
        if here and state != "ready":
            self._count(NODE_LOST, _text_of(now), f"node {name} is {state}", node["ID"], here[0]["ID"])

    def take_absence(self, stack: str, now: datetime.datetime) -> None:
        """Count that the stack has no service."""
        self._count(NO_SERVICE, _text_of(now), f"no service of stack {stack} in this Swarm", "", "")

    def _count(self, cause: Cause, time: str, text: str, node: str, task: str, request: str = "") -> None:
        with self._lock:
            finding = self.findings.setdefault(cause.code, Finding(cause, time, task))
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
        """Return the findings as the result shows them, the most likely cause of a present trouble first."""
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
                "nodes": sorted(_hostname(nodes, node) for node in finding.nodes if node),
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


def _outdated(tasks: t.Sequence[Raw]) -> set[str]:
    """Return the ids of tasks whose trouble is over.

    In their place is a newer one that runs, or ran until Swarm stopped it, or that was made from another definition.
    """
    places: dict[t.Any, list[Raw]] = {}
    for task in sorted(tasks, key=lambda task: str(task["CreatedAt"])):
        place = task["ServiceID"], task.get("Slot") or task.get("NodeID", "")
        places.setdefault(place, []).append(task)
    found = set()
    for made in places.values():
        well = max((number for number, task in enumerate(made) if task["Status"]["State"] in _WELL_STATES), default=0)
        found |= {task["ID"] for task in made[:well]}
        found |= {task["ID"] for task in made if task.get("Spec") != made[-1].get("Spec")}
    return found


def _hostname(nodes: t.Mapping[str, Raw], node: str) -> str:
    return str(nodes[node]["Description"]["Hostname"]) if node in nodes else node
