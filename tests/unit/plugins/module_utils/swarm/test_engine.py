# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""An Engine that is not there, one that is away for a moment, and one that does not end its answers."""

from __future__ import annotations

import json
import os
import pwd
import socket
import threading
import time
import typing as t
from pathlib import Path
from unittest import mock

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.module.options import ENGINE_ARGUMENT_SPEC
from ansible_collections.dtr.cache.plugins.module_utils.swarm import engine as engines
from ansible_collections.dtr.cache.plugins.module_utils.swarm.engine import Engine, Snapshot
from ansible_collections.dtr.cache.plugins.module_utils.swarm.model import NAMESPACE_LABEL
from ansible_collections.dtr.cache.tests.unit.support.web import Reply, Request, Site, serve

NOBODY = 65534
VERSION = Reply(200, b'{"ApiVersion": "1.45"}', {"Content-Type": "application/json"})


def engine(address: str, **options: t.Any) -> Engine:
    defaults = {name: option.get("default") for name, option in ENGINE_ARGUMENT_SPEC.items()}
    return Engine({**defaults, "docker_host": address, **options})


def failure(made: Engine) -> Failure:
    with pytest.raises(Failure) as raised:
        made.require_manager()
    return raised.value


def test_a_socket_that_never_was(tmp_path: Path) -> None:
    found = failure(engine(f"unix://{tmp_path}/docker.sock"))
    assert found.code == "NO_ENGINE"
    assert found.message == f"There is no Docker Engine at unix://{tmp_path}/docker.sock: no such file or directory."


