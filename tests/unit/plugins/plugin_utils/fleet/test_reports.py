# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reports of all playbooks: what programs get, what people see, and which hosts fail."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.facts import HostFacts
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.observation import region_row
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.problems import DtrResults
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.reports import REPORTS, Part, Report, part_of, troubles_of
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.table import Table
from ansible_collections.dtr.cache.tests.unit.support import facts


def rows_of(of: str, hosts: t.Sequence[HostFacts]) -> list[dict[str, t.Any]]:
    return list(REPORTS[of].content(hosts, ""))


def table_of(of: str, hosts: t.Sequence[HostFacts], check_mode: bool = False) -> Table:
    return REPORTS[of].table(hosts, check_mode)


def content_of_status(hosts: t.Sequence[HostFacts], time: str) -> t.Any:
    return REPORTS["status"].content(hosts, time)


def lines_of(of: str, hosts: t.Sequence[HostFacts], width: int) -> list[str]:
    return REPORTS[of].lines(hosts, width)


def deployed(gap: float | None, *steps: tuple[str, str], **more: t.Any) -> HostFacts:
    return facts.host(
        settings={"name": "region-asia", "url": "https://cache-asia.example.org:443"},
        steps={"steps": [{"kind": kind, "action": action} for kind, action in steps]},
        **{"converged": {"changed": False} if gap is None else {"gap_seconds": gap}, **more},
    )


UPDATED = ("service", "update")


def deployment_shown(hosts: t.Sequence[HostFacts]) -> list[t.Mapping[str, t.Any]]:
    return list(table_of("deployment", hosts, False).rows)


def test_what_stays_at_another_dtr_stands_below_the_row() -> None:
    table = table_of("deployment", [deployed(None, plan={"left_behind": "Its entry stays there."})], False)
    assert [line.strip() for line in table.lines(200)][-1] == "Its entry stays there."


@pytest.mark.parametrize(("gap", "shown"), [(1.2, "1.2 s"), (0.0, "none")])
def test_the_gap_is_told_where_replicas_were_exchanged(gap: float, shown: str) -> None:
    # Also where no update did it: a replica may have moved to another node.
    for step in (UPDATED, ("node_label", "set")):
        (row,) = deployment_shown([deployed(gap, ("secret", "create"), step)])
        assert row["gap"] == shown
        assert list(row)[-3:] == ["gap", "changed", "result"]


@pytest.mark.parametrize(
    ("gap", "codes", "shown"),
    [
        (0.0, (2,), "none, pulls cut off"),
        (1.2, (2,), "1.2 s, pulls cut off"),
        (42.4, (137,), "at most 42.4 s, pulls cut off"),
    ],
)
def test_replicas_that_did_not_end_by_themselves(gap: float, codes: tuple[int, ...], shown: str) -> None:
    cut_off = [{"node": "asia-2", "exit_code": code} for code in codes]
    hosts = [deployed(None, UPDATED, converged={"gap_seconds": gap, "cut_off": cut_off})]
    assert deployment_shown(hosts)[0]["gap"] == shown
    (row,) = rows_of("deployment", hosts)
    assert (row["gap_seconds"], row["cut_off"]) == (gap, cut_off)


@pytest.mark.parametrize(
    ("now", "shown"), [("https://c.example.org:8443", "until re-registered"), ("https://C.example.org:443/", "none")]
)
def test_with_another_address_pulls_fail_until_dtr_knows_it(now: str, shown: str) -> None:
    entry = {"name": "region-asia", "before": {"host": "https://c.example.org"}, "after": {"host": now}}
    assert deployment_shown([deployed(0.0, UPDATED, registration={"replaced": [entry]})])[0]["gap"] == shown


def test_a_region_without_an_exchange_has_none_beside_one_that_has() -> None:
    hosts = [deployed(1.2, UPDATED), deployed(None)]
    assert [row["gap"] for row in deployment_shown(hosts)] == ["1.2 s", None]
    assert [row["gap_seconds"] for row in rows_of("deployment", hosts)] == [1.2, None]
    assert "gap" not in lines_of("deployment", hosts[1:], 200)[0]


