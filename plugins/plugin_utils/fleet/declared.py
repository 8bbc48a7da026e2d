# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The regions that an inventory declares, also those that take no part in the play."""

from __future__ import annotations

import typing as t

from ansible.utils.vars import load_extra_vars

from ..actions.shared import made_once
from ..settings.hosts import GROUP, HOSTS
from ..settings.region import VARIABLES, Region
from ..settings.values import is_set
from ..settings.variables import declared_region


def regions_of(variables: t.Mapping[str, t.Any], templar: t.Any, loader: t.Any, task: str) -> list[Region]:
    """The regions of the inventory, in its order; none for a host that is no region of it.

    They are read once for each task of a run, since a hundred hosts that read a hundred others would take minutes.

    Args:
        variables: Those of a host.
        templar: Ansible's templating.
        loader: Ansible's loader of files.
        task: What tells this task from all others of the run.
    """
    hosts = list((variables.get("groups") or {}).get(GROUP) or [])
    if is_set(variables.get(HOSTS)):
        # Those of a pattern need not be in the group.
        hosts += [host for host in variables.get("ansible_play_hosts_all") or () if host not in hosts]
    if variables["inventory_hostname"] not in hosts or len(hosts) == 1:
        return []

    def read() -> list[Region]:
        playing = set(variables.get("ansible_play_hosts_all") or hosts)
        # Of a host that takes no part, an extra variable says nothing.
        extra = [name for name in VARIABLES if name in load_extra_vars(loader)]
        hostvars = variables["hostvars"]
        raw = getattr(hostvars, "raw_get", hostvars.__getitem__)
        return [
            declared_region(raw(host), templar, loader, () if host in playing else extra)._replace(
                in_play=host in playing
            )
            for host in hosts
        ]

    return [Region(*row) for row in made_once(f"regions {task}", read)]
