# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans: nothing when nothing differs, and each difference as one step in the right order."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.swarm.model import Swarm
from ansible_collections.dtr.cache.plugins.module_utils.swarm.plan import (
    Plan,
    plan,
    plan_removal,
)
from ansible_collections.dtr.cache.plugins.module_utils.swarm.views import (
    live_service,
    undeclared_parts,
    wanted_service,
)
from ansible_collections.dtr.cache.tests.unit.support import hand_made
from ansible_collections.dtr.cache.tests.unit.support.plans import DEFINITION, LIVE_SPEC, item, node, swarm, wanted


def test_a_service_that_is_as_wanted_has_the_same_view_on_both_sides() -> None:
    assert live_service(LIVE_SPEC) == wanted_service("dtr-cache", "cache", DEFINITION)
    assert undeclared_parts("dtr-cache", "cache", {"Spec": LIVE_SPEC}, DEFINITION) == []


def test_nothing_differs_then_there_is_no_step_and_no_diff() -> None:
    assert plan(swarm(LIVE_SPEC), wanted()) == Plan()


def test_an_empty_swarm_needs_everything_in_order() -> None:
    result = plan(swarm(None, nodes={"worker-1": node()}, configs={}, secrets={}), wanted())
    assert [(step["kind"], step["action"]) for step in result.steps] == [
        ("node_label", "set"),
        ("config", "create"),
        ("secret", "create"),
        ("service", "create"),
    ]
    assert result.steps[0] == {
        "kind": "node_label",
        "action": "set",
        "name": "worker-1",
        "detail": "dtr.cache=true",
        "id": "id-of-a-node",
    }


def change(path: str, value: t.Any) -> dict[str, t.Any]:
    spec = copy.deepcopy(LIVE_SPEC)
    *parents, last = path.split(".")
    target: t.Any = spec
    for parent in parents:
        target = target[int(parent)] if isinstance(target, list) else target[parent]
    target[last] = value
    return spec


@pytest.mark.parametrize(
    ("path", "value", "part"),
    [
        ("TaskTemplate.ContainerSpec.Image", "docker/dtr-content-cache:2.7.3", "image"),
        ("TaskTemplate.ContainerSpec.Command", ["/bin/sh"], "entrypoint"),
        ("TaskTemplate.ContainerSpec.Args", ["-x"], "command"),
        ("TaskTemplate.ContainerSpec.Env", ["REGISTRY_LOG_LEVEL=debug"], "environment"),
        ("TaskTemplate.ContainerSpec.Env", ["REGISTRY_LOG_LEVEL=info", "MORE=1"], "environment"),
        ("TaskTemplate.ContainerSpec.Mounts", [], "mounts"),
        ("TaskTemplate.ContainerSpec.Secrets", [], "secrets"),
        ("TaskTemplate.ContainerSpec.Configs", None, "configs"),
        ("TaskTemplate.ContainerSpec.StopGracePeriod", None, "stop_grace_period"),
        ("TaskTemplate.Placement.Constraints", ["node.role == manager"], "constraints"),
        ("TaskTemplate.ContainerSpec.Mounts.0.ReadOnly", True, "mounts"),
        ("TaskTemplate.ContainerSpec.Mounts.0.VolumeOptions.NoCopy", True, "mounts"),
        ("TaskTemplate.ContainerSpec.Mounts.0.VolumeOptions.DriverConfig.Name", "flocker", "mounts"),
        ("TaskTemplate.ContainerSpec.Mounts.0.BindOptions", {"Propagation": "rslave"}, "mounts"),
        ("TaskTemplate.ContainerSpec.Mounts.0.TmpfsOptions", {"Mode": 0o700}, "mounts"),
        ("TaskTemplate.ContainerSpec.DNSConfig", {"Options": ["ndots:1"]}, "dns_options"),
        ("TaskTemplate.ContainerSpec.Groups", ["27"], "groups"),
        (
            "TaskTemplate.Resources.Reservations",
            {"GenericResources": [{"DiscreteResourceSpec": {"Kind": "ssd", "Value": 2}}]},
            "reservations",
        ),
        ("TaskTemplate.ContainerSpec.Secrets.0.File.Mode", 0o400, "secrets"),
        ("TaskTemplate.ContainerSpec.Configs.0.File.UID", "1000", "configs"),
        ("TaskTemplate.Placement.MaxReplicas", 1, "max_replicas_per_node"),
        ("TaskTemplate.RestartPolicy.MaxAttempts", 1, "restart_policy"),
        ("TaskTemplate.RestartPolicy.Delay", 60 * 10**9, "restart_policy"),
        ("TaskTemplate.RestartPolicy.Window", 10**9, "restart_policy"),
        ("TaskTemplate.Resources.Limits.Pids", 10, "limits"),
        ("TaskTemplate.Resources.Reservations", {"MemoryBytes": 1}, "reservations"),
        ("Mode", {"Global": {}}, "replicas"),
        ("UpdateConfig.MaxFailureRatio", 0.5, "update_config"),
        ("UpdateConfig.Order", "start-first", "update_config"),
        ("RollbackConfig", {"Parallelism": 0}, "rollback_config"),
        ("TaskTemplate.RestartPolicy.Condition", "any", "restart_policy"),
        ("TaskTemplate.Resources", {}, "limits"),
        ("TaskTemplate.Resources", {"Limits": {"NanoCPUs": 1000000000, "MemoryBytes": 536870912}}, "limits"),
        ("Mode.Replicated.Replicas", 1, "replicas"),
        ("UpdateConfig", None, "update_config"),
        ("UpdateConfig.FailureAction", "pause", "update_config"),
        ("EndpointSpec.Ports", [], "ports"),
        # As people set them by hand; a deployment takes them back.
        ("EndpointSpec.Mode", "dnsrr", "endpoint_mode"),
        ("TaskTemplate.ContainerSpec.User", "1000:1000", "user"),
        ("TaskTemplate.ContainerSpec.Dir", "/srv", "working_dir"),
        ("TaskTemplate.ContainerSpec.ReadOnly", True, "read_only"),
        ("TaskTemplate.ContainerSpec.StopSignal", "SIGINT", "stop_signal"),
        (
            "TaskTemplate.Placement.Preferences",
            [{"Spread": {"SpreadDescriptor": "node.labels.rack"}}],
            "placement_preferences",
        ),
        (
            "EndpointSpec.Ports",
            [{"Protocol": "tcp", "TargetPort": 443, "PublishedPort": 443, "PublishMode": "ingress"}],
            "ports",
        ),
    ],
)
def test_each_change_by_hand_is_found_and_shown_alone(path: str, value: t.Any, part: str) -> None:
    result = plan(swarm(change(path, value)), wanted())
    assert result.steps == [{"kind": "service", "action": "update", "name": "dtr-cache_cache", "detail": part}]
    assert list(result.before["services"]["dtr-cache_cache"]) == [part]
    assert list(result.after["services"]["dtr-cache_cache"]) == [part]


