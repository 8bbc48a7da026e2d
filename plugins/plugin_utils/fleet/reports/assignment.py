# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an assignment of accounts did at each region. Pure functions."""

from __future__ import annotations

import typing as t

from ....module_utils.common.names import counted
from ..facts import HostFacts, Result
from ..observing.problems import registry_url
from .table import Table
from .words import failure_of, named, reasons

_LOCAL = "local"


def rows(hosts: t.Sequence[HostFacts]) -> list[dict[str, t.Any]]:
    """The rows, in the order of the hosts, grouped by DTR.

    One host of each DTR has the result for all hosts with the same DTR. A row C(local) follows for each DTR where
    accounts were reset to no cache or came from there.
    """
    return [row for fleet in _fleets(hosts) for row in _rows_of(fleet)]


def table(hosts: t.Sequence[HostFacts], check_mode: bool) -> Table:
    """The rows with why the assignment failed."""
    headings = {"arrived": "would arrive", "left": "would leave"} if check_mode else {}
    found: list[dict[str, t.Any]] = []
    notes: list[list[str]] = []
    for fleet in _fleets(hosts):
        of_fleet = list(_rows_of(fleet))
        found += of_fleet
        # The last row may be one of no host.
        notes += [*reasons(fleet), []][: len(of_fleet)]
    return Table(found, notes, headings=headings)


def _fleets(hosts: t.Sequence[HostFacts]) -> list[list[HostFacts]]:
    fleets: dict[str, list[HostFacts]] = {}
    for host in hosts:
        fleets.setdefault(registry_url(host.settings), []).append(host)
    return list(fleets.values())


def _rows_of(hosts: t.Sequence[HostFacts]) -> t.Iterator[dict[str, t.Any]]:
    done: Result = next((host.assigned for host in hosts if "covered" in host.assigned), {})
    result = _result(hosts, done)
    for host in hosts:
        yield _row(named(host), done, result)
    if any(_LOCAL in (way["before"], way["after"]) for way in done.get("ways") or []):
        yield _row({"region": _LOCAL, "cache": _LOCAL}, done, result)


def _result(hosts: t.Sequence[HostFacts], done: Result) -> str:
    failed = counted(done, "failed_accounts")
    if failed:
        return f"{failed} account{'s' if failed > 1 else ''} failed"
    return next(filter(None, map(failure_of, hosts)), "ok" if done else "no result")


def _row(names: t.Mapping[str, t.Any], done: Result, result: str) -> dict[str, t.Any]:
    ways, name = done.get("ways") or [], names["cache"]
    return {
        **names,
        "accounts": done["covered"].get(name, 0) if done else None,
        "arrived": sum(way["count"] for way in ways if way["after"] == name) if done else None,
        "left": sum(way["count"] for way in ways if way["before"] == name) if done else None,
        "result": result,
    }
