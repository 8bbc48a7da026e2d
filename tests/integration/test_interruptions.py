# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A playbook that is killed in or after any of its steps is finished by the next run, as if nothing had happened.

The kills are a chain: each run goes on from what the killed one before it has left, gets further, and is killed there.
So each step is done once on what an interruption left behind.
"""

from __future__ import annotations

import json
import subprocess
import time
import typing as t

import docker.errors
import pytest

from .conftest import INVENTORY, Lab, Play

REGION = "region-europe"
NODE = "europe-1"

# A process namespace of its own, so that the kill takes all at once: Ansible's workers leave the process group, and
# would finish what they were doing.
IN_A_NAMESPACE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")

# What is rotated in: another config.yml.
ROTATED: dict[str, t.Any] = {"dtr_cache_blob_ttl": "48h"}

# The line of the output at which the run is killed, and how many seconds later.
Moment = tuple[str, float]

DEPLOY: list[Moment] = [
    ("TASK [Check the settings and the Swarm", 0.3),
    ("TASK [dtr.cache.node_label : Label", 0.8),
    ("TASK [dtr.cache.config_secrets : Create the Docker config", 0.5),
    # In the middle of three secrets.
    ("TASK [dtr.cache.config_secrets : Create the Docker secrets", 0.6),
    ("TASK [dtr.cache.stack : Wait", 0.3),
    ("TASK [dtr.cache.stack : Deploy the stack", 1.0),
    # What talks to DTR takes some hundredths of a second: probe, registration, accounts and pull are one task.
    ("TASK [Put the cache in use", 0.08),
    ("TASK [Put the cache in use", 0.12),
    ("TASK [Put the cache in use", 0.2),
]
ROTATE: list[Moment] = [
    ("TASK [dtr.cache.config_secrets : Create the Docker config", 1.2),
    # In the middle of what Docker's command does.
    ("TASK [dtr.cache.stack : Deploy the stack", 0.9),
    ("TASK [dtr.cache.stack : Wait", 0.3),
]
REMOVE: list[Moment] = [
    ("TASK [dtr.cache.removal : Reset", 0.03),
    ("TASK [dtr.cache.removal : Remove the stack", 1.4),
    ("TASK [dtr.cache.removal : Remove Docker configs", 0.5),
    ("TASK [dtr.cache.removal : Remove Docker secrets", 1.2),
    ("TASK [dtr.cache.node_label : Label", 0.5),
]


def killed(play: Play, playbook: str, moment: Moment, *options: str) -> str:
    """Run a playbook and kill it as a power failure of the control node would; returns what it printed until then."""
    line_to_wait_for, seconds = moment
    process = subprocess.Popen(
        [*IN_A_NAMESPACE, "ansible-playbook", "-i", INVENTORY, playbook, "--limit", REGION, *options],
        env=play.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if line.startswith(line_to_wait_for):
            time.sleep(seconds)
            break
    process.kill()
    process.wait()
    process.stdout.close()
    assert seen[-1].startswith(line_to_wait_for), f"the run never came to {line_to_wait_for}: {''.join(seen)}"
    return "".join(seen)


def running(service: t.Any) -> int:
    """How many of its tasks run; none of a service that Swarm removes at this very moment."""
    try:
        return sum(task["Status"]["State"] == "running" for task in service.tasks())
    except docker.errors.NotFound:
        return 0


def state_of(lab: Lab) -> dict[str, t.Any]:
    """What a deployment makes, without what is another one each time: ids and version counters."""
    snapshot = lab.snapshot()
    registry, swarm = snapshot["registry"], snapshot[NODE]
    names = {cache["id"]: cache["name"] for cache in registry["content_caches"]}
    client = lab.engine(NODE)
    services = {
        service.name: {
            "spec": service.attrs["Spec"]["TaskTemplate"]["ContainerSpec"]
            | {"Secrets": None, "Configs": None}
            | {
                kind: sorted(item[key] for item in service.attrs["Spec"]["TaskTemplate"]["ContainerSpec"][kind])
                for kind, key in (("Secrets", "SecretName"), ("Configs", "ConfigName"))
            },
            "running": running(service),
        }
        for service in client.services.list()
    }
    networks = sorted(str(network.name) for network in client.networks.list() if "dtr-cache" in str(network.name))
    client.close()
    return {
        "caches": sorted((cache["name"], cache["host"]) for cache in registry["content_caches"]),
        "settings": {account: names[cache] for account, cache in registry["settings"].items()},
        **{key: swarm[key] for key in ("labels", "configs", "secrets")},
        "services": services,
        "networks": networks,
    }


@pytest.fixture(scope="module")
def undisturbed(lab: Lab, play: Play) -> dict[str, t.Any]:
    """The states that runs without an interruption leave: deployed, rotated, removed."""
    lab.clean()
    run = play("dtr.cache.deploy", "--limit", REGION)
    assert run.code == 0, run.output
    deployed = state_of(lab)
    run = play("dtr.cache.rotate", "--limit", REGION, **ROTATED)
    assert run.code == 0, run.output
    rotated = state_of(lab)
    run = play("dtr.cache.remove", "--limit", REGION, dtr_cache_confirm_removal=REGION)
    assert run.code == 0, run.output
    return {"deployed": deployed, "rotated": rotated, "removed": state_of(lab)}


def assert_nothing_secret_is_left(lab: Lab) -> None:
    """No file of a killed run on the manager holds a piece of the private key."""
    piece = lab.certificate("cache-europe.lab.test", "key").splitlines()[1]
    search = f"grep -rlF -e '{piece}' /root /tmp || true"
    assert lab.inside(NODE, "sh", "-c", search) == ""


def test_a_deployment_that_is_killed_again_and_again(undisturbed: dict[str, t.Any], lab: Lab, play: Play) -> None:
    for moment in DEPLOY:
        # A run that was quicker than its end has left nothing to do for the next one.
        if "dtr.cache.stack :" in moment[0] and lab.snapshot()[NODE]["services"]:
            lab.inside(NODE, "docker", "service", "scale", "--detach", "dtr-cache_cache=0")
        killed(play, "dtr.cache.deploy", moment)
    interrupted = lab.snapshot()
    assert interrupted[NODE]["services"]
    finished = play("dtr.cache.deploy", "--limit", REGION)
    assert finished.code == 0, finished.output
    assert state_of(lab) == undisturbed["deployed"]
    assert_nothing_secret_is_left(lab)


def test_a_rotation_that_is_killed_again_and_again(undisturbed: dict[str, t.Any], lab: Lab, play: Play) -> None:
    assert state_of(lab) == undisturbed["deployed"], "the test before this one has deployed it"
    for moment in ROTATE:
        killed(play, "dtr.cache.rotate", moment, "-e", json.dumps(ROTATED))
    finished = play("dtr.cache.rotate", "--limit", REGION, **ROTATED)
    assert finished.code == 0, finished.output
    assert state_of(lab) == undisturbed["rotated"]
    assert_nothing_secret_is_left(lab)


def test_a_removal_that_is_killed_again_and_again(undisturbed: dict[str, t.Any], lab: Lab, play: Play) -> None:
    assert state_of(lab) == undisturbed["rotated"], "the test before this one has left it"
    for number, moment in enumerate(REMOVE):
        killed(play, "dtr.cache.remove", moment, "-e", f"dtr_cache_confirm_removal={REGION}")
        # The last kills come when little is left to do, and a slow machine may have done it.
        assert number > 2 or state_of(lab) != undisturbed["removed"], moment
    finished = play("dtr.cache.remove", "--limit", REGION, dtr_cache_confirm_removal=REGION)
    assert finished.code == 0, finished.output
    assert state_of(lab) == undisturbed["removed"]
    lab.clean()


def test_a_network_without_its_stack_goes_with_the_next_removal(lab: Lab, play: Play) -> None:
    """What a removal leaves that is killed between the stack's services and their network."""
    lab.clean()
    label = "com.docker.stack.namespace=dtr-cache"
    lab.inside(NODE, "docker", "network", "create", "--driver", "overlay", "--label", label, "dtr-cache_default")
    confirmed: dict[str, t.Any] = {"dtr_cache_confirm_removal": REGION}
    announced = play("dtr.cache.remove", "--limit", REGION, "--check", **confirmed)
    assert state_of(lab)["networks"] == ["dtr-cache_default"]
    run = play("dtr.cache.remove", "--limit", REGION, **confirmed)
    assert run.code == 0, run.output
    assert state_of(lab)["networks"] == []
    assert run.regions()[REGION]["changed"] == announced.regions()[REGION]["changed"] == "1 network removed"
