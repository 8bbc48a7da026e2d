# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands against a deployment: each in one sentence that says what to do, and nothing of it when all is well."""

from __future__ import annotations

import datetime
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.swarm import prerequisites
from ansible_collections.dtr.cache.plugins.module_utils.swarm.model import by_host_name
from ansible_collections.dtr.cache.tests.unit.support import hand_made

PORT = 443
OWN_IMAGE = "docker/dtr-content-cache:2.7.6"


def node(
    name: str, state: str = "ready", availability: str = "active", node_id: str = "", **resources: int
) -> dict[str, t.Any]:
    return {
        "ID": node_id or name,
        "Description": {"Hostname": name, "Resources": resources},
        "Status": {"State": state, "Addr": f"address-of-{name}"},
        "Spec": {"Availability": availability},
    }


def service(name: str, stack: str = "", mode: str = "host", port: int = PORT, image: str = "") -> dict[str, t.Any]:
    return {
        "ID": name,
        "Spec": {
            "Name": "cache_cache" if name == "own" else name,
            "Labels": {"com.docker.stack.namespace": stack} if stack else None,
            "TaskTemplate": {"ContainerSpec": {"Image": image or (OWN_IMAGE if name == "own" else "")}},
        },
        "Endpoint": {"Ports": [{"PublishedPort": port, "TargetPort": 443, "PublishMode": mode}]},
    }


def task(node: str, state: str = "running", service: str = "own", port: int | None = None) -> dict[str, t.Any]:
    ports = {"Ports": [{"PublishedPort": port, "PublishMode": "host"}]} if port else {}
    return {"NodeID": node, "ServiceID": service, "Status": {"State": state, "PortStatus": ports}}


class Engine:
    """What the checks ask of an Engine."""

    def __init__(
        self,
        nodes: list[t.Any],
        services: t.Sequence[t.Any] = (),
        tasks: t.Sequence[t.Any] = (),
        others: t.Sequence[t.Any] = (),
        registry: tuple[int, str] | Failure = (200, ""),
        configs: t.Mapping[str, t.Any] | None = None,
    ) -> None:
        self._nodes, self._services, self._tasks, self._others = nodes, services, tasks, others
        self._registry = registry
        self._configs = dict(configs or {})
        self.asked: list[tuple[str, bool]] = []

    def nodes(self) -> dict[str, t.Any]:
        return {node["ID"]: node for node in self._nodes}

    def all_services(self) -> list[t.Any]:
        return list(self._services)

    def configs(self) -> dict[str, t.Any]:
        return self._configs

    def tasks_of(self, stack: str) -> list[t.Any]:
        return list(self._tasks) if stack in ("cache", "dtr-cache") else []

    def all_tasks(self) -> list[t.Any]:
        return [*self._tasks, *self._others]

    def registry_says(self, image: str, *, with_auth: bool) -> tuple[int, str]:
        self.asked.append((image, with_auth))
        if isinstance(self._registry, Failure):
            raise self._registry
        return self._registry


