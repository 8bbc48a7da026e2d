# Copyright: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands against a deployment: each in one sentence that says what to do, and nothing of it when all is well."""

from __future__ import annotations

import datetime
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.swarm import prerequisites
from ansible_collections.dtr.cache.plugins.module_utils.swarm.model import by_host_name

PORT = 443


def node(name: str, state: str = "ready", availability: str = "active", node_id: str = "") -> dict[str, t.Any]:
    return {
        "ID": node_id or name,
        "Description": {"Hostname": name},
        "Status": {"State": state, "Addr": f"address-of-{name}"},
        "Spec": {"Availability": availability},
    }


def service(name: str, stack: str = "", mode: str = "host", port: int = PORT) -> dict[str, t.Any]:
    return {
        "ID": name,
        "Spec": {"Name": name, "Labels": {"com.docker.stack.namespace": stack} if stack else None},
        "Endpoint": {"Ports": [{"PublishedPort": port, "TargetPort": 443, "PublishMode": mode}]},
    }


def task(node: str, state: str = "running", service: str = "own", port: int | None = None) -> dict[str, t.Any]:
    ports = {"Ports": [{"PublishedPort": port, "PublishMode": "host"}]} if port else {}
    return {"NodeID": node, "ServiceID": service, "Status": {"State": state, "PortStatus": ports}}


class Engine:
    """What the checks ask of an Engine."""

    def __init__(self, nodes: list[t.Any], services: t.Sequence[t.Any] = (), tasks: t.Sequence[t.Any] = ()) -> None:
        self._nodes, self._services, self._tasks = nodes, services, tasks

    def nodes(self) -> dict[str, t.Any]:
        return {node["ID"]: node for node in self._nodes}

    def all_services(self) -> list[t.Any]:
        return list(self._services)

    def tasks_of(self, stack: str) -> list[t.Any]:
        assert stack == "cache"
        return list(self._tasks)


