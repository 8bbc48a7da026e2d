# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is planned is tried beside the cache before a replica that runs is exchanged."""

from __future__ import annotations

import contextlib
import json
import time
import typing as t

import pytest

from .conftest import Lab, Play, Run, until
from .test_interruptions import killed

REGION, NODE = "region-europe", "europe-1"
ONLY = ("--limit", REGION)
BARE = "docker/bare:1"
SERVICE = "dtr-cache_cache"


@pytest.fixture(scope="module")
def deployed(lab: Lab, play: Play) -> Lab:
    lab.clean()
    run = play("dtr.cache.deploy", *ONLY)
    assert run.code == 0, run.output
    # An image of a shell alone.
    lab.inside(NODE, "sh", "-c", f"tar -c -C / bin/true 2>/dev/null | docker import - {BARE}")
    return lab


def traces(lab: Lab) -> dict[str, t.Any]:
    """All that a trial could change or leave, with the containers of the cache."""
    with contextlib.closing(lab.engine(NODE)) as client:
        return {
            "swarm": lab.snapshot()[NODE],
            "containers": sorted(str(each.id) for each in client.containers.list(all=True, ignore_removed=True)),
            "volumes": sorted(str(each.name) for each in client.volumes.list()),
            "networks": sorted(str(each.name) for each in client.networks.list()),
        }


def events(lab: Lab, since: float) -> str:
    """What the Engine says of services since a moment."""
    return lab.inside(
        NODE, "docker", "events", "--since", f"{since:.3f}", "--until", f"{time.time():.3f}", "--filter", "type=service"
    )


def rotated(play: Play, *options: str, **variables: t.Any) -> Run:
    return play("dtr.cache.rotate", *ONLY, *options, **variables)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (
            {"dtr_cache_config_extra": {"middleware": {"storage": [{"name": "none"}]}}},
            "no storage middleware registered",
        ),
        ({"dtr_cache_storage": {"s3": {"regoin": "eu", "bucket": "layers"}}}, "no region parameter provided"),
        ({"dtr_cache_config_extra": {"log": {"level": "loud"}}}, "nvalid loglevel loud"),
        ({"dtr_cache_environment": {"REGISTRY_STORAGE_FILESYSTEM_MAXTHREADS": "many"}}, "maxthreads"),
        ({"dtr_cache_environment": {"CONTENT_CACHE_START": "never"}}, "never is none of exec, child and deaf"),
        ({"dtr_cache_image": BARE}, "/start.sh"),
        ({"dtr_cache_image": "docker/missing:1"}, "No such image: docker/missing:1"),
        ({"dtr_cache_service_extra": {"ulimits": {"nofile": 4}}}, "too many open files"),
        ({"dtr_cache_service_extra": {"cap_add": ["NET_ADMINS"]}}, "CAP_NET_ADMINS"),
        ({"dtr_cache_service_extra": {"sysctls": {"vm.swappiness": "1"}}}, "vm.swappiness"),
        ({"dtr_cache_volume": "/no/such/folder"}, "bind source path does not exist"),
    ],
    ids=[
        *("config", "storage", "level", "of-environment", "environment", "no-start", "no-image", "ulimit"),
        *("capability", "sysctl", "folder"),
    ],
)
def test_what_the_registry_or_docker_refuses_changes_nothing(
    deployed: Lab, play: Play, variables: dict[str, t.Any], words: str
) -> None:
    before = traces(deployed)
    run = rotated(play, **variables)
    assert run.code != 0
    assert "The cache was not changed, as a trial replica" in run.output
    assert words in run.output
    assert run.regions()[REGION]["changed"] == "nothing"
    # The node removes the container a moment later.
    until(lambda: traces(deployed) == before, "as it was before", seconds=20)


