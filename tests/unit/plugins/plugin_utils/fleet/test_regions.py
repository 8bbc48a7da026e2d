# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Regions that get in each other's way: each pair is named once, and what is not known is like nothing else."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.urls import canonical_server
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.facts import HostFacts
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.regions import (
    Undoing,
    claims_of_others,
    collisions,
    collisions_in_swarm,
    files_with_users,
    not_ours,
    others_of,
    undoing,
    unused_files,
)
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.model import authority_file
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.region import Region
from ansible_collections.dtr.cache.tests.unit.support.settings import CA, read

DEPLOY = ("registration", "assignment", "swarm")
ASIA = Region(
    "manager-asia",
    name="region-asia",
    dtr="https://dtr.example.org",
    address="cache-asia.example.org:443",
    stack_name="dtr-cache",
    port=5001,
    metrics_port=5002,
    assignments={"accounts": ["alice", "carol"], "teams": ["engineering/core"], "orgs": ["sales"], "everyone": False},
)
EUROPE = Region(
    "manager-europe",
    name="region-europe",
    dtr="https://dtr.example.org",
    address="cache-europe.example.org:443",
    stack_name="europe",
    assignments={"accounts": ["bob"], "teams": [], "orgs": [], "everyone": True},
)


def both(needs: t.Collection[str] = DEPLOY, **changes: t.Any) -> list[str]:
    """What stands against Europe with some of it changed, beside Asia."""
    return collisions(EUROPE._replace(**changes), [ASIA], needs)


def test_regions_that_have_nothing_in_common() -> None:
    assert both() == []


@pytest.mark.parametrize(
    ("changes", "needs", "beginning"),
    [
        (
            {"name": "region-asia"},
            "registration",
            "dtr_cache_name: hosts {both} both name their cache region-asia at the",
        ),
        (
            {"address": ASIA.address},
            "swarm",
            "dtr_cache_host: hosts {both} both have their cache at cache-asia.example.o",
        ),
        (
            {"assignments": {**ASIA.assignments, "accounts": ["carol", "dave"]}},
            "assignment",
            "dtr_cache_assignments: hosts {both} both claim account carol, team engineering/core, organisation sales;",
        ),
    ],
)
def test_what_two_regions_cannot_share(changes: dict[str, t.Any], needs: str, beginning: str) -> None:
    (problem,) = both(**changes)
    assert problem.startswith(beginning.format(both="manager-europe and manager-asia"))
    assert both([needs], **changes) == [problem]
    also = {"name": "swarm", "address": "registration"}
    others = [each for each in DEPLOY if each not in (needs, *(also.get(name) for name in changes))]
    assert both(others, **changes) == [], "it matters to no other step"


@pytest.mark.parametrize(
    ("changes", "beginning"),
    [
        (
            {"stack_name": "dtr-cache"},
            "dtr_cache_stack_name: hosts {both} both deploy stack dtr-cache to the same Swarm",
        ),
        (
            {"metrics_port": 5001},
            "dtr_cache_metrics_port: hosts manager-europe (metrics) and manager-asia (cache) both want port 5001 of",
        ),
        (
            {"metrics_port": 5002},
            "dtr_cache_metrics_port: hosts manager-europe (metrics) and manager-asia (metrics) both want port 5002 of",
        ),
        (
            {"port": 5002},
            "dtr_cache_metrics_port: hosts manager-europe (cache) and manager-asia (metrics) both want port 5002 of",
        ),
    ],
)
def test_what_two_regions_of_one_swarm_cannot_share(changes: dict[str, t.Any], beginning: str) -> None:
    assert collisions_in_swarm(EUROPE, [ASIA]) == []
    (problem,) = collisions_in_swarm(EUROPE._replace(**changes), [ASIA])
    assert problem.startswith(beginning.format(both="manager-europe and manager-asia"))
    same = {"name": ASIA.name, **changes}
    assert collisions_in_swarm(EUROPE._replace(**same), [ASIA]) == [], "it is the same region"


