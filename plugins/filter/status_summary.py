# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: status_summary
short_description: The state of a fleet in the words of a table
version_added: 0.1.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Takes from each row what a person wants to see at a glance.
options:
  _input:
    description: Rows of P(dtr.cache.status_rows#filter).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show how the fleet is
  ansible.builtin.debug:
    msg: "{{ rows | dtr.cache.status_summary | dtr.cache.table }}"
  vars:
    rows: "{{ ansible_play_hosts_all | map('extract', hostvars) | dtr.cache.status_rows }}"
"""

RETURN = r"""
_value:
  description:
    - Rows with C(region), C(url), C(state), C(version), C(replicas), C(days left), C(accounts), C(registered), C(drift)
      and C(cause).
  type: list
  elements: dict
"""

import typing as t

from ..plugin_utils.fleet.observation import summary


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Names and functions."""
        return {"status_summary": summary}
