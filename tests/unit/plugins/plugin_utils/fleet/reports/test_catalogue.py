# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts a batch of a play reports, and who reports for them."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.facts import HostFacts
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.reports.catalogue import REPORTS, Screen, part_of
from ansible_collections.dtr.cache.tests.unit.support import facts

NAMES = ("asia", "europe", "oz")
PLAY = "this play"


def hosts(**changes: dict[str, t.Any]) -> list[HostFacts]:
    return [facts.host(name, {"name": name}, **changes.get(name, {})) for name in NAMES]


def part(known: list[HostFacts], play_hosts: str, batch: str) -> tuple[list[str], list[str], str | None]:
    found = part_of(known, play_hosts.split(), batch.split(), PLAY)
    return [host.host for host in found.all], [host.host for host in found.new], found.reporter


def reported(*names: str, play: str = PLAY, succeeded: bool = True) -> dict[str, t.Any]:
    return {"report": {"play": play, "succeeded": succeeded, "hosts": list(names)}}


def test_one_batch_reports_all_hosts() -> None:
    assert part(hosts(), "asia europe oz", "asia europe oz") == (
        ["asia", "europe", "oz"],
        ["asia", "europe", "oz"],
        "asia",
    )


def test_a_lost_host_is_reported_by_another_one() -> None:
    assert part(hosts(), "europe oz", "europe oz") == (["asia", "europe", "oz"], ["asia", "europe", "oz"], "europe")


def test_a_failure_that_is_not_rescued_leaves_the_reporting_to_others() -> None:
    failed = hosts(asia={"failure": facts.FAILED})
    assert part(failed, "europe oz", "europe oz")[2] == "europe"


def test_where_all_have_failed_the_first_one_of_them_reports() -> None:
    failed = {"failure": facts.FAILED}
    assert part(hosts(europe=failed, oz=failed), "", "")[2] == "europe"


def test_who_failed_in_an_earlier_play_reports_nothing() -> None:
    failed = {"failure": facts.FAILED}
    before = {**failed, **reported("asia", play="another", succeeded=False)}
    assert part(hosts(asia=before, oz=failed), "", "")[2] == "oz"


def test_each_batch_shows_its_own_hosts_and_exports_all_up_to_now() -> None:
    assert part(hosts(), "asia europe oz", "asia") == (["asia"], ["asia"], "asia")
    after = hosts(asia=reported("asia"))
    assert part(after, "asia europe oz", "europe oz") == (["asia", "europe", "oz"], ["europe", "oz"], "europe")


def test_a_host_that_an_earlier_batch_lost_is_reported_once() -> None:
    after = hosts(europe=reported("asia", "europe"))
    assert part(after, "europe oz", "oz") == (["asia", "europe", "oz"], ["oz"], "oz")


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
