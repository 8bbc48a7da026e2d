# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the tables of the pages, and the pages and options of the roles, from the code.

With --check it fails when they differ. Between C(<!-- NAME: begin -->) and C(<!-- NAME: end -->) stands what this
program writes; all else is written by hand. A role's C(README.md) is written as a whole, and the options of its
argument specs: those that the role uses of role C(settings), where they are written by hand. Without them Ansible would
refuse them as parameters of the role.
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

PROJECT = Path(__file__).resolve().parents[2]
UNUSED = "Has no effect on this role."
SPECS = Path("meta") / "argument_specs.yml"
PAGES = ("README.md", "docs/variables.md", "docs/awx.md", "docs/guides/versions.md")
LICENCE = """<!--
SPDX-FileCopyrightText: Contributors to the dtr.cache project
SPDX-License-Identifier: GPL-3.0-or-later
-->"""

# The variables without which a part of a deployment that a role needs is not complete.
REQUIRED = {
    "cache": ("name", "host"),
    "registry": ("name", "registry_url", "registry_username", "registry_password"),
    "dtr": ("registry_url", "registry_username", "registry_password"),
    "certificate": ("certificate", "private_key"),
    "manager": (),
    "swarm": ("nodes",),
    "address": ("registry_url",),
    "port": (),
}
# The same for what a step needs besides, which the preflight judges by itself.
REQUIRED_BY_STEPS = {
    "trust": ("registry_url",),
    "confirmation": ("confirm_removal",),
    "rotation": (),
    "verification": (),
    "warming": ("warm_images",),
    "backup": ("backup_file",),
    "registration": (),
    "assignment": (),
    "pull": (),
}
# Variables of which something else is made that roles use, by what it is called in the result of the preflight.
BEHIND = {
    "url": ("host", "port", "public_port"),
    "dtr": ("registry_url",),
    "validate_certs": ("registry_validate_certs",),
    "node_labels": ("nodes", "product"),
    "client_authorities": ("ca_certificate", "client_cas"),
    "warm": ("warm_images", "warm_platforms", "warm_concurrency"),
    "probe": (
        *("name", "host", "port", "public_port", "certificate", "ca_certificate", "min_days", "assignments"),
        *("verify_image", "verify_account"),
    ),
    "engine": ("docker_host", "client_bundle"),
    "dtr_ca": ("registry_url", "registry_ca", "registry_ca_fingerprint"),
    "others": ("assignments",),
    "undo": ("firewall_hosts", "client_hosts", "ca_certificate"),
}
CONNECTION = (
    *("registry_url", "registry_username", "registry_password", "registry_client_cert", "registry_client_key"),
    "registry_validate_certs",
)
# What roles call by its name, and the variables that it reads itself.
READERS = {
    "dtr.cache.connection": CONNECTION,
    "dtr.cache.fleet_info": (
        *(*CONNECTION, *BEHIND["probe"]),
        *(*BEHIND["dtr_ca"], "former_names"),
    ),
}
# What gives the whole deployment to a role.
DEPLOYMENT = ("__dtr_cache.deployment", "lookup('dtr.cache.deployment'")


def documentation(module: Path) -> dict[str, t.Any]:
    """The DOCUMENTATION of a plugin, without importing it."""
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "DOCUMENTATION":
            return t.cast("dict[str, t.Any]", yaml.safe_load(ast.literal_eval(node.value)))
    raise SystemExit(f"{module} has no DOCUMENTATION")


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
        lines.append([f"[`{role.name}`](roles/{role.name}/README.md)", plain(f"{spec['short_description']}. {first}")])
    return rows(["role", "what it does"], lines)


def role_page(role: Path) -> str:
    """What a role is for, without which variables it does not work, and which others it uses."""
    spec = argument_spec(role)
    required, others = role_variables(role)
    text = [plain(each) for each in spec["description"] if not each.startswith("The variables are those of role")]
    lines = [LICENCE, f"# dtr.cache.{role.name}", f"{spec['short_description']}.", *text]
    meaning = "[docs/variables.md](../../docs/variables.md)"
    if role.name == "settings":
        return "\n\n".join([*lines, f"Its variables are all of those in {meaning}."]) + "\n"
    for label, names in (("Required", required), ("Also" if required else "Variables", others)):
        if names:
            lines.append(f"{label}: " + ", ".join(f"`dtr_cache_{name}`" for name in names))
    return "\n\n".join([*lines, f"The variables are described in {meaning}."]) + "\n"


def role_variables(role: Path) -> tuple[list[str], list[str]]:
    """The variables, without their prefix, that a role requires, and the others that it uses."""
    required = list(dict.fromkeys(name for need in _needs(role) for name in {**REQUIRED, **REQUIRED_BY_STEPS}[need]))
    vocabulary = [name.removeprefix("dtr_cache_") for name in argument_spec(PROJECT / "roles" / "settings")["options"]]
    used = {*_used(role), "ignore_variables"} - set(required)
    return required, [name for name in vocabulary if name in used]


