# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which replicas run, as results show them."""

from __future__ import annotations

from ansible_collections.dtr.cache.plugins.module_utils.swarm import tasks
from ansible_collections.dtr.cache.plugins.module_utils.swarm.model import Moment
from ansible_collections.dtr.cache.plugins.module_utils.swarm.verdict import judge
from ansible_collections.dtr.cache.tests.unit.support.stacks import (
    FAILED,
    NODES,
    OLD_SPEC,
    moment,
    service,
    task,
)


def test_a_service_is_stalled_without_a_replica_to_come() -> None:
    ended = task("rejected", desired="shutdown")
    assert tasks.stalled_services(moment(ended)) == ["cache"]
    assert "until it is deployed again" in judge(moment({**ended, "Spec": OLD_SPEC})).reason
    for seen in (
        moment(ended, task("pending")),
        moment(ended, task("ready", desired="ready")),
        moment(),
        moment(task()),
    ):
        assert tasks.stalled_services(seen) == []
    assert tasks.stalled_services(moment(ended, replicas=0)) == []


def test_rows_show_the_replicas_and_what_ended_badly() -> None:
    rows = tasks.task_rows(moment(FAILED, task(at="2026-01-02T00:00:00Z"), task("shutdown", desired="shutdown")))
    assert [(row["node"], row["state"], row["exit_code"]) for row in rows] == [
        ("worker-1", "running", None),
        ("worker-1", "failed", 1),
    ]


def test_what_runs_is_counted_on_nodes_that_are_ready_only() -> None:
    live = service(replicas=3)
    port = {"PublishedPort": 443, "TargetPort": 443, "Protocol": "tcp", "PublishMode": "host"}
    live["Spec"]["EndpointSpec"] = {"Ports": [port]}
    those = [task("running"), task("running", node="n2"), task("running", spec=OLD_SPEC), FAILED]
    seen = Moment({"cache": live}, those, NODES)
    assert tasks.running_services(seen) == [
        {
            "name": "cache",
            "image": "cache:2",
            "replicas": {"wanted": 3, "running": 2},
            "ports": ["443:443/tcp (host)"],
            "nodes": ["worker-1", "worker-1"],
        }
    ]


def test_the_published_ports_are_those_of_one_service() -> None:
    live = service()
    ports = [
        {"PublishedPort": published, "TargetPort": 443, "Protocol": protocol, "PublishMode": "ingress"}
        for published, protocol in ((8443, "tcp"), (443, "tcp"), (443, "udp"))
    ]
    live["Spec"]["EndpointSpec"] = {"Ports": ports}
    seen = Moment({"cache": live}, [], NODES)
    assert tasks.published_ports(seen, "cache") == [443, 8443]
    assert tasks.published_ports(seen, "other") == []
    assert tasks.published_ports(moment(), "cache") == []
