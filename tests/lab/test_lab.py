# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab that is up is what C(lab status) says, and as real as the collection's tests need it.

Everything here goes through the command and what it prints, as a user's scripts would.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

LAB = str(Path(__file__).parent / "lab")
INVENTORY = Path(__file__).parents[2] / "inventory" / "lab"


def lab(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([LAB, *arguments], input=stdin, capture_output=True, text=True, check=False)


def inside(node: str, *command: str, stdin: str | None = None) -> str:
    """What a command inside a node prints; it has to succeed."""
    result = lab("run", node, *command, stdin=stdin)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.fixture(scope="module")
def status() -> dict[str, t.Any]:
    result = lab("status")
    assert result.returncode == 0, f"the lab has to be up: {result.stderr}"
    return t.cast("dict[str, t.Any]", json.loads(result.stdout))


def node(status: dict[str, t.Any], name: str) -> dict[str, t.Any]:
    return next(node for node in status["nodes"] if node["name"] == name)


def ssh(status: dict[str, t.Any], name: str, *command: str, options: tuple[str, ...] = ()) -> t.Any:
    at = node(status, name)["ssh"]
    return subprocess.run(
        [
            *("ssh", "-F", "none", "-i", at["key"], "-p", str(at["port"])),
            *("-o", f"UserKnownHostsFile={status['known_hosts']}", "-o", "StrictHostKeyChecking=yes"),
            *("-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", *options),
            *(f"{at['user']}@{at['host']}", *command),
        ],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def manager(status: dict[str, t.Any]) -> Iterator[docker.DockerClient]:
    client = docker.DockerClient(base_url=status["managers"][0]["docker_host"])
    yield client
    client.close()


@pytest.fixture
def login(status: dict[str, t.Any]) -> Iterator[t.Callable[[str], list[str]]]:
    """Logs an account in on the client node; gives the docker command that acts as this account."""
    passwords = json.loads(Path(status["registry"]["passwords_path"]).read_text())
    folders: list[str] = []

    def as_account(account: str) -> list[str]:
        folder = inside("client", "mktemp", "-d")
        folders.append(folder)
        command = ["docker", "--config", folder]
        inside("client", *command, "login", "-u", account, "--password-stdin", "dtr.lab.test", stdin=passwords[account])
        return command

    yield as_account
    for folder in folders:
        inside("client", "rm", "-r", folder)


def test_secrets_are_for_root_only(status: dict[str, t.Any]) -> None:
    state = Path(status["state"])
    assert state.stat().st_mode & 0o777 == 0o700
    secret = [status["registry"]["passwords_path"], status["registry"]["control"]["secret_path"]]
    secret += [manager["ssh"]["key"] for manager in status["managers"]]
    secret += [host["private_key"] for host in status["certificates"]["hosts"].values()]
    secret += [f"{status['client_bundle']}/key.pem", status["client_bundles"]["asia-1"]["archive"]]
    assert {path: Path(path).stat().st_mode & 0o077 for path in secret} == dict.fromkeys(secret, 0)


def test_asia_is_a_swarm_of_three_with_one_manager(manager: docker.DockerClient) -> None:
    nodes = {node.attrs["Description"]["Hostname"]: node.attrs for node in manager.nodes.list()}
    assert set(nodes) == {"asia-1", "asia-2", "asia-3"}
    assert all(attributes["Status"]["State"] == "ready" for attributes in nodes.values())
    leaders = [name for name, attributes in nodes.items() if attributes.get("ManagerStatus", {}).get("Leader")]
    assert leaders == ["asia-1"]


def test_a_node_lets_nobody_in_without_the_key(status: dict[str, t.Any]) -> None:
    result = ssh(status, "asia-1", "true", options=("-o", "PubkeyAuthentication=no"))
    assert result.returncode == 255
    assert "Permission denied (publickey)" in result.stderr


def test_a_service_starts_where_its_constraint_says(status: dict[str, t.Any], manager: docker.DockerClient) -> None:
    started = time.monotonic()
    service = manager.services.create(
        status["cache_image"],
        command=["/bin/busybox", "sleep", "600"],
        constraints=["node.hostname == asia-3"],
        name="lab-test",
    )
    tasks: list[dict[str, t.Any]] = []
    try:
        while [task["Status"]["State"] for task in tasks] != ["running"]:
            assert time.monotonic() - started < 60, tasks
            time.sleep(0.1)
            tasks = service.tasks()
        (task,) = tasks
        assert task["NodeID"] == manager.nodes.get("asia-3").id
        container = task["Status"]["ContainerStatus"]["ContainerID"]
        looked_up = inside("asia-3", "docker", "exec", container, "/bin/busybox", "nslookup", "dtr.lab.test")
        assert "198.18.57.10" in looked_up
    finally:
        service.remove()


def test_the_client_pulls_and_runs_an_image(login: t.Callable[[str], list[str]]) -> None:
    image = "dtr.lab.test/engineering/app:1.0"
    inside("client", *login("alice"), "pull", "--quiet", image)
    try:
        assert inside("client", "docker", "run", "--rm", image) == "engineering 1.0"
    finally:
        inside("client", "docker", "rmi", image)


def test_a_user_without_a_right_cannot_pull(login: t.Callable[[str], list[str]]) -> None:
    result = lab("run", "client", *login("erin"), "pull", "dtr.lab.test/engineering/app:1.0")
    assert result.returncode != 0
    assert "denied" in result.stderr


def snapshot(status: dict[str, t.Any]) -> dict[str, object]:
    """What a needless change of the lab would show in: files, their times, processes, and the Swarm's own counter."""
    state = Path(status["state"])
    kept = [*state.glob("certs/*"), *state.glob("ssh/*"), *state.glob("bundles/**/*"), *state.glob("image/*.tar")]
    kept += [*state.glob("nodes/*/*.json"), *INVENTORY.rglob("*.yml"), Path("/etc/hosts")]
    times: dict[str, object] = {str(path): path.stat().st_mtime_ns for path in kept if path.is_file()}
    for name in ("dtr", "asia-1", "asia-2", "asia-3", "europe-1", "client"):
        namespace = f"dtrlab-{name}"
        found = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=True)
        daemons = [
            pid for pid in found.stdout.split() if os.readlink(f"/proc/{pid}/exe").endswith(("python", "dockerd"))
        ]
        times[namespace] = daemons
    with_client = docker.DockerClient(base_url=status["managers"][0]["docker_host"])
    times["swarm"] = with_client.swarm.attrs["Version"]["Index"]
    with_client.close()
    return times


def test_a_second_up_changes_nothing(status: dict[str, t.Any]) -> None:
    # The first one may have to write the inventory into this checkout.
    assert lab("up").returncode == 0
    before = snapshot(status)
    result = lab("up")
    assert result.returncode == 0, result.stderr
    assert "nothing had to be done" in result.stderr
    assert snapshot(status) == before


def test_a_part_that_has_ended_is_told_and_repaired() -> None:
    assert inside("client", "sh", "-c", "kill $(cat /run/docker.pid)") == ""
    deadline = time.monotonic() + 20
    while (ill := lab("status")).returncode == 0:
        assert time.monotonic() < deadline, "status should find that an Engine has ended"
        time.sleep(0.2)
    assert ill.stderr.startswith("lab: client")
    repaired = lab("up")
    assert repaired.returncode == 0, repaired.stderr
    assert "client started" in repaired.stderr
    assert "asia-1 started" not in repaired.stderr
    assert lab("status").returncode == 0
