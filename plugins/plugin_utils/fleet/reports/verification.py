# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a verification found at each region. Pure functions."""

from __future__ import annotations

import typing as t

from ..facts import HostFacts, Result
from .table import Table
from .words import pulled, reasons, result_of


def rows(hosts: t.Sequence[HostFacts]) -> list[dict[str, t.Any]]:
    """The rows, in the order of the hosts."""
    return [_row(host) for host in hosts]


def table(hosts: t.Sequence[HostFacts], check_mode: bool) -> Table:  # noqa: ARG001 (a verification changes nothing)
    """The rows with why regions failed."""
    return Table(rows(hosts), reasons(hosts), detail="proof")


def _row(host: HostFacts) -> dict[str, t.Any]:
    health = host.health
    registration = [check for check in health.get("checks") or [] if check["check"] == "registration"]
    return {
        "region": host.region,
        "url": host.settings.get("url"),
        "healthy": _healthy(health),
        "registered": _yes_or_no(registration[0]["ok"] if registration else None),
        "days left": health.get("days_left"),
        # A pull that failed has brought nothing that proves anything.
        "pulled": pulled([pull for pull in host.pulls if pull["via_cache"]]),
        "proof": _proof(host.proof),
        "result": result_of(host),
    }


def _healthy(health: Result) -> str | None:
    """C(yes), or what is wrong in a few words."""
    wrong = [f"{check['edge']} {check['check']}" for check in health.get("checks") or [] if check["ok"] is False]
    return ", ".join(wrong) or _yes_or_no(health.get("healthy"))


def _yes_or_no(value: bool | None) -> str | None:
    return None if value is None else "yes" if value else "no"


def _proof(proof: Result | None) -> str | None:
    if not proof:
        return None
    cold, warm = (f"{proof[name]['seconds'] * 1000:.0f} ms" for name in ("cold", "warm"))
    return f"miss in {cold}, {'hit' if proof['warm']['hit'] else 'again'} in {warm}"
