# Copyright: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways in which somebody else's playbook uses a role several times on one host, each time with other C(vars)."""

from __future__ import annotations

import typing as t

Json = dict[str, t.Any]


def _each(action: str) -> t.Callable[[str, list[Json]], Json]:
    """A task for each use."""
    return lambda role, entries: {"tasks": [{action: {"name": role}, "vars": entry} for entry in entries]}


def _loop(role: str, entries: list[Json], **more: t.Any) -> Json:
    """A loop of the user's own, whose C(item) is what C(vars) are made of."""
    names = {name: f"{{{{ item.{name} }}}}" for name in entries[0]}
    return {"tasks": [{"ansible.builtin.include_role": {"name": role, **more}, "loop": entries, "vars": names}]}


def _delegated(role: str, entries: list[Json]) -> Json:
    return _loop(role, entries, apply={"delegate_to": "localhost"})


def _listed(role: str, entries: list[Json]) -> Json:
    return {"roles": [{"role": role, "vars": entry} for entry in entries]}


FORMS: dict[str, t.Callable[[str, list[Json]], Json]] = {
    "include": _each("ansible.builtin.include_role"),
    "import": _each("ansible.builtin.import_role"),
    "loop": _loop,
    "delegate": _delegated,
    "roles": _listed,
}


def uses(form: str, role: str, entries: list[Json]) -> Json:
    """The part of a play that uses a role once for each entry, all of which have the same variables."""
    return FORMS[form](role, entries)


def play_of(host: str, content: Json) -> Json:
    return {"hosts": host, "gather_facts": False, **content}
