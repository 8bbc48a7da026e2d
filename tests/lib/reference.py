# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the tables of the pages, and the pages and options of the roles, from the code.

With --check it fails when they differ. Between C(<!-- NAME: begin -->) and C(<!-- NAME: end -->) stands what this
program writes; all else is written by hand. A role's C(README.md) is written as a whole, and so are the options of its
argument specs and the defaults of role C(settings), from C(docs/variables.yml).
"""

from __future__ import annotations

import argparse
import ast
import difflib
import re
import sys
import typing as t
from pathlib import Path

import yaml
from reference_picture import PICTURE, layers_picture
from reference_playbooks import PAGE, playbook_page, playbooks, purpose
from reference_roles import role_page, role_specs
from reference_vocabulary import (
    PROJECT,
    SETTINGS,
    SPECS,
    argument_spec,
    defaults,
    plain,
    product_lines,
    rows,
    variables,
)

PAGES = (
    *("README.md", "docs/variables.md"),
    *(f"docs/guides/{name}.md" for name in ("awx", "observing", "playbooks", "support", "troubleshooting")),
)


def documentation(module: Path) -> dict[str, t.Any]:
    """The DOCUMENTATION of a plugin, without importing it."""
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "DOCUMENTATION":
            return t.cast("dict[str, t.Any]", yaml.safe_load(ast.literal_eval(node.value)))
    raise SystemExit(f"{module} has no DOCUMENTATION")


def modules() -> str:
    found = sorted((PROJECT / "plugins" / "modules").glob("*.py"))
    return rows(
        ["module", "what it does"], ([f"`{p.stem}`", plain(documentation(p)["short_description"])] for p in found)
    )


def roles() -> str:
    found = sorted(path for path in (PROJECT / "roles").iterdir() if path.is_dir())
    lines = []
    for role in found:
        spec = argument_spec(role)
        description = spec["description"]
        first = description[0] if isinstance(description, list) else description
        lines.append(
            [f"[`{role.name}`](../../roles/{role.name}/README.md)", plain(f"{spec['short_description']}. {first}")]
        )
    return rows(["role", "what it does"], lines)


def playbooks_table() -> str:
    return rows(["playbook", "what it does"], ([f"`dtr.cache.{each.stem}`", purpose(each)[0]] for each in playbooks()))


def checks() -> str:
    """What C(cache_health) checks, as its code has it."""
    source = (PROJECT / "plugins" / "module_utils" / "health" / "checks.py").read_text(encoding="utf-8")
    meanings = next(
        ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.AnnAssign) and node.value and getattr(node.target, "id", "") == "CHECKS"
    )
    return rows(["check", "what it tells"], ([f"`{name}`", meaning] for name, meaning in meanings.items()))


def metrics() -> str:
    """What C(status.prom) has, as its code has it: the calls and tuples that begin with a name and its meaning."""
    source = (PROJECT / "plugins" / "plugin_utils" / "fleet" / "metrics.py").read_text(encoding="utf-8")
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Call, ast.Tuple)):
            given = node.args if isinstance(node, ast.Call) else node.elts
            texts = [each.value for each in given[:2] if isinstance(each, ast.Constant) and isinstance(each.value, str)]
            if len(texts) == 2 and texts[0].startswith("dtr_cache_"):
                found.append((node.lineno, [f"`{texts[0]}`", re.sub(r"(dtr_cache_\S+)[.]", r"`\1`.", texts[1])]))
    return rows(["metric", "meaning"], (line for _place, line in sorted(found)))


def alerts() -> str:
    """The rules of C(docs/alerts.yml)."""
    rules = yaml.safe_load((PROJECT / "docs" / "alerts.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    values = re.compile(r"{{ [$](?:labels[.])?(\w+)(?: [|] \w+)? }}")
    lines = [
        [f"`{rule['alert']}`", rule["labels"]["severity"], values.sub(r"*\1*", rule["annotations"]["summary"])]
        for rule in rules
    ]
    return rows(["alert", "severity", "what it says"], lines)


def versions() -> str:
    """The combinations that are tried."""
    stated = yaml.safe_load((PROJECT / "tests" / "versions.yml").read_text(encoding="utf-8"))
    lines = [
        ["control node", row["ansible_core"], ", ".join(row["community_docker"]), ", ".join(row["python"])]
        for row in stated["control_node"]
    ]
    lines.append(["manager reached over SSH", "", "", f"{stated['python_on_managers']} and newer"])
    return rows(["where", "ansible-core", "community.docker", "Python"], lines)


def awx() -> dict[str, t.Any]:
    """What C(dtr.cache.awx) puts into AWX."""
    path = PROJECT / "playbooks" / "vars" / "awx.yml"
    return t.cast("dict[str, t.Any]", yaml.safe_load(path.read_text(encoding="utf-8")))


def awx_credentials() -> str:
    lines = []
    for written in awx()["credential_types"]:
        injectors = written["injectors"]
        given = {**injectors.get("env", {}), **injectors.get("extra_vars", {})}
        for field in written["inputs"]["fields"]:
            name = field["id"]
            target = next(key for key, value in given.items() if re.search(rf"\b{name} }}}}", value))
            is_file = f"filename.{name}" in given[target]
            marks = [word for word, holds in (("required", name in written["inputs"]["required"]),) if holds]
            marks += ["secret"] if field.get("secret") else []
            kind = "variable" if target.startswith("dtr_cache_") else "environment variable"
            what = f"{kind} `{target}`{', the path of a file' if is_file else ''}"
            lines.append([written["name"], field["label"], ", ".join(marks), what])
    return rows(["credential type", "field", "", "what a job gets"], lines)


def awx_templates() -> str:
    lines = [
        [f"`{each['name']}`", each["description"], ", ".join(f"`{asked['variable']}`" for asked in each["asks"])]
        for each in awx()["job_templates"]
    ]
    return rows(["job template", "what it does", "asks for"], lines)


def awx_questions() -> str:
    lines = []
    for asked in awx()["questions"]:
        default = f"`{asked['default']}`" if "default" in asked else ""
        choices = "; ".join(f"`{each}`" for each in asked["choices"])
        lines.append([asked["question_name"], f"`{asked['variable']}`", asked["type"], default, choices])
    return rows(["question", "variable", "type", "default", "choices"], lines)


def awx_workflow() -> str:
    boxes, names = [], []
    for node in awx()["workflow_job_template_nodes"]:
        what = f"job template {node['job_template']}" if "job_template" in node else "a user approves"
        boxes.append(f"{what}{', in check mode' if node.get('job_type') == 'check' else ''}")
        names.append(node["name"])
    widths = [max(len(name), len(what)) for name, what in zip(names, boxes, strict=True)]
    lines = [
        "     ".join(text.ljust(width) for text, width in zip(texts, widths, strict=True)) for texts in (names, boxes)
    ]
    arrows = "".join(f"{'-' * (width + 3)}> " for width in widths[:-1])
    return "\n".join(["```text", lines[0].rstrip(), arrows.rstrip(), lines[1].rstrip(), "```"])


def awx_schedules() -> str:
    lines = [[each["name"], f"`{each['job_template']}`", f"`{each['rrule']}`"] for each in awx()["schedules"]]
    return rows(["schedule", "job template", "when"], lines)


TABLES: dict[str, t.Callable[[], str]] = {
    "checks": checks,
    "metrics": metrics,
    "alerts": alerts,
    "versions": versions,
    "modules": modules,
    "roles": roles,
    "playbooks": playbooks_table,
    "variables": variables,
    "product_lines": product_lines,
    "awx_credentials": awx_credentials,
    "awx_templates": awx_templates,
    "awx_questions": awx_questions,
    "awx_workflow": awx_workflow,
    "awx_schedules": awx_schedules,
}


def filled(page: str) -> str:
    for name, table in TABLES.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        if begin in page:
            head, _begin, rest = page.partition(begin)
            _old, _end, tail = rest.partition(end)
            page = f"{head}{begin}\n{table()}\n{end}{tail}"
    return page


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, fail when something would change")
    check = parser.parse_args().check
    outdated = False
    pages = {PROJECT / name: filled((PROJECT / name).read_text(encoding="utf-8")) for name in PAGES}
    pages[PAGE] = playbook_page()
    pages[PICTURE] = layers_picture()
    roles = [role for role in (PROJECT / "roles").iterdir() if role.is_dir()]
    pages |= {role / "README.md": role_page(role) for role in roles} | {
        role / SPECS: role_specs(role) for role in roles
    }
    pages[SETTINGS / "defaults" / "main.yml"] = defaults()
    for path, new in pages.items():
        name = str(path.relative_to(PROJECT))
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        if new != old and not check:
            path.write_text(new, encoding="utf-8")
        if new != old and check:
            outdated = True
            sys.stdout.writelines(
                difflib.unified_diff(old.splitlines(True), new.splitlines(True), name, "from the code")
            )
    if outdated:
        print("The pages differ from the code; run: python3 tests/lib/reference.py")
    return int(outdated)


if __name__ == "__main__":
    sys.exit(main())
