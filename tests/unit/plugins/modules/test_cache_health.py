# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module cache_health as a task runs it, against a DTR and caches over TLS."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
import typing as t
from pathlib import Path
from unittest import mock

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.health import probe
from ansible_collections.dtr.cache.plugins.module_utils.x509.certificates import fingerprint, load_certificates
from ansible_collections.dtr.cache.tests.unit.support.modules import run_module
from ansible_collections.dtr.cache.tests.unit.support.pulling import FakeDtr, running
from ansible_collections.dtr.cache.tests.unit.support.web import Identity, Reply, Request, Site, make_identity, serve

PASSWORD = "s3cret-of-the-test"
APP = "engineering/app:1.0"


class Fleet(t.NamedTuple):
    """A DTR and a cache with their CAs."""

    dtr: Site
    dtr_ca: Identity
    cache: Site
    cache_ca: Identity
    upstream: dict[str, int]
    folder: Path

    def run(self, **options: t.Any) -> dict[str, t.Any]:
        settings = {
            "url": self.dtr.url,
            "username": "alice",
            "password": PASSWORD,
            "ca_certificate": self.dtr_ca.pem,
            "caches": [self.entry()],
            "timeout": 5,
            **options,
        }
        return run_module("cache_health", **{name: value for name, value in settings.items() if value is not None})

    def entry(self, **changes: t.Any) -> dict[str, t.Any]:
        entry = {"name": "region-asia", "url": self.cache.url, "ca_certificate": self.cache_ca.pem, **changes}
        return {name: value for name, value in entry.items() if value is not None}


@pytest.fixture
def fleet(tmp_path: Path) -> t.Iterator[Fleet]:
    dtr_ca, cache_ca = make_identity("DTR's CA", ca=True), make_identity("The caches' CA", ca=True)
    upstream = {"status": 401}

    def as_cache(request: Request) -> Reply:
        if request.path == "/v2/":
            return Reply(200, b"{}", {"Docker-Distribution-Api-Version": "registry/2.0"})
        return Reply(upstream["status"])

    def as_dtr(request: Request) -> Reply:
        if request.path == "/_ping":
            return Reply(200, b'{"Error": "", "Healthy": true}')
        if "Authorization" not in request.headers:
            return Reply(401)
        entries = [{"id": "1", "name": "region-asia", "host": cache.url}]
        return Reply(200, json.dumps(entries).encode(), {"Content-Type": "application/json"})

    with contextlib.ExitStack() as stack:
        contexts = []
        for name, ca in (("dtr", dtr_ca), ("cache", cache_ca)):
            folder = tmp_path / name
            folder.mkdir()
            contexts.append(make_identity(name, ca).server_context(folder))
        dtr = stack.enter_context(serve(as_dtr, contexts[0]))
        cache = stack.enter_context(serve(as_cache, contexts[1]))
        yield Fleet(dtr, dtr_ca, cache, cache_ca, upstream, tmp_path)


def edges(result: dict[str, t.Any]) -> dict[str, list[str]]:
    """The checks of each edge of the first cache."""
    found: dict[str, list[str]] = {}
    for check in result["caches"][0]["checks"]:
        found.setdefault(check["edge"], []).append(check["check"])
    return found


def failures(result: dict[str, t.Any]) -> list[tuple[str, str]]:
    return [(check["edge"], check["check"]) for check in result["caches"][0]["checks"] if check["ok"] is False]


def test_healthy(fleet: Fleet) -> None:
    result = fleet.run()
    server = ["name_resolution", "tcp", "tls", "chain", "host_name", "validity", "api"]
    assert result["healthy"]
    assert not result["changed"]
    assert edges(result) == {
        "client->cache": server,
        "cache->DTR": ["upstream"],
        "client->DTR": [*server, "registration"],
    }
    (cache,) = result["caches"]
    assert (cache["name"], cache["url"], cache["healthy"], cache["days_left"]) == (
        "region-asia",
        fleet.cache.url,
        True,
        29,
    )
    assert cache["certificate"]["issuer"] == "CN=The caches' CA"
    assert set(cache["checks"][0]) == {"edge", "check", "ok", "detail", "hint"}
    (upstream,) = [check for check in cache["checks"] if check["check"] == "upstream"]
    assert upstream["ok"] is None
    assert upstream["hint"] == (
        "Set image and an account of the cache: asked with DTR's signature, the cache has to go to DTR."
    )


def test_each_edge_has_its_time(fleet: Fleet) -> None:
    seconds = fleet.run()["caches"][0]["seconds"]
    assert set(seconds) == {"client->cache", "cache->DTR", "client->DTR"}
    assert all(0 < seconds[edge] < 5 for edge in ("client->cache", "client->DTR"))
    assert seconds["cache->DTR"] is None, "the cache may have answered without asking anybody"


