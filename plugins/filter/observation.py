# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: observation
short_description: How a region is, from the looks at it
version_added: 0.1.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Makes one row of what role P(dtr.cache.observation#role) has looked at. The role keeps it, and
    P(dtr.cache.status_rows#filter) takes it from there.
options:
  _input:
    description: The variables of the region's host.
    type: dict
    required: true
  head:
    description: The variables of the host that looked at the DTR, and at all caches of it.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: How is this region?
  ansible.builtin.set_fact:
    row: "{{ hostvars[inventory_hostname] | dtr.cache.observation(hostvars[ansible_play_batch | first]) }}"
"""

RETURN = r"""
_value:
  description: A row as P(dtr.cache.status_rows#filter) describes it.
  type: dict
"""

import typing as t

from ansible_collections.dtr.cache.plugins.plugin_utils.observation import observe


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Names and functions."""
        return {"observation": observe}
