# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stacks that were this cache before: what stands against replacing them, how it is done, and what goes with them."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.swarm.former import former_problems, move, with_former
from ansible_collections.dtr.cache.plugins.module_utils.swarm.model import FormerStack, Swarm
from ansible_collections.dtr.cache.plugins.module_utils.swarm.plan import plan, plan_removal
from ansible_collections.dtr.cache.tests.unit.support.hand_made import CONFIG, config, service, template
from ansible_collections.dtr.cache.tests.unit.support.plans import DEFINITION, LIVE_SPEC, item, node, swarm, wanted

CONFIGS = {"old_config.yml": config()}
HOST = "cache-asia.example.org"
# What the plans of the support want is stack dtr-cache with label dtr.cache.
OLD = service("old_registry", "old", replicas=2, config="old_config.yml", label="msr.cache")


def live(spec: dict[str, t.Any] | None = None, *, former: dict[str, t.Any] | None, **changes: t.Any) -> Swarm:
    stack = FormerStack({"registry": former}, {"old_default": {}}) if former else FormerStack({}, {})
    return swarm(spec, former={"old": stack}, **changes)


def problems(services: list[dict[str, t.Any]], port: int = 443, host: str = HOST, **configs: t.Any) -> list[str]:
    return former_problems("old", services, configs or CONFIGS, "", host, port)


@pytest.mark.parametrize(
    ("services", "options", "sentence"),
    [
        ([OLD], {}, ""),
        ([service("old_a", "old", port=0)], {}, ""),
        (
            [OLD, service("old_db", "old", image="redis:7", config="", command=())],
            {},
            "is not replaced, as it also has what is no content cache: old_db. Replacing it would remove them: keep",
        ),
        (
            [OLD],
            {"host": "cache-europe.example.org"},
            "is not replaced: it is the cache of https://cache-asia.example.org, and not of cache-europe.example.org",
        ),
        (
            [OLD, service("old_b", "old", config="old_config.yml", port=8443)],
            {},
            "is not replaced, as it also has old_b, which is another cache: leave the stack out, and remove this cache "
            "right before the deployment, with docker service rm old_registry.",
        ),
        (
            [{**OLD, "Spec": {**OLD["Spec"], "Mode": {"Global": {}}}}],
            {},
            "is not replaced: service old_registry runs in mode global, which Swarm cannot change: remove it right",
        ),
        ([OLD], {"port": 8443}, "is not replaced: it publishes port 443, and not 8443. Accounts would be sent to nei"),
    ],
)
def test_what_is_replaced_is_this_cache_and_nothing_else(
    services: list[dict[str, t.Any]], options: dict[str, t.Any], sentence: str
) -> None:
    found = problems(services, **options)
    assert len(found) == bool(sentence)
    assert all(each.startswith(f"dtr_cache_former_stack_names: stack old {sentence}") for each in found)


def command(text: str) -> list[str]:
    return text.split()


def test_ports_of_nodes_go_from_replica_to_replica() -> None:
    found = move(live(former=OLD), wanted())
    assert found
    assert (found.former, found.release) == (["old_registry"], [])
    assert found.hand_over == [
        command("service scale --detach old_registry=1"),
        command("service scale --detach old_registry=0"),
    ]
    assert found.undo == [
        command("service rm dtr-cache_cache"),
        command("service scale --detach old_registry=2"),
    ]


@pytest.mark.parametrize("ours", ["ingress", "host"])
def test_a_port_of_the_mesh_is_taken_first(ours: str) -> None:
    definition = copy.deepcopy(DEFINITION)
    definition["services"]["cache"]["ports"][0]["mode"] = ours
    found = move(live(former=service("old_registry", "old", mode="ingress")), wanted(definition=definition))
    assert found
    assert found.release == [command("service update --detach --publish-rm 443 old_registry")]
    assert found.hand_over == []
    back = "published=443,target=443,protocol=tcp,mode=ingress"
    assert found.undo[1:] == [command(f"service update --detach --publish-add {back} old_registry")]


