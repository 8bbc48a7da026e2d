# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Count what a cache has served, from the lines of its log about its answers.

The registry writes two lines for each answer: one of its access log, in the combined form of web servers, and one of
its own log, which has the duration, at level info. Both are read; an answer is counted once. A log of any length is
read in one pass, and what is kept of it is bounded, whatever clients write into requests.
"""

from __future__ import annotations

import calendar
import collections
import functools
import json
import re
import threading
import time
import typing as t

from ..common.failure import Failure
from ..http.transport import USER_AGENT
from ..swarm.compose import duration
from ..swarm.task_logs import LogLine

# After such a pause a client has ended its pull of an image: a cache sees layers, and no tags.
SECONDS_OF_PAUSE = 600
# An answer is slow when it takes longer than this, with less than this a second.
SLOW_SECONDS = 10.0
SLOW_BYTES = 10**6
SHOWN = 20
# Pairs of an image and a client that are told apart in one log.
MOST_PAIRS = 10_000

# C(name=value), as the registry's text formatter writes it.
_FIELD = re.compile(r"([\w.@-]{1,64})=(\"(?:\\.|[^\"\\])*\"?|\S*)")
_ESCAPED = re.compile(r"\\(.)")
_BLOB = r"/v2/([a-z0-9][a-z0-9._/-]{0,254})/blobs/[a-z0-9]{2,16}:[0-9a-f]{32,128}"
# HOST - USER [TIME] "GET PATH HTTP/1.1" STATUS BYTES "REFERRER" "AGENT"
_ACCESS = re.compile(
    r"([0-9a-fA-F.:%\w-]{2,64}) - \S+ "
    r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "
    rf'"GET {_BLOB}(?:\?[^"\s]*)? HTTP/[\d.]+" (\d{{3}}) (\d+) "(?:[^"\\]|\\.)*" "({re.escape(USER_AGENT)})?'
)
_URI = re.compile(rf"{_BLOB}(?:\?\S*)?")
_RESPONSE = re.compile(r'"?(?:msg|message)"?[=:]"response completed')
_QUICK = re.compile(r'http\.response\.duration"?[=:]"?[\d.]+(?:ms|µs|ns)')


class Answer(t.NamedTuple):
    """One answer to a client that asked for a layer."""

    image: str
    client: str
    status: int
    size: int
    seconds: float | None  # None in the access log
    is_own: bool  # of the collection itself, which checks, verifies and warms


class Pair:
    """The layers of one image that one client got. C(pulls) are beginnings and ends, in seconds since 1970."""

    __slots__ = ("failed", "layers", "pulls", "size")

    def __init__(self) -> None:
        self.pulls: list[list[int]] = []
        self.layers = self.size = self.failed = 0


class Tally:
    """The answers of one log."""

    def __init__(self) -> None:
        self.answers = self.layers = self.size = self.refused = self.failed = 0
        self.statuses: collections.Counter[str] = collections.Counter()
        self.pairs: dict[tuple[str, str], Pair] = {}
        self.is_full = False

    def add(self, answer: Answer, moment: int) -> None:
        """Count one answer."""
        self.answers += 1
        self.size += answer.size
        is_served, is_refused = answer.status < 400, 400 <= answer.status < 500
        self.layers += is_served
        self.refused += is_refused
        self.failed += answer.status >= 500
        if not is_served:
            self.statuses[str(answer.status)] += 1
        # Anybody can ask for names that do not exist.
        if not is_refused:
            self._add_to_pair(answer, moment)

    def _add_to_pair(self, answer: Answer, moment: int) -> None:
        key = (answer.image, answer.client)
        pair = self.pairs.get(key)
        if pair is None:
            if len(self.pairs) >= MOST_PAIRS:
                self.is_full = True
                return
            pair = self.pairs[key] = Pair()
        pair.size += answer.size
        if answer.status >= 500:
            pair.failed += 1
            return
        pair.layers += 1
        if pair.pulls and moment - pair.pulls[-1][1] <= SECONDS_OF_PAUSE:
            pair.pulls[-1][1] = max(moment, pair.pulls[-1][1])
        else:
            pair.pulls.append([moment, moment])


class TaskTraffic:
    """The answers in the log of one task."""

    def __init__(self, begin: str) -> None:
        self._begin = begin
        self._lock = threading.Lock()
        self._is_closed = False
        self._access, self._responses = Tally(), Tally()
        self.first_time = ""
        self.timed = self.slow = 0
        self.slowest: tuple[float, Answer, str] | None = None

    @property
    def tally(self) -> Tally:
        """Return the answers of the access log, or of the registry's own log where the access log is off."""
        return self._access if self._access.answers else self._responses

    def close(self) -> TaskTraffic:
        """Count nothing more: a log that hangs may be read on while the sums are made."""
        with self._lock:
            self._is_closed = True
        return self

    def take(self, line: LogLine) -> None:
        """Count one line."""
        with self._lock:
            if not self._is_closed:
                self._take(line)

    def _take(self, line: LogLine) -> None:
        self.first_time = self.first_time or line.time
        text = line.text
        if line.time < self._begin or "/blobs/" not in text:
            return
        answer = access_in(text)
        if answer is not None:
            if not answer.is_own:
                self._access.add(answer, _moment(line.time))
        elif _RESPONSE.search(text):
            self._take_response(line)

    def _take_response(self, line: LogLine) -> None:
        self.timed += 1
        if self._access.answers and _QUICK.search(line.text):
            return
        answer = response_in(line.text)
        if answer is None or answer.is_own:
            return
        self._responses.add(answer, _moment(line.time))
        seconds = answer.seconds or 0
        if answer.status < 400 and seconds > SLOW_SECONDS and answer.size < seconds * SLOW_BYTES:
            self.slow += 1
            if self.slowest is None or seconds > self.slowest[0]:
                self.slowest = (seconds, answer, line.time)


