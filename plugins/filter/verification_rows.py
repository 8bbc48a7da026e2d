# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: verification_rows
short_description: One row a region of what a verification found
version_added: 0.1.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Reads what role C(dtr.cache.verification) left in the variables of each host. A host without any was not reached.
options:
  _input:
    description: The variables of the hosts.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the summary of a verification
  ansible.builtin.debug:
    msg: "{{ ansible_play_hosts_all | map('extract', hostvars) | dtr.cache.verification_rows | dtr.cache.table }}"
"""

RETURN = r"""
_value:
  description:
    - Rows with C(region), C(url), C(healthy), C(registered), C(days left), C(pulled), C(proof) and C(result).
  type: list
  elements: dict
"""

import typing as t

from ..plugin_utils.fleet.summaries import pulled, region_of, result_of


def verification_rows(hosts: t.Iterable[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """The rows, in the order of the hosts."""
    return [_row(host) for host in hosts]


def _row(host: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    settings = host.get("__dtr_cache") or {}
    looked_at = (host.get("__dtr_cache_health") or {}).get("caches") or [{}]
    health = looked_at[0]
    pulls = (host.get("__dtr_cache_pulled") or {}).get("pulls") or []
    registration = [check for check in health.get("checks") or [] if check["check"] == "registration"]
    return {
        "region": region_of(host),
        "url": settings.get("url"),
        "healthy": _healthy(health),
        "registered": _yes_or_no(registration[0]["ok"] if registration else None),
        "days left": health.get("days_left"),
        # A pull that failed has brought nothing that proves anything.
        "pulled": pulled([pull for pull in pulls if pull["via_cache"]]),
        "proof": _proof((host.get("__dtr_cache_proved") or {}).get("proof")),
        "result": result_of(host),
    }


def _healthy(health: t.Mapping[str, t.Any]) -> str | None:
    """C(yes), or what is wrong in a few words."""
    wrong = [f"{check['edge']} {check['check']}" for check in health.get("checks") or [] if not check["ok"]]
    return ", ".join(wrong) or _yes_or_no(health.get("healthy"))


def _yes_or_no(value: bool | None) -> str | None:
    return None if value is None else "yes" if value else "no"


def _proof(proof: t.Mapping[str, t.Any] | None) -> str | None:
    if not proof:
        return None
    cold, warm = (f"{proof[name]['seconds'] * 1000:.0f} ms" for name in ("cold", "warm"))
    return f"miss in {cold}, {'hit' if proof['warm']['hit'] else 'again'} in {warm}"


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Names and functions."""
        return {"verification_rows": verification_rows}
