# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(cache_health) before caches that fail for real: edge, check, cause and hint, and that the hint mends the case.

All that do not depend on each other are looked at in one run of the module, once as they fail, and once after what the
hint says was done.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import http.client
import json
import os
import ssl
import subprocess
import sys
import threading
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.logs.causes import STARTING
from ansible_collections.dtr.cache.plugins.module_utils.logs.findings import Collector
from ansible_collections.dtr.cache.plugins.module_utils.swarm.task_logs import LogLine
from ansible_collections.dtr.cache.plugins.module_utils.x509.certificates import fingerprint, load_certificates
from ansible_collections.dtr.cache.tests.unit.support.modules import run_module

from .authority import DAY, Authority, Issued
from .conftest import PROJECT, Lab
from .health_field import DTR, HOST, SMALL, Front, Node, Serve

sys.path.insert(0, str(Path(__file__).parents[1] / "lab" / "registry"))
import standin_harness as harness
from labkit.names import node_resolver

TO_CACHE, TO_UPSTREAM, TO_DTR = "client->cache", "cache->DTR", "client->DTR"
FIRST_PORT = 7443
YEAR = datetime.timedelta(days=365)
IMAGE = "engineering/app:1.0"
# What a dropped packet costs, and more than that, so that this is told.
SECONDS, ALL_SECONDS = 10.0, 15.0

Json = dict[str, t.Any]
Check = tuple[str, str]


@dataclasses.dataclass
class Case:
    """A cache that fails.

    Args:
        failed: The checks that fail; the first of them is named as the likely cause.
        cause: A part of what was seen.
        hint: A part of what to do.
        ill: How it is run while it fails; nothing is run without it.
        well: How it is run after that.
        entry: What the task says of it besides its name, URL and CA, while it fails.
        mended: The same after that.
    """

    failed: list[Check]
    cause: str
    hint: str
    ill: Serve | None
    well: Serve
    entry: Json = dataclasses.field(default_factory=dict)
    mended: Json = dataclasses.field(default_factory=dict)


class World(t.NamedTuple):
    """The lab's registry, a node for caches, and who signs their certificates."""

    lab: Lab
    node: Node
    authority: Authority
    stranger: Authority
    good: Issued
    serve: Serve

    def connection(self) -> Json:
        return {
            "url": DTR,
            "username": "admin",
            "password": self.lab.passwords["admin"],
            "ca_path": self.lab.status["registry"]["ca_path"],
            "timeout": 30,
        }

    def look(self, caches: list[Json], **options: t.Any) -> Json:
        return run_module("cache_health", caches=caches, **{**self.connection(), **options})

    def entry(self, name: str, port: int, **changes: t.Any) -> Json:
        entry = {"name": name, "url": f"https://{HOST}:{port}", "ca_certificate": self.authority.root}
        return {**entry, **changes}

    def register(self, entries: list[Json], **settings: str) -> None:
        """Register caches, each with its name as its id, and assign accounts to them, past all checks."""
        self.lab.control.set_state(registered(entries), settings)


def registered(entries: list[Json]) -> list[dict[str, str]]:
    return [{"id": each["name"], "name": each["name"], "host": each["url"]} for each in entries]


@pytest.fixture(scope="module")
def world(lab: Lab) -> Iterator[World]:
    lab.control.reset(data=True)
    node = Node(lab)
    authority, stranger = Authority(), Authority("Strange")
    good = authority.issue(HOST)
    dtr_ca = Path(lab.status["registry"]["ca_path"]).read_text()
    with contextlib.ExitStack() as stack:
        stack.callback(node.clear)
        yield World(lab, node, authority, stranger, good, Serve(good, cas=dtr_ca))
    lab.control.reset(data=True)


