# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made of C(docs/variables.yml), the one table of the variables, and of the presets."""

from __future__ import annotations

import ast
import json
import re
import textwrap
import typing as t
from pathlib import Path

import yaml

PROJECT = Path(__file__).resolve().parents[2]
PREFIX = "dtr_cache_"
EMPTY = "empty"
SPECS = Path("meta") / "argument_specs.yml"
SETTINGS = PROJECT / "roles" / "settings"
TABLE = PROJECT / "docs" / "variables.yml"
PRESETS = PROJECT / "plugins" / "plugin_utils" / "settings" / "image.py"

_ENVIRONMENT = re.compile(r"lookup\('ansible\.builtin\.env', '(\w+)'\)(?: or '(\w+)')?")


class Variable(t.NamedTuple):
    """One variable, by its whole name, in Markdown."""

    name: str
    group: str
    type: str
    required: str  # when it is, empty where it never is
    default: str  # empty where it has none
    entry: dict[str, t.Any]  # its row of the table

    @property
    def meaning(self) -> list[str]:
        """Its paragraphs."""
        return [plain(each) for each in self.entry["meaning"]]

    @property
    def said(self) -> str:
        """Its type and default, and when it is required, in a sentence."""
        required = f"required {self.required}".removesuffix(" always") if self.required else ""
        default = f"default: {self.default}" if self.default and self.default != EMPTY else ""
        words = "; ".join(filter(None, [self.type, default, required]))
        return f"{words[0].upper()}{words[1:]}."

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
    """Return all variables, in the order of the table.

    Raises:
        SystemExit: The table says neither the default of a variable nor that it is required.
    """
    groups = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    return [
        _variable(group["title"], PREFIX + name, entry)
        for group in groups
        for name, entry in group["variables"].items()
    ]


def _variable(title: str, name: str, entry: dict[str, t.Any]) -> Variable:
    required = entry.get("required", "")
    shown = entry.get("otherwise") or _default(default_of(entry))
    if not shown and not required:
        raise SystemExit(f"{TABLE.name}: {name} needs default, otherwise or required")
    kind = entry["type"]
    if "choices" in entry:
        *others, last = (f"`{choice}`" for choice in entry["choices"])
        kind += f"{' of' if kind == 'list' else ':'} {', '.join(others)} or {last}"
    return Variable(name, title, kind, required, shown, entry)


def default_of(entry: dict[str, t.Any]) -> t.Any:
    """Return the default of a row, of its type: a mapping is JSON text there, which Ansible does not merge."""
    default = entry.get("default")
    return json.loads(default) if entry["type"] == "dictionary" and isinstance(default, str) else default


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
    example = f"```yaml\n{variable.entry['example'].rstrip()}\n```"
    return "\n\n".join([f"### `{variable.name}`", f"*{variable.said}*", *variable.meaning, example])


def defaults() -> str:
    """Return the defaults of role C(settings)."""
    lines = [
        # REUSE-IgnoreStart
        "# SPDX-FileCopyrightText: Contributors to the dtr.cache project",
        "# SPDX-License-Identifier: GPL-3.0-or-later",
        # REUSE-IgnoreEnd
        *("#", "# Made from docs/variables.yml. The preflight applies these defaults for all roles.", "---"),
    ]
    lines += [f"{each.name}: {_yaml(each.entry.get('default'))}" for each in vocabulary()]
    return "\n".join(lines) + "\n"


def _yaml(value: t.Any) -> str:
    """Return a value as YAML on one line."""
    if isinstance(value, str) and "{{" in value:
        return json.dumps(value)
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("\n...\n").strip()


def options(names: t.Collection[str]) -> str:
    """Return the options of a role's argument specs for some variables."""
    return "".join(map(_option, (each for each in vocabulary() if each.name in names)))


def _option(variable: Variable) -> str:
    """Return one option. Its type is in words, as all are raw: see the decision on argument specs."""
    entry = variable.entry
    said = re.sub(r"`([^`]+)`", r"C(\1)", re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", variable.said))
    option: dict[str, t.Any] = {"description": [*entry["meaning"], said], "type": "raw"}
    default = default_of(entry)
    if default is not None and "{{" not in str(default):
        option["default"] = default
    if "no_log" in entry:
        option["no_log"] = entry["no_log"]
    text = yaml.dump({variable.name: option}, Dumper=_Indented, sort_keys=False, width=76, allow_unicode=True)
    return textwrap.indent(text, " " * 6)


class _Indented(yaml.SafeDumper):
    """Indents the items of lists, as yamllint wants them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)


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
