# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet that breaks and is mended, again and again: what is told of it, and that doing what is told mends it.

Both regions are deployed once. Each round breaks each of them in another way, asks C(dtr.cache.diagnose), does what it
says, and sees it satisfied. The storage of region-asia is a file system that is soon full.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
import re
import typing as t
from collections.abc import Iterator

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.logs.findings import findings_of
from ansible_collections.dtr.cache.plugins.module_utils.swarm.engine import Engine
from ansible_collections.dtr.cache.tests.unit.support.modules import run_module

from .authority import Authority
from .conftest import Lab, Play, Run, until

Json = dict[str, t.Any]

SERVICE = "dtr-cache_cache"
STORAGE = "/srv/dtr-cache"
CA_FILE = "dtr.cert.pem"
MEGABYTES = 48
ROUNDS = 100
# Of these, each so many-th also pulls a whole image.
ROUNDS_TO_PULL = 10
IMAGE = "engineering/app:1.0"
MANAGERS = {"region-asia": "asia-1", "region-europe": "europe-1"}
NODES = {"region-asia": "asia-2", "region-europe": "europe-1"}
ACCOUNTS = {"region-asia": "alice", "region-europe": "bob"}


class Fleet:
    """The deployed regions, and how they are broken."""

    def __init__(self, lab: Lab, play: Play) -> None:
        self.lab = lab
        self._play = play
        self.authority = Authority("Strange")

    def play(self, name: str, *options: str, **variables: t.Any) -> Run:
        return self._play(
            f"dtr.cache.{name}",
            *options,
            env={"ANSIBLE_SHOW_CUSTOM_STATS": "1"},
            **variables,
            dtr_cache_volume=f"{{{{ '{STORAGE}' if inventory_hostname == 'region-asia' else none }}}}",
        )

    def must(self, name: str, *options: str) -> Run:
        run = self.play(name, *options)
        assert run.code == 0, run.output
        return run

    def diagnosed(self, **variables: t.Any) -> dict[str, Json]:
        """The verdict of each region."""
        run = self.play("diagnose", **variables)
        verdicts = stats(run)["dtr_cache_verdicts"]
        assert (run.code == 0) == all(each["state"] == "healthy" for each in verdicts)
        return {each["region"]: each for each in verdicts}

    def is_well(self, **variables: t.Any) -> None:
        """Nothing is wrong any more; what a replica has met that was replaced is over."""
        found = self.diagnosed(**variables)
        assert {region: each["causes"] for region, each in found.items()} == {region: [] for region in MANAGERS}

    def docker(self, region: str, *command: str, stdin: str | None = None) -> str:
        return self.lab.inside(MANAGERS[region], "docker", *command, stdin=stdin)

    def update(self, region: str, *options: str) -> None:
        # A rollback would mend it before anybody has asked.
        self.docker(region, "service", "update", "--detach", "--update-failure-action", "pause", *options, SERVICE)

    def container(self, region: str) -> Json:
        """What the service says of its containers."""
        with contextlib.closing(self.lab.engine(MANAGERS[region])) as client:
            return t.cast("Json", client.services.get(SERVICE).attrs["Spec"]["TaskTemplate"]["ContainerSpec"])

    def with_config(self, region: str, change: t.Callable[[str], str]) -> None:
        """Let the service have a config.yml of somebody's own."""
        (mounted,) = self.container(region)["Configs"]
        with contextlib.closing(self.lab.engine(MANAGERS[region])) as client:
            text = base64.b64decode(client.configs.get(mounted["ConfigID"]).attrs["Spec"]["Data"]).decode()
        new = f"by-hand-{len(self.docker(region, 'config', 'ls', '-q').split())}"
        self.docker(region, "config", "create", new, "-", stdin=change(text))
        self.update(*(region, "--config-rm", mounted["ConfigName"], "--config-add", f"source={new},target=/config.yml"))

    def with_secret(self, region: str, file: str, content: str) -> None:
        """Let the service have another secret in the place of one."""
        name = next(each["SecretName"] for each in self.container(region)["Secrets"] if each["File"]["Name"] == file)
        new = f"by-hand-{file}"
        self.docker(region, "secret", "create", new, "-", stdin=content)
        self.update(region, "--secret-rm", name, "--secret-add", f"source={new},target={file}")

    def tasks(self, region: str) -> list[Json]:
        with contextlib.closing(self.lab.engine(MANAGERS[region])) as client:
            return t.cast("list[Json]", client.services.get(SERVICE).tasks())

    def until_failed(self, region: str) -> None:
        """Wait until Swarm says of the newest replica, or of the one that it is to replace, what is wrong with it."""

        def failed() -> bool:
            newest = sorted(self.tasks(region), key=lambda task: str(task["CreatedAt"]))[-2:]
            errors = [str(task["Status"].get("Err") or "") for task in newest]
            # Until the replica has ended that has the port, the next one waits for it.
            return any(error and "host-mode port already in use" not in error for error in errors)

        until(failed, f"a replica of {region} that failed")

    def until_replaced(self, region: str) -> None:
        """Wait until the replica of the last change runs, and no other."""

        def replaced() -> bool:
            with contextlib.closing(self.lab.engine(MANAGERS[region])) as client:
                service = client.services.get(SERVICE)
                return (service.attrs.get("UpdateStatus") or {}).get("State") == "completed"

        until(replaced, f"the update of {region}")

    def health(self, **options: t.Any) -> Json:
        registry = self.lab.status["registry"]
        caches = [
            {
                "name": region,
                "url": f"https://{host}:443",
                "ca_path": self.lab.status["certificates"]["ca"],
                "certificate": self.lab.certificate(host),
                "published_ports": [443],
                "account_of": {"accounts": [ACCOUNTS[region]]},
            }
            for region in MANAGERS
            for host in [f"cache-{region.removeprefix('region-')}.lab.test"]
        ]
        given: Json = {"caches": caches, "image": IMAGE, "check_accounts": True, **options}
        return run_module("cache_health", **{**self.connection(registry), **given})

    def connection(self, registry: Json) -> Json:
        return {
            "url": registry["url"],
            "username": registry["admin"]["username"],
            "password": registry["admin"]["password"],
            "ca_path": registry["ca_path"],
        }

    def dtr(self, module: str, **options: t.Any) -> Json:
        result = run_module(module, **self.connection(self.lab.status["registry"]), **options)
        assert not result.get("failed"), result
        return result

    def findings(self, region: str) -> list[Json]:
        params = dict.fromkeys(("ca_path", "client_cert", "client_key", "tls", "validate_certs"))
        address = next(node["docker_host"] for node in self.lab.status["nodes"] if node["name"] == MANAGERS[region])
        engine = Engine({**params, "docker_host": address, "api_version": "auto", "engine_timeout": 60})
        options = {"name": "dtr-cache", "since": "1h", "lines": 20_000, "timeout": 60}
        return t.cast("list[Json]", findings_of(engine, options)["findings"])


