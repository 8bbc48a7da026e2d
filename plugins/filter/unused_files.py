# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: unused_files
short_description: The source files that no region needs any more
version_added: 1.0.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - For the playbooks of this collection. Returns the files of C(dtr_cache_source_files) that this host can remove.
  - A file stays while a region that names or uses it failed, has still to be run, or takes no part in the play.
options:
  _input:
    description: The result of M(dtr.cache.preflight) of this host.
    type: dict
    required: true
  hostvars:
    description: C(hostvars).
    type: dict
    required: true
  active:
    description: C(ansible_play_hosts).
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Show the files that can go
  ansible.builtin.debug:
    msg: "{{ __dtr_cache | dtr.cache.unused_files(hostvars, ansible_play_hosts) }}"
"""

RETURN = r"""
_value:
  description: The files.
  type: list
  elements: str
  sample: [/root/region-asia.key.pem]
"""

import typing as t

from ..plugin_utils.fleet.facts import HostFacts
from ..plugin_utils.fleet.regions import unused_files


def _unused_files(preflight: t.Mapping[str, t.Any], hostvars: t.Any, active: t.Sequence[str]) -> list[str]:
    host, play = preflight["host"], preflight["play"]
    hosts = {name: HostFacts(hostvars[name], play) for name in active}
    return unused_files(hosts[host], hosts) if host in hosts else []


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Names and functions."""
        return {"unused_files": _unused_files}
