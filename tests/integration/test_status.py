# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(dtr.cache.status) on regions that are well, and on regions that are broken in the ways in which they break."""

from __future__ import annotations

import collections
import contextlib
import html
import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.dtr.cache.tests.page import fleets
from prometheus_client.parser import text_string_to_metric_families

from .conftest import Lab, Play, Run, until

STATUS = "dtr.cache.status"
REGIONS = ("region-asia", "region-europe")
SERVICE = "dtr-cache_cache"
# One of the two caches gives the registry's own metrics as well.
METRICS: dict[str, t.Any] = {"dtr_cache_metrics_port": "{{ 5001 if inventory_hostname == 'region-europe' else '' }}"}


IMAGE = "dtr.lab.test/engineering/app:1.0"
PULL = f"""
    docker image rm {IMAGE} >/dev/null 2>&1
    export DOCKER_CONFIG=$(mktemp -d)
    docker login --username bob --password-stdin dtr.lab.test >/dev/null 2>&1 && docker pull --quiet {IMAGE} 2>&1
    rm -r $DOCKER_CONFIG"""


class Report(t.NamedTuple):
    """What one run told, in each of its forms."""

    run: Run
    stats: dict[str, t.Any]
    file: dict[str, t.Any]
    page: str
    metrics: str

    def row(self, region: str) -> dict[str, t.Any]:
        return next(row for row in self.stats["regions"] if row["region"] == region)

    def problems(self, region: str) -> str:
        return "\n".join(problem["cause"] for problem in self.row(region)["problems"])


def without_versions(snapshot: dict[str, t.Any]) -> dict[str, t.Any]:
    """The snapshot without the versions of services: Swarm itself counts on while it watches an update."""
    for state in snapshot.values():
        if "services" in state:
            state["services"] = {name: tasks for name, (_version, tasks) in state["services"].items()}
    return snapshot


@pytest.fixture(scope="module")
def deployed(lab: Lab, play: Play) -> Lab:
    """Both regions, deployed; no test leaves anything broken."""
    lab.clean()
    run = play("dtr.cache.deploy", **METRICS)
    assert run.code == 0, run.output
    return lab


@pytest.fixture
def look(deployed: Lab, play: Play, tmp_path: Path) -> t.Callable[..., Report]:
    """Runs the playbook, which must change nothing, whatever it finds."""

    def run(*options: str, **variables: t.Any) -> Report:
        before = without_versions(deployed.snapshot())
        folder = tmp_path / "report"
        given = {**METRICS, "dtr_cache_status_to": str(folder), **variables}
        result = play(STATUS, *options, env={"ANSIBLE_SHOW_CUSTOM_STATS": "1"}, **given)
        assert result.total("changed") == 0
        assert without_versions(deployed.snapshot()) == before
        stats = json.loads(result.output.partition("RUN: ")[2])["dtr_cache_status"]
        file = folder / "status.json"
        page, metrics = (
            (folder / name).read_text() if file.exists() else "" for name in ("status.html", "status.prom")
        )
        report = Report(result, stats, json.loads(file.read_text()) if file.exists() else {}, page, metrics)
        assert (result.code == 0) == stats["well"]
        for secret in (*deployed.passwords.values(), "PRIVATE KEY"):
            assert secret not in result.output
            assert not any(secret in path.read_text() for path in folder.glob("*"))
        return report

    return run


def test_a_healthy_fleet(look: t.Callable[..., Report], deployed: Lab) -> None:
    deployed.control.forget_requests()
    # Each region spells the DTR in its own way; it is one all the same.
    spelled = "{{ 'https://dtr.lab.test' ~ {'region-asia': '/', 'region-europe': ':443'}[inventory_hostname] }}"
    report = look(dtr_cache_registry_url=spelled)
    assert report.run.code == 0, report.run.output
    assert report.file == report.stats
    assert "All 2 caches are healthy" in report.page
    samples: dict[tuple[str, str | None], float] = {
        (sample.name, sample.labels.get("region")): sample.value
        for family in text_string_to_metric_families(report.metrics)
        for sample in family.samples
        if sample.name in ("dtr_cache_healthy", "dtr_cache_serves", "dtr_cache_registry_well")
    }
    expected: dict[tuple[str, str | None], float] = {("dtr_cache_registry_well", None): 1}
    expected.update({(f"dtr_cache_{name}", region): 1 for name in ("healthy", "serves") for region in REGIONS})
    assert samples == expected
    for made in (fleets.healthy(), fleets.closed(), fleets.untrusted(), fleets.unknown()):
        # The fleets that pages and alerts are tried on are such as there are.
        assert set(made) <= set(report.row("region-asia"))
    for region in ("region-asia", "region-europe"):
        row = report.row(region)
        assert (row["state"], row["problems"], row["drift"], row["registered"]) == ("healthy", [], [], True)
        assert (row["replicas"], row["accounts"], row["version"]) == ({"wanted": 1, "running": 1}, 1, "2.7.4")
        assert all(0 < seconds < 10 for seconds in row["seconds"].values())
        assert row["days_left"] > 14
        shown = report.run.regions()[region]
        columns = ("state", "replicas", "registered", "drift")
        assert tuple(shown[column] for column in columns) == ("healthy", "1/1", "yes", "none")
    (registry,) = report.stats["registries"]
    assert (registry["healthy"], registry["version"], registry["cause"]) == (True, "2.7.4", None)
    assert {row["registry_url"] for row in report.stats["regions"]} == {registry["url"]} == {"https://dtr.lab.test"}
    # Once for both regions: no account's settings are read twice.
    read = collections.Counter(
        (entry["method"], entry["path"])
        for entry in deployed.control.requests(recent=100_000)["recent"]
        if entry["path"].endswith("/settings") and "/accounts/" in entry["path"]
    )
    assert read
    assert set(read.values()) == {1}


