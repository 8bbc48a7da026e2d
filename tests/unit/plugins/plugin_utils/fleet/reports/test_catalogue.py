# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts a batch of a play reports."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.facts import HostFacts
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.reports.catalogue import (
    REPORTS,
    Part,
    Screen,
    part_of,
    troubles_of,
)
from ansible_collections.dtr.cache.tests.unit.support import facts

NAMES = ("asia", "europe", "oz")
PLAY = "this play"


def hosts(**changes: dict[str, t.Any]) -> list[HostFacts]:
    return [facts.host(name, {"name": name}, **changes.get(name, {})) for name in NAMES]


def part(known: list[HostFacts], play_hosts: str, batch: str) -> tuple[list[str], list[str]]:
    found = part_of(known, play_hosts.split(), batch.split(), PLAY)
    return [host.host for host in found.all], [host.host for host in found.new]


def reported(*names: str, play: str = PLAY) -> dict[str, t.Any]:
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
    lines = report.lines(known, Screen(width, False))
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
    report = REPORTS["status"]._replace(troubles=lambda host, _hosts: [host.host] if host.host in bad.split() else [])
    known = [host for host in hosts() if is_last or host.host in batch]
    found = Part(known, [host for host in known if host.host in batch])
    assert troubles_of(report, found, batch.split(), is_last=is_last) == failed
    alone = {name: name for name in batch.split() if name in bad.split()}
    assert troubles_of(report._replace(observes=False), found, batch.split(), is_last=is_last) == alone
