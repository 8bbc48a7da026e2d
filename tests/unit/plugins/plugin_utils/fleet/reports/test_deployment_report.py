# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the report of a deployment has: how the run ended, what was pulled, the time without a replica."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.facts import HostFacts
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.reports import deployment
from ansible_collections.dtr.cache.tests.unit.support import facts as known


def host(gap: float | None, *steps: tuple[str, str], **facts: t.Any) -> HostFacts:
    return known.host(
        settings={"name": "region-asia", "url": "https://cache-asia.example.org:443"},
        steps={"steps": [{"kind": kind, "action": action} for kind, action in steps]},
        **{"converged": {"changed": False} if gap is None else {"gap_seconds": gap}, **facts},
    )


UPDATED = ("service", "update")


def table_rows(hosts: t.Sequence[HostFacts]) -> list[t.Mapping[str, t.Any]]:
    return list(deployment.table(hosts, False).rows)


def test_what_stays_at_another_dtr_stands_below_the_row() -> None:
    table = deployment.table([host(None, plan={"left_behind": "Its entry stays there."})], False)
    assert [line.strip() for line in table.lines(200)][-1] == "Its entry stays there."


@pytest.mark.parametrize(("gap", "shown"), [(1.2, "1.2 s"), (0.0, "none")])
def test_the_gap_is_told_where_replicas_were_exchanged(gap: float, shown: str) -> None:
    # Also where no update did it: a replica may have moved to another node.
    for step in (UPDATED, ("node_label", "set")):
        (row,) = table_rows([host(gap, ("secret", "create"), step)])
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
    hosts = [host(None, UPDATED, converged={"gap_seconds": gap, "cut_off": cut_off})]
    assert table_rows(hosts)[0]["gap"] == shown
    (row,) = deployment.rows(hosts)
    assert (row["gap_seconds"], row["cut_off"]) == (gap, cut_off)


@pytest.mark.parametrize(
    ("now", "shown"), [("https://c.example.org:8443", "until re-registered"), ("https://C.example.org:443/", "none")]
)
def test_with_another_address_pulls_fail_until_dtr_knows_it(now: str, shown: str) -> None:
    entry = {"name": "region-asia", "before": {"host": "https://c.example.org"}, "after": {"host": now}}
    assert table_rows([host(0.0, UPDATED, registration={"replaced": [entry]})])[0]["gap"] == shown


def test_a_region_without_an_exchange_has_none_beside_one_that_has() -> None:
    hosts = [host(1.2, UPDATED), host(None)]
    assert [row["gap"] for row in table_rows(hosts)] == ["1.2 s", None]
    assert [row["gap_seconds"] for row in deployment.rows(hosts)] == [1.2, None]
    assert "gap" not in table_rows(hosts[1:])[0]


FAILED = {"failure": known.FAILED}
SETTINGS = {"settings": {"name": "region-asia"}}
LOST = {"is_reached": False}
# As an earlier play of the same run left it.
EARLIER = {"failure": {**known.FAILED, "play": "an earlier play"}}


@pytest.mark.parametrize(
    ("facts", "result"),
    [
        ({}, "did not finish"),
        (FAILED, "failed at: Deploy the stack"),
        ({**SETTINGS, **LOST}, "did not finish"),
        ({**SETTINGS, **LOST, **FAILED}, "failed at: Deploy the stack"),
        ({**SETTINGS, **FAILED}, "failed at: Deploy the stack"),
        ({**SETTINGS, "failure": {**known.FAILED, "play": known.PLAY}}, "failed at: Deploy the stack"),
        ({**SETTINGS, **EARLIER}, "ok"),
        (SETTINGS, "ok"),
    ],
)
def test_a_region_is_well_when_its_run_came_to_the_end(facts: dict[str, t.Any], result: str) -> None:
    (row,) = deployment.rows([known.host("manager-asia", **facts)])
    assert row["result"] == result


PULLED = {"pulls": [{"bytes": 9_000_000, "seconds": 0.3, "via_cache": True}]}
PROVED = {"pulls": [], "proof": {"bytes": 1234, "cold": {"seconds": 0.5}, "warm": {"seconds": 0.25, "hit": True}}}


