# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: status_registries
short_description: One row for each DTR of how it is
version_added: 0.1.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Reads what role P(dtr.cache.observation#role) found at each DTR, for all hosts that belong to it.
options:
  _input:
    description: The variables of the hosts.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show how each DTR is
  ansible.builtin.debug:
    msg: "{{ ansible_play_hosts_all | map('extract', hostvars) | dtr.cache.status_registries }}"
"""

RETURN = r"""
_value:
  description: The rows. What is not known is null.
  type: list
  elements: dict
  contains:
    url: {description: The DTR., type: str, sample: "https://dtr.example.org"}
    healthy: {description: Whether it says so of itself., type: bool, sample: true}
    version: {description: Its version., type: str, sample: 2.7.6}
    read_only: {description: Whether it is read only. Caches serve all the same., type: bool, sample: false}
    dangling:
      description: Accounts whose cache no longer exists, and that no region names in C(dtr_cache_assignments).
      type: list
      elements: str
    undeclared:
      description:
        - The caches that it has registered and that no region declares, with C(name), C(url), the number of their
          C(accounts), whether each C(answers), and in C(detail) why not. One that answers may be another inventory's.
      type: list
      elements: dict
    cause: {description: What is wrong with it in one sentence., type: str}
    hint: {description: What to do about it., type: str}
"""

import typing as t

from ..plugin_utils.fleet.observation import registries


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Names and functions."""
        return {"status_registries": registries}