@pytest.fixture(autouse=True)
def answering(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The addresses at which something answers at the port."""
    answering: set[str] = set()
    monkeypatch.setattr(prerequisites, "_answers", lambda address, port: port == PORT and address in answering)
    return answering


def problems(
    nodes: list[t.Any], *, mode: str = "host", port: int = PORT, wanted: t.Sequence[str] = ("n1",), **swarm: t.Any
) -> list[str]:
    return prerequisites.swarm_problems(t.cast(t.Any, Engine(nodes, **swarm)), wanted, port, mode, "cache")


def test_nothing_stands_against_a_sound_swarm() -> None:
    assert problems([node("n1"), node("n2", "down")]) == []


def test_nodes_that_are_not_there_or_take_nothing_are_told_together() -> None:
    nodes = [node("n1", "down"), node("n2", availability="drain"), node("n3", availability="pause")]
    assert problems(nodes, wanted=["n1", "n2", "n3", "n4"]) == [
        "dtr_cache_nodes: the Swarm has no node n4; its nodes are n1, n2, n3",
        "dtr_cache_nodes: node n1 is down; bring it back or name another one",
        "dtr_cache_nodes: node n2 is set to drain; let it take tasks with: docker node update --availability active n2",
        "dtr_cache_nodes: node n3 is set to pause; let it take tasks with: docker node update --availability active n3",
    ]


def test_a_node_that_joined_again_is_not_hidden_by_what_it_was() -> None:
    for nodes in (
        [node("n1", node_id="new"), node("n1", "down", node_id="old")],
        [node("n1", "down", node_id="old"), node("n1", node_id="new")],
    ):
        assert by_host_name(nodes)["n1"]["ID"] == "new"
        assert problems(nodes) == []


@pytest.mark.parametrize(
    ("theirs", "ours", "in_the_way"),
    [("ingress", "ingress", True), ("ingress", "host", True), ("host", "ingress", True), ("host", "host", False)],
)
def test_a_port_through_the_mesh_is_taken_on_every_node(theirs: str, ours: str, in_the_way: bool) -> None:
    found = problems([node("n1")], mode=ours, services=[service("other", "other", theirs)])
    assert found == (["dtr_cache_port: 443 is published by service other already"] if in_the_way else [])
    assert problems([node("n1")], mode=ours, services=[service("own", "cache", theirs)]) == []
    assert problems([node("n1")], mode=ours, services=[service("other", "other", theirs, port=80)]) == []


IN_USE = ["dtr_cache_port: 443 is in use on node n1 by something that is not this cache"]


@pytest.mark.parametrize(
    ("services", "tasks", "expected"),
    [
        ([], [], IN_USE),
        ([service("own", "cache")], [task("n1")], []),
        # A replica that still finishes its requests holds the port.
        ([service("own", "cache")], [task("n1", "shutdown"), task("n1", "running")], []),
        ([service("own", "cache")], [task("n1", "shutdown"), task("n1", "failed"), task("n1", "complete")], IN_USE),
        ([service("own", "cache")], [task("n2")], IN_USE),
        ([service("own", "cache")], [task("")], IN_USE),
        # The stack runs there with another port.
        ([service("own", "cache", port=8443)], [task("n1")], IN_USE),
        # Its service was changed, or is gone, and the replica is not yet.
        ([service("own", "cache", port=8443)], [task("n1", port=PORT)], []),
        ([], [task("n1", port=PORT)], []),
        # The mesh answers on every node, whether or not a replica is there.
        ([service("own", "cache", "ingress")], [task("n2")], []),
    ],
)
def test_a_port_that_answers_is_the_caches_own_or_told(
    answering: set[str], services: list[t.Any], tasks: list[t.Any], expected: list[str]
) -> None:
    answering.add("address-of-n1")
    assert problems([node("n1"), node("n2")], services=services, tasks=tasks) == expected


@pytest.mark.parametrize(("seconds_ago", "expected"), [(1, []), (45, []), (60, IN_USE)])
def test_a_replica_whose_node_lost_the_label_has_its_time_to_end(
    answering: set[str], seconds_ago: int, expected: list[str]
) -> None:
    answering.add("address-of-n1")
    ended = task("n1", "rejected")
    then = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=seconds_ago)
    ended["Status"]["Timestamp"] = then.strftime("%Y-%m-%dT%H:%M:%S.%f123Z")
    ended["Status"]["Err"] = "assigned node no longer meets constraints"
    ended["Spec"] = {"ContainerSpec": {"StopGracePeriod": 40 * 10**9}}
    assert problems([node("n1")], services=[service("own", "cache")], tasks=[ended]) == expected


def lacking(monkeypatch: pytest.MonkeyPatch, *modules: str, command: bool = False) -> None:
    """A machine on which modules or the command are not installed."""
    monkeypatch.setattr(prerequisites, "which", lambda name: None if command else f"/usr/bin/{name}")
    monkeypatch.setattr(prerequisites, "find_spec", lambda name: None if name in modules else object())


def test_nothing_is_said_of_requirements_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking(monkeypatch)
    assert prerequisites.missing_requirements() == []


COMMAND = "docker-ce-cli (Debian's own: docker-cli)"


@pytest.mark.parametrize(
    ("command", "modules", "lacks", "install"),
    [
        (True, [], "the command docker", COMMAND),
        (False, ["docker"], "the Python module docker", "python3-docker"),
        (False, ["jsondiff"], "the Python module jsondiff", "python3-jsondiff"),
        (False, ["yaml"], "the Python module yaml", "python3-yaml (PyYAML)"),
        (
            True,
            ["docker", "jsondiff", "yaml"],
            "the command docker and the Python modules docker, jsondiff and yaml",
            f"{COMMAND}, python3-docker, python3-jsondiff and python3-yaml (PyYAML)",
        ),
    ],
)
def test_what_is_missing_is_one_sentence_with_the_packages(
    monkeypatch: pytest.MonkeyPatch, command: bool, modules: list[str], lacks: str, install: str
) -> None:
    lacking(monkeypatch, *modules, command=command)
    (sentence,) = prerequisites.missing_requirements()
    assert f" lacks {lacks}" in sentence
    assert f"; install {install} there, or let dtr_cache_install_requirements" in sentence
