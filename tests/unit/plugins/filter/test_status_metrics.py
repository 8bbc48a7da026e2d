# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prometheus reads of a status report, taken apart by hand; tests/page has the official parser do it as well."""

from __future__ import annotations

import datetime
import pathlib
import re
import typing as t

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.dtr.cache.plugins.filter.status_metrics import status_metrics
from ansible_collections.dtr.cache.tests.page.fleets import traffic

NOON = "2026-11-24T12:00:00Z"
NOON_SECONDS = 1795521600
ALERTS = pathlib.Path(__file__).parents[4] / "docs" / "alerts.yml"


def row(**given: t.Any) -> dict[str, t.Any]:
    return {
        "region": "asia",
        "cache": "region-asia",
        "registry_url": "https://dtr",
        "url": "https://cache",
        "state": "healthy",
        "image": "cache:2.7.6",
        "version": "2.7.6",
        "registry_version": "2.7.5",
        "replicas": {"wanted": 2, "running": 1},
        "certificate": {"not_after": "2026-12-04T13:00:00Z"},
        "days_left": 10,
        "accounts": 7,
        "elsewhere": 2,
        "dangling": 1,
        "registered": False,
        "drift": [{"kind": "service", "action": "update", "name": "x", "detail": ""}],
        "serves": True,
        "checks": [
            {"edge": "client->cache", "check": "tcp", "ok": True, "detail": "", "hint": None},
            {"edge": "client->cache", "check": "tls", "ok": False, "detail": "", "hint": None},
            {"edge": "client->DTR", "check": "tcp", "ok": True, "detail": "", "hint": None},
        ],
        "seconds": {"client->cache": 0.25, "cache->DTR": None, "client->DTR": 0.5},
        "addresses": [{"address": "192.0.2.7", "ok": False, "detail": ""}, {"address": "192.0.2.8", "ok": None}],
        **given,
    }


UNKNOWN = {"region": "oz", "state": "unknown"}


def samples(*rows: dict[str, t.Any], registries: t.Sequence[dict[str, t.Any]] = ()) -> dict[str, float]:
    """Values by series, without the labels that all of a cache have."""
    found = {}
    for line in status_metrics(list(rows), NOON, registries).splitlines():
        if not line.startswith("#"):
            series, _blank, value = line.rpartition(" ")
            series = series.replace('region="asia",cache="region-asia",registry="https://dtr"', "").replace("{,", "{")
            assert series not in found
            found[series.replace("{}", "")] = float(value)
    return found


def test_each_thing_that_is_known_is_a_sample() -> None:
    assert samples(row()) == {
        "dtr_cache_status_timestamp_seconds": NOON_SECONDS,
        'dtr_cache_status_caches{state="healthy"}': 1,
        'dtr_cache_status_caches{state="unknown"}': 0,
        'dtr_cache_status_caches{state="unhealthy"}': 0,
        'dtr_cache_info{url="https://cache",version="2.7.6",image="cache:2.7.6"}': 1,
        "dtr_cache_observed": 1,
        "dtr_cache_healthy": 1,
        "dtr_cache_serves": 1,
        "dtr_cache_replicas_wanted": 2,
        "dtr_cache_replicas_running": 1,
        "dtr_cache_certificate_expiry_timestamp_seconds": NOON_SECONDS + 10 * 86400 + 3600,
        "dtr_cache_accounts": 7,
        "dtr_cache_accounts_elsewhere": 2,
        "dtr_cache_dangling_accounts": 1,
        "dtr_cache_registered": 0,
        "dtr_cache_version_matches": 0,
        "dtr_cache_drift_steps": 1,
        'dtr_cache_check_failed{edge="client->cache",check="tls"}': 1,
        'dtr_cache_address_ok{address="192.0.2.7"}': 0,
        'dtr_cache_edge_ok{edge="client->cache"}': 0,
        'dtr_cache_edge_ok{edge="client->DTR"}': 1,
        'dtr_cache_edge_seconds{edge="client->cache"}': 0.25,
        'dtr_cache_edge_seconds{edge="client->DTR"}': 0.5,
    }


def test_what_a_cache_has_served_is_a_sample() -> None:
    served = {series: value for series, value in samples(row(traffic=traffic())).items() if "_served_" in series}
    assert served == {
        "dtr_cache_served_since_timestamp_seconds": 1795438931,
        "dtr_cache_served_pulls": 340,
        "dtr_cache_served_layers": 2811,
        "dtr_cache_served_bytes": 91234567890,
        "dtr_cache_served_images": 2,
        "dtr_cache_served_clients": 1,
        "dtr_cache_served_failed": 2,
        "dtr_cache_served_refused": 3,
        "dtr_cache_served_slow": 1,
        'dtr_cache_served_image_bytes{image="eng/app"}': 91234567890,
        'dtr_cache_served_image_bytes{image="eng/base"}': 1,
    }
    unread = samples(row(traffic={"missing": ["the log was not read"]}))
    assert not [series for series in unread if "_served_" in series]
    assert "dtr_cache_served_slow" not in samples(row(traffic=traffic(slow=None)))