FAILED = {"failure": facts.FAILED}
SETTINGS = {"settings": {"name": "region-asia"}}
LOST = {"is_reached": False}
# As an earlier play of the same run left it.
EARLIER = {"failure": {**facts.FAILED, "play": "an earlier play"}}


@pytest.mark.parametrize(
    ("known", "result"),
    [
        ({}, "did not finish"),
        (FAILED, "failed at: Deploy the stack"),
        ({**SETTINGS, **LOST}, "did not finish"),
        ({**SETTINGS, **LOST, **FAILED}, "failed at: Deploy the stack"),
        ({**SETTINGS, **FAILED}, "failed at: Deploy the stack"),
        ({**SETTINGS, "failure": {**facts.FAILED, "play": facts.PLAY}}, "failed at: Deploy the stack"),
        ({**SETTINGS, **EARLIER}, "ok"),
        (SETTINGS, "ok"),
    ],
)
def test_a_region_is_well_when_its_run_came_to_the_end(known: dict[str, t.Any], result: str) -> None:
    (row,) = rows_of("deployment", [facts.host("manager-asia", **known)])
    assert row["result"] == result


PULLED = {"pulls": [{"bytes": 9_000_000, "seconds": 0.3, "via_cache": True}]}
PROVED = {"pulls": [], "proof": {"bytes": 1234, "cold": {"seconds": 0.5}, "warm": {"seconds": 0.25, "hit": True}}}


@pytest.mark.parametrize(
    ("known", "shown", "numbers"),
    [
        ({}, None, None),
        ({"in_use": {"skipped": True}}, None, None),
        ({"in_use": {"pull": PULLED}}, "9.0 MB in 0.3 s", (9_000_000, 0.3)),
        ({"in_use": {"pull": {"pulls": [{**PULLED["pulls"][0], "via_cache": False}]}}}, None, None),
        ({"in_use": {"pull": {"pulls": [{**PULLED["pulls"][0], "via_cache": None}]}}}, None, None),
        ({"in_use": {"pull": PROVED}}, "2.5 kB in 0.8 s", (2468, 0.75)),
        ({"in_use": {"pull": {**PROVED, **PULLED}}}, "9.0 MB in 0.3 s", (9_000_000, 0.3)),
    ],
)
def test_what_was_pulled_is_told_also_where_only_a_proof_was(
    known: dict[str, t.Any], shown: str | None, numbers: tuple[int, float] | None
) -> None:
    hosts = [facts.host("manager-asia", **known)]
    assert deployment_shown(hosts)[0]["pulled"] == shown
    pulled = rows_of("deployment", hosts)[0]["pulled"]
    assert pulled == (dict(zip(("bytes", "seconds"), numbers, strict=True)) if numbers else None)


def test_what_was_changed_is_counted() -> None:
    hosts = [
        deployed(
            None,
            ("secret", "create"),
            ("secret", "create"),
            ("node_label", "remove"),
            in_use={
                "register": {"created": ["region-asia"], "reassigned": [{"name": "bob"}]},
                "assign": {
                    "changed_accounts": [{"name": "alice"}],
                    "unchanged": 3,
                    "left_out": {"changed_accounts": 1199},
                },
            },
        )
    ]
    (shown,), (row,) = deployment_shown(hosts), rows_of("deployment", hosts)
    assert shown["changed"] == "2 secrets, 1 node label removed, registered, 1200 accounts assigned, 1 account moved"
    assert (shown["accounts"], row["accounts"]) == (1203, 1203)
    assert row["changed"] == ["secret", "node_label", "registration", "accounts"]


@pytest.mark.parametrize("registration", [{}, {"created": [], "reassigned": []}, {"reassigned": [{"name": "bob"}]}])
def test_programs_get_a_list_of_what_was_changed(registration: dict[str, t.Any]) -> None:
    (row,) = rows_of("deployment", [deployed(None, registration=registration)])
    assert row["changed"] == (["accounts"] if registration.get("reassigned") else [])