def role_specs(role: Path) -> str:
    """The argument specs of a role, with the options of the variables that it uses."""
    head, options, _old = (role / SPECS).read_text(encoding="utf-8").partition("    options:")
    if role.name == "settings":
        return head + options + _old
    vocabulary = (PROJECT / "roles" / "settings" / SPECS).read_text(encoding="utf-8")
    names = {f"dtr_cache_{name}" for part in role_variables(role) for name in part}
    described = re.findall(r"^      (\w+):\n((?:^        .*\n?|^\n)+)", vocabulary, re.MULTILINE)
    chosen = "".join(f"      {name}:\n{text}" for name, text in described if name in names)
    # As variables they would do no harm either.
    others = "".join(
        f"      {name}: {{type: raw, description: {UNUSED}}}\n" for name, _text in described if name not in names
    )
    return f"{head}{options}\n{chosen}{others}"


def _needs(role: Path) -> list[str]:
    """The parts of a deployment that a role has its preflight check."""
    return [
        need for path in sorted((role / "tasks").glob("*.yml")) for need in _checked(yaml.safe_load(path.read_text()))
    ]


def _checked(tasks: t.Any) -> list[str]:
    found = []
    for task in tasks or []:
        needs = (task.get("dtr.cache.preflight") or {}).get("needs")
        found += needs if isinstance(needs, list) else []
        for section in ("block", "rescue", "always"):
            found += _checked(task.get(section))
    return found


def _used(role: Path) -> set[str]:
    """The variables, without their prefix, that stand behind what a role's files name."""
    files = [path for folder in ("tasks", "vars", "templates") for path in (role / folder).rglob("*") if path.is_file()]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    names = set(re.findall(r"__dtr_cache[.](?:settings[.])?(\w+)", text))
    names |= {name for reader, read in READERS.items() if reader in text for name in read}
    if any(name in text for name in DEPLOYMENT):
        deployment = (PROJECT / "plugins" / "plugin_utils" / "deployment" / "definition.py").read_text(encoding="utf-8")
        names |= {*re.findall(r"\bsettings[.](\w+)", deployment), "version"}
    return {name for found in names for name in (found, *BEHIND.get(found, ()))}


def playbooks() -> str:
    lines = []
    for playbook in sorted((PROJECT / "playbooks").glob("*.yml")):
        purpose = re.search(r"^# (?!Copyright|SPDX)(.+?):(?:\n#)? ansible-playbook", playbook.read_text(), re.MULTILINE)
        if purpose is None:
            raise SystemExit(f"{playbook} does not say in its first comment what it does: '# …: ansible-playbook …'")
        lines.append([f"`dtr.cache.{playbook.stem}`", purpose[1]])
    return rows(["playbook", "what it does"], lines)


def variables() -> str:
    lines = []
    for name, option in argument_spec(PROJECT / "roles" / "settings")["options"].items():
        description = option["description"]
        text = " ".join(description) if isinstance(description, list) else description
        default = f"`{_shown(option['default'])}`" if "default" in option else ""
        lines.append([f"`{name}`", default, plain(text)])
    return rows(["variable", "default", "meaning"], lines)


def _shown(value: t.Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def checks() -> str:
    """What C(cache_health) checks, as its code has it."""
    source = (PROJECT / "plugins" / "module_utils" / "health" / "checks.py").read_text(encoding="utf-8")
    meanings = next(
        ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.AnnAssign) and node.value and getattr(node.target, "id", "") == "CHECKS"
    )
    return rows(["check", "what it tells"], ([f"`{name}`", meaning] for name, meaning in meanings.items()))


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
    path = PROJECT / "plugins" / "plugin_utils" / "awx" / "content.yml"
    return t.cast("dict[str, t.Any]", yaml.safe_load(path.read_text(encoding="utf-8")))


def awx_credentials() -> str:
    lines = []
    for written in awx()["credential_types"].values():
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
    lines = []
    for name, asks in awx()["job_templates"].items():
        play = yaml.safe_load((PROJECT / "playbooks" / f"{name}.yml").read_text(encoding="utf-8"))[0]
        lines.append([f"`{name}`", play["name"], ", ".join(f"`dtr_cache_{each}`" for each in asks)])
    return rows(["job template", "what it does", "asks for"], lines)


def awx_questions() -> str:
    options = argument_spec(PROJECT / "roles" / "settings")["options"]
    lines = []
    for name, written in awx()["questions"].items():
        default = options[f"dtr_cache_{name}"].get("default") or ""
        shown = ", ".join(map(str, default)) if isinstance(default, list) else str(default)
        choices = "; ".join(f"`{each}`" for each in written.get("choices", []))
        lines.append(
            [written["question_name"], f"`dtr_cache_{name}`", written["type"], shown and f"`{shown}`", choices]
        )
    return rows(["question", "variable", "type", "default", "choices"], lines)


def awx_workflow() -> str:
    nodes = awx()["workflow"]["nodes"]
    boxes, names = [], []
    for node in nodes:
        what = f"job template {node['job_template']}" if "job_template" in node else "somebody approves"
        boxes.append(f"{what}{', in check mode' if node.get('job_type') == 'check' else ''}")
        names.append(node["identifier"])
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
    "versions": versions,
    "modules": modules,
    "roles": roles,
    "playbooks": playbooks,
    "variables": variables,
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
    roles = [role for role in (PROJECT / "roles").iterdir() if role.is_dir()]
    pages |= {role / "README.md": role_page(role) for role in roles} | {
        role / SPECS: role_specs(role) for role in roles
    }
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
