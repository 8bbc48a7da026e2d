# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a cache fails: real caches that fail in each way, and what their logs and the Swarm's tasks are found to tell.

The caches are services of their own, made past the collection; several fail at a time, and after that all are mended as
their hints have it.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import json
import random
import re
import threading
import time
import typing as t
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import requests
import yaml
from ansible_collections.dtr.cache.plugins.module_utils.logs.findings import findings_of
from ansible_collections.dtr.cache.plugins.module_utils.swarm.engine import Engine
from ansible_collections.dtr.cache.plugins.module_utils.swarm.model import NAMESPACE_LABEL
from docker.types import EndpointSpec, Mount, Resources, RestartPolicy
from moto.server import ThreadedMotoServer

from .authority import Authority
from .conftest import Lab, Play, until

IMAGE = "docker/dtr-content-cache:2.7.4"
NODE = "asia-2"
CONTROL = "198.18.57.1"
SECRET = "Zm9yYmlkZGVuLXRvLXNob3c"
FILES = 'printf %s "$CONFIG" > /config.yml; printf %s "$CERTIFICATE" > /cert.pem; printf %s "$KEY" > /key.pem; '
SERVE = FILES + 'printf %s "$CA" > /ca.pem; exec /start.sh /config.yml'
DIGEST = f"sha256:{'1' * 64}"
BLOB = random.Random(0).randbytes(4 * 1024 * 1024)
BLOB_DIGEST = f"sha256:{hashlib.sha256(BLOB).hexdigest()}"
BUCKET = "layers"
# Longer than Swarm's pause before the second start.
SECONDS_TO_FAIL = 40


class Case(t.NamedTuple):
    """A cache and what is wrong with it."""

    config: dict[str, t.Any] | str = {}  # noqa: RUF012 (a tuple's default is never changed)
    environment: dict[str, str] = {}  # noqa: RUF012
    options: dict[str, t.Any] = {}  # noqa: RUF012
    asked: bool = False


def configuration(**changes: t.Any) -> dict[str, t.Any]:
    options = {"upstreams": ["https://dtr.lab.test"], "cas": ["/ca.pem"], **changes.pop("options", {})}
    return {
        "version": 0.1,
        "storage": {"inmemory": {}},
        "http": {"addr": ":5000", "secret": "s" * 32},
        "middleware": {"registry": [{"name": "downstream", "options": options}]},
        **changes,
    }