@pytest.mark.parametrize(
    ("known", "shown", "parts"),
    [
        (FAILED, "unfinished: 1 config, 1 node label removed", ["config", "node_label"]),
        ({**FAILED, "steps": {"steps": [{"kind": "config", "action": "create"}]}}, "1 config", ["config"]),
        ({}, "nothing", []),
    ],
    ids=["in the Swarm", "after it", "no failure"],
)
def test_what_a_failed_run_was_to_change_in_the_swarm_is_not_called_nothing(
    known: dict[str, t.Any], shown: str, parts: list[str]
) -> None:
    planned = [{"kind": "config", "action": "create"}, {"kind": "node_label", "action": "remove"}]
    hosts = [facts.host("manager-asia", plan={"steps": planned}, **known)]
    assert [row["changed"] for row in (*deployment_shown(hosts), *rows_of("deployment", hosts))] == [shown, parts]


NOTHING_TO_DO = [deployed(None), deployed(None)]


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_with_nothing_to_do_there_is_a_line_for_each_region(width: int) -> None:
    lines = table_of("deployment", NOTHING_TO_DO, False).lines(width)
    assert len(lines) <= 6
    assert max(map(len, lines)) <= width
    assert [line.split()[0] for line in lines if line.startswith("region-")] == ["region-asia"] * 2


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("check_mode", [False, True])
def test_each_region_shows_what_changed_and_why_it_failed_once(width: int, check_mode: bool) -> None:
    hosts = [deployed(None, ("service", "create"), **FAILED), deployed(None, ("secret", "create"))]
    lines = table_of("deployment", hosts, check_mode).lines(width)
    text = " ".join(" ".join(lines).split())
    assert max(map(len, lines)) <= width
    assert text.count(facts.FAILED["reason"]) == 1
    assert text.count("failed at: Deploy the stack") == 1
    assert text.count("1 service") == text.count("1 secret") == 1
    assert ("would change" in text) is check_mode
    assert ("changed" in text) is not check_mode


def test_what_an_earlier_play_of_the_run_did_is_not_reported() -> None:
    earlier = {"play": "an earlier play"}
    known = {
        "steps": {"steps": [{"kind": "service", "action": "update"}], **earlier},
        "in_use": {"pull": PULLED, **earlier},
    }
    hosts = [facts.host("manager-asia", {"name": "region-asia"}, **known)]
    (shown,), (row,) = deployment_shown(hosts), rows_of("deployment", hosts)
    assert (shown["changed"], shown["pulled"], shown["result"]) == ("nothing", None, "ok")
    assert (row["changed"], row["pulled"], row["result"]) == ([], None, "ok")


@pytest.mark.parametrize(
    ("seen", "steps", "told"),
    [
        ({"services": [{"name": "cache", "nodes": ["worker-9"]}]}, [UPDATED], True),
        ({"services": [{"name": "cache", "nodes": ["worker-1"]}]}, [UPDATED], False),
        # Nothing was changed; or nobody has seen what became of it, as in check mode and after a removal.
        ({}, [], True),
        ({}, [("service", "remove")], False),
    ],
)
def test_a_replica_on_a_node_that_is_not_named_stands_below_the_row(
    seen: dict[str, t.Any], steps: list[tuple[str, str]], told: bool
) -> None:
    settings = {"name": "region-asia", "url": "u", "node_labels": {"worker-1": {"dtr.cache": "true"}}}
    plan = {"services": [{"name": "cache", "nodes": ["worker-9"]}, {"name": "web", "nodes": ["worker-8"]}]}
    done = {"steps": [{"kind": kind, "action": action} for kind, action in steps]}
    region = facts.host(settings=settings, plan=plan, steps=done, converged={"changed": False, **seen})
    lines = " ".join(table_of("deployment", [region], False).lines(200))
    assert ("A replica runs on worker-9, which dtr_cache_nodes does not name" in lines) == told, lines
    assert ("dtr_cache_node_label" in lines) == told


