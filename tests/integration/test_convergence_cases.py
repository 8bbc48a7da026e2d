# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every verdict of C(stack_converged) from a case that is made on a real Swarm, seen in the module's own result.

The stacks have a name and a port of their own and are deployed by Docker's command, past the preflight.
"""

from __future__ import annotations

import json
import subprocess
import time
import typing as t
from collections.abc import Iterator

import pytest
import yaml
from ansible_collections.dtr.cache.tests.unit.support.modules import run_module
from labkit.nodes import enter_command
from labkit.topology import node_named

from .authority import Authority
from .conftest import LAB, Lab

IMAGE = "docker/dtr-content-cache:2.7.4"
MANAGER = "asia-1"
NODE = "asia-2"
PORT = 4443
# The container of the update ends at once; the Engine has the policy of the collection, in little.
UPDATE_CONFIG = {"parallelism": 1, "delay": "1s", "failure_action": "rollback", "monitor": "4s"}
LABEL = "dtr.cache.test"


class Stack:
    """A stack beside the cache's, made and removed by Docker's own command."""

    def __init__(self, lab: Lab, name: str = "probe") -> None:
        self.lab = lab
        self.name = name
        self.address = next(node["docker_host"] for node in lab.status["nodes"] if node["name"] == MANAGER)

    def deploy(self, service: dict[str, t.Any], **top: t.Any) -> dict[str, t.Any]:
        """Deploy a stack of one service and return its definition."""
        definition = {"version": "3.4", "services": {"cache": service}, **top}
        self.lab.inside(
            MANAGER,
            *("docker", "stack", "deploy", "--resolve-image", "never", "--compose-file", "-", self.name),
            stdin=yaml.safe_dump(definition),
        )
        return definition

    def remove(self) -> None:
        """Remove it and wait until containers and network are gone, so that the next has the port."""
        # Docker itself gives up on a network that a task still uses; it goes below.
        self.lab.inside(MANAGER, "sh", "-c", f"docker stack rm {self.name} || true")
        self.lab.wait_until_gone(self.name, MANAGER, ("asia-1", "asia-2", "asia-3"))

    def settle(self, timeout: int = 60, **options: t.Any) -> dict[str, t.Any]:
        """The result of C(stack_converged), which asks the manager's Engine over the network."""
        result = run_module("stack_converged", name=self.name, timeout=timeout, docker_host=self.address, **options)
        assert (result.get("verdict") == "converged") != result.get("failed", False), result
        if "failure" in result:
            assert result["failure"]["code"] == result["verdict"].upper()
            assert result["failure"]["hint"]
        return result


@pytest.fixture(scope="module")
def empty_lab(lab: Lab) -> Iterator[Lab]:
    lab.clean()
    yield lab
    lab.clean()


@pytest.fixture
def stack(empty_lab: Lab) -> Iterator[Stack]:
    made = Stack(empty_lab)
    yield made
    made.remove()


def shell(command: str, **changes: t.Any) -> dict[str, t.Any]:
    """A service on one node whose container runs a command of its shell."""
    deploy = {"placement": {"constraints": [f"node.hostname == {NODE}"]}, "update_config": UPDATE_CONFIG}
    return {
        "image": IMAGE,
        "entrypoint": ["/bin/busybox", "sh", "-c", command],
        "stop_grace_period": "1s",
        **changes,
        "deploy": {**deploy, "restart_policy": {"condition": "on-failure"}, **changes.get("deploy", {})},
    }


def on_port(port: int) -> list[dict[str, t.Any]]:
    return [{"mode": "host", "protocol": "tcp", "published": port, "target": port}]


RUNS = "trap 'exit 0' TERM; sleep 600 & wait"
FAILS = "echo password=none; echo GET /v2/x?signature=abc; echo the reason; exit 3"


def test_a_stack_that_runs_has_converged_at_once(stack: Stack) -> None:
    stack.deploy(shell(RUNS))
    result = stack.settle()
    assert result["verdict"] == "converged"
    assert [(task["node"], task["state"], task["exit_code"]) for task in result["tasks"]] == [(NODE, "running", None)]
    assert "gap_seconds" not in result, "there was no update"