class Upstream(http.server.BaseHTTPRequestHandler):
    """Has any blob, and any of them is larger than the disk of the cache."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(BLOB)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(BLOB)

    def log_message(self, *_arguments: t.Any) -> None:
        pass


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer((CONTROL, 0), Upstream)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://{CONTROL}:{server.server_address[1]}"
    server.shutdown()


class Store:
    """An object store with one user, who may do everything, and one bucket."""

    def __init__(self) -> None:
        self.server = ThreadedMotoServer(CONTROL, 0, verbose=False)
        self.server.start()
        _host, port = self.server.get_host_and_port()
        self.address = f"http://{CONTROL}:{port}"
        anybody = {"aws_access_key_id": "anybody", "aws_secret_access_key": "anything"}
        manager = boto3.client("iam", endpoint_url=self.address, region_name="us-east-1", **anybody)
        manager.create_user(UserName="cache")
        everything = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}
        manager.put_user_policy(UserName="cache", PolicyName="all", PolicyDocument=json.dumps(everything))
        key = manager.create_access_key(UserName="cache")["AccessKey"]
        self.keys = {"accesskey": key["AccessKeyId"], "secretkey": key["SecretAccessKey"]}
        self.create(BUCKET)
        # From now on it looks at keys and signatures.
        requests.post(f"{self.address}/moto-api/reset-auth", data=b"0", timeout=10).raise_for_status()

    def client(self) -> t.Any:
        keys = {"aws_access_key_id": self.keys["accesskey"], "aws_secret_access_key": self.keys["secretkey"]}
        return boto3.client("s3", endpoint_url=self.address, region_name="us-east-1", **keys)

    def create(self, bucket: str) -> None:
        self.client().create_bucket(Bucket=bucket)

    def sizes(self, bucket: str, folder: str) -> list[int]:
        found = self.client().list_objects_v2(Bucket=bucket, Prefix=f"{folder}/")
        return [each["Size"] for each in found.get("Contents", [])]

    def storage(self, folder: str, **changes: str) -> dict[str, t.Any]:
        options = {"region": "us-east-1", "regionendpoint": self.address, "bucket": BUCKET, **self.keys}
        options["rootdirectory"] = f"/{folder}"
        # Clients get their layers from the cache itself.
        return {"s3": {**options, "secure": False, **changes}, "redirect": {"disable": True}}


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    made = Store()
    yield made
    made.server.stop()


class Caches:
    """Makes caches on one node, each a stack of its own, and asks what is wrong with them."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.client = lab.engine("asia-1")
        self.address = next(node["address"] for node in lab.status["nodes"] if node["name"] == NODE)
        self.ports: dict[str, int] = {}
        params = dict.fromkeys(("ca_path", "client_cert", "client_key", "tls", "validate_certs"))
        docker_host = next(node["docker_host"] for node in lab.status["nodes"] if node["name"] == "asia-1")
        self.engine = Engine({**params, "docker_host": docker_host, "api_version": "auto", "engine_timeout": 60})

    def environment(self, case: Case) -> list[str]:
        """What the container makes its files of."""
        config = case.config if isinstance(case.config, str) else yaml.safe_dump(case.config)
        authority = Path(self.lab.status["registry"]["ca_path"]).read_text()
        values = {"CONFIG": config, "CA": authority, "CERTIFICATE": "", "KEY": "", **case.environment}
        return [f"{name}={value}" for name, value in values.items()]

    def service(self, name: str, case: Case) -> dict[str, t.Any]:
        """What the Swarm is told of a cache."""
        ports: t.Any = {}
        if case.asked:
            port = self.ports.setdefault(name, 5001 + len(self.ports))
            ports = {port: (5000, "tcp", "host")}
        return {
            "image": IMAGE,
            "name": f"{name}_cache",
            "labels": {NAMESPACE_LABEL: name},
            "container_labels": {NAMESPACE_LABEL: name},
            "constraints": [f"node.hostname == {NODE}"],
            "command": ["/bin/busybox", "sh", "-c", SERVE],
            "env": self.environment(case),
            "endpoint_spec": EndpointSpec(ports=ports),
            "restart_policy": RestartPolicy(delay=1_000_000_000),
            "resources": Resources(mem_limit=64 * 1024 * 1024),
            **case.options,
        }

    def make(self, name: str, case: Case) -> None:
        self.client.services.create(**self.service(name, case))

    def mend(self, name: str, case: Case) -> None:
        self.client.services.get(f"{name}_cache").update(**self.service(name, case))

    def ask(self, name: str, query: str = "", digest: str = DIGEST) -> int:
        """The status of a cache's answer for a blob that it has to fetch, when it answers at all."""
        url = f"http://{self.address}:{self.ports[name]}/v2/eng/app/blobs/{digest}{query}"
        deadline = time.monotonic() + SECONDS_TO_FAIL
        while True:
            try:
                with urllib.request.urlopen(url, timeout=30) as answer:
                    return int(answer.status)
            except urllib.error.HTTPError as error:
                return error.code
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.2)

    def look(self, name: str, *, lines: int = 20_000, seconds: float = 60) -> dict[str, t.Any]:
        return findings_of(self.engine, {"name": name, "since": "1h", "lines": lines, "timeout": seconds})

    def is_well(self, name: str) -> bool:
        """Whether a replica of the newest definition runs, and nothing that was found counts any more."""
        service = self.client.services.get(f"{name}_cache")
        newest = service.attrs["Spec"]["TaskTemplate"]["ContainerSpec"]
        runs = any(
            task["Status"]["State"] == "running" and task["Spec"]["ContainerSpec"] == newest for task in service.tasks()
        )
        return runs and not any(found["current"] for found in self.look(name)["findings"])

    def finding(self, name: str, cause: str) -> dict[str, t.Any]:
        """A finding, when it is there."""
        deadline = time.monotonic() + SECONDS_TO_FAIL
        while True:
            found = self.look(name)["findings"]
            match = [each for each in found if each["cause"] == cause]
            if match or time.monotonic() > deadline:
                assert match, found
                return match[0]
            time.sleep(0.5)


OTHER = Authority()
OWN = OTHER.issue("cache.lab.test")
WITH_TLS = configuration(
    http={"addr": ":5000", "secret": "s" * 32, "tls": {"certificate": "/cert.pem", "key": "/key.pem"}}
)
WELL = configuration()
UNTRUSTED = configuration(options={"cas": []})
FULL = {"mounts": [Mount("/var/lib/registry", None, type="tmpfs", tmpfs_size=1024 * 1024)]}