CHECKS = [
    {"edge": "client->cache", "check": "tcp", "ok": True},
    {"edge": "client->DTR", "check": "registration", "ok": True},
]
PULLS = [{"via_cache": True, "bytes": 9_000_000, "seconds": 0.25}]
PROOF = {"cold": {"seconds": 0.13}, "warm": {"seconds": 0.08, "hit": True}}
WELL: dict[str, t.Any] = {
    "probe": {"caches": [{"healthy": True, "checks": CHECKS, "days_left": 90}]},
    "pull": {"pulls": PULLS, "proof": PROOF},
}


def verified(failure: dict[str, t.Any] | None = None, **changes: t.Any) -> facts.HostFacts:
    settings = {"name": "region-asia", "url": "https://cache"}
    return facts.host("region-asia", settings, in_use={**WELL, **changes}, failure=failure)


def verified_cells(**changes: t.Any) -> tuple[t.Any, ...]:
    (row,) = table_of("verification", [verified(**changes)], False).rows
    return tuple(row.values())


def test_programs_get_numbers_and_lists() -> None:
    (row,) = rows_of("verification", [verified()])
    assert row["pulled"] == {"bytes": 9_000_000, "seconds": 0.25}
    assert row["proof"] == {"cold_seconds": 0.13, "warm_seconds": 0.08, "hit": True}
    assert (row["healthy"], row["wrong"], row["registered"]) == (True, [], True)
    checks = [{**check, "ok": False} for check in CHECKS]
    health = {"caches": [{"healthy": False, "checks": checks, "days_left": None}]}
    (row,) = rows_of("verification", [verified(probe=health)])
    assert (row["healthy"], row["registered"]) == (False, False)
    assert row["wrong"] == ["client->cache tcp", "client->DTR registration"]


def test_a_region_that_is_well() -> None:
    pulled, proof = "9.0 MB in 0.2 s", "miss in 130 ms, hit in 80 ms"
    assert verified_cells() == ("region-asia", "region-asia", "https://cache", "yes", "yes", 90, pulled, proof, "ok")


def test_what_is_wrong_is_named() -> None:
    checks = [{**CHECKS[0], "ok": False}, {**CHECKS[1], "ok": False}]
    health = {"caches": [{"healthy": False, "checks": checks, "days_left": None}]}
    failure = {"task": "Probe", "reason": "x"}
    row = verified_cells(probe=health, pull={}, failure=failure)
    assert row[3:] == ("client->cache tcp, client->DTR registration", "no", None, None, None, "failed at: Probe")


@pytest.mark.parametrize(("ok", "word"), [(True, "yes"), (False, "no"), (None, "?")])
def test_a_registration_that_dtr_did_not_tell_is_unknown(ok: bool | None, word: str) -> None:
    health = {"caches": [{"healthy": True, "checks": [{**CHECKS[1], "ok": ok}], "days_left": 90}]}
    assert verified_cells(probe=health)[4] == word


@pytest.mark.parametrize(("hit", "word"), [(True, "hit"), (None, "again")])
def test_a_hit_is_only_told_when_it_was_seen(hit: bool | None, word: str) -> None:
    proof = {"cold": {"seconds": 1}, "warm": {"seconds": 2, "hit": hit}}
    assert verified_cells(pull={"pulls": PULLS, "proof": proof})[7] == f"miss in 1000 ms, {word} in 2000 ms"


def test_a_failed_pull_shows_nothing_pulled() -> None:
    assert verified_cells(pull={"pulls": [{"via_cache": False, "bytes": 1, "seconds": 1}]})[6] is None


def test_a_region_that_did_not_finish() -> None:
    (row,) = rows_of("verification", [facts.host("manager")])
    assert (row["region"], row["healthy"], row["result"]) == ("manager", None, "did not finish")


TRANSFERRED = {"seconds": 1.25, "wanted_bytes": 12_100_000, "cached_bytes": 9_000_000, "brought_bytes": 3_100_000}


def warmed(pulls: list[str | None], failure: dict[str, str] | None = None, **more: t.Any) -> HostFacts:
    rows = [{"failure": failure and {"code": failure}} for failure in pulls]
    warmed = {"pulls": rows, "transferred": {**TRANSFERRED, **more}}
    return facts.host("h", {"name": "region-asia"}, warmed=warmed, failure=failure)