def test_what_is_not_known_has_no_sample() -> None:
    found = {series.partition("{")[0] for series in samples(UNKNOWN)}
    assert found == {
        "dtr_cache_status_timestamp_seconds",
        "dtr_cache_status_caches",
        "dtr_cache_info",
        "dtr_cache_observed",
    }
    assert samples(UNKNOWN)['dtr_cache_observed{region="oz",cache="oz",registry=""}'] == 0


@pytest.mark.parametrize(
    ("state", "observed", "healthy"), [("healthy", 1, 1), ("unhealthy", 1, 0), ("unknown", 0, None)]
)
def test_ill_is_not_the_same_as_not_known(state: str, observed: int, healthy: int | None) -> None:
    found = samples(row(state=state))
    assert (found["dtr_cache_observed"], found.get("dtr_cache_healthy")) == (observed, healthy)
    assert found[f'dtr_cache_status_caches{{state="{state}"}}'] == 1


def test_a_ca_that_expires_before_the_certificate_counts() -> None:
    found = samples(row(days_left=3))
    left = found["dtr_cache_certificate_expiry_timestamp_seconds"] - NOON_SECONDS
    assert 3 * 86400 <= left <= 4 * 86400


def test_a_certificate_without_an_end_is_none_to_stumble_over() -> None:
    days_left = (datetime.date(9999, 12, 31) - datetime.date(2026, 11, 24)).days
    endless = datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.timezone.utc).timestamp()
    for certificate in ({"not_after": "9999-12-31T23:59:59Z"}, None):
        found = samples(row(days_left=days_left, certificate=certificate))
        assert found["dtr_cache_certificate_expiry_timestamp_seconds"] == endless


def test_of_two_caches_with_the_same_labels_the_ill_one_is_told() -> None:
    assert samples(row(), row(state="unhealthy"))["dtr_cache_healthy"] == 0


def test_labels_are_escaped() -> None:
    text = status_metrics([{"region": 'a\\b"c\nd', "state": "unhealthy"}], NOON)
    assert 'dtr_cache_healthy{region="a\\\\b\\"c d",' in text


def test_registries_have_metrics_of_their_own() -> None:
    down: dict[str, t.Any] = {"url": "https://down", "healthy": None, "read_only": None, "dangling": None}
    lost = [{"accounts": 3, "answers": False}, {"accounts": 0, "answers": False}, {"accounts": 3, "answers": True}]
    well: dict[str, t.Any] = {
        "url": "https://dtr",
        "healthy": True,
        "read_only": True,
        "dangling": 1,
        "undeclared": lost,
        "cause": "it is read only",
    }
    found = samples(registries=[well, down])
    assert {series: value for series, value in found.items() if "registry" in series} == {
        'dtr_cache_registry_healthy{registry="https://dtr"}': 1,
        'dtr_cache_registry_read_only{registry="https://dtr"}': 1,
        'dtr_cache_registry_dangling_accounts{registry="https://dtr"}': 1,
        'dtr_cache_registry_lost_caches{registry="https://dtr"}': 1,
        'dtr_cache_registry_well{registry="https://dtr"}': 0,
        'dtr_cache_registry_well{registry="https://down"}': 1,
    }


@pytest.mark.parametrize(
    "time",
    [
        NOON,
        "2026-11-24T13:00:00+01:00",
        "2026-11-24 12:00:00",
        NOON_SECONDS,
        datetime.datetime(2026, 11, 24, 12),
        datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.timezone.utc),
    ],
)
def test_a_time_may_be_given_in_any_usual_form(time: t.Any) -> None:
    assert f"dtr_cache_status_timestamp_seconds {NOON_SECONDS}\n" in status_metrics([], time)


@pytest.mark.parametrize("time", ["noon", "", None, True, float("inf")])
def test_what_is_no_time_is_refused(time: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match="is no time"):
        status_metrics([], time)


@pytest.mark.parametrize("rows", ["text", {"region": "a"}, ["a"], None])
def test_what_are_no_rows_is_refused(rows: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match=r"takes regions as dtr\.cache\.fleet_info returns them"):
        status_metrics(rows, NOON)


def test_the_alert_rules_use_metrics_that_are_there() -> None:
    registry = {"url": "https://dtr", "healthy": True, "read_only": False, "dangling": 0, "undeclared": []}
    text = status_metrics([row()], NOON, [registry])
    written = set(re.findall(r"^# TYPE (\S+) gauge$", text, re.MULTILINE))
    rules = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    used = {name for rule in rules for name in re.findall(r"\bdtr_cache_\w+", rule["expr"])}
    assert len(rules) > 10
    assert used <= written
    for rule in rules:
        for name, value in re.findall(r'(\w+)="([^"]*)"', rule["expr"]):
            assert f'{name}="{value}"' in text or (name, value) == ("edge", "cache->DTR")
        labels = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
        of_address = {"address"} if "dtr_cache_address_ok" in rule["expr"].split()[0] else set()
        assert labels <= {"region", "cache", "registry"} | of_address