def test_an_image_that_no_node_has(stack: Stack) -> None:
    stack.deploy(shell(RUNS, image="docker/not-there:1"))
    result = stack.settle()
    assert result["verdict"] == "task_failed"
    assert f"the last on {NODE}: No such image: docker/not-there:1" in result["msg"]
    assert {(task["node"], task["error"]) for task in result["tasks"] if task["state"] == "rejected"} == {
        (NODE, "No such image: docker/not-there:1")
    }
    assert "3 tasks failed" in result["msg"], "three tries of Swarm, not the whole time"
    began = time.monotonic()
    logs = run_module("cache_logs_info", name=stack.name, docker_host=stack.address)
    assert time.monotonic() - began < 10, "no task had a container, so none is asked for its log"
    assert [finding["cause"] for finding in logs["findings"]] == ["image_missing"]
    assert logs["unread"] == []


def test_a_key_that_does_not_match_its_certificate(stack: Stack) -> None:
    authority = Authority()
    files = {
        "cache.cert.pem": authority.issue("cache-asia.lab.test").chain,
        "cache.key.pem": authority.issue("cache-asia.lab.test").key,
        "config.yml": yaml.safe_dump(
            {
                "version": 0.1,
                "storage": {"inmemory": {}},
                "http": {
                    "addr": f"0.0.0.0:{PORT}",
                    "secret": "s" * 32,
                    "tls": {"certificate": "/run/secrets/cache.cert.pem", "key": "/run/secrets/cache.key.pem"},
                },
            }
        ),
    }
    for name, content in files.items():
        stack.lab.inside(MANAGER, "docker", "secret", "create", f"probe_{name}", "-", stdin=content)
    service = shell(RUNS, secrets=[{"source": name, "target": name} for name in files])
    service["entrypoint"] = ["/start.sh", "/run/secrets/config.yml"]
    stack.deploy(service, secrets={name: {"external": {"name": f"probe_{name}"}} for name in files})
    result = stack.settle()
    assert result["verdict"] == "task_failed"
    assert f"the last on {NODE}: the container ended with exit code 1" in result["msg"]
    assert "tls: private key does not match public key" in result["msg"]
    assert any("tls: private key does not match public key" in line for line in result["log"])
    assert {task["exit_code"] for task in result["tasks"] if task["state"] == "failed"} == {1}
    assert files["cache.key.pem"].splitlines()[1] not in json.dumps(result)


def test_a_port_that_another_service_has(stack: Stack) -> None:
    other = Stack(stack.lab, "other")
    other.deploy(shell(RUNS, ports=on_port(PORT)))
    try:
        assert other.settle()["verdict"] == "converged"
        stack.deploy(shell(RUNS, ports=on_port(PORT)))
        result = stack.settle()
    finally:
        other.remove()
    assert result["verdict"] == "no_node"
    assert f"port {PORT} of {NODE} is taken by another service" in result["msg"]


def test_a_port_that_a_program_of_the_node_has(stack: Stack) -> None:
    # The replica of an earlier test must have left the port, and the next one must not have it first.
    listens = f'ss --listening --no-header --tcp "sport = :{PORT}" | grep -q .'
    start = f"""
    timeout 60 sh -c 'while {listens}; do sleep 0.1; done'
    setsid python3 -m http.server {PORT} >/dev/null 2>&1 &
    echo $!
    timeout 60 sh -c 'until {listens}; do sleep 0.1; done'
    """
    process = stack.lab.inside(NODE, "sh", "-c", start)
    try:
        stack.deploy(shell(RUNS, ports=on_port(PORT)))
        result = stack.settle()
    finally:
        stack.lab.inside(NODE, "kill", process)
    assert result["verdict"] == "task_failed"
    assert f"on {NODE}: " in result["msg"]
    assert f"0.0.0.0:{PORT}" in result["msg"]
    assert "address already in use" in result["msg"]


def test_a_replica_that_takes_its_time_to_end_keeps_the_port_and_is_waited_for(stack: Stack) -> None:
    slow = shell("trap 'sleep 12; exit 0' TERM; sleep 600 & wait", ports=on_port(PORT), stop_grace_period="30s")
    stack.deploy(slow)
    assert stack.settle()["verdict"] == "converged"
    stack.deploy({**slow, "environment": {"NEW": "1"}})
    result = stack.settle()
    assert result["verdict"] == "converged"
    assert f"service cache: the replica on {NODE} finishes its requests" in [
        entry["event"] for entry in result["timeline"]
    ]
    assert result["gap_seconds"] >= 12, "it took no requests in that time"


