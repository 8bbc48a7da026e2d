# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever DTR makes of the points that its documents leave open, each declaration comes true, once and for good."""

from __future__ import annotations

import dataclasses
import itertools
import typing as t

import pytest

from .conftest import ACCOUNTS, Json, Registry
from .scenarios import ASSIGNMENTS, CACHES, SCENARIOS, Scenario, assert_never_orphaned, comparable

from dtr_standin.accounts import NAMED_USERS  # isort: skip (conftest puts it into the path)
from dtr_standin.behaviours import Behaviours  # isort: skip (conftest puts it into the path)

#: What is about pulls, which these modules have no part in, and about trust: see `test_lost_caches`, `test_positions`.
_OF_PULLS = {
    "blob_redirect_status",
    "redirect_heads",
    "redirect_config_blobs",
    "redirect_manifests",
    "signature_seconds",
    "token_seconds",
    "cache_gone",
    "cache_down",
    "distrusted_cache",
    "trusted_ca",
    "redirect_missing",
}
#: Values for those whose type does not name them.
_OPEN_ENDED: dict[str, list[t.Any]] = {"page_limit": [1, 7], "version": ["3.1.0"], "unhealthy": ["rethinkdb is down"]}
_STATE = {"version", "states_version", "unhealthy", "read_only_registry", "states_read_only", "cluster_issues_on_top"}


def deviations() -> t.Iterator[Json]:
    """Each behaviour changed to each value that is not its default."""
    default = Behaviours()
    kinds = t.get_type_hints(Behaviours)
    for field in dataclasses.fields(Behaviours):
        if field.name in _OF_PULLS:
            continue
        kind = kinds[field.name]
        values = [True, False] if kind is bool else list(t.get_args(kind)) or _OPEN_ENDED[field.name]
        yield from ({field.name: value} for value in values if value != getattr(default, field.name))


def _label(behaviour: Json) -> str:
    return ",".join(f"{name}={value}" for name, value in behaviour.items()) or "defaults"


def comes_true(registry: Registry, scenario: Scenario, **behaviours: t.Any) -> None:
    """Announced, done, never harmful on the way, and nothing left to do."""
    scenario.set_up(registry)
    if behaviours:
        registry.control.behave(**behaviours)
    with registry.nothing_is_written():
        announced = scenario.run(registry, check=True)
    done = scenario.run(registry)
    assert not done.get("failed"), done
    assert done["changed"] is scenario.changes
    assert scenario.is_reached(registry), scenario.explained(registry)
    assert_never_orphaned(registry, scenario)
    assert comparable(announced) == comparable(done)
    with registry.nothing_is_written():
        again = scenario.run(registry)
    assert again["changed"] is False, again


@pytest.mark.parametrize("name", SCENARIOS)
def test_each_declaration_comes_true(registry: Registry, name: str) -> None:
    comes_true(registry, SCENARIOS[name])


_OF_CACHES = {"duplicate_names", "duplicate_hosts", "create_status", "host_form", "delete_missing"}


def combinations() -> t.Iterator[tuple[str, Json]]:
    """Each scenario with each behaviour that it may meet."""
    for name, scenario in SCENARIOS.items():
        for behaviour in deviations():
            without_accounts = scenario.module == CACHES and not scenario.settings
            met = _OF_CACHES | {"lists_local"} if without_accounts else behaviour.keys() - _STATE
            if scenario.module == ASSIGNMENTS:
                met = met - _OF_CACHES
            if behaviour.keys() & met:
                yield name, behaviour


@pytest.mark.parametrize(("name", "behaviour"), list(combinations()), ids=str)
def test_each_declaration_comes_true_under_each_behaviour(registry: Registry, name: str, behaviour: Json) -> None:
    if behaviour in ({"empty_uuid": "ignored"}, {"empty_uuid": "refused"}):
        # Some way to say "no cache" there has to be; the one that was the default's is tried first, and in vain.
        behaviour = {**behaviour, "null_uuid": "unsets"}
    comes_true(registry, SCENARIOS[name], **behaviour)


_WAYS = ("empty_uuid", "null_uuid", "omitted_uuid", "local_uuid")


@pytest.mark.parametrize("patch_answer", ["empty", "settings"])
@pytest.mark.parametrize("unset_value", ["empty", "null", "missing", "local"])
@pytest.mark.parametrize("otherwise", ["ignored", "refused"])
@pytest.mark.parametrize("way", _WAYS)
def test_one_way_to_unset_is_enough(
    registry: Registry, way: str, otherwise: str, unset_value: str, patch_answer: str
) -> None:
    behaviours = {**dict.fromkeys(_WAYS, otherwise), way: "unsets"}
    comes_true(registry, SCENARIOS["reset to local"], **behaviours, unset_value=unset_value, patch_answer=patch_answer)


