# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: deployment_rows
short_description: One row a region of what a deployment did
version_added: 0.1.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Reads the results that the roles left in the variables of each host. A host without any was not reached.
options:
  _input:
    description: The variables of the hosts.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the summary of a deployment
  ansible.builtin.debug:
    msg: "{{ ansible_play_hosts_all | map('extract', hostvars) | dtr.cache.deployment_rows | dtr.cache.table }}"
"""

RETURN = r"""
_value:
  description:
    - Rows with C(region), C(url), C(nodes), C(days left), C(accounts), C(pulled), C(changed) and C(result).
    - Where replicas were exchanged in any region, also C(gap), the time in which none of them took requests.
  type: list
  elements: dict
"""

import collections
import typing as t

from ..plugin_utils.fleet.summaries import pulled, region_of, result_of

REGISTRATION_WORDS = {"created": "registered", "replaced": "re-registered", "deleted": "unregistered"}


def deployment_rows(hosts: t.Iterable[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """The rows, in the order of the hosts."""
    known = list(hosts)
    gaps = [_gap(host) for host in known]
    shown = any(gap is not None for gap in gaps)
    return [_row(host, {"gap": gap} if shown else {}) for host, gap in zip(known, gaps)]


def _row(host: t.Mapping[str, t.Any], gap: t.Mapping[str, str | None]) -> dict[str, t.Any]:
    settings = host.get("__dtr_cache") or {}
    assigned = host.get("__dtr_cache_assigned") or {}
    return {
        "region": region_of(host),
        "url": settings.get("url"),
        "nodes": sorted(settings.get("node_labels") or []),
        "days left": (settings.get("certificate") or {}).get("days_left"),
        "accounts": _accounts(assigned),
        "pulled": pulled(_pulls(host)),
        **gap,
        "changed": _changed(host),
        "result": result_of(host, last="__dtr_cache_cleaned"),
    }


def _pulls(host: t.Mapping[str, t.Any]) -> list[t.Mapping[str, t.Any]]:
    """Those of the image, or else of the proof: each of its pulls brought all bytes of its own image."""
    pulls = (host.get("__dtr_cache_pulled") or {}).get("pulls")
    proof = (host.get("__dtr_cache_proved") or {}).get("proof")
    if not pulls and proof:
        return [{"bytes": proof["bytes"], "seconds": proof[name]["seconds"]} for name in ("cold", "warm")]
    return list(pulls or [])


def _accounts(assigned: t.Mapping[str, t.Any]) -> int | None:
    if "unchanged" not in assigned:
        return None
    return len(assigned["changed_accounts"]) + int(assigned["unchanged"])


def _gap(host: t.Mapping[str, t.Any]) -> str | None:
    """How long no replica took requests while this run exchanged them; None when it exchanged none."""
    steps = host.get("__dtr_cache_steps") or []
    seconds = (host.get("__dtr_cache_converged") or {}).get("gap_seconds")
    if seconds is None or not any((step["kind"], step["action"]) == ("service", "update") for step in steps):
        return None
    return f"{seconds:g} s" if seconds else "none"


def _changed(host: t.Mapping[str, t.Any]) -> str:
    steps = host.get("__dtr_cache_steps") or []
    parts = _counted(step["kind"] for step in steps if step["action"] != "remove")
    parts += [f"{part} removed" for part in _counted(step["kind"] for step in steps if step["action"] == "remove")]
    registration = host.get("__dtr_cache_registration") or {}
    parts += [word for key, word in REGISTRATION_WORDS.items() if registration.get(key)]
    assigned = (host.get("__dtr_cache_assigned") or {}).get("changed_accounts") or []
    for accounts, word in ((assigned, "assigned"), (registration.get("reassigned") or [], "moved")):
        parts += [f"{part} {word}" for part in _counted("account" for _account in accounts)]
    return ", ".join(parts) or "nothing"


def _counted(kinds: t.Iterable[str]) -> list[str]:
    """Such as C(1 node label) and C(3 secrets), in the order of their first appearance."""
    counts = collections.Counter(kind.replace("_", " ") for kind in kinds)
    return [f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in counts.items()]


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Names and functions."""
        return {"deployment_rows": deployment_rows}
