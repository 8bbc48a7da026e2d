# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The row of each region, whatever of it could be looked at."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet import diagnosis
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.facts import HostFacts
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.observation import (
    Fleet,
    Limits,
    fleets_of,
    observe,
    probes,
    region_row,
    region_rows,
    registry_rows,
    reported_row,
)
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.problems import DtrResults
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.reports import REPORTS
from ansible_collections.dtr.cache.tests.unit.support import facts

DTR = "https://dtr.example.org"
EDGES = ("client->cache", "cache->DTR", "client->DTR")
GONE = {"msg": "Task failed: Failed to connect to the host via ssh: no route", "unreachable": True}


def check(edge: str, name: str, detail: str = "", hint: str | None = None) -> dict[str, t.Any]:
    return {"edge": edge, "check": name, "ok": not detail, "detail": detail or "fine", "hint": hint}


GOOD = [check("client->cache", "tcp"), check("cache->DTR", "upstream"), check("client->DTR", "registration")]


def probed(name: str, checks: t.Sequence[dict[str, t.Any]] = ()) -> dict[str, t.Any]:
    return {
        "name": name,
        "url": f"https://{name}.example.org:443",
        "healthy": True,
        "serves": True,
        "checks": list(checks or GOOD),
        "certificate": {"subject": "CN=x", "issuer": "CN=y", "not_before": "a", "not_after": "b", "fingerprint": "c"},
        "days_left": 300,
        "seconds": dict.fromkeys(EDGES, 0.1),
    }


def region(name: str, **changes: t.Any) -> HostFacts:
    """A region that is well, with changes of C(settings), C(problems) and C(plan), which C(only) replaces."""
    settings = {
        "name": name,
        "host": f"{name}.example.org",
        "url": f"https://{name}.example.org:443",
        "registry_url": DTR,
        "node_labels": {"worker-1": {"dtr.cache": "true"}},
        "replicas": 2,
        "certificate": {"subject": "CN=x"},
        "assignments": {"accounts": [f"user-of-{name}"]},
        **changes.get("settings", {}),
    }
    service = {
        "name": "cache",
        "image": "a.example:5000/cache:2.7.6",
        "replicas": {"wanted": 2, "running": 2},
    }
    plan = {"steps": [], "settled": True, "reason": "all run", "services": [service], "published_ports": [443]}
    problems = changes.get("problems", [])
    is_deployment = settings["certificate"] and not problems and changes.get("deployment", True)
    return HostFacts(
        {
            "inventory_hostname": name,
            "__dtr_cache": {
                "settings": settings,
                "problems": problems,
                "deployment": {"definition": {}} if is_deployment else None,
                "dtr_ca": {"pem": "PEM"},
            },
            "__dtr_cache_plan": changes["only"] if "only" in changes else {**plan, **changes.get("plan", {})},
        }
    )


def replicas(wanted: int, running: int) -> list[dict[str, t.Any]]:
    return [{"name": "cache", "image": "cache:2.7.6", "replicas": {"wanted": wanted, "running": running}}]


class World(t.NamedTuple):
    """Regions of one DTR, and what was found there."""

    hosts: tuple[HostFacts, ...]
    dtr: DtrResults

    def rows(self) -> list[dict[str, t.Any]]:
        return region_rows([(Fleet(self.hosts), self.dtr)], self.hosts)

    def registries(self) -> list[dict[str, t.Any]]:
        return registry_rows([(Fleet(self.hosts), self.dtr)], self.rows())


def fleet(*regions: HostFacts, **found: t.Any) -> World:
    """The regions with what was found at their DTR."""
    names = [each.settings["name"] for each in regions]
    well = {
        "registry": {"healthy": True, "version": "2.7.4", "read_only": False, "error": ""},
        "health": {"caches": [probed(name) for name in names]},
        "accounts": {"by_cache": {name: ["x"] for name in names[:1]}, "dangling": []},
    }
    return World(regions, DtrResults(**{**well, **found}))


def row_of(*regions: HostFacts, **found: t.Any) -> dict[str, t.Any]:
    return fleet(*regions, **found).rows()[0]


def checks_fail(*checks: dict[str, t.Any], keep: bool = True) -> dict[str, t.Any]:
    return {"health": {"caches": [probed("asia", [*checks, *(GOOD if keep else [])])]}}


