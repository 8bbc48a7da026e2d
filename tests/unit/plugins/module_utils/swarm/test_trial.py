# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which plans are tried first, what the trial is made of, and whose stack one is."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.swarm import trial
from ansible_collections.dtr.cache.plugins.module_utils.swarm.live_cache import is_content_cache
from ansible_collections.dtr.cache.plugins.module_utils.swarm.model import FormerStack, Moment, Swarm
from ansible_collections.dtr.cache.plugins.module_utils.swarm.plan import Plan, plan
from ansible_collections.dtr.cache.tests.unit.support.plans import DEFINITION, LIVE_SPEC, swarm, wanted

READY = {"n": {"ID": "n", "Status": {"State": "ready"}}}
TASK = {"ServiceID": "s", "NodeID": "n", "Status": {"State": "running"}, "DesiredState": "running"}
RUNS = Moment({"cache": {"ID": "s", "Spec": LIVE_SPEC}}, [TASK], READY)
LABEL = {"kind": "node_label", "action": "remove", "name": "worker-2", "detail": "dtr.cache", "id": "n"}
# Of a node that stays.
OUTDATED = {**LABEL, "name": "worker-1", "detail": "msr.cache", "id": "m"}


def changed(**service: t.Any) -> dict[str, t.Any]:
    definition = copy.deepcopy(DEFINITION)
    for key, value in service.items():
        here = definition["services"]["cache"]
        (here["deploy"] if key in here["deploy"] else here)[key] = value
    return definition


@pytest.mark.parametrize(
    ("service", "moment", "tried"),
    [
        ({}, RUNS, False),
        ({"image": "docker/dtr-content-cache:2.7.5"}, RUNS, True),
        ({"environment": {"REGISTRY_LOG_LEVEL": "debug"}}, RUNS, True),
        ({"image": "docker/dtr-content-cache:2.7.5"}, Moment({}, [], {}), False),
        ({"image": "docker/dtr-content-cache:2.7.5"}, Moment(RUNS.services, [], READY), False),
        ({"replicas": 3}, RUNS, False),
        ({"update_config": {"delay": "9s"}}, RUNS, False),
    ],
)
def test_what_exchanges_a_replica_that_runs_is_tried(service: dict[str, t.Any], moment: Moment, tried: bool) -> None:
    want = wanted(definition=changed(**service))
    live = swarm(LIVE_SPEC)
    assert trial.exchanges_replica(plan(live, want), live, moment, want) is tried


def test_a_replica_that_has_to_leave_its_node_and_a_former_stack_are_exchanged() -> None:
    assert trial.exchanges_replica(Plan(steps=[LABEL]), swarm(LIVE_SPEC), RUNS, wanted())
    former = swarm(None, former={"old": FormerStack({"cache": {"Spec": LIVE_SPEC}}, {})})
    assert trial.exchanges_replica(Plan(), former, Moment({}, [], {}), wanted())


def test_the_trial_is_the_service_without_what_others_find_it_by() -> None:
    given: dict[str, t.Any] = {
        "labels": {"traefik.enable": "true"},
        "networks": ["proxy"],
        "hostname": "cache",
        "volumes": ["layers:/var/lib/registry", "/srv/new:/srv", {"type": "tmpfs", "target": "/tmp"}],
    }
    made = trial.trial_definition(Plan(steps=[LABEL, OUTDATED]), swarm(LIVE_SPEC), wanted(definition=changed(**given)))
    service = made["services"]["cache"]
    assert not {"ports", "labels", "networks"} & set(service)
    assert (service["hostname"], service["image"]) == ("cache", DEFINITION["services"]["cache"]["image"])
    # The layers stay with the replica that has them.
    assert service["volumes"] == [{"type": "volume", "target": "/var/lib/registry"}, *given["volumes"][1:]]
    assert service["deploy"] == {
        "replicas": 1,
        "resources": DEFINITION["services"]["cache"]["deploy"]["resources"],
        "placement": {"constraints": ["node.labels.dtr.cache == true", "node.id != n"]},
        "restart_policy": {"condition": "none"},
        "labels": {"dtr.cache.trial": "dtr-cache"},
    }
    assert set(made) == {"version", "services", "configs", "secrets"}


def left_over(**labels: str) -> Swarm:
    spec = {**LIVE_SPEC, "Name": "dtr-cache-trial_cache", "Labels": labels}
    stack = FormerStack({"cache": {"Spec": spec}}, {"dtr-cache-trial_default": {}})
    return swarm(LIVE_SPEC, former={"dtr-cache-trial": stack})


def test_a_trial_is_no_cache_and_goes_while_a_stack_of_its_name_stays() -> None:
    apart, left = trial.apart_from_trial(left_over(**{"dtr.cache.trial": "dtr-cache"}), "dtr-cache")
    assert (apart.former, apart.other_services) == ({}, [])
    assert not is_content_cache(left.services["cache"], {})
    assert [(step["kind"], step["name"]) for step in trial.removal_steps(left, "dtr-cache")] == [
        ("service", "dtr-cache-trial_cache"),
        ("network", "dtr-cache-trial_default"),
    ]
    assert trial.is_taken(left_over(), "dtr-cache")
    apart, left = trial.apart_from_trial(left_over(), "dtr-cache")
    assert len(apart.other_services) == 1
    assert trial.removal_steps(left, "dtr-cache") == []


@pytest.mark.parametrize(("volumes", "empties"), [(["layers:/var/lib/registry"], False), ([], True), (["/a:/b"], True)])
def test_a_cache_is_emptied_without_the_volume_that_it_has(volumes: list[str], empties: bool) -> None:
    assert trial.empties_cache(swarm(LIVE_SPEC), wanted(definition=changed(volumes=volumes))) is empties