def warmed_cells(*hosts: HostFacts) -> list[tuple[t.Any, ...]]:
    return [tuple(row.values()) for row in table_of("warming", hosts, False).rows]


def test_what_was_there_and_what_was_brought() -> None:
    assert warmed_cells(warmed([None, None])) == [("h", "region-asia", 2, "12.1 MB", "9.0 MB", "3.1 MB", 1.25, "ok")]


def test_a_cache_that_does_not_say_what_it_has() -> None:
    assert warmed_cells(warmed([None], cached_bytes=None, brought_bytes=None))[0][4:6] == ("unknown", "unknown")


def test_in_check_mode_it_is_what_the_cache_says() -> None:
    assert "said to be there  would bring" in table_of("warming", [warmed([None])], True).lines(200)[0]


def test_failed_images_are_counted() -> None:
    assert warmed_cells(warmed([None, "MANIFEST_UNKNOWN"], facts.FAILED))[0][-1] == "1 of 2 images failed"


def test_a_region_that_failed_before_and_one_that_did_not_finish() -> None:
    assert [row[-1] for row in warmed_cells(facts.host("a", failure=facts.FAILED), facts.host("b"))] == [
        "failed at: Deploy the stack",
        "did not finish",
    ]


RESULT = {
    "covered": {"region-asia": 3, "local": 7},
    "ways": [
        {"before": "local", "after": "region-asia", "count": 1},
        {"before": "region-europe", "after": "local", "count": 1},
    ],
    "failed_accounts": [],
}


def assigned(
    region: str, registry: str = "https://dtr", result: dict[str, t.Any] | None = None, **more: t.Any
) -> HostFacts:
    skipped = {"skipped": True, "changed": False}
    settings = {"name": region, "registry_url": registry}
    return facts.host(f"manager-{region}", settings, assigned=result or skipped, **more)


def test_one_dtr_in_two_spellings_is_one() -> None:
    rows = rows_of(
        "assignment",
        [
            assigned("region-asia", "https://dtr.example.org", RESULT),
            assigned("region-europe", "https://DTR.example.org:443/"),
        ],
    )
    assert [row["result"] for row in rows] == ["ok", "ok", "ok"]


def cells(rows: list[dict[str, t.Any]]) -> list[tuple[t.Any, ...]]:
    return [tuple(row.values()) for row in rows]


def test_one_host_has_the_result_of_all() -> None:
    rows = rows_of("assignment", [assigned("region-asia", result=RESULT), assigned("region-europe")])
    assert list(rows[0]) == ["region", "cache", "accounts", "arrived", "left", "result"]
    assert cells(rows) == [
        ("manager-region-asia", "region-asia", 3, 1, 0, "ok"),
        ("manager-region-europe", "region-europe", 0, 0, 1, "ok"),
        ("local", "local", 7, 1, 1, "ok"),
    ]


def test_each_registry_has_a_result_of_its_own() -> None:
    failed = [{"name": "carol"}, {"name": "dave"}]
    other = {"covered": {"region-oz": 4}, "ways": [], "failed_accounts": failed}
    rows = rows_of(
        "assignment",
        [
            assigned("region-asia", result=RESULT),
            assigned("region-oz", "https://other", other),
            assigned("region-europe"),
            assigned("region-africa", "https://third"),
        ],
    )
    assert [(row["cache"], row["result"]) for row in rows] == [
        ("region-asia", "ok"),
        ("region-europe", "ok"),
        ("local", "ok"),
        ("region-oz", "2 accounts failed"),
        ("region-africa", "no result"),
    ]


def test_a_host_that_was_not_reached_has_no_numbers() -> None:
    assert cells(rows_of("assignment", [facts.host("manager-asia")])) == [
        ("manager-asia", None, None, None, None, "no result")
    ]


