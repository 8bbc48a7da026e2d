# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan shows of a service that somebody made by hand: everything but the secrets that it was given."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.swarm.masking import (
    carries_secret,
    comparable_sides,
    without_credentials,
)
from ansible_collections.dtr.cache.plugins.module_utils.swarm.plan import plan
from ansible_collections.dtr.cache.tests.unit.support.plans import LIVE_SPEC, swarm, wanted

SECRET = "ohsecret"
CONTAINER: dict[str, t.Any] = {
    "Env": [f"AWS_SECRET_ACCESS_KEY={SECRET}", f"http_proxy=http://u:{SECRET}@proxy:3128", "REGION=eu-west-1"],
    "Args": [f"--password={SECRET}", "--api-token", SECRET, "-u", f"admin:{SECRET}", "--verbose"],
    "Healthcheck": {"Test": ["CMD-SHELL", f"curl -u admin:{SECRET} -H 'Authorization: Bearer {SECRET}' https://a"]},
    "Labels": {"api_key": SECRET},
}


def by_hand() -> dict[str, t.Any]:
    spec = copy.deepcopy(LIVE_SPEC)
    container = spec["TaskTemplate"]["ContainerSpec"]
    container.update(CONTAINER)
    container["Mounts"][0]["VolumeOptions"]["DriverConfig"]["Options"] = {"o": f"username=u,password={SECRET}"}
    spec["Labels"]["registry-password"] = SECRET
    spec["TaskTemplate"]["LogDriver"] = {"Name": "splunk", "Options": {"splunk-token": SECRET, "splunk-url": "x"}}
    return spec


def test_a_diff_has_no_secret_of_the_live_service() -> None:
    before = plan(swarm(by_hand()), wanted()).diff()["before"]["services"]["dtr-cache_cache"]
    assert SECRET not in str(before)
    assert before["environment"]["REGION"] == "eu-west-1"
    assert before["command"] == ["--password=***", "--api-token", "***", "-u", "admin:***", "--verbose"]
    assert before["logging"] == {"driver": "splunk", "options": {"splunk-token": "(secret)", "splunk-url": "x"}}


@pytest.mark.parametrize("part", ["environment", "labels"])
def test_another_secret_is_called_one(part: str) -> None:
    before, after = comparable_sides({part: {"A_TOKEN": SECRET}}, {part: {"A_TOKEN": "another"}})
    assert (before, after) == ({part: {"A_TOKEN": "(secret)"}}, {part: {"A_TOKEN": "(another secret)"}})


def test_names_of_docker_objects_are_shown() -> None:
    names = {"secrets": {"password": "the-password"}, "configs": {"/token": "A" * 20 + "b1" * 10}}
    assert comparable_sides(names, names) == (names, names)
    assert without_credentials(names) == names


def test_a_word_of_a_command_is_hidden_as_a_whole_where_it_is_adopted() -> None:
    view = {"command": ["--token", SECRET, "-v"], "labels": {"a_key": "1", "password": SECRET}}
    assert without_credentials(view) == {
        "command": ["--token", "(secret)", "-v"],
        "labels": {"a_key": "1", "password": "(secret)"},
    }


@pytest.mark.parametrize(
    ("command", "secret"),
    [
        ("wget -q --no-check-certificate https://localhost/v2/?n=1 -O - || exit 1 ", False),
        ("test -f /run/secrets/cache.key.pem", False),
        (f"sh -c '{'x' * 600}'", False),
        (f"curl -u admin:{SECRET} https://localhost", True),
        (f"curl https://admin:{SECRET}@localhost", True),
        (f"PASSWORD={SECRET} check", True),
        (f"check --api-token {SECRET}", True),
    ],
)
def test_a_command_that_carries_a_secret(command: str, secret: bool) -> None:
    assert carries_secret(["CMD-SHELL", command]) == secret
    assert carries_secret(["CMD", *command.split()]) == secret