def test_names_on_a_network_that_somebody_gave_are_shown() -> None:
    spec = change("TaskTemplate.Networks", [{"Target": "n", "Aliases": ["cache", "mirror"]}])
    names = {"network_names": {"n": "dtr-cache_default"}}
    assert plan(swarm(LIVE_SPEC, **names), wanted()) == Plan()
    before = plan(swarm(spec, **names), wanted()).before["services"]["dtr-cache_cache"]
    assert before == {"networks": ["dtr-cache_default (aliases mirror)"]}


@pytest.mark.parametrize(
    ("path", "value", "shown"),
    [
        ("TaskTemplate.ContainerSpec.OomScoreAdj", -5, {"ContainerSpec.OomScoreAdj": -5}),
        (
            "TaskTemplate.ContainerSpec.Privileges",
            {"CredentialSpec": None, "SELinuxContext": {"Disable": True, "User": ""}, "NoNewPrivileges": False},
            {"ContainerSpec.Privileges.SELinuxContext.Disable": True},
        ),
        (
            "TaskTemplate.ContainerSpec.Mounts.0.BindOptions",
            {"Propagation": "rprivate", "NonRecursive": True},
            {"ContainerSpec.Mounts[/var/lib/registry].BindOptions.NonRecursive": True},
        ),
        ("TaskTemplate.Resources.SwapBytes", 5, {"Resources.SwapBytes": 5}),
        ("TaskTemplate.OfTheFuture", {"a": [1]}, {"OfTheFuture.a": [1]}),
        ("EndpointSpec.ExternalIPs", ["192.0.2.1"], {"EndpointSpec.ExternalIPs": ["192.0.2.1"]}),
        ("TaskTemplate.ContainerSpec.Mounts.0.Consistency", "default", {}),
        ("TaskTemplate.ContainerSpec.Mounts.0.VolumeOptions.Labels", {"com.docker.stack.namespace": "dtr-cache"}, {}),
        ("TaskTemplate.Placement.Platforms", [{"Architecture": "amd64", "OS": "linux"}], {}),
        ("TaskTemplate.ForceUpdate", 3, {}),
    ],
)
def test_what_nobody_knows_is_shown_when_an_update_takes_it_away(
    path: str, value: t.Any, shown: dict[str, t.Any]
) -> None:
    """It is no reason to update, as an Engine of tomorrow may write it by itself, so that nothing would settle."""
    spec = change(path, value)
    assert plan(swarm(spec), wanted()) == Plan()
    assert undeclared_parts("dtr-cache", "cache", {"Spec": spec}, DEFINITION) == []
    spec["TaskTemplate"]["ContainerSpec"]["Args"] = ["-x"]
    result = plan(swarm(spec), wanted())
    assert result.steps[0]["detail"] == ("command, other_settings" if shown else "command")
    assert result.before["services"]["dtr-cache_cache"].get("other_settings", {}) == shown