def test_a_stopped_cache_and_another_changed_by_hand(look: t.Callable[..., Report], deployed: Lab) -> None:
    deployed.inside("asia-1", "docker", "service", "scale", "--detach", f"{SERVICE}=0")
    with contextlib.closing(deployed.engine("asia-1")) as client:
        # What the report must not change includes the tasks, and the Swarm forgets this one a moment later.
        until(lambda: client.services.get(SERVICE).tasks() == [], "no task")
    # Of the policies, one whose change exchanges no replica.
    deployed.inside("europe-1", "docker", "service", "update", "--detach", "--update-delay", "7s", SERVICE)
    try:
        report = look()
    finally:
        deployed.inside("asia-1", "docker", "service", "update", "--quiet", "--replicas", "1", SERVICE)
        deployed.inside("europe-1", "docker", "service", "update", "--detach", "--update-delay", "5s", SERVICE)
    stopped, changed = report.row("region-asia"), report.row("region-europe")
    assert (stopped["state"], stopped["replicas"]) == ("unhealthy", {"wanted": 1, "running": 0})
    assert stopped["cause"] == "0 of 1 replicas run: the service is set to 0."
    assert "client->cache, tcp: " in report.problems("region-asia")
    assert changed["state"] == "unhealthy"
    assert changed["cause"] == "the Swarm is not as declared: update service (update_config)."
    assert changed["replicas"] == {"wanted": 1, "running": 1}
    assert "2 of 2 caches are unhealthy" in report.page
    assert stopped["cause"] in html.unescape(report.page)
    assert 'dtr_cache_serves{region="region-asia",' in report.metrics
    assert [report.run.recap[region]["failed"] for region in ("region-asia", "region-europe")] == [1, 1]


def test_a_certificate_that_ends_soon_and_a_manager_out_of_reach_in_check_mode(look: t.Callable[..., Report]) -> None:
    report = look(
        "--check",
        dtr_cache_min_days="{{ 3000 if inventory_hostname == 'region-asia' else 14 }}",
        ansible_port="{{ 1 if inventory_hostname == 'region-europe' else 22 }}",
    )
    soon, apart = report.row("region-asia"), report.row("region-europe")
    assert soon["cause"].startswith("client->cache, validity: ")
    assert "less than dtr_cache_min_days (3000)" in soon["cause"]
    assert len(soon["problems"]) == 1
    assert apart["cause"].startswith("the manager region-europe cannot be reached: ")
    assert "port 1: Connection refused" in apart["cause"]
    assert (apart["drift"], apart["replicas"], apart["registered"]) == (None, None, True)
    assert len(apart["problems"]) == 1
    assert report.run.recap["region-europe"]["failed"] == 1
    assert report.file == {}, "check mode writes no file"


def test_a_dtr_that_is_down(look: t.Callable[..., Report], deployed: Lab) -> None:
    deployed.control.fault("drop")
    try:
        report = look()
    finally:
        deployed.control.remove_faults()
    for region in ("region-asia", "region-europe"):
        row = report.row(region)
        assert row["state"] == "unhealthy"
        assert row["cause"].startswith("the CA of the DTR cannot be fetched: ")
        assert "client->DTR, api: " in report.problems(region)
        assert (row["registered"], row["accounts"], row["drift"]) == (None, None, None)
        assert row["replicas"] == {"wanted": 1, "running": 1}
        assert row["days_left"] > 14
    assert report.stats["registries"][0]["cause"]