def stats(run: Run) -> Json:
    return t.cast("Json", json.loads(re.findall(r"^\tRUN: (\{.*\})$", run.output, re.MULTILINE)[-1]))


@pytest.fixture(scope="module")
def fleet(lab: Lab, play: Play) -> Iterator[Fleet]:
    lab.clean()
    lab.inside(NODES["region-asia"], "mkdir", "-p", STORAGE)
    mount = ("mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", STORAGE)
    lab.inside(NODES["region-asia"], *mount)
    made = Fleet(lab, play)
    try:
        made.must("deploy")
        yield made
    finally:
        lab.clean()
        lab.inside(NODES["region-asia"], "umount", STORAGE)


def test_no_false_alarm_in_a_hundred_rounds(fleet: Fleet) -> None:
    alarms = []
    for number in range(ROUNDS):
        result = fleet.health()
        alarms += [] if result.get("healthy") else [result["msg"]]
        if number % ROUNDS_TO_PULL == 0:
            pulled = fleet.dtr(
                "cache_pull",
                cache="region-asia",
                cache_ca_certificate=fleet.lab.status["certificates"]["ca"],
                account="alice",
                images=[IMAGE],
            )
            alarms += [] if all(row["via_cache"] for row in pulled["pulls"]) else [str(pulled)]
    assert alarms == []
    checked = {check["check"] for row in fleet.health()["caches"] for check in row["checks"]}
    assert {"deployment", "certificate", "upstream", "pull", "registration", "read_only", "assignments"} <= checked
    assert {region: fleet.findings(region) for region in MANAGERS} == {region: [] for region in MANAGERS}
    fleet.is_well()
    assert stats(fleet.must("status"))["dtr_cache_status"]["well"]


