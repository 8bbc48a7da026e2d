# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of a status report, read into what its page and its metrics are made of.

A row that lacks something gives a cache of which that is not known: a report is wanted most when much is broken.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
import typing as t

from ansible.errors import AnsibleFilterError

from ...module_utils.common.vocabulary import EDGES
from ...module_utils.dtr.model import are_same
from ...module_utils.health.checks import Check
from .problems import Problem

# Worst first.
STATES = ("unhealthy", "unknown", "healthy")
DAY = datetime.timedelta(days=1)
_LAST_MOMENT = datetime.datetime.max.replace(microsecond=0, tzinfo=datetime.timezone.utc)

# What no text format can hold, or would show as nothing: control characters, halves of surrogate pairs.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")

Row = t.Mapping[str, t.Any]


class Edge(t.NamedTuple):
    """One of the ways that a pull takes, or on which a pull depends."""

    name: str
    state: str
    seconds: float | None
    checks: t.Sequence[Check]


class Step(t.NamedTuple):
    """Something that a deployment would change."""

    kind: str
    action: str
    name: str
    detail: str


class Address(t.NamedTuple):
    """One address of a cache; C(ok) is C(None) where it is not known."""

    address: str
    ok: bool | None
    detail: str


class Share(t.NamedTuple):
    """What of the traffic one image or one client had."""

    name: str
    pulls: int
    size: int
    failed: int


class Traffic(t.NamedTuple):
    """What a cache has served; C(slow) is C(None) where it is not known."""

    since: datetime.datetime
    pulls: int
    layers: int
    size: int
    refused: int
    failed: int
    slow: int | None
    image_count: int
    images: t.Sequence[Share]
    client_count: int
    clients: t.Sequence[Share]
    missing: t.Sequence[str]


class RegistryStatus(t.NamedTuple):
    """What is known of a DTR; C(None) is what is not."""

    url: str
    healthy: bool | None
    read_only: bool | None
    dangling: int | None
    lost: int | None
    cause: str
    hint: str


@dataclasses.dataclass(frozen=True)
class CacheStatus:
    """What is known of one region's cache; C(None) is what is not."""

    region: str
    cache: str
    url: str
    registry_url: str
    nodes: t.Sequence[str]
    state: str
    cause: str
    hint: str
    others: t.Sequence[Problem]
    image: str
    version: str
    registry_version: str
    wanted: int | None
    running: int | None
    days_left: int | None
    expires: datetime.datetime | None  # when clients begin to refuse the cache
    declared_until: datetime.datetime | None  # the end of the declared certificate, where none was seen live
    accounts: int | None
    elsewhere: int | None
    dangling: int | None
    registered: bool | None
    drift: t.Sequence[Step] | None
    serves: bool | None
    edges: t.Sequence[Edge]
    addresses: t.Sequence[Address]
    traffic: Traffic | None

    @property
    def same_version(self) -> bool | None:
        """Check whether the cache has the version of its DTR, as the vendor wants it."""
        return are_same(self.version, self.registry_version)

    @property
    def checks(self) -> list[Check]:
        """Return those of all edges."""
        return [check for edge in self.edges for check in edge.checks]


def read_fleet(rows: t.Any, moment: datetime.datetime) -> list[CacheStatus]:
    """Return the caches of a report, worst first.

    Raises:
        AnsibleFilterError: These are no rows.
    """
    caches = [_cache(row, moment) for row in _checked(rows, "regions")]
    return sorted(caches, key=lambda cache: (STATES.index(cache.state), cache.region.casefold(), cache.cache))


def read_registries(rows: t.Any) -> list[RegistryStatus]:
    """Return the DTRs of a report.

    Raises:
        AnsibleFilterError: These are no rows.
    """
    return [
        RegistryStatus(
            **_texts(row, "url", "cause", "hint"),
            **_values(row, "healthy", "read_only", "dangling"),
            lost=_lost(row.get("undeclared")),
        )
        for row in _checked(rows, "registries")
    ]


def read_time(value: t.Any) -> datetime.datetime:
    """Return a moment, in UTC, from its ISO 8601 text, from seconds since 1970 or from itself.

    Raises:
        AnsibleFilterError: It is none of them.
    """
    moment: datetime.datetime | None
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            moment = datetime.datetime.fromtimestamp(value, datetime.timezone.utc)
        else:
            moment = value if isinstance(value, datetime.datetime) else _iso(value)
    except (ValueError, OverflowError, OSError):
        moment = None
    if moment is None:
        raise AnsibleFilterError(f"time: {value!r} is no time; give it as in 2026-11-24T01:40:00Z")
    return _utc(moment)


def clean(value: t.Any) -> str:
    """Return one line of text that can be written and shown."""
    return "" if value is None else _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", " ".join(str(value).split()))


def state_of(ok: bool | None) -> str:
    """Return what is known of a check, as the state of an edge has it."""
    return "unseen" if ok is None else "ok" if ok else "failed"