CASES: dict[str, tuple[str, Case]] = {
    "syntax": ("configuration_syntax", Case("storage: [")),
    "missing": ("configuration_missing", Case(options={"command": ["/start.sh", "/nowhere.yml"]})),
    "driver": ("storage_driver_unknown", Case(configuration(storage={"floppy": {"secretkey": SECRET}}))),
    "option": ("middleware_configuration", Case(configuration(options={"blobttl": "1d"}))),
    "secret": ("secret_missing", Case(configuration(options={"cas": ["/run/secrets/dtr.cert.pem"]}))),
    "key": (
        "key_mismatch",
        Case(WITH_TLS, {"CERTIFICATE": OWN.chain, "KEY": OTHER.issue("cache.lab.test").key}),
    ),
    "image": ("image_missing", Case(options={"image": "docker/not-there:1"})),
    "node": ("no_node", Case(options={"constraints": ["node.hostname == nowhere"]})),
    "program": ("entrypoint_missing", Case(options={"command": ["/not-there.sh"]})),
    "untrusted": ("upstream_ca_unknown", Case(UNTRUSTED, asked=True)),
    "terminal": ("upstream_ca_unknown", Case(UNTRUSTED, options={"tty": True}, asked=True)),
    "json": ("upstream_ca_unknown", Case({**UNTRUSTED, "log": {"formatter": "json"}}, asked=True)),
    "refused": (
        "upstream_refused",
        Case(configuration(options={"upstreams": ["https://dtr.lab.test:1"]}), asked=True),
    ),
    "name": ("upstream_dns", Case(configuration(options={"upstreams": ["https://none.lab.test"]}), asked=True)),
    "rejected": ("upstream_token_rejected", Case(configuration(), asked=True)),
}

# What the hints of these say, done.
MENDED: dict[str, Case] = {
    **dict.fromkeys(("syntax", "missing", "driver", "option", "secret", "image", "node", "program"), Case(WELL)),
    "key": Case(WITH_TLS, {"CERTIFICATE": OWN.chain, "KEY": OWN.key}),
    "untrusted": Case(WELL, asked=True),
    "terminal": Case(WELL, options={"tty": True}, asked=True),
    "json": Case({**WELL, "log": {"formatter": "json"}}, asked=True),
    "refused": Case(WELL, asked=True),
    "name": Case(WELL, asked=True),
}

# What is wrong with the storage of a cache whose storage is objects, and the cause that has to be told.
STORAGES: dict[str, tuple[str, dict[str, str]]] = {
    "user": ("storage_credentials", {"accesskey": "AKIANOBODYHASTHISKEY"}),
    "password": ("storage_credentials", {"secretkey": SECRET}),
    "bucket": ("storage_bucket_missing", {"bucket": "not-there"}),
    "endpoint": ("storage_unreachable", {"regionendpoint": f"http://{CONTROL}:1"}),
    "region": ("storage_configuration", {"region": "nowhere", "regionendpoint": ""}),
}


def with_storage(upstream: str, storage: dict[str, t.Any]) -> Case:
    return Case(configuration(options={"upstreams": [upstream]}, storage=storage), asked=True)


@pytest.fixture(scope="module")
def caches(lab: Lab, upstream: str, store: Store) -> Iterator[Caches]:
    lab.clean()
    made = Caches(lab)
    for name, (_cause, case) in CASES.items():
        made.make(name, case)
    for name, (_cause, changes) in STORAGES.items():
        made.make(name, with_storage(upstream, store.storage(name, **changes)))
    disk = configuration(
        options={"upstreams": [upstream]}, storage={"filesystem": {"rootdirectory": "/var/lib/registry"}}
    )
    made.make("disk", Case(disk, options=FULL, asked=True))
    yield made
    lab.clean()
    made.client.close()


@pytest.mark.parametrize("name", CASES)
def test_the_log_or_the_task_names_the_cause(caches: Caches, name: str) -> None:
    cause, case = CASES[name]
    if case.asked:
        assert caches.ask(name, f"?signature={SECRET}") in (401, 403, 503)
    found = caches.finding(name, cause)
    assert found["current"]
    assert found["count"] >= 1
    assert found["nodes"] == ([] if name == "node" else [NODE])
    assert found["hint"]
    everything = caches.look(name)
    assert SECRET not in json.dumps(everything)
    assert everything["unread"] == []
    others = {each["cause"] for each in everything["findings"]} - {cause, "container_ended"}
    assert not others, "and nothing else"


def test_a_full_disk(caches: Caches) -> None:
    assert caches.ask("disk") == 503
    found = caches.finding("disk", "disk_full")
    assert "no space left on device" in found["sample"]
    assert [each["cause"] for each in caches.look("disk")["findings"]] == ["disk_full"]


@pytest.mark.parametrize("name", STORAGES)
def test_the_log_names_what_is_wrong_with_an_object_store(caches: Caches, name: str) -> None:
    cause, _changes = STORAGES[name]
    if cause != "storage_configuration":
        assert caches.ask(name, digest=BLOB_DIGEST) == 503
    found = caches.finding(name, cause)
    assert found["current"]
    assert "dtr_cache_storage" in found["hint"] or cause == "storage_unreachable"
    everything = caches.look(name)
    assert SECRET not in json.dumps(everything)
    assert {each["cause"] for each in everything["findings"]} - {"container_ended"} == {cause}


