# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first cause of a diagnosis, and the reason of a deployment: the node, the stack, and what to run."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import typing as t
from collections.abc import Iterator

import pytest
from labkit.nodes import enter_command
from labkit.topology import node_named

from .conftest import LAB, Lab, Play, Run, until

DEPLOY = "dtr.cache.deploy"
ONLY = ("--limit", "region-asia")
MANAGER, NODE = "asia-1", "asia-2"
SERVICE, IMAGE = "dtr-cache_cache", "docker/dtr-content-cache:2.7.4"
WITHOUT_IMAGE = ("--detach", "--no-resolve-image", "--update-failure-action", "pause", "--image", "docker/not-there:1")
ANOTHER = "name another node in dtr_cache_nodes and run dtr.cache.deploy."
LISTENS = 'ss --listening --no-header --tcp "sport = :443" | grep -q .'


@pytest.fixture
def deployed(clean_lab: Lab, play: Play) -> Lab:
    run = play(DEPLOY, *ONLY)
    assert run.code == 0, run.output
    return clean_lab


def docker(lab: Lab, *command: str) -> str:
    return lab.inside(MANAGER, "docker", *command)


def states(lab: Lab) -> list[str]:
    """The states of the tasks that Swarm wants to run, of those that end, and of the newest."""
    with contextlib.closing(lab.engine(MANAGER)) as client:
        tasks = sorted(client.services.get(SERVICE).tasks(), key=lambda task: str(task["CreatedAt"]))
    current = [
        task for task in tasks if "running" in (task["DesiredState"], task["Status"]["State"]) or task is tasks[-1]
    ]
    return [task["Status"]["State"] for task in current]


def first_cause(play: Play) -> dict[str, t.Any]:
    run = play("dtr.cache.diagnose", *ONLY, env={"ANSIBLE_SHOW_CUSTOM_STATS": "1"})
    assert run.code == 2, run.output
    (verdict,) = json.loads(re.findall(r"^\tRUN: (\{.*\})$", run.output, re.MULTILINE)[-1])["dtr_cache_verdicts"]
    cause: dict[str, t.Any] = verdict["causes"][0]
    assert "stack dtr-cache" in cause["told"]
    assert count(run, f"1. {cause['told']} Do: {cause['fix']}") == 1, run.output
    return cause


def count(run: Run, words: str) -> int:
    """How often the output has the words, wherever its lines are broken."""
    return " ".join(run.output.split()).count(words)


@pytest.mark.parametrize(
    ("command", "words", "fix"),
    [
        (
            ("node", "update", "--availability", "drain", NODE),
            f"node {NODE} is set to drain, so",
            f"docker node update --availability active {NODE}, or {ANOTHER}",
        ),
        (
            ("node", "update", "--label-rm", "dtr.cache", NODE),
            "no node has node.labels.dtr.cache == true, so",
            "Run dtr.cache.deploy, which sets the label, or: docker node update --label-add dtr.cache=true NODE.",
        ),
        (
            ("service", "update", *WITHOUT_IMAGE, SERVICE),
            f"stack dtr-cache on {NODE}: its node cannot get its image.",
            "Correct dtr_cache_version or dtr_cache_image, load the image on the node",
        ),
    ],
    ids=["drained", "label", "image"],
)
def test_the_first_cause_says_where_and_what_to_do(
    deployed: Lab, play: Play, command: tuple[str, ...], words: str, fix: str
) -> None:
    docker(deployed, *command)
    try:
        until(lambda: set(states(deployed)) <= {"pending", "rejected"}, "no replica runs")
        found = first_cause(play)
    finally:
        docker(deployed, "node", "update", "--availability", "active", NODE)
    assert found["told"].startswith(words), found
    assert fix in found["fix"], found


def test_the_first_cause_is_the_node_that_is_down(deployed: Lab, play: Play) -> None:
    # The whole node ends with its Engine, and often with it what has ended that.
    kill = ("sh", "-c", "kill -KILL $(cat /run/docker.pid)")
    subprocess.run(enter_command(node_named(NODE), kill), check=False)
    shown = ("node", "inspect", NODE, "--format", "{{.Status.State}}")
    try:
        until(lambda: docker(deployed, *shown) == "down", "the node is down")
        found = first_cause(play)
        refused = play(DEPLOY, *ONLY)
    finally:
        assert subprocess.run([LAB, "up"], capture_output=True, check=False).returncode == 0
    assert found["told"].startswith(f"node {NODE} is down, so"), found
    assert found["fix"] == f"Start the Engine of {NODE}, or {ANOTHER}"
    assert count(refused, f"node {NODE} is down; start the Engine of {NODE}") == 2, refused.output


@contextlib.contextmanager
def taken(lab: Lab, by: str) -> Iterator[None]:
    """The port of the cache on its node is another's."""
    if by == "program":
        start = f"setsid python3 -m http.server 443 >/dev/null 2>&1 & echo $!; until {LISTENS}; do sleep 0.1; done"
        where, end = NODE, ["kill", lab.inside(NODE, "sh", "-c", start)]
    else:
        options = ("--constraint", f"node.hostname=={NODE}", "--publish", "mode=host,published=443,target=1")
        docker(
            lab, "service", "create", "--name", "other", *options, "--entrypoint", "/bin/busybox", IMAGE, "sleep", "999"
        )
        where, end = MANAGER, ["docker", "service", "rm", "other"]
    try:
        yield
    finally:
        lab.inside(where, *end)


@pytest.mark.parametrize(
    ("by", "words", "fix"),
    [
        (
            "service",
            f"port 443 of {NODE} is taken by another service, so",
            "See which with docker service ls and remove",
        ),
        ("program", f"stack dtr-cache on {NODE}: its port is taken", "Stop what listens there (docker service ls; ss"),
    ],
)
def test_the_first_cause_is_the_port_and_a_deployment_says_so(
    deployed: Lab, play: Play, by: str, words: str, fix: str
) -> None:
    docker(deployed, "service", "scale", "--detach", f"{SERVICE}=0")
    deployed.inside(NODE, "timeout", "60", "sh", "-c", f"while {LISTENS}; do sleep 0.1; done")
    with taken(deployed, by):
        docker(deployed, "service", "scale", "--detach", f"{SERVICE}=1")
        until(lambda: bool({"pending", "rejected", "failed"} & set(states(deployed))), "no replica runs")
        found = first_cause(play)
        run = play(DEPLOY, *ONLY, dtr_cache_blob_ttl="36h", dtr_cache_timeout=60)
    assert found["told"].startswith(words), found
    assert fix in found["fix"], found
    assert run.code == 2, run.output
    assert (count(run, "Stack dtr-cache did not settle:"), count(run, fix)) == (2, 2), run.output
