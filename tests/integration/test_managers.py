# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Managers that fail in the middle of a run: one that says nothing any more, and the leader of several.

The run ends in its time with a reason that is true, and the next one finishes what it has begun.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
import subprocess
import time
import typing as t
from collections.abc import Iterator

import docker
import pytest

from .conftest import INVENTORY, Lab, Play, Run, until

DEPLOY, ROTATE = "dtr.cache.deploy", "dtr.cache.rotate"
ONLY = ("--limit", "region-asia")
CONTACT, MANAGERS = "asia-1", ("asia-1", "asia-2", "asia-3")
ENGINE_SILENT = [
    ["INPUT", "-p", "tcp", "--dport", "2376", "-j", "DROP"],
    ["OUTPUT", "-p", "tcp", "--sport", "2376", "-j", "DROP"],
]


def run_until(
    play: Play,
    playbook: str,
    line: str,
    happens: t.Callable[[], None],
    env: dict[str, str] | None = None,
    **variables: t.Any,
) -> tuple[Run, float]:
    """Run a playbook in which something happens when a line appears; with the seconds that it went on after that."""
    process = subprocess.Popen(
        ["ansible-playbook", "-i", INVENTORY, playbook, *ONLY, "-e", json.dumps(variables)],
        env={**play.environment, **(env or {})},
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
    return {**local, "dtr_cache_docker_host": f"tcp://{CONTACT}.lab.test:2376"}


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
    ("form", "task", "patience", "words"),
    [
        ("address", "node_label : Label the nodes of the cache", 20, "did not answer within 25 seconds"),
        # Three of them, one after the other.
        ("address", "config_secrets : Create the Docker secrets", 10, "did not answer within 10 seconds"),
        (
            *("bundle", "stack : Wait until the stack has settled", 20),
            "cannot be reached: Connection to 198.18.57.21 timed out",
        ),
    ],
)
def test_an_engine_that_says_nothing_any_more_does_not_hold_the_run(
    silence: t.Callable[[], None], lab: Lab, play: Play, form: str, task: str, patience: int, words: str
) -> None:
    # Where the TLS files lie of an address.
    certificates = {"DOCKER_CERT_PATH": lab.status["client_bundles"][CONTACT]["folder"]}
    run, seconds = run_until(
        *(play, DEPLOY, f"TASK [dtr.cache.{task}]", silence, certificates),
        dtr_cache_timeout=patience,
        **from_here(lab, form),
    )
    assert seconds < patience + 60
    assert run.code != 0
    assert run.regions()["region-asia"]["result"] == f"failed at: {task.partition(' : ')[2]}"
    # What was on its way in the test before may have been done since.
    changed = run.regions()["region-asia"]["changed"]
    assert re.match(r"unfinished: (1 node label, )?1 config, [1-3] secrets?, 1 service$", changed), changed
    assert words in run.output
    assert lab.control.state() == {"content_caches": [], "settings": {}}


def status_of(lab: Lab, node: str) -> dict[str, dict[str, t.Any]]:
    """What a manager knows of each: Leader, Reachability."""
    with contextlib.closing(lab.engine(node)) as client:
        return {
            each.attrs["Description"]["Hostname"]: each.attrs.get("ManagerStatus") or {} for each in client.nodes.list()
        }


def leader(lab: Lab) -> str:
    """Who leads, by what the first manager knows that answers; empty between two leaders."""
    for node in MANAGERS:
        with contextlib.suppress(docker.errors.APIError):
            return next((name for name, status in status_of(lab, node).items() if status.get("Leader")), "")
    return ""


def make(lab: Lab, role: str, *nodes: str) -> None:
    """Give nodes a role, one after the other: a Swarm of managers needs most of them at any time."""
    for node in nodes:
        other = next(name for name in MANAGERS if name != node)
        until(functools.partial(_given, lab, other, role, node), f"{role} {node}")
        wait_for_role(lab, other, node, "reachable" if role == "promote" else None)


def _given(lab: Lab, manager: str, role: str, node: str) -> bool:
    try:
        lab.inside(manager, "docker", "node", role, node)
    except AssertionError as error:
        # Swarm writes to a node by itself meanwhile.
        if "update out of sequence" not in str(error):
            raise
        return False
    return True


