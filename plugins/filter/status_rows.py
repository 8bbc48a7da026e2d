# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: status_rows
short_description: One row a region of how its cache is
version_added: 0.1.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Reads what role P(dtr.cache.observation#role) found in the variables of each host. A host at which the role itself
    failed, or was not run, has a row as well.
options:
  _input:
    description: The variables of the hosts.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show how the fleet is
  ansible.builtin.debug:
    msg: "{{ ansible_play_hosts_all | map('extract', hostvars) | dtr.cache.status_rows }}"
"""

RETURN = r"""
_value:
  description: The rows, in the order of the hosts. What is not known is null.
  type: list
  elements: dict
  contains:
    region: {description: The host., type: str, sample: region-asia}
    cache: {description: The cache's name in DTR., type: str, sample: region-asia}
    url: {description: Its URL., type: str, sample: "https://cache-asia.example.org:443"}
    registry_url: {description: The DTR., type: str, sample: "https://dtr.example.org"}
    nodes: {description: The nodes that are dedicated to it., type: list, elements: str, sample: [worker-3]}
    state:
      description:
        - V(healthy) when everything could be looked at and nothing is wrong, V(unknown) when neither the cache nor its
          Swarm could be looked at, and V(ill) otherwise.
      type: str
      sample: healthy
    cause: {description: "What is wrong in one sentence, and most likely explains the rest.", type: str}
    hint: {description: What to do about it., type: str}
    problems:
      description: All that is wrong, the likeliest cause first.
      type: list
      elements: dict
      contains:
        cause: {description: What is wrong., type: str}
        hint: {description: What to do about it., type: str}
        topic: {description: "What it is about, such as the edge and the name of a check.", type: list, elements: str}
    image: {description: The image of the live service., type: str, sample: "docker/dtr-content-cache:2.7.6"}
    version: {description: Its tag., type: str, sample: 2.7.6}
    replicas: {description: How many are C(wanted) and C(running)., type: dict, sample: {wanted: 2, running: 2}}
    certificate:
      description: The certificate that the cache showed, its C(subject), C(issuer), C(not_before) and C(not_after).
      type: dict
    days_left: {description: Days until the first certificate of its chain expires., type: int, sample: 312}
    accounts: {description: How many accounts pull from it., type: int, sample: 120}
    dangling:
      description: Accounts of this region's C(dtr_cache_assignments) whose cache no longer exists.
      type: list
      elements: str
    registered: {description: Whether DTR sends to it., type: bool, sample: true}
    drift:
      description: What a deployment would do, as RV(dtr.cache.stack_plan#module:steps).
      type: list
      elements: dict
    serves:
      description: As RV(dtr.cache.cache_health#module:caches[].serves).
      type: bool
      sample: true
    checks:
      description:
        - As RV(dtr.cache.cache_health#module:caches[].checks), without what is wrong with a DTR that answers, which
          P(dtr.cache.status_registries#filter) tells.
      type: list
      elements: dict
    seconds:
      description: As RV(dtr.cache.cache_health#module:caches[].seconds).
      type: dict
"""

import typing as t

from ..plugin_utils.fleet.observation import rows


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Names and functions."""
        return {"status_rows": rows}