def fields_of(text: str) -> dict[str, str]:
    """Return the fields of a line of the registry's logger, in any of its forms."""
    if text.startswith("{"):
        return _json_fields(text)
    return {match[1]: _unquoted(match[2]) for match in _FIELD.finditer(text)}


def _json_fields(text: str) -> dict[str, str]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return {str(key): str(value) for key, value in document.items()} if isinstance(document, dict) else {}


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    return _ESCAPED.sub(lambda match: {"n": " ", "t": " "}.get(match[1], match[1]), value.strip('"'))


def access_in(text: str) -> Answer | None:
    """Return the answer that a line of the access log is about, if it is one for a layer."""
    match = _ACCESS.match(text)
    if not match:
        return None
    return Answer(match[2], match[1], int(match[3]), int(match[4]), None, bool(match[5]))


def response_in(text: str) -> Answer | None:
    """Return the same of a line of the registry's own log, in each of its forms (C(log.formatter))."""
    fields = fields_of(text)
    uri = _URI.fullmatch(fields.get("http.request.uri", ""))
    if not uri or fields.get("http.request.method") != "GET":
        return None
    try:
        nanoseconds = duration(fields.get("http.response.duration")) or 0
        return Answer(
            uri[1],
            _without_port(fields.get("http.request.remoteaddr", "")),
            int(fields["http.response.status"]),
            int(fields["http.response.written"]),
            nanoseconds / 10**9,
            fields.get("http.request.useragent", "").startswith(USER_AGENT),
        )
    except (Failure, KeyError, ValueError):
        return None


def summary(tasks: t.Iterable[TaskTraffic]) -> dict[str, t.Any]:
    """Return what all replicas together have served."""
    found = [task.close() for task in tasks]
    tallies = [task.tally for task in found]
    pairs = _together(tallies)
    images, clients = _by(pairs, 0, "image"), _by(pairs, 1, "client")
    slowest = max((task.slowest for task in found if task.slowest), default=None)
    statuses = sum((tally.statuses for tally in tallies), collections.Counter())
    return {
        "pulls": sum(row["pulls"] for row in images),
        "layers": sum(tally.layers for tally in tallies),
        "bytes": sum(tally.size for tally in tallies),
        "refused": sum(tally.refused for tally in tallies),
        "failed": sum(tally.failed for tally in tallies),
        "statuses": dict(sorted(statuses.items())),
        # The log has durations at level info and more.
        "slow": sum(task.slow for task in found)
        if any(task.timed for task in found) or not any(tally.answers for tally in tallies)
        else None,
        "slowest": _slowest(*slowest) if slowest else None,
        "image_count": len(images),
        "images": images[:SHOWN],
        "client_count": len(clients),
        "clients": clients[:SHOWN],
    }


def _together(tallies: t.Iterable[Tally]) -> dict[tuple[str, str], Pair]:
    """Return the pairs of all logs: a pull whose layers come from several replicas is one."""
    pairs: dict[tuple[str, str], Pair] = {}
    for tally in tallies:
        for key, each in tally.pairs.items():
            pair = pairs.setdefault(key, Pair())
            pair.layers += each.layers
            pair.size += each.size
            pair.failed += each.failed
            pair.pulls += [list(times) for times in each.pulls]
    for pair in pairs.values():
        joined: list[list[int]] = []
        for begin, end in sorted(pair.pulls):
            if joined and begin - joined[-1][1] <= SECONDS_OF_PAUSE:
                joined[-1][1] = max(end, joined[-1][1])
            else:
                joined.append([begin, end])
        pair.pulls = joined
    return pairs


def _by(pairs: t.Mapping[tuple[str, str], Pair], place: int, word: str) -> list[dict[str, t.Any]]:
    """Return the pairs by image or by client, those with the most bytes first."""
    rows: dict[str, dict[str, t.Any]] = {}
    for key, pair in pairs.items():
        row = rows.setdefault(key[place], {word: key[place], "pulls": 0, "layers": 0, "bytes": 0, "failed": 0})
        row["pulls"] += len(pair.pulls)
        row["layers"] += pair.layers
        row["bytes"] += pair.size
        row["failed"] += pair.failed
    return sorted(rows.values(), key=lambda row: (-row["bytes"], row[word]))


def _slowest(seconds: float, answer: Answer, moment: str) -> dict[str, t.Any]:
    return {
        "image": answer.image,
        "client": answer.client,
        "seconds": round(seconds, 1),
        "bytes": answer.size,
        "time": moment,
    }


def _without_port(address: str) -> str:
    host, colon, port = address.rpartition(":")
    has_port = colon and port.isdigit() and (":" not in host or host.startswith("["))
    known = (host if has_port else address).strip("[]")
    return known if re.fullmatch(r"[0-9a-fA-F.:%\w-]{2,64}", known) else "unknown"


@functools.lru_cache(maxsize=64)
def _moment(text: str) -> int:
    """Return the seconds since 1970 of a line's time."""
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))
