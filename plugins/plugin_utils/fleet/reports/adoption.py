# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of existing caches was written as variables, and what is left to set. Pure functions."""

from __future__ import annotations

import typing as t

from ..facts import HostFacts
from .table import Table
from .words import NOT_FINISHED, failure_of, reasons


def rows(hosts: t.Sequence[HostFacts]) -> list[dict[str, t.Any]]:
    """The rows, in the order of the hosts."""
    return [_row(host) for host in hosts]


def table(hosts: t.Sequence[HostFacts], check_mode: bool) -> Table:
    """The rows with what the user has to know or to do, and why hosts failed."""
    notes = [[*failed, *_notes(host)] for host, failed in zip(hosts, reasons(hosts))]
    return Table(
        [
            {
                **row,
                "to set": len(row["to set"]) or None,
                "result": "would be written" if check_mode and row["result"] == "written" else row["result"],
            }
            for row in rows(hosts)
        ],
        notes,
        detail="file",
        # Which cache a host has is what is found out.
        other_name="",
        headings={"file": "would write"} if check_mode else {},
    )


def _row(host: HostFacts) -> dict[str, t.Any]:
    adopted = host.adopted
    nodes = adopted.get("nodes")
    return {
        "region": host.host,
        "cache": adopted.get("name"),
        "url": adopted.get("url"),
        "stack": adopted.get("stack"),
        "nodes": len(nodes) if nodes is not None else None,
        "accounts": adopted.get("accounts"),
        "to set": [*(adopted.get("to_set") or []), *(adopted.get("vaulted") or [])],
        "file": adopted.get("path"),
        "result": failure_of(host) or _result(adopted),
    }


def _result(adopted: t.Mapping[str, t.Any]) -> str:
    if "changed" not in adopted:
        return NOT_FINISHED
    return "written" if adopted["changed"] else "as it was"


def _notes(host: HostFacts) -> list[str]:
    adopted = host.adopted
    to_set = [*(adopted.get("to_set") or []), *(adopted.get("vaulted") or [])]
    missing = [f"To set: {', '.join(to_set)}."] if to_set else []
    return [*missing, *(f"{_sentence(note)}." for note in adopted.get("notes") or [])]


def _sentence(note: str) -> str:
    """It begins with a capital letter, unless with a name, such as that of a variable."""
    return f"{note[:1].upper()}{note[1:]}" if note.partition(" ")[0].isalpha() else note
