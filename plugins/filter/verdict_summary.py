# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: verdict_summary
short_description: Verdicts about caches in the words of a table
version_added: 0.1.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Takes from each verdict what a person wants to see at a glance.
options:
  _input:
    description: What P(dtr.cache.verdicts#filter) gives.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show at a glance what is wrong
  ansible.builtin.debug:
    msg: "{{ verdicts | dtr.cache.verdict_summary | dtr.cache.table }}"
  vars:
    verdicts: "{{ ansible_play_hosts_all | map('extract', hostvars) | dtr.cache.verdicts }}"
"""

RETURN = r"""
_value:
  description: Rows with C(region), C(url), C(state), C(most likely cause) and the number of C(more) causes.
  type: list
  elements: dict
"""

import typing as t

from ..plugin_utils.fleet.diagnosis import summary


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Names and functions."""
        return {"verdict_summary": summary}
