# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a verification found at each region. Pure functions."""

from __future__ import annotations

import typing as t

from ..facts import HostFacts, Result
from .table import Table
from .words import named, pulled, pulled_words, reasons, result_of


def rows(hosts: t.Sequence[HostFacts]) -> list[dict[str, t.Any]]:
    """The rows for programs, in the order of the hosts."""
    return [
        {
            **_beginning(host),
            "healthy": host.health.get("healthy"),
            "wrong": _wrong(host.health),
            "registered": _registered(host.health),
            "days left": host.health.get("days_left"),
            "pulled": _pulled(host),
            "proof": _proof(host.proof),
            "result": result_of(host),
        }
        for host in hosts
    ]


def table(hosts: t.Sequence[HostFacts], check_mode: bool) -> Table:  # noqa: ARG001 (a verification changes nothing)
    """The rows for people, with why regions failed."""
    shown = [
        {
            **_beginning(host),
            "healthy": ", ".join(_wrong(host.health)) or _yes_or_no(host.health.get("healthy")),
            "registered": _registered_word(host.health),
            "days left": host.health.get("days_left"),
            "pulled": pulled_words(_pulled(host)),
            "proof": _proof_words(_proof(host.proof)),
            "result": result_of(host),
        }
        for host in hosts
    ]
    return Table(shown, reasons(hosts), detail="proof")


def _beginning(host: HostFacts) -> dict[str, t.Any]:
    return {**named(host), "url": host.settings.get("url")}


def _wrong(health: Result) -> list[str]:
    """The checks that failed, in a few words each."""
    return [f"{check['edge']} {check['check']}" for check in health.get("checks") or [] if check["ok"] is False]


def _registered(health: Result) -> bool | None:
    return next((check["ok"] for check in health.get("checks") or [] if check["check"] == "registration"), None)


def _registered_word(health: Result) -> str | None:
    """A question mark where DTR was asked and did not say."""
    asked = any(check["check"] == "registration" for check in health.get("checks") or [])
    return _yes_or_no(_registered(health)) or ("?" if asked else None)


def _pulled(host: HostFacts) -> dict[str, t.Any] | None:
    """A pull that failed has brought nothing that proves anything."""
    return pulled([pull for pull in host.pulls if pull["via_cache"]])


def _yes_or_no(value: bool | None) -> str | None:
    return None if value is None else "yes" if value else "no"


def _proof(proof: Result | None) -> dict[str, t.Any] | None:
    if not proof:
        return None
    cold, warm = proof["cold"], proof["warm"]
    return {"cold_seconds": cold["seconds"], "warm_seconds": warm["seconds"], "hit": warm["hit"]}


def _proof_words(proof: Result | None) -> str | None:
    if not proof:
        return None
    cold, warm = (f"{proof[f'{name}_seconds'] * 1000:.0f} ms" for name in ("cold", "warm"))
    return f"miss in {cold}, {'hit' if proof['hit'] else 'again'} in {warm}"
