# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reports of backups and of what was restored, one row a DTR. Pure functions."""

from __future__ import annotations

import typing as t

from ..facts import HostFacts
from ..observing.problems import registry_url
from .table import Table
from .words import failure_of, reasons

Rows = list[dict[str, t.Any]]
# Caches and accounts, or None where it was not done.
Counts = t.Optional[tuple[int, int]]


def rows(hosts: t.Sequence[HostFacts]) -> Rows:
    """Return what each file holds."""

    def held(host: HostFacts) -> Counts:
        done = host.backup
        return (len(done["counts"]) - 1, done["total"] - done["dangling_count"]) if "counts" in done else None

    return [_row(url, fleet, held) for url, fleet in _fleets(hosts).items()]


def table(hosts: t.Sequence[HostFacts], _check_mode: bool) -> Table:
    return Table(rows(hosts), _notes(hosts))


def restored_rows(hosts: t.Sequence[HostFacts]) -> Rows:
    """Return how many caches and accounts were changed."""

    def changed(host: HostFacts) -> Counts:
        caches, done = host.restored_caches, host.restored
        if "content_caches" not in caches:
            return None
        moved = len(caches.get("reassigned") or []) + sum(way["count"] for way in done.get("ways") or [])
        return len(caches.get("created") or []) + len(caches.get("replaced") or []), moved

    return [_row(url, fleet, changed) for url, fleet in _fleets(hosts).items()]


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


def _row(url: str, fleet: t.Sequence[HostFacts], counts: t.Callable[[HostFacts], Counts]) -> dict[str, t.Any]:
    """Return the row of a DTR, by the one host that did it for all."""
    done = next(filter(None, map(counts, fleet)), None)
    failure = next(filter(None, map(failure_of, fleet)), None)
    caches, accounts = done or (None, None)
    return {
        "dtr": url,
        "caches": caches,
        "accounts": accounts,
        "file": next((str(host.settings["backup_file"]) for host in fleet if host.settings.get("backup_file")), None),
        "result": failure or ("ok" if done else "no result"),
    }
