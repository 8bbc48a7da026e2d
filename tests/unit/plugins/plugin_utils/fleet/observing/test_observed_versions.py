# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cache's version beside its DTR's: drift where the next deployment would exchange it, else only worth knowing."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet import diagnosis
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.facts import HostFacts
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.observing.problems import DtrResults
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.observing.regions import region_row
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.reports.status import summary

SERVICE = "dtr-cache_cache"
OTHER_STEP = {"kind": "service", "action": "update", "name": SERVICE, "detail": "environment, replicas"}


def row(
    version: str | None, *steps: dict[str, str], runs: str = "docker/dtr-content-cache:2.7.4", image: str = ""
) -> t.Any:
    """A region that leaves the version to DTR, unless it has an image."""
    services = [{"name": "cache", "image": runs, "replicas": {"wanted": 1, "running": 1}}] if runs else []
    facts = {
        "inventory_hostname": "asia",
        "__dtr_cache": {
            "settings": {"name": "asia", "product": "dtr", "image": image, "stack_name": "dtr-cache", "replicas": 1},
            "deployment": {"definition": {}},
        },
        "__dtr_cache_plan": {"steps": list(steps), "services": services},
    }
    return region_row(HostFacts(facts), DtrResults(registry={"healthy": True, "version": version}))


@pytest.mark.parametrize(
    ("given", "drift"),
    [
        (row("2.7.4"), []),
        (row("2.7.6"), ["image"]),
        (row("2.7.6", OTHER_STEP), ["environment, image, replicas"]),
        (row("2.7.4", OTHER_STEP), ["environment, replicas"]),
        # Of the right version, but not the image that a deployment takes.
        (row("2.7.4", runs="mirror.example.org/cache:2.7.4"), ["image"]),
        # Nobody knows which one a deployment would take.
        (row(None), []),
        (row("2.9.1"), []),
        (row("2.7.6", image="docker/dtr-content-cache:2.7.4"), []),
        (row("2.7.6", {"kind": "service", "action": "create", "name": SERVICE, "detail": ""}, runs=""), [""]),
    ],
)
def test_the_image_that_a_deployment_would_exchange_is_drift(given: t.Any, drift: list[str]) -> None:
    assert [step["detail"] for step in given["drift"]] == drift


def test_an_upgraded_dtr_is_the_first_cause_of_the_drift() -> None:
    found = row("2.7.6")
    assert [problem["topic"] for problem in found["problems"]][:2] == [("swarm", "version"), ("swarm", "drift")]
    assert found["cause"].startswith(
        "The cache has version 2.7.4 and its DTR has 2.7.6. The vendor wants both the same"
    )
    assert found["hint"] == "dtr.cache.deploy gives the cache the version of the DTR."
    assert "The vendor" not in " ".join(diagnosis.verdict(found, [])["notes"])


def test_a_version_that_the_user_chose_is_worth_knowing_and_no_problem() -> None:
    found = row("2.7.6", image="docker/dtr-content-cache:2.7.4")
    assert ("swarm", "version") not in [problem["topic"] for problem in found["problems"]]
    assert summary([found])[0]["version"] == "2.7.4 (DTR 2.7.6)"
    assert "dtr_cache_version or dtr_cache_image say so." in " ".join(diagnosis.verdict(found, [])["notes"])


@pytest.mark.parametrize("version", ["2.7.4", None])
def test_the_same_version_or_one_that_is_not_known_is_not_worth_a_word(version: str | None) -> None:
    found = row(version)
    assert summary([found])[0]["version"] == "2.7.4"
    assert "The vendor" not in str([found["problems"], diagnosis.verdict(found, [])])
