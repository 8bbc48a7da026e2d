# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services, tasks and nodes of a stack in the Engine's own shapes."""

from __future__ import annotations

import itertools
import typing as t

from ansible_collections.dtr.cache.plugins.module_utils.swarm.model import Moment

SPEC = {"ContainerSpec": {"Image": "cache:2"}, "Placement": {"Constraints": ["a == b"]}, "ForceUpdate": 0}
OLD_SPEC = {**SPEC, "ContainerSpec": {"Image": "cache:1"}}


def node(name: str, state: str = "ready", availability: str = "active", **labels: str) -> dict[str, t.Any]:
    return {
        "ID": name,
        "Description": {"Hostname": name},
        "Status": {"State": state},
        "Spec": {"Availability": availability, "Labels": labels, "Role": "worker"},
    }


NODES = {"n1": node("worker-1", a="b"), "n2": node("worker-2", state="down")}
NO_NODE = "no suitable node (scheduling constraints not satisfied on 2 nodes)"
IDS = itertools.count()


def service(replicas: int = 1, update: dict[str, str] | None = None) -> dict[str, t.Any]:
    return {
        "ID": "s1",
        "Spec": {"Name": "st_cache", "TaskTemplate": SPEC, "Mode": {"Replicated": {"Replicas": replicas}}},
        "UpdateStatus": update,
    }


def task(
    state: str = "running",
    *,
    node: str = "n1",
    desired: str = "running",
    spec: dict[str, t.Any] | None = None,
    error: str = "",
    exit_code: int | None = None,
    at: str = "2026-01-01T00:00:00Z",
    created: str | None = None,
    slot: int = 1,
) -> dict[str, t.Any]:
    status: dict[str, t.Any] = {"State": state, "Err": error, "Timestamp": at}
    if exit_code is not None:
        status["ContainerStatus"] = {"ExitCode": exit_code}
    return {
        "ID": f"t{next(IDS)}",
        "ServiceID": "s1",
        "Slot": slot,
        "NodeID": node,
        "DesiredState": desired,
        "Status": status,
        "Spec": spec or SPEC,
        "CreatedAt": created or at,
    }


def moment(*tasks: dict[str, t.Any], nodes: dict[str, t.Any] | None = None, **kwargs: t.Any) -> Moment:
    return Moment({"cache": service(**kwargs)}, tasks, NODES if nodes is None else nodes)


FAILED = task("failed", desired="shutdown", error="task: non-zero exit (1)", exit_code=1)
