# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of the playbooks: what each does, requires and reports, by its first comment and its tasks."""

from __future__ import annotations

import ast
import re
import typing as t
from pathlib import Path

import yaml
from reference_roles import LICENCE, needs_of, required_by
from reference_vocabulary import PREFIX, PROJECT, rows

PAGE = PROJECT / "docs" / "playbooks.md"
PLAYBOOKS = PROJECT / "playbooks"
MORE = PROJECT / "docs" / "reports.yml"
REPORTS = PROJECT / "plugins" / "plugin_utils" / "fleet" / "reports.py"
# What stands in the first comments for something of the reader's own.
PLACES = {
    "INVENTORY": "inventory.yml",
    "FILE": "dtr-caches.json",
    "REGION": "region-asia",
    "NAME": "region-asia",
    "REPOSITORY": "https://git.example.org/operations/dtr-caches.git",
}
_PURPOSE = re.compile(r"^# (?!Copyright|SPDX)(.+?):(?:\n#)? (ansible-playbook.*)$", re.MULTILINE)

Tasks = list[dict[str, t.Any]]


def playbooks() -> list[Path]:
    return sorted(PLAYBOOKS.glob("*.yml"))


def purpose(playbook: Path) -> tuple[str, str]:
    """What a playbook does, and the command that runs it, as its first comment has it."""
    found = _PURPOSE.search(playbook.read_text(encoding="utf-8"))
    if found is None:
        raise SystemExit(f"{playbook} does not say in its first comment what it does: '# …: ansible-playbook …'")
    return found[1], found[2]


def playbook_page() -> str:
    """docs/playbooks.md as a whole."""
    statistics = _statistics()
    more = yaml.safe_load(MORE.read_text(encoding="utf-8"))
    lines = [
        LICENCE,
        "# Playbooks",
        "Each one is run by its name. `inventory.yml` is your inventory, whose group `dtr_caches` has one "
        "host for each region. All of them take `--check`, `--diff` and `--limit`, and any of the "
        "[variables](variables.md), also as extra variables.",
        "Each but `dtr.cache.awx` ends with a report: a table on the screen, and the same as statistics of the run, "
        "which AWX keeps as artifacts. The exit code is that of `ansible-playbook`: 0 when every region is well, 2 "
        "when a region failed or, for `status`, `diagnose` and `verify`, is not healthy, 4 when inventory or playbook "
        "cannot be read, and 99 after Ctrl-C. A manager that cannot be reached counts as a failure of its region.",
        rows(
            ["playbook", "what it does"],
            ([f"[`{_name(each)}`](#{_anchor(each)})", purpose(each)[0]] for each in playbooks()),
        ),
    ]
    for playbook in playbooks():
        lines += _entry(playbook, statistics, more[playbook.stem])
    return "\n\n".join(lines) + "\n"


def _entry(playbook: Path, statistics: t.Mapping[str, str], more: t.Mapping[str, t.Any]) -> list[str]:
    says, command = purpose(playbook)
    for word, place in PLACES.items():
        command = re.sub(rf"\b{word}\b", place, command)
    tasks = list(_tasks(playbook))
    needs = [need for task in tasks for need in _needs(task)]
    roles = list(dict.fromkeys(filter(None, map(_role, tasks))))
    reports = [task["dtr.cache.report"]["of"] for task in tasks if "dtr.cache.report" in task]
    lines = [f"## `{_name(playbook)}`", f"{says}.", f"```console\n$ {command}\n```"]
    facts = {
        "Requires": list(map(_variable, required_by(needs))),
        "Worth a look": [_variable(name) for name in more["variables"] if name not in required_by(needs)],
        "Files": [more["files"]] if "files" in more else [],
        "Steps of roles": [
            f"[`{name.rpartition('.')[2]}`](../roles/{name.rpartition('.')[2]}/README.md)" for name in roles
        ],
        "Statistics": [f"`{statistics[report]}`" for report in dict.fromkeys(reports)],
    }
    lines.append("\n".join(f"- {title}: {', '.join(found)}" for title, found in facts.items() if found))
    return [*lines, f"```text\n{more['report'].rstrip()}\n```"] if "report" in more else lines


def _variable(name: str) -> str:
    return f"[`{PREFIX}{name}`](variables.md#{PREFIX}{name})"


def _name(playbook: Path) -> str:
    return f"dtr.cache.{playbook.stem}"


def _anchor(playbook: Path) -> str:
    return _name(playbook).replace(".", "")


def _tasks(file: Path) -> t.Iterator[dict[str, t.Any]]:
    """The tasks of a playbook, and of the files that they include."""
    for entry in yaml.safe_load(file.read_text(encoding="utf-8")):
        yield from _flat(entry.get("tasks", [entry]), file.parent)


def _flat(tasks: Tasks, folder: Path) -> t.Iterator[dict[str, t.Any]]:
    for task in tasks:
        yield task
        for section in ("block", "rescue", "always"):
            yield from _flat(task.get(section) or [], folder)
        included = task.get("ansible.builtin.import_tasks") or task.get("ansible.builtin.include_tasks")
        if included:
            yield from _tasks(folder / included)


def _needs(task: dict[str, t.Any]) -> list[str]:
    """What a task has the preflight check. A role that runs as a whole does so itself."""
    uses = task.get("ansible.builtin.import_role") or {}
    if uses and "tasks_from" not in uses:
        return needs_of(PROJECT / "roles" / uses["name"].rpartition(".")[2])
    return list((task.get("dtr.cache.preflight") or {}).get("needs", []))


def _role(task: dict[str, t.Any]) -> str | None:
    uses = task.get("ansible.builtin.import_role") or task.get("ansible.builtin.include_role") or {}
    return uses.get("name")


def _statistics() -> dict[str, str]:
    """The name of the statistics of each kind of report."""
    for node in ast.walk(ast.parse(REPORTS.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "REPORTS":
            reports = t.cast("ast.Dict", node.value)
            calls = t.cast("list[ast.Call]", reports.values)
            names = [ast.literal_eval(key) for key in reports.keys if key]
            return {name: ast.literal_eval(call.args[0]) for name, call in zip(names, calls, strict=True)}
    raise SystemExit(f"{REPORTS} has no REPORTS")