def test_what_the_hint_says_mends_the_case_and_what_was_mended_is_over(
    caches: Caches, upstream: str, store: Store
) -> None:
    first = caches.finding("key", "key_mismatch")
    # The cache of "bucket" is left as it is: what is missing is made.
    store.create("not-there")
    stores = {name: with_storage(upstream, store.storage(name)) for name in STORAGES if name != "bucket"}
    mended = {**MENDED, **stores}
    for name, case in mended.items():
        caches.mend(name, case)
    for name in mended:
        until(functools.partial(caches.is_well, name), f"an end of what is wrong with {name}", SECONDS_TO_FAIL)
    for name, (_cause, changes) in STORAGES.items():
        assert [caches.ask(name, digest=BLOB_DIGEST) for _each in range(2)] == [200, 200]
        assert len(BLOB) in store.sizes(changes.get("bucket", BUCKET), name)
    # One that had failed again would be seen to have done so by now.
    assert [name for name in mended if not caches.is_well(name)] == []
    for name, case in MENDED.items():
        if case.asked:
            # It is DTR now that refuses who asks without its signature.
            assert caches.ask(name) in (401, 403)
    again = caches.finding("key", "key_mismatch")
    assert first["first_seen"] == again["first_seen"]
    assert OWN.key.splitlines()[1] not in json.dumps(caches.look("key"))


def test_no_service(caches: Caches) -> None:
    assert [each["cause"] for each in caches.look("not-there")["findings"]] == ["no_service"]


def test_a_huge_log_is_read_in_bounded_time(caches: Caches) -> None:
    line = f'time="x" level=error msg="{"x" * 200}" error="connect: connection refused" http.request.id=$i'
    count = f"i=0; while [ $i -lt 60000 ]; do i=$((i+1)); echo '{line}' $i; done; sleep 1000"
    caches.make("huge", Case(options={"command": ["/bin/busybox", "sh", "-c", count], "stop_grace_period": 1}))
    deadline = time.monotonic() + SECONDS_TO_FAIL
    while caches.look("huge", lines=1000)["lines_read"] < 1000:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    limited = caches.look("huge", lines=1000)
    assert limited["lines_read"] == 1000
    assert "only its newest 1000 lines were read" in limited["unread"][0]
    began = time.monotonic()
    cut = caches.look("huge", lines=10**6, seconds=0.5)
    assert time.monotonic() - began < 5
    assert "not at its end after" in cut["unread"][0]
    assert cut["findings"][0]["cause"] == "upstream_refused"
    assert cut["findings"][0]["count"] > 0


def test_diagnose_while_everything_is_broken(caches: Caches, play: Play) -> None:
    """DTR does not answer, one manager cannot be reached, and the other region's cache does not start."""
    client = caches.lab.engine("europe-1")
    client.services.create(
        IMAGE,
        name="dtr-cache_cache",
        labels={NAMESPACE_LABEL: "dtr-cache"},
        container_labels={NAMESPACE_LABEL: "dtr-cache"},
        command=["/start.sh", "/nowhere.yml"],
        restart_policy=RestartPolicy(delay=1_000_000_000),
    )
    client.close()
    run = play(
        "dtr.cache.diagnose",
        env={"ANSIBLE_SHOW_CUSTOM_STATS": "1", "ANSIBLE_TIMEOUT": "5"},
        dtr_cache_registry_url="https://dtr.lab.test:1",
        ansible_port="{{ 1 if inventory_hostname == 'region-asia' else 22 }}",
    )
    assert run.code == 2
    assert run.total("changed") == 0
    assert {host: counts["failed"] for host, counts in run.recap.items() if host.startswith("region")} == {
        "region-asia": 1,
        "region-europe": 1,
    }
    stats = json.loads(re.findall(r"^\tRUN: (\{.*\})$", run.output, re.MULTILINE)[-1])
    asia, europe = stats["dtr_cache_verdicts"]
    assert (asia["state"], europe["state"]) == ("unhealthy", "unhealthy"), run.output
    assert europe["causes"][0]["cause"] == "configuration_missing"
    assert any("replicas run" in text for text in europe["causes"][0]["evidence"]), "told once, with what follows"
    assert any("port 443 refuses" in text for text in europe["causes"][0]["evidence"])
    for each in (asia, europe):
        assert "client->DTR tcp" in [cause["cause"] for cause in each["causes"]]
        assert all(cause["fix"] for cause in each["causes"] if cause["cause"] != "other"), each
    assert any("cannot be reached" in cause["told"] for cause in asia["causes"])
    shown = run.regions()
    assert shown["region-europe"]["most likely cause"] == "stack dtr-cache on europe-1: it finds no config.yml."
    for secret in (*caches.lab.passwords.values(), caches.lab.status["registry"]["admin"]["password"]):
        assert secret not in run.output