def test_a_rotation_is_tried_and_check_mode_says_so(deployed: Lab, play: Play) -> None:
    begin = time.time()
    announced = rotated(play, "--check", dtr_cache_blob_ttl="36h")
    assert "A trial replica of it (stack dtr-cache-trial) would run first" in announced.output
    assert events(deployed, begin) == ""
    run = rotated(play, dtr_cache_blob_ttl="36h")
    assert run.code == 0, run.output
    assert "name=dtr-cache-trial_cache" in events(deployed, begin)
    # No volume keeps the layers.
    for each in (announced, run):
        assert "The cache is empty when its replica is exchanged" in each.output

    begin = time.time()
    again = rotated(play, dtr_cache_blob_ttl="36h")
    assert again.total("changed") == 0
    # Docker exchanges no replica for these.
    grown = rotated(play, dtr_cache_blob_ttl="36h", dtr_cache_update_config={"delay": "1s"})
    assert grown.code == 0, grown.output
    assert "trial" not in events(deployed, begin)
    assert "is empty when" not in again.output + grown.output


def test_a_killed_trial_goes_with_the_next_run(deployed: Lab, play: Play) -> None:
    change: dict[str, t.Any] = {"dtr_cache_blob_ttl": "30h"}
    moment = ("TASK [dtr.cache.stack : See whether", 1.0)
    for playbook in ("dtr.cache.rotate", "dtr.cache.deploy"):
        killed(play, playbook, moment, "-e", json.dumps(change))
        services = traces(deployed)["swarm"]["services"]
        assert set(services) == {SERVICE, "dtr-cache-trial_cache"}
        if playbook == "dtr.cache.rotate":
            status = play("dtr.cache.status", *ONLY)
            assert "healthy" in status.output, status.output
    run = play("dtr.cache.deploy", *ONLY, **change)
    assert run.code == 0, run.output
    assert play("dtr.cache.deploy", *ONLY, **change).total("changed") == 0
    found = traces(deployed)
    assert set(found["swarm"]["services"]) == {SERVICE}
    assert not [each for each in found["networks"] if "trial" in each]

    # The same as what is declared, so that the next run has nothing else to do.
    killed(play, "dtr.cache.rotate", moment, "-e", json.dumps({"dtr_cache_blob_ttl": "31h"}))
    run = play("dtr.cache.deploy", *ONLY, **change)
    assert run.code == 0, run.output
    assert set(traces(deployed)["swarm"]["services"]) == {SERVICE}


def test_without_room_the_exchange_goes_on(deployed: Lab, play: Play) -> None:
    with contextlib.closing(deployed.engine(NODE)) as client:
        cores = client.info()["NCPU"]
    reserved = {"dtr_cache_resources": {"reservations": {"cpus": str(0.9 * cores)}}}
    first = rotated(play, **reserved)
    assert first.code == 0, first.output
    run = rotated(play, **reserved, dtr_cache_blob_ttl="20h")
    assert run.code == 0, run.output
    assert "have no room for one more replica" in run.output
    assert set(traces(deployed)["swarm"]["services"]) == {SERVICE}


def test_a_killed_trial_goes_with_a_removal_and_a_first_deployment_has_none(deployed: Lab, play: Play) -> None:
    killed(
        play, "dtr.cache.rotate", ("TASK [dtr.cache.stack : See whether", 1.0), "-e", '{"dtr_cache_blob_ttl": "21h"}'
    )
    run = play("dtr.cache.remove", *ONLY, dtr_cache_confirm_removal=REGION)
    assert run.code == 0, run.output
    found = traces(deployed)
    assert [found["swarm"][kind] for kind in ("services", "configs", "secrets")] == [{}, [], []]
    assert not [each for each in found["networks"] if "dtr-cache" in each]
    deployed.wait_until_idle(NODE)
    begin = time.time()
    run = play("dtr.cache.deploy", *ONLY)
    assert run.code == 0, run.output
    assert "trial" not in events(deployed, begin)


def test_a_first_deployment_with_a_wrong_key_fails_with_the_registry_s_words(lab: Lab, play: Play) -> None:
    lab.clean()
    run = play("dtr.cache.deploy", *ONLY, dtr_cache_storage={"s3": {"regoin": "eu", "bucket": "layers"}})
    assert run.code != 0
    assert "no region parameter provided" in run.output
    assert run.regions()[REGION]["accounts"] == "-"