@pytest.mark.parametrize("state", ["paused", "rollback_paused"])
def test_an_update_that_stands_still_is_set_going_again(state: str) -> None:
    live = swarm(LIVE_SPEC, services={"cache": {"Spec": LIVE_SPEC, "UpdateStatus": {"State": state}}})
    result = plan(live, wanted())
    assert [(step["action"], step["detail"]) for step in result.steps] == [("update", "update")]
    assert result.before["services"] == {"dtr-cache_cache": {"update": "paused"}}


@pytest.mark.parametrize("state", ["updating", "completed", "rollback_completed"])
def test_any_other_state_of_an_update_is_no_difference(state: str) -> None:
    live = swarm(LIVE_SPEC, services={"cache": {"Spec": LIVE_SPEC, "UpdateStatus": {"State": state}}})
    assert plan(live, wanted()).steps == []


def test_a_lost_label_is_set_again_and_others_are_left_alone() -> None:
    nodes = {"worker-1": node(rack="7"), "worker-2": node(other="x")}
    result = plan(swarm(LIVE_SPEC, nodes=nodes), wanted())
    assert [step["name"] for step in result.steps] == ["worker-1"]
    assert result.before == {"node_labels": {"worker-1": {"dtr.cache": None}}}


def test_the_label_is_taken_from_a_node_that_is_not_dedicated_any_more() -> None:
    nodes = {"worker-1": node(**{"dtr.cache": "true"}), "worker-2": node(**{"dtr.cache": "true", "rack": "7"})}
    (step,) = plan(swarm(LIVE_SPEC, nodes=nodes), wanted()).steps
    assert (step["kind"], step["action"], step["name"]) == ("node_label", "remove", "worker-2")


def other_service(*constraints: str, secrets: t.Sequence[str] = (), **previous: t.Any) -> dict[str, t.Any]:
    """A service outside of the stack, with its placement and the secrets that it uses now or used before."""

    def spec(names: t.Iterable[str]) -> dict[str, t.Any]:
        container = {"Secrets": [{"SecretName": name} for name in names]}
        return {"TaskTemplate": {"ContainerSpec": container, "Placement": {"Constraints": list(constraints)}}}

    return {"Spec": spec(secrets), "PreviousSpec": spec(previous.get("previous") or ())}


@pytest.mark.parametrize(
    ("constraint", "shared"),
    [
        ("node.labels.dtr.cache == true", True),
        ("node.labels.dtr.cache==true", True),
        (" node.labels.dtr.cache == false", True),
        ("node.labels.dtr.cache != true", False),
        ("node.labels.dtr.cache.other == true", False),
        ("node.labels.rack == dtr.cache", False),
    ],
)
def test_a_label_that_another_service_is_placed_by_stays_on_other_nodes(constraint: str, shared: bool) -> None:
    nodes = {"worker-1": node(), "worker-2": node(**{"dtr.cache": "true"})}
    live = swarm(LIVE_SPEC, nodes=nodes, other_services=[other_service(constraint), other_service()])
    steps = plan(live, wanted()).steps
    assert [(step["action"], step["name"]) for step in steps] == [
        ("set", "worker-1"),
        *([] if shared else [("remove", "worker-2")]),
    ]
    nodes["worker-1"] = node(**{"dtr.cache": "true"})
    removed = [step["name"] for step in plan_removal(live, wanted()).steps if step["kind"] == "node_label"]
    assert removed == ([] if shared else ["worker-1"])


