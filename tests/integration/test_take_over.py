# Copyright: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Caches made by hand are taken over, and go from one product line to the next; whoever pulls notices nothing."""

from __future__ import annotations

import socket
import typing as t
from pathlib import Path

from dtr_standin.accounts import generated_name

from . import hand_made
from .conftest import Lab, Play, Run, until
from .load import Load, summary

ASIA, EUROPE = "cache-asia.lab.test", "cache-europe.lab.test"
NODES = ["asia-2", "asia-3"]
ACCOUNTS = 10_000
KEEP: dict[str, t.Any] = {"dtr_cache_keep_versions": 0}
MSR2: dict[str, t.Any] = {"dtr_cache_product": "msr2", "dtr_cache_version": "2.9.16"}
MSR3: dict[str, t.Any] = {"dtr_cache_product": "msr3", "dtr_cache_version": "3.1.4"}
MOVED: dict[str, t.Any] = {**MSR3, "dtr_cache_former_stack_names": ["dtr-cache"]}


def answers(host: str) -> bool:
    try:
        socket.create_connection((host, 443), 1).close()
    except OSError:
        return False
    return True


def labels_of(lab: Lab, manager: str) -> dict[str, t.Any]:
    return {node: labels for node, labels in lab.snapshot()[manager]["labels"].items() if labels}


def deploy(play: Play, region: str, *options: str, **variables: t.Any) -> Run:
    import time

    start = time.monotonic()
    run = play("dtr.cache.deploy", "--limit", f"region-{region}", *options, **variables)
    print("DEBUG", options, variables, time.monotonic() - start, run.output, flush=True)
    assert run.code == 0, run.output
    return run


def test_from_dtr_to_msr_3_with_two_replicas_and_no_failed_pull(lab: Lab, play: Play) -> None:
    lab.clean(accounts=ACCOUNTS)
    hand_made.give_images(lab, NODES)
    hand_made.deploy(lab, ASIA, NODES, manager="asia-1")
    everybody = ["alice", *(generated_name(number) for number in range(1, ACCOUNTS + 1))]
    entry = {"id": "0b1c-by-hand", "name": "region-asia", "host": f"https://{ASIA}:443"}
    lab.control.set_state([entry], dict.fromkeys(everybody, entry["id"]))
    until(lambda: answers("198.18.57.22") and answers("198.18.57.23"), "both replicas")

    two: dict[str, t.Any] = {"dtr_cache_nodes": NODES}
    load = Load(lab, "alice", ASIA, [Path(lab.status["certificates"]["ca"]).read_text()])
    with load.running():
        for version, variables in (("2.7.6", {"dtr_cache_version": "2.7.6"}), ("2.9.16", MSR2), ("3.1.4", MOVED)):
            lab.control.behave(version=version)
            before = lab.snapshot()
            announced = deploy(play, "asia", "--check", "--diff", **two, **variables)
            assert lab.snapshot() == before
            done = deploy(play, "asia", **two, **variables)
            row = done.regions()["region-asia"]
            assert announced.regions()["region-asia"]["changed"] == row["changed"]
            assert row["gap"] in ("none", "none, pulls cut off"), row
            if version == "2.7.6":
                assert "Service dtr-cache_cache was not deployed by dtr.cache: it is taken over" in announced.output
            again = deploy(play, "asia", **two, **variables)
            assert again.total("changed") == 0, again.changed_tasks()
        assert deploy(play, "asia", "--check", **two, **MOVED).total("changed") == 0
    print(summary(load))
    assert load.failed == []
    assert min(load.count("blob", "198.18.57.22"), load.count("blob", "198.18.57.23")) > 20
    assert load.count("pull") > 5
    # No account was touched at any time, so none has dangled.
    assert lab.control.journal() == []
    after = lab.snapshot()["asia-1"]
    assert list(after["services"]) == ["msr-cache_cache"]
    assert {name.partition("_")[0] for name in (*after["configs"], *after["secrets"])} == {"msr-cache"}
    assert labels_of(lab, "asia-1") == {node: {"msr.cache": "true"} for node in NODES}