OWN_URL, OTHER_URL = "https://cache-asia.example.org", "https://cache-europe.example.org"
SETTINGS = {
    "name": "region-asia",
    "former_names": ["old"],
    "host": "cache-asia.example.org",
    "url": f"{OWN_URL}:443",
    "dtr": ASIA.dtr,
}


def running(url: str = OWN_URL, name: str = "", registry: str = ASIA.dtr) -> dict[str, str]:
    return {"service": "dtr-cache_cache", "url": url, "name": name, "registry": registry}


def entries(*names: str, host: str = OWN_URL) -> list[dict[str, str]]:
    return [{"name": name, "host": host} for name in names]


@pytest.mark.parametrize(
    ("cache", "registered"),
    [
        (running(), []),
        (running(""), entries("region-europe")),
        (running(), entries("region-asia", host=f"{OWN_URL}:443/")),
        (running(), entries("old")),
        (running(), entries("other", "region-asia")),
        # The region changes its host: its entry, or the label of a run that did not come to the registration, tells.
        (running(OTHER_URL), entries("region-asia", host=OTHER_URL)),
        (running(OTHER_URL), entries("region-asia", host=f"{OTHER_URL}:8443")),
        (running(OTHER_URL, "region-asia"), []),
        (running(OTHER_URL, "old"), entries("region-asia")),
        # The region changes its port.
        (running(f"{OWN_URL}:8443"), entries("region-asia")),
        # It moves to another DTR.
        (running(OWN_URL, "other", "https://old-dtr.example.org"), []),
        (running(OWN_URL, "other"), entries("region-asia")),
        # It was renamed, which leaves the label as it is, and has its address alone.
        (running(OWN_URL, "region-europe"), []),
    ],
)
def test_a_running_cache_that_is_this_regions_or_may_be(cache: dict[str, str], registered: list[t.Any]) -> None:
    assert not_ours(cache, SETTINGS, registered) == ""


@pytest.mark.parametrize(
    ("cache", "registered", "whose"),
    [
        (running(OTHER_URL), entries("region-europe", host=f"{OTHER_URL}:443"), "cache region-europe"),
        # Also at this region's own address: it was renamed, and its accounts are assigned to the former name.
        (running(), entries("region-europe", host="https://CACHE-asia.example.org."), "cache region-europe"),
        (running(OTHER_URL), entries("region-europe", host=f"{OTHER_URL}:8443"), "cache region-europe"),
        (running(OTHER_URL, "region-europe"), [], "cache region-europe"),
        (running(f"{OWN_URL}:8443", "region-europe"), [], "cache region-europe"),
        (running("", "region-europe"), [], "cache region-europe"),
        (running(OTHER_URL), entries("region-asia"), f"the cache of {OTHER_URL}"),
    ],
)
def test_a_running_cache_of_another_region(cache: dict[str, str], registered: list[t.Any], whose: str) -> None:
    problem = not_ours(cache, SETTINGS, registered)
    assert problem.startswith(f"dtr_cache_stack_name: service dtr-cache_cache is {whose}")
    assert "and not region-asia; set dtr_cache_stack_name" in problem
    assert ("dtr_cache_former_names: [region-europe]" in problem) == ("region-europe" in whose)


@pytest.mark.parametrize(
    ("mode", "nodes", "port", "place"),
    [
        ("ingress", ["b"], 443, "on every node of"),
        ("host", ["b", "a2", "a1"], 443, "on node a2, node a1 of"),
        ("host", ["b"], 443, ""),
        ("ingress", ["b"], 8443, ""),
        ("ingress", ["b"], None, ""),
    ],
)
def test_a_port_of_a_node_belongs_to_one_stack(mode: str, nodes: list[str], port: int | None, place: str) -> None:
    asia = ASIA._replace(port=443, publish_mode="host", nodes=["a1", "a2"])
    found = collisions_in_swarm(EUROPE._replace(port=port, publish_mode=mode, nodes=nodes), [asia])
    assert [place in each for each in found] == [True] * bool(place)
    assert all(
        each.startswith("dtr_cache_port: hosts manager-europe and manager-asia both publish port") for each in found
    )


