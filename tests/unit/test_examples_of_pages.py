# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each example and each command of the pages is one that works: read as Ansible and the collection read it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.dtr.cache.tests.unit.support.examples import (
    INVENTORY,
    PLAYBOOK,
    REQUIREMENTS,
    VARIABLES,
    VAULT,
    documented,
    kind_of,
    parsed_command,
    problems_of_playbook_command,
    problems_of_settings,
    tasks_of,
    unknown_options,
)
from ansible_collections.dtr.cache.tests.unit.support.lookups import without_environment
from ansible_collections.dtr.cache.tests.unit.support.pages import PROJECT, README, Block, blocks, commands, fenced

OF_YAML = [block for block in blocks() if block.language == "yaml"]
PLAYBOOKS = [block for block in OF_YAML if kind_of(block) == PLAYBOOK]
SETTINGS = [block for block in OF_YAML if kind_of(block) in (INVENTORY, VARIABLES)]
EXAMPLE_FLEET = PROJECT / "inventory" / "example"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    without_environment(monkeypatch)


def block(text: str) -> Block:
    return Block(README, 0, "yaml", text)


@pytest.mark.parametrize("example", OF_YAML, ids=str)
def test_each_example_is_something_that_is_checked(example: Block) -> None:
    assert kind_of(example)


@pytest.mark.parametrize(
    "text",
    [
        "image: x\n",
        "- name: A task\n  ansible.builtin.debug:\n",
        "services: {a: {}}\n",
        "5\n",
        "dependencies: {galxy: x}\n",
    ],
)
def test_an_example_that_nothing_checks_is_found(text: str) -> None:
    assert kind_of(block(text)) == ""


