# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: warming_rows
short_description: One row a region of what warming its cache did
version_added: 0.1.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Reads what playbook C(dtr.cache.warm) left in the variables of each host. A host without any was not reached.
options:
  _input:
    description: The variables of the hosts.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the summary of warming
  ansible.builtin.debug:
    msg: "{{ ansible_play_hosts_all | map('extract', hostvars) | dtr.cache.warming_rows | dtr.cache.table }}"
"""

RETURN = r"""
_value:
  description:
    - Rows with C(region), C(images), C(size), C(already there), C(brought), C(seconds) and C(result).
    - In check mode C(brought) is what a real run would bring.
  type: list
  elements: dict
"""

import typing as t

from ..plugin_utils.fleet.summaries import failure_of, megabytes, region_of


def warming_rows(hosts: t.Iterable[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """The rows, in the order of the hosts."""
    return [_row(host) for host in hosts]


def _row(host: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    warmed = host.get("__dtr_cache_warmed") or {}
    pulls = warmed.get("pulls") or []
    transferred = warmed.get("transferred") or {}
    cached = transferred.get("cached_bytes")
    return {
        "region": region_of(host),
        "images": len(pulls) if pulls else None,
        "size": _megabytes(transferred.get("wanted_bytes")),
        "already there": "not told" if pulls and cached is None else _megabytes(cached),
        "brought": _megabytes(transferred.get("bytes")),
        "seconds": transferred.get("seconds"),
        "result": _result(host, pulls),
    }


def _megabytes(size: int | None) -> str | None:
    return None if size is None else megabytes(size)


def _result(host: t.Mapping[str, t.Any], pulls: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    failed = sum(pull["failure"] is not None for pull in pulls)
    if failed:
        return f"{failed} of {len(pulls)} images failed"
    return failure_of(host) or ("ok" if pulls else "not reached")


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Names and functions."""
        return {"warming_rows": warming_rows}