def wait_for_role(lab: Lab, other: str, node: str, wanted: str | None) -> None:
    """Wait until another manager knows of it, and a new manager answers by itself."""

    def known() -> bool:
        try:
            found = [status_of(lab, each) for each in ((other, node) if wanted else (other,))]
        except docker.errors.APIError:  # between two leaders, or while a manager is being prepared
            return False
        return all(each[node].get("Reachability") == wanted and _led(each) for each in found)

    until(known, f"{node} is {wanted}")


def _led(status: t.Mapping[str, t.Mapping[str, t.Any]]) -> bool:
    return any(each.get("Leader") for each in status.values())


def another_leader(lab: Lab) -> tuple[str, str]:
    """A leader that no run goes to, and the node that is neither."""
    until(lambda: leader(lab) != "", "a leader")
    if leader(lab) == CONTACT:
        make(lab, "demote", CONTACT)
        make(lab, "promote", CONTACT)
    leading = leader(lab)
    (place,) = {*MANAGERS} - {leading, CONTACT}
    return leading, place


@pytest.fixture(scope="module")
def three_managers(lab: Lab) -> Iterator[Lab]:
    """All nodes of the Swarm are managers."""
    lab.clean()
    make(lab, "promote", "asia-2", "asia-3")
    yield lab
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
        lambda: all(status.get("Reachability") == "reachable" for status in status_of(lab, node).values()),
        "all of them",
    )


def finish(lab: Lab, play: Play, playbook: str, first: Run, words: str, **variables: t.Any) -> None:
    """The run went on with the next leader, or said what was missing and is finished by the next run."""
    assert first.code == 0 or words in first.output, first.output
    if first.code:
        assert not first.regions()["region-asia"]["changed"].startswith("nothing")
        finished = play(playbook, *ONLY, **variables)
        assert finished.code == 0, finished.output
    (cache,) = lab.control.state()["content_caches"]
    assert cache["name"] == "region-asia"
    state = lab.snapshot()[CONTACT]
    assert (len(state["secrets"]), len(state["services"])) == (3, 1)
    assert sorted(map(len, state["labels"].values())) == [0, 0, 1]


def test_the_leader_is_lost_while_secrets_are_made(three_managers: Lab, play: Play) -> None:
    lost, place = another_leader(three_managers)
    task = "TASK [dtr.cache.config_secrets : Create the Docker secrets]"
    with paused(three_managers, lost) as pause:
        first, seconds = run_until(play, DEPLOY, task, pause, dtr_cache_nodes=[place], dtr_cache_timeout=60)
    assert seconds < 60 + 60
    finish(three_managers, play, DEPLOY, first, "had no leader that answered", dtr_cache_nodes=[place])


def test_the_leader_is_lost_while_a_rotation_settles(three_managers: Lab, play: Play) -> None:
    lost, place = another_leader(three_managers)
    variables: dict[str, t.Any] = {"dtr_cache_nodes": [place], "dtr_cache_blob_ttl": "48h"}
    task = "TASK [dtr.cache.stack : Wait until the stack has settled]"
    with paused(three_managers, lost) as pause:
        first, seconds = run_until(play, ROTATE, task, pause, dtr_cache_timeout=60, **variables)
    assert seconds < 60 + 60
    finish(three_managers, play, ROTATE, first, "not settled after 60 seconds", **variables)


def test_the_manager_of_the_run_is_none_any_more(three_managers: Lab, play: Play) -> None:
    labels = three_managers.snapshot()[CONTACT]["labels"]
    place = next(name for name, has in labels.items() if has)
    variables: dict[str, t.Any] = {"dtr_cache_nodes": [place], "dtr_cache_blob_ttl": "24h"}
    task = "TASK [dtr.cache.stack : Wait until the stack has settled]"
    demote = functools.partial(make, three_managers, "demote", CONTACT)
    first, _seconds = run_until(play, ROTATE, task, demote, **variables)
    make(three_managers, "promote", CONTACT)
    finish(three_managers, play, ROTATE, first, "is a worker, and only a manager can change a Swarm", **variables)
    again = play(ROTATE, *ONLY, "--check", **variables)
    assert again.regions()["region-asia"]["changed"] == "nothing", again.output
