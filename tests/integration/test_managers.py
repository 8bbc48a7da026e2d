# Copyright: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Managers that fail in the middle of a run: one that says nothing any more, and the leader of several.

The run ends in its time with a reason that is true, and the next one finishes what it has begun.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
import typing as t
from collections.abc import Iterator

import docker
import pytest

from .conftest import INVENTORY, Lab, Play, Run, until

DEPLOY = "dtr.cache.deploy"
ONLY = ("--limit", "region-asia")
CONTACT, MANAGERS = "asia-1", ("asia-1", "asia-2", "asia-3")
ENGINE_SILENT = [
    ["INPUT", "-p", "tcp", "--dport", "2376", "-j", "DROP"],
    ["OUTPUT", "-p", "tcp", "--sport", "2376", "-j", "DROP"],
]
# What a run takes up to the task that finds the manager silent, on a machine with much else to do.
SECONDS_BEFORE = 60


def run_until(
    play: Play, playbook: str, line: str, happens: t.Callable[[], None], **variables: t.Any
) -> tuple[Run, float]:
    """Run a playbook in which something happens when a line appears; with the seconds that it went on after that."""
    process = subprocess.Popen(
        ["ansible-playbook", "-i", INVENTORY, playbook, *ONLY, "-e", json.dumps(variables)],
        env=play.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    seen, since = [], 0.0
    for text in process.stdout:
        if text.startswith(line) and not since:
            since = time.monotonic()
            happens()
        seen.append(text)
    process.wait()
    assert since, "".join(seen)
    assert "Traceback (most recent call last)" not in "".join(seen)
    return Run(process.returncode, "".join(seen)), time.monotonic() - since


def from_here(lab: Lab, form: str) -> dict[str, t.Any]:
    local = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    if form == "bundle":
        return {**local, "dtr_cache_client_bundle": lab.status["client_bundles"][CONTACT]["archive"]}
    address = next(manager["docker_host"] for manager in lab.status["managers"] if manager["name"] == CONTACT)
    return {**local, "dtr_cache_docker_host": address}


@pytest.fixture
def silence(lab: Lab) -> Iterator[t.Callable[[], None]]:
    """Cuts the way to the manager's Engine: nothing comes through any more, and nothing says so."""
    lab.clean()
    cut: list[list[str]] = []

    def begin() -> None:
        for rule in ENGINE_SILENT:
            lab.inside(CONTACT, "iptables", "-I", *rule)
            cut.append(rule)

    yield begin
    for rule in cut:
        lab.inside(CONTACT, "iptables", "-D", *rule)


@pytest.mark.parametrize(
    ("form", "task"),
    [
        ("address", "node_label : Label the nodes of the cache"),
        ("bundle", "stack : Wait until the stack has settled"),
    ],
)
def test_an_engine_that_says_nothing_any_more_does_not_hold_the_run(
    silence: t.Callable[[], None], lab: Lab, play: Play, form: str, task: str
) -> None:
    run, seconds = run_until(
        play, DEPLOY, f"TASK [dtr.cache.{task}]", silence, dtr_cache_timeout=20, **from_here(lab, form)
    )
    assert seconds < 20 + 60
    assert run.code != 0
    assert run.regions()["region-asia"]["result"] == f"failed at: {task.partition(' : ')[2]}"
    assert any(
        words in run.output for words in ("did not answer within", "cannot be reached", "not settled after 20 seconds")
    )
    assert lab.control.state() == {"content_caches": [], "settings": {}}


def status_of(lab: Lab, node: str) -> dict[str, dict[str, t.Any]]:
    """What a manager knows of each: Leader, Reachability."""
    with contextlib.closing(lab.engine(node)) as client:
        return {
            each.attrs["Description"]["Hostname"]: each.attrs.get("ManagerStatus") or {} for each in client.nodes.list()
        }


def leader(lab: Lab, node: str = CONTACT) -> str:
    try:
        return next((name for name, status in status_of(lab, node).items() if status.get("Leader")), "")
    except docker.errors.APIError:  # between two of them
        return ""


def make(lab: Lab, role: str, *nodes: str) -> None:
    """Give nodes a role, one after the other: a Swarm of managers needs most of them at any time."""
    for node in nodes:
        other = next(name for name in MANAGERS if name != node)
        until(lambda: leader(lab, other) != "", "a leader")
        lab.inside(other, "docker", "node", role, node)
        wanted = "reachable" if role == "promote" else None
        until(lambda: status_of(lab, other)[node].get("Reachability") == wanted, f"{role} {node}")


@pytest.fixture(scope="module")
def three_managers(lab: Lab) -> Iterator[Lab]:
    """All nodes of the Swarm are managers, and one of those that no run goes to leads them."""
    lab.clean()
    make(lab, "promote", "asia-2", "asia-3")
    make(lab, "demote", CONTACT)
    make(lab, "promote", CONTACT)
    yield lab
    until(lambda: leader(lab, "asia-2") != "", "a leader")
    make(lab, "promote", CONTACT)
    make(lab, "demote", *(node for node in MANAGERS if node != CONTACT))
    lab.clean()


@contextlib.contextmanager
def paused(lab: Lab, node: str) -> Iterator[t.Callable[[], None]]:
    """Stops a node's Engine as it is, and lets it go on in the end."""
    process = lab.inside(node, "pgrep", "-o", "-x", "dockerd")
    yield lambda: t.cast(None, lab.inside(node, "kill", "-STOP", process))
    lab.inside(node, "kill", "-CONT", process)
    until(
        lambda: all(status.get("Reachability") == "reachable" for status in status_of(lab, node).values()), "all of them"
    )


def test_the_leader_is_lost_while_secrets_are_made(three_managers: Lab, play: Play) -> None:
    lost = leader(three_managers)
    assert lost != CONTACT
    (place,) = {*MANAGERS} - {lost, CONTACT}
    with paused(three_managers, lost) as pause:
        task = "TASK [dtr.cache.config_secrets : Create the Docker secrets]"
        first, seconds = run_until(play, DEPLOY, task, pause, dtr_cache_nodes=[place], dtr_cache_timeout=60)
    print(first.output)
    assert seconds < 60 + 60
    print(seconds)
    finished = play(DEPLOY, *ONLY, dtr_cache_nodes=[place])
    assert finished.code == 0, finished.output
    again = play(DEPLOY, *ONLY, "--check", dtr_cache_nodes=[place])
    assert again.regions()["region-asia"]["changed"] == "nothing", again.output
    snapshot = three_managers.snapshot()[CONTACT]
    assert (len(snapshot["configs"]), len(snapshot["secrets"]), len(snapshot["services"])) == (1, 3, 1)


def test_the_leader_is_lost_while_a_rotation_settles(three_managers: Lab, play: Play) -> None:
    lost = leader(three_managers)
    with paused(three_managers, lost) as pause:
        task = "TASK [dtr.cache.stack : Wait until the stack has settled]"
        place = next(name for name, labels in three_managers.snapshot()[CONTACT]["labels"].items() if labels)
        variables: dict[str, t.Any] = {"dtr_cache_nodes": [place], "dtr_cache_blob_ttl": "48h"}
        first, seconds = run_until(play, "dtr.cache.rotate", task, pause, dtr_cache_timeout=60, **variables)
    print(first.output)
    print(seconds)
    assert seconds < 60 + 60
    finished = play("dtr.cache.rotate", *ONLY, **variables)
    assert finished.code == 0, finished.output


def test_the_manager_of_the_run_is_none_any_more(three_managers: Lab, play: Play) -> None:
    place = next(name for name, labels in three_managers.snapshot()[CONTACT]["labels"].items() if labels)
    variables: dict[str, t.Any] = {"dtr_cache_nodes": [place], "dtr_cache_blob_ttl": "24h"}
    run, seconds = run_until(
        *(play, "dtr.cache.rotate", "TASK [dtr.cache.stack : Wait until the stack has settled]"),
        lambda: make(three_managers, "demote", CONTACT),
        dtr_cache_timeout=60,
        **variables,
    )
    print(run.output)
    print(seconds)
    assert run.code != 0
    assert "is a worker, and only a manager can change a Swarm" in run.output
    make(three_managers, "promote", CONTACT)
    finished = play("dtr.cache.rotate", *ONLY, **variables)
    assert finished.code == 0, finished.output
