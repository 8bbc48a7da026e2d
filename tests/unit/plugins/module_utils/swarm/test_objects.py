# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which configs and secrets of a stack nothing needs."""

from __future__ import annotations

import typing as t

from ansible_collections.dtr.cache.plugins.module_utils.swarm.model import Swarm
from ansible_collections.dtr.cache.plugins.module_utils.swarm.objects import stale_objects


def test_stale_objects_are_those_that_nothing_refers_to_oldest_first() -> None:
    def using(*configs: str) -> dict[str, t.Any]:
        return {"TaskTemplate": {"ContainerSpec": {"Configs": [{"ConfigName": name} for name in configs]}}}

    def config(created: str, **labels: str) -> dict[str, t.Any]:
        return {"CreatedAt": created, "Spec": {"Labels": labels}}

    ours = {"dtr.cache.stack": "st"}
    configs = {
        "running": config("6", **ours),
        "previous": config("5", **ours),
        "another-service's": config("4", **ours),
        "by-hand": config("3", **{"com.docker.stack.namespace": "st"}),
        "old": config("2", **ours),
        # The name does not tell whose it is.
        "st_of-another-stack": config("1", **{"dtr.cache.stack": "st_of"}),
        "st_of-nobody": config("0"),
    }
    swarm = Swarm(
        nodes={},
        services={"cache": {"Spec": using("running"), "PreviousSpec": using("previous")}},
        other_services=[{"Spec": using("another-service's")}],
        configs=configs,
        secrets={},
        networks={},
    )
    assert stale_objects(swarm, "st") == ["old", "by-hand"]
