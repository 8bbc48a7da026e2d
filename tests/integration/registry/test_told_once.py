# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often a run that fails gives its reason: in the result of each task that failed, and once in the report."""

from __future__ import annotations

import typing as t

import pytest

from .conftest import Json, Registry
from .playbook_runs import LOCALLY, WRONG_PASSWORD, Ansible, Run, fleet

ASIA, EUROPE = {"accounts": ["alice"]}, {"accounts": ["bob"]}


class Case(t.NamedTuple):
    """A playbook that fails, words of its reason, and at how many regions it does."""

    playbook: str
    reason: str
    variables: Json
    regions: int = 2
    asia: Json = ASIA


CASES = {
    "value": Case("deploy", "dtr_cache_blob_ttl: 24 has no unit", {"dtr_cache_blob_ttl": "24"}),
    "file": Case("assign", "/gone.pem cannot be read", {"dtr_cache_registry_ca": "/gone.pem"}),
    "password": Case("assign", "NOT_AUTHENTICATED", {"dtr_cache_registry_password": WRONG_PASSWORD}),
    "dtr": Case("assign", "refused the connection.", {"dtr_cache_registry_url": "https://127.0.0.1:9"}),
    "account": Case("assign", "there is no account gone", {}, 1, {"accounts": ["gone"]}),
    "cache": Case("assign", "there is no cache region-asia", {}, 1),
    "missing": Case("verify", "no pull can prove that the cache serves", {}),
    "pull": Case(
        "warm",
        "DTR knows no content cache region-asia",
        {"dtr_cache_warm_images": ["eng/app:1"], "dtr_cache_host": "cache.example.org"},
        1,
    ),
    "backup": Case("backup", "there is no folder /gone; make it", {"dtr_cache_backup_file": "/gone/a.json"}),
    "restore": Case("restore", "/gone/a.json cannot be read", {"dtr_cache_backup_file": "/gone/a.json"}),
    "manager": Case("adopt", "The manager manager-asia cannot be reached:", {}, 1),
}


def count(output: str, words: str) -> int:
    """How often an output has the words, wherever its lines are broken."""
    return " ".join(output.split()).count(words)


def table(run: Run) -> str:
    return run.stdout.rpartition("TASK [Report")[2]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_playbook_gives_a_reason_at_its_task_and_in_the_report(
    registry: Registry, ansible: Ansible, case: Case
) -> None:
    inventory = fleet(registry, asia=case.asia, europe=EUROPE)
    run = ansible.run(f"dtr.cache.{case.playbook}", inventory=inventory, **case.variables)
    assert run.code == 2, run.output
    assert count(run.stdout, case.reason) == case.regions + 1, run.output
    assert count(table(run), case.reason) == 1, run.output


def test_what_all_regions_have_is_reported_once_with_their_names(registry: Registry, ansible: Ansible) -> None:
    run = ansible.run(
        "dtr.cache.assign", inventory=fleet(registry, asia=ASIA, europe=EUROPE), dtr_cache_registry_ca="/x"
    )
    assert "\nmanager-asia, manager-europe: dtr_cache_registry_ca: /x cannot be read" in table(run), run.output


@pytest.mark.parametrize("playbook", ["status", "diagnose"])
def test_an_observation_gives_a_reason_once(registry: Registry, ansible: Ansible, playbook: str) -> None:
    run = ansible.run(
        f"dtr.cache.{playbook}",
        inventory=fleet(registry, asia=ASIA, europe=EUROPE),
        env={"ANSIBLE_TIMEOUT": "2"},
        dtr_cache_registry_url="https://127.0.0.1:9",
    )
    assert run.code == 2, run.output
    assert count(run.stdout, "the DTR cannot be queried") == 1, run.output
    # The table of a diagnosis has the beginning of it.
    assert count(run.stdout, "is required: the cache's public host name, such as cache-asia.example.org") == 1, (
        run.output
    )


def test_a_role_in_a_play_gives_it_once(registry: Registry, ansible: Ansible) -> None:
    """Ansible itself shows the message above the result as well."""
    play = {"hosts": "manager-asia", "gather_facts": False, "vars": LOCALLY, "roles": ["dtr.cache.assignments"]}
    for claims, reason in (
        ({"accounts": ["gone"]}, "there is no account gone"),
        ({"accounts": ["alice"]}, "there is no cache region-asia"),
    ):
        run = ansible.run([play], inventory=fleet(registry, asia=claims))
        assert run.code == 2, run.output
        assert count(run.stdout, reason) == 2, run.output
