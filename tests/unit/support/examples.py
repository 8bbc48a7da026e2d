# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with an example of a page: with an inventory or variables, a playbook, or a command."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import re
import subprocess
import typing as t
from pathlib import Path

import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.splitter import parse_kv
from ansible.template import Templar
from ansible.vars.manager import VariableManager
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.model import DTR, MANAGER, NEEDS
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.reader import PREFIX
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.variables import read_host
from ansible_collections.dtr.cache.tests.unit.support.pages import PROJECT, Block, blocks
from ansible_collections.dtr.cache.tests.unit.support.settings import GOOD
from ansible_collections.dtr.cache.tests.unit.support.web import make_identity

PLAYBOOK, INVENTORY, VARIABLES, VAULT, REQUIREMENTS = "playbook", "inventory", "variables", "vault", "requirements"
ENVIRONMENT = "execution environment"

_NOT_A_TASK = {"hosts", "tasks", "roles", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always"}
_VAULTED = re.compile(r"\bvault_[a-z0-9_]+")
_EXAMPLE_HOST = re.compile(r"\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.example\.org\b")
_CA = make_identity("ca", ca=True)
_ANY_SECRET = "a secret of the vault, which is long enough for all"
# One certificate for every host of all pages: an example is about its variables.
_CACHE = make_identity(
    "cache", _CA, addresses=sorted({host for block in blocks() for host in _EXAMPLE_HOST.findall(block.text)})
)
# What the example of a page needs of the inventory that it is added to; its version is that of the DTR.
_REST = {
    **{name: value for name, value in GOOD.items() if name != "dtr_cache_version"},
    "dtr_cache_host": "cache-asia.example.org",
    "dtr_cache_certificate": _CACHE.pem,
    "dtr_cache_private_key": _CACHE.key_pem,
    "dtr_cache_ca_certificate": _CA.pem,
}


def kind_of(block: Block) -> str:
    """What a block of YAML is; empty where it is nothing that is known here."""
    given = yaml.safe_load(block.text)
    if isinstance(given, list):
        return PLAYBOOK if all(isinstance(play, dict) and _is_play(play) for play in given) else ""
    if not isinstance(given, dict):
        return ""
    if all(isinstance(group, dict) and "hosts" in group for group in given.values()):
        return INVENTORY
    if any(name.startswith(PREFIX) for name in given):
        return VARIABLES
    if all(name.startswith("vault_") for name in given):
        return VAULT
    if set(given) & {"dependencies", "images", "additional_build_files", "additional_build_steps"}:
        return ENVIRONMENT if not _unknown_to_builder(given) else ""
    return REQUIREMENTS if set(given) == {"collections"} else ""


def _unknown_to_builder(definition: t.Mapping[str, t.Any]) -> set[str]:
    """The keys that are not in the schema of ansible-builder 3 (ee_schema.py)."""
    known = {"version", "build_arg_defaults", "dependencies", "images", "options"}
    known |= {"additional_build_files", "additional_build_steps"}
    packages = {"ansible_core", "ansible_runner", "exclude", "galaxy", "python", "python_interpreter", "system"}
    return {*(set(definition) - known), *(set(definition.get("dependencies") or {}) - packages)}


def _is_play(play: t.Mapping[str, t.Any]) -> bool:
    return "hosts" in play or any(name.endswith("import_playbook") for name in play)


def problems_of_settings(block: Block, folder: Path) -> list[str]:
    """What the collection has against the variables of an inventory, or of one host in the fleet of the tests.

    Args:
        folder: An empty one, in which the files are made that the example names. It is the working directory.
    """
    files: dict[str, t.Any] = {"inventory.yml": block.text}
    if kind_of(block) == VARIABLES:
        files = {"inventory.yml": _host(_REST), "host_vars/region-asia.yml": block.text}
    return _problems(files, block.text, folder, (DTR, MANAGER) if "for dtr.cache.adopt" in block.text else NEEDS)


def problems_of_extra(extra: t.Mapping[str, t.Any], folder: Path, needs: t.Collection[str]) -> list[str]:
    """What the collection has against extra variables."""
    return _problems({"inventory.yml": _host({**_REST, **extra})}, "", folder, needs)


def _host(variables: t.Mapping[str, t.Any]) -> str:
    return str(yaml.safe_dump({"dtr_caches": {"hosts": {"region-asia": dict(variables)}}}))


def _problems(files: t.Mapping[str, str], text: str, folder: Path, needs: t.Collection[str]) -> list[str]:
    secrets = {name: _CACHE.key_pem if name.endswith("_key") else _ANY_SECRET for name in _VAULTED.findall(text)}
    # The keys of a storage are single words.
    secrets |= {name: "AKIAEXAMPLE" for name in secrets if "_s3_" in name}
    for name, content in {**files, "group_vars/all.yml": json.dumps(secrets)}.items():
        (folder / "inventory" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "inventory" / name).write_text(content, encoding="utf-8")
    for line in text.replace("{{ inventory_hostname }}", "region-asia").splitlines():
        for path in re.findall(r"certs/[\w.-]+", line):
            _make_pem(folder / path, line.strip().partition(":")[0])
    loader = DataLoader()
    inventory = InventoryManager(loader=loader, sources=[str(folder / "inventory" / "inventory.yml")])
    variables = VariableManager(loader=loader, inventory=inventory)
    problems = []
    group = inventory.groups.get("dtr_caches")
    hosts = group.get_hosts() if group else []
    for host in hosts:
        of_host = variables.get_vars(host=host)
        reading = read_host(of_host, Templar(loader=loader, variables=of_host), loader, needs)
        problems += [f"{host.name}: {problem}" for problem in reading.problems]
    return problems if hosts else ["there is no host in the group dtr_caches"]


def _make_pem(path: Path, variable: str) -> None:
    path.parent.mkdir(exist_ok=True)
    own = {"certificate": _CACHE.pem, "private_key": _CACHE.key_pem}
    client = {"registry_client_cert": _CACHE.pem, "registry_client_key": _CACHE.key_pem}
    contents = {f"{PREFIX}{name}": pem for name, pem in {**own, **client}.items()}
    if not path.exists():
        path.write_text(contents.get(variable, _CA.pem))


def tasks_of(plays: t.Any) -> t.Iterator[tuple[str, t.Any, t.Mapping[str, t.Any]]]:
    """The tasks of plays: the module, its options, and the defaults for modules that hold for it."""
    for play in plays:
        for section in ("tasks", "pre_tasks", "post_tasks", "handlers"):
            yield from _tasks(play.get(section) or [], play.get("module_defaults") or {})


def _tasks(tasks: t.Any, defaults: t.Mapping[str, t.Any]) -> t.Iterator[tuple[str, t.Any, t.Mapping[str, t.Any]]]:
    for task in tasks:
        inner = {**defaults, **(task.get("module_defaults") or {})}
        for section in ("block", "rescue", "always"):
            yield from _tasks(task.get(section) or [], inner)
        for name, options in task.items():
            if "." in name and name not in _NOT_A_TASK:
                yield name, options, inner


def unknown_options(given: t.Any, documented: t.Mapping[str, t.Any], where: str = "") -> list[str]:
    """The options, at any depth, that a module does not document."""
    if not isinstance(given, dict):
        return []
    names = {alias: option for name, option in documented.items() for alias in (name, *(option.get("aliases") or ()))}
    unknown = [f"{where}{name}" for name in given if name not in names]
    for name, value in given.items():
        inner = names.get(name, {}).get("suboptions")
        for each in value if isinstance(value, list) else [value]:
            unknown += unknown_options(each, inner, f"{where}{name}.") if inner else []
    return unknown


def parsed_command(program: str, arguments: t.Sequence[str]) -> t.Any:
    """The options of a program of Ansible as it reads them itself.

    Raises:
        ValueError: It does not know one of them.
    """
    names = {"ansible-playbook": "playbook", "ansible-vault": "vault", "ansible-galaxy": "galaxy", "ansible-doc": "doc"}
    name = names[program]
    module = importlib.import_module(f"ansible.cli.{name}")
    cli = getattr(module, f"{name.capitalize()}CLI")([program, *arguments])
    cli.init_parser()
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return cli.parser.parse_args(list(arguments))
    except SystemExit as error:
        raise ValueError(said.getvalue()) from error


def extra_variables(options: t.Any, folder: Path) -> dict[str, t.Any]:
    """Return the variables that C(-e) gives, as Ansible reads them, also from a file below the folder."""
    found: dict[str, t.Any] = {}
    for text in options.extra_vars:
        if text.startswith("@"):
            # Ansible has made it a path below the working directory of the tests.
            found |= yaml.safe_load((folder / Path(text[1:]).name).read_text(encoding="utf-8"))
            continue
        found |= json.loads(text if text.startswith("{") else json.dumps(parse_kv(text)))
    return found


def problems_of_playbook_command(arguments: t.Sequence[str], folder: Path) -> list[str]:
    """What is wrong with a run of C(ansible-playbook) that a page shows.

    Args:
        folder: The working directory, with the inventories that there are.
    """
    try:
        options = parsed_command("ansible-playbook", arguments)
    except ValueError as error:
        return [str(error)]
    extra = extra_variables(options, folder)
    problems = [f"there is no {path}" for path in options.inventory or () if not (folder / path).exists()]
    if options.subset and not problems:
        sources = [str(folder / path) for path in options.inventory]
        inventory = InventoryManager(loader=DataLoader(), sources=sources)
        named = {*inventory.hosts, *inventory.groups}
        problems += [f"{each} is no host of {options.inventory}" for each in {*options.subset.split(",")} - named]
    for name in options.args:
        own = name.startswith("dtr.cache.")
        path = PROJECT / "playbooks" / f"{name.removeprefix('dtr.cache.')}.yml" if own else folder / name
        if not path.exists():
            problems.append(f"there is no {name}")
        elif own:
            problems += _missing(path.read_text(encoding="utf-8"), extra, options.check)
    with_place = folder / "extra"
    with_place.mkdir(exist_ok=True)
    return problems + problems_of_extra(extra, with_place, NEEDS)


def _missing(playbook: str, extra: t.Mapping[str, t.Any], check: bool) -> list[str]:
    """What the playbook cannot do without, and no inventory has."""
    wanted = {"backup": "dtr_cache_backup_file", "awx": "dtr_cache_awx_project_url"}
    wanted |= {} if check else {"confirmation": "dtr_cache_confirm_removal"}
    needs = {word for line in re.findall(r"needs: \[(.*)\]", playbook) for word in line.split(", ")}
    return [f"{name} is missing" for need, name in wanted.items() if need in needs and name not in extra]


def documented(modules: t.Collection[str]) -> dict[str, dict[str, t.Any]]:
    """The options of modules, as C(ansible-doc) has them; one that is not there is missing."""
    done = subprocess.run(
        ["ansible-doc", "--json", "--type", "module", *sorted(modules)],
        capture_output=True,
        text=True,
        check=False,
    )
    found = json.loads(done.stdout or "{}")
    return {name: entry["doc"].get("options") or {} for name, entry in found.items() if "doc" in entry}
