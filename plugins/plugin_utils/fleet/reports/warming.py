# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What warming brought into each region's cache. Pure functions."""

from __future__ import annotations

import typing as t

from ..facts import HostFacts, Result
from .table import Table
from .words import NOT_FINISHED, failure_of, megabytes, named, reasons


def rows(hosts: t.Sequence[HostFacts]) -> list[dict[str, t.Any]]:
    """The rows for programs, in the order of the hosts, sizes in bytes.

    In check mode C(brought) is what a real run would bring.
    """
    return [_row(host) for host in hosts]


def table(hosts: t.Sequence[HostFacts], check_mode: bool) -> Table:
    """The rows for people, with why regions failed."""
    shown = []
    for row in rows(hosts):
        cached = row["already there"]
        sizes = {name: _megabytes(row[name]) for name in ("size", "already there", "brought")}
        unknown = dict.fromkeys(("already there", "brought"), "unknown") if row["images"] and cached is None else {}
        shown.append({**row, **sizes, **unknown})
    headings = {"already there": "said to be there", "brought": "would bring"} if check_mode else {}
    return Table(shown, reasons(hosts), headings=headings)


def _row(host: HostFacts) -> dict[str, t.Any]:
    pulls = host.warmed.get("pulls") or []
    transferred = host.warmed.get("transferred") or {}
    return {
        **named(host),
        "images": len(pulls) if pulls else None,
        "size": transferred.get("wanted_bytes"),
        "already there": transferred.get("cached_bytes"),
        "brought": transferred.get("brought_bytes"),
        "seconds": transferred.get("seconds"),
        "result": _result(host, pulls),
    }


def _megabytes(size: int | None) -> str | None:
    return None if size is None else megabytes(size)


def _result(host: HostFacts, pulls: t.Sequence[Result]) -> str:
    failed = sum(pull["failure"] is not None for pull in pulls)
    if failed:
        return f"{failed} of {len(pulls)} images failed"
    return failure_of(host) or ("ok" if pulls else NOT_FINISHED)
