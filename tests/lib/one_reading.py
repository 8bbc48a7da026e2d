# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find raw variables C(dtr_cache_*) that roles and playbooks read, and variables of their own that a user may have too.

Role C(settings) reads them, once; all others use what that reading gave (C(__dtr_cache.settings)). A variable's name in
a comment, in a quoted text or in a message for the user is no reading.

A play's hosts and its serial come before any reading: Ansible asks for them before it knows the variables of a host.
Playbooks have them in one form only, and their filters read them like the preflight.

A variable that a task or a block sets for itself begins with C(__dtr_cache_): what the user registers, sets as a fact
or gives as an extra variable would win over it.
"""

from __future__ import annotations

import argparse
import re
import sys
import typing as t
from pathlib import Path

import yaml

PROJECT = Path(__file__).resolve().parents[2]
READER = "settings"
FOLDERS = ("tasks", "handlers", "vars", "defaults", "templates", "files")

# What Ansible evaluates without braces.
EXPRESSIONS = re.compile(r"when|that|until|changed_when|failed_when|break_when|loop|var|with_\w+")
OF_PLAY = {
    "hosts": "{{ dtr_cache_hosts | default('') | dtr.cache.play_hosts(groups) }}",
    "serial": "{{ dtr_cache_serial | default('') | dtr.cache.play_serial }}",
}
_TEXT = r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\""""
_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_BRACES = re.compile(rf"""\{{\{{((?:{_TEXT}|(?!\}}\}}).)*)\}}\}}|\{{%((?:{_TEXT}|(?!%\}}).)*)%\}}""", re.DOTALL)
_QUOTED = re.compile(_TEXT, re.DOTALL)
_RAW = re.compile(r"(?<!\w)dtr_cache_\w+")
_OWN = re.compile(r"__dtr_cache_|ansible_")
# Quoted names that are readings all the same: hostvars[x]['NAME'], vars.get('NAME'), lookup('vars', 'NAME').
_NAMED = re.compile(
    r"""(?:[\w\])]\s*\[\s*|\.get\(\s*|(?:lookup|query|q)\(\s*['"](?:ansible\.builtin\.)?(?:vars|varnames)['"]\s*,[^)]*?)"""
    r"""['"]\^?(dtr_cache_\w*)"""
)


class Reading(t.NamedTuple):
    """A place where a raw variable is read."""

    path: Path
    line: int
    variable: str


def in_expression(text: str) -> list[str]:
    """The raw variables that one expression of Jinja reads."""
    return [*_NAMED.findall(text), *_RAW.findall(_QUOTED.sub("''", text))]


def in_template(text: str) -> list[tuple[int, str]]:
    """The raw variables that a text with expressions in braces reads, each with its line in the text, from 0 on."""
    # Lines have to stay where they are.
    text = _COMMENT.sub(lambda match: "\n" * match[0].count("\n"), text)
    found = []
    for match in _BRACES.finditer(text):
        line = text.count("\n", 0, match.start())
        found += [(line, name) for name in in_expression(match[1] or match[2] or "")]
    return found


def in_yaml(text: str) -> list[tuple[int, str]]:
    """The raw variables that a YAML file reads, each with the line, from 0 on, of the value that reads it."""
    documents = yaml.compose_all(text, Loader=yaml.SafeLoader)
    return [reading for document in documents if document is not None for reading in _in_node(document, "")]


def _in_node(node: yaml.Node, key: str) -> t.Iterator[tuple[int, str]]:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            yield from _in_node(name, "")
            yield from _in_node(value, str(name.value))
    elif isinstance(node, yaml.SequenceNode):
        # A list under loop holds items, one under when holds expressions.
        below = "" if key == "loop" or key.startswith("with_") else key
        for item in node.value:
            yield from _in_node(item, below)
    elif node.value == OF_PLAY.get(key):
        return
    elif EXPRESSIONS.fullmatch(key) and "{{" not in node.value:
        yield from ((node.start_mark.line, name) for name in in_expression(node.value))
    else:
        yield from ((node.start_mark.line + line, name) for line, name in in_template(node.value))


def files_of(project: Path) -> list[Path]:
    """The files of roles and playbooks that may not read a raw variable."""
    found = [path for path in (project / "playbooks").rglob("*") if path.is_file()]
    for role in (project / "roles").iterdir():
        if role.name != READER:
            found += [path for folder in FOLDERS for path in (role / folder).rglob("*") if path.is_file()]
            found += (role / "meta").glob("main.y*ml")
    return sorted(found)


def readings(project: Path) -> list[Reading]:
    """Every place where a role or a playbook reads a raw variable."""
    found = []
    for path in files_of(project):
        text = path.read_text(encoding="utf-8")
        lines = in_yaml(text) if path.suffix in (".yml", ".yaml") else in_template(text)
        found += [Reading(path.relative_to(project), line + 1, name) for line, name in lines]
    return found


def shared_names(project: Path) -> list[tuple[Path, int, str]]:
    """Every variable of a task, a block or a play whose name a user may use as well."""
    found = []
    for path in files_of(project):
        if path.suffix in (".yml", ".yaml"):
            documents = yaml.compose_all(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
            names = (each for document in documents if document is not None for each in _set_in(document))
            found += [(path.relative_to(project), line + 1, name) for line, name in names]
    return found


def _set_in(node: yaml.Node) -> t.Iterator[tuple[int, str]]:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _set_in(item)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == "vars" and isinstance(value, yaml.MappingNode):
                names = (name for name, _value in value.value if not _OWN.match(name.value))
                yield from ((name.start_mark.line, name.value) for name in names)
            yield from _set_in(value)


def main() -> int:
    """Print each reading; the exit code says whether there is one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("project", nargs="?", type=Path, default=PROJECT, help="the checkout (default: this one)")
    found = readings(parser.parse_args().project)
    for path, line, variable in found:
        print(f"{path}:{line}: reads {variable}; use what role settings gave, __dtr_cache.settings")
    names = shared_names(parser.parse_args().project)
    for path, line, variable in names:
        print(f"{path}:{line}: sets {variable}, which a user may set as well; begin it with __dtr_cache_")
    return 1 if found or names else 0


if __name__ == "__main__":
    sys.exit(main())