def test_what_was_changed_in_dtr_and_settings_that_are_no_longer_sound(
    look: t.Callable[..., Report], deployed: Lab, tmp_path: Path
) -> None:
    state = deployed.control.state()
    kept = [cache for cache in state["content_caches"] if cache["name"] == "region-europe"]
    deployed.control.set_state(kept, {**state["settings"], "carol": state["settings"]["alice"]})
    lost = tmp_path / "lost.pem"
    path = "lab_state ~ '/certs/' ~ dtr_cache_host ~ '.cert.pem'"
    try:
        report = look(dtr_cache_certificate=f"{{{{ '{lost}' if inventory_hostname == 'region-europe' else {path} }}}}")
    finally:
        deployed.control.set_state(state["content_caches"], state["settings"])
    gone, unsound = report.row("region-asia"), report.row("region-europe")
    assert gone["cause"] == "client->DTR, registration: DTR has no content cache named region-asia."
    assert (gone["registered"], gone["dangling"], gone["drift"]) == (False, 1, [])
    (registry,) = report.stats["registries"]
    assert (registry["dangling"], "dangling_accounts" in registry) == (1, False), (
        "an account that no region names is told with its DTR"
    )
    assert registry["hint"].startswith("No region names them.")
    assert unsound["cause"].startswith(f"the settings are not sound: dtr_cache_certificate: {lost} cannot be read")
    assert (unsound["drift"], unsound["replicas"]) == (None, {"wanted": 1, "running": 1})
    assert not any(check["ok"] is False for check in unsound["checks"])


def test_a_dtr_that_does_not_trust_the_caches(look: t.Callable[..., Report], deployed: Lab) -> None:
    """It has another CA than they: their clients trust them, and it serves the layers itself."""
    deployed.control.behave(distrusted_cache="bypassed")
    try:
        report = look()
    finally:
        deployed.control.behave(distrusted_cache="accepted")
    for region in REGIONS:
        row = report.row(region)
        assert row["cause"].startswith("DTR->cache, redirect: account "), row["cause"]
        assert "is assigned to this cache, which answers from here, and DTR serves a layer" in row["cause"]
        assert "add the CA that signed the certificate to those that the registry trusts" in row["hint"]
    assert report.page.count("DTR to cache: fails, redirect") == len(REGIONS)


def test_a_dtr_that_is_read_only_makes_no_cache_ill(look: t.Callable[..., Report], deployed: Lab) -> None:
    deployed.control.behave(read_only_registry=True)
    try:
        report = look()
    finally:
        deployed.control.behave(read_only_registry=False)
    assert [report.row(region)["state"] for region in REGIONS] == ["healthy", "healthy"]
    (registry,) = report.stats["registries"]
    assert registry["cause"] == "client->DTR, read_only: DTR is in read-only mode."
    assert (report.run.code, report.stats["well"]) == (2, False)
    assert "is in read-only mode. Images can be pulled, but not pushed" in report.run.output
    assert report.run.total("failed") == 1, "told once"
    assert "dtr_cache_registry_read_only{" in report.metrics


def test_what_a_cache_has_served_and_its_own_metrics(look: t.Callable[..., Report], deployed: Lab, play: Play) -> None:
    (node,) = (each for each in deployed.status["nodes"] if each["name"] == "europe-1")
    assert deployed.inside("client", "sh", "-c", PULL, stdin=deployed.passwords["bob"]).endswith(IMAGE)

    report = look("--limit", "region-europe", dtr_cache_traffic_since="1h")
    assert report.run.code == 0, report.run.output
    traffic = report.row("region-europe")["traffic"]
    (image,) = traffic["images"]
    assert image["image"] == "engineering/app"
    # Neither the verification of the deployment nor the checks count.
    assert (traffic["client_count"], traffic["pulls"]) == (1, 1)
    assert traffic["layers"] >= 2
    assert traffic["bytes"] == sum(each["bytes"] for each in traffic["clients"]) > 0
    assert (traffic["failed"], traffic["refused"], traffic["slow"], traffic["missing"]) == (0, 0, 0, [])
    assert "Served since " in report.run.output
    assert "Served since " in report.page
    assert "dtr_cache_served_layers{" in report.metrics

    diagnosed = play("dtr.cache.diagnose", "--limit", "region-europe", dtr_cache_traffic_since="1h", **METRICS)
    assert diagnosed.code == 0, diagnosed.output
    assert "by 1 client; 0 failed, 0 refused, 0 slow." in " ".join(diagnosed.output.split())

    own = deployed.inside("client", "curl", "--silent", "--fail", f"http://{node['address']}:5001/metrics")
    values: dict[str, float] = {}
    for family in text_string_to_metric_families(own):
        for sample in family.samples:
            if sample.name == "registry_http_requests_total" and sample.labels["method"] == "get":
                code = sample.labels["code"]
                values[code] = values.get(code, 0) + sample.value
    assert values["200"] >= traffic["layers"]

    limit = ("--limit", "region-europe")
    again = play("dtr.cache.deploy", *limit, **METRICS)
    assert (again.code, again.total("changed")) == (0, 0), again.output
    without = play("dtr.cache.deploy", *limit, "--check", "--diff")
    assert without.code == 0, without.output
    assert "5001" in without.output
    assert without.total("changed") > 0