def cases(world: World) -> dict[str, Case]:
    """All that one run of the module can look at, by the name of the cache."""
    serve, good, authority = world.serve, world.good, world.authority
    now = datetime.datetime.now(datetime.UTC)
    ends = "certificate or key is wrong ends right after its start, and its log says so"

    def identity(**validity: t.Any) -> Serve:
        return serve._replace(identity=authority.issue(HOST, **validity))

    found = {
        "untrusted-upstream": Case(
            [(TO_UPSTREAM, "upstream")],
            "gets nothing from its upstream",
            "are as upstreams and cas of its configuration say",
            serve._replace(cas=world.stranger.root),
            serve,
        ),
        "untrusted-cache": Case(
            [(TO_CACHE, "chain")],
            "CN=Test root, the issuer of CN=Test intermediate, is neither sent by the server nor trusted",
            "trust it by ca_path or ca_certificate of the cache in this task, and on every Docker client",
            serve,
            serve,
            {"ca_certificate": world.stranger.root},
        ),
        "wrong-name": Case(
            [(TO_CACHE, "host_name")],
            f"covers other.lab.test, and not {HOST}",
            "have the cache's certificate issued for this one",
            serve._replace(identity=authority.issue("other.lab.test")),
            serve,
        ),
        "expired": Case(
            [(TO_CACHE, "validity")],
            "the certificate expired on",
            "Renew the cache's certificate",
            identity(end=now - DAY),
            serve,
        ),
        "expires-soon": Case(
            [(TO_CACHE, "validity")],
            "expires in 2 days",
            "Renew the cache's certificate",
            identity(end=now + 3 * DAY),
            serve,
        ),
        "not-yet-valid": Case(
            [(TO_CACHE, "validity")],
            "not valid before",
            "have one issued that is valid now",
            identity(begin=now + 2 * DAY),
            serve,
        ),
        "intermediate-missing": Case(
            [(TO_CACHE, "chain")],
            "CN=Test intermediate, the issuer of CN=asia-2.lab.test, is neither sent",
            "If CN=Test intermediate is an intermediate CA, append its certificate to the cache's certificate file",
            serve._replace(chain=good.certificate),
            serve,
        ),
        "wrong-order": Case(
            [(TO_CACHE, "chain")],
            "sent in the wrong order",
            "the server's own first, then each one's issuer",
            serve._replace(chain=good.certificate + authority.root + authority.intermediate),
            serve,
        ),
        "reversed": Case(
            [(TO_CACHE, "tcp")],
            "refuses connections",
            ends,
            serve._replace(chain=authority.intermediate + good.certificate, ends=True),
            serve,
        ),
        "other-key": Case(
            [(TO_CACHE, "tcp")],
            "refuses connections",
            ends,
            serve._replace(key=authority.issue(HOST).key, ends=True),
            serve,
        ),
        "plain-http": Case(
            [(TO_CACHE, "tls")],
            "speaks plain HTTP",
            "that certificate and key are in the configuration of the cache (http.tls)",
            serve._replace(identity=None),
            serve,
        ),
        "closed": Case(
            [(TO_CACHE, "tcp")],
            "refuses connections",
            "Check that the cache's service runs and publishes this port",
            None,
            serve,
        ),
        "filtered": Case(
            [(TO_CACHE, "tcp")],
            f"within {SECONDS:g} seconds",
            "Let firewalls on the way pass TCP port",
            serve,
            serve,
        ),
        "registered-elsewhere": Case(
            [(TO_DTR, "registration")],
            "DTR sends to https://old.lab.test, which is not",
            "register the right one with dtr.cache.content_caches",
            serve,
            serve,
        ),
        "registered-twice": Case(
            [(TO_DTR, "registration")],
            "DTR has 2 content caches named registered-twice",
            "dtr.cache.content_caches leaves one of them",
            serve,
            serve,
        ),
        "not-registered": Case(
            [(TO_DTR, "registration")],
            "DTR has no content cache named not-registered",
            "Register it with dtr.cache.content_caches",
            serve,
            serve,
        ),
        "no-stack": Case(
            [(TO_CACHE, "deployment"), (TO_CACHE, "tcp")],
            "the Swarm has no stack that publishes this cache",
            "Deploy it with dtr.cache.deploy",
            None,
            serve,
            {"published_ports": []},
        ),
        "other-port": Case(
            [(TO_CACHE, "deployment"), (TO_CACHE, "tcp")],
            "and the stack publishes 9",
            "Set dtr_cache_port to the port that clients are to use",
            None,
            serve,
            {"published_ports": [9]},
        ),
        "older-certificate": Case(
            [(TO_CACHE, "validity"), (TO_CACHE, "certificate")],
            "the certificate expired on",
            "run dtr.cache.deploy or dtr.cache.rotate with the certificate that is wanted",
            identity(end=now - DAY),
            serve,
            {"certificate": good.certificate},
            {"certificate": good.certificate},
        ),
        "other-certificate": Case(
            [(TO_CACHE, "certificate")],
            "the server has another certificate than the wanted one",
            "The replicas run with another secret",
            identity(),
            serve,
            {"certificate": good.certificate},
            {"certificate": fingerprint(load_certificates(good.certificate)[0])},
        ),
    }
    for port, name in enumerate(found, FIRST_PORT):
        if name in ("no-stack", "other-port"):
            found[name].mended["published_ports"] = [port]
    return found


