# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has no public way in Ansible, each with its reason."""

from __future__ import annotations

import typing as t

Variables = t.Mapping[str, t.Any]


def unique_id(of: t.Any) -> str:
    """Return what tells a task or a play from all others: a file may be played twice in a run, under the same names."""
    return str(of._uuid)


def host_in_play(variables: Variables, play: t.Any, task: t.Any) -> t.Callable[[str], Variables] | None:
    """Return what gives the variables of another host as the play, its roles and the task set them.

    Ansible's C(hostvars) have only those of the inventory. C(None) where they are something else, as in a test.
    """
    hostvars = variables["hostvars"]
    manager, inventory = (getattr(hostvars, name, None) for name in ("_variable_manager", "_inventory"))
    if manager is None or inventory is None:
        return None
    of_play = {"play": play, "task": task, "include_hostvars": False}
    hosts, all_hosts = (list(variables.get(f"ansible_play_{name}") or ()) for name in ("hosts", "hosts_all"))

    def given(host: str) -> Variables:
        found: Variables = manager.get_vars(
            host=inventory.get_host(host), _hosts=hosts, _hosts_all=all_hosts, **of_play
        )
        return found

    return given