class Trouble(t.NamedTuple):
    """What is wrong with both regions at a time.

    Args:
        breaks: What is done to each region.
        causes: What is told of each first.
        fixes: A part of what is told to do about it.
    """

    breaks: dict[str, t.Callable[[Fleet, str], None]]
    causes: dict[str, str]
    fixes: dict[str, str]


def another_ca(fleet: Fleet, region: str) -> None:
    fleet.with_secret(region, CA_FILE, fleet.authority.root)
    fleet.until_replaced(region)


def another_key(fleet: Fleet, region: str) -> None:
    fleet.with_secret(region, "cache.key.pem", fleet.authority.issue("cache-europe.lab.test").key)
    fleet.until_failed(region)


def no_secret(fleet: Fleet, region: str) -> None:
    name = next(each["SecretName"] for each in fleet.container(region)["Secrets"] if each["File"]["Name"] == CA_FILE)
    fleet.update(region, "--secret-rm", name)
    fleet.until_failed(region)


def no_label(fleet: Fleet, region: str) -> None:
    fleet.docker(region, "node", "update", "--label-rm", "dtr.cache", NODES[region])
    fleet.until_failed(region)


def upstream(address: str) -> t.Callable[[Fleet, str], None]:
    def change(fleet: Fleet, region: str) -> None:
        fleet.with_config(region, lambda text: text.replace("https://dtr.lab.test:443", address))
        fleet.until_replaced(region)

    return change


# By the playbook that mends them, as each of their fixes has it.
TROUBLES = {
    "rotate": [
        Trouble(
            {"region-asia": another_ca, "region-europe": another_key},
            {"region-asia": "upstream_ca_unknown", "region-europe": "key_mismatch"},
            {"region-asia": "run dtr.cache.rotate", "region-europe": "run dtr.cache.rotate"},
        ),
    ],
    "deploy": [
        Trouble(
            {"region-asia": upstream("https://dtr.lab.test:1"), "region-europe": upstream("https://none.lab.test")},
            {"region-asia": "upstream_refused", "region-europe": "upstream_dns"},
            {"region-asia": "dtr_cache_upstreams", "region-europe": "dtr_cache_upstreams"},
        ),
        Trouble(
            {"region-asia": no_secret, "region-europe": no_label},
            {"region-asia": "secret_missing", "region-europe": "swarm placement"},
            {
                "region-asia": "Let the service have that secret under that name, or take the file out of config.yml, "
                "and run dtr.cache.deploy again",
                "region-europe": "Run dtr.cache.deploy, which sets the label",
            },
        ),
    ],
}


@pytest.mark.parametrize("mended", TROUBLES)
def test_what_diagnose_says_mends_the_region(fleet: Fleet, mended: str) -> None:
    told = []
    try:
        for trouble in TROUBLES[mended]:
            for region, breaks in trouble.breaks.items():
                breaks(fleet, region)
            told.append(fleet.diagnosed())
    finally:
        fleet.must(mended)
    for trouble, found in zip(TROUBLES[mended], told, strict=True):
        causes = {region: [cause["cause"] for cause in each["causes"]] for region, each in found.items()}
        assert {region: each[0] for region, each in causes.items()} == trouble.causes, causes
        for region, fix in trouble.fixes.items():
            assert fix in found[region]["fix"]
    fleet.is_well()