class Looked(t.NamedTuple):
    """All cases, as they failed and as they are after what the hints say was done."""

    cases: dict[str, Case]
    before: Json
    after: Json
    logs: dict[str, set[str]]


@pytest.fixture(scope="module")
def looked(world: World) -> Looked:
    found = cases(world)
    ports = {name: port for port, name in enumerate(found, FIRST_PORT)}
    entries = {name: world.entry(name, port) for name, port in ports.items()}
    elsewhere = {**entries["registered-elsewhere"], "url": "https://old.lab.test"}
    known = {**entries, "registered-elsewhere": elsewhere}
    del known["not-registered"]
    twice = {"id": "another", "name": "registered-twice", "host": "https://old.lab.test"}
    world.lab.control.set_state([*registered([*known.values()]), twice], {})
    ill = {ports[name]: case.ill for name, case in found.items() if case.ill}
    world.node.run(ill)
    world.node.filter(ports["filtered"], on=True)
    try:
        before = world.look([{**entries[name], **case.entry} for name, case in found.items()], timeout=ALL_SECONDS)
        # "Its log says so", as the hint has it.
        logs = {name: told_by_log(world, ports[name]) for name in ("untrusted-upstream", "reversed", "other-key")}
        world.node.run({ports[name]: case.well for name, case in found.items() if case.well is not case.ill})
    finally:
        world.node.filter(ports["filtered"], on=False)
    repaired = run_module(
        "content_caches",
        url=DTR,
        username="admin",
        password=world.lab.passwords["admin"],
        ca_path=world.lab.status["registry"]["ca_path"],
        # Without a look at ten thousand accounts, none of which pulls from one of these.
        reassign=False,
        caches=[
            {"name": name, "host": entries[name]["url"]}
            for name in ("registered-elsewhere", "registered-twice", "not-registered")
        ],
    )
    assert repaired["changed"]
    after = world.look([{**entries[name], **case.mended} for name, case in found.items()])
    return Looked(found, before, after, logs)


def told_by_log(world: World, port: int) -> set[str]:
    """The causes that C(cache_logs_info) knows in the log of a cache."""
    collector = Collector()
    for text in world.node.log(port).splitlines():
        collector.take_line(LogLine("", "node", "task", text))
    return set(collector.findings)


def failed(row: Json) -> list[Check]:
    return [(check["edge"], check["check"]) for check in row["checks"] if check["ok"] is False]


def of(result: Json, name: str) -> Json:
    return next(row for row in result["caches"] if row["name"] == name)


def wrong_with(result: Json, name: str, case: Case) -> list[str]:
    """What the result says otherwise of a case than it should."""
    row = of(result, name)
    edge, check = case.failed[0]
    likely = [each for each in row["checks"] if each["ok"] is False and (each["edge"], each["check"]) == (edge, check)]
    problems = []
    if sorted(failed(row)) != sorted(case.failed):
        problems.append(f"{name}: {failed(row)} failed, not {case.failed}")
    for found in likely:
        if case.cause not in found["detail"]:
            problems.append(f"{name}: {found['detail']}")
        if case.hint not in found["hint"]:
            problems.append(f"{name}: {found['hint']}")
        if f"{name}: {edge}, {check}: {found['detail']} {found['hint']}" not in result["msg"]:
            problems.append(f"{name} is told otherwise")
    return problems


def test_each_case_has_its_edge_its_check_its_cause_and_its_hint(looked: Looked) -> None:
    assert looked.before["failure"]["code"] == "UNHEALTHY"
    assert [text for name, case in looked.cases.items() for text in wrong_with(looked.before, name, case)] == []


