# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: observation
short_description: How regions are, from the looks at them
version_added: 0.1.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Makes rows of what role P(dtr.cache.observation#role) has looked at. The role keeps each with its host, and
    P(dtr.cache.status_rows#filter) takes it from there.
options:
  _input:
    description:
      - The variables of the hosts. The first one of all that have the same DTR has looked at that, and at all caches.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show how the regions are
  ansible.builtin.debug:
    msg: "{{ ansible_play_batch | map('extract', hostvars) | dtr.cache.observation }}"
"""

RETURN = r"""
_value:
  description: Rows as P(dtr.cache.status_rows#filter) describes them, in the order of the hosts.
  type: list
  elements: dict
"""

import typing as t

from ..plugin_utils.fleet.observation import observe


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Names and functions."""
        return {"observation": observe}