def test_an_edge_without_an_answer_has_no_time(fleet: Fleet) -> None:
    gone = fleet.entry(url="https://127.0.0.1:1")
    seconds = fleet.run(caches=[gone])["caches"][0]["seconds"]
    assert (seconds["client->cache"], seconds["cache->DTR"]) == (None, None)
    assert seconds["client->DTR"] is not None
    assert fleet.run(url=None, username=None, password=None)["caches"][0]["seconds"]["client->DTR"] is None


def test_a_cache_may_have_days_of_its_own(fleet: Fleet) -> None:
    strict = fleet.entry(name="strict", min_days=30)
    result = fleet.run(caches=[fleet.entry(), strict], check_registration=False)
    assert [cache["healthy"] for cache in result["caches"]] == [True, False]
    assert result["msg"].startswith("1 of 2 caches are not healthy. strict: client->cache, validity: ")


def test_check_mode_is_the_same(fleet: Fleet) -> None:
    assert fleet.run(check=True)["healthy"]


def test_the_cache_gets_no_credentials(fleet: Fleet) -> None:
    fleet.run()
    assert {each.path.partition("/blobs/")[0] for each in fleet.cache.requests} == {
        "/v2/",
        "/v2/dtr-cache-health/probe",
    }
    assert not any("Authorization" in each.headers for each in fleet.cache.requests)


def test_without_dtr(fleet: Fleet) -> None:
    result = fleet.run(url=None, username=None, password=None, ca_certificate=None)
    assert list(edges(result)) == ["client->cache", "cache->DTR"]
    assert result["healthy"]


def test_without_an_account_registrations_are_left_out(fleet: Fleet) -> None:
    assert "registration" not in edges(fleet.run(username=None, password=None))["client->DTR"]
    assert "registration" not in edges(fleet.run(check_registration=False))["client->DTR"]


def test_cas_as_paths(fleet: Fleet) -> None:
    path = fleet.folder / "caches-ca.pem"
    path.write_text(fleet.cache_ca.pem)
    assert fleet.run(caches=[fleet.entry(ca_certificate=None, ca_path=str(path))])["healthy"]


def test_a_client_that_was_not_told_of_the_caches_ca(fleet: Fleet) -> None:
    result = fleet.run(caches=[fleet.entry(ca_certificate=None)])
    assert result["failed"]
    assert failures(result) == [("client->cache", "chain")]
    assert "(trusted: CN=DTR's CA)" in result["msg"]


def test_a_cache_that_shares_dtrs_ca(fleet: Fleet) -> None:
    result = fleet.run(caches=[fleet.entry(url=fleet.dtr.url, ca_certificate=None)])
    assert ("client->cache", "chain") not in failures(result)


def test_upstream_out_of_reach(fleet: Fleet) -> None:
    fleet.upstream["status"] = 503
    result = fleet.run()
    assert failures(result) == [("cache->DTR", "upstream")]
    assert result["failure"]["code"] == "UNHEALTHY"
    assert result["msg"].startswith("The cache is not healthy. region-asia: cache->DTR, upstream: ")
    assert not result["healthy"]


def test_not_registered(fleet: Fleet) -> None:
    assert failures(fleet.run(caches=[fleet.entry(name="region-mars")])) == [("client->DTR", "registration")]


def test_one_bad_cache_among_good_ones(fleet: Fleet) -> None:
    gone = fleet.entry(name="gone", url="https://127.0.0.1:1")
    result = fleet.run(caches=[fleet.entry(), gone], check_registration=False)
    assert [cache["healthy"] for cache in result["caches"]] == [True, False]
    assert result["msg"].startswith("1 of 2 caches are not healthy. gone: client->cache, tcp: port 1 refuses")


@pytest.mark.parametrize("form", ["pem", "fingerprint"])
def test_the_certificate_that_it_should_have(fleet: Fleet, form: str) -> None:
    served = ssl.get_server_certificate(("127.0.0.1", fleet.cache.port))
    text = {"pem": served, "fingerprint": fingerprint(load_certificates(served)[0]).upper()}[form]
    assert fleet.run(caches=[fleet.entry(certificate=text)])["healthy"]
    other = make_identity("cache", fleet.cache_ca)
    text = {"pem": other.pem, "fingerprint": fingerprint(other.certificate)}[form]
    assert failures(fleet.run(caches=[fleet.entry(certificate=text)])) == [("client->cache", "certificate")]


def test_the_ports_that_its_stack_publishes(fleet: Fleet) -> None:
    assert fleet.run(caches=[fleet.entry(published_ports=[fleet.cache.port])])["healthy"]
    for ports in ([], [9]):
        result = fleet.run(caches=[fleet.entry(published_ports=ports)])
        assert failures(result) == [("client->cache", "deployment")]