def test_the_log_that_a_hint_leads_to_names_the_reason(looked: Looked) -> None:
    assert looked.logs == {
        "untrusted-upstream": {"upstream_ca_unknown"},
        "reversed": {"key_mismatch"},
        "other-key": {"key_mismatch"},
    }
    # Go says the same of both, so both are mended by what is said of it.
    mismatch = next(cause for cause in STARTING if cause.code == "key_mismatch")
    assert "Put the cache's own certificate first" in mismatch.hint
    assert "the dtr_cache_private_key that belongs to the first" in mismatch.hint


def test_what_the_hint_says_mends_the_case(looked: Looked) -> None:
    assert {row["name"]: failed(row) for row in looked.after["caches"]} == {name: [] for name in looked.cases}
    assert looked.after["healthy"]


# A name server of one's own: /etc/hosts knows nothing, and /etc/resolv.conf what the test says.
APART = 'mount --bind "$1" /etc/resolv.conf; mount --bind /dev/null /etc/hosts; shift; exec "$@"'
SILENT = "nameserver 127.0.0.9\noptions timeout:1 attempts:1\n"


def look_apart(world: World, resolver: str, entry: Json, folder: Path) -> Json:
    """The module's result in a process that asks that name server."""
    (folder / "resolv.conf").write_text(resolver)
    options = {**world.connection(), "caches": [entry]}
    command = ["unshare", "--mount", "--propagation", "private", "bash", "-ec", APART, "bash"]
    command += [str(folder / "resolv.conf"), sys.executable, str(PROJECT / "tests" / "bench" / "run_module.py")]
    # The collection is found where this process has found it.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    given = json.dumps({"module": "cache_health", "options": options})
    # It ends with 1 where the module fails.
    done = subprocess.run(command, input=given, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return t.cast("Json", json.loads(done.stdout))


def test_a_name_that_is_unknown_and_a_name_server_that_does_not_answer(world: World, tmp_path: Path) -> None:
    entry = world.entry("named", PORT)
    world.node.run({PORT: world.serve})
    world.register([entry])
    unknown = {**entry, "url": f"https://cache-of-nobody.lab.test:{PORT}"}
    result = look_apart(world, node_resolver(), unknown, tmp_path)
    assert failed(of(result, "named")) == [(TO_CACHE, "name_resolution"), (TO_DTR, "registration")]
    assert (
        "named: client->cache, name_resolution: the name cache-of-nobody.lab.test is unknown. Check the URL for typing "
        "errors, or add cache-of-nobody.lab.test to DNS" in result["msg"]
    )
    silent = look_apart(world, SILENT, entry, tmp_path)
    assert failed(of(silent, "named")) == [(TO_CACHE, "name_resolution"), (TO_DTR, "name_resolution")]
    assert f"the name server does not answer for {HOST}. Check this machine's name servers" in silent["msg"]
    assert look_apart(world, node_resolver(), entry, tmp_path)["healthy"]


# What needs a registry of its own, or the whole of the lab's


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> harness.Issued:
    return harness.issue(tmp_path_factory.mktemp("other-ca"), "ca")


@contextlib.contextmanager
def other_dtr(world: World, folder: Path, ca: harness.Issued, port: int = 0) -> Iterator[harness.Standin]:
    """A second DTR, on this machine, with few accounts and no images."""
    listen = f"{world.lab.status['control_address']}:{port}"
    with harness.running(folder, "http://127.0.0.1:9", accounts=5, ca=ca, client_ca=ca, listen=listen) as standin:
        yield standin


def at(standin: harness.Standin) -> Json:
    """The module's connection to another DTR."""
    return {"url": standin.url, "password": standin.passwords["admin"], "ca_path": str(standin.ca)}


def look_at_other(world: World, entry: Json, connection: Json, **options: t.Any) -> Json:
    return world.look([entry], **connection, **options)


PORT = FIRST_PORT + 100


def test_a_registry_that_is_down(world: World, tmp_path: Path, authorities: harness.Issued) -> None:
    entry = world.entry("region-asia", PORT)
    with other_dtr(world, tmp_path, authorities) as standin:
        world.node.run({PORT: world.serve._replace(upstream=standin.url, cas=standin.ca.read_text())})
        standin.control.set_state(registered([entry]), {})
        connection = at(standin)
        assert look_at_other(world, entry, connection)["healthy"]
        standin.control.behave(unhealthy="rethinkdb: no quorum")
        unhealthy = look_at_other(world, entry, connection)
        assert failed(of(unhealthy, "region-asia")) == [(TO_DTR, "api")]
        assert "DTR says that it is not healthy (rethinkdb: no quorum). Fix DTR first." in unhealthy["msg"]
        port = int(standin.url.rpartition(":")[2])
    down = look_at_other(world, entry, connection)
    assert sorted(failed(of(down, "region-asia"))) == [(TO_UPSTREAM, "upstream"), (TO_DTR, "tcp")]
    assert (
        f"client->DTR, tcp: port {port} refuses connections. Check host and port of url, and that DTR runs."
        in (down["msg"])
    )
    (upstream,) = [check for check in of(down, "region-asia")["checks"] if check["check"] == "upstream"]
    assert upstream["hint"] == "DTR does not answer this machine either: fix that first, and check again."
    with other_dtr(world, tmp_path, authorities, port):
        assert look_at_other(world, entry, connection)["healthy"]


def test_an_account_whose_cache_is_gone(world: World, tmp_path: Path, authorities: harness.Issued) -> None:
    entry = world.entry("region-asia", PORT)
    world.node.run({PORT: world.serve})
    with other_dtr(world, tmp_path, authorities) as standin:
        standin.control.set_state(registered([entry]), {"alice": "long-gone", "bob": "region-asia"})
        result = look_at_other(world, entry, at(standin), check_accounts=True)
        assert failed(of(result, "region-asia")) == [(TO_DTR, "assignments")]
        assert (
            "assigned to a cache that no longer exists: alice. Assign them to a cache that exists, or to local"
            in (result["msg"])
        )
        assignment = {"cache": "region-asia", "accounts": ["alice"]}
        assert run_module("cache_assignments", username="admin", **at(standin), assignments=[assignment])["changed"]
        assert look_at_other(world, entry, at(standin), check_accounts=True)["healthy"]
        assert standin.control.state()["settings"]["alice"] == "region-asia"


def test_a_registry_that_is_read_only(world: World) -> None:
    entry = world.entry("region-asia", PORT)
    world.node.run({PORT: world.serve})
    world.register([entry])
    world.lab.control.behave(read_only_registry=True)
    try:
        result = world.look([entry])
        assert failed(of(result, "region-asia")) == [(TO_DTR, "read_only")]
        assert "DTR is in read-only mode. Images can be pulled, but not pushed." in result["msg"]
        assert world.look([entry], check_read_only=False)["healthy"]
    finally:
        world.lab.control.behave(read_only_registry=False)
    assert world.look([entry])["healthy"]


def test_a_full_disk_and_a_refused_signature(world: World, tmp_path: Path, authorities: harness.Issued) -> None:
    full = world.entry("full", PORT, account="alice")
    refused = world.entry("refused", PORT + 1, account="bob")
    strayed = world.entry("strayed", PORT + 2, account="carol")
    world.register([full, refused, strayed], alice="full", bob="refused")
    with other_dtr(world, tmp_path, authorities) as standin:
        of_another = world.serve._replace(upstream=standin.url, cas=standin.ca.read_text())
        serves = {PORT: world.serve._replace(storage=SMALL), PORT + 1: of_another, PORT + 2: world.serve}
        world.node.run(serves)
        world.node.shell(f"busybox dd if=/dev/zero of={SMALL}/filler bs=1k 2>/dev/null || true")
        assert world.look([full, refused])["healthy"], "without an image to ask for, nobody can know"
        result = world.look([full, refused, strayed], image=IMAGE)
    rows = {name: of(result, name) for name in ("full", "refused", "strayed")}
    assert {name: failed(row) for name, row in rows.items()} == {
        "full": [(TO_UPSTREAM, "pull")],
        "refused": [(TO_UPSTREAM, "pull")],
        "strayed": [(TO_DTR, "pull")],
    }
    assert told_by_log(world, PORT) == {"disk_full"}
    assert told_by_log(world, PORT + 1) == {"upstream_token_rejected"}
    assert "full: cache->DTR, pull: " in result["msg"]
    assert "it reaches its upstream, but cannot store or read the layer. Its storage may be full" in result["msg"]
    assert "answers 403 Forbidden: its upstream does not take the signature. Check that upstreams" in result["msg"]
    assert "DTR sends account carol to itself for a layer of engineering/app:1.0" in result["msg"]
    world.node.shell(f"busybox rm {SMALL}/filler")
    world.node.run({PORT + 1: world.serve})
    world.register([full, refused, strayed], alice="full", bob="refused", carol="strayed")
    assert world.look([full, refused, strayed], image=IMAGE)["healthy"]


class Clocks(t.NamedTuple):
    """A cache, its upstream and DTR, each behind a machine whose clock can be set; and how they are looked at."""

    cache: Front
    upstream: Front
    dtr: Front
    look: t.Callable[[], Json]


@pytest.fixture
def clocks(world: World, tmp_path: Path) -> Iterator[Clocks]:
    address, name = world.lab.status["control_address"], "control.lab.test"
    trust = ssl.create_default_context(cafile=world.lab.status["registry"]["ca_path"])

    def to_cache() -> http.client.HTTPConnection:
        return http.client.HTTPConnection(HOST, PORT, timeout=10)

    def to_dtr() -> http.client.HTTPConnection:
        return http.client.HTTPSConnection(DTR.removeprefix("https://"), timeout=10, context=trust)

    with contextlib.ExitStack() as stack:
        fronts = [
            stack.enter_context(contextlib.closing(Front(behind, world.authority, address, name, shifted=shifted)))
            for behind, shifted in ((to_cache, False), (to_dtr, True), (to_dtr, False))
        ]
        cache, upstream, dtr = fronts
        entry = world.entry("late", 0, url=f"https://{name}:{cache.port}")
        world.register([entry])
        plain = world.serve._replace(identity=None)
        world.node.run(
            {PORT: plain._replace(upstream=f"https://{name}:{upstream.port}", cas=world.authority.root)},
        )
        (tmp_path / "ca.pem").write_text(world.authority.root)
        connection = {"url": f"https://{name}:{dtr.port}", "ca_path": str(tmp_path / "ca.pem")}
        yield Clocks(cache, upstream, dtr, lambda: world.look([entry], **connection))


@pytest.mark.parametrize(
    ("off", "told", "cause"),
    [
        (-YEAR, "365 days behind", "upstream_not_yet_valid"),
        (YEAR, "365 days ahead of", "upstream_expired"),
    ],
)
def test_a_clock_that_is_off_by_a_year(
    world: World, clocks: Clocks, off: datetime.timedelta, told: str, cause: str
) -> None:
    assert clocks.look()["healthy"]
    # The node of the cache: what it says of itself, and how DTR's certificate looks to it.
    clocks.cache.off = clocks.upstream.off = off
    result = clocks.look()
    row = of(result, "late")
    assert told_by_log(world, PORT) == {cause}
    assert sorted(failed(row)) == [(TO_UPSTREAM, "upstream"), (TO_CACHE, "clock")]
    hints = {check["check"]: check["hint"] for check in row["checks"] if check["ok"] is False}
    assert f"late: client->cache, clock: the server's clock is {told} this machine's." in result["msg"]
    assert hints == {
        "clock": "DTR's clock agrees with this machine's: set that of the cache's node (NTP).",
        "upstream": "Set the clock of the cache's node right first, and check again: the cache judges DTR's "
        "certificate by it.",
    }
    clocks.cache.off = clocks.upstream.off = datetime.timedelta(0)
    assert clocks.look()["healthy"]


def test_a_clock_of_this_machine_that_is_off(clocks: Clocks) -> None:
    """To it, both others seem to be off alike."""
    clocks.cache.off = clocks.dtr.off = datetime.timedelta(hours=2)
    row = of(clocks.look(), "late")
    assert failed(row) == [(TO_CACHE, "clock"), (TO_DTR, "clock")]
    hints = {check["hint"] for check in row["checks"] if check["ok"] is False}
    assert hints == {"Cache and DTR agree on that: set this machine's clock right (NTP)."}
    clocks.cache.off = clocks.dtr.off = datetime.timedelta(0)
    assert clocks.look()["healthy"]


def test_waiting_ends_when_the_cache_is_there(world: World) -> None:
    entry = world.entry("region-asia", PORT)
    world.register([entry])
    world.node.stop(PORT)
    begin = time.monotonic()
    seen = world.look([entry], wait=True, timeout=3)
    assert time.monotonic() - begin < 4
    assert failed(of(seen, "region-asia")) == [(TO_CACHE, "tcp")]
    later = threading.Timer(1, lambda: world.node.run({PORT: world.serve}))
    later.start()
    assert world.look([entry], wait=True)["healthy"]
    later.join()
