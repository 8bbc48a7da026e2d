# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: probes
short_description: What is to be looked at of the caches of one DTR
version_added: 0.1.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Makes O(dtr.cache.cache_health#module:caches) of what role P(dtr.cache.observation#role) knows of hosts that have
    the same DTR, with the ports that their Swarms publish.
options:
  _input:
    description: The variables of the hosts.
    type: list
    elements: dict
    required: true
  registered:
    description:
      - RV(dtr.cache.content_caches_info#module:content_caches) of their DTR. What is registered there and declared by
        none of the hosts is looked at, too.
    type: list
    elements: dict
    default: []
positional: registered
"""

EXAMPLES = r"""
- name: Look at the caches and at whatever else is registered
  dtr.cache.cache_health:
    caches: "{{ hosts_of_the_dtr | dtr.cache.probes(registered.content_caches) }}"
"""

RETURN = r"""
_value:
  description: The caches, each name once.
  type: list
  elements: dict
"""

import typing as t

from ..plugin_utils.fleet.observation import probes


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Names and functions."""
        return {"probes": probes}