def summary_of(rows: list[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    return [REPORTS["status"].shown(row, [], False) for row in rows]


def causes(row: dict[str, t.Any]) -> list[str]:
    return [problem["cause"] for problem in row["problems"]]


def test_all_is_well() -> None:
    asia, europe = fleet(region("asia"), region("europe")).rows()
    assert asia == {
        "region": "asia",
        "cache": "asia",
        "url": "https://asia.example.org:443",
        "registry_url": DTR,
        "nodes": ["worker-1"],
        "state": "healthy",
        "cause": None,
        "hint": None,
        "problems": [],
        "image": "a.example:5000/cache:2.7.6",
        "version": "2.7.6",
        "registry_version": "2.7.4",
        "replicas": {"wanted": 2, "running": 2},
        "certificate": {"subject": "CN=x", "issuer": "CN=y", "not_before": "a", "not_after": "b", "seen": True},
        "days_left": 300,
        "accounts": 1,
        "elsewhere": 0,
        "dangling": [],
        "registered": True,
        "other_names": None,
        "drift": [],
        "serves": True,
        "checks": GOOD,
        "addresses": [],
        "seconds": dict.fromkeys(EDGES, 0.1),
        "traffic": None,
    }
    assert (europe["state"], europe["accounts"]) == ("healthy", 0)


STEPS = [
    {"kind": "config", "action": "create", "name": "a", "detail": ""},
    {"kind": "config", "action": "create", "name": "b", "detail": ""},
    {"kind": "service", "action": "update", "name": "dtr-cache_cache", "detail": "environment, image"},
]
TCP = check("client->cache", "tcp", "port 443 refuses connections.", "Start it.")
NOT_THERE = check("client->DTR", "registration", "DTR has no content cache named asia.", "Register it.")


@pytest.mark.parametrize(
    ("changes", "looks", "cause", "hint"),
    [
        ({}, checks_fail(TCP), "client->cache, tcp: port 443 refuses connections.", "Start it."),
        ({}, checks_fail(NOT_THERE, keep=False), "client->DTR, registration: DTR has no content cache", "Register it."),
        (
            {"plan": {"steps": STEPS}},
            {},
            "the Swarm is not as declared: update service (environment, image), create 2 configs.",
            "dtr.cache.deploy --check --diff",
        ),
        (
            {"only": GONE},
            {},
            "the manager asia cannot be reached: Failed to connect to the host via ssh",
            "ansible_host",
        ),
        (
            {
                "only": {
                    "msg": "?",
                    "failure": {"message": "The Swarm has no node worker-1.", "hint": "Its nodes are a."},
                }
            },
            {},
            "the Swarm cannot be read: The Swarm has no node worker-1.",
            "Its nodes are a.",
        ),
        (
            {"plan": {"services": replicas(2, 1), "settled": False, "reason": "service cache: 1/2 run (failed)"}},
            {},
            "1 of 2 replicas run: service cache: 1/2 run (failed).",
            "docker stack ps",
        ),
        ({"plan": {"services": replicas(3, 3)}}, {}, "3 of 2 replicas run: the service is set to 3.", "deploy"),
        ({"plan": {"services": []}}, {}, "0 of 2 replicas run: the stack has no service for them.", "deploy"),
        (
            {"plan": {"services": replicas(2, 1), "settled": True, "reason": "every replica runs"}},
            {},
            "1 of 2 replicas run: the Swarm gives no reason.",
            "docker stack ps",
        ),
        (
            {},
            {"accounts": {"by_cache": {}, "dangling": ["user-of-asia", "z"]}},
            "1 account is assigned to a cache that no longer exists: user-of-asia.",
            "dtr.cache.assign",
        ),
        (
            {"problems": ["dtr_cache_port: is bad"]},
            {},
            "the settings are not sound: dtr_cache_port: is bad.",
            "Fix the variables",
        ),
        ({}, {"health": {"msg": "no cryptography"}}, "the cache cannot be probed: no cryptography.", None),
        (
            {},
            {"accounts": {"msg": "x", "failure": {"message": "alice: 500.", "hint": None}}},
            "the accounts cannot be read: alice: 500.",
            None,
        ),
        (
            {},
            {"registry": {"msg": "x", "failure": {"message": "401", "hint": "Log in."}}},
            "the DTR cannot be queried: 401.",
            "Log in.",
        ),
        (
            {},
            {"ca_problem": "dtr_cache_registry_url: Another fingerprint."},
            "the CA of the DTR cannot be fetched: dtr_cache_registry_url: Another fingerprint.",
            None,
        ),
    ],
)
def test_each_thing_that_is_wrong_is_the_one_cause(
    changes: dict[str, t.Any], looks: dict[str, t.Any], cause: str, hint: str | None
) -> None:
    row = row_of(region("asia", **changes), **looks)
    assert row["state"] == "unhealthy"
    assert row["cause"].startswith(cause)
    assert (row["hint"] is None) if hint is None else hint in row["hint"]
    assert (row["problems"][0]["cause"], row["problems"][0]["hint"]) == (row["cause"], row["hint"])


def test_nothing_that_runs_explains_a_closed_port_and_some_that_run_do_not() -> None:
    none = row_of(region("asia", plan={"services": replicas(2, 0), "settled": False}), **checks_fail(TCP))
    assert causes(none)[0].startswith("0 of 2 replicas run")
    assert causes(none)[1].startswith("client->cache, tcp")
    some = row_of(region("asia", plan={"services": replicas(2, 1), "settled": False}), **checks_fail(TCP))
    assert causes(some)[0].startswith("client->cache, tcp")
    assert causes(some)[1].startswith("1 of 2 replicas run")


@pytest.mark.parametrize(("variable", "place"), [("port", 0), ("registry_url", 0), ("certificate", 1)])
def test_settings_that_lead_elsewhere_explain_all_that_is_found_there(variable: str, place: int) -> None:
    row = row_of(region("asia", problems=[f"dtr_cache_{variable}: is bad"]), **checks_fail(TCP))
    assert causes(row)[place] == f"the settings are not sound: dtr_cache_{variable}: is bad."
    assert causes(row)[1 - place].startswith("client->cache, tcp")


def test_a_dtr_that_is_down_is_told_once_and_leaves_unknown_what_it_alone_knows() -> None:
    down = {"msg": "x", "failure": {"message": "refused", "hint": None}}
    row = row_of(
        region("asia"),
        **checks_fail(check("client->DTR", "tcp", "port 443 refuses connections."), keep=False),
        registry=down,
        accounts={},
    )
    assert causes(row) == ["client->DTR, tcp: port 443 refuses connections."]
    assert (row["registered"], row["accounts"]) == (None, None)


def test_a_ca_that_did_not_come_is_the_cause_of_a_chain_that_is_not_trusted() -> None:
    looks = checks_fail(check("client->DTR", "chain", "CN=x is not trusted."), check("client->DTR", "api", "nothing."))
    row = row_of(region("asia"), **looks, ca_problem="no answer.")
    assert causes(row) == ["the CA of the DTR cannot be fetched: no answer.", "client->DTR, api: nothing."]
    assert causes(row_of(region("asia"), **looks))[0] == "client->DTR, chain: CN=x is not trusted."


def test_without_the_ca_of_the_dtr_no_drift_is_told_since_its_name_is_not_known() -> None:
    row = row_of(region("asia", plan={"steps": STEPS}, deployment=False), ca_problem="no answer.")
    assert row["drift"] is None
    assert row["replicas"] == {"wanted": 2, "running": 2}


def test_a_cache_that_something_else_deploys_is_judged_by_what_it_shows() -> None:
    row = row_of(region("asia", settings={"certificate": None, "replicas": 0}, plan={"services": []}))
    assert (row["state"], row["drift"], row["replicas"]) == ("healthy", None, None)


def test_unknown_is_where_nothing_could_be_looked_at() -> None:
    row = row_of(region("asia", only=GONE), health={"msg": "the module crashed"})
    assert (row["state"], row["replicas"], row["days_left"]) == ("unknown", None, None)
    assert (row["certificate"]["subject"], row["certificate"]["seen"]) == ("CN=x", False), "as it was declared"
    assert causes(row)[0].startswith("the manager asia cannot be reached")


def test_of_two_caches_with_one_name_each_is_told() -> None:
    same = region("other", settings={"name": "asia", "url": "https://other.example.org:443"})
    first, second = fleet(region("asia"), same).rows()
    assert first["state"] == "healthy"
    assert second["cause"].startswith("asia is the name of another host's cache as well")


def test_regions_of_one_dtr_are_observed_together() -> None:
    hosts = [
        region("asia"),
        region("europe", settings={"registry_url": "https://DTR.example.org:443"}),
        region("africa", settings={"registry_url": "https://dtr.example.org:444"}),
        region("oz", settings={"registry_ca_fingerprint": "aa"}),
        facts.host("lost"),
    ]
    found = fleets_of(hosts)
    assert [[host.host for host in each.hosts] for each in found] == [["asia", "europe"], ["africa"], ["oz"]]
    broken = {"registry": {"msg": "x", "failure": {"message": "500"}}}
    results = [(each, fleet(*each.hosts, **({} if number else broken)).dtr) for number, each in enumerate(found)]
    rows = region_rows(results, hosts)
    assert [(row["region"], row["state"]) for row in rows] == [
        ("asia", "unhealthy"),
        ("europe", "unhealthy"),
        ("africa", "healthy"),
        ("oz", "healthy"),
    ]
    assert [(row["url"], row["cause"]) for row in registry_rows(results, rows)] == [
        (DTR, "the DTR cannot be queried: 500."),
        (f"{DTR}:444", None),
        (DTR, None),
    ]


@pytest.mark.parametrize(
    ("assignments", "expected"),
    [
        ({"accounts": ["bob", "alice"]}, ["alice", "bob"]),
        ({"everyone": True}, ["alice", "bob", "carol"]),
        ({"teams": ["a/b"]}, []),
        ({}, []),
    ],
)
def test_lost_accounts_belong_to_the_region_that_names_them(assignments: dict[str, t.Any], expected: list[str]) -> None:
    world = fleet(
        region("asia", settings={"assignments": assignments}),
        accounts={"by_cache": {}, "dangling": ["carol", "bob", "alice"]},
    )
    (row,) = world.rows()
    assert row["dangling"] == expected
    (registry,) = world.registries()
    assert registry["dangling"] == sorted({"alice", "bob", "carol"} - set(expected))
    assert bool(registry["cause"]) == bool(registry["dangling"])
    if expected:
        assert row["hint"] == "dtr.cache.assign assigns them to the declared cache."
    if registry["cause"]:
        assert registry["hint"].startswith("No region names them.")


def test_that_a_lost_account_is_sent_elsewhere_is_told_once() -> None:
    elsewhere = check("client->DTR", "pull", "DTR sends account user-of-asia to itself.", "Assign it.")
    row = row_of(region("asia"), **checks_fail(elsewhere), accounts={"by_cache": {}, "dangling": ["user-of-asia"]})
    assert causes(row) == ["1 account is assigned to a cache that no longer exists: user-of-asia."]
    assert causes(row_of(region("asia"), **checks_fail(elsewhere)))[0].startswith("client->DTR, pull: ")


def test_who_is_not_active_pulls_from_nowhere() -> None:
    accounts = {"by_cache": {}, "dangling": ["user-of-asia", "zoe"], "inactive": ["user-of-asia", "zoe", "yan"]}
    world = fleet(region("asia"), accounts=accounts)
    assert world.rows()[0]["state"] == "healthy"
    assert world.registries()[0]["cause"] is None


READ_ONLY = check("client->DTR", "read_only", "DTR is in read-only mode.", "Switch it off.")


def test_what_is_wrong_with_a_dtr_that_answers_is_told_once() -> None:
    health = {"caches": [probed(name, [*GOOD, READ_ONLY]) for name in ("asia", "europe")]}
    world = fleet(region("asia"), region("europe"), health=health)
    assert [row["state"] for row in world.rows()] == ["healthy", "healthy"]
    (registry,) = world.registries()
    assert (registry["cause"], registry["hint"]) == (
        "client->DTR, read_only: DTR is in read-only mode.",
        "Switch it off.",
    )


def test_what_is_wrong_with_a_dtr_that_does_not_answer_is_told_of_each_cache() -> None:
    expired = check("client->DTR", "validity", "expired.", "Renew it.")
    down = {"msg": "x", "failure": {"message": "TLS_EXPIRED", "hint": None}}
    row = row_of(region("asia"), **checks_fail(expired), registry=down)
    assert causes(row) == ["client->DTR, validity: expired."]


def registered(*names: str) -> dict[str, t.Any]:
    return {"content_caches": [{"id": name, "name": name, "host": f"https://{name}.example.org:443"} for name in names]}


@pytest.mark.parametrize(
    ("failed", "accounts", "told"),
    [
        (TCP, ["x"], "1 account is assigned to old (https://old.example.org:443), which no region declares and which"),
        (TCP, ["x", "y"], "2 accounts are assigned to old"),
        (TCP, [], None),
        (check("client->cache", "chain", "CN=x is not trusted."), ["x"], None),
    ],
)
def test_a_cache_that_no_region_declares_is_told_where_its_accounts_pulls_break(
    failed: dict[str, t.Any], accounts: list[str], told: str | None
) -> None:
    health = {"caches": [probed("asia"), probed("old", [failed, *GOOD])]}
    world = fleet(
        region("asia"),
        health=health,
        registered=registered("asia", "old"),
        accounts={"by_cache": {"asia": ["z"], "old": accounts}, "dangling": []},
    )
    assert world.rows()[0]["state"] == "healthy"
    (registry,) = world.registries()
    assert [(each["name"], each["accounts"]) for each in registry["undeclared"]] == [("old", len(accounts))]
    assert (registry["cause"] is None) if told is None else registry["cause"].startswith(told)
    if told:
        assert registry["cause"].endswith("port 443 refuses connections.")
        assert "dtr.cache.content_caches" in registry["hint"]


@pytest.mark.parametrize(
    ("former", "host", "accounts", "told"),
    [
        (
            [],
            "https://ASIA.example.org",
            ["x", "y"],
            "DTR has this cache under the name old as well, and 2 accounts",
        ),
        (["old"], "https://asia.example.org", ["x"], "DTR still has old, a former name of asia, and 1 account is"),
        (
            ["old"],
            "https://elsewhere.example.org",
            None,
            "DTR still has old, a former name of asia, and accounts may",
        ),
        ([], "https://elsewhere.example.org", ["x"], None),
    ],
)
def test_accounts_that_are_left_behind_at_another_name(
    former: list[str], host: str, accounts: list[str] | None, told: str | None
) -> None:
    entries = [*registered("asia")["content_caches"], {"id": "o", "name": "old", "host": host}]
    by_cache = {"by_cache": {"asia": [], "old": accounts}, "dangling": []}
    found: dict[str, t.Any] = {
        "registered": {"content_caches": entries},
        "accounts": {} if accounts is None else by_cache,
    }
    row = row_of(region("asia", settings={"former_names": former}), **found)
    assert len(row["problems"]) == (told is not None)
    if told:
        assert row["cause"].startswith(told)
        assert "dtr.cache.deploy" in row["hint"]
        (other,) = row["other_names"]
        assert (other["name"], other["accounts"]) == ("old", None if accounts is None else len(accounts))
    # A name that another region declares is that region's.
    assert row_of(region("asia"), region("old"), declared={"asia", "old"}, **found)["other_names"] == []


@pytest.mark.parametrize(("topic", "place"), [("registration", 0), ("pull", 1)])
def test_another_name_is_told_before_the_registration_that_it_explains(topic: str, place: int) -> None:
    entries = [{"id": "o", "name": "old", "host": "https://asia.example.org"}]
    found = checks_fail(check("client->DTR", topic, "It is not."), keep=False)
    row = row_of(region("asia"), registered={"content_caches": entries}, **found)
    assert "under the name old" in causes(row)[place]


def test_accounts_that_a_region_claims_and_that_pull_from_elsewhere() -> None:
    regions = region("asia"), region("europe")
    accounts: dict[str, t.Any] = {"by_cache": {}, "dangling": [], "elsewhere": {"asia": 2}}
    world = fleet(*regions, accounts=accounts)
    assert [(row["elsewhere"], row["state"]) for row in world.rows()] == [(2, "healthy"), (0, "healthy")]
    unknown = {**accounts, "elsewhere": None, "elsewhere_problem": "assignments: there is no team a/b."}
    world = fleet(*regions, accounts=unknown)
    assert [row["elsewhere"] for row in world.rows()] == [None, None]
    (registry,) = world.registries()
    assert registry["cause"] == "who should pull from where cannot be worked out: assignments: there is no team a/b."


def probe(name: str) -> dict[str, t.Any]:
    return {"name": name, "url": f"https://{name}.example.org:443", "min_days": 14}


@pytest.mark.parametrize(
    ("changes", "ports"),
    [
        ({}, [443]),
        ({"plan": {"services": [], "published_ports": []}}, []),
        ({"plan": {"services": [], "published_ports": []}, "settings": {"certificate": None}}, None),
        ({"plan": {"published_ports": None}}, None),
        ({"only": GONE}, None),
    ],
)
def test_what_is_probed_is_compared_with_what_the_swarm_publishes(
    changes: dict[str, t.Any], ports: list[int] | None
) -> None:
    settings = {**changes.get("settings", {}), "probe": probe("asia")}
    (entry,) = probes([region("asia", **{**changes, "settings": settings})])
    assert entry.get("published_ports") == ports
    assert entry["name"] == "asia"


def test_a_former_name_that_does_not_answer_is_the_next_deployments_business() -> None:
    """To remove it by hand would leave its accounts behind."""
    health = {"caches": [probed("asia"), probed("old", [TCP, *GOOD])]}
    world = fleet(
        region("asia", settings={"former_names": ["old"]}),
        health=health,
        registered=registered("asia", "old"),
        accounts={"by_cache": {"asia": ["z"], "old": ["x"]}, "dangling": []},
    )
    (row,), (registry,) = world.rows(), world.registries()
    assert row["cause"].startswith("DTR still has old, a former name of asia, and 1 account is assigned to it.")
    assert registry["cause"] is None


def test_what_no_region_declares_is_probed_as_well() -> None:
    hosts = [region(name, settings={"probe": probe(name)}) for name in ("asia", "europe")]
    of_dtr = registered("asia", "old", "old")["content_caches"]
    of_dtr.append({"id": "x", "name": "odd", "host": "ftp://x"})
    entries = probes(hosts, of_dtr)
    assert [entry["name"] for entry in entries] == ["asia", "europe", "old"]
    assert entries[2] == {"name": "old", "url": "https://old.example.org:443"}


def test_many_lost_accounts_are_counted() -> None:
    world = fleet(region("asia"), accounts={"by_cache": {}, "dangling": [f"u{number}" for number in range(9)]})
    (registry,) = world.registries()
    told = "9 accounts are assigned to a cache that no longer exists: u0, u1, u2, u3, u4 and 4 more."
    assert registry["cause"] == told


def test_a_dtr_that_each_region_spells_in_another_way_is_one() -> None:
    hosts = [
        region("asia"),
        region("europe", settings={"registry_url": "https://DTR.example.org:443"}),
        region("africa", settings={"registry_url": "https://dtr.example.org:444"}),
    ]
    lost = {"by_cache": {}, "dangling": ["user-of-europe"]}
    of_dtr = registered("asia", "europe", "africa")
    results = [(each, fleet(*each.hosts, accounts=lost, registered=of_dtr).dtr) for each in fleets_of(hosts)]
    rows = region_rows(results, hosts)
    assert [row["registry_url"] for row in rows] == [DTR, DTR, f"{DTR}:444"]
    registry = registry_rows(results, rows)[0]
    assert (registry["url"], registry["dangling"]) == (DTR, [])
    assert [each["name"] for each in registry["undeclared"]] == ["africa"]


def test_what_dtr_does_not_say_is_not_known() -> None:
    world = fleet(region("asia"), registry={"failed": True, "msg": "503"}, accounts={})
    unknown = [world.rows()[0][name] for name in ("registered", "accounts", "elsewhere", "dangling", "other_names")]
    registry = world.registries()[0]
    assert [*unknown, *(registry[name] for name in ("healthy", "read_only", "dangling", "undeclared"))] == [None] * 9
    shown = summary_of(world.rows())[0]
    assert (shown["registered"], shown["accounts"]) == ("?", "?")


def test_a_registry_that_is_well() -> None:
    assert fleet(region("asia"), region("europe"), registered=registered("asia", "europe")).registries() == [
        {
            "url": DTR,
            "healthy": True,
            "version": "2.7.4",
            "read_only": False,
            "dangling": [],
            "undeclared": [],
            "cause": None,
            "hint": None,
        }
    ]


def test_a_host_at_which_the_role_failed_has_a_row() -> None:
    row = reported_row(facts.host("asia", failure={"task": "Read the settings", "reason": "boom"}))
    assert row["state"] == "unknown"
    assert row["cause"] == "observing the region failed at Read the settings: boom."
    assert set(row) == set(row_of(region("asia")))
    row = reported_row(facts.host("asia"))
    assert (row["state"], row["cause"]) == ("unknown", "it was not observed.")


def test_a_row_of_the_same_run_before_a_failure_is_not_well_any_more() -> None:
    before = row_of(region("asia"))
    observed = {"regions": [row_of(region("europe")), before]}
    assert reported_row(facts.host("asia", observed=observed)) == before
    assert reported_row(facts.host("asia", observed=observed, failure=facts.FAILED))["state"] == "unhealthy"
    # A step before it says nothing of what was observed.
    probe = {"failed": True, "title": "Probe", "msg": "boom", "play": facts.PLAY}
    assert reported_row(facts.host("asia", observed=observed, in_use=probe)) == before
    assert before["state"] == "healthy"


class Dtr:
    """Answers what modules ask, and records it."""

    def __init__(self, **answers: t.Any) -> None:
        self.answers = {"registry_info": {"healthy": True}, "cache_health": {"caches": []}, **answers}
        self.asked: dict[str, t.Any] = {}

    def __call__(self, module: str, options: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
        self.asked[module] = options
        return t.cast("t.Mapping[str, t.Any]", self.answers.get(module, {}))


LIMITS = Limits(timeout=10, retries=1, probe_timeout=60)


def test_a_dtr_is_asked_once_for_all_its_caches() -> None:
    dtr = Dtr(content_caches_info=registered("asia", "old"))
    claims = {"asia": {"cache": "asia", "orgs": ["sales"]}, "europe": {}}
    hosts = [region(name, settings={"probe": probe(name), "claims": claims[name]}) for name in claims]
    results = observe(Fleet(hosts), dtr, LIMITS, [{"cache": "oz", "accounts": ["zoe"]}])
    assert dtr.asked["registry_info"] == dtr.asked["content_caches_info"] == {"timeout": 10, "retries": 1}
    assert [cache["name"] for cache in dtr.asked["cache_health"]["caches"]] == ["asia", "europe", "old"]
    assert dtr.asked["cache_health"]["timeout"] == 60
    assert dtr.asked["cache_assignments_info"] == {
        "timeout": 30,
        "retries": 1,
        "names": True,
        "assignments": [{"cache": "asia", "orgs": ["sales"]}],
        "others": [{"cache": "oz", "accounts": ["zoe"]}],
    }
    assert (results.health, results.ca_problem) == ({"caches": []}, None)


@pytest.mark.parametrize("answer", [{"msg": "refused", "failure": {}}, {"healthy": False}])
def test_of_a_dtr_that_is_not_healthy_only_the_caches_are_probed(answer: dict[str, t.Any]) -> None:
    dtr = Dtr(registry_info=answer)
    assert observe(Fleet([region("asia")]), dtr, LIMITS).registry == answer
    assert list(dtr.asked) == ["registry_info", "cache_health"]


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("docker/dtr-content-cache:2.7.6", "2.7.6"),
        ("a.example:5000/cache", None),
        ("a.example:5000/cache:1@sha256:00", "1"),
        (None, None),
    ],
)
def test_the_version_is_the_tag(image: str | None, version: str | None) -> None:
    services = [{"name": "cache", "image": image, "replicas": {"wanted": 2, "running": 2}}]
    assert row_of(region("asia", plan={"services": services}))["version"] == version


def test_a_check_that_is_not_known_is_no_problem() -> None:
    unknown = {**check("cache->DTR", "upstream"), "ok": None, "detail": "it refuses.", "hint": "Set an image."}
    row = row_of(region("asia"), **checks_fail(GOOD[0], unknown, GOOD[2], keep=False))
    assert (row["state"], row["problems"]) == ("healthy", [])
    assert unknown in row["checks"]


def test_a_registered_address_with_a_password_is_shown_and_probed_without() -> None:
    registered = [{"id": "1", "name": "europe", "host": "https://u:europe@europe.example.org"}]
    (entry,) = [each for each in probes([region("asia")], registered) if each["name"] == "europe"]
    assert entry == {"name": "europe", "url": "https://europe.example.org"}
    lost = {**probed("europe", [check("client->cache", "tcp", "refused")]), "url": entry["url"]}
    world = fleet(
        region("asia"),
        registered={"content_caches": registered},
        health={"caches": [probed("asia"), lost]},
        accounts={"by_cache": {"europe": ["x"]}, "dangling": []},
    )
    (registry,) = world.registries()
    assert "europe (https://europe.example.org)" in registry["cause"]


def test_the_addresses_of_the_nodes_are_part_of_the_question() -> None:
    changes: dict[str, t.Any] = {
        "settings": {"probe": probe("asia")},
        "plan": {"node_addresses": {"n": ["192.0.2.21"]}},
    }
    (entry,) = probes([region("asia", **changes)])
    assert entry["node_addresses"] == ["192.0.2.21"]


@pytest.mark.parametrize(
    ("nodes", "changes", "told"),
    [
        (["worker-1", "worker-9"], {}, True),
        (["worker-1"], {}, False),
        # The deployment that takes the label away is named, and is all that is needed.
        (
            ["worker-9"],
            {"steps": [{"kind": "node_label", "action": "remove", "name": "worker-9", "detail": "x"}]},
            False,
        ),
    ],
)
def test_a_replica_on_a_node_that_is_not_named_is_told(nodes: list[str], changes: dict[str, t.Any], told: bool) -> None:
    (service,) = replicas(2, 2)
    host = region("region-asia", plan={"services": [{**service, "nodes": nodes}], **changes})
    (row,) = fleet(host).rows()
    causes = [problem["cause"] for problem in row["problems"]]
    sentence = "a replica runs on worker-9, which dtr_cache_nodes does not name (worker-1 is named)."
    assert (sentence in causes) == told, causes


SERVICE = "dtr-cache_cache"
OTHER_STEP = {"kind": "service", "action": "update", "name": SERVICE, "detail": "environment, replicas"}


def version_row(
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
        (version_row("2.7.4"), []),
        (version_row("2.7.6"), ["image"]),
        (version_row("2.7.6", OTHER_STEP), ["environment, image, replicas"]),
        (version_row("2.7.4", OTHER_STEP), ["environment, replicas"]),
        # Of the right version, but not the image that a deployment takes.
        (version_row("2.7.4", runs="mirror.example.org/cache:2.7.4"), ["image"]),
        # Nobody knows which one a deployment would take.
        (version_row(None), []),
        (version_row("2.9.1"), []),
        (version_row("2.7.6", image="docker/dtr-content-cache:2.7.4"), []),
        (version_row("2.7.6", {"kind": "service", "action": "create", "name": SERVICE, "detail": ""}, runs=""), [""]),
    ],
)
def test_the_image_that_a_deployment_would_exchange_is_drift(given: t.Any, drift: list[str]) -> None:
    assert [step["detail"] for step in given["drift"]] == drift


