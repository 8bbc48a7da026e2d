# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: status_page
short_description: A status report as one HTML page
version_added: 0.1.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - The page is complete in itself. It asks nothing of any server, runs no script, and forbids both to browsers.
  - It shows how many caches are well, each cache with its state, cause and what to do, its trust edges as a picture,
    and for the fleet the time left of each certificate, the latency of each edge and the accounts of each cache.
  - Readable on a phone, on paper, in light and dark, by keyboard and by screen reader.
positional: time, registries
options:
  _input:
    description: The rows that filter P(dtr.cache.status_rows#filter) gives.
    type: list
    elements: dict
    required: true
  time:
    description: When the fleet was looked at, in ISO 8601 (without an offset it is UTC) or in seconds since 1970.
    type: raw
    required: true
  registries:
    description: The rows that filter P(dtr.cache.status_registries#filter) gives.
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Write the page
  ansible.builtin.copy:
    content: "{{ looked_at | dtr.cache.status_rows | dtr.cache.status_page(now(utc=true)) }}"
    dest: status.html
    mode: "0644"
  vars:
    looked_at: "{{ ansible_play_hosts_all | map('extract', hostvars) }}"
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
_value:
  description: The page.
  type: str
"""

import typing as t

from ..plugin_utils.fleet.page.page import render_page
from ..plugin_utils.fleet.status import read_fleet, read_registries, read_time


def status_page(rows: t.Any, time: t.Any, registries: t.Any = ()) -> str:
    """The text of the page."""
    moment = read_time(time)
    return render_page(read_fleet(rows, moment), read_registries(registries), moment)


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Names and functions."""
        return {"status_page": status_page}
