# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the report of a status has, for programs and for people."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.facts import HostFacts
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.observing.problems import DtrResults
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.observing.regions import region_row
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.reports import status
from ansible_collections.dtr.cache.tests.unit.support import facts

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
    report = status.report(hosts, TIME)
    assert report == {
        "time": TIME,
        "well": True,
        "regions": [row("asia"), row("europe")],
        "registries": [registry()],
    }
    lines = status.lines(hosts, 120)
    assert len(lines) == 4
    assert lines[0].startswith("region  url")
    assert "healthy" in lines[2]
    assert "2/2" in lines[2]
    assert [status.unhealthy(host, hosts) for host in hosts] == [[], []]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_what_is_wrong_and_what_to_do_stand_once_below_the_region(width: int) -> None:
    hosts = fleet(row("asia", drift=DRIFT), ILL)
    lines = status.lines(hosts, width)
    text = " ".join(" ".join(lines).split())
    assert max(map(len, lines)) <= width
    assert text.count("client->cache, tcp: port 443 refuses connections. Start it.") == 1
    assert text.count("update service (image)") == 1
    assert not status.report(hosts, TIME)["well"]
    assert status.unhealthy(hosts[0], hosts) == []
    assert status.unhealthy(hosts[1], hosts) == ["europe is unhealthy."]


def test_accounts_that_pull_from_elsewhere_are_counted_and_explained_once() -> None:
    hosts = fleet(row("asia", accounts=12, elsewhere=3), row("europe", accounts=5, elsewhere=0), row("oz", accounts=1))
    lines = status.lines(hosts, 300)
    assert ["12 (3 elsewhere)" in line for line in lines[2:5]] == [True, False, False]
    assert [line for line in lines if "dtr.cache.assign" in line] == lines[5:]
    assert status.report(hosts, TIME)["well"]


def test_a_dtr_that_is_not_well_fails_its_first_host() -> None:
    hosts = fleet(row("asia"), row("europe"), cause="client->DTR, validity: expires in 3 days.")
    assert status.lines(hosts, 200)[-1] == f"The DTR {DTR}: client->DTR, validity: expires in 3 days. Renew it."
    assert status.unhealthy(hosts[0], hosts) == [f"The DTR {DTR} is not well."]
    assert status.unhealthy(hosts[1], hosts) == []
    assert not status.report(hosts, TIME)["well"]


def test_a_host_that_was_lost_is_not_well() -> None:
    hosts = [*fleet(row("asia")), facts.host("oz")]
    assert [each["state"] for each in status.report(hosts, TIME)["regions"]] == ["healthy", "unknown"]
    assert status.unhealthy(hosts[1], hosts) == ["The state of oz is unknown."]
