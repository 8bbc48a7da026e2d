# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules against the registry's stand-in, which runs on this machine alone: no lab is needed.

Start with C(tests/pytest tests/integration/registry). A module runs in this process, as ansible-core runs it in another
one; what it did is read from the server. `test_ansible` runs some of it by C(ansible-playbook).
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import time
import typing as t
from pathlib import Path
from unittest import mock

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.http import retries
from ansible_collections.dtr.cache.tests.unit.support.modules import run_module

from .playbook_runs import ASIA, EUROPE, Ansible
from .served_image import CONTENT, IMAGE, push

sys.path.insert(0, str(Path(__file__).parents[2] / "lab" / "registry"))
import standin_harness as harness

Json = dict[str, t.Any]

#: Enough for several members in each organisation and team, and few enough to read all their settings many times.
ACCOUNTS = 25
MANY_ACCOUNTS = 10_000
WRITES = ("POST", "PUT", "PATCH", "DELETE")
DANGLING = "dangling"


class Registry:
    """The stand-in, and the modules run against it."""

    def __init__(self, standin: harness.Standin, client: harness.Issued) -> None:
        self.standin = standin
        self.control = standin.control
        self.client = client
        self.connection: Json = {
            "url": standin.url,
            "username": "admin",
            "password": standin.passwords["admin"],
            "ca_path": str(standin.ca),
        }
        #: So few that opening the connections does not take most of the time.
        self.concurrency = 3

    def run(self, module: str, *, check: bool = False, **options: t.Any) -> Json:
        """The result of a module with the admin's connection, unless the options say otherwise; C(None) leaves out."""
        common = {**self.connection, "_ansible_diff": True}
        if "assignments" in module or module == "content_caches":
            common["concurrency"] = self.concurrency
        given = {name: value for name, value in {**common, **options}.items() if value is not None}
        result = run_module(module, check=check, **given)
        assert self.connection["password"] not in json.dumps(result)
        return result

    def set_up(self, caches: t.Mapping[str, tuple[str, str]], settings: t.Mapping[str, str]) -> None:
        """Caches as name and host by id, and the id of each account's cache, without any check."""
        entries = [{"id": key, "name": name, "host": host} for key, (name, host) in caches.items()]
        self.control.set_state(entries, dict(settings))
        self.control.forget_requests()

    def caches(self) -> list[tuple[str, str]]:
        """Names and hosts of all that is registered."""
        return sorted((cache["name"], cache["host"]) for cache in self.settled()["content_caches"])

    def settings(self) -> dict[str, str]:
        """The name of each account's cache; accounts without one are not in it."""
        state = self.settled()
        names = {cache["id"]: cache["name"] for cache in state["content_caches"]}
        return {account: names.get(held, DANGLING) for account, held in state["settings"].items()}

    def settled(self) -> Json:
        """The server's state once nothing is under way any more, however late it is."""
        end = time.monotonic() + 20
        while self.control.requests()["in_flight"] and time.monotonic() < end:
            time.sleep(0.003)
        return self.control.state()

    def writes(self) -> int:
        return sum(self.control.count(method) for method in WRITES)

    @contextlib.contextmanager
    def nothing_is_written(self) -> t.Iterator[None]:
        before, writes = self.control.state(), self.writes()
        yield
        assert self.writes() == writes, self.control.requests()["counts"]
        assert self.settled() == before


@pytest.fixture(scope="session")
def ca(tmp_path_factory: pytest.TempPathFactory) -> harness.Issued:
    return harness.issue(tmp_path_factory.mktemp("ca"), "ca")


@pytest.fixture(scope="session")
def admin_certificate(tmp_path_factory: pytest.TempPathFactory, ca: harness.Issued) -> harness.Issued:
    """What authenticates its holder as the admin."""
    return harness.issue(tmp_path_factory.mktemp("client"), "admin", ca)


@pytest.fixture(scope="session")
def _running(
    tmp_path_factory: pytest.TempPathFactory, ca: harness.Issued, admin_certificate: harness.Issued
) -> t.Iterator[Registry]:
    folder = tmp_path_factory.mktemp("standin")
    with harness.running(folder, "http://127.0.0.1:9", accounts=ACCOUNTS, ca=ca, client_ca=ca) as standin:
        yield Registry(standin, admin_certificate)


@pytest.fixture
def registry(_running: Registry) -> Registry:
    """The stand-in with few accounts, as seeded."""
    _running.control.reset(data=True)
    return _running


@pytest.fixture(scope="module")
def _with_image(
    tmp_path_factory: pytest.TempPathFactory, ca: harness.Issued, admin_certificate: harness.Issued
) -> t.Iterator[Registry]:
    """A stand-in with a real registry behind it, in which an image lies."""
    folder = tmp_path_factory.mktemp("serving")
    with harness.docker_registry(folder) as upstream:
        push(upstream, IMAGE, CONTENT)
        with harness.running(folder, upstream, accounts=ACCOUNTS, ca=ca, client_ca=ca) as standin:
            yield Registry(standin, admin_certificate)


@pytest.fixture(scope="session")
def large_registry(
    tmp_path_factory: pytest.TempPathFactory, ca: harness.Issued, admin_certificate: harness.Issued
) -> t.Iterator[Registry]:
    """A stand-in with ten thousand accounts, as the tests before left it."""
    folder = tmp_path_factory.mktemp("large")
    with harness.running(folder, "http://127.0.0.1:9", accounts=MANY_ACCOUNTS, ca=ca, client_ca=ca) as standin:
        yield Registry(standin, admin_certificate)


@pytest.fixture(autouse=True)
def _short_pauses() -> t.Iterator[None]:
    """Between attempts a module waits for seconds; how long is for the unit tests of the transport to see."""
    with mock.patch.object(retries.Backoff, "pause", lambda _self, _attempt: 0.01):
        yield


class Moments:
    """All states that a server went through, from the state at first by its journal."""

    def __init__(self, before: Json, journal: t.Iterable[tuple[str, str, str]]) -> None:
        self.names = {cache["id"]: cache["name"] for cache in before["content_caches"]}
        self.settings: dict[str, str] = dict(before["settings"])
        #: Accounts that at some moment were set to a cache that was gone, with the change that made it so.
        self.orphaned: list[tuple[str, tuple[str, str, str]]] = []
        #: For each name, the most entries that had it at any moment.
        self.most: dict[str, int] = {}
        self._dangling = self._dangle()
        for change in journal:
            self._apply(*change)
            now = self._dangle()
            self.orphaned += [(account, change) for account in sorted(now - self._dangling)]
            self._dangling = now
            for name in self.names.values():
                self.most[name] = max(self.most.get(name, 0), list(self.names.values()).count(name))

    def _apply(self, what: str, subject: str, detail: str) -> None:
        if what == "create":
            self.names[subject] = detail
        elif what == "delete":
            del self.names[subject]
        elif what == "set":
            self.settings[subject] = detail
        else:
            self.settings.pop(subject, None)

    def _dangle(self) -> set[str]:
        return {account for account, held in self.settings.items() if held not in self.names}


@pytest.fixture
def ansible() -> t.Iterator[Ansible]:
    # Ansible's sockets lie in here, and the path of a socket has to be short.
    with tempfile.TemporaryDirectory(prefix="dtr-") as folder:
        yield Ansible(Path(folder))


@pytest.fixture
def two_regions(registry: Registry) -> Registry:
    caches = {"a1": ("region-asia", ASIA), "e1": ("region-europe", EUROPE)}
    registry.set_up(caches, {"alice": "e1", "heidi": "a1", "ivan": "a1"})
    return registry