def test_replicas_end_first_where_that_is_the_only_way_to_the_port_of_a_node() -> None:
    """Swarm keeps the port of a node for a service that gives it up."""
    definition = copy.deepcopy(DEFINITION)
    definition["services"]["cache"]["ports"][0]["mode"] = "ingress"
    found = move(live(former=OLD), wanted(definition=definition))
    assert found
    assert (found.release, found.hand_over) == ([command("service scale --detach old_registry=0")], [])
    assert found.undo[1:] == [command("service scale --detach old_registry=2")]


def test_both_kinds_of_ports_of_one_service() -> None:
    former = service("old_registry", "old", mode="ingress", replicas=2)
    metrics = {"PublishedPort": 5001, "TargetPort": 5001, "Protocol": "tcp", "PublishMode": "host"}
    former["Spec"]["EndpointSpec"]["Ports"].append(metrics)
    definition = copy.deepcopy(DEFINITION)
    definition["services"]["cache"]["ports"].append(
        {"mode": "host", "protocol": "tcp", "published": 5001, "target": 5001}
    )
    found = move(live(former=former), wanted(definition=definition))
    assert found
    assert found.release == [
        command("service scale --detach old_registry=0"),
        command("service update --detach --publish-rm 443 old_registry"),
    ]
    assert len(found.undo) == 3


def test_what_was_begun_is_gone_on_with() -> None:
    released = move(live(former=service("old_registry", "old", port=0)), wanted())
    assert released
    assert (released.former, released.release, released.hand_over) == (["old_registry"], [], [])
    ended = move(live(former=service("old_registry", "old", replicas=0)), wanted())
    assert ended
    assert ended.hand_over == []
    assert move(live(former=None), wanted()) is None
    assert move(live(former=OLD), wanted(definition={})) is None


def test_what_an_interrupted_run_has_taken_is_given_back() -> None:
    ended = service("old_registry", "old", replicas=0)
    ended["PreviousSpec"] = {"Mode": {"Replicated": {"Replicas": 2}}, "EndpointSpec": ended["Spec"]["EndpointSpec"]}
    found = move(live(LIVE_SPEC, former=ended), wanted())
    assert found
    assert found.undo[1:] == [command("service scale --detach old_registry=2")]
    released = service("old_registry", "old", port=0)
    ports = [{"PublishedPort": number, "TargetPort": 443, "PublishMode": "ingress"} for number in (443, 9443)]
    released["PreviousSpec"] = {"EndpointSpec": {"Ports": [{**port, "Protocol": "tcp"} for port in ports]}}
    found = move(live(former=released), wanted())
    assert found
    back = "published=443,target=443,protocol=tcp,mode=ingress"
    assert found.undo[1:] == [command(f"service update --detach --publish-add {back} old_registry")]


def test_replicas_that_somebody_took_away_long_ago_stay_away() -> None:
    former = copy.deepcopy(OLD)
    former["PreviousSpec"] = {"Mode": {"Replicated": {"Replicas": 5}}}
    found = move(live(former=former), wanted())
    assert found
    assert found.undo[1:] == [command("service scale --detach old_registry=2")]


def test_a_stack_that_became_another_cache_is_not_removed_with_this_one() -> None:
    """Its name may still stand among the former ones when another region has taken it."""
    found = live(LIVE_SPEC, former=OLD, configs=CONFIGS)
    made = wanted(former_stacks=["old"], host="cache-europe.example.org")
    with pytest.raises(Failure) as caught:
        with_former(plan_removal(found, made), found, made)
    assert caught.value.message == (
        "Stack old is not removed: old_registry is the cache of https://cache-asia.example.org. This cache has "
        "https://cache-europe.example.org."
    )


def steps(found: Swarm, **changes: t.Any) -> list[tuple[str, str, str, str]]:
    made = wanted(former_stacks=["old"], **changes)
    return [
        (step["kind"], step["action"], step["name"], step.get("stack", ""))
        for step in with_former(plan(found, made), found, made).steps
    ]


