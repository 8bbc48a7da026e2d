# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: verdicts
short_description: What is wrong with each cache, the most likely cause first
version_added: 0.1.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Joins what role P(dtr.cache.observation#role) found at each host (also what its task file C(logs) found in the logs)
    into one verdict a cache.
  - What has one cause is told once, by what is more precise. That DTR is not trusted, which the log says, explains that
    the cache gets nothing from its upstream; that DTR is down explains the refused connections in the log.
options:
  _input:
    description: The variables of the hosts.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what is wrong with the caches
  ansible.builtin.debug:
    msg: "{{ ansible_play_hosts_all | map('extract', hostvars) | dtr.cache.verdicts }}"
"""

RETURN = r"""
_value:
  description: The verdicts, in the order of the hosts.
  type: list
  elements: dict
  contains:
    region: {description: The host., type: str, sample: region-asia}
    cache: {description: The cache's name in DTR., type: str, sample: region-asia}
    url: {description: Its URL., type: str, sample: "https://cache-asia.example.org:443"}
    state: {description: "V(healthy), V(ill) or V(unknown).", type: str, sample: ill}
    verdict:
      description: The most likely cause in one sentence.
      type: str
      sample: "cache->DTR: it does not trust the CA of DTR's certificate."
    fix: {description: What to do about it., type: str}
    causes:
      description: All causes, the most likely first.
      type: list
      elements: dict
      contains:
        cause:
          description: A name, as RV(dtr.cache.cache_logs_info#module:findings[].cause), or edge and check.
          type: str
          sample: upstream_ca_unknown
        edge: {description: Where it is., type: str, sample: "cache->DTR"}
        told: {description: The cause in one sentence., type: str}
        fix: {description: What to do about it., type: str}
        evidence: {description: "What tells so, and what follows from it.", type: list, elements: str}
        count: {description: How often the log has it., type: int}
        last_seen: {description: When it was last seen there., type: str}
        nodes: {description: The nodes on which it was seen., type: list, elements: str}
    notes:
      description: What the logs also have, what is over, and what could not be read.
      type: list
      elements: str
"""

import typing as t

from ..plugin_utils.fleet.diagnosis import verdicts


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Names and functions."""
        return {"verdicts": verdicts}
