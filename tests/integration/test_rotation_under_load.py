# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates are exchanged while people pull: with two replicas on two nodes not one request fails."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest

from .authority import Authority
from .balancer import load_balancer
from .conftest import Lab, Play, until
from .load import Load, engine_retries, engine_trusts, summary

ONLY = ("--limit", "region-asia")
HOST = "cache-asia.lab.test"
# The machine itself, on which the load balancer runs.
BALANCED = "control.lab.test"
NODES = ("asia-2", "asia-3")
# So many are rotated here that the usual number of versions would be exceeded, and removed by some run.
TWO_NODES: dict[str, t.Any] = {"dtr_cache_nodes": list(NODES), "dtr_cache_keep_versions": 9}


ROTATED = Authority()
NEW = ROTATED.issue(HOST)


def new_certificate() -> dict[str, t.Any]:
    """The variables of the certificate that is rotated in, from another authority than the lab's."""
    return {
        "dtr_cache_certificate": NEW.chain,
        "dtr_cache_private_key": NEW.key,
        "dtr_cache_ca_certificate": ROTATED.root,
    }


def rotations(lab: Lab) -> list[tuple[dict[str, t.Any], str]]:
    """What is rotated one after the other, and what each changes: DTR's CA, config.yml, certificate and key."""
    # A new CA of DTR comes beside the old one first, while DTR still has the certificate that the old one signed.
    both_authorities = Path(lab.status["registry"]["ca_path"]).read_text() + ROTATED.root
    return [
        ({"dtr_cache_registry_ca": both_authorities}, "1 secret, 1 service"),
        ({"dtr_cache_blob_ttl": "48h"}, "1 config, 1 service"),
        (new_certificate(), "1 config, 2 secrets, 1 service"),
    ]


def rotated(lab: Lab) -> dict[str, t.Any]:
    """The variables after all of it."""
    variables: dict[str, t.Any] = dict(TWO_NODES)
    for change, _changed in rotations(lab):
        variables |= change
    return variables


def authorities(lab: Lab) -> list[str]:
    return [Path(lab.status["certificates"]["ca"]).read_text()]


@pytest.fixture(scope="module")
def two_replicas(lab: Lab, play: Play) -> t.Iterator[None]:
    lab.clean()
    run = play("dtr.cache.deploy", *ONLY, **TWO_NODES)
    assert run.code == 0, run.output
    yield
    lab.clean()


def test_two_replicas_are_rotated_three_times_and_no_pull_fails(two_replicas: None, lab: Lab, play: Play) -> None:
    variables: dict[str, t.Any] = dict(TWO_NODES)
    retries = engine_retries(lab)
    load = Load(lab, "alice", HOST, [*authorities(lab), ROTATED.root])
    with engine_trusts(lab, ROTATED.root), load.running():
        for change, changed in rotations(lab):
            variables |= change
            run = play("dtr.cache.rotate", *ONLY, **variables)
            assert run.code == 0, run.output
            row = run.regions()["region-asia"]
            assert (row["gap"], row["changed"]) == ("none", changed)
    print(summary(load))
    assert load.failed == []
    assert engine_retries(lab) == retries
    # Both were asked, and long enough for this to say something.
    assert min(load.count("blob", "198.18.57.22"), load.count("blob", "198.18.57.23")) > 10
    assert load.count("pull") > 5


def test_what_does_not_start_is_refused_and_no_pull_fails(two_replicas: None, lab: Lab, play: Play) -> None:
    before = lab.snapshot()["asia-1"]
    # Sound for the preflight: only the registry knows its own middleware.
    unknown = {"middleware": {"storage": [{"name": "none"}]}}
    load = Load(lab, "alice", HOST, [*authorities(lab), ROTATED.root])
    with engine_trusts(lab, ROTATED.root), load.running():
        run = play("dtr.cache.rotate", *ONLY, **rotated(lab), dtr_cache_config_extra=unknown)
    print(summary(load))
    assert run.code != 0
    refusal = "The cache was not changed, as a trial replica with what is planned does not run (stack dtr-cache-trial)"
    assert f"{refusal}: on asia-" in run.output
    assert "no storage middleware registered" in run.output
    assert load.failed == []
    assert load.count("pull") > 5
    assert lab.snapshot()["asia-1"] == before
    again = play("dtr.cache.rotate", *ONLY, **rotated(lab))
    assert again.code == 0, again.output
    assert again.total("changed") == 0, again.changed_tasks()