_SWAPS = ("replace the host", "two names swap their hosts", "a host moves on to another name", "duplicates")


@pytest.mark.parametrize("name", _SWAPS)
@pytest.mark.parametrize(
    ("names", "hosts", "clears", "missing"),
    list(itertools.product([True, False], [True, False], [True, False], [204, 404])),
)
def test_no_combination_of_refusals_stands_in_the_way(
    registry: Registry, name: str, names: bool, hosts: bool, clears: bool, missing: int
) -> None:
    comes_true(
        registry,
        SCENARIOS[name],
        duplicate_names=names,
        duplicate_hosts=hosts,
        delete_clears_settings=clears,
        delete_missing=missing,
        lists_local=True,
    )


@pytest.mark.parametrize("otherwise", ["ignored", "refused"])
@pytest.mark.parametrize("name", ["delete", "purge", "reset to local", "assign exclusively"])
def test_where_nothing_unsets_nothing_is_harmed(registry: Registry, name: str, otherwise: str) -> None:
    """An account that cannot be reset keeps its cache, which therefore stays; the reason is told for each account."""
    scenario = SCENARIOS[name]
    scenario.set_up(registry)
    before = registry.settings()
    registry.control.behave(**dict.fromkeys(_WAYS, otherwise))
    result = scenario.run(registry)
    assert result["failed"]
    assert "UNSET_REFUSED" in {account["code"] for account in result["failed_accounts"]}
    assert "in any known way" in result["msg"]
    unmoved = {account["name"] for account in result["failed_accounts"]}
    assert {name: cache for name, cache in registry.settings().items() if name in unmoved} == {
        name: cache for name, cache in before.items() if name in unmoved
    }
    assert_never_orphaned(registry, scenario)
    registry.control.behave(local_uuid="unsets")
    assert not scenario.run(registry).get("failed")
    assert scenario.is_reached(registry), scenario.explained(registry)


@pytest.mark.parametrize("behaviour", [{}, *deviations()], ids=_label)
def test_the_info_modules_tell_the_truth(registry: Registry, behaviour: Json) -> None:
    scenario = SCENARIOS["repair what dangles"]
    scenario.set_up(registry)
    registry.control.behave(**behaviour)
    with registry.nothing_is_written():
        caches = registry.run("content_caches_info")
        assignments = registry.run("cache_assignments_info", names=True)
        state = registry.run("registry_info")
        authority = registry.run("registry_ca_info")
    assert [(cache["name"], cache["host"]) for cache in caches["content_caches"]] == registry.caches()
    assert {item["name"]: item["cache"] for item in assignments["accounts"] if item["id"]} == {
        account: None if cache == "dangling" else cache for account, cache in registry.settings().items()
    }
    assert len(assignments["accounts"]) == len(NAMED_USERS) + 1 + ACCOUNTS
    assert assignments["total"] == sum(assignments["counts"].values()) + assignments["dangling_count"]
    assert assignments["counts"]["region-asia"] == 3
    assert assignments["dangling"] == ["carol", "dave", "erin"]
    assert assignments["by_cache"]["region-asia"] == ["alice", "ivan", "user00001"]
    unhealthy = behaviour.get("unhealthy", "")
    assert (state["healthy"], state["error"]) == (not unhealthy, unhealthy)
    assert state["version"] == (behaviour.get("version", "2.7.4") if behaviour.get("states_version", True) else None)
    said = behaviour.get("states_read_only", True)
    assert state["read_only"] is (behaviour.get("read_only_registry", False) if said else None)
    assert [replica["read_only"] for replica in state["replicas"]] == [state["read_only"]]
    assert [replica["health"] for replica in state["replicas"]] == [unhealthy or "OK"]
    assert authority["trusted_by"] == "ca"
    assert authority["pem"].strip() == registry.standin.ca.read_text().strip()


def test_every_behaviour_is_tried() -> None:
    tried = {name for behaviour in deviations() for name in behaviour}
    assert tried | _OF_PULLS == {field.name for field in dataclasses.fields(Behaviours)}
    assert {scenario.module for scenario in SCENARIOS.values()} == {CACHES, ASSIGNMENTS}