def test_no_node_has_the_label(stack: Stack) -> None:
    stack.deploy(shell(RUNS, deploy={"placement": {"constraints": [f"node.labels.{LABEL} == true"]}}))
    result = stack.settle()
    assert result["verdict"] == "no_node"
    assert f"no node has node.labels.{LABEL} == true, so no node takes 1 replica of service cache" in result["msg"]
    assert f"docker node update --label-add {LABEL}=true NODE" in result["msg"]


def test_a_label_that_comes_a_moment_later_is_no_failure(stack: Stack) -> None:
    stack.deploy(shell(RUNS, deploy={"placement": {"constraints": [f"node.labels.{LABEL} == true"]}}))
    stack.lab.inside(MANAGER, "sh", "-c", f"(sleep 5; docker node update --label-add {LABEL}=true {NODE}) >/dev/null &")
    try:
        assert stack.settle()["verdict"] == "converged"
    finally:
        stack.lab.inside(MANAGER, "docker", "node", "update", "--label-rm", LABEL, NODE)


def test_a_node_that_is_drained(stack: Stack) -> None:
    stack.deploy(shell(RUNS))
    assert stack.settle()["verdict"] == "converged"
    stack.lab.inside(MANAGER, "docker", "node", "update", "--availability", "drain", NODE)
    try:
        result = stack.settle()
    finally:
        stack.lab.inside(MANAGER, "docker", "node", "update", "--availability", "active", NODE)
    assert result["verdict"] == "no_node"
    assert f"node {NODE} is set to drain" in result["msg"]
    assert stack.settle()["verdict"] == "converged", "the node takes it again"


def test_a_node_that_is_down_while_docker_counts_its_replica(stack: Stack) -> None:
    stack.deploy(shell(RUNS))
    assert stack.settle()["verdict"] == "converged"
    # The whole node ends with its Engine, and often with it what has ended that.
    kill = ("sh", "-c", "kill -KILL $(cat /run/docker.pid)")
    subprocess.run(enter_command(node_named(NODE), kill), check=False)
    try:
        client = stack.lab.engine(MANAGER)
        deadline = time.monotonic() + 60
        while client.nodes.get(NODE).attrs["Status"]["State"] != "down":
            assert time.monotonic() < deadline
            time.sleep(0.5)
        client.close()
        result = stack.settle()
        counted = stack.lab.inside(MANAGER, "docker", "service", "ls", "--format", "{{.Replicas}}")
    finally:
        assert subprocess.run([LAB, "up"], capture_output=True, check=False).returncode == 0
    assert counted == "1/1"
    assert result["verdict"] == "no_node"
    assert f"node {NODE} is down" in result["msg"]
    assert stack.settle()["verdict"] == "converged", "the node is back"


def test_an_update_that_fails_is_rolled_back_and_told_with_its_cause(stack: Stack) -> None:
    good = stack.deploy(shell(RUNS))
    assert stack.settle(definition=good)["verdict"] == "converged"
    bad = stack.deploy(shell(FAILS))
    result = stack.settle(definition=bad)
    assert result["verdict"] == "rolled_back"
    assert f"was rolled back, because on {NODE}: the container ended with" in result["msg"]
    assert "exit code 3" in result["msg"]
    assert "The container's log ends with: the reason" in result["msg"]
    assert "signature=abc" not in json.dumps(result)
    assert "password=none" not in json.dumps(result)
    assert [task["exit_code"] for task in result["tasks"] if task["state"] == "failed"] == [3]
    assert [task["state"] for task in result["tasks"] if task["state"] == "running"] == ["running"]
    events = [entry["event"] for entry in result["timeline"]]
    assert any("is being rolled back" in event for event in events)

    # The Engine remembers it for as long as the service is not changed; who wants just what runs is not troubled.
    assert stack.settle()["verdict"] == "rolled_back"
    assert stack.settle(definition=good)["verdict"] == "converged"