def test_superseded_objects_go_but_for_the_newest_few_of_each_file() -> None:
    secrets = {
        "dtr-cache_cache.key.pem_1": item("cache.key.pem", "2026-01-05"),
        "dtr-cache_cache.key.pem_a": item("cache.key.pem", "2026-01-04"),
        "dtr-cache_cache.key.pem_b": item("cache.key.pem", "2026-01-03"),
        "dtr-cache_cache.key.pem_c": item("cache.key.pem", "2026-01-02"),
        "dtr-cache_cache.cert.pem_a": item("cache.cert.pem", "2026-01-01"),
        "other_cache.key.pem_a": item("cache.key.pem", "2026-01-01", stack="other"),
        "somebody-elses": {"CreatedAt": "2026-01-01", "Spec": {"Name": "somebody-elses"}},
    }

    def removed(keep: int) -> list[str]:
        steps = plan(swarm(LIVE_SPEC, secrets=secrets), wanted(keep_versions=keep)).steps
        assert all(step["action"] == "remove" for step in steps)
        return [step["name"].removeprefix("dtr-cache_") for step in steps]

    assert removed(2) == ["cache.key.pem_c"]
    assert removed(3) == []
    assert removed(0) == ["cache.cert.pem_a", "cache.key.pem_a", "cache.key.pem_b", "cache.key.pem_c"]


def test_a_removal_takes_everything_of_the_stack_and_nothing_else() -> None:
    full = swarm(
        LIVE_SPEC,
        secrets={"a": item("x"), "b": item("x", stack="other"), "c": {"CreatedAt": "2026", "Spec": {"Labels": None}}},
    )
    steps = plan_removal(
        full, wanted(node_labels={"worker-1": {"dtr.cache": "true"}, "gone": {"dtr.cache": "true"}})
    ).steps
    assert [(step["kind"], step["action"], step["name"]) for step in steps] == [
        ("service", "remove", "dtr-cache_cache"),
        ("network", "remove", "dtr-cache_default"),
        ("config", "remove", "dtr-cache_config.yml_1"),
        ("secret", "remove", "a"),
        ("node_label", "remove", "worker-1"),
    ]
    assert plan_removal(swarm(None, configs={}, secrets={}, nodes={"worker-1": node()}), wanted()) == Plan()


def test_a_network_that_is_all_that_is_left_is_removed() -> None:
    rest = swarm(None, configs={}, secrets={}, nodes={"worker-1": node()}, networks={"dtr-cache_default": {}})
    (step,) = plan_removal(rest, wanted()).steps
    assert (step["kind"], step["action"], step["name"]) == ("network", "remove", "dtr-cache_default")


def test_unknown_nodes_are_named_together() -> None:
    with pytest.raises(Failure) as caught:
        plan(swarm(LIVE_SPEC), wanted(node_labels={"worker-8": {}, "worker-9": {}}))
    assert caught.value.code == "UNKNOWN_NODE"
    assert "worker-8, worker-9" in caught.value.message
    assert "worker-1, worker-2" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("TaskTemplate.RestartPolicy.Delay", 5 * 10**9),
        ("RollbackConfig", {"Parallelism": 1, "MaxFailureRatio": 0, "Order": "stop-first"}),
        ("TaskTemplate.ContainerSpec.Mounts.0.VolumeOptions.DriverConfig.Name", "local"),
        ("TaskTemplate.ContainerSpec.Configs.0.File.Name", "config.yml"),
    ],
)
def test_what_the_engine_does_anyway_is_no_difference(path: str, value: t.Any) -> None:
    assert plan(swarm(change(path, value)), wanted()) == Plan()


def with_image(image: str) -> dict[str, t.Any]:
    service = {**DEFINITION["services"]["cache"], "image": image}
    return {**DEFINITION, "services": {"cache": service}}


DIGEST, OTHER_DIGEST = "@sha256:" + "0" * 64, "@sha256:" + "1" * 64


@pytest.mark.parametrize(
    ("declared", "live", "same"),
    [
        ("docker.io/docker/cache:1", "docker/cache:1" + DIGEST, True),
        ("index.docker.io/docker/cache:1", "docker/cache:1", True),
        ("docker/cache", "docker/cache:latest" + DIGEST, True),
        ("docker.io/library/cache:1", "cache:1", True),
        ("registry.example.org:5000/cache", "registry.example.org:5000/cache:latest", True),
        ("docker/cache:1" + DIGEST, "docker/cache:1" + DIGEST, True),
        ("docker/cache" + DIGEST, "docker/cache" + DIGEST, True),
        ("docker/cache:1" + DIGEST, "docker/cache:1" + OTHER_DIGEST, False),
        ("docker/cache:1" + DIGEST, "docker/cache:1", False),
        ("registry.example.org/docker/cache:1", "docker/cache:1", False),
        ("registry.example.org/library/cache:1", "registry.example.org/cache:1", False),
    ],
)
def test_an_image_is_the_same_however_it_is_spelled(declared: str, live: str, same: bool) -> None:
    result = plan(swarm(change("TaskTemplate.ContainerSpec.Image", live)), wanted(definition=with_image(declared)))
    assert [step["detail"] for step in result.steps] == ([] if same else ["image"])


