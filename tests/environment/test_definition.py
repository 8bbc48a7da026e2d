# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The definition of the execution environment, without building it: it renders, and names what the code calls."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.dtr.cache.plugins.module_utils.swarm.prerequisites import MODULES_NEEDED

from . import image

PLUGINS = image.PROJECT / "plugins"
# What Python's packages are called where they are imported, if otherwise.
IMPORTED_AS = {"PyYAML": "yaml"}
# What comes with ansible-core.
OF_ANSIBLE = {"ansible", "ansible_collections", "jinja2"}
RUNS_PROGRAMS = re.compile(r"\b(subprocess|Popen|run_command|get_bin_path|os\.system|os\.exec\w*|os\.spawn\w*)\b")


def entries(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]


def imported() -> set[str]:
    """The packages that the plugins import, wherever in them."""
    names: set[str] = set()
    for path in PLUGINS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names.add((node.module or "").partition(".")[0])
    return names - OF_ANSIBLE - set(sys.stdlib_module_names)


def test_the_python_packages_are_those_that_are_imported() -> None:
    listed = {re.split("[>=]", entry)[0] for entry in entries(image.PROJECT / "requirements.txt")}
    # jsondiff is community.docker's, which does not list it for an execution environment.
    assert {IMPORTED_AS.get(name, name) for name in listed} == imported() | set(MODULES_NEEDED)


def test_the_system_packages_are_those_of_the_commands_that_run() -> None:
    """The collection itself runs none: Ansible runs ssh, and community.docker docker."""
    assert [path for path in PLUGINS.rglob("*.py") if RUNS_PROGRAMS.search(path.read_text())] == []
    assert entries(image.PROJECT / "bindep.txt") == [
        "openssh-clients [platform:rpm]",
        "openssh-client [platform:dpkg]",
    ]
    assert image.definition()["dependencies"]["system"] == [
        "docker-cli [platform:dpkg]",
        "docker-ce-cli [platform:rpm]",
    ]


def test_the_collection_names_them_for_every_execution_environment() -> None:
    named = yaml.safe_load((image.PROJECT / "meta" / "execution-environment.yml").read_text())["dependencies"]
    assert named == {"python": "requirements.txt", "system": "bindep.txt"}


@pytest.mark.parametrize("way", ["as it is", "offline"])
def test_it_renders(tmp_path: Path, way: str) -> None:
    folder = image.EXAMPLE
    if way == "offline":
        folder = tmp_path / "definition"
        image.write(folder)
    context = tmp_path / "context"
    command = ["ansible-builder", "create", "--file", str(folder / image.DEFINITION), "--context", str(context)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARN" not in (done.stdout + done.stderr).upper(), done.stdout + done.stderr
    built = {path.name for path in (context / "_build").iterdir()}
    archives = {path.name for path in (folder / "collections").glob("*.tar.gz")}
    assert {"requirements.yml", "bindep.txt", *archives} <= built
    assert (len(archives) == 3) == (way != "as it is")


def test_navigator_uses_the_image_that_is_built() -> None:
    settings = yaml.safe_load((image.EXAMPLE / "ansible-navigator.yml").read_text())["ansible-navigator"]
    assert settings["execution-environment"]["image"] == f"{image.TAG}:latest"
    build = f"ansible-builder build --tag {image.TAG}"
    assert f"#   {build}\n" in (image.EXAMPLE / image.DEFINITION).read_text()
    assert build in image.GUIDE.read_text()