NODES = {
    "worker-1": node(**{"dtr.cache": "true", "msr.cache": "true"}),
    "worker-2": node(**{"msr.cache": "true", "dtr.cache": "true"}),
}


def test_what_is_left_of_a_former_stack_goes_last() -> None:
    found = live(
        nodes=NODES,
        configs={"old_config.yml": config(**{"com.docker.stack.namespace": "old"})},
        secrets={"own-key": {"CreatedAt": "2025", "Spec": {}}, "old_a": item("a", stack="old")},
        former=service("old_registry", "old", config="old_config.yml", secrets=["own-key"], label="msr.cache"),
    )
    assert steps(found) == [
        ("config", "create", "dtr-cache_config.yml_1", ""),
        ("secret", "create", "dtr-cache_cache.key.pem_1", ""),
        ("service", "create", "dtr-cache_cache", ""),
        # Replicas of the former stack may still be there.
        ("node_label", "remove", "worker-2", "old"),
        ("service", "remove", "old_registry", "old"),
        ("network", "remove", "old_default", "old"),
        ("config", "remove", "old_config.yml", "old"),
        ("secret", "remove", "old_a", "old"),
        ("secret", "remove", "own-key", "old"),
        ("node_label", "remove", "worker-1", "old"),
        ("node_label", "remove", "worker-2", "old"),
    ]


def test_what_a_killed_run_left_of_it_goes_with_the_next() -> None:
    nodes = {"worker-1": NODES["worker-1"], "worker-2": node()}
    found = live(LIVE_SPEC, former=None, nodes=nodes, secrets={**swarm(None).secrets, "old_a": item("a", stack="old")})
    assert steps(found) == [
        ("secret", "remove", "old_a", "old"),
        ("node_label", "remove", "worker-1", "old"),
    ]
    done = live(LIVE_SPEC, former=None, nodes={"worker-1": node(**{"dtr.cache": "true"}), "worker-2": node()})
    assert steps(done) == []


@pytest.mark.parametrize("shared", [True, False])
def test_a_label_that_another_service_is_placed_by_stays(shared: bool) -> None:
    others = [service("web", "", image="x", config="", secrets=(), label="msr.cache")] if shared else []
    nodes = {"worker-1": NODES["worker-1"]}
    found = live(LIVE_SPEC, former=None, nodes=nodes, other_services=others)
    assert bool(steps(found)) != shared


def test_another_product_line_in_the_same_stack_keeps_the_label_for_a_rollback() -> None:
    """The update after it removes the label, when Swarm cannot go back to the version that is placed by it."""
    to_msr: dict[str, t.Any] = {"node_labels": {"worker-1": {"msr.cache": "true"}}}
    nodes = {"worker-1": NODES["worker-1"]}

    def labels(spec: dict[str, t.Any], before: dict[str, t.Any], image: str) -> list[str]:
        definition = copy.deepcopy(DEFINITION)
        definition["services"]["cache"]["image"] = image
        definition["services"]["cache"]["deploy"]["placement"]["constraints"] = ["node.labels.msr.cache == true"]
        services = {"cache": {"Spec": spec, "PreviousSpec": {"TaskTemplate": before}}}
        found = swarm(spec, nodes=nodes, services=services)
        made = wanted(definition=definition, **to_msr)
        result = with_former(plan(found, made), found, made)
        return [step["detail"] for step in result.steps if step["kind"] == "node_label"]

    moved = copy.deepcopy(LIVE_SPEC)
    moved["TaskTemplate"]["Placement"]["Constraints"] = ["node.labels.msr.cache == true"]
    assert labels(LIVE_SPEC, template(), "msr:3") == []
    assert labels(moved, template(), "docker/dtr-content-cache:2.7.4") == []
    assert labels(moved, template(), "msr:4") == ["dtr.cache"]


def test_a_config_that_names_no_host_speaks_against_nothing() -> None:
    assert problems([OLD], **{"old_config.yml": config({**CONFIG, "http": {}})}) == []
