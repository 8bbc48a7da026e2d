# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cache has served, from lines that the registry 2.8.3 really wrote in each of its forms."""

from __future__ import annotations

import json
import time
import tracemalloc
import typing as t
from pathlib import Path

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.logs.findings import findings_of
from ansible_collections.dtr.cache.plugins.module_utils.logs.traffic import (
    MOST_PAIRS,
    TaskTraffic,
    access_in,
    response_in,
    summary,
)
from ansible_collections.dtr.cache.plugins.module_utils.swarm.model import Moment
from ansible_collections.dtr.cache.plugins.module_utils.swarm.task_logs import LogLine
from ansible_collections.dtr.cache.tests.unit.support.logs import NODES, framed, message, task

# For each formatter: a layer with a signature, a part of it, a HEAD, one that does not exist, and /v2/.
WRITTEN: dict[str, list[str]] = json.loads((Path(__file__).parents[3] / "data" / "traffic-log.json").read_text("utf-8"))
DIGEST = "sha256:" + "0" * 64
SUMS = ("pulls", "layers", "bytes", "refused", "failed", "slow", "image_count", "client_count")


def access(
    client: str = "192.0.2.1", image: str = "eng/app", status: int = 200, size: int = 100, more: str = ""
) -> str:
    path = f"/v2/{image}/blobs/{DIGEST}{more}"
    return f'{client} - - [31/Jan/2026:11:30:00 +0000] "GET {path} HTTP/1.1" {status} {size} "" "docker/26"'


def response(duration: str, size: int = 100, agent: str = "docker/26") -> str:
    return (
        f'time="x" level=info msg="response completed" http.request.method=GET http.request.remoteaddr="192.0.2.1:40" '
        f'http.request.uri="/v2/eng/app/blobs/{DIGEST}" http.request.useragent="{agent}" '
        f"http.response.duration={duration} http.response.status=200 http.response.written={size}"
    )


def served(*lines: str | tuple[str, str], begin: str = "") -> TaskTraffic:
    traffic = TaskTraffic(begin)
    for each in lines:
        text, at = (each, "2026-01-31T11:30:00Z") if isinstance(each, str) else each
        traffic.take(LogLine(at, "n1", "t1", text))
    return traffic


def sums(*traffic: TaskTraffic) -> dict[str, t.Any]:
    found = summary(traffic)
    return {name: found[name] for name in SUMS}


@pytest.mark.parametrize("form", ["text", "json", "logstash"])
def test_each_form_of_the_log_is_read(form: str) -> None:
    expected = {"pulls": 1, "layers": 2, "bytes": 32768 + 100 + 157, "refused": 1, "failed": 0, "slow": 0}
    both = summary([served(*WRITTEN[form])])
    assert {name: both[name] for name in expected} == expected
    assert both["statuses"] == {"404": 1}
    assert both["images"] == [{"image": "engineering/app", "pulls": 1, "layers": 2, "bytes": 32868, "failed": 0}]
    assert [row["client"] for row in both["clients"]] == ["127.0.0.1"]
    # With the access log off, the registry's own lines say the same; behind a proxy, also for whom it asks.
    own = summary([served(*(line for line in WRITTEN[form] if "HTTP/1.1" not in line))])
    assert {name: own[name] for name in expected} == {**expected, "pulls": 2}
    assert [row["client"] for row in own["clients"]] == ["127.0.0.1", "203.0.113.9"]
    # At level warn, there are no durations.
    rest = [line for line in WRITTEN[form] if "HTTP/1.1" in line]
    assert sums(served(*rest)) == {**expected, "slow": None, "image_count": 1, "client_count": 1}


def test_only_layers_count() -> None:
    for line in (
        access().replace("GET", "HEAD"),
        access().replace("/blobs/", "/manifests/"),
        access().replace("docker/26", "ansible-dtr.cache"),
        response("1ms", agent="ansible-dtr.cache"),
        'GET "' + access(),
        access().replace(DIGEST, "uploads/"),
        "panic: /blobs/",
    ):
        assert sums(served(line))["layers"] == 0, line
    assert sums(served(access(more="?a=b&c=%2F"), access("2001:db8::1")))["client_count"] == 2


def test_what_a_client_sends_is_not_read_as_the_answer() -> None:
    forged = response(
        "1ms", agent='x\\" http.response.written=999999 http.response.status=500 http.response.duration=1h'
    )
    answer = response_in(forged)
    assert answer is not None
    assert (answer.status, answer.size, answer.seconds) == (200, 100, 0.001)
    line = access().replace("docker/26", '\\" 500 999999 \\"')
    assert access_in(line) == ("eng/app", "192.0.2.1", 200, 100, None, False)


def test_a_pull_ends_with_a_pause_and_may_come_from_two_replicas() -> None:
    first = served((access(), "2026-01-31T11:00:00Z"), (access(), "2026-01-31T11:09:00Z"))
    second = served((access(), "2026-01-31T11:05:00Z"), (access(), "2026-01-31T11:40:00Z"))
    assert sums(first)["pulls"] == 1
    assert sums(second)["pulls"] == 2
    assert sums(first, second) == {
        **dict.fromkeys(("refused", "failed"), 0),
        "pulls": 2,
        "layers": 4,
        "bytes": 400,
        "slow": None,
        "image_count": 1,
        "client_count": 1,
    }


