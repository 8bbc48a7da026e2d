# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: verdict_report
short_description: Verdicts about caches as lines for a person
version_added: 0.1.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Tells for each cache what is wrong, what to do about it, and what tells so.
options:
  _input:
    description: What P(dtr.cache.verdicts#filter) gives.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what is wrong and what to do
  ansible.builtin.debug:
    msg: "{{ ansible_play_hosts_all | map('extract', hostvars) | dtr.cache.verdicts | dtr.cache.verdict_report }}"
"""

RETURN = r"""
_value:
  description: >-
    The lines. A cache about which there is nothing to say has none, and where there is nothing at all a
    single line says so.
  type: list
  elements: str
"""

import typing as t

from ..plugin_utils.fleet.diagnosis import report


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Names and functions."""
        return {"verdict_report": report}
