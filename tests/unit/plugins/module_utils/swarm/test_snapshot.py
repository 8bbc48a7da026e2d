# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Swarm that is read once, by an Engine that counts its questions."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.module.options import ENGINE_ARGUMENT_SPEC
from ansible_collections.dtr.cache.plugins.module_utils.swarm.engine import Engine
from ansible_collections.dtr.cache.plugins.module_utils.swarm.model import NAMESPACE_LABEL
from ansible_collections.dtr.cache.plugins.module_utils.swarm.snapshot import Snapshot, SnapshotOfStacks
from ansible_collections.dtr.cache.tests.unit.support.web import Reply, Request, Site, serve


def service(stack: str, name: str) -> dict[str, t.Any]:
    return {"ID": f"{stack}-{name}", "Spec": {"Name": f"{stack}_{name}", "Labels": {NAMESPACE_LABEL: stack}}}


ANSWERS: dict[str, t.Any] = {
    "version": {"ApiVersion": "1.45"},
    "info": {"Name": "m1", "Swarm": {"LocalNodeState": "active", "ControlAvailable": True}},
    "nodes": [{"ID": "n1", "Description": {"Hostname": "m1"}, "Status": {"State": "ready"}}],
    "services": [
        service("st", "cache"),
        service("old", "cache"),
        service("other", "web"),
        {"ID": "by hand", "Spec": {"Name": "by-hand"}},
    ],
    "tasks": [{"ID": "t1", "ServiceID": "st-cache"}, {"ID": "t2", "ServiceID": "old-cache"}],
    "configs": [{"ID": "c1", "Spec": {"Name": "config"}}],
    "secrets": [],
    "networks": [],
}

OPTIONS = {name: option.get("default") for name, option in ENGINE_ARGUMENT_SPEC.items()}


@pytest.fixture
def site() -> t.Iterator[Site]:
    def answer(request: Request) -> Reply:
        name = request.path.partition("?")[0].rpartition("/")[2]
        return Reply(200, json.dumps(ANSWERS[name]).encode(), {"Content-Type": "application/json"})

    with serve(answer) as running:
        yield running


def read(engine: Engine) -> t.Any:
    """As a plan reads a Swarm whose services were looked at before."""
    swarm = engine.read_swarm("st", ["old"])
    return engine.require_manager(), engine.observe("st"), swarm, engine.configs(), engine.all_services()


def snapshot(site: Site) -> Snapshot:
    return Snapshot(OPTIONS | {"docker_host": f"tcp://127.0.0.1:{site.port}"})


def test_each_question_is_asked_once(site: Site) -> None:
    engine = snapshot(site)
    first = read(engine)
    asked = len(site.requests)
    assert asked == len(ANSWERS)
    assert read(engine)[1] == first[1]
    assert len(site.requests) == asked
    engine.tasks_of("another")
    assert len(site.requests) == asked + 1


def test_tasks_of_several_stacks_come_by_one_request(site: Site) -> None:
    engine = SnapshotOfStacks(OPTIONS | {"docker_host": f"tcp://127.0.0.1:{site.port}"})
    assert [[task["ID"] for task in engine.tasks_of(stack)] for stack in ("st", "old", "none")] == [["t1"], ["t2"], []]
    assert len([request for request in site.requests if "/tasks" in request.path]) == 1


def test_services_are_told_apart_by_their_stacks(site: Site) -> None:
    _info, moment, swarm, _configs, _services = read(snapshot(site))
    assert list(moment.services) == list(swarm.services) == ["cache"]
    assert list(swarm.former["old"].services) == ["cache"]
    assert [each["ID"] for each in swarm.other_services] == ["other-web", "by hand"]


def test_what_failed_is_asked_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = snapshot(site)
    with monkeypatch.context() as broken:
        broken.setitem(ANSWERS["info"], "Swarm", {"LocalNodeState": "inactive"})
        with pytest.raises(Failure):
            engine.require_manager()
    assert engine.require_manager()["Name"] == "m1"
