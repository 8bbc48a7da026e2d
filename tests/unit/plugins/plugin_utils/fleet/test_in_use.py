# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of each step that puts a cache in use."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.names import counted
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.in_use import STEPS, Use, in_brief
from ansible_collections.dtr.cache.tests.unit.support import facts

NOBODY: dict[str, t.Any] = {"accounts": [], "teams": [], "orgs": [], "everyone": False}
ALICE = {**NOBODY, "accounts": ["alice"]}
SETTINGS: dict[str, t.Any] = {
    "name": "asia",
    "url": "https://cache-asia:443",
    "former_names": ["old-asia"],
    "assignments": ALICE,
    "claims": {**ALICE, "cache": "asia"},
    "probe": {"name": "asia", "url": "https://cache-asia:443", "image": "admin/base:1"},
    "verify_image": "admin/base:1",
    "verify_repository": None,
    "verify_account": None,
    "ca_certificate": "",
}


def use(*steps: str, check_mode: bool = False, swarm: t.Any = None, more: t.Any = None, **settings: t.Any) -> Use:
    host = facts.host("manager-asia", {**SETTINGS, **settings}, **(more or {}))
    return Use(host, steps or STEPS, swarm or {}, True, check_mode)


def probed(of: Use) -> dict[str, t.Any]:
    options = of.options("probe", {})
    assert options is not None
    return options


def test_a_cache_that_is_to_be_registered_is_asked_nothing_that_only_a_registered_one_can_answer() -> None:
    options = probed(use())
    assert options["caches"][0]["image"] == ""
    assert (options["check_registration"], options["check_accounts"]) == (False, False)
    options = probed(use("probe", "pull"))
    assert options["caches"][0]["image"] == "admin/base:1"
    assert (options["check_registration"], options["check_accounts"]) == (True, True)


@pytest.mark.parametrize("claims", [NOBODY, {**ALICE, "everyone": True}])
def test_nobody_and_everybody_are_not_looked_up_one_by_one(claims: dict[str, t.Any]) -> None:
    assert probed(use("probe", assignments=claims))["check_accounts"] is False


def test_what_the_swarm_does_not_say_is_not_known() -> None:
    (cache,) = probed(use("probe", swarm={"node_addresses": {"n": ["10.0.0.1"]}, "published_ports": []}))["caches"]
    assert (cache["node_addresses"], cache["published_ports"]) == (["10.0.0.1"], [])
    (cache,) = probed(use("probe", swarm={"failed": True, "published_ports": None}))["caches"]
    assert cache["node_addresses"] == []
    assert "published_ports" not in cache


@pytest.mark.parametrize(
    ("check_mode", "planned", "registration", "serves"),
    [
        (False, ["asia"], {"created": [{"name": "asia"}]}, True),
        (True, [], {}, True),
        (True, ["europe"], {"created": [{"name": "europe"}]}, True),
        (True, ["asia"], {}, False),
        (True, [], {"created": [{"name": "asia"}]}, False),
        (True, [], {"replaced": [{"name": "asia"}]}, False),
    ],
)
def test_a_cache_that_is_only_announced_is_not_asked(
    check_mode: bool, planned: list[str], registration: dict[str, t.Any], serves: bool
) -> None:
    of = use(check_mode=check_mode, more={"planned": planned})
    asked = [of.options(step, {"register": registration}) for step in ("probe", "pull")]
    assert [options is not None for options in asked] == [serves, serves]


def test_a_region_that_claims_nobody_assigns_nobody() -> None:
    assert use(claims={}).options("assign", {}) is None


def test_accounts_that_come_along_with_a_former_name_are_those_of_the_cache() -> None:
    done = {"register": {"reassigned": [{"name": "bob"}]}}
    assert (use().options("assign", done) or {})["planned_moves"] == {"old-asia": "asia"}
    assert (use().options("assign", {}) or {})["planned_moves"] == {}


def test_only_check_mode_assigns_to_a_cache_that_is_not_there() -> None:
    assert (use().options("assign", {}) or {})["planned_caches"] == []
    assert (use(check_mode=True).options("assign", {}) or {})["planned_caches"] == ["asia"]


def test_whom_other_regions_claim_is_left_to_them() -> None:
    host = facts.host("manager-asia")
    claims = {"accounts": ["bob"], "cache": "europe"}
    host = facts.HostFacts(
        {"inventory_hostname": "a", "__dtr_cache": {"settings": SETTINGS, "others": [{"claims": claims}]}}, facts.PLAY
    )
    options = Use(host, ("assign",), {}, True, False).options("assign", {})
    assert options is not None
    assert options["others"] == [claims]


def test_an_image_a_repository_or_nothing_is_pulled() -> None:
    options = use(verify_account="bob", ca_certificate="PEM").options("pull", {})
    assert options == {
        "images": ["admin/base:1"],
        "addresses": [],
        "replicas": 1,
        "cache": "asia",
        "account_of": ALICE,
        "account": "bob",
        "cache_ca_certificate": "PEM",
    }
    options = use(verify_image=None, verify_repository="admin/proof").options("pull", {})
    ways = {"addresses": [], "replicas": 1}
    assert options == {"images": [], "cache": "asia", "account_of": ALICE, "proof_repository": "admin/proof", **ways}
    assert use(verify_image=None).options("pull", {}) is None


def test_in_brief_a_result_has_what_reports_read() -> None:
    well = {"edge": "client->cache", "check": "tcp", "ok": True}
    registration = {"edge": "DTR", "check": "registration", "ok": True}
    wrong = {"edge": "client->cache", "check": "tls", "ok": False}
    probe = {"caches": [{"name": "asia", "days_left": 9, "checks": [well, registration, wrong]}]}
    assert in_brief(probe) == {"caches": [{"name": "asia", "days_left": 9, "checks": [registration, wrong]}]}
    registered = {"created": [{"name": "asia"}], "content_caches": [{"name": "asia"}, {"name": "europe"}]}
    assert in_brief(registered) == {"created": [{"name": "asia"}]}
    changed = [{"name": f"user{number}"} for number in range(200)]
    assigned = in_brief({"changed_accounts": changed, "unchanged": 3})
    assert (len(assigned["changed_accounts"]), counted(assigned, "changed_accounts")) == (10, 200)