@pytest.mark.parametrize(
    ("former", "theirs", "beginning"),
    [
        (["dtr-cache"], [], "dtr-cache is a former stack of host manager-europe and the stack of host manager-asia"),
        ([], ["x", "europe"], "europe is a former stack of host manager-asia and the stack of host manager-europe"),
        (["x", "old"], ["old"], "hosts manager-europe and manager-asia both name stack old of the same Swarm"),
    ],
)
def test_a_former_stack_is_no_other_regions(former: list[str], theirs: list[str], beginning: str) -> None:
    own, other = EUROPE._replace(former_stack_names=former), ASIA._replace(former_stack_names=theirs)
    (problem,) = collisions_in_swarm(own, [other])
    assert problem.startswith(f"dtr_cache_former_stack_names: {beginning}")


@pytest.mark.parametrize(
    ("former", "theirs", "beginning"),
    [
        (["region-asia"], [], "region-asia is a former name of host manager-europe and the cache of host manager-asia"),
        (
            [],
            ["x", "region-europe"],
            "region-europe is a former name of host manager-asia and the cache of host",
        ),
        (["x", "old"], ["old", "y"], "hosts manager-europe and manager-asia both name old as a former name"),
    ],
)
def test_a_former_name_is_no_other_regions(former: list[str], theirs: list[str], beginning: str) -> None:
    own, other = EUROPE._replace(former_names=former), ASIA._replace(former_names=theirs)
    (problem,) = collisions(own, [other], DEPLOY)
    assert problem.startswith(f"dtr_cache_former_names: {beginning}")
    assert collisions(own, [other], ["assignment", "swarm"]) == []
    assert collisions(own, [other._replace(dtr="https://other.example.org")], DEPLOY) == []


def test_whom_exceptions_of_a_team_leave_to_another_region_only_dtr_knows() -> None:
    team = ["engineering/core"]
    own = ASIA._replace(assignments={"teams": team, "except": {"accounts": ["bob"]}})
    other = EUROPE._replace(assignments={"teams": team, "accounts": ["bob"]})
    assert not [problem for problem in collisions(own, [other], ["assignment"]) if "assignments" in problem]
    (claims,) = claims_of_others(other, [own])
    assert claims["claims"]["except"] == {"accounts": ["bob"]}


def test_everyone_can_stand_in_one_region_only() -> None:
    twice = ASIA._replace(assignments={"everyone": True})
    (problem,) = collisions(twice, [EUROPE], DEPLOY)
    assert "both claim everyone; an account pulls from one cache only" in problem


@pytest.mark.parametrize("needs", ["registration", "swarm"])
def test_the_same_region_twice_is_one_problem(needs: str) -> None:
    twin = ASIA._replace(host="another", assignments={})
    (problem,) = collisions(twin, [ASIA], [needs, "assignment"])
    assert problem.startswith("dtr_cache_name: hosts another and manager-asia both name their cache region-asia at")


@pytest.mark.parametrize("unknown", ["name", "dtr", "address"])
def test_what_is_not_known_is_like_nothing_else(unknown: str) -> None:
    twin = ASIA._replace(host="another", **{unknown: ""})
    words = {"name": "name their", "dtr": "name their", "address": "their cache at"}
    assert not any(words[unknown] in each for each in collisions(twin, [twin], DEPLOY))
    assert collisions(twin, [ASIA], DEPLOY) == collisions(
        ASIA._replace(host="another"), [ASIA._replace(**{unknown: ""})], DEPLOY
    )


def test_another_dtr_has_names_and_accounts_of_its_own() -> None:
    other = ASIA._replace(host="another", dtr="https://other.example.org", address="c:443")
    assert collisions(other, [ASIA], DEPLOY) == []


def test_a_host_may_act_for_another_region() -> None:
    """Such as in a loop over all regions."""
    acting = ASIA._replace(host=EUROPE.host)
    assert others_of(acting, [ASIA, EUROPE]) == []
    other = ASIA._replace(host="another", name="region-africa")
    assert others_of(acting, [ASIA, EUROPE, other]) == [other]