def test_why_it_failed_is_below_each_region_and_shown_once() -> None:
    failed = {"failure": facts.FAILED}
    hosts = [
        assigned("region-asia", **failed),
        assigned("region-oz", "https://other", RESULT),
        assigned("region-europe", **failed),
    ]
    shown = table_of("assignment", hosts, False)
    assert [row["cache"] for row in shown.rows] == ["region-asia", "region-europe", "region-oz", "local"]
    assert sum(facts.FAILED["reason"] in line for line in shown.lines(200)) == 1
    assert [row["result"] for row in shown.rows][:2] == ["failed at: Deploy the stack"] * 2
    assert "would arrive" in table_of("assignment", hosts, True).lines(120)[0]


ONE = {"name": "region-asia", "registry_url": "https://one.example.org", "backup_file": "/b/one.json"}
OTHER = {"name": "region-oz", "registry_url": "https://other.example.org", "backup_file": "/b/other.json"}
SKIPPED = {"changed": False, "skipped": True}


def test_one_row_a_dtr() -> None:
    done = {"counts": {"region-asia": 30, "local": 6}, "total": 37, "dangling_count": 1}
    hosts = [facts.host("a", ONE, backup=done), facts.host("b", ONE, backup=SKIPPED), facts.host("c", OTHER)]
    assert cells(rows_of("backup", hosts)) == [
        ("https://one.example.org", 1, 36, "/b/one.json", "ok"),
        ("https://other.example.org", None, None, "/b/other.json", "no result"),
    ]


def test_what_was_changed_is_counted_once() -> None:
    caches: dict[str, t.Any] = {"content_caches": [], "created": [{}], "replaced": [{}, {}], "reassigned": [{}]}
    done = {"ways": [{"before": "x", "after": "y", "count": 1}]}
    host = facts.host("a", ONE, restored_caches=caches, restored=done)
    assert cells(rows_of("restore", [host]))[0][1:3] == (3, 2)
    assert "accounts would change" in table_of("restore", [host], True).lines(200)[0]


def test_why_it_failed() -> None:
    failed = facts.host("a", ONE, backup={"failed": True, "msg": "no"}, failure=facts.FAILED)
    assert cells(rows_of("backup", [failed]))[0][-1] == "failed at: Deploy the stack"
    assert table_of("backup", [failed], False).lines(200)[-1].strip() == facts.FAILED["reason"]


ADOPTED: dict[str, t.Any] = {
    "changed": True,
    "name": "region-asia",
    "url": "https://cache-asia.example.org:443",
    "stack": "pulls",
    "nodes": ["worker-1", "worker-2"],
    "accounts": 122,
    "to_set": ["dtr_cache_certificate"],
    "vaulted": ["vault_dtr_cache_storage_s3_secretkey"],
    "path": "/inventory/host_vars/manager-asia.yml",
    "notes": ["its service limits processes to 100, which no variable keeps"],
}


def adopted(**changes: t.Any) -> HostFacts:
    return facts.host("manager-asia", {"name": ""}, adopted={**ADOPTED, **changes})


def test_what_was_written_and_what_is_left_to_do() -> None:
    (row,) = rows_of("adoption", [adopted()])
    assert row == {
        "region": "manager-asia",
        "cache": "region-asia",
        "url": ADOPTED["url"],
        "stack": "pulls",
        "nodes": 2,
        "accounts": 122,
        "to set": ["dtr_cache_certificate", "vault_dtr_cache_storage_s3_secretkey"],
        "file": ADOPTED["path"],
        "result": "written",
    }
    lines = table_of("adoption", [adopted()], False).lines(400)
    assert lines[0].split()[-1] == "result"
    assert lines[3:] == [
        "  To set: dtr_cache_certificate, vault_dtr_cache_storage_s3_secretkey.",
        "  Its service limits processes to 100, which no variable keeps.",
    ]
    planned = table_of("adoption", [adopted()], True).lines(400)
    assert "would write" in planned[0]
    assert planned[2].endswith("  would be written")


def test_names_are_written_as_they_are() -> None:
    notes = ["dtr_cache_name: 'a b' is not a cache's name", "config.yml: x", "https://dtr has none", "groups 27 of it"]
    assert table_of("adoption", [adopted(notes=notes, to_set=[], vaulted=[])], False).lines(400)[3:] == [
        "  dtr_cache_name: 'a b' is not a cache's name.",
        "  config.yml: x.",
        "  https://dtr has none.",
        "  Groups 27 of it.",
    ]


