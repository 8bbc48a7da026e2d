# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of the roles and the options of their argument specs, by the variables that a role requires or uses."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import yaml
from reference_vocabulary import (
    PREFIX,
    PROJECT,
    SPECS,
    argument_spec,
    default_or_required,
    options,
    plain,
    rows,
    vocabulary,
)

LICENCE = """<!--
SPDX-FileCopyrightText: Contributors to the dtr.cache project
SPDX-License-Identifier: GPL-3.0-or-later
-->"""
VARIABLES = "../../docs/variables.md"

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
    "restore": ("backup_file",),
    "awx": ("awx_project_url",),
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
    "claims": ("assignments",),
    "undo": ("firewall_hosts", "client_hosts", "ca_certificate"),
    # Of the plan, for whoever deploys it.
    "compose": ("former_stack_names", "keep_versions"),
}
# What the preflight reads for a need and hands on, also where no other task of the role names it.
READ_FOR = {
    "address": (
        *(*BEHIND["dtr_ca"], "registry_validate_certs", "host"),
        *("certificate", "private_key", "ca_certificate"),
    ),
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
# What a step of M(dtr.cache.put_in_use) reads of the settings stands in a function of its name; these are for all.
IN_USE = PROJECT / "plugins" / "plugin_utils" / "fleet" / "in_use.py"
FOR_EACH_STEP = (*CONNECTION, *BEHIND["dtr_ca"])
# The log of the cache explains why one of these failed.
FOR_THE_LOG = dict.fromkeys(("probe", "pull"), (*BEHIND["engine"], "stack_name", "logs_since"))
# What gives the whole deployment to a role.
DEPLOYMENT = ("__dtr_cache.deployment", "lookup('dtr.cache.deployment'", "for_hosts:")
# What a plan for several hosts reads of their settings stands there.
QUESTIONS = PROJECT / "plugins" / "plugin_utils" / "deployment" / "stack_plan.py"


def role_page(role: Path) -> str:
    """What a role is for, without which variables it does not work, which others it uses, and an example."""
    spec = argument_spec(role)
    text = [plain(each) for each in spec["description"] if not each.startswith("The variables are those of role")]
    lines = [LICENCE, f"# dtr.cache.{role.name}", f"{spec['short_description']}.", *text]
    if role.name == "settings":
        lines.append(f"Its variables are all of those in [docs/variables.md]({VARIABLES}).")
    else:
        lines += ["## Variables", _variables_of(role)]
    lines += ["## Example", f"```yaml\n{spec['examples'].rstrip()}\n```"]
    return "\n\n".join(lines) + "\n"


def _variables_of(role: Path) -> str:
    """A table of the variables that a role uses, those that it requires first."""
    required, others = ([f"{PREFIX}{name}" for name in names] for names in role_variables(role))
    described = {variable.name: variable for variable in vocabulary()}
    lines = []
    for name in (*required, *others):
        variable = described[name]
        first = re.split(r"(?<=[.])\s", variable.meaning[0])[0]
        when = "without it" if variable.default.startswith("the environment") else "always"
        default = default_or_required(variable, when if name in required else "")
        lines.append(
            [f"[`{name}`]({VARIABLES}#{name})", variable.type, default.replace("](#", f"]({VARIABLES}#"), first]
        )
    return rows(["variable", "type", "default", "meaning"], lines)


def required_by(needs: t.Iterable[str]) -> list[str]:
    """The variables, without their prefix, without which the preflight refuses these needs."""
    required = {**REQUIRED, **REQUIRED_BY_STEPS}
    return list(dict.fromkeys(name for need in needs for name in required[need]))


def role_variables(role: Path) -> tuple[list[str], list[str]]:
    """The variables, without their prefix, that a role requires, and the others that it uses."""
    required = required_by(needs_of(role))
    names = [each.name.removeprefix(PREFIX) for each in vocabulary()]
    used = {
        *_used(role),
        *_used_in_steps(role),
        *(name for need in needs_of(role) for name in READ_FOR.get(need, ())),
        "ignore_variables",
    } - set(required)
    return required, [name for name in names if name in used]


def role_specs(role: Path) -> str:
    """Return the argument specs of a role, with the options of the variables that it uses."""
    head = (role / SPECS).read_text(encoding="utf-8").partition("    options:")[0]
    if role.name == "settings":
        return f"{head}    options:\n{options([each.name for each in vocabulary()])}"
    return f"{head}    options:\n{options([f'{PREFIX}{name}' for part in role_variables(role) for name in part])}"


def needs_of(role: Path) -> list[str]:
    """The parts of a deployment that a role has its preflight check."""
    return _listed(role, "dtr.cache.preflight", "needs")


def _listed(role: Path, module: str, option: str) -> list[str]:
    """What stands in an option of a module, in all tasks of a role."""
    paths = sorted((role / "tasks").glob("*.yml"))
    return [each for path in paths for each in _listed_in(yaml.safe_load(path.read_text()), module, option)]


def _listed_in(tasks: t.Any, module: str, option: str) -> list[str]:
    found = []
    for task in tasks or []:
        given = (task.get(module) or {}).get(option)
        found += given if isinstance(given, list) else []
        for section in ("block", "rescue", "always"):
            found += _listed_in(task.get(section), module, option)
    return found


def _used_in_steps(role: Path) -> set[str]:
    """The variables, without their prefix, that the steps of a role read by which it puts a cache in use."""
    used: set[str] = set()
    for step in _listed(role, "dtr.cache.put_in_use", "steps"):
        source = re.search(rf"    def _{step}\(.*?(?=\n    def )", IN_USE.read_text(encoding="utf-8"), re.DOTALL)
        if source is None:
            raise SystemExit(f"{IN_USE} has no function for step {step}")
        names = re.findall(r'settings\["(\w+)"\]', source[0])
        used.update(name for found in names for name in (found, *BEHIND.get(found, ())))
        used.update([*FOR_EACH_STEP, *FOR_THE_LOG.get(step, ())])
    return used


def _used(role: Path) -> set[str]:
    """The variables, without their prefix, that stand behind what a role's files name."""
    files = [path for folder in ("tasks", "vars", "templates") for path in (role / folder).rglob("*") if path.is_file()]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    names = set(re.findall(r"__dtr_cache[.](?:settings[.]|plan[.])?(\w+)", text))
    names |= {name for reader, read in READERS.items() if reader in text for name in read}
    if "for_hosts:" in text:
        names |= set(re.findall(r'settings\["(\w+)"\]', QUESTIONS.read_text(encoding="utf-8")))
    if any(name in text for name in DEPLOYMENT):
        deployment = (PROJECT / "plugins" / "plugin_utils" / "deployment" / "definition.py").read_text(encoding="utf-8")
        names |= {*re.findall(r"\bsettings[.](\w+)", deployment), "version"}
    return {name for found in names for name in (found, *BEHIND.get(found, ()))}
