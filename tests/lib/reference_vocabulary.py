# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables as the pages show them, from role C(settings), the presets and C(vocabulary.yml)."""

from __future__ import annotations

import ast
import json
import re
import typing as t
from pathlib import Path

import yaml

PROJECT = Path(__file__).resolve().parents[2]
PREFIX = "dtr_cache_"
EMPTY = "empty"
SPECS = Path("meta") / "argument_specs.yml"
SETTINGS = PROJECT / "roles" / "settings"
EXAMPLES = Path(__file__).with_name("vocabulary.yml")
PRESETS = PROJECT / "plugins" / "plugin_utils" / "settings" / "presets.py"

_ENVIRONMENT = re.compile(r"lookup\('ansible\.builtin\.env', '(\w+)'\)(?: or '(\w+)')?")


class Variable(t.NamedTuple):
    """One variable, by its whole name, in Markdown."""

    name: str
    group: str
    type: str
    required: str  # when it is, empty where it never is
    default: str  # empty where it has none
    meaning: tuple[str, ...]  # paragraphs
    example: str  # YAML

    @property
    def link(self) -> str:
        return f"[`{self.name}`](#{self.name})"


def argument_spec(role: Path) -> dict[str, t.Any]:
    specs = yaml.safe_load((role / SPECS).read_text(encoding="utf-8"))
    return t.cast("dict[str, t.Any]", specs["argument_specs"]["main"])


def plain(text: str) -> str:
    """Ansible's semantic markup as Markdown."""
    text = re.sub(r"\b[CVOME]\(((?:[^()]|\([^()]*\))*)\)", r"`\1`", " ".join(text.split()))
    text = re.sub(r"\bP\(([^#)]+)#[a-z]+\)", r"`\1`", text)
    return text.replace("|", "\\|")


def rows(headings: t.Sequence[str], lines: t.Iterable[t.Sequence[str]]) -> str:
    table = [headings, ["---"] * len(headings), *lines]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in table)


def vocabulary() -> list[Variable]:
    """All variables, in the order of their groups.

    Raises:
        SystemExit: One of them is in no group or in two, or its default is not said.
    """
    options = argument_spec(SETTINGS)["options"]
    defaults = yaml.safe_load((SETTINGS / "defaults" / "main.yml").read_text(encoding="utf-8"))
    groups = yaml.safe_load(EXAMPLES.read_text(encoding="utf-8"))
    written = [(group["title"], PREFIX + name, entry) for group in groups for name, entry in group["variables"].items()]
    differing = {*options} ^ {name for _title, name, _entry in written}
    if differing or len(written) != len(options):
        raise SystemExit(
            f"{EXAMPLES.name} has each variable once; differing: {', '.join(sorted(differing)) or 'twice'}"
        )
    return [
        _variable(title, name, entry, options[name]["description"], options[name].get("default", defaults[name]))
        for title, name, entry in written
    ]


def _variable(title: str, name: str, entry: dict[str, t.Any], description: str | list[str], default: t.Any) -> Variable:
    paragraphs = [description] if isinstance(description, str) else description
    required = entry.get("required", "")
    shown = entry.get("default") or _default(default)
    if not shown and not required:
        raise SystemExit(f"{EXAMPLES.name}: what is the default of {name}, which role settings does not show?")
    kind = entry["type"]
    if "choices" in entry:
        *others, last = (f"`{choice}`" for choice in entry["choices"])
        kind += f"{' of' if kind == 'list' else ':'} {', '.join(others)} or {last}"
    return Variable(name, title, kind, required, shown, tuple(map(plain, paragraphs)), entry["example"])


def _default(value: t.Any) -> str:
    """A default of role C(settings) in Markdown; empty where it is null."""
    if isinstance(value, str) and (found := _ENVIRONMENT.search(value)):
        return f"the environment's `{found[1]}`" + (f", then `{found[2]}`" if found[2] else "")
    if isinstance(value, dict) and value:
        return "`" + ", ".join(f"{key}: {item}" for key, item in value.items()) + "`"
    if isinstance(value, list) and value:
        return "`" + ", ".join(map(str, value)) + "`"
    if value in ([], {}):
        return EMPTY
    return "" if value is None else f"`{value if isinstance(value, str) else json.dumps(value)}`"


def variables() -> str:
    """All variables, each group with a table and then one entry for each of them."""
    found = vocabulary()
    parts = []
    for title in dict.fromkeys(each.group for each in found):
        group = [each for each in found if each.group == title]
        table = rows(
            ["variable", "type", "default"],
            ([each.link, each.type, default_or_required(each, each.required)] for each in group),
        )
        parts += [f"## {title}", table, *map(_entry, group)]
    return "\n\n".join(parts)


def default_or_required(variable: Variable, required: str) -> str:
    """What holds when the variable is not set, as a cell of a table; C(required) says when it has to be."""
    default = "" if required and variable.default == EMPTY else variable.default
    words = [default, f"**required** {required}".removesuffix(" always") if required else ""]
    return "; ".join(filter(None, words)) or "none"


def _entry(variable: Variable) -> str:
    required = f"required {variable.required}".removesuffix(" always") if variable.required else ""
    default = f"default: {variable.default}" if variable.default and variable.default != EMPTY else ""
    said = "; ".join(filter(None, [variable.type, default, required]))
    return "\n\n".join(
        [
            f"### `{variable.name}`",
            f"*{said[0].upper()}{said[1:]}.*",
            *variable.meaning,
            f"```yaml\n{variable.example.rstrip()}\n```",
        ]
    )


def product_lines() -> str:
    """What each product line's documents name, as the presets have it."""
    products = {each["name"]: each for each in _presets("Product", ("name", "node_label", "ca_secret", "stack_name"))}
    lines = []
    for each in _presets("Versions", ("product", "first", "last", "repository")):
        first, last = (".".join(map(str, each[end])) for end in ("first", "last"))
        product = products[each["product"]]
        image = f"`{each['repository']}:VERSION`" if each["repository"] else "not documented: set `dtr_cache_image`"
        names = [f"`{product[name]}`" for name in ("stack_name", "node_label", "ca_secret")]
        versions = first if first == last else f"{first} to {last}"
        lines.append([f"`{product['name']}`", versions, image, *names])
    return rows(["product", "versions", "image", "stack", "node label", "CA's secret"], lines)


def _presets(kind: str, fields: t.Sequence[str]) -> list[dict[str, t.Any]]:
    """The constants of a kind in the presets, without importing them."""
    calls = [
        node
        for node in ast.walk(ast.parse(PRESETS.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == kind
    ]
    return [dict(zip(fields, map(ast.literal_eval, call.args), strict=True)) for call in calls]
