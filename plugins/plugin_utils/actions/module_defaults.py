# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody else's C(module_defaults) around a role, where they would reach into its tasks."""

from __future__ import annotations

import typing as t

#: The groups that tasks of roles have defaults of their own for, in whose place others' have no effect.
OWN_GROUPS = ("dtr.cache.dtr", "dtr.cache.engine", "community.docker.docker")
_CONFIGS = ("community.docker.docker_config", "community.docker.docker_secret")
_STACKS = (*_CONFIGS, *(f"community.docker.docker_{name}" for name in ("network", "node", "stack", "swarm_service")))
_FILES = ("ansible.builtin.file", "ansible.builtin.stat", "ansible.builtin.template")
_FIREWALL = (*_FILES, "ansible.builtin.command", "ansible.builtin.systemd_service")
#: What each role does its work with.
MODULES: dict[str, tuple[str, ...]] = {
    "assignments": ("dtr.cache.put_in_use",),
    "certificates": (),
    "cleanup": ("ansible.builtin.file",),
    "client_trust": (*_FILES, "ansible.builtin.copy", "ansible.builtin.find"),
    "config_secrets": _CONFIGS,
    "firewall": _FIREWALL,
    "node_label": ("community.docker.docker_node", "dtr.cache.stack_plan"),
    "observation": ("dtr.cache.cache_logs_info", "dtr.cache.fleet_info", "dtr.cache.stack_plan"),
    "registration": ("dtr.cache.put_in_use",),
    "removal": (
        *(*_FIREWALL, *_STACKS, "ansible.builtin.lineinfile", "ansible.builtin.ping"),
        *("community.docker.docker_volume", "dtr.cache.content_caches", "dtr.cache.stack_plan"),
    ),
    "settings": (),
    "stack": (
        *(*_STACKS, "ansible.builtin.command", "ansible.builtin.copy", "ansible.builtin.file"),
        "dtr.cache.stack_converged",
    ),
    "verification": ("dtr.cache.put_in_use", "dtr.cache.stack_plan"),
    "warming": ("dtr.cache.cache_pull",),
}


def reaching_in(
    defaults: t.Iterable[t.Mapping[str, t.Any]], groups: t.Mapping[str, t.Collection[str]], role: str
) -> list[str]:
    """A sentence where defaults from around a role would change what its tasks do.

    Args:
        defaults: Those of the first task, from the outermost, by the full names of modules and groups.
        groups: The groups of each module.
        role: The name of the role without that of the collection.
    """
    around: dict[str, t.Any] = {}
    for each in defaults:
        around.update(each)
    used = ("dtr.cache.preflight", *MODULES[role])
    there = {group for module in used for group in groups.get(module, ())} - set(OWN_GROUPS)
    reached = [
        name for name, given in around.items() if given and (name in used or name.removeprefix("group/") in there)
    ]
    if not reached:
        return []
    return [
        f"module_defaults of {', '.join(sorted(reached))} stand around role dtr.cache.{role}, and would change what "
        "its tasks do; put them at your own tasks, or at a block around these, and give the role its variables"
    ]
