# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployments and rotations that are killed at random moments, each finished by the next run.

No part of C(tests/run), as it takes a quarter of an hour: C(tests/pytest tests/integration/random_kills.py) on a lab.
C(DTR_CACHE_KILLS) is how often each is killed, C(DTR_CACHE_SEED) repeats the moments of an earlier run.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
import typing as t

import pytest

from .conftest import INVENTORY, Lab, Play
from .test_interruptions import IN_A_NAMESPACE, NODE, REGION, assert_nothing_secret_is_left, state_of

KILLS = int(os.environ.get("DTR_CACHE_KILLS", "20"))
SEED = int(os.environ.get("DTR_CACHE_SEED") or time.time())
ONLY = ("--limit", REGION)


def moments(what: str, longest: float) -> list[float]:
    """Seconds after the start, spread over the whole of a run and in no order."""
    generator = random.Random(f"{SEED} {what}")
    found = [longest * (number + generator.random()) / KILLS for number in range(KILLS)]
    generator.shuffle(found)
    return found


def killed_after(play: Play, seconds: float, playbook: str, **variables: t.Any) -> str:
    """What a run printed that was killed so long after its start, with all of its processes."""
    process = subprocess.Popen(
        [*IN_A_NAMESPACE, "ansible-playbook", "-i", INVENTORY, playbook, *ONLY, "-e", json.dumps(variables)],
        env=play.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    time.sleep(seconds)
    process.kill()
    output, _nothing = process.communicate()
    return output


def timed(play: Play, playbook: str, **variables: t.Any) -> float:
    """Seconds of a run that nobody disturbs."""
    start = time.monotonic()
    run = play(playbook, *ONLY, **variables)
    assert run.code == 0, run.output
    return time.monotonic() - start


def assert_nobody_dangles(lab: Lab) -> None:
    state = lab.control.state()
    known = {cache["id"] for cache in state["content_caches"]}
    assert {account for account, cache in state["settings"].items() if cache not in known} == set()
    names = [cache["name"] for cache in state["content_caches"]]
    assert len(set(names)) == len(names), names


@pytest.mark.parametrize("playbook", ["dtr.cache.deploy", "dtr.cache.rotate"])
def test_the_next_run_finishes_what_was_killed_at_any_moment(lab: Lab, play: Play, playbook: str) -> None:
    lab.clean()
    longest = timed(play, "dtr.cache.deploy")
    wanted = state_of(lab)
    if playbook == "dtr.cache.rotate":
        longest = timed(play, playbook, dtr_cache_blob_ttl="1h")
    for number, seconds in enumerate(moments(playbook, longest)):
        variables: dict[str, t.Any] = {}
        if playbook == "dtr.cache.deploy":
            lab.clean()
        else:
            variables = {"dtr_cache_blob_ttl": f"{number + 2}h"}
        output = killed_after(play, seconds, playbook, **variables)
        where = f"seed {SEED}, kill {number} after {seconds:.2f} s:\n{output}"
        assert_nobody_dangles(lab)
        finished = play(playbook, *ONLY, **variables)
        assert finished.code == 0, f"{where}\n\n{finished.output}"
        again = play(playbook, *ONLY, "--check", **variables)
        assert again.code == 0 and again.regions()[REGION]["changed"] == "nothing", f"{where}\n\n{again.output}"
        assert_nobody_dangles(lab)
        assert_nothing_secret_is_left(lab)
        state = state_of(lab)
        assert {service["running"] for service in state["services"].values()} == {1}, where
        if playbook == "dtr.cache.deploy":
            assert state == wanted, where
        else:
            unchanged = ("caches", "settings", "labels", "secrets", "networks")
            assert {key: state[key] for key in unchanged} == {key: wanted[key] for key in unchanged}, where
        print(f"killed after {seconds:.2f} s: finished", NODE, flush=True)
