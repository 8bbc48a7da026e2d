# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: status_page
short_description: A status report as one HTML page
version_added: 1.0.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - The page is complete in itself. It loads nothing from any server, runs no script, and lets no browser do either.
  - It shows how many caches are well, each cache with its state, cause and what to do, its trust edges as a picture,
    and for the fleet the time left of each certificate, the latency of each edge and the accounts of each cache.
  - Readable on a phone, on paper, in light and dark, by keyboard and by screen reader.
positional: time, registries
options:
  _input:
    description: RV(dtr.cache.fleet_info#module:regions), or C(regions) of RV(dtr.cache.report#module:report).
    type: list
    elements: dict
    required: true
  time:
    description: When the fleet was observed, in ISO 8601 (without an offset it is UTC) or in seconds since 1970.
    type: raw
    required: true
  registries:
    description: RV(dtr.cache.fleet_info#module:registries), or C(registries) of RV(dtr.cache.report#module:report).
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Write the page
  ansible.builtin.copy:
    content: "{{ status.report.regions | dtr.cache.status_page(status.report.time, status.report.registries) }}"
    dest: status.html
    mode: "0644"
  # The result of dtr.cache.report of a status, which is of all hosts of the play.
  run_once: true
  delegate_to: localhost
"""

RETURN = r"""
_value:
  description: The page.
  type: str
  sample: "<!doctype html>…"
"""

import typing as t


def status_page(rows: t.Any, time: t.Any, registries: t.Any = ()) -> str:
    """The text of the page."""
    # Loaded where it is used: Ansible loads all filters of a collection together.
    from ..plugin_utils.fleet.page import render_page
    from ..plugin_utils.fleet.status import read_fleet, read_registries, read_time

    moment = read_time(time)
    return render_page(read_fleet(rows, moment), read_registries(registries), moment)


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Names and functions."""
        return {"status_page": status_page}
