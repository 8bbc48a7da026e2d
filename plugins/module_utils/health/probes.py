# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One server probed as a Docker Engine would meet it, at each of its addresses."""

from __future__ import annotations

import socket
import time
import typing as t

from ..common.concurrency import fan_out
from ..common.urls import Origin, origin_of
from .checks import Check, bad
from .endpoint import Endpoint, EndpointReport
from .visit import Visit

_MOST_ADDRESSES = 16


def probe(endpoint: Endpoint, step: float, now: t.Callable[[], float] = time.time) -> EndpointReport:
    """Everything that can be found out about a server, at each of its addresses.

    Args:
        endpoint: What to probe.
        step: Seconds that a connection, a handshake or an answer may take.
        now: The time of day, in seconds since 1970.
    """
    origin = origin_of(endpoint.url)
    try:
        addresses = _resolve(origin)
    except (OSError, UnicodeError) as error:
        return EndpointReport([_unresolved(endpoint, origin, error)], None, None, None)
    names = [address[0] for _family, address in addresses]
    resolved = Check(endpoint.edge, "name_resolution", True, f"{origin.host} is {', '.join(names)}")
    visits = fan_out(
        lambda each: Visit(endpoint, origin, addresses[each], step, now).pay(),
        range(len(addresses)),
        len(addresses),
        hopeless=lambda _failure: False,
    )
    merged = _merged({names[each]: visits.done[each] for each in range(len(addresses))})
    return merged._replace(checks=[resolved, *merged.checks], addresses=names, port=origin.port)


def _resolve(origin: Origin) -> list[tuple[int, t.Any]]:
    found = socket.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    unique: dict[tuple[int, t.Any], None] = {(int(each[0]), each[4]): None for each in found}
    return list(unique)[:_MOST_ADDRESSES]


def _unresolved(endpoint: Endpoint, origin: Origin, error: Exception) -> Check:
    temporary = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
    detail = f"the name server does not answer for {origin.host}" if temporary else f"the name {origin.host} is unknown"
    hint = (
        "Check this machine's name servers (/etc/resolv.conf)."
        if temporary
        else f"Check the URL for typing errors, or add {origin.host} to DNS; Docker clients need the name as well."
    )
    return bad(endpoint.edge, "name_resolution", detail, hint)


def _merged(found: t.Mapping[str, EndpointReport]) -> EndpointReport:
    """One list of checks for all addresses: a client may get to any of those that accept connections."""
    reached = {name: report for name, report in found.items() if report.checks[0].ok}
    connections = "; ".join(f"{name}: {report.checks[0].detail.rstrip('.')}" for name, report in found.items())
    some = next(iter((reached or found).values()))
    if len(found) == 1:
        return some
    checks = [some.checks[0]._replace(detail=connections if reached else f"{connections}.")]
    later: dict[tuple[str, str], Check] = {}
    for name, report in reached.items():
        for check in report.checks[1:]:
            key = (check.edge, check.check)
            if key not in later or _severity(check) > _severity(later[key]):
                later[key] = check._replace(detail=f"{name}: {check.detail}")
    soonest = min(reached.values(), key=lambda report: _or_never(report.days_left), default=some)
    return soonest._replace(checks=checks + list(later.values()))


def _severity(check: Check) -> int:
    return 2 if check.failed else int(check.ok is None)


def _or_never(days: int | None) -> float:
    return float("inf") if days is None else days
