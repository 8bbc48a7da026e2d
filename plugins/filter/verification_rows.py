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

MEGABYTE = 10**6


def verification_rows(hosts: t.Iterable[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """The rows, in the order of the hosts."""
    return [_row(host) for host in hosts]


def _row(host: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    settings = host.get("__dtr_cache") or {}
    looked_at = (host.get("__dtr_cache_health") or {}).get("caches") or [{}]
    health = looked_at[0]
    registration = [check for check in health.get("checks") or [] if check["check"] == "registration"]
    return {
        "region": settings.get("name") or host["inventory_hostname"],
        "url": settings.get("url"),
        "healthy": _healthy(health),
        "registered": _yes_or_no(registration[0]["ok"] if registration else None),
        "days left": health.get("days_left"),
        "pulled": _pulled(host.get("__dtr_cache_pulled") or {}),
        "proof": _proof((host.get("__dtr_cache_proved") or {}).get("proof")),
        "result": _result(host),
    }


def _healthy(health: t.Mapping[str, t.Any]) -> str | None:
    """C(yes), or what is wrong in a few words."""
    wrong = [f"{check['edge']} {check['check']}" for check in health.get("checks") or [] if not check["ok"]]
    return ", ".join(wrong) or _yes_or_no(health.get("healthy"))


def _yes_or_no(value: bool | None) -> str | None:
    return None if value is None else "yes" if value else "no"


def _pulled(result: t.Mapping[str, t.Any]) -> str | None:
    """What came through the cache; a pull that failed has brought nothing that proves anything."""
    pulls = [pull for pull in result.get("pulls") or [] if pull["via_cache"]]
    if not pulls:
        return None
    return f"{sum(pull['bytes'] for pull in pulls) / MEGABYTE:.1f} MB in {sum(p['seconds'] for p in pulls):.1f} s"


def _proof(proof: t.Mapping[str, t.Any] | None) -> str | None:
    if not proof:
        return None
    cold, warm = (f"{proof[name]['seconds'] * 1000:.0f} ms" for name in ("cold", "warm"))
    return f"miss in {cold}, {'hit' if proof['warm']['hit'] else 'again'} in {warm}"


def _result(host: t.Mapping[str, t.Any]) -> str:
    if "__dtr_cache_failure" in host:
        return f"failed at: {host['__dtr_cache_failed_task']}"
    return "ok" if "__dtr_cache" in host else "not reached"


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Names and functions."""
        return {"verification_rows": verification_rows}
