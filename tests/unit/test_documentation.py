# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pages say is what the code does: links, examples, the example inventory, licences and metadata."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.reports import deployment
from ansible_collections.dtr.cache.tests.unit.support import facts

PROJECT = Path(__file__).parents[2]
README = PROJECT / "README.md"
_PATTERNS = ("*.md", "docs/*.md", "docs/examples/**/*.md", "roles/*/*.md")
PAGES = sorted(path for pattern in _PATTERNS for path in PROJECT.glob(pattern))
ANY_SECRET = "x"


def fenced(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_that_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith("https://"):
            assert (page.parent / target).exists(), target


PLAYBOOKS = [
    (page.name, number, example)
    for page in PAGES
    for number, example in enumerate(fenced(page, "yaml"))
    if isinstance(yaml.safe_load(example), list)
]


@pytest.mark.parametrize(("page", "number", "example"), PLAYBOOKS)
def test_example_playbooks_are_sound(page: str, number: int, example: str, tmp_path: Path) -> None:
    playbook = tmp_path / "playbook.yml"
    playbook.write_text(example)
    result = subprocess.run(
        ["ansible-playbook", "--syntax-check", "-i", str(PROJECT / "inventory" / "example"), str(playbook)],
        # A group that the example fleet does not have is a mistake of the page.
        env={**os.environ, "ANSIBLE_HOST_PATTERN_MISMATCH": "error"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_there_are_example_playbooks() -> None:
    assert len(PLAYBOOKS) >= 2


COMMANDS = sorted(
    {
        command
        for page in PAGES
        for block in fenced(page, "console")
        for command in re.findall(r"^\$ (.*)$", block, re.MULTILINE)
    }
)


@pytest.fixture
def written_folder(tmp_path: Path) -> Path:
    """The checkout with the smallest inventory of the README, as a file beside it."""
    for entry in PROJECT.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    (smallest,) = (block for block in fenced(README, "yaml") if block.startswith("dtr_caches:"))
    (tmp_path / "inventory.yml").write_text(smallest)
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_can_be_typed_as_they_stand(command: str, written_folder: Path) -> None:
    program, *arguments = shlex.split(command)
    if program == "ansible-playbook":
        playbooks = [name for name in arguments if name.startswith("dtr.cache.")]
        assert all((PROJECT / "playbooks" / f"{name.removeprefix('dtr.cache.')}.yml").exists() for name in playbooks)
        # What the playbooks themselves need, such as community.docker, is not everywhere where units run.
        hosts = "localhost" if playbooks == ["dtr.cache.awx"] else "dtr_caches"
        (written_folder / "any.yml").write_text(f"- {{hosts: {hosts}, gather_facts: false}}\n")
        arguments = ["any.yml" if name in playbooks else name for name in arguments]
        # What the options are for is seen on the lab; here, that Ansible takes them and finds what they name.
        result = subprocess.run(
            [program, *arguments, "--list-hosts"],
            cwd=written_folder,
            env={**os.environ, "ANSIBLE_HOST_PATTERN_MISMATCH": "error"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
    elif program == "ansible-galaxy":
        meta = yaml.safe_load((PROJECT / "galaxy.yml").read_text())
        assert arguments == ["collection", "install", f"{meta['namespace']}.{meta['name']}"]
    elif program == "git":
        assert "&& ansible-galaxy collection publish dtr-cache-" in command
    else:
        assert os.access(PROJECT / program, os.X_OK), "a program of the repository"
        files = [argument for argument in arguments if "/" in argument]
        assert all((PROJECT / file).exists() for file in files), files


def test_the_first_screen_shows_what_the_demo_prints() -> None:
    shown = re.search(r"^`tests/demo` ends like this.*?```text\n(.*?)```", README.read_text(), re.MULTILINE | re.DOTALL)
    assert shown
    headings, *_rows = shown[1].splitlines()
    assert re.split(r"\s{2,}", headings) == re.split(
        r"\s{2,}", deployment.table([facts.host("region")], False).lines(200)[0]
    )
    demo = (PROJECT / "tests" / "demo").read_text()
    for name, value in re.findall(r"^(IMAGE|ACCOUNT)=(.*)$", demo, re.MULTILINE):
        demo = demo.replace(f"${name}", value)
    checks = re.findall(r'^ *check "(.*?)"', demo, re.MULTILINE)
    told = re.findall(r"^==> (.*)$", shown[1], re.MULTILINE)
    assert told
    assert checks[-len(told) :] == told
    assert shown[1].endswith(f"\n{len(checks)} passed, 0 failed\n")


def test_example_inventories_use_variables_that_exist() -> None:
    known = yaml.safe_load((PROJECT / "roles/settings/meta/argument_specs.yml").read_text())["argument_specs"]["main"]
    examples = [example for page in PAGES for example in fenced(page, "yaml")]
    folders = [PROJECT / "inventory" / "example", PROJECT / "docs" / "examples"]
    examples += [path.read_text(encoding="utf-8") for folder in folders for path in folder.rglob("*.yml")]
    used = {name for text in examples for name in re.findall(r"^ *(dtr_cache_[a-z_]+):", text, re.MULTILINE)}
    assert used
    assert used <= set(known["options"])


def test_the_example_fleet_has_three_regions_with_different_needs() -> None:
    hosts = yaml.safe_load((PROJECT / "inventory/example/hosts.yml").read_text())["dtr_caches"]["hosts"]
    assert len(hosts) == 3
    for host in hosts:
        assert (PROJECT / "inventory/example/host_vars" / f"{host}.yml").exists()


def test_each_dtr_module_is_in_the_action_group_and_each_engine_module_in_its_own() -> None:
    groups = yaml.safe_load((PROJECT / "meta/runtime.yml").read_text())["action_groups"]
    for module in (PROJECT / "plugins" / "modules").glob("*.py"):
        text = module.read_text(encoding="utf-8")
        for group, fragment in (("dtr", "dtr.cache.registry"), ("engine", "dtr.cache.engine")):
            assert (f"- {fragment}\n" in text) == (module.stem in groups[group]), f"{module.stem} and {group}"


def anchor(heading: str) -> str:
    """What GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_headings_that_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    headings = {anchor(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= headings


def test_every_decision_is_in_the_list_of_decisions() -> None:
    text = (PROJECT / "docs" / "decisions.md").read_text(encoding="utf-8")
    headings = re.findall(r"^##+ (.*)$", text, re.MULTILINE)
    assert re.findall(r"^ *- \[(.*)\]\(#.*\)$", text, re.MULTILINE) == headings