@pytest.mark.parametrize("example", SETTINGS, ids=str)
def test_inventories_and_variables_are_accepted(
    example: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert problems_of_settings(example, tmp_path) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("dtr_cache_blob_ttl: 24\n", "dtr_cache_blob_ttl: 24 has no unit"),
        ("dtr_cache_blob_til: 24h\n", "did you mean dtr_cache_blob_ttl?"),
        ("dtr_cache_storage: {s3: {region: x}, gcs: {bucket: y}}\n", "second backend beside"),
        ("dtr_cache_registry_password: '{{ vault_of_nobody }} {{ nobody_knows_it }}'\n", "nobody_knows_it"),
        ("dtr_caches: {hosts: {a: {dtr_cache_host: cache-asia.example.org}}}\n", "dtr_cache_certificate: is required"),
        ("other: {hosts: {a: {}}}\n", "there is no host in the group dtr_caches"),
    ],
)
def test_a_mistake_in_an_inventory_is_found(
    text: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert problem in " ".join(problems_of_settings(block(text), tmp_path))


def test_vaulted_variables_are_used_by_another_example() -> None:
    used = "".join(each.text for each in SETTINGS)
    vaulted = [name for each in OF_YAML if kind_of(each) == VAULT for name in yaml.safe_load(each.text)]
    assert vaulted
    assert [name for name in vaulted if f"{{{{ {name} " not in used] == []


def test_requirements_name_this_collection() -> None:
    found = [yaml.safe_load(each.text)["collections"] for each in OF_YAML if kind_of(each) == REQUIREMENTS]
    meta = yaml.safe_load((PROJECT / "galaxy.yml").read_text())
    for collections in found:
        for each in collections:
            assert each["name"] in ("dtr.cache", f"git+{meta['repository']}", *meta["dependencies"])


def test_playbooks_pass_ansibles_own_parser(tmp_path: Path) -> None:
    """All in one run: a run for each would take a second of them."""
    files = []
    for example in PLAYBOOKS:
        files.append(tmp_path / f"{example}.yml")
        files[-1].write_text(example.text)
    assert len(files) >= 2
    assert not parser_says(*files)
    (tmp_path / "wrong.yml").write_text("- {hosts: all, roles: [dtr.cache.assignment]}\n")
    assert "'dtr.cache.assignment' was not found" in parser_says(tmp_path / "wrong.yml")


def parser_says(*playbooks: Path) -> str:
    """What Ansible has against playbooks for the example fleet."""
    done = subprocess.run(
        ["ansible-playbook", "--syntax-check", "-i", str(EXAMPLE_FLEET), *map(str, playbooks)],
        # A group that the example fleet does not have is a mistake of the page.
        env={**os.environ, "ANSIBLE_HOST_PATTERN_MISMATCH": "error"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr if done.returncode else ""


def test_modules_have_the_options_that_playbooks_give_them() -> None:
    used = [(each, *task) for each in PLAYBOOKS for task in tasks_of(yaml.safe_load(each.text))]
    modules = {module for _block, module, _options, _defaults in used}
    known = documented(modules)
    assert modules <= set(known)
    assert {"dtr.cache.cache_health", "ansible.builtin.include_role"} <= modules
    for each, module, options, defaults in used:
        assert unknown_options(options, known[module]) == [], f"{each}: {module}"
        required = {name for name, option in known[module].items() if option.get("required")}
        given = {*(options or {}), *(name for of_group in defaults.values() for name in of_group)}
        assert required <= given or not isinstance(options, dict), f"{each}: {module}"
    wrong = {"cahces": [], "caches": [{"nmae": "x", "name": "y"}]}
    assert unknown_options(wrong, known["dtr.cache.cache_health"]) == ["cahces", "caches.nmae"]


@pytest.fixture
def written_folder(tmp_path: Path) -> Path:
    """The checkout with the smallest inventory of the README, as a file beside it."""
    for entry in PROJECT.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    (smallest,) = (text for text in fenced(README, "yaml") if text.startswith("dtr_caches:"))
    (tmp_path / "inventory.yml").write_text(smallest)
    (variables,) = (
        text for text in fenced(PROJECT / "docs" / "guides" / "awx.md", "yaml") if text.startswith("# awx.yml")
    )
    (tmp_path / "awx.yml").write_text(variables)
    return tmp_path


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_commands_can_be_typed_as_they_stand(command: list[str], written_folder: Path) -> None:
    assert problems_of(command, written_folder) == []


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("ansible-playbook -i inventory/example dtr.cache.deplyo", "there is no dtr.cache.deplyo"),
        ("ansible-playbook -i inventory/exmaple dtr.cache.deploy", "there is no inventory/exmaple"),
        ("ansible-playbook -i inventory/example dtr.cache.deploy --limit region-asai", "region-asai is no host"),
        ("ansible-playbook -i inventory/example dtr.cache.deploy --chekc", "--chekc"),
        ("ansible-playbook -i inventory/example dtr.cache.deploy -e dtr_cache_blob_ttl=5", "has no unit"),
        ("ansible-playbook -i inventory/example dtr.cache.deploy -e dtr_cache_blob=5h", "did you mean"),
        ("ansible-playbook -i inventory/example dtr.cache.backup", "dtr_cache_backup_file is missing"),
        ("ansible-vault creat x.yml", "creat"),
        ("ansible-doc dtr.cache.stack_plna", "stack_plna"),
        ("ansible-galaxy collection install dtr.caches", "dtr.caches"),
        ("ansible-navigator run dtr.cache.deplyo -i inventory.yml", "there is no dtr.cache.deplyo"),
        ("ansible-builder biuld --tag x", "biuld"),
        ("ansible-runner run data --container-iamge x", "--container-iamge"),
        ("docker swarn init", "docker swarn"),
        ("cp -r docs/exmaples there", "docs/exmaples"),
        ("cd nowhere", "cd nowhere"),
        ("tests/dmeo", "tests/dmeo"),
        ("certbot renew", "certbot"),
    ],
)
def test_a_mistake_in_a_command_is_found(command: str, problem: str, written_folder: Path) -> None:
    assert problem in " ".join(problems_of(command.split(), written_folder))


def problems_of(command: t.Sequence[str], folder: Path) -> list[str]:
    program, *arguments = command
    if program == "ansible-playbook":
        return problems_of_playbook_command(arguments, folder)
    if program in ("ansible-vault", "ansible-doc", "ansible-galaxy"):
        try:
            options = parsed_command(program, arguments)
        except ValueError as error:
            return [str(error)]
        return _wrong_names(program, options)
    if program == "ansible-navigator":
        # What follows is for ansible-playbook; tests/environment runs both programs.
        return problems_of_playbook_command(arguments[1:], folder) if arguments[0] == "run" else [arguments[0]]
    if program in (*KNOWN, "openssl"):
        return _wrong_program(program, arguments)
    if program in ("cp", "cd"):
        # What is copied there can be gone to.
        copied = [words[-1] for words in commands() if words[0] == "cp"]
        there = program == "cd" and arguments[0] in copied
        return [] if there or (PROJECT / arguments[-2 if program == "cp" else 0]).exists() else [" ".join(command)]
    if not os.access(PROJECT / program, os.X_OK):
        return [f"{program} is no program of the repository"]
    return [f"there is no {each}" for each in arguments if "/" in each and not (PROJECT / each).exists()]


def test_what_root_types_does_what_the_page_says(tmp_path: Path) -> None:
    """In a folder that stands for the root of the file system."""
    systemd = PROJECT / "docs" / "systemd"
    work = shutil.copytree(systemd, tmp_path / "work")
    for name in ("dtr-ca.pem", "cache-ca.pem"):
        (work / name).write_text(name)
    (tmp_path / "etc" / "systemd" / "system").mkdir(parents=True)
    for program, *arguments in commands("#"):
        if program in ("systemctl", "journalctl"):
            assert arguments[-1] in ("daemon-reload", *(unit.name for unit in systemd.iterdir()))
        else:
            assert program in ("mkdir", "cp", "install")
            there = [re.sub("^/etc/", f"{tmp_path}/etc/", each) for each in arguments]
            subprocess.run([program, *there], cwd=work, check=True)
    made = {str(path.relative_to(tmp_path)) for path in (tmp_path / "etc").rglob("*") if path.is_file()}
    assert {f"etc/systemd/system/{unit.name}" for unit in systemd.iterdir()} < made
    (hosts,) = [each.text for each in blocks() if each.language == "toml"]
    folder = "/etc/containerd/certs.d/dtr.example.org"
    authorities = sorted(each for each in made if each.startswith("etc/docker/certs.d/"))
    named = "".join(f'  "{folder}/{Path(each).name}",\n' for each in reversed(authorities))
    assert hosts == f'server = "https://{Path(folder).name}"\nca = [\n{named}]\n'


def _wrong_names(program: str, options: t.Any) -> list[str]:
    if program == "ansible-doc":
        folder = {"module": "plugins/modules", "filter": "plugins/filter", "role": "roles"}[options.type]
        names = [(name, PROJECT / folder / name.removeprefix("dtr.cache.")) for name in options.args]
        return [name for name, path in names if not (path.exists() or path.with_suffix(".py").exists())]
    if program == "ansible-galaxy" and options.action == "install":
        meta = yaml.safe_load((PROJECT / "galaxy.yml").read_text())
        name = f"{meta['namespace']}.{meta['name']}"
        known = (name, f"git+{meta['repository']}", f"{name.replace('.', '-')}-1.0.0.tar.gz")
        return [each for each in options.args if each not in known]
    return []


# What the programs of others are asked to do, which the lab (test_forms.py) and tests/environment do for real.
KNOWN = {
    "git": {"clone", "push"},
    "docker": {"load", "login", "node", "push", "run", "save", "service", "stack", "tag"},
    "ansible-builder": {"build"},
    "ansible-runner": {"run"},
}
OPTIONS = {
    "ansible-builder": {"--tag"},
    "ansible-runner": {"-p", "--process-isolation", "--process-isolation-executable", "--container-image"},
}


def _wrong_program(program: str, arguments: t.Sequence[str]) -> list[str]:
    """Of programs of others what is known of them, and of OpenSSL what it says itself."""
    given = [each for each in arguments[1:] if each.startswith("-")]
    if program in KNOWN:
        unknown = [] if arguments[0] in KNOWN[program] else [f"{program} {arguments[0]}"]
        return unknown + [each for each in given if program in OPTIONS and each not in OPTIONS[program]]
    if not shutil.which(program):
        return []
    done = subprocess.run([program, arguments[0], "-help"], capture_output=True, text=True, check=False)
    known = done.stdout + done.stderr
    return [each for each in given if f"{each} " not in known] if done.returncode == 0 else [program]