@pytest.mark.parametrize(
    ("facts", "shown", "numbers"),
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
    facts: dict[str, t.Any], shown: str | None, numbers: tuple[int, float] | None
) -> None:
    hosts = [known.host("manager-asia", **facts)]
    assert table_rows(hosts)[0]["pulled"] == shown
    pulled = deployment.rows(hosts)[0]["pulled"]
    assert pulled == (dict(zip(("bytes", "seconds"), numbers, strict=True)) if numbers else None)


def test_what_was_changed_is_counted() -> None:
    hosts = [
        host(
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
    (shown,), (row,) = table_rows(hosts), deployment.rows(hosts)
    assert shown["changed"] == "2 secrets, 1 node label removed, registered, 1200 accounts assigned, 1 account moved"
    assert (shown["accounts"], row["accounts"]) == (1203, 1203)
    assert row["changed"] == ["secret", "node_label", "registration", "accounts"]


@pytest.mark.parametrize("registration", [{}, {"created": [], "reassigned": []}, {"reassigned": [{"name": "bob"}]}])
def test_programs_get_a_list_of_what_was_changed(registration: dict[str, t.Any]) -> None:
    (row,) = deployment.rows([host(None, registration=registration)])
    assert row["changed"] == (["accounts"] if registration.get("reassigned") else [])


@pytest.mark.parametrize(
    ("facts", "shown", "parts"),
    [
        (FAILED, "unfinished: 1 config, 1 node label removed", ["config", "node_label"]),
        ({**FAILED, "steps": {"steps": [{"kind": "config", "action": "create"}]}}, "1 config", ["config"]),
        ({}, "nothing", []),
    ],
    ids=["in the Swarm", "after it", "no failure"],
)
def test_what_a_failed_run_was_to_change_in_the_swarm_is_not_called_nothing(
    facts: dict[str, t.Any], shown: str, parts: list[str]
) -> None:
    planned = [{"kind": "config", "action": "create"}, {"kind": "node_label", "action": "remove"}]
    hosts = [known.host("manager-asia", plan={"steps": planned}, **facts)]
    assert [row["changed"] for row in (*table_rows(hosts), *deployment.rows(hosts))] == [shown, parts]


NOTHING_TO_DO = [host(None), host(None)]


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_with_nothing_to_do_there_is_a_line_for_each_region(width: int) -> None:
    lines = deployment.table(NOTHING_TO_DO, False).lines(width)
    assert len(lines) <= 6
    assert max(map(len, lines)) <= width
    assert [line.split()[0] for line in lines if line.startswith("region-")] == ["region-asia"] * 2


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("check_mode", [False, True])
def test_each_region_shows_what_changed_and_why_it_failed_once(width: int, check_mode: bool) -> None:
    hosts = [host(None, ("service", "create"), **FAILED), host(None, ("secret", "create"))]
    lines = deployment.table(hosts, check_mode).lines(width)
    text = " ".join(" ".join(lines).split())
    assert max(map(len, lines)) <= width
    assert text.count(known.FAILED["reason"]) == 1
    assert text.count("failed at: Deploy the stack") == 1
    assert text.count("1 service") == text.count("1 secret") == 1
    assert ("would change" in text) is check_mode
    assert ("changed" in text) is not check_mode


def test_what_an_earlier_play_of_the_run_did_is_not_reported() -> None:
    earlier = {"play": "an earlier play"}
    facts = {
        "steps": {"steps": [{"kind": "service", "action": "update"}], **earlier},
        "in_use": {"pull": PULLED, **earlier},
    }
    hosts = [known.host("manager-asia", {"name": "region-asia"}, **facts)]
    (shown,), (row,) = table_rows(hosts), deployment.rows(hosts)
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
    region = known.host(settings=settings, plan=plan, steps=done, converged={"changed": False, **seen})
    lines = " ".join(deployment.table([region], False).lines(200))
    assert ("A replica runs on worker-9, which dtr_cache_nodes does not name" in lines) == told, lines
    assert ("dtr_cache_node_label" in lines) == told