@pytest.mark.parametrize(
    ("duration", "size", "slow"),
    [("12s", 100, 1), ("1m0.5s", 10**9, 0), ("9.9s", 100, 0), ("999ms", 1, 0), ("1h2m3s", 10**9, 1)],
)
def test_slow_is_long_and_little_a_second(duration: str, size: int, slow: int) -> None:
    found = summary([served(access(size=size), response(duration, size))])
    assert (found["slow"], found["layers"]) == (slow, 1)
    assert bool(found["slowest"]) == bool(slow)


def test_failed_and_refused_answers() -> None:
    found = summary([served(access(status=502), access(status=403, image="no/such"), access())])
    assert (found["failed"], found["refused"], found["statuses"]) == (1, 1, {"403": 1, "502": 1})
    assert found["images"] == [{"image": "eng/app", "pulls": 1, "layers": 1, "bytes": 200, "failed": 1}]


def test_nothing_before_the_beginning_counts() -> None:
    lines = ((access(), "2026-01-31T10:59:59Z"), (access(), "2026-01-31T11:00:00Z"))
    traffic = served(*lines, begin="2026-01-31T11:00:00Z")
    assert (sums(traffic)["layers"], traffic.first_time) == (1, "2026-01-31T10:59:59Z")


def test_a_long_log_of_many_clients_costs_little() -> None:
    traffic = TaskTraffic("")
    tracemalloc.start()
    begin = time.process_time()
    for number in range(30_000):
        client = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        traffic.take(LogLine("2026-01-31T11:00:00Z", "n1", "t1", response("1ms")))
        traffic.take(LogLine("2026-01-31T11:00:00Z", "n1", "t1", access(client)))
    found = summary([traffic])
    seconds, (_now, most) = time.process_time() - begin, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (found["layers"], found["client_count"], len(found["clients"])) == (30_000, MOST_PAIRS, 20)
    assert traffic.tally.is_full
    # Traced memory slows it down several times.
    assert seconds < 10
    assert most < 20 * 2**20


class _Engine:
    """An Engine with one service, and the log of each of its tasks."""

    def __init__(
        self, logs: t.Mapping[str, t.Sequence[str]], made: str = "2026-01-31T11:00:00Z", driver: str = "json-file"
    ) -> None:
        self._logs = logs
        spec = {"Name": "dtr-cache_cache", "TaskTemplate": {"LogDriver": {"Name": driver}}}
        service = {"ID": "s1", "CreatedAt": made, "Spec": spec}
        status = {"State": "running", "Timestamp": made, "ContainerStatus": {"ContainerID": "c"}}
        tasks = [{**task(name), "CreatedAt": "2026-01-31T11:00:01Z", "Status": status} for name in logs]
        nodes = {key: {**node, "ID": key, "Status": {"State": "ready"}} for key, node in NODES.items()}
        self._moment = Moment({"cache": service}, tasks, nodes)
        self.asked: list[int] = []

    def require_manager(self) -> dict[str, str]:
        return {"SystemTime": "2026-01-31T12:00:00Z"}

    def observe(self, _stack: str) -> Moment:
        return self._moment

    def task_log(self, task_id: str, **options: t.Any) -> t.Iterator[bytes]:
        self.asked.append(options["since"])
        lines = self._logs[task_id][-options["lines"] :]
        yield framed(*(message(text, task_id, at=f"2026-01-31T11:3{number}:00Z") for number, text in enumerate(lines)))


def traffic_of(engine: _Engine, **options: t.Any) -> dict[str, t.Any]:
    given = {"name": "dtr-cache", "since": "5m", "traffic_since": "2h", "lines": 100, "timeout": 5.0, **options}
    found: dict[str, t.Any] = findings_of(engine, given)["traffic"]
    return found


def test_the_reader_counts_all_replicas_from_the_earlier_beginning() -> None:
    engine = _Engine({"t1": [access()], "t2": [access(), access("192.0.2.2")]})
    found = traffic_of(engine)
    assert (found["layers"], found["client_count"], found["missing"]) == (3, 2, [])
    # What a stack before this service has served is in no log.
    assert (found["since"], found["complete_since"]) == ("2026-01-31T10:00:00Z", "2026-01-31T11:00:00Z")
    assert traffic_of(engine, traffic_since="30m")["complete_since"] == "2026-01-31T11:30:00Z"
    assert set(engine.asked) == {1769853600, 1769859000}


def test_a_service_without_a_log_is_said_to_have_none() -> None:
    (missing,) = traffic_of(_Engine({"t1": []}, driver="none"))["missing"]
    assert "the logging driver of the service is none" in missing


def test_a_log_that_was_cut_is_said_to_be_cut() -> None:
    found = traffic_of(_Engine({"t1": [access()] * 5, "t2": [access()]}), lines=5)
    assert found["complete_since"] == "2026-01-31T11:30:00Z"
    assert found["missing"] == ["task t1: only its newest 5 lines were read; raise lines for more"]


def test_logs_that_went_with_their_replicas_are_said_to_be_gone() -> None:
    found = traffic_of(_Engine({"t1": [access()]}, made="2026-01-01T00:00:00Z"))
    assert found["complete_since"] == "2026-01-31T11:00:01Z"
    assert found["missing"] == [
        "the replicas before 2026-01-31T11:00:01Z are gone with their logs: Swarm keeps few of them"
    ]


def test_nobody_has_to_ask() -> None:
    engine = _Engine({"t1": [access()]})
    options = {"name": "dtr-cache", "since": "5m", "traffic_since": None, "lines": 100, "timeout": 5.0}
    assert findings_of(engine, options)["traffic"] is None
    assert set(engine.asked) == {1769860500}