@pytest.mark.parametrize("takes_part", [True, False])
def test_a_host_of_the_play_alone_may_act_for_a_region_that_takes_no_part(takes_part: bool) -> None:
    """A region that takes part is what it competes with."""
    acting = ASIA._replace(host="localhost", in_group=False)
    regions = [ASIA._replace(in_play=takes_part), EUROPE, acting]
    assert others_of(acting, regions) == (regions[:2] if takes_part else [EUROPE])
    assert others_of(acting, regions[:2]) == [EUROPE], "in a loop its own name is not known"


def test_two_hosts_of_the_inventory_are_two_regions() -> None:
    twin = ASIA._replace(host="another")
    assert others_of(ASIA, [ASIA, twin, EUROPE]) == [twin, EUROPE]


def test_a_long_list_is_cut() -> None:
    many = {"accounts": [f"user{number:02}" for number in range(15)]}
    (problem,) = collisions(ASIA._replace(assignments=many), [EUROPE._replace(assignments=many)], ["assignment"])
    assert "account user09 and 5 more; an account" in problem


class TestClaimsOfOthers:
    CAROL: t.ClassVar = {"accounts": ["carol"], "teams": [], "orgs": []}

    def test_whoever_is_named_one_by_one_needs_only_their_groups(self) -> None:
        own = ASIA._replace(assignments={"accounts": ["dave"]})
        groups = {"teams": ["engineering/core"], "orgs": ["sales"], "cache": "region-asia"}
        assert claims_of_others(EUROPE._replace(assignments={"accounts": ["dave"]}), [ASIA]) == [
            {"host": "manager-asia", "claims": groups}
        ]
        assert claims_of_others(own, [EUROPE]) == [], "whom nobody else claims is everyone's business"

    @pytest.mark.parametrize("kind", ["teams", "orgs", "everyone"])
    def test_groups_need_their_names_as_well(self, kind: str) -> None:
        own = EUROPE._replace(assignments={kind: True if kind == "everyone" else ["x"]})
        (other,) = claims_of_others(own, [ASIA])
        assert other["claims"]["accounts"] == ["alice", "carol"]
        assert "everyone" not in other["claims"]

    def test_of_who_takes_no_part_all_is_needed(self) -> None:
        own = EUROPE._replace(assignments={"accounts": ["dave"]})
        (other,) = claims_of_others(own, [ASIA._replace(in_play=False)])
        assert other["claims"]["accounts"] == ["alice", "carol"]

    @pytest.mark.parametrize("changes", [{"dtr": "https://other"}, {"dtr": ""}, {"name": ""}, {"assignments": {}}])
    def test_who_does_not_matter(self, changes: dict[str, t.Any]) -> None:
        assert claims_of_others(EUROPE, [ASIA._replace(**changes)]) == []


GROUPS = {"all": ["asia", "europe", "node-1", "node-2", "docker-1"], "nodes": ["node-1", "node-2"]}
FILE = authority_file(CA.pem)
REMOVED = Region("asia", name="region-asia", dtr=ASIA.dtr, authority=FILE)
NEIGHBOUR = Region("europe", name="region-europe", dtr=ASIA.dtr, authority="another")


def undo(*others: Region, **changes: t.Any) -> Undoing:
    settings, problems = read(**{"firewall_hosts": "nodes, node-1", "client_hosts": ["docker-1"], **changes})
    assert problems == []
    own = REMOVED._replace(former_names=settings.former_names)
    return undoing(settings, own, [own, *others], GROUPS)


def test_hosts_and_groups() -> None:
    assert undo(NEIGHBOUR) == Undoing(["node-1", "node-2"], ["docker-1"], FILE, [], [])
    assert undo().fact() == {"firewall": ["node-1", "node-2"], "trust": ["docker-1"], "file": FILE}
    assert undo(firewall_hosts=[], client_hosts=None).fact() == {"firewall": [], "trust": [], "file": FILE}