def test_an_image_that_docker_would_keep_is_told() -> None:
    by_hand = change("TaskTemplate.ContainerSpec.Image", "docker/dtr-content-cache:2.7.3")
    assert plan(swarm(by_hand), wanted()).kept_images == ["cache"]
    assert plan(swarm(LIVE_SPEC), wanted()).kept_images == []
    # Whoever declares another image than the label names gets it.
    assert plan(swarm(by_hand), wanted(definition=with_image("docker/dtr-content-cache:2.7.6"))).kept_images == []
    assert plan(swarm(None), wanted()).kept_images == []


def versions(*files: str) -> dict[str, t.Any]:
    """Secrets with these last letters, the oldest first."""
    return {
        f"dtr-cache_cache.key.pem_{file}": item("cache.key.pem", f"2026-01-0{day}") for day, file in enumerate(files)
    }


def removed(live: Swarm, **changes: t.Any) -> list[str]:
    steps = plan(live, wanted(**changes)).steps
    return [step["name"][-1] for step in steps if (step["kind"], step["action"]) == ("secret", "remove")]


def running(now: str, before: str | None = None) -> dict[str, t.Any]:
    """The service with the version of a secret that it uses, and the one that it used before its last update."""
    specs = [
        change("TaskTemplate.ContainerSpec.Secrets.0.SecretName", f"dtr-cache_cache.key.pem_{version}")
        for version in (now, before or now)
    ]
    return {"cache": {"Spec": specs[0], **({"PreviousSpec": specs[1]} if before else {})}}


def test_what_a_service_uses_or_would_after_a_rollback_is_not_outdated() -> None:
    # Nothing is to be updated: the version before the running one stays, however few are to be kept.
    assert removed(swarm(LIVE_SPEC, secrets=versions("b", "a", "1"), services=running("1", "a")), keep_versions=0) == [
        "b"
    ]
    # After this update, the running one is the one before, and the one before it is not needed any more.
    assert removed(swarm(LIVE_SPEC, secrets=versions("b", "a", "1"), services=running("a", "b")), keep_versions=0) == [
        "b"
    ]
    # Two newer ones were tried and rolled back: the good one that still runs is the oldest.
    assert removed(swarm(LIVE_SPEC, secrets=versions("a", "b", "c", "1"), services=running("a"))) == []


@pytest.mark.parametrize("when", ["now", "before"])
def test_what_another_service_uses_stays(when: str) -> None:
    name = "dtr-cache_cache.key.pem_a"
    other = other_service(secrets=[name]) if when == "now" else other_service(previous=[name])
    live = swarm(LIVE_SPEC, secrets=versions("a", "b", "1"), other_services=[other])
    assert removed(live, keep_versions=0) == ["b"]
    kept = [step["name"] for step in plan_removal(live, wanted()).steps if step["kind"] == "secret"]
    assert kept == ["dtr-cache_cache.key.pem_1", "dtr-cache_cache.key.pem_b"]


def test_of_a_new_service_only_what_is_no_default_of_docker_is_shown() -> None:
    (shown,) = plan(swarm(None, configs={}, secrets={}), wanted()).after["services"].values()
    assert shown["restart_policy"] == {"condition": "on-failure"}
    assert shown["update_config"] == {"delay": "5s", "failure_action": "rollback", "monitor": "10s"}
    assert "rollback_config" not in shown
    assert shown["image"] == "docker/dtr-content-cache:2.7.4"


def test_of_a_part_only_what_differs_in_it_is_shown() -> None:
    result = plan(swarm(change("UpdateConfig.FailureAction", "pause")), wanted())
    assert result.before["services"] == {"dtr-cache_cache": {"update_config": {"failure_action": "pause"}}}
    assert result.after["services"] == {"dtr-cache_cache": {"update_config": {"failure_action": "rollback"}}}