def test_a_load_balancer_drains_one_of_two_replicas_and_no_pull_fails(
    two_replicas: None, lab: Lab, play: Play, tmp_path: Path
) -> None:
    front = ROTATED.issue(BALANCED)
    variables: dict[str, t.Any] = {
        **TWO_NODES,
        "dtr_cache_host": BALANCED,
        "dtr_cache_port": 8443,
        "dtr_cache_public_port": 7443,
        "dtr_cache_certificate": front.chain,
        "dtr_cache_private_key": front.key,
        "dtr_cache_ca_certificate": ROTATED.root,
    }
    servers = {name: f"{name}.lab.test:8443" for name in NODES}
    with load_balancer(tmp_path, 7443, servers) as balancer, engine_trusts(lab, ROTATED.root):
        for options, changes in ((("--check",), True), ((), True), ((), False), (("--check",), False)):
            run = play("dtr.cache.deploy", *ONLY, *options, **variables)
            assert run.code == 0, run.output
            assert bool(run.total("changed")) == changes, run.changed_tasks()
        (registered,) = lab.control.state()["content_caches"]
        assert registered["host"] == f"https://{BALANCED}:7443"
        retries = engine_retries(lab)
        load = Load(lab, "alice", BALANCED, [ROTATED.root])
        with load.running():
            until(lambda: all(balancer.sessions().values()), "both replicas are asked")
            balancer.command("set server caches/asia-2 state drain")
            lab.inside("asia-1", "docker", "node", "update", "--availability", "drain", "asia-2")
            lab.wait_until_idle("asia-2")
            drained = balancer.sessions()
            until(lambda: balancer.sessions()["asia-3"] > drained["asia-3"] + 20, "the other one goes on")
            assert balancer.sessions()["asia-2"] == drained["asia-2"]
            lab.inside("asia-1", "docker", "node", "update", "--availability", "active", "asia-2")
            until(lambda: balancer.is_up("asia-2"), "the replica is back")
            balancer.command("set server caches/asia-2 state ready")
            until(lambda: balancer.sessions()["asia-2"] > drained["asia-2"] + 10, "it is asked again")
    print(summary(load))
    assert load.failed == []
    assert engine_retries(lab) == retries
    assert load.count("pull") > 2


def test_with_one_replica_the_gap_is_measured_and_told(lab: Lab, play: Play) -> None:
    lab.clean()
    assert play("dtr.cache.deploy", *ONLY).code == 0
    load = Load(lab, "alice", HOST, [*authorities(lab), ROTATED.root])
    renewed = new_certificate()
    with engine_trusts(lab, ROTATED.root), load.running():
        run = play("dtr.cache.rotate", *ONLY, **renewed)
    assert run.code == 0, run.output
    told = run.regions()["region-asia"]["gap"]
    seconds = float(told.removesuffix(" s"))
    print(told, f"{load.longest_silence():.1f} s", summary(load)[:500])
    missed = [attempt for attempt in load.attempts if attempt.what == "blob" and attempt.error]
    assert missed, "there was nobody to answer"
    assert all("refused" in attempt.error for attempt in missed), "who was being served was not cut off"
    # Some were refused, others had to wait. The registry listens a moment after its container runs, longer on a machine
    # that has much to do.
    assert seconds - 2 <= load.longest_silence() <= seconds + 15

    # Its node loses the label, which is no update of the service, and the replica moves to another one.
    moved = play("dtr.cache.deploy", *ONLY, **renewed, dtr_cache_nodes=["asia-3"])
    assert moved.code == 0, moved.output
    row = moved.regions()["region-asia"]
    assert row["changed"] == "1 node label, 1 node label removed"
    assert re.fullmatch(r"\d+(\.\d)? s", row["gap"]), row
    lab.clean()


# No document says what the vendor's start script makes of a signal, and old registries finish no requests: by what the
# replica that is replaced does, the gap that is reported.
ENDS: list[tuple[dict[str, str], str]] = [
    ({"CONTENT_CACHE_START": "deaf"}, r"at most \d+(\.\d)? s, pulls cut off"),
    ({"CONTENT_CACHE_DRAIN": "no"}, r"\d+(\.\d)? s, pulls cut off"),
    ({"CONTENT_CACHE_START": "child"}, r"\d+(\.\d)? s"),
]


def test_how_a_replica_ends_is_part_of_what_is_said_of_the_gap(lab: Lab, play: Play) -> None:
    lab.clean()
    # So that the deaf one is killed soon.
    quickly: dict[str, t.Any] = {"dtr_cache_config_extra": {"http": {"draintimeout": "1s"}}}
    environments = [environment for environment, _told in ENDS]
    assert play("dtr.cache.deploy", *ONLY, **quickly, dtr_cache_environment=environments[0]).code == 0
    for (_replaced, told), environment in zip(ENDS, [*environments[1:], {"LAST": "1"}], strict=True):
        run = play("dtr.cache.rotate", *ONLY, **quickly, dtr_cache_environment=environment)
        assert run.code == 0, run.output
        assert re.fullmatch(told, run.regions()["region-asia"]["gap"]), run.regions()
    lab.clean()