@pytest.fixture(autouse=True)
def answering(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The addresses at which something answers at the port."""
    answering: set[str] = set()
    monkeypatch.setattr(prerequisites, "_answers", lambda address, port: port == PORT and address in answering)
    return answering


def problems(
    nodes: list[t.Any], *, mode: str = "host", port: int = PORT, wanted: t.Sequence[str] = ("n1",), **swarm: t.Any
) -> list[str]:
    found, warnings = asked(Engine(nodes, **swarm), nodes=wanted, port=port, publish_mode=mode)
    assert warnings == []
    return found


def asked(engine: Engine, **wanted: t.Any) -> tuple[list[str], list[str]]:
    """The problems and the warnings about what is wanted."""
    usual = {"nodes": ["n1"], "port": PORT, "publish_mode": "host", "stack_name": "cache"}
    service = prerequisites.WantedService(**{**usual, **wanted})
    warnings: list[str] = []
    return prerequisites.swarm_problems(t.cast(t.Any, engine), service, warnings.append), warnings


def test_nothing_stands_against_a_sound_swarm() -> None:
    assert problems([node("n1"), node("n2", "down")]) == []


def test_the_port_of_the_metrics_is_checked_in_the_same_way(answering: set[str]) -> None:
    def found(**swarm: t.Any) -> list[str]:
        return asked(Engine([node("n1")], **swarm), port=8443, publish_mode="ingress", metrics_port=PORT)[0]

    assert found() == []
    mesh = [service("other", "other", "ingress")]
    assert found(services=mesh) == ["dtr_cache_metrics_port: 443 is published by service other of stack other already"]
    answering.add("address-of-n1")
    assert [problem.partition(" by ")[0] for problem in found()] == ["dtr_cache_metrics_port: 443 is in use on node n1"]
    assert found(services=[service("own", "cache")], tasks=[task("n1")]) == [], "the cache's own replica has it"


def test_nodes_that_are_not_there_or_take_nothing_are_told_together() -> None:
    nodes = [node("n1", "down"), node("n2", availability="drain"), node("n3", availability="pause")]
    another = "or name another node in dtr_cache_nodes and run dtr.cache.deploy"
    active = "docker node update --availability active"
    assert problems(nodes, wanted=["n1", "n2", "n3", "n4"]) == [
        "dtr_cache_nodes: the Swarm has no node n4; its nodes are n1, n2, n3",
        f"dtr_cache_nodes: node n1 is down; start the Engine of n1, {another}",
        f"dtr_cache_nodes: node n2 is set to drain; let it take tasks with: {active} n2, {another}",
        f"dtr_cache_nodes: node n3 is set to pause; let it take tasks with: {active} n3, {another}",
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
    assert found == (["dtr_cache_port: 443 is published by service other of stack other already"] if in_the_way else [])
    assert problems([node("n1")], mode=ours, services=[service("own", "cache", theirs)]) == []
    assert problems([node("n1")], mode=ours, services=[service("other", "other", theirs, port=80)]) == []


def test_a_service_whose_port_is_in_the_way_is_named_once(answering: set[str]) -> None:
    answering.add("address-of-n1")
    found = problems(
        [node("n1")],
        mode="ingress",
        services=[service("other", "other", "host")],
        others=[task("n1", service="other", port=PORT)],
    )
    assert found == ["dtr_cache_port: 443 is published by service other of stack other already"]


IN_USE = [
    "dtr_cache_port: 443 is in use on node n1 by something that is not this cache and no service of the Swarm, such as "
    "a container or a program (there: docker ps --filter publish=443; ss -ltnp 'sport = :443')"
]


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


@pytest.mark.parametrize(
    ("stack", "named"), [("web", "service other of stack web"), ("", "service other")], ids=["of a stack", "alone"]
)
@pytest.mark.parametrize("by_task", [True, False], ids=["of its task", "of its service"])
def test_a_service_that_has_the_port_of_a_node_is_named(
    answering: set[str], stack: str, named: str, by_task: bool
) -> None:
    answering.update(("address-of-n1", "address-of-n2"))
    other = service("other", stack, port=80 if by_task else PORT)
    found = problems(
        [node("n1"), node("n2")],
        wanted=["n1", "n2"],
        services=[other],
        others=[task("n1", service="other", port=PORT if by_task else None), task("n1", service="gone")],
    )
    assert found == [f"dtr_cache_port: 443 is in use on node n1 by {named}", IN_USE[0].replace("n1", "n2")]


GIB = 2**30


@pytest.mark.parametrize(
    ("reservations", "replicas", "sentence"),
    [
        ({"cpus": "2", "memory": "4G"}, 1, None),
        ({"cpus": "0.5"}, 8, None),
        ({}, 100, None),
        ({"cpus": "0", "memory": "0"}, 100, None),
        ({"cpus": "4"}, 1, "of 4 CPUs the nodes of dtr_cache_nodes have no room for a replica (n1 has 2 CPUs, n2 has"),
        (
            {"memory": "5G"},
            1,
            "of 5120 MiB of memory the nodes of dtr_cache_nodes have no room for a replica (n1 has",
        ),
        ({"cpus": "1.5"}, 3, "of 1.5 CPUs the nodes of dtr_cache_nodes have room for 2 of 3 replicas (n1 has 2 CPUs,"),
        (
            {"cpus": "1", "memory": "3G"},
            3,
            "of 1 CPUs and 3072 MiB of memory the nodes of dtr_cache_nodes have room for",
        ),
    ],
)
def test_reservations_that_the_nodes_cannot_give(
    reservations: dict[str, str], replicas: int, sentence: str | None
) -> None:
    nodes = [node(name, NanoCPUs=2 * 10**9, MemoryBytes=4 * GIB) for name in ("n1", "n2", "large")]
    found, _warnings = asked(Engine(nodes), nodes=["n1", "n2"], replicas=replicas, reservations=reservations)
    assert len(found) == (sentence is not None)
    assert all(f"dtr_cache_resources: with reservations {sentence}" in each for each in found)


@pytest.mark.parametrize(
    ("driver", "lacking"),
    [("", []), ("local", []), ("vieux/sshfs", ["n2"]), ("vieux/sshfs:next", ["n1", "n2"]), ("overlay", ["n1", "n2"])],
)
def test_a_volume_driver_that_nodes_do_not_have(driver: str, lacking: list[str]) -> None:
    nodes = [node(name) for name in ("n1", "n2", "n3", "mute")]
    for each, names in zip(nodes, (["local", "vieux/sshfs:latest"], ["local"], ["local"])):
        plugins = [{"Type": "Volume", "Name": name} for name in names]
        each["Description"]["Engine"] = {"Plugins": [*plugins, {"Type": "Network", "Name": "overlay"}]}
    found, _warnings = asked(Engine(nodes), nodes=["n1", "n2", "mute"], volume_driver=driver)
    assert [each.split()[2] for each in found] == lacking
    assert all(f"has no volume driver {driver}, but local" in each for each in found)


def test_a_node_that_does_not_say_what_it_has_may_have_enough() -> None:
    assert asked(Engine([node("n1")]), reservations={"cpus": "64"}) == ([], [])


IMAGE = "registry.example.org/cache:2.7.6"


class TestImage:
    REFUSALS: t.ClassVar = [
        (404, "manifest unknown: manifest unknown"),
        (401, "unauthorized: authentication required"),
        (403, "denied: requested access to the resource is denied"),
        (500, "errors: denied: requested access to the resource is denied unauthorized: authentication required"),
        (500, "registry.example.org/cache:2.7.6: not found"),
    ]

    @pytest.mark.parametrize("answer", REFUSALS)
    def test_one_that_the_registry_does_not_give_is_a_problem(self, answer: tuple[int, str]) -> None:
        found, warnings = asked(Engine([node("n1")], registry=answer), image=IMAGE, resolve_image="always")
        assert warnings == []
        (problem,) = found
        assert problem.startswith(
            f"dtr_cache_image: the manager gets no {IMAGE} from its registry, which says: {answer[1]}"
        )
        for way_out in ("dtr_cache_version", "dtr_cache_with_registry_auth", "dtr_cache_resolve_image: never"):
            assert way_out in problem

    @pytest.mark.parametrize(
        "answer",
        [
            (500, 'Get "https://registry.example.org/v2/": dial tcp: lookup registry.example.org: no such host'),
            (500, "x509: certificate signed by unknown authority"),
            (503, ""),
            Failure("ENGINE_UNREACHABLE", "The Docker Engine cannot be reached: timed out"),
        ],
    )
    def test_a_registry_that_was_not_reached_is_a_warning(self, answer: tuple[int, str] | Failure) -> None:
        found, warnings = asked(Engine([node("n1")], registry=answer), image=IMAGE, resolve_image="always")
        assert found == []
        (warning,) = warnings
        assert warning.startswith(f"The manager could not ask the registry of {IMAGE} for it (")

    @pytest.mark.parametrize("answer", [(200, ""), (404, "page not found")])
    def test_one_that_is_there_or_an_engine_that_cannot_say(self, answer: tuple[int, str]) -> None:
        assert asked(Engine([node("n1")], registry=answer), image=IMAGE, resolve_image="changed") == ([], [])

    @pytest.mark.parametrize(
        ("live", "resolve", "is_asked"),
        [
            (None, "always", True),
            (None, "never", False),
            (IMAGE, "always", False),
            (f"{IMAGE}@sha256:{'0' * 64}", "always", False),
            ("registry.example.org/cache:2.7.5", "changed", True),
            ("registry.example.org/cache:2.7.5", "never", False),
        ],
    )
    def test_it_is_asked_only_where_docker_will_change_the_image(
        self, live: str | None, resolve: str, is_asked: bool
    ) -> None:
        services = [] if live is None else [service("cache_cache", "cache", image=live)]
        engine = Engine([node("n1")], services=services)
        assert asked(engine, image=IMAGE, resolve_image=resolve, with_registry_auth=True) == ([], [])
        assert engine.asked == [(IMAGE, True)] * is_asked

    def test_what_docker_has_noted_counts_and_not_what_somebody_put_in(self) -> None:
        live = service("cache_cache", "cache", image="by/hand:1")
        live["Spec"]["Labels"]["com.docker.stack.image"] = IMAGE
        engine = Engine([node("n1")], services=[live])
        asked(engine, image=IMAGE, resolve_image="changed")
        assert engine.asked == []


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


CONFIGS = {"dtr-cache_config.yml": hand_made.config()}
HOST = "cache-asia.example.org"


@pytest.mark.parametrize("mode", ["ingress", "host"])
def test_this_cache_in_another_stack_is_named_with_both_ways_on(mode: str) -> None:
    old = hand_made.service(mode=mode)
    (problem,), _warnings = asked(
        Engine([node("n1")], [old], configs=CONFIGS), publish_mode=mode, host=HOST, stack_name="cache"
    )
    assert problem == (
        "dtr_cache_port: 443 is published by service dtr-cache_cache of stack dtr-cache already. It is this cache in "
        "another stack (image docker/dtr-content-cache:2.7.6, http.host https://cache-asia.example.org): keep that "
        "stack with dtr_cache_stack_name: dtr-cache, or let the deployment replace it with "
        "dtr_cache_former_stack_names: [dtr-cache]. Its accounts stay with both"
    )
    # Neither is a way on where the stack has another cache.
    beside = hand_made.service("dtr-cache_osaka", config="osaka", port=8443)
    (problem,), _warnings = asked(
        Engine([node("n1")], [old, beside], configs=CONFIGS), publish_mode=mode, host=HOST, stack_name="cache"
    )
    assert problem == (
        "dtr_cache_port: 443 is published by service dtr-cache_cache of stack dtr-cache already. It is this cache "
        "(image docker/dtr-content-cache:2.7.6, http.host https://cache-asia.example.org), and its stack dtr-cache "
        "also has dtr-cache_osaka, while a cache needs a stack of its own: remove it right before the deployment, with "
        "docker service rm dtr-cache_cache. Its accounts stay, and cannot pull in between"
    )


@pytest.mark.parametrize(
    ("old", "mode", "end"),
    [
        # Another cache on other nodes is nobody's business, on the mesh its port is.
        ({}, "host", None),
        ({"mode": "ingress"}, "ingress", "stack dtr-cache already"),
        # A cache that says nothing of its host may be another one, on other nodes.
        ({"config": ""}, "host", None),
        ({"config": "", "mode": "ingress"}, "ingress", "Its accounts stay with both"),
        (
            {"stack": "", "mode": "ingress", "config": ""},
            "ingress",
            "made without a stack (image docker/dtr-content-cache:2.7.6): remove it right before the deployment, with "
            "docker service rm dtr-cache_cache",
        ),
    ],
)
def test_other_caches_are_told_from_this_one(old: dict[str, t.Any], mode: str, end: str | None) -> None:
    engine = Engine([node("n1")], [hand_made.service(**old)], configs=CONFIGS)
    found, _warnings = asked(engine, publish_mode=mode, host="cache-europe.example.org", stack_name="cache")
    assert len(found) == (end is not None)
    assert all(problem.endswith(str(end)) for problem in found)


def test_a_former_stack_has_the_port_until_it_is_replaced(answering: set[str]) -> None:
    answering.add("address-of-n1")
    engine = Engine([node("n1")], [hand_made.service()], [task("n1", service="dtr-cache_cache")], configs=CONFIGS)
    former: dict[str, t.Any] = {"stack_name": "cache", "former_stacks": ["dtr-cache", "gone"]}
    assert asked(engine, host=HOST, **former) == ([], [])
    (problem,), _warnings = asked(engine, host="cache-europe.example.org", **former)
    assert problem.startswith("dtr_cache_former_stack_names: stack dtr-cache is not replaced: it is the cache of")


def test_two_services_of_the_stack_on_one_port_are_refused() -> None:
    services = [hand_made.service("cache_cache", "cache"), hand_made.service("cache_registry", "cache")]
    (problem,), _warnings = asked(Engine([node("n1")], services, configs=CONFIGS), host=HOST)
    assert problem.startswith("dtr_cache_port: two services of stack cache cannot both have port 443: cache_cache is")


def test_the_image_of_what_is_taken_over_is_not_asked_for() -> None:
    engine = Engine([node("n1")], [hand_made.service("cache_registry", "cache")], configs=CONFIGS)
    asked(engine, host=HOST, image=OWN_IMAGE, resolve_image="always")
    assert engine.asked == []


@pytest.mark.parametrize(
    ("own", "neighbour", "nodes", "refused", "warned"),
    [
        # What is placed otherwise, and may serve, is not moved to where anybody's label is.
        ("node.hostname == n1", "node.labels.dtr.cache == true", ["n1"], True, False),
        ("node.labels.dtr.cache == true", "node.labels.dtr.cache == true", ["n1"], False, True),
        ("", "node.labels.dtr.cache == true", ["n1"], False, True),
        # Nobody else needs the label, so that it is taken from the node.
        ("node.hostname == n1", "node.labels.dtr.cache != true", ["n1"], False, False),
        ("node.hostname == n1", "node.labels.dtr.cache == true", ["n1", "n2"], False, False),
    ],
)
def test_a_label_that_another_service_needs_leads_to_its_nodes(
    own: str, neighbour: str, nodes: list[str], refused: bool, warned: bool
) -> None:
    def placed(name: str, stack: str, constraint: str, port: int) -> dict[str, t.Any]:
        made = hand_made.service(name, stack, port=port)
        made["Spec"]["TaskTemplate"]["Placement"] = {"Constraints": [constraint]}
        return made

    present = [node("n1"), node("n2")]
    for each in present:
        each["Spec"]["Labels"] = {"dtr.cache": "true"}
    services = [placed("second_cache", "second", neighbour, 8443)]
    services += [placed("cache_cache", "cache", own, PORT)] if own else []
    found, warnings = asked(Engine(present, services), nodes=nodes, node_label="dtr.cache")
    sentence = (
        "dtr_cache_nodes: Swarm may put the cache on n2 as well: label dtr.cache is there, and second_cache needs it. "
        "Give this cache a label of its own, such as dtr_cache_node_label: dtr.cache.cache, or name this node in "
        "dtr_cache_nodes"
    )
    assert (found, warnings) == ([sentence] * refused, [f"{sentence}."] * warned)