@pytest.mark.parametrize("environment", [{}, {"A": "1"}])
def test_an_image_that_is_not_known_is_not_compared(environment: dict[str, str]) -> None:
    service = {**DEFINITION["services"]["cache"], "image": "", "environment": environment}
    definition = {**DEFINITION, "services": {"cache": service}}
    steps = plan(swarm(LIVE_SPEC), wanted(definition=definition)).steps
    assert ["image" in step["detail"] for step in steps if step["kind"] == "service"] == [False]
    assert undeclared_parts("dtr-cache", "cache", {"Spec": LIVE_SPEC}, definition).count("image") == 0


BY_DOCKER = {"com.docker.stack.namespace": "dtr-cache"}
MADE_BY_HAND = {
    **{f"dtr-cache_{file}": {"CreatedAt": "2025-01-01", "Spec": {"Labels": BY_DOCKER}} for file in hand_made.SECRETS},
    # Rotated by hand once, and forgotten.
    "dtr-cache_old.key.pem": {"CreatedAt": "2024-01-01", "Spec": {"Labels": BY_DOCKER}},
    "unrelated": {"CreatedAt": "2024-01-01", "Spec": {"Labels": None}},
}
KEY = "dtr-cache_cache.key.pem_0123456789ab"
OURS: dict[str, t.Any] = {"secrets": [KEY], "config": "dtr-cache_config.yml_0123456789ab"}
BY_HAND: dict[str, t.Any] = {"secrets": ["my-key"], "config": "my-config"}


def hand_swarm(service: dict[str, t.Any], secrets: dict[str, t.Any], **changes: t.Any) -> Swarm:
    existing = {**secrets, KEY: item("cache.key.pem")}
    return swarm(LIVE_SPEC, services={"cache": service}, secrets=existing, **changes)


def outdated(live: Swarm, **changes: t.Any) -> list[str]:
    made = plan(live, wanted(secrets=[KEY], **changes))
    return [step["name"] for step in made.steps if (step["kind"], step["action"]) == ("secret", "remove")]


def test_what_is_made_by_hand_is_taken_over_and_outdated_like_what_is_not() -> None:
    untouched = hand_swarm(hand_made.service(), MADE_BY_HAND)
    assert plan(untouched, wanted()).taken_over == ["dtr-cache_cache"]
    # What runs becomes what Swarm can go back to, and what nobody uses nor has a new version of goes at once.
    assert outdated(untouched, keep_versions=0) == ["dtr-cache_old.key.pem"]
    # The update after it, and from then on what is kept is kept for each file.
    updated = hand_swarm(hand_made.service(**OURS, before=hand_made.template()), MADE_BY_HAND)
    assert plan(updated, wanted()).taken_over == []
    assert outdated(updated, keep_versions=1) == [
        "dtr-cache_cache.cert.pem",
        "dtr-cache_dtr.cert.pem",
        "dtr-cache_old.key.pem",
    ]
    assert "dtr-cache_cache.key.pem" in outdated(updated, keep_versions=0)


@pytest.mark.parametrize(
    ("part", "value", "kept"),
    [
        ("VolumeOptions.DriverConfig.Options", {"type": "tmpfs", "device": "tmpfs"}, True),
        ("VolumeOptions.DriverConfig.Name", "flocker", True),
        ("ReadOnly", True, False),
        ("Source", "dtr-cache_other", False),
    ],
)
def test_a_volume_that_docker_does_not_change_is_told(part: str, value: t.Any, kept: bool) -> None:
    (source,) = (mount["Source"] for mount in LIVE_SPEC["TaskTemplate"]["ContainerSpec"]["Mounts"])
    made = plan(swarm(change(f"TaskTemplate.ContainerSpec.Mounts.0.{part}", value)), wanted())
    assert made.kept_volumes == ([source] if kept else [])
    assert [step["kind"] for step in made.steps] == ["service"]


def test_what_has_no_label_goes_with_the_version_of_the_service_that_used_it() -> None:
    secrets = {"my-key": {"CreatedAt": "2024", "Spec": {}}, "debug": {"CreatedAt": "2024", "Spec": {}}}
    assert outdated(hand_swarm(hand_made.service(**BY_HAND), secrets), keep_versions=0) == []
    before = hand_made.service(**OURS, before=hand_made.template(**BY_HAND))
    assert outdated(hand_swarm(before, secrets)) == ["my-key"]
    # A run that was killed after the update finds it in what Swarm remembers of ended replicas.
    ended = [{"ServiceID": "dtr-cache_cache", "Spec": hand_made.template(**BY_HAND)}]
    killed = hand_swarm(hand_made.service(**OURS, before=hand_made.template(**OURS)), secrets, tasks=ended)
    assert outdated(killed) == ["my-key"]
    # What somebody added to a version of this collection is somebody's.
    added = hand_made.template(secrets=[KEY, "debug"], config=OURS["config"])
    assert outdated(hand_swarm(hand_made.service(**OURS, before=added), secrets)) == []


