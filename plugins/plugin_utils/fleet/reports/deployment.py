# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployment, a rotation or a removal did at each region. Pure functions."""

from __future__ import annotations

import collections
import typing as t

from ..facts import HostFacts, Result
from .table import Table
from .words import pulled, reasons, result_of

# The exit code of a replica that did not end within its stop_grace_period.
_KILLED = 137
_REGISTRATION_WORDS = {"created": "registered", "replaced": "re-registered", "deleted": "unregistered"}


def rows(hosts: t.Sequence[HostFacts]) -> list[dict[str, t.Any]]:
    """The rows, in the order of the hosts. They have the gap only where replicas were replaced in any region."""
    gaps = [_gap(host) for host in hosts]
    shown = any(gap is not None for gap in gaps)
    return [_row(host, {"gap": gap} if shown else {}) for host, gap in zip(hosts, gaps)]


def table(hosts: t.Sequence[HostFacts], check_mode: bool) -> Table:
    """The rows with why regions failed."""
    headings = {"changed": "would change"} if check_mode else {}
    return Table(rows(hosts), reasons(hosts), headings=headings)


def _row(host: HostFacts, gap: t.Mapping[str, str | None]) -> dict[str, t.Any]:
    settings = host.settings
    return {
        "region": host.region,
        "url": settings.get("url"),
        "nodes": sorted(settings.get("node_labels") or []),
        "days left": (settings.get("certificate") or {}).get("days_left"),
        "accounts": _accounts(host.assigned),
        "pulled": pulled(_pulls(host)),
        **gap,
        "changed": _changed(host),
        "result": result_of(host, host.is_reached),
    }


def _pulls(host: HostFacts) -> list[Result]:
    """Those of the image, or else of the proof: each of its pulls brought all bytes of its own image."""
    proof = host.proof
    if not host.pulls and proof:
        return [{"bytes": proof["bytes"], "seconds": proof[name]["seconds"]} for name in ("cold", "warm")]
    return list(host.pulls)


def _accounts(assigned: Result) -> int | None:
    if "unchanged" not in assigned:
        return None
    return len(assigned["changed_accounts"]) + int(assigned["unchanged"])


def _gap(host: HostFacts) -> str | None:
    """How long no replica took requests while this run replaced them; None when it replaced none.

    A replica that had to be killed may have taken requests until then.
    """
    seconds = host.gap_seconds
    if seconds is None or not any((step["kind"], step["action"]) == ("service", "update") for step in host.steps):
        return None
    codes = [each["exit_code"] for each in host.cut_off]
    gap = f"{'at most ' if _KILLED in codes else ''}{seconds:g} s" if seconds else "none"
    return f"{gap}, pulls cut off" if codes else gap


def _changed(host: HostFacts) -> str:
    steps = host.steps
    parts = _counted(step["kind"] for step in steps if step["action"] != "remove")
    parts += [f"{part} removed" for part in _counted(step["kind"] for step in steps if step["action"] == "remove")]
    registration = host.registration
    parts += [word for key, word in _REGISTRATION_WORDS.items() if registration.get(key)]
    assigned = host.assigned.get("changed_accounts") or []
    for accounts, word in ((assigned, "assigned"), (registration.get("reassigned") or [], "moved")):
        parts += [f"{part} {word}" for part in _counted("account" for _account in accounts)]
    return ", ".join(parts) or "nothing"


def _counted(kinds: t.Iterable[str]) -> list[str]:
    """Such as C(1 node label) and C(3 secrets), in the order of their first appearance."""
    counts = collections.Counter(kind.replace("_", " ") for kind in kinds)
    return [f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in counts.items()]
