# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks run by C(ansible-playbook) against the registry's stand-in, and an inventory of regions for them."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import typing as t
from pathlib import Path

import yaml

if t.TYPE_CHECKING:
    from .conftest import Registry

Json = dict[str, t.Any]

PROJECT = Path(__file__).resolve().parents[3]
WRONG_PASSWORD = "a-wrong-password-of-the-test"
EUROPE = "https://cache-europe.example.org:443"
ASIA = "https://cache-asia.example.org:443"


LOCALLY = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
# With another Python than Ansible's own, modules that talk to DTR are sent like all others.
SENT = {**LOCALLY, "ansible_python_interpreter": "/usr/bin/python3"}


class Run(t.NamedTuple):
    code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


class Ansible:
    """Runs playbooks with every folder that Ansible writes into below one of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir()
        linked = folder / "collections" / "ansible_collections" / "dtr"
        linked.mkdir(parents=True)
        (linked / "cache").symlink_to(PROJECT)
        unwanted = ("ANSIBLE_", "DTR_", "PYTHONPATH", "NETRC")
        once = os.environ.get("DTR_CACHE_COMPILED")
        # See tests/lab/compile_once.py.
        compiled_once = {"PYTHONPATH": once, "DTR_CACHE_COMPILED": once} if once else {}
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith(unwanted)} | {
            "ANSIBLE_COLLECTIONS_PATH": str(linked.parents[1]),
            "ANSIBLE_LOCAL_TEMP": str(self.home / "local"),
            "ANSIBLE_REMOTE_TEMP": str(self.home / "remote"),
            "ANSIBLE_LOG_PATH": str(self.home / "ansible.log"),
            "ANSIBLE_CACHE_PLUGIN": "ansible.builtin.jsonfile",
            "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(self.home / "facts"),
            "ANSIBLE_NOCOLOR": "1",
            # So wide that the report's table has all of its columns.
            "COLUMNS": "200",
            # Older versions of ansible-core always show how a module was called.
            "ANSIBLE_INJECT_INVOCATION": "1",
            "HOME": str(self.home),
            "TMPDIR": str(self.home),
            **compiled_once,
        }

    def start(
        self,
        playbook: str | list[Json],
        *options: str,
        inventory: Json | None = None,
        env: t.Mapping[str, str] | None = None,
        **variables: t.Any,
    ) -> subprocess.Popen[str]:
        """What holds secrets for the run lies outside of the folders that are searched for them."""
        inputs = self.folder / f"inputs-{len(list(self.folder.iterdir()))}"
        inputs.mkdir()
        if not isinstance(playbook, str):
            (inputs / "playbook.yml").write_text(yaml.safe_dump(playbook))
            playbook = str(inputs / "playbook.yml")
        (inputs / "hosts.yml").write_text(yaml.safe_dump(inventory or {"all": {"hosts": {"localhost": {}}}}))
        (inputs / "extra.json").write_text(json.dumps(variables))
        return subprocess.Popen(
            ["ansible-playbook", "-i", str(inputs / "hosts.yml"), playbook, "-e", f"@{inputs}/extra.json", *options],
            env={**self.environment, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def start_module(self, module: str, arguments: Json, *options: str) -> subprocess.Popen[str]:
        """One module without a playbook, as the command C(ansible) runs it."""
        # Arguments on the command line could be seen by everybody on the machine.
        inputs = self.folder / f"inputs-{len(list(self.folder.iterdir()))}"
        inputs.mkdir()
        (inputs / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"localhost": {}}}}))
        (inputs / "extra.json").write_text(json.dumps({**arguments, **LOCALLY}))
        command = ["ansible", "localhost", "-i", str(inputs / "hosts.yml"), "-m", module, "-e", f"@{inputs}/extra.json"]
        return subprocess.Popen(
            [*command, "-a", json.dumps({name: f"{{{{ {name} }}}}" for name in arguments}), *options],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, playbook: str | list[Json], *options: str, **more: t.Any) -> Run:
        return finished(self.start(playbook, *options, **more))

    def written(self) -> dict[str, str]:
        """All that the runs left in their folders."""
        return {str(path): path.read_text(errors="replace") for path in self.home.rglob("*") if path.is_file()}


def finished(process: subprocess.Popen[str]) -> Run:
    stdout, stderr = process.communicate(timeout=120)
    return Run(process.returncode, stdout, stderr)


def fleet(registry: Registry, **regions: Json) -> Json:
    """An inventory of regions that share the stand-in; hosts need not be reached."""
    shared = {
        "dtr_cache_registry_url": registry.standin.url,
        "dtr_cache_registry_username": "admin",
        "dtr_cache_registry_password": registry.connection["password"],
        "dtr_cache_registry_ca": str(registry.standin.ca),
    }
    hosts = {
        f"manager-{region}": {
            "ansible_host": "192.0.2.1",
            "dtr_cache_name": f"region-{region}",
            "dtr_cache_assignments": claims,
        }
        for region, claims in regions.items()
    }
    return {"dtr_caches": {"hosts": hosts, "vars": shared}}


def rows(run: Run) -> list[list[str]]:
    """The cells of the report's table."""
    lines = run.stdout.splitlines()
    (heading,) = (number for number, line in enumerate(lines) if line.startswith("region "))
    # A reason stands indented below its row.
    table = itertools.takewhile(lambda line: re.match(r"[\w-]*  ", line), lines[heading + 2 :])
    return [re.split(r"\s{2,}", line) for line in (lines[heading], *table) if line[0] != " "]