def test_with_other_services_in_the_stack_only_what_the_cache_used_is_its_own() -> None:
    other = hand_made.service("dtr-cache_web", image="x", config="", secrets=["dtr-cache_old.key.pem"], command=())
    live = swarm(
        LIVE_SPEC,
        services={"cache": hand_made.service(**OURS, before=hand_made.template(**BY_HAND)), "web": other},
        secrets={**MADE_BY_HAND, "my-key": {"CreatedAt": "2024", "Spec": {}}},
    )
    assert outdated(live, keep_versions=0) == ["my-key"]


def removal_of_a_shared_stack(**changes: t.Any) -> Plan:
    """One that has a service web as well; the network private is the cache's alone."""
    web = hand_made.service("dtr-cache_web", image="x", config="", secrets=["dtr-cache_old.key.pem"], command=())
    web["Spec"]["TaskTemplate"] |= {
        "Networks": [{"Target": "n"}],
        "Placement": {"Constraints": [changes.pop("by", "")]},
    }
    cache = hand_made.service(secrets=["dtr-cache_old.key.pem", "my-key"])
    cache["Spec"]["TaskTemplate"]["Networks"] = [{"Target": "n"}, {"Target": "p"}]
    parts: dict[str, t.Any] = {
        "services": {"cache": cache, "web": web},
        "configs": {"dtr-cache_config.yml": hand_made.config(None, **{"com.docker.stack.namespace": "dtr-cache"})},
        "secrets": {**MADE_BY_HAND, "my-key": {"CreatedAt": "2024", "Spec": {}}},
        "networks": {"dtr-cache_default": {"Id": "n"}, "dtr-cache_private": {"Id": "p"}},
        **changes,
    }
    return plan_removal(swarm(LIVE_SPEC, **parts), wanted(host="cache-asia.example.org", public_port=443, port=443))


def test_of_a_stack_with_other_services_only_the_cache_is_removed() -> None:
    removal = removal_of_a_shared_stack()
    assert [(step["kind"], step["name"], step.get("alone")) for step in removal.steps] == [
        ("service", "dtr-cache_cache", "yes"),
        ("network", "dtr-cache_private", None),
        ("config", "dtr-cache_config.yml", None),
        ("secret", "my-key", None),
        ("node_label", "worker-1", None),
    ]
    assert removal.left == ["dtr-cache_web"]
    by_label = removal_of_a_shared_stack(by="node.labels.dtr.cache == true")
    assert [step for step in removal.steps if step["kind"] != "node_label"] == by_label.steps


def test_what_is_left_of_a_shared_stack_is_not_removed_by_another_removal() -> None:
    web = hand_made.service("dtr-cache_web", image="x", config="", secrets=[], command=())
    removal = removal_of_a_shared_stack(services={"web": web}, configs={}, secrets={}, nodes={"worker-1": node()})
    assert (removal.steps, removal.left) == ([], ["dtr-cache_web"])


def test_what_docker_removes_with_a_stack_is_announced() -> None:
    """Also where two services are this cache: docker stack rm goes by the label of the stack."""
    of_stack = {"com.docker.stack.namespace": "dtr-cache"}
    services = {name: hand_made.service(f"dtr-cache_{name}") for name in ("one", "two")}
    configs = {"dtr-cache_config.yml": hand_made.config(None, **of_stack)}
    secrets = {"dtr-cache_x": {"CreatedAt": "2024", "Spec": {"Labels": of_stack}}}
    live = swarm(LIVE_SPEC, services=services, configs=configs, secrets=secrets)
    steps = plan_removal(live, wanted(node_labels={}, port=443, public_port=443)).steps
    assert [step["name"] for step in steps] == [
        *("dtr-cache_one", "dtr-cache_two", "dtr-cache_default"),
        *("dtr-cache_config.yml", "dtr-cache_x"),
    ]
    assert not any("alone" in step for step in steps)
    # What a service elsewhere uses, Docker could not remove with the stack.
    elsewhere = hand_made.service("x", "x", config="dtr-cache_config.yml")
    live = swarm(LIVE_SPEC, services=services, configs=configs, secrets=secrets, other_services=[elsewhere])
    steps = plan_removal(live, wanted(node_labels={}, port=443, public_port=443)).steps
    assert [(step["name"], step.get("alone")) for step in steps] == [
        *(("dtr-cache_one", "yes"), ("dtr-cache_two", "yes"), ("dtr-cache_default", None), ("dtr-cache_x", None))
    ]