def test_an_update_that_is_paused(stack: Stack) -> None:
    update_config = {**UPDATE_CONFIG, "failure_action": "pause"}
    never = {"update_config": update_config, "restart_policy": {"condition": "none"}}
    stack.deploy(shell(RUNS, deploy=never))
    assert stack.settle()["verdict"] == "converged"
    stack.deploy(shell(FAILS, deploy=never))
    result = stack.settle()
    assert result["verdict"] == "paused"
    assert f"the update of service cache is paused, because on {NODE}: the container ended with" in result["msg"]
    assert result["log"][-1] == "the reason"


def test_a_container_that_ends_again_and_again(stack: Stack) -> None:
    stack.deploy(shell("sleep 4; echo the reason; exit 3"))
    result = stack.settle(timeout=90)
    assert result["verdict"] == "task_failed", result["timeline"]
    assert "exit code 3" in result["msg"]


def test_a_container_that_ends_by_itself(stack: Stack) -> None:
    stack.deploy(shell("exit 0"))
    result = stack.settle()
    assert result["verdict"] == "task_failed"
    assert f"its container on {NODE} ended by itself" in result["msg"]


def test_a_task_that_needs_long_to_start_converges_in_the_end(stack: Stack) -> None:
    ready = {"test": ["CMD", "/bin/busybox", "test", "-e", "/ready"], "interval": "1s", "retries": 60}
    stack.deploy(shell(f"(sleep 12; echo > /ready) & {RUNS}", healthcheck=ready))
    result = stack.settle()
    assert result["verdict"] == "converged"
    assert "service cache: 0/1 run (starting)" in [entry["event"] for entry in result["timeline"]]


def test_one_that_needs_longer_than_there_is_time_for(stack: Stack) -> None:
    never = {"test": ["CMD", "/bin/busybox", "false"], "interval": "1s", "retries": 600}
    stack.deploy(shell(RUNS, healthcheck=never))
    result = stack.settle(timeout=8)
    assert result["verdict"] == "timed_out"
    assert "not settled after 8 seconds: service cache: 0/1 run (starting)" in result["msg"]


def test_a_service_that_is_removed_while_it_is_waited_for(stack: Stack) -> None:
    """By another run or by hand: told within seconds, and not after the whole time as one that needs longer."""
    never = {"test": ["CMD", "/bin/busybox", "false"], "interval": "1s", "retries": 600}
    definition = stack.deploy(shell(RUNS, healthcheck=never))
    stack.lab.inside(MANAGER, "sh", "-c", f"(sleep 3; docker service rm {stack.name}_cache) >/dev/null 2>&1 &")
    began = time.monotonic()
    result = stack.settle(timeout=300, definition=definition)
    assert time.monotonic() - began < 15
    assert result["verdict"] == "removed"
    assert "service cache was removed while this run waited for it" in result["msg"]
    again = stack.settle(timeout=300, definition=definition)
    assert (again["verdict"], "removed it after it was deployed" in again["msg"]) == ("removed", True)


def test_a_service_that_another_deployment_replaces_while_it_is_waited_for(stack: Stack) -> None:
    never = {"test": ["CMD", "/bin/busybox", "false"], "interval": "1s", "retries": 600}
    definition = stack.deploy(shell(RUNS, healthcheck=never))
    update = f"docker service update --detach --env-add OTHER=1 {stack.name}_cache"
    stack.lab.inside(MANAGER, "sh", "-c", f"(sleep 3; {update}) >/dev/null 2>&1 &")
    began = time.monotonic()
    result = stack.settle(timeout=300, definition=definition)
    assert time.monotonic() - began < 15
    assert result["verdict"] == "replaced"
    assert "another deployment, or somebody by hand, replaced service cache while this run waited" in result["msg"]
    assert "environment" in result["msg"]
    again = stack.settle(timeout=300, definition=definition)
    assert (again["verdict"], "is not as this run deployed it: environment" in again["msg"]) == ("replaced", True)


def test_a_stack_that_is_not_there(stack: Stack) -> None:
    result = stack.settle(timeout=3)
    assert result["verdict"] == "timed_out"
    assert "the stack has no service yet" in result["msg"]
