# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One server probed as a Docker Engine would meet it, at each of its addresses."""

from __future__ import annotations

import socket
import time
import typing as t

from ..common.concurrency import fan_out
from ..common.urls import Origin, address_and_port, origin_of
from .checks import Check, bad, not_known
from .endpoint import Endpoint, EndpointReport, Place
from .visit import Visit

_MOST_ADDRESSES = 16
# Visits of one address behind which there are several servers.
MOST_VISITS = 8
_Found = t.Mapping[str, t.Sequence[EndpointReport]]


def probe(endpoint: Endpoint, step: float, now: t.Callable[[], float] = time.time) -> EndpointReport:
    """Find out everything about a server, at each of its addresses.

    Args:
        endpoint: What to probe.
        step: Seconds that a connection, a handshake or an answer may take.
        now: The time of day, in seconds since 1970.
    """
    origin = origin_of(endpoint.url)
    try:
        named = _resolve(origin)
    except (OSError, UnicodeError) as error:
        return EndpointReport([_unresolved(endpoint, origin, error)], None, None, None)
    resolved = Check(endpoint.edge, "name_resolution", True, f"{origin.host} is {', '.join(named)}")
    places = _places(endpoint.places, origin)
    addresses = {**places, **named}
    replicas = endpoint.replicas or 1
    times = min(2 * replicas, MOST_VISITS) if replicas > len(addresses) else 1
    visits = fan_out(
        lambda each: Visit(endpoint, origin, addresses[each[0]], step, now).pay(),
        [(name, number) for name in addresses for number in range(times)],
        len(addresses) * times,
        hopeless=lambda _failure: False,
    )
    found = {name: [visits.done[name, number] for number in range(times)] for name in addresses}
    merged = _merged(found, endpoint, places, named)
    return merged._replace(checks=[resolved, *merged.checks], addresses=list(named), port=origin.port)


def _resolve(origin: Origin) -> dict[str, tuple[int, t.Any]]:
    found = socket.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    return {str(each[4][0]): (int(each[0]), each[4]) for each in found[: 4 * _MOST_ADDRESSES]}


def _places(places: t.Sequence[str], origin: Origin) -> dict[str, tuple[int, t.Any]]:
    """The addresses of the replicas, each with its port where the URL has another one."""
    found: dict[str, tuple[int, t.Any]] = {}
    for place in places[:_MOST_ADDRESSES]:
        address, port = address_and_port(place, origin.port)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        found[address if port == origin.port else place] = (int(family), (address, port))
    return found


def _unresolved(endpoint: Endpoint, origin: Origin, error: Exception) -> Check:
    temporary = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
    detail = f"the name server does not answer for {origin.host}" if temporary else f"the name {origin.host} is unknown"
    hint = (
        "Check this machine's name servers (/etc/resolv.conf)."
        if temporary
        else f"Check the URL for typing errors, or add {origin.host} to DNS; Docker clients need the name as well."
    )
    return bad(endpoint.edge, "name_resolution", detail, hint)


def _merged(found: _Found, endpoint: Endpoint, replicas: t.Collection[str], named: t.Collection[str]) -> EndpointReport:
    """Judge all addresses together: a client may get to any of those that accept connections."""
    closed = {name: report for name, reports in found.items() for report in reports if not report.checks[0].ok}
    reached = [(name, report) for name, reports in found.items() for report in reports if report.checks[0].ok]
    some = reached[0][1] if reached else next(iter(closed.values()))
    tcp = some.checks[0]
    if len(found) > 1 or (closed and reached):
        details = {name: closed.get(name, reports[0]).checks[0].detail.rstrip(".") for name, reports in found.items()}
        connections = "; ".join(f"{name}: {detail}" for name, detail in details.items())
        tcp = tcp._replace(detail=connections if reached else f"{connections}.")
    worst: dict[tuple[str, str], Check] = {}
    for name, report in reached:
        for check in report.checks[1:]:
            key = (check.edge, check.check)
            if key not in worst or _severity(check) > _severity(worst[key]):
                worst[key] = check._replace(detail=f"{name}: {check.detail}") if len(found) > 1 else check
    answering = {name for name, _report in reached if name not in closed}
    places = []
    for name, reports in found.items():
        if name not in closed:
            places.append(_place(name, reports))
        elif _is_expected(name, endpoint, replicas, len(answering)):
            place = _closed_place(name, closed[name], known=name in named or not reached)
            places.append(place._replace(ok=None) if _is_uncounted(endpoint) and reached else place)
    soonest = min((report for _name, report in reached), key=lambda report: _or_never(report.days_left), default=some)
    checks = [tcp, *_of_closed(places, set(closed), endpoint)] if reached else [tcp]
    return soonest._replace(checks=[*checks, *worst.values()], places=places)


def _is_expected(name: str, endpoint: Endpoint, replicas: t.Collection[str], answering: int) -> bool:
    """Whether a replica has to answer at an address, which may be one of the cache's name only."""
    if replicas:
        return name in replicas
    return _is_uncounted(endpoint) or endpoint.routed or answering < (endpoint.replicas or 1)


def _is_uncounted(endpoint: Endpoint) -> bool:
    """Check whether an address of the name may rightly be a node without a replica."""
    return endpoint.replicas is None and not endpoint.places and not endpoint.routed


def _place(name: str, reports: t.Iterable[EndpointReport]) -> Place:
    # Of several servers behind an address, one that is not right counts.
    checks = [check for report in reports for check in report.checks if check.failed]
    wrong = next((check for check in checks if check.prevents_pulls or check.check == "certificate"), None)
    return Place(name, wrong is None, wrong.detail if wrong else "answers")


def _closed_place(name: str, report: EndpointReport, *, known: bool) -> Place:
    """An address that takes no connection; the way from here to one that clients do not use may be closed."""
    detail = report.checks[0].detail
    no_way = not report.refused and (not known or "unreachable" in detail)
    return Place(name, None if no_way else False, detail)


def _of_closed(places: t.Sequence[Place], closed: t.Collection[str], endpoint: Endpoint) -> list[Check]:
    """Whether all replicas take connections, where some do: clients try the next address of a name."""
    refusing = [place for place in places if place.address in closed and place.ok is False]
    unseen = [place for place in places if place.ok is None]
    told = "; ".join(f"{place.address}: {place.detail.rstrip('.')}" for place in refusing or unseen)
    if refusing:
        hint = f"{endpoint.advice.not_running} The other addresses answer."
        return [bad(endpoint.edge, "addresses", told, hint, harmless=True)]
    if unseen:
        hint = "Let this machine reach the nodes of the cache, or run the playbook where they can be reached."
        if _is_uncounted(endpoint):
            hint = "Set the number of replicas: then each of them has to answer."
        return [not_known(endpoint.edge, "addresses", told, hint)]
    if len(places) > 1:
        return [Check(endpoint.edge, "addresses", True, f"all {len(places)} answer")]
    return []


def _severity(check: Check) -> int:
    return 2 if check.failed else int(check.ok is None)


def _or_never(days: int | None) -> float:
    return float("inf") if days is None else days