def two_caches(
    first: str, second: str, first_port: int, second_port: int, **addresses: t.Any
) -> tuple[list[str], list[str]]:
    """What a removal takes, and leaves, of a stack with two caches; C(http.host) is empty where it says nothing."""
    services, configs = {}, {}
    for name, url, port in (("one", first, first_port), ("two", second, second_port)):
        services[name] = hand_made.service(f"dtr-cache_{name}", config=name, port=port)
        http = {"http": {"host": url}} if url else {}
        configs[name] = hand_made.config({**hand_made.CONFIG, "http": {}, **http})
    live = swarm(LIVE_SPEC, services=services, configs=configs, secrets={})
    removal = plan_removal(live, wanted(host="cache-asia.example.org", **addresses))
    return [step["name"] for step in removal.steps if step["kind"] == "service"], removal.left


ASIA = "https://cache-asia.example.org"


@pytest.mark.parametrize(
    ("first", "second", "ports", "public_port", "port"),
    [
        (f"{ASIA}:8443", ASIA, (8443, 443), 8443, 8443),
        (ASIA, f"{ASIA}:8443", (443, 8443), 443, 443),
        (f"{ASIA}:8443", f"{ASIA}:9443", (443, 443), 8443, 443),
        ("", "", (443, 8443), 443, 443),
        (f"{ASIA}:8443", "", (8443, 8443), 8443, 8443),
        # Behind a load balancer, by hand, without the port.
        (ASIA, f"{ASIA}:9443", (8443, 9443), 8443, 8443),
        # A former service that has given up its port, and says nothing of its host.
        ("", f"{ASIA}:9443", (0, 9443), 8443, 443),
    ],
)
def test_of_two_caches_with_one_host_name_the_port_tells(
    first: str, second: str, ports: tuple[int, int], public_port: int, port: int
) -> None:
    taken, left = two_caches(first, second, *ports, public_port=public_port, port=port)
    assert (taken, left) == (["dtr-cache_one"], ["dtr-cache_two"])


def test_the_caches_of_other_ports_are_not_removed() -> None:
    with pytest.raises(Failure) as caught:
        two_caches(f"{ASIA}:9443", "", 443, 9443, public_port=8443, port=443)
    assert (caught.value.code, caught.value.message) == (
        "OTHER_CACHE",
        "Stack dtr-cache is not removed: dtr-cache_one is the cache of https://cache-asia.example.org:9443; "
        "dtr-cache_two publishes port 9443. This cache has https://cache-asia.example.org:8443 and publishes port 443.",
    )


def test_the_stack_of_another_cache_is_not_removed() -> None:
    services = {"registry": hand_made.service("dtr-cache_registry", config="my-config")}
    live = swarm(LIVE_SPEC, services=services, configs={"my-config": hand_made.config()})
    for host in ("cache-asia.example.org", "CACHE-ASIA.example.org.", ""):
        assert plan_removal(live, wanted(service="registry", host=host)).steps
    with pytest.raises(Failure) as caught:
        plan_removal(live, wanted(service="registry", host="cache-europe.example.org"))
    assert (caught.value.code, caught.value.message) == (
        "OTHER_CACHE",
        "Stack dtr-cache is not removed: dtr-cache_registry is the cache of https://cache-asia.example.org. This "
        "cache has https://cache-europe.example.org.",
    )


def test_a_removal_takes_what_was_made_by_hand() -> None:
    live = swarm(
        LIVE_SPEC,
        services={"registry": hand_made.service("dtr-cache_registry", secrets=["my-key"], config="my-config")},
        configs={"my-config": hand_made.config(), "site": hand_made.config({"a": 1})},
        secrets={**MADE_BY_HAND, "my-key": {"CreatedAt": "2024", "Spec": {}}},
    )
    steps = plan_removal(live, wanted(service="registry")).steps
    names = {step["name"] for step in steps}
    assert {"dtr-cache_registry", "my-config", "my-key", *MADE_BY_HAND} - names == {"unrelated"}
    assert not {"site", "unrelated"} & names


def test_nodes_that_lose_the_label_unasked_are_named() -> None:
    nodes = {"worker-1": node(), "worker-2": node(**{"dtr.cache": "true"})}
    assert plan(swarm(LIVE_SPEC, nodes=nodes), wanted()).unlabelled == ["worker-2"]
