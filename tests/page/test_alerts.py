# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(docs/alerts.yml) in Prometheus' own tool, on what a report writes: one alert for one trouble, none for none."""

from __future__ import annotations

import json
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.dtr.cache.plugins.filter.status_metrics import status_metrics

from .fleets import DTR, Row, check, closed, healthy, unknown

ALERTS = Path(__file__).parents[2] / "docs" / "alerts.yml"
# The clock of such a test begins in 1970; two hours are longer than any rule waits.
REPORT, AFTER = "1970-01-01T01:30:00Z", "2h"
WELL: Row = {"url": DTR, "healthy": True, "read_only": False, "dangling": 0, "undeclared": [], "cause": None}


def unhealthy(name: str = "client->cache clock", *, days: int | None = 200, **changes: t.Any) -> Row:
    """A cache at which one check fails, with what else is different."""
    row = {**healthy("region-unhealthy"), "days_left": days}
    edge, _blank, check_name = name.partition(" ")
    if name:
        row["checks"] = [*row["checks"], check(edge, check_name, False, "is wrong")]
    return {**row, "state": "unhealthy", "certificate": None, **changes}


def dtr(**changes: t.Any) -> Row:
    return {**WELL, "cause": "something is wrong with it", **changes}


UPSTREAM = "cache->DTR upstream"
DRIFT = [{"kind": "service", "action": "update", "name": "dtr-cache_cache", "detail": "image"}]
LOST = [{"name": "old", "accounts": 3, "answers": False}]
CASES: dict[str, tuple[list[Row], Row, list[str]]] = {
    "all is well": ([], WELL, []),
    "nothing runs": ([closed()], WELL, ["DtrCacheDown"]),
    "a closed port": ([unhealthy("client->cache tcp", serves=False)], WELL, ["DtrCacheDown"]),
    "the stack is gone": (
        [unhealthy("client->cache tcp", serves=False, replicas={"wanted": 1, "running": 0}, drift=DRIFT)],
        WELL,
        ["DtrCacheDown"],
    ),
    "expired": (
        [unhealthy("client->cache validity", days=-2, serves=False)],
        WELL,
        ["DtrCacheCertificateExpiresSoon", "DtrCacheDown"],
    ),
    "expired and silent": (
        [
            unhealthy("client->cache tcp", days=None, serves=False)
            | {"certificate": {"seen": False, "not_after": "1969-12-31T00:00:00Z"}}
        ],
        WELL,
        ["DtrCacheCertificateExpiresSoon", "DtrCacheDown"],
    ),
    "expires in ten days": ([unhealthy("client->cache validity", days=10)], WELL, ["DtrCacheCertificateExpires"]),
    "expires in three days": ([unhealthy("client->cache validity", days=3)], WELL, ["DtrCacheCertificateExpiresSoon"]),
    "a clock that is off": ([unhealthy("client->cache clock")], WELL, ["DtrCacheUnhealthy"]),
    "an unusual order": ([unhealthy("client->cache chain")], WELL, ["DtrCacheUnhealthy"]),
    "another certificate": ([unhealthy("client->cache certificate")], WELL, ["DtrCacheUnhealthy"]),
    "CA not trusted": ([unhealthy(UPSTREAM)], WELL, ["DtrCacheUpstreamBroken"]),
    "disk full": ([unhealthy("cache->DTR pull")], WELL, ["DtrCacheUpstreamBroken"]),
    "one address of two": (
        [
            unhealthy("client->cache addresses")
            | {"addresses": [{"address": "192.0.2.7", "ok": True}, {"address": "192.0.2.8", "ok": False}]}
        ],
        WELL,
        ["DtrCacheAddressBroken"],
    ),
    "one of two": ([unhealthy("", replicas={"wanted": 2, "running": 1})], WELL, ["DtrCacheReplicaMissing"]),
    "not registered": ([unhealthy("client->DTR registration", registered=False)], WELL, ["DtrCacheNotRegistered"]),
    "drift": ([unhealthy("", drift=DRIFT)], WELL, ["DtrCacheDrift"]),
    "an upgraded DTR": ([unhealthy("", drift=DRIFT, registry_version="2.7.9")], WELL, ["DtrCacheVersionDiffers"]),
    "another version": ([{**healthy("region-old"), "registry_version": "2.9.1"}], WELL, ["DtrCacheVersionDiffers"]),
    "the same version": ([{**healthy("region-same"), "registry_version": "2.7.6-1"}], WELL, []),
    "lost accounts of a region": ([unhealthy("", dangling=1)], WELL, ["DtrCacheDanglingAccounts"]),
    "slow": ([healthy("region-far", seconds=(3.0, 3.1, 0.1))], WELL, ["DtrCacheSlow"]),
    "not to be seen": ([unknown()], WELL, ["DtrCacheNotObserved"]),
    "DTR not healthy": ([unhealthy(UPSTREAM, registered=None)], dtr(healthy=False), ["DtrCacheRegistryUnhealthy"]),
    "DTR not asked": (
        [unhealthy(UPSTREAM, registered=None, accounts=None, dangling=None)],
        dtr(healthy=None, dangling=None, undeclared=None),
        ["DtrCacheRegistryNotObserved"],
    ),
    "DTR read only": ([], dtr(read_only=True), ["DtrCacheRegistryReadOnly"]),
    "lost accounts of nobody": ([], dtr(dangling=1), ["DtrCacheDanglingAccounts"]),
    "a lost cache": ([], dtr(undeclared=LOST), ["DtrCacheLost"]),
    "DTR's certificate ends": ([], dtr(), ["DtrCacheRegistryNotWell"]),
}