def test_how_an_adoption_ended() -> None:
    hosts = [adopted(changed=False), facts.host("b", failure=facts.FAILED), facts.host("c")]
    results = [row["result"] for row in rows_of("adoption", hosts)]
    assert results == ["as it was", "failed at: Deploy the stack", "did not finish"]
    assert f"  {facts.FAILED['reason']}" in table_of("adoption", hosts, False).lines(400)


DTR = "https://dtr.example.org"
TIME = "2026-11-28T12:00:00Z"
DRIFT = [{"kind": "service", "action": "update", "name": "cache", "detail": "image"}]


def row(region: str, **changes: t.Any) -> dict[str, t.Any]:
    empty = region_row(facts.host(region), DtrResults())
    well = {"url": f"https://cache-{region}.example.org:443", "replicas": {"running": 2, "wanted": 2}}
    return {**empty, "state": "healthy", "registered": True, "drift": [], **well, **changes}


def registry(cause: str | None = None) -> dict[str, t.Any]:
    return {"url": DTR, "healthy": True, "cause": cause, "hint": "Renew it." if cause else None}


def fleet(*rows: dict[str, t.Any], cause: str | None = None) -> list[HostFacts]:
    observed = {"regions": list(rows), "registries": [registry(cause)]}
    return [facts.host(each["region"], {"dtr": DTR}, observed=observed) for each in rows]


ILL = row("europe", state="unhealthy", cause="client->cache, tcp: port 443 refuses connections.", hint="Start it.")


def test_all_is_well() -> None:
    hosts = fleet(row("asia"), row("europe"))
    report = content_of_status(hosts, TIME)
    assert report == {
        "time": TIME,
        "well": True,
        "regions": [row("asia"), row("europe")],
        "registries": [registry()],
    }
    lines = lines_of("status", hosts, 120)
    assert len(lines) == 4
    assert lines[0].startswith("region  url")
    assert "healthy" in lines[2]
    assert "2/2" in lines[2]
    assert [REPORTS["status"].troubles(host, hosts) for host in hosts] == [[], []]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_what_is_wrong_and_what_to_do_stand_once_below_the_region(width: int) -> None:
    hosts = fleet(row("asia", drift=DRIFT), ILL)
    lines = lines_of("status", hosts, width)
    text = " ".join(" ".join(lines).split())
    assert max(map(len, lines)) <= width
    assert text.count("client->cache, tcp: port 443 refuses connections. Start it.") == 1
    assert text.count("update service (image)") == 1
    assert not content_of_status(hosts, TIME)["well"]
    assert REPORTS["status"].troubles(hosts[0], hosts) == []
    assert REPORTS["status"].troubles(hosts[1], hosts) == ["europe is unhealthy."]


def test_accounts_that_pull_from_elsewhere_are_counted_and_explained_once() -> None:
    hosts = fleet(row("asia", accounts=12, elsewhere=3), row("europe", accounts=5, elsewhere=0), row("oz", accounts=1))
    lines = lines_of("status", hosts, 300)
    assert ["12 (3 elsewhere)" in line for line in lines[2:5]] == [True, False, False]
    assert [line for line in lines if "dtr.cache.assign" in line] == lines[5:]
    assert content_of_status(hosts, TIME)["well"]


def test_a_dtr_that_is_not_well_fails_its_first_host() -> None:
    hosts = fleet(row("asia"), row("europe"), cause="client->DTR, validity: expires in 3 days.")
    assert lines_of("status", hosts, 200)[-1] == f"The DTR {DTR}: client->DTR, validity: expires in 3 days. Renew it."
    assert REPORTS["status"].troubles(hosts[0], hosts) == [f"The DTR {DTR} is not well."]
    assert REPORTS["status"].troubles(hosts[1], hosts) == []
    assert not content_of_status(hosts, TIME)["well"]


