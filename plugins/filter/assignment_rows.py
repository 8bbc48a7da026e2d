# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: assignment_rows
short_description: One row a region of what an assignment of accounts did
version_added: 0.1.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Reads what playbook C(dtr.cache.assign) left in the variables of each host.
  - One host of each DTR holds the result for all hosts with the same DTR.
options:
  _input:
    description: The variables of the hosts.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the summary of an assignment
  ansible.builtin.debug:
    msg: "{{ ansible_play_hosts_all | map('extract', hostvars) | dtr.cache.assignment_rows | dtr.cache.table }}"
"""

RETURN = r"""
_value:
  description:
    - Rows with C(region), C(accounts), C(arrived), C(left) and C(result).
    - For each DTR a row V(local) follows when accounts were reset to no cache or came from there.
  type: list
  elements: dict
"""

import typing as t

from ..module_utils.common.urls import canonical_server
from ..plugin_utils.fleet.summaries import region_of

LOCAL = "local"
_RESULT = "__dtr_cache_assigned"


def assignment_rows(hosts: t.Iterable[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """The rows, in the order of the hosts, grouped by DTR."""
    fleets: dict[str, list[t.Mapping[str, t.Any]]] = {}
    for host in hosts:
        url = (host.get("__dtr_cache") or {}).get("registry_url", "")
        fleets.setdefault(canonical_server(url), []).append(host)
    return [row for fleet in fleets.values() for row in _fleet(fleet)]


def _fleet(hosts: t.Sequence[t.Mapping[str, t.Any]]) -> t.Iterator[dict[str, t.Any]]:
    done: t.Mapping[str, t.Any] = next((host[_RESULT] for host in hosts if "covered" in (host.get(_RESULT) or {})), {})
    failed = len(done.get("failed_accounts") or [])
    result = "no result" if not done else f"{failed} account{'s' if failed > 1 else ''} failed" if failed else "ok"
    names = {region_of(host): None for host in hosts}
    for name in names:
        yield _row(name, done, result)
    if any(LOCAL in (change["before"], change["after"]) for change in done.get("changed_accounts") or []):
        yield _row(LOCAL, done, result)


def _row(name: str, done: t.Mapping[str, t.Any], result: str) -> dict[str, t.Any]:
    changes = done.get("changed_accounts") or []
    return {
        "region": name,
        "accounts": done["covered"].get(name, 0) if done else None,
        "arrived": sum(change["after"] == name for change in changes) if done else None,
        "left": sum(change["before"] == name for change in changes) if done else None,
        "result": result,
    }


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Names and functions."""
        return {"assignment_rows": assignment_rows}
