# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways in which somebody else's playbook uses a role several times on one host, each time with other C(vars)."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import yaml

PROJECT = Path(__file__).resolve().parents[2]

Json = dict[str, t.Any]


Form = t.Callable[[str, list[Json], str], Json]


def _each(action: str) -> Form:
    """A task for each use."""
    return lambda role, entries, _manager: {"tasks": [{action: {"name": role}, "vars": entry} for entry in entries]}


def _loop(role: str, entries: list[Json], _manager: str, **more: t.Any) -> Json:
    """A loop of the user's own, whose C(item) is what C(vars) are made of."""
    names = {name: f"{{{{ item.{name} }}}}" for name in entries[0]}
    return {"tasks": [{"ansible.builtin.include_role": {"name": role, **more}, "loop": entries, "vars": names}]}


def _delegated(role: str, entries: list[Json], manager: str) -> Json:
    return _loop(role, entries, manager, apply={"delegate_to": manager})


def _listed(role: str, entries: list[Json], _manager: str) -> Json:
    """In the play's own list of roles, by turns with C(vars) and with parameters, as far as the role has them."""
    specs = PROJECT / "roles" / role.rpartition(".")[2] / "meta" / "argument_specs.yml"
    known = yaml.safe_load(specs.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
    roles: list[Json] = []
    for number, entry in enumerate(entries):
        parameters = {name: value for name, value in entry.items() if number % 2 and name in known}
        others = {name: value for name, value in entry.items() if name not in parameters}
        roles.append({"role": role, **parameters, "vars": others})
    return {"roles": roles}


_ALL: dict[str, Form] = {
    "include": _each("ansible.builtin.include_role"),
    "import": _each("ansible.builtin.import_role"),
    "loop": _loop,
    "delegate": _delegated,
    "roles": _listed,
}
# Whoever has tried all of them elsewhere names those to try again: DTR_CACHE_FORMS=loop,roles
FORMS = {name: _ALL[name] for name in os.environ.get("DTR_CACHE_FORMS", ",".join(_ALL)).split(",")}


def uses(form: str, role: str, entries: list[Json], manager: str = "localhost") -> Json:
    """The part of a play that uses a role once for each entry, all of which have the same variables.

    Args:
        manager: Where the form C(delegate) has it done.
    """
    return FORMS[form](role, entries, manager)


def play_of(host: str, content: Json) -> Json:
    return {"hosts": host, "gather_facts": False, **content}
