# Copyright: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a run failed at a host: the task's message, and of what a program wrote the line that says why."""

from __future__ import annotations

import pytest
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.facts import RunFailure, essential
from ansible_collections.dtr.cache.tests.unit.support import facts

FAILED = "docker stack up deploy command failed"
DOCKER = """Creating network dtr-cache_default
image docker/dtr-content-cache:2.7.6 could not be accessed on a registry to record
its digest. Each node will access docker/dtr-content-cache:2.7.6 independently,
possibly leading to different nodes running different
versions of the image.

failed to create service x_cache: Error response from daemon: rpc error: code = InvalidArgument desc = invalid name

"""
SAID = (
    "failed to create service x_cache: Error response from daemon: rpc error: code = InvalidArgument "
    "desc = invalid name"
)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({}, FAILED),
        ({"said": []}, FAILED),
        ({"said": ["  \n"]}, f"{FAILED} "),
        ({"said": [DOCKER]}, f"{FAILED} {SAID}"),
        ({"said": [DOCKER, "no space left on device"]}, f"{FAILED} {SAID} no space left on device"),
    ],
)
def test_dockers_own_words_are_a_part_of_the_reason(said: dict[str, list[str]], reason: str) -> None:
    failure = facts.host(failure={"task": "Deploy the stack", "reason": FAILED, **said}).failure
    assert failure == RunFailure("Deploy the stack", reason.strip())


def test_what_the_message_says_already_is_not_said_again() -> None:
    failure = facts.host(failure={"task": "x", "reason": "It says: no space left.", "said": ["no space left."]}).failure
    assert failure == RunFailure("x", "It says: no space left.")


def test_without_secrets_and_not_without_end() -> None:
    assert essential("x\ninvalid value: password=hunter2") == "invalid value: password=***"
    assert len(essential("x" * 10_000)) == 500
    assert essential("bad \x1b[31mred") == "bad  [31mred"
