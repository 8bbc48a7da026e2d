# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The regions that inventory and play declare, also those that take no part in the play."""

from __future__ import annotations

import typing as t

from ansible.playbook.task_include import TaskInclude
from ansible.utils.vars import load_extra_vars

from ..actions.shared import made_once
from ..settings.region import VARIABLES, Region
from ..settings.run import GROUP, HOSTS
from ..settings.values import is_set
from ..settings.variables import declared_region

Variables = t.Mapping[str, t.Any]


def regions_of(variables: Variables, templar: t.Any, loader: t.Any, task: t.Any) -> list[Region]:
    """The regions of the inventory, in its order, and those of the hosts of the play; none where there is no other.

    They are read once for each task of a run, since a hundred hosts that read a hundred others would take minutes.

    Args:
        variables: Those of a host.
        templar: Ansible's templating.
        loader: Ansible's loader of files.
        task: The task that asks.
    """
    group = list((variables.get("groups") or {}).get(GROUP) or [])
    playing = list(variables.get("ansible_play_hosts_all") or group)
    if is_set(variables.get(HOSTS)) and variables[HOSTS] != GROUP:
        # Those of a pattern need not be in the group.
        group += [host for host in playing if host not in group]
    # Where one host acts for all, the others of the play are no regions for that.
    hosts = group + [host for host in playing if host not in group and not task.run_once]
    if not set(hosts) - {variables["inventory_hostname"]}:
        return []

    def read() -> list[Region]:
        # Of a host that takes no part, an extra variable says nothing.
        extra = [name for name in VARIABLES if name in load_extra_vars(loader)]
        of_inventory, of_play = _of_inventory(variables), _of_play(variables, task)
        return [
            declared_region(of_play(host), templar, loader, ())._replace(in_group=host in group)
            if host in playing
            else declared_region(of_inventory(host), templar, loader, extra)._replace(in_play=False)
            for host in hosts
        ]

    return [Region(*row) for row in made_once(f"regions {task._uuid}", read)]


def _of_inventory(variables: Variables) -> t.Callable[[str], Variables]:
    """What gives the variables of a host by the inventory, with its facts and extra variables."""
    hostvars = variables["hostvars"]
    given: t.Callable[[str], Variables] = getattr(hostvars, "raw_get", hostvars.__getitem__)
    return given


def _of_play(variables: Variables, task: t.Any) -> t.Callable[[str], Variables]:
    """What gives the variables that a host has in the play, and in the task where that is the same for all hosts.

    Ansible's C(hostvars) have neither, so a setting of a play would stand against those of the inventory.
    """
    hostvars = variables["hostvars"]
    manager, inventory = (getattr(hostvars, name, None) for name in ("_variable_manager", "_inventory"))
    play, alike = task.get_play(), task if _is_for_all(task) else None
    if manager is None or inventory is None or task.run_once or not _is_anything_said(play, alike):
        return _of_inventory(variables)
    of_play = {"play": play, "task": alike, "include_hostvars": False}
    hosts, all_hosts = (list(variables.get(f"ansible_play_{name}") or ()) for name in ("hosts", "hosts_all"))

    def given(host: str) -> Variables:
        found: Variables = manager.get_vars(
            host=inventory.get_host(host), _hosts=hosts, _hosts_all=all_hosts, **of_play
        )
        return found

    return given


def _is_anything_said(play: t.Any, task: t.Any) -> bool:
    """Whether a play or a task has variables; without any, hosts have those of the inventory, which costs less."""
    return bool(play.get_vars() or play.get_vars_files() or play.get_roles() or (task is not None and task.get_vars()))


def _is_for_all(task: t.Any) -> bool:
    """Whether each host of the play runs a task with the same variables around it: no condition, and no loop."""
    around: t.Any = task
    while around is not None:
        is_of_host = around is task or (isinstance(around, TaskInclude) and not around.statically_loaded)
        if is_of_host and (around.when or around.loop is not None or around.loop_with):
            return False
        around = getattr(around, "_parent", None)
    return True