def test_an_upgraded_dtr_is_the_first_cause_of_the_drift() -> None:
    found = version_row("2.7.6")
    assert [problem["topic"] for problem in found["problems"]][:2] == [("swarm", "version"), ("swarm", "drift")]
    assert found["cause"].startswith(
        "The cache has version 2.7.4 and its DTR has 2.7.6. The vendor wants both the same"
    )
    assert found["hint"] == "dtr.cache.deploy gives the cache the version of the DTR."
    assert "The vendor" not in " ".join(diagnosis.verdict(found, [])["notes"])


def test_a_version_that_the_user_chose_is_worth_knowing_and_no_problem() -> None:
    found = version_row("2.7.6", image="docker/dtr-content-cache:2.7.4")
    assert ("swarm", "version") not in [problem["topic"] for problem in found["problems"]]
    assert summary_of([found])[0]["version"] == "2.7.4 (DTR 2.7.6)"
    assert "dtr_cache_version or dtr_cache_image say so." in " ".join(diagnosis.verdict(found, [])["notes"])


@pytest.mark.parametrize("version", ["2.7.4", None])
def test_the_same_version_or_one_that_is_not_known_is_not_worth_a_word(version: str | None) -> None:
    found = version_row(version)
    assert summary_of([found])[0]["version"] == "2.7.4"
    assert "The vendor" not in str([found["problems"], diagnosis.verdict(found, [])])