def test_a_hundred_caches_of_which_fifty_hang(fleet: Fleet) -> None:
    step = 2.0
    longest = 2 * step  # the answer for which a cache has to ask its upstream
    never = threading.Event()

    def hang_at(path: str) -> t.Callable[[Request], Reply]:
        def behave(request: Request) -> Reply:
            if request.path.startswith(path):
                never.wait(30)
            return fleet.cache.behaviour(request)

        return behave

    with contextlib.ExitStack() as stack:
        # Over plain HTTP: a hundred ends of TLS in one process would be what takes the time.
        plain = stack.enter_context(serve(fleet.cache.behaviour))
        stack.callback(never.set)
        # The kernel accepts the connection, and nobody ever answers.
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        hangs = {
            "tcp": f"https://127.0.0.1:{full_server(stack)}",
            "tls": f"https://127.0.0.1:{silent.getsockname()[1]}",
            "api": stack.enter_context(serve(hang_at("/v2/"))).url,
            "upstream": stack.enter_context(serve(hang_at("/v2/dtr-cache-health"))).url,
        }
        places = [list(hangs)[number % len(hangs)] for number in range(50)]
        entries = [fleet.entry(name=f"{place}-{number}", url=hangs[place]) for number, place in enumerate(places)]
        serving = [fleet.entry(name=f"serves-{number}", url=plain.url) for number in range(50)]
        stack.enter_context(mock.patch.object(probe, "STEP_SECONDS", step))
        begin = time.monotonic()
        fleet.run(caches=serving, check_registration=False, timeout=60)
        alone = time.monotonic() - begin
        begin = time.monotonic()
        result = fleet.run(caches=[*entries, *serving], check_registration=False, timeout=60)
        seconds = time.monotonic() - begin
    failed = {
        row["name"]: [check["check"] for check in row["checks"] if check["ok"] is False] for row in result["caches"]
    }
    assert failed == {
        **{f"{place}-{number}": [place] for number, place in enumerate(places)},
        **{entry["name"]: [] for entry in serving},
    }
    assert seconds < longest + 2 * alone + 1, "the longest time-out once, and what the others take"


def full_server(stack: contextlib.ExitStack) -> int:
    """The port of a server whose queue of connections is full, so that the kernel answers no further ones."""
    server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
    for _each in range(4):
        waiting = stack.enter_context(socket.socket())
        waiting.setblocking(False)
        waiting.connect_ex(server.getsockname())
    return int(server.getsockname()[1])


class Pulling(t.NamedTuple):
    """A DTR and a cache over plain HTTP, with an image to pull."""

    dtr: FakeDtr
    inactive: list[str]

    def run(self, entry: dict[str, t.Any] | None = None, **options: t.Any) -> dict[str, t.Any]:
        cache = {"name": "region-asia", "url": self.dtr.cache.site.url, "account": "alice", **(entry or {})}
        settings = {"url": self.dtr.site.url, "username": "admin", "password": PASSWORD, "image": APP, **options}
        return run_module("cache_health", caches=[cache], **{"timeout": 5, "check_read_only": False, **settings})

    def written(self) -> list[str]:
        return [each.method for each in self.dtr.site.requests if each.method != "GET"]


@pytest.fixture
def pulling() -> t.Iterator[Pulling]:
    with running() as dtr:
        dtr.add_image(APP, b"one" * 1000, b"two")
        behaviour, of_cache = dtr.site.behaviour, dtr.cache.site.behaviour
        found = Pulling(dtr, [])

        def as_dtr(request: Request) -> Reply:
            account = request.path.rpartition("/")[2]
            if request.path == "/_ping":
                return Reply(200, b'{"Error": "", "Healthy": true}')
            if request.path.startswith("/enzi/v0/accounts/") and "members" not in request.path:
                active = "false" if account in found.inactive else "true"
                return Reply(200, f'{{"name": "{account}", "isOrg": false, "isActive": {active}}}'.encode())
            return behaviour(request)

        def as_cache(request: Request) -> Reply:
            if request.path == "/v2/":
                return Reply(200, b"{}", {"Docker-Distribution-Api-Version": "registry/2.0"})
            return of_cache(request)

        dtr.site.behaviour, dtr.cache.site.behaviour = as_dtr, as_cache
        yield found