def test_a_socket_that_nobody_listens_to(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    found = failure(engine(f"unix://{path}"))
    assert (found.code, found.message.rpartition(": ")[2]) == ("NO_ENGINE", "connection refused.")


def test_a_socket_that_is_not_for_this_user(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    # Nothing is forbidden to root, so for a moment this is nobody.
    user = os.geteuid()
    os.seteuid(user or NOBODY)
    try:
        found = failure(engine(f"unix://{tmp_path}/closed/docker.sock"))
    finally:
        os.seteuid(user)
    assert found.code == "NO_ENGINE"
    name = pwd.getpwuid(user or NOBODY).pw_name
    assert found.message.endswith(f"/docker.sock does not let user {name} in: permission denied.")
    assert found.hint == "Set ansible_become: true for the manager, or add the user to its group docker."


def test_an_engine_of_another_machine_may_be_starting_again() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found = failure(engine(f"tcp://127.0.0.1:{free.getsockname()[1]}"))
    assert found.code == "ENGINE_UNREACHABLE"


def test_a_log_of_which_nothing_comes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "SECONDS_OF_SILENCE", 1.0)
    released = threading.Event()

    def hangs(request: Request) -> Reply:
        if request.path.endswith("/logs"):
            released.wait(20)
        return VERSION

    with serve(hangs) as site:
        made = engine(f"tcp://127.0.0.1:{site.port}")
        began = time.monotonic()
        with pytest.raises(Failure) as raised:
            list(made.task_log("t", lines=10, seconds=30))
        assert time.monotonic() - began < 5
        released.set()
    assert (raised.value.code, raised.value.message) == ("LOG_UNREAD", "the Engine sent nothing of it for 1 seconds")


def test_a_log_without_end_is_read_for_its_time_only() -> None:
    def answer(request: Request) -> Reply:
        return Reply(200, b"x" * 10_000_000) if request.path.endswith("/logs") else VERSION

    with serve(answer) as site:
        made = engine(f"tcp://127.0.0.1:{site.port}")
        log = made.task_log("t", lines=10, seconds=0)
        assert len(next(log)) <= 64 * 1024
        with pytest.raises(Failure, match="it was not at its end after 0 seconds"):
            next(log)


def test_an_error_in_the_place_of_a_log_is_bounded() -> None:
    def answer(request: Request) -> Reply:
        return Reply(500, b"x" * 10_000_000) if request.path.endswith("/logs") else VERSION

    with serve(answer) as site, pytest.raises(Failure, match=r"^the Engine does not give it: xxx") as raised:
        list(engine(f"tcp://127.0.0.1:{site.port}").task_log("t", lines=10, seconds=5))
    assert len(raised.value.message) < 3000


def test_requests_are_given_up_with_the_wait_that_they_are_for() -> None:
    with serve(lambda _request: VERSION) as site:
        made = engine(f"tcp://127.0.0.1:{site.port}", engine_timeout=60)
        made.answer_within(7)
        assert made._client.timeout == 7
        made.answer_within(0.1)
        assert made._client.timeout == 1
        made.answer_within(600)
        assert made._client.timeout == 60


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (
            "Error while fetching server API version: HTTPSConnectionPool(host='198.51.100.7', port=2376): Max retries "
            "exceeded with url: /version (Caused by ConnectTimeoutError(<HTTPSConnection(host='198.51.100.7', "
            "port=2376) at 0x7f8ff3385e80>, 'Connection to 198.51.100.7 timed out. (connect timeout=20)'))",
            "Connection to 198.51.100.7 timed out. (connect timeout=20)",
        ),
        (
            "HTTPConnectionPool(host='a', port=1): Max retries exceeded with url: /info (Caused by "
            "NewConnectionError(\"HTTPConnection(host='a', port=1): "
            'Failed to establish a new connection: [Errno 111] Connection refused"))',
            "Failed to establish a new connection: [Errno 111] Connection refused",
        ),
        (
            "HTTPConnectionPool(host='a', port=1): Max retries exceeded with url: /info (Caused by NewConnectionError("
            "'<urllib3.connection.HTTPConnection object at 0x7fd4>: Failed to establish a new connection: refused'))",
            "Failed to establish a new connection: refused",
        ),
        (
            "HTTPSConnectionPool(host='a', port=1): Max retries exceeded with url: /info (Caused by SSLError("
            "SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] unable to get issuer (_ssl.c:1028)')))",
            "[SSL: CERTIFICATE_VERIFY_FAILED] unable to get issuer (_ssl.c:1028)",
        ),
        ("HTTPSConnectionPool(host='a', port=1): Read timed out. (read timeout=20)",) * 2,
        ("x (Caused by something())", "x (Caused by something())"),
    ],
)
def test_what_libraries_say_of_themselves_is_left_out(raised: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = engine("tcp://198.51.100.7:2376")
    monkeypatch.setattr(type(made), "_client", mock.Mock(info=mock.Mock(side_effect=OSError(raised))))
    found = failure(made)
    assert found.message == f"The Docker Engine at tcp://198.51.100.7:2376 cannot be reached: {told}."


def service(stack: str, name: str) -> dict[str, t.Any]:
    return {"ID": f"{stack}-{name}", "Spec": {"Name": f"{stack}_{name}", "Labels": {NAMESPACE_LABEL: stack}}}


ANSWERS: dict[str, t.Any] = {
    "version": {"ApiVersion": "1.45"},
    "info": {"Name": "m1", "Swarm": {"LocalNodeState": "active", "ControlAvailable": True}},
    "nodes": [{"ID": "n1", "Description": {"Hostname": "m1"}, "Status": {"State": "ready"}}],
    "services": [
        service("st", "cache"),
        service("old", "cache"),
        service("other", "web"),
        {"ID": "by hand", "Spec": {"Name": "by-hand"}},
    ],
    "tasks": [{"ID": "t1", "ServiceID": "st-cache"}, {"ID": "t2", "ServiceID": "old-cache"}],
    "configs": [{"ID": "c1", "Spec": {"Name": "config"}}],
    "secrets": [],
    "networks": [],
}

OPTIONS = {name: option.get("default") for name, option in ENGINE_ARGUMENT_SPEC.items()}


@pytest.fixture
def site() -> t.Iterator[Site]:
    def answer(request: Request) -> Reply:
        name = request.path.partition("?")[0].rpartition("/")[2]
        return Reply(200, json.dumps(ANSWERS[name]).encode(), {"Content-Type": "application/json"})

    with serve(answer) as running:
        yield running


def read(engine: Engine) -> t.Any:
    """As a plan reads a Swarm whose services were looked at before."""
    swarm = engine.read_swarm("st", ["old"])
    return engine.require_manager(), engine.observe("st"), swarm, engine.configs(), engine.all_services()


def snapshot(site: Site) -> Snapshot:
    return Snapshot(OPTIONS | {"docker_host": f"tcp://127.0.0.1:{site.port}"})


def test_each_question_is_asked_once(site: Site) -> None:
    engine = snapshot(site)
    first = read(engine)
    asked = len(site.requests)
    assert asked == len(ANSWERS)
    assert read(engine)[1] == first[1]
    assert len(site.requests) == asked
    engine.tasks_of("another")
    assert len(site.requests) == asked + 1


def test_tasks_of_several_stacks_come_by_one_request(site: Site) -> None:
    engine = Snapshot(OPTIONS | {"docker_host": f"tcp://127.0.0.1:{site.port}", "stacks": [{}]})
    assert [[task["ID"] for task in engine.tasks_of(stack)] for stack in ("st", "old", "none")] == [["t1"], ["t2"], []]
    assert len([request for request in site.requests if "/tasks" in request.path]) == 1


def test_services_are_told_apart_by_their_stacks(site: Site) -> None:
    _info, moment, swarm, _configs, _services = read(snapshot(site))
    assert list(moment.services) == list(swarm.services) == ["cache"]
    assert list(swarm.former["old"].services) == ["cache"]
    assert [each["ID"] for each in swarm.other_services] == ["other-web", "by hand"]
