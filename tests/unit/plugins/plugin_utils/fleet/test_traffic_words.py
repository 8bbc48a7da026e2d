# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cache has served, in rows, in sentences and on the page."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.filter.status_page import status_page
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet import diagnosis
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.observation import region_row
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.problems import DtrResults
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.reports import REPORTS
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.traffic import (
    traffic_of,
    traffic_sentences,
)
from ansible_collections.dtr.cache.tests.page.fleets import TIME, healthy, traffic
from ansible_collections.dtr.cache.tests.unit.support import facts

ASKED = {"traffic_since": "24h"}
SLOWEST = {
    "image": "eng/app",
    "client": "192.0.2.7",
    "seconds": 61.5,
    "bytes": 2_000_000,
    "time": "2026-11-23T14:00:00Z",
}


def test_the_row_has_what_the_log_has() -> None:
    host = facts.host(settings=ASKED, logs={"findings": [], "traffic": traffic()})
    assert region_row(host, DtrResults())["traffic"] == traffic()


@pytest.mark.parametrize(
    ("settings", "logs", "missing"),
    [
        ({}, {"skipped": True}, None),
        (ASKED, {}, None),
        (ASKED, {"skipped": True, "msg": "x"}, ["the log was not read"]),
        (ASKED, {"failed": True, "msg": "Timed out.\n"}, ["Timed out"]),
        (ASKED, {"failed": True, "failure": {"message": "No manager."}, "msg": "m"}, ["No manager"]),
    ],
)
def test_what_was_not_asked_or_could_not_be_read(
    settings: dict[str, t.Any], logs: dict[str, t.Any], missing: list[str] | None
) -> None:
    found = traffic_of(facts.host(settings=settings, logs=logs))
    assert found == (None if missing is None else {"missing": missing})
    told = [f"What it has served is not known: {missing[0]}."] if missing else []
    assert traffic_sentences(found) == told


def test_a_cache_that_logs_no_answers_has_not_served_nothing() -> None:
    logs = {"findings": [], "traffic": traffic()}
    found = traffic_of(facts.host(settings={**ASKED, "logs_answers": False}, logs=logs))
    (sentence,) = traffic_sentences(found)
    assert sentence.startswith("What it has served is not known: dtr_cache_config_extra lets the cache log no answers")


def test_sentences() -> None:
    assert traffic_sentences(traffic(slowest=SLOWEST)) == [
        "Served since 2026-11-23T13:02:11Z: 91.2 GB in 2,811 layers, 340 pulls of 2 images by 1 client; "
        "2 failed, 3 refused, 1 slow.",
        "Most of it: eng/app (91.2 GB, 340 pulls), eng/base (1 B, 340 pulls).",
        "To: 192.0.2.7 (91.2 GB, 340 pulls).",
        "The slowest, at 2026-11-23T14:00:00Z: 2.0 MB of eng/app to 192.0.2.7 took 61.5 s.",
        "Not counted: task x: only its newest 200000 lines were read; raise lines for more.",
    ]
    nothing = traffic(images=[], clients=[], missing=[], slow=None, **dict.fromkeys(("pulls", "layers", "bytes"), 0))
    assert len(traffic_sentences(nothing)) == 1
    assert "slow ones not known" in traffic_sentences(nothing)[0]


def test_status_and_diagnosis_say_it() -> None:
    row = {**region_row(facts.host(settings={}), DtrResults()), "state": "healthy", "traffic": traffic()}
    observed = {"regions": [row], "registries": []}
    host = facts.host(settings=ASKED, observed=observed, logs={"findings": [], "traffic": traffic()})
    assert "Served since 2026-11-23T13:02:11Z: 91.2 GB" in "\n".join(REPORTS["status"].lines([host], 300))
    verdict = diagnosis.verdict_of(host)
    assert (verdict["state"], verdict["traffic"]) == ("healthy", traffic())
    assert verdict["notes"][0].startswith("Served since ")


def test_the_page_says_it() -> None:
    page = status_page([{**healthy(), "traffic": traffic()}], TIME)
    for text in (
        "Served since 2026-11-23 13:02 UTC",
        "91.2 GB in 340 pulls, 2 answers failed",
        "192.0.2.7",
        "not all of it was counted",
        "only its newest 200000 lines",
    ):
        assert text in page
    assert "Served" not in status_page([{**healthy(), "traffic": {"missing": ["the log was not read"]}}], TIME)