def promtool(*arguments: str) -> str:
    program = shutil.which("promtool")
    assert program, "needs promtool, of the distribution's package prometheus"
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def series(text: str) -> list[dict[str, str]]:
    """What a report has written, as it would be read for some hours."""
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return [{"series": name, "values": f"{value}+0x240"} for name, _blank, value in lines]


def case(name: str, samples: list[dict[str, str]], alerts: t.Sequence[str], after: str = AFTER) -> dict[str, t.Any]:
    # Caches that are well stand beside the unhealthy one, so that each alert is seen to name only that.
    expected = [{"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in alerts]
    firing = 'count by (alertname) (ALERTS{alertstate="firing"})'
    tests = [{"expr": firing, "eval_time": after, "exp_samples": expected}]
    return {"name": name, "interval": "1m", "input_series": samples, "promql_expr_test": tests}


def test_the_rules_are_right() -> None:
    assert "SUCCESS" in promtool("check", "rules", str(ALERTS))


def test_each_trouble_has_its_one_alert(tmp_path: Path) -> None:
    tests = []
    for name, (rows, registry, alerts) in CASES.items():
        fleet = [healthy(days=200), healthy("region-europe", days=30), *rows]
        tests.append(case(name, series(status_metrics(fleet, REPORT, [registry])), alerts))
    report = "dtr_cache_status_timestamp_seconds"
    tests.append(case("no report", [], ["DtrCacheReportMissing"]))
    tests.append(case("an old report", [{"series": report, "values": "0+0x240"}], ["DtrCacheReportMissing"]))
    # What a daily run puts right is no trouble yet; the report is a fresh one all the while.
    elsewhere = [
        {"series": 'dtr_cache_accounts_elsewhere{region="asia"}', "values": "3+0x1800"},
        {"series": report, "values": "0+60x1800"},
    ]
    tests.append(case("accounts elsewhere since yesterday", elsewhere, [], "25h"))
    tests.append(case("accounts elsewhere for longer", elsewhere, ["DtrCacheAccountsElsewhere"], "27h"))
    path = tmp_path / "cases.yml"
    path.write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": tests}))
    promtool("test", "rules", str(path))
    told = {alert for _rows, _registry, alerts in CASES.values() for alert in alerts}
    told |= {"DtrCacheReportMissing", "DtrCacheAccountsElsewhere"}
    rules = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
    assert told == {rule["alert"] for rule in rules}, "no rule is without its case"


@pytest.mark.parametrize(
    ("failed", "told"),
    [
        ("tcp", ""),
        ("validity", "The certificate has expired: renew it, then run playbook dtr.cache.rotate. "),
        (
            "host_name",
            "Clients refuse the certificate (check host_name): correct it, then run playbook dtr.cache.rotate. ",
        ),
    ],
)
def test_a_cache_that_is_down_names_its_certificate(tmp_path: Path, failed: str, told: str) -> None:
    samples = series(status_metrics([unhealthy(f"client->cache {failed}", serves=False)], REPORT, [WELL]))
    labels = {"region": "region-unhealthy", "cache": "region-unhealthy", "registry": DTR, "severity": "critical"}
    description = f'{told}Its accounts can pull from DTR again once they are reset (account setting "local").'
    expected = {
        "exp_labels": labels,
        "exp_annotations": {
            "summary": "Pulls through the content cache of region-unhealthy fail.",
            "description": description,
        },
    }
    rule = {"eval_time": AFTER, "alertname": "DtrCacheDown", "exp_alerts": [expected]}
    test = {"name": failed, "interval": "1m", "input_series": samples, "alert_rule_test": [rule]}
    path = tmp_path / "down.yml"
    path.write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": [test]}))
    promtool("test", "rules", str(path))


@pytest.mark.parametrize("alert", ["DtrCacheDown", "DtrCacheUnhealthy"])
def test_a_wrong_expectation_is_found(tmp_path: Path, alert: str) -> None:
    samples = series(status_metrics([healthy(days=200)], REPORT, [WELL]))
    content = {"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": [case("wrong", samples, [alert])]}
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(content))
    with pytest.raises(AssertionError):
        promtool("test", "rules", str(path))