def test_a_host_that_was_lost_is_not_well() -> None:
    hosts = [*fleet(row("asia")), facts.host("oz")]
    assert [each["state"] for each in content_of_status(hosts, TIME)["regions"]] == ["healthy", "unknown"]
    assert REPORTS["status"].troubles(hosts[1], hosts) == ["The state of oz is unknown."]


NAMES = ("asia", "europe", "oz")


def hosts(**changes: dict[str, t.Any]) -> list[HostFacts]:
    return [facts.host(name, {"name": name}, **changes.get(name, {})) for name in NAMES]


def part(known: list[HostFacts], play_hosts: str, batch: str) -> tuple[list[str], list[str]]:
    found = part_of(known, play_hosts.split(), batch.split(), facts.PLAY)
    return [host.host for host in found.all], [host.host for host in found.new]


def reported(*names: str, play: str = facts.PLAY) -> dict[str, t.Any]:
    return {"report": {"play": play, "troubles": {}, "hosts": list(names)}}


def test_one_batch_reports_all_hosts() -> None:
    assert part(hosts(), "asia europe oz", "asia europe oz") == (list(NAMES), list(NAMES))


@pytest.mark.parametrize("left", ["europe oz", ""])
def test_whoever_was_lost_or_has_failed_is_reported_as_well(left: str) -> None:
    assert part(hosts(), left, left) == (list(NAMES), list(NAMES))


def test_each_batch_shows_its_own_hosts_and_exports_all_up_to_now() -> None:
    assert part(hosts(), "asia europe oz", "asia") == (["asia"], ["asia"])
    after = hosts(asia=reported("asia"))
    assert part(after, "asia europe oz", "europe oz") == (["asia", "europe", "oz"], ["europe", "oz"])


def test_a_host_that_an_earlier_batch_lost_is_reported_once() -> None:
    after = hosts(europe=reported("asia", "europe"))
    assert part(after, "europe oz", "oz") == (["asia", "europe", "oz"], ["oz"])


def test_another_play_of_the_run_is_another_report() -> None:
    before = reported(*NAMES, play="another")
    assert part(hosts(asia=before), "asia europe oz", "asia europe oz")[1] == ["asia", "europe", "oz"]


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("of", REPORTS)
def test_each_report_has_content_lines_and_troubles(of: str, width: int) -> None:
    report = REPORTS[of]
    known = [*hosts(asia={"failure": facts.FAILED}), facts.host("lost")]
    assert report.content(known, "2026-11-28T12:00:00Z")
    lines = report.lines(known, width)
    text = " ".join(" ".join(lines).split())
    assert max(map(len, lines)) <= width
    assert facts.FAILED["reason"] in text
    (trouble,) = report.troubles(known[0], known)
    assert "asia" in trouble
    assert facts.FAILED["reason"] not in trouble


@pytest.mark.parametrize(
    ("batch", "bad", "is_last", "failed"),
    [
        ("asia", "asia", False, {}),
        ("asia europe", "asia", False, {"asia": "asia"}),
        ("europe oz", "europe", True, {"europe": "europe"}),
        ("europe oz", "asia", True, {"europe": "asia"}),
        ("europe oz", "asia europe oz", True, {"europe": "europe asia", "oz": "oz"}),
        ("europe oz", "", True, {}),
    ],
)
def test_who_fails_in_a_batch_so_that_the_others_are_observed(
    batch: str, bad: str, is_last: bool, failed: dict[str, str]
) -> None:
    class Bad(Report):
        observes = True

        def troubles(self, host: HostFacts, _hosts: t.Sequence[HostFacts]) -> list[str]:
            return [host.host] if host.host in bad.split() else []

    class BadRun(Bad):
        observes = False

    known = [host for host in hosts() if is_last or host.host in batch]
    found = Part(known, [host for host in known if host.host in batch])
    assert troubles_of(Bad("", lambda _hosts: []), found, batch.split(), is_last=is_last) == failed
    alone = {name: name for name in batch.split() if name in bad.split()}
    assert troubles_of(BadRun("", lambda _hosts: []), found, batch.split(), is_last=is_last) == alone