def test_a_full_disk_and_a_port_that_is_taken(fleet: Fleet) -> None:
    node, image = "europe-1", "docker/dtr-content-cache:2.7.4"
    fleet.docker("region-europe", "service", "scale", "--detach", f"{SERVICE}=0")
    fleet.lab.wait_until_idle(node)
    fleet.docker(
        *("region-europe", "run", "--detach", "--name", "squatter", "--publish", "443:443"),
        *("--entrypoint", "/bin/busybox", image, "sleep", "3600"),
    )
    try:
        fleet.docker("region-europe", "service", "scale", "--detach", f"{SERVICE}=1")
        # What it has already would be served from the fullest disk.
        fill = f"rm -rf {STORAGE}/docker; dd if=/dev/zero of={STORAGE}/filler bs=64k 2>/dev/null || true"
        fleet.lab.inside(NODES["region-asia"], "sh", "-c", fill)
        fleet.until_failed("region-europe")
        verified = fleet.play("verify", "--limit", "region-asia")
        told = fleet.play("status")
        found = fleet.diagnosed()
    finally:
        fleet.docker("region-europe", "rm", "--force", "squatter")
        fleet.lab.inside(NODES["region-asia"], "rm", "-f", f"{STORAGE}/filler")
        mended = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=1)
    assert verified.code != 0
    assert "it reaches its upstream, but cannot store or read the layer. Its storage may be full" in verified.output
    assert re.search(r"The cache's log, .* its disk is full\. Make room on the cache's volume", verified.output)
    assert verified.regions()["region-asia"]["result"].startswith("failed at: Probe the cache")
    rows = {row["region"]: row for row in stats(told)["dtr_cache_status"]["regions"]}
    assert rows["region-asia"]["cause"].startswith("cache->DTR, pull: asked for a layer of engineering/app:1.0")
    causes = {region: each["causes"][0]["cause"] for region, each in found.items()}
    assert causes == {"region-asia": "disk_full", "region-europe": "port_in_use"}
    assert "Make room" in found["region-asia"]["fix"]
    assert "Stop what listens there" in found["region-europe"]["fix"]
    until(lambda: [task["Status"]["State"] for task in fleet.tasks("region-europe")].count("running") == 1, "a replica")
    assert fleet.health(wait=True)["healthy"]
    # The replica is the same, and what it has met since then is what counts.
    fleet.is_well(dtr_cache_logs_since=mended.strftime("%Y-%m-%dT%H:%M:%SZ"))


def test_a_stack_that_is_gone_accounts_and_caches_that_nobody_declares(fleet: Fleet) -> None:
    control = fleet.lab.control
    state = control.state()
    fleet.docker("region-asia", "stack", "rm", "dtr-cache")
    fleet.lab.wait_until_gone("dtr-cache", "asia-1", ["asia-2"])
    orphan = {"id": "orphan", "name": "region-old", "host": "https://asia-3.lab.test:7"}
    lost = {"bob": "gone", "user00007": "gone", "user00008": "orphan"}
    control.set_state([*state["content_caches"], orphan], {**state["settings"], **lost})
    verified, told, found = fleet.play("verify"), fleet.play("status"), fleet.diagnosed()

    assert {region: counts["failed"] for region, counts in verified.recap.items() if region in MANAGERS} == {
        "region-asia": 1,
        "region-europe": 1,
    }
    no_stack = "the Swarm has no stack that publishes this cache"
    assert f"region-asia: client->cache, deployment: {no_stack}." in verified.output
    assert "client->DTR, assignments: assigned to a cache that no longer exists: bob." in verified.output

    report = stats(told)["dtr_cache_status"]
    rows = {row["region"]: row for row in report["regions"]}
    problems = {region: [problem["cause"] for problem in row["problems"]] for region, row in rows.items()}
    assert f"client->cache, deployment: {no_stack}." in problems["region-asia"]
    assert problems["region-europe"] == ["1 account is assigned to a cache that no longer exists: bob."]
    assert "dtr.cache.assign" in rows["region-europe"]["hint"]
    (registry,) = report["registries"]
    assert registry["dangling"] == 1
    assert registry["cause"] == (
        "1 account is assigned to region-old (https://asia-3.lab.test:7), which no region declares and which does not "
        "answer: port 7 refuses connections."
    )
    assert registry["cause"] in told.output
    assert "dtr.cache.content_caches (state absent)" in registry["hint"]
    assert found["region-asia"]["causes"][0]["cause"] == "no_service"
    assert "dtr.cache.deploy" in found["region-asia"]["fix"]
    assert any(no_stack in text for text in found["region-asia"]["causes"][0]["evidence"])

    fleet.must("deploy")
    fleet.dtr("content_caches", caches=[{"name": "region-old", "host": orphan["host"], "state": "absent"}])
    fleet.dtr("cache_assignments", assignments=[{"cache": "local", "accounts": ["user00007"]}])
    report = stats(fleet.must("status"))["dtr_cache_status"]
    assert report["well"]
    assert control.state()["settings"].keys() == {"alice", "bob"}