def test_a_layer_is_asked_for_as_the_account_whose_token_is_gone_afterwards(pulling: Pulling) -> None:
    result = pulling.run()
    assert result["healthy"]
    # Asked with DTR's signature, the cache has shown its way to DTR, and DTR its way to the cache.
    assert (edges(result)["cache->DTR"], edges(result)["DTR->cache"]) == (["upstream", "pull"], ["redirect"])
    assert all(check["ok"] for check in result["caches"][0]["checks"])
    assert result["caches"][0]["seconds"]["cache->DTR"] > 0
    assert pulling.written() == ["POST", "DELETE"]
    assert pulling.dtr.access_tokens == {}
    assert pulling.run(entry={"account": None, "account_of": {"teams": ["engineering/backend"]}})["healthy"]


def test_a_layer_that_never_comes_leaves_no_token_behind(pulling: Pulling) -> None:
    never = threading.Event()

    def hang(_request: Request, _content: bytes) -> Reply:
        never.wait(30)
        return Reply(500)

    pulling.dtr.cache.answer = hang
    began = time.monotonic()
    result = pulling.run(timeout=1.5)
    seconds = time.monotonic() - began
    never.set()
    assert failures(result) in ([("cache->DTR", "upstream")], [("cache->DTR", "pull")], [("client->DTR", "pull")])
    assert pulling.written() == ["POST", "DELETE"]
    assert pulling.dtr.access_tokens == {}
    assert seconds < 6


def test_no_token_is_made_for_a_cache_that_is_unhealthy_anyway(pulling: Pulling) -> None:
    result = pulling.run(entry={"url": "http://127.0.0.1:1"})
    assert ("client->cache", "tcp") in failures(result)
    assert pulling.written() == []


def test_check_mode_changes_nothing_in_dtr(pulling: Pulling) -> None:
    result = pulling.run(check=True)
    assert result["healthy"]
    assert "pull" not in edges(result)["cache->DTR"]
    assert pulling.written() == []
    assert pulling.run(check=True, entry={"account": "admin"})["healthy"]
    assert pulling.written() == []


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ({"accounts": ["alice", "carol"]}, ["carol"]),
        ({"accounts": ["alice", "dave"]}, []),
        ({"teams": ["engineering/backend"]}, []),
    ],
)
def test_only_the_active_accounts_of_the_cache_are_checked(
    pulling: Pulling, declared: dict[str, t.Any], told: list[str]
) -> None:
    pulling.dtr.settings.update(carol="id-gone", dave="id-gone", bob="id-gone")
    pulling.inactive.append("dave")
    result = pulling.run(entry={"account": None, "account_of": declared}, image=None, check_accounts=True)
    (check,) = [each for each in result["caches"][0]["checks"] if each["check"] == "assignments"]
    assert (check["ok"], check["detail"].endswith(f": {', '.join(told)}.")) == (not told, bool(told))
    read = {each.path.split("/")[4] for each in pulling.dtr.site.requests if each.path.endswith("/settings")}
    assert "bob" not in read


def test_dtrs_certificate_is_not_judged_without_validation(fleet: Fleet) -> None:
    stranger = make_identity("stranger", ca=True)
    assert failures(fleet.run(ca_certificate=stranger.pem)) == [("client->DTR", "chain")]
    assert fleet.run(ca_certificate=stranger.pem, validate_certs=False)["healthy"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"image": "a/b", "url": None}, "image: it needs the DTR's url"),
        (
            {"check_accounts": True, "username": None, "password": None},
            "check_accounts: it needs the DTR's url and an account",
        ),
        ({"image": "no"}, "images: 'no' does not name an image on DTR."),
        (
            {"caches": [{"name": "a", "url": "https://a", "certificate": "12"}]},
            "caches: a: certificate: The fingerprint is not a SHA-256 one",
        ),
        ({"timeout": 0}, "timeout: 0 is not a number of seconds above 0."),
        ({"caches": [{"name": "a", "url": "ftp://a"}]}, "caches: ftp://a is not an https URL."),
        ({"caches": [{"name": "a", "url": "https://"}]}, "'https://' is not the URL of a server."),
        ({"caches": [{"name": "a", "url": "https://a"}] * 2}, "caches: a is there more than once."),
        (
            {"caches": [{"name": "a", "url": "https://a", "ca_path": "/nowhere"}]},
            "caches: a: ca_path: /nowhere cannot be used: no such file or directory.",
        ),
        ({"caches": [{"name": "a", "url": "https://a", "ca_path": "/x", "ca_certificate": "x"}]}, "parameters are mut"),
    ],
)
def test_one_clear_sentence(fleet: Fleet, options: dict[str, t.Any], told: str) -> None:
    result = fleet.run(**options)
    assert result["failed"]
    assert result["msg"].startswith(told)
    assert fleet.cache.requests == []


def test_password_is_nowhere(fleet: Fleet) -> None:
    assert PASSWORD not in json.dumps([fleet.run(), fleet.run(password=f"{PASSWORD}-wrong", url="https://127.0.0.1:1")])
