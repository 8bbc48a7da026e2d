# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which C(module_defaults) of somebody else's play would change what a role does."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.dtr.cache.plugins.plugin_utils.actions import module_defaults
from ansible_collections.dtr.cache.plugins.plugin_utils.actions.module_defaults import reaching_in

ROLES = Path(__file__).parents[5] / "roles"
#: What tasks of these do is said by the tasks alone.
CONTROL = ("fail", "assert", "set_fact", "debug", "import_tasks", "include_tasks", "import_role", "include_role")
IGNORED = {"dtr.cache.preflight", *(f"ansible.builtin.{name}" for name in CONTROL)}
GROUPS = {
    "dtr.cache.content_caches": ["dtr.cache.dtr"],
    "dtr.cache.preflight": ["dtr.cache.engine"],
    "community.docker.docker_stack": ["community.docker.docker", "ansible.builtin.docker"],
}


@pytest.mark.parametrize(
    ("defaults", "role", "named"),
    [
        ([{"dtr.cache.content_caches": {"purge": True}}], "removal", "dtr.cache.content_caches"),
        ([{"dtr.cache.preflight": "{{ mine }}"}], "settings", "dtr.cache.preflight"),
        ([{"ansible.builtin.copy": {"force": False}}], "client_trust", "ansible.builtin.copy"),
        (
            [{"ansible.builtin.file": {"mode": "0600"}}, {"community.docker.docker_stack": {"prune": True}}],
            "stack",
            "ansible.builtin.file, community.docker.docker_stack",
        ),
        ([{"group/ansible.builtin.docker": {"docker_host": "tcp://a:1"}}], "stack", "group/ansible.builtin.docker"),
    ],
)
def test_what_reaches_in_is_named(defaults: list[dict[str, t.Any]], role: str, named: str) -> None:
    (problem,) = reaching_in(defaults, GROUPS, role)
    assert problem.startswith(f"module_defaults of {named} stand around role dtr.cache.{role}, and would change")


@pytest.mark.parametrize(
    ("defaults", "role"),
    [
        ([], "registration"),
        ([{"group/dtr.cache.dtr": {"url": "https://other.example.org"}}], "registration"),
        ([{"group/dtr.cache.engine": {"tls": True}, "group/community.docker.docker": {"tls": True}}], "stack"),
        # Another role's.
        ([{"ansible.builtin.copy": {"force": False}, "ansible.builtin.debug": {"msg": "mine"}}], "registration"),
        ([{"group/ansible.builtin.docker": {"tls": True}}], "registration"),
        # Taken back nearer to the role.
        ([{"dtr.cache.content_caches": {"purge": True}}, {"dtr.cache.content_caches": {}}], "removal"),
        # One task puts a cache in use, and what it runs takes nothing of the kind.
        ([{"dtr.cache.content_caches": {"purge": True}}], "registration"),
    ],
)
def test_what_does_not_reach_in_is_left_alone(defaults: list[dict[str, t.Any]], role: str) -> None:
    assert reaching_in(defaults, GROUPS, role) == []


@pytest.mark.parametrize("role", sorted(path.name for path in ROLES.iterdir()))
def test_the_table_has_what_each_role_does_its_work_with(role: str) -> None:
    found: set[str] = set()
    collect(role, "main", found, set())
    assert set(module_defaults.MODULES[role]) == found - IGNORED


def collect(role: str, file: str, found: set[str], seen: set[tuple[str, str]]) -> None:
    """The modules of a file of tasks and of all that it brings in."""
    if (role, file) in seen:
        return
    seen.add((role, file))
    folder = ROLES / role / "tasks"
    for module, arguments in tasks(yaml.safe_load((folder / f"{file}.yml").read_text())):
        found.add(module)
        if module.endswith("_tasks"):
            name = arguments if isinstance(arguments, str) else arguments["file"]
            names = [path.stem for path in folder.iterdir()] if "{{" in name else [name.removesuffix(".yml")]
            for each in names:
                collect(role, each, found, seen)
        elif module.endswith("_role"):
            other = arguments["name"].removeprefix("dtr.cache.")
            collect(other, arguments.get("tasks_from", "main"), found, seen)


def tasks(items: list[dict[str, t.Any]]) -> t.Iterator[tuple[str, t.Any]]:
    """Each task's module and what it is given."""
    for item in items:
        for part in ("block", "rescue", "always"):
            yield from tasks(item.get(part, []))
        yield from ((name, given) for name, given in item.items() if name.count(".") == 2)


def test_each_of_these_tasks_has_own_defaults_of_its_groups() -> None:
    """In whose place those of a play have no effect."""
    groups = yaml.safe_load((ROLES.parent / "meta" / "runtime.yml").read_text())["action_groups"]
    members = {f"dtr.cache.{name}": f"group/dtr.cache.{group}" for group, names in groups.items() for name in names}
    for path in [
        *ROLES.glob("*/tasks/*.yml"),
        *ROLES.parent.glob("playbooks/*.yml"),
        *ROLES.parent.glob("playbooks/tasks/*.yml"),
    ]:
        content = yaml.safe_load(path.read_text())
        for item in all_items(content[0]["tasks"] if "hosts" in content[0] else content):
            module = next((name for name in item if name.count(".") == 2), "")
            group = members.get(module, "group/community.docker.docker" if "docker.docker_" in module else "")
            # The preflight takes nothing of the kind from its task.
            if group and module != "dtr.cache.preflight":
                assert group in item.get("module_defaults", {}), f"{path}: {item['name']}"


def all_items(items: list[dict[str, t.Any]]) -> t.Iterator[dict[str, t.Any]]:
    for item in items:
        yield item
        for part in ("block", "rescue", "always"):
            yield from all_items(item.get(part, []))