@pytest.mark.parametrize("authority", [FILE, None], ids=["the same", "not known"])
def test_a_ca_that_another_region_may_need_stays(authority: str | None) -> None:
    found = undo(NEIGHBOUR._replace(authority=authority))
    assert (found.trust, found.problems) == ([], [])
    assert found.warnings == [
        "The CA of region-asia stays on the hosts of dtr_cache_client_hosts, since the cache of europe has or may have "
        "the same."
    ]
    assert undo(NEIGHBOUR._replace(authority=authority), client_hosts=[]).warnings == []


def test_without_a_ca_there_is_none_to_take() -> None:
    settings, _problems = read(client_hosts=["docker-1"], ca_certificate=None)
    found = undoing(settings, REMOVED._replace(authority=""), [], GROUPS)
    assert (found.trust, len(found.warnings)) == ([], 1)


def test_a_cache_that_another_one_pulls_from_is_not_removed() -> None:
    settings, _problems = read()
    beyond = NEIGHBOUR._replace(upstreams=[canonical_server(settings.url)], in_play=False)
    (problem,) = undoing(settings, REMOVED, [REMOVED, beyond], GROUPS).problems
    assert problem.startswith("dtr_cache_upstreams: the cache of host europe pulls from this one (https://cache.")
    # It goes as well.
    assert undoing(settings, REMOVED, [REMOVED, beyond._replace(in_play=True)], GROUPS).problems == []


def test_what_is_not_there_and_what_is_another_regions_is_refused() -> None:
    found = undo(NEIGHBOUR, firewall_hosts=["node-3", "nodes"], former_names=["region-europe"])
    assert [problem.partition(":")[0] for problem in found.problems] == [
        "dtr_cache_former_names",
        "dtr_cache_firewall_hosts",
    ]
    assert found.problems[1].endswith("the inventory has no host or group node-3")


SHARED, OWN = "/certs/shared.key", "/certs/asia.key"


def test_files_have_the_regions_that_name_or_use_them() -> None:
    regions = [
        Region("asia", source_files=[SHARED, OWN], files=[OWN]),
        Region("europe", files=[SHARED]),
        Region("brazil", source_files=[SHARED]),
    ]
    assert files_with_users("asia", [SHARED, OWN], regions) == {SHARED: ["europe", "brazil"], OWN: []}
    assert files_with_users("europe", [], regions) == {SHARED: ["asia", "brazil"]}
    assert files_with_users("asia", [OWN], []) == {OWN: []}


def cleaned(host: str, files: t.Mapping[str, t.Sequence[str]], **more: t.Any) -> HostFacts:
    return HostFacts({"inventory_hostname": host, "__dtr_cache": {"play": "1", "source_files": files}, **more}, "1")


def removed(*hosts: HostFacts) -> dict[str, list[str]]:
    known = {each.host: each for each in hosts}
    return {each.host: unused_files(each, known) for each in hosts}


def test_the_last_region_that_needs_a_file_removes_it() -> None:
    asia, europe = cleaned("asia", {SHARED: ["europe"], OWN: []}), cleaned("europe", {SHARED: ["asia"]})
    assert removed(asia, europe) == {"asia": [OWN], "europe": [SHARED]}


def test_a_file_stays_for_a_region_that_needs_it_again() -> None:
    asia = cleaned("asia", {SHARED: ["europe"], OWN: []})
    not_run = HostFacts({"inventory_hostname": "europe"}, "1")
    of_an_earlier_play = HostFacts({"inventory_hostname": "europe", "__dtr_cache": {"play": "0"}}, "1")
    failure = {"play": "1", "task": "Deploy", "reason": ""}
    failed = cleaned("europe", {SHARED: ["asia"]}, __dtr_cache_failure=failure)
    for europe in (not_run, of_an_earlier_play, failed):
        assert removed(asia, europe) == {"asia": [OWN], "europe": []}
    # Left out by --limit, or not reached.
    assert removed(asia) == {"asia": [OWN]}
    assert removed(cleaned("asia", {OWN: []}, __dtr_cache_failure=failure)) == {"asia": []}
