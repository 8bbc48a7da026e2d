# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reports of backups and of what was restored, one row a DTR. Pure functions."""

from __future__ import annotations

import typing as t

from ..facts import HostFacts, Result
from ..observing.problems import registry_url
from .table import Table
from .words import failure_of, reasons

Rows = list[dict[str, t.Any]]


def rows(hosts: t.Sequence[HostFacts]) -> Rows:
    """What each file holds."""
    return [
        _row(url, fleet, _done(fleet, "backup"), lambda done: (len(done["content_caches"]), done["accounts"]))
        for url, fleet in _fleets(hosts).items()
    ]


def table(hosts: t.Sequence[HostFacts], _check_mode: bool) -> Table:
    return Table(rows(hosts), _notes(hosts))


def restored_rows(hosts: t.Sequence[HostFacts]) -> Rows:
    """How many caches and accounts were changed."""

    def changed(done: Result) -> tuple[int, int]:
        accounts = sum(way["count"] for way in done.get("ways") or [])
        return len(done.get("created") or []) + len(done.get("replaced") or []), accounts

    return [_row(url, fleet, _done(fleet, "restored"), changed) for url, fleet in _fleets(hosts).items()]


def restored_table(hosts: t.Sequence[HostFacts], check_mode: bool) -> Table:
    would = "would change" if check_mode else "changed"
    headings = {"caches": f"caches {would}", "accounts": f"accounts {would}"}
    return Table(restored_rows(hosts), _notes(hosts), headings=headings)


def _fleets(hosts: t.Sequence[HostFacts]) -> dict[str, list[HostFacts]]:
    fleets: dict[str, list[HostFacts]] = {}
    for host in hosts:
        fleets.setdefault(registry_url(host.settings) or host.host, []).append(host)
    return fleets


def _notes(hosts: t.Sequence[HostFacts]) -> list[list[str]]:
    return [
        list(dict.fromkeys(reason for of_host in reasons(fleet) for reason in of_host))
        for fleet in _fleets(hosts).values()
    ]


def _done(fleet: t.Sequence[HostFacts], fact: str) -> Result:
    """The result of the one host that did it for its DTR."""
    results: t.Iterable[Result] = (getattr(host, fact) for host in fleet)
    return next((result for result in results if result and not result.get("skipped")), {})


def _row(
    url: str, fleet: t.Sequence[HostFacts], done: Result, counts: t.Callable[[Result], tuple[int, int]]
) -> dict[str, t.Any]:
    caches, accounts = counts(done) if "content_caches" in done else (None, None)
    failure = next(filter(None, map(failure_of, fleet)), None)
    return {
        "dtr": url,
        "caches": caches,
        "accounts": accounts,
        "file": next((str(host.settings["backup_file"]) for host in fleet if host.settings.get("backup_file")), None),
        "result": failure or ("ok" if done else "no result"),
    }
