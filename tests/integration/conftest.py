# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks run as a user runs them, on the lab that is up; what they did is read from the Swarms and the registry.

Start with the lab up: C(tests/lab/lab up), then C(tests/pytest tests/integration).
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import docker
import docker.errors
import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
LAB = str(PROJECT / "tests" / "lab" / "lab")
MANAGERS = ["asia-1", "europe-1"]
INVENTORY = str(PROJECT / "inventory" / "lab")

sys.path[:0] = [str(PROJECT / "tests" / "lab"), str(PROJECT / "tests" / "lab" / "registry")]
from dtr_standin.control_client import Control  # noqa: E402
from labkit.nodes import enter_command  # noqa: E402
from labkit.topology import node_named  # noqa: E402

# What check mode heads a column with, and a real run.
WOULD = {"would change": "changed", "said to be there": "already there", "would bring": "brought"}


class Run(t.NamedTuple):
    """The end of a playbook."""

    code: int
    output: str

    @property
    def recap(self) -> dict[str, dict[str, int]]:
        """The counts of C(PLAY RECAP) by host."""
        found = re.findall(r"^(\S+)\s+: (ok=.*)$", self.output, re.MULTILINE)
        return {host: {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", text)} for host, text in found}

    def total(self, count: str) -> int:
        return sum(counts[count] for counts in self.recap.values())

    def changed_tasks(self) -> set[str]:
        """The names of the tasks that reported a change on any host."""
        changed, task = set(), ""
        for line in self.output.splitlines():
            heading = re.match(r"TASK \[(.+?)\] \**$", line)
            if heading:
                task = heading[1]
            elif line.startswith("changed: "):
                changed.add(task)
        return changed

    def regions(self) -> dict[str, dict[str, str]]:
        """The table at the end, by region and heading; those of check mode are the same here."""
        table = "region  " + self.output.partition("\nregion  ")[2].partition("PLAY RECAP")[0]
        # A reason stands indented below its row, and sentences below them all.
        headings, _line, *lines = [re.split(r"\s{2,}", line) for line in table.splitlines() if line[:1] != " "]
        headings = [WOULD.get(heading, heading) for heading in headings]
        return {row[0]: dict(zip(headings, row, strict=True)) for row in lines if len(row) == len(headings)}


class Lab:
    """The running lab."""

    def __init__(self, status: dict[str, t.Any]) -> None:
        self.status = status
        self.control = Control(
            status["registry"]["control"]["url"], Path(status["registry"]["control"]["secret_path"]).read_text().strip()
        )
        self.passwords: dict[str, str] = json.loads(Path(status["registry"]["passwords_path"]).read_text())

    def inside(self, node: str, *command: str, stdin: str | None = None) -> str:
        """What a command inside a node prints; it has to succeed."""
        entered = enter_command(node_named(node), command)
        result = subprocess.run(entered, input=stdin, capture_output=True, text=True, check=False)
        assert result.returncode == 0, f"{command}: {result.stderr}"
        return result.stdout.strip()

    def engine(self, node: str) -> docker.DockerClient:
        address = next(item["docker_host"] for item in self.status["nodes"] if item["name"] == node)
        return docker.DockerClient(base_url=address)

    def certificate(self, host: str, kind: str = "cert") -> str:
        return (Path(self.status["registry"]["ca_path"]).parent / f"{host}.{kind}.pem").read_text()

    def snapshot(self) -> dict[str, t.Any]:
        """All that a deployment could change, in the Swarms and in the registry."""
        state: dict[str, t.Any] = {"registry": self.control.state()}
        for manager in MANAGERS:
            client = self.engine(manager)
            state[manager] = {
                "labels": {
                    node.attrs["Description"]["Hostname"]: node.attrs["Spec"]["Labels"] for node in client.nodes.list()
                },
                "configs": sorted(config.name for config in client.configs.list()),
                "secrets": sorted(secret.name for secret in client.secrets.list()),
                "services": {
                    service.name: (service.version, sorted(task["ID"] for task in service.tasks()))
                    for service in client.services.list()
                },
            }
            client.close()
        return state

    def clean(self, accounts: int | None = 200) -> None:
        """The Swarms and the registry as they were before anything was deployed.

        Looks and removals read everybody's settings, so of the accounts there are few, or all of the seed with C(None).
        """
        self.control.reset(data=True, accounts=accounts)
        for manager in MANAGERS:
            client = self.engine(manager)
            for service in client.services.list():
                service.remove()
            for node in client.nodes.list():
                until(functools.partial(_freed, node), f"{node.id} without labels")
            for config in client.configs.list():
                config.remove()
            for secret in client.secrets.list():
                secret.remove()
            client.close()
            region = manager.partition("-")[0]
            self.wait_until_gone(
                "dtr-cache", manager, [item["name"] for item in self.status["nodes"] if item["region"] == region]
            )

    def wait_until_gone(self, stack: str, manager: str, nodes: t.Iterable[str]) -> None:
        """Wait until containers and network are really gone, so that the next deployment has the port."""
        for name in nodes:
            self.wait_until_idle(name)

        def network_gone() -> bool:
            # Docker refuses while a task that has ended still counts as its user.
            for network in client.networks.list(names=[f"{stack}_default"]):
                with contextlib.suppress(docker.errors.APIError):
                    network.remove()
            return not client.networks.list(names=[f"{stack}_default"])

        with contextlib.closing(self.engine(manager)) as client:
            until(network_gone, f"no network of {stack}")

    def wait_until_idle(self, node: str) -> None:
        """Wait until no container of a Swarm service runs on a node."""
        with contextlib.closing(self.engine(node)) as client:
            tasks = {"label": "com.docker.swarm.task"}
            until(lambda: not client.api.containers(quiet=True, filters=tasks), f"no container on {node}")


def _freed(node: t.Any) -> bool:
    """Take a node's labels and make it active; C(False) where Swarm changed the node meanwhile."""
    node.reload()
    spec = node.attrs["Spec"]
    if spec.get("Labels") or spec["Availability"] != "active":
        try:
            node.update({**spec, "Labels": {}, "Availability": "active"})
        except docker.errors.APIError as error:
            if "out of sequence" in str(error):
                return False
            raise
    return True


def until(condition: t.Callable[[], bool], what: str, seconds: float = 120) -> None:
    """Wait for something that takes its time; fails when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} seconds: {what}"
        time.sleep(0.2)


def status_when_whole(seconds: float = 60) -> str:
    """What the lab says of itself; a node whose role was changed by the tests before is on its way back for a while."""
    deadline = time.monotonic() + seconds
    while True:
        result = subprocess.run([LAB, "status"], capture_output=True, text=True, check=False)
        if result.returncode == 0:
            return result.stdout
        assert time.monotonic() < deadline, f"the lab has to be up: {result.stderr}"
        time.sleep(0.5)


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    found = Lab(json.loads(status_when_whole()))
    yield found
    # With all of the seed's accounts again.
    found.control.reset(data=True)


@pytest.fixture
def clean_lab(lab: Lab) -> Lab:
    lab.clean()
    return lab


class Play:
    """Runs playbooks on the lab's inventory."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment

    def __call__(
        self,
        playbook: str | list[dict[str, t.Any]],
        *options: str,
        env: dict[str, str] | None = None,
        inventory: str = INVENTORY,
        **variables: t.Any,
    ) -> Run:
        """Run a playbook of the collection, or one given as data, with extra variables."""
        with tempfile.TemporaryDirectory() as folder:
            if not isinstance(playbook, str):
                path = Path(folder) / "playbook.yml"
                path.write_text(yaml.safe_dump(playbook))
                playbook = str(path)
            extra = Path(folder) / "extra.json"
            extra.write_text(json.dumps(variables))
            result = subprocess.run(
                ["ansible-playbook", "-i", inventory, playbook, "-e", f"@{extra}", *options],
                env={**self.environment, **(env or {})},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=600,
            )
        assert "Traceback (most recent call last)" not in result.stdout, result.stdout
        return Run(result.returncode, result.stdout)


@pytest.fixture(scope="session")
def play(tmp_path_factory: pytest.TempPathFactory) -> Play:
    folder = tmp_path_factory.mktemp("collections") / "ansible_collections" / "dtr"
    folder.mkdir(parents=True)
    (folder / "cache").symlink_to(PROJECT)
    # Ansible asks its workers a thousand times a second, also while a stack settles, and there are several labs.
    config = folder / "ansible.cfg"
    config.write_text("[defaults]\ninternal_poll_interval = 0.02\n")
    unwanted = ("ANSIBLE_", "DTR_", "DOCKER_", "PYTHONPATH")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(unwanted)}
    return Play(
        {
            **environment,
            "ANSIBLE_COLLECTIONS_PATH": str(folder.parents[1]),
            "ANSIBLE_CONFIG": str(config),
            "ANSIBLE_NOCOLOR": "1",
            # So wide that the report's table has all of its columns.
            "COLUMNS": "400",
        }
    )