def _checked(rows: t.Any, origin: str) -> t.Sequence[Row]:
    if not isinstance(rows, t.Sequence) or not all(isinstance(row, t.Mapping) for row in rows):
        raise AnsibleFilterError(f"takes {origin} as dtr.cache.fleet_info returns them: a list of dictionaries")
    return rows


def _texts(row: Row, *names: str) -> dict[str, t.Any]:
    return {name: clean(row.get(name)) for name in names}


def _values(row: Row, *names: str) -> dict[str, t.Any]:
    return {name: row.get(name) for name in names}


def _iso(value: t.Any) -> datetime.datetime | None:
    text = str(value or "")
    # Before Python 3.11 a Z is not understood.
    return datetime.datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text)) if text else None


def _utc(moment: datetime.datetime) -> datetime.datetime:
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)).astimezone(datetime.timezone.utc)


def _moment(value: t.Any) -> datetime.datetime | None:
    """Return a moment of a row in UTC; C(None) where it is none."""
    try:
        moment = _iso(value)
    except ValueError:
        return None
    return None if moment is None else _utc(moment)


def _cache(row: Row, moment: datetime.datetime) -> CacheStatus:
    replicas, certificate, seconds = (row.get(name) or {} for name in ("replicas", "certificate", "seconds"))
    checks = [
        Check(
            **_texts(check, "edge", "check", "detail", "hint"),
            ok=None if check.get("ok") is None else bool(check["ok"]),
        )
        for check in row.get("checks") or []
    ]
    not_after, declared_until = _moment(certificate.get("not_after")), None
    if certificate.get("seen") is False:
        not_after, declared_until = None, not_after
    days_left = row.get("days_left")
    if days_left is None and not_after is not None:
        days_left = (not_after - moment) // DAY
    drift = row.get("drift")
    region, cache = clean(row.get("region")), clean(row.get("cache"))
    return CacheStatus(
        **_texts(row, "url", "registry_url", "cause", "hint", "image", "version", "registry_version"),
        **_values(row, "accounts", "elsewhere", "dangling", "registered", "serves"),
        **_values(replicas, "wanted", "running"),
        region=region or cache,
        cache=cache or region,
        nodes=[clean(node) for node in row.get("nodes") or []],
        state=str(row.get("state")) if row.get("state") in STATES else "unknown",
        others=[Problem(**_texts(each, "cause", "hint")) for each in (row.get("problems") or [])[1:]],
        days_left=days_left,
        expires=_expires(not_after, days_left, moment),
        declared_until=declared_until,
        drift=None if drift is None else [Step(**_texts(step, *Step._fields)) for step in drift],
        edges=[_edge(name, [check for check in checks if check.edge == name], seconds.get(name)) for name in EDGES],
        addresses=[
            Address(**_texts(each, "address", "detail"), ok=each.get("ok")) for each in row.get("addresses") or []
        ],
        traffic=_traffic(row.get("traffic") or {}),
    )


def _edge(name: str, checks: t.Sequence[Check], seconds: t.Any) -> Edge:
    states = {state_of(check.ok) for check in checks} or {"unseen"}
    state = next(each for each in ("failed", "unseen", "ok") if each in states)
    return Edge(name, state, None if seconds is None else float(seconds), checks)


def _lost(undeclared: t.Sequence[Row] | None) -> int | None:
    """Return how many caches with accounts do not answer."""
    if undeclared is None:
        return None
    accounts = [each.get("accounts") for each in undeclared if each.get("answers") is False]
    return None if None in accounts else sum(map(bool, accounts))


def _traffic(traffic: Row) -> Traffic | None:
    since = _moment(traffic.get("complete_since"))
    if since is None:
        return None
    numbers = ("pulls", "layers", "refused", "failed", "image_count", "client_count")
    return Traffic(
        **{name: int(traffic.get(name) or 0) for name in numbers},
        since=since,
        size=int(traffic.get("bytes") or 0),
        slow=traffic.get("slow"),
        images=_shares(traffic.get("images"), "image"),
        clients=_shares(traffic.get("clients"), "client"),
        missing=[clean(text) for text in traffic.get("missing") or []],
    )


def _shares(rows: t.Any, word: str) -> list[Share]:
    return [
        Share(clean(row.get(word)), *(int(row.get(name) or 0) for name in ("pulls", "bytes", "failed")))
        for row in rows or []
    ]


def _expires(
    not_after: datetime.datetime | None, days_left: int | None, moment: datetime.datetime
) -> datetime.datetime | None:
    """Return when clients begin to refuse the cache: days_left is of the whole chain, not_after of the cache's own."""
    if days_left is None:
        return not_after
    try:
        chain_ends = moment + (days_left + 1) * DAY
        latest = chain_ends + DAY
    except OverflowError:
        # A certificate without an end is valid until the last second of the year 9999 (RFC 5280).
        return not_after or _LAST_MOMENT
    return not_after if not_after is not None and not_after <= latest else chain_ends
