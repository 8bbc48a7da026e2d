# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every known cause in the words of the registry, of Go and of Swarm: what is counted, left out, and over."""

from __future__ import annotations

import datetime
import time
import tracemalloc
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.logs import causes
from ansible_collections.dtr.cache.plugins.module_utils.logs.findings import Collector, since
from ansible_collections.dtr.cache.plugins.module_utils.swarm.task_logs import LogLine
from ansible_collections.dtr.cache.tests.unit.support.logs import (
    NODES,
    NOW,
    UNTRUSTED,
    WRITTEN,
    findings,
    framed,
    message,
    read,
    task,
)
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize("case", WRITTEN, ids=lambda case: case["case"])
def test_what_the_registry_wrote_is_recognised(case: dict[str, t.Any]) -> None:
    rows = findings(framed(*[message(line) for line in case["lines"]]))
    assert sorted(row["cause"] for row in rows) == sorted(case["causes"])
    for row in rows:
        assert row["hint"] and row["summary"] and row["sample"] and row["edge"]
        assert row["nodes"] == ["worker-1"]


WORDS: list[tuple[str, str | None]] = [
    # The registry itself ends so; the lab's cache says the same with a logger.
    ("panic: StorageDriver not registered: floppy", "storage_driver_unknown"),
    ("panic: something new", "start_failed"),
    ('time="x" level=fatal msg="something new"', "start_failed"),
    ("2026/11/24 01:50:00 tls: private key does not match public key", "key_mismatch"),
    ("goroutine 1 [running]:", None),
    ('time="x" level=error msg="m" error="context canceled"', None),
    ('time="x" level=error msg="m" error="open /x: no such file or directory"', None),
    ('time="x" level=error msg="m" error="remote error: tls: bad certificate"', "upstream_wants_certificate"),
    ("x http: TLS handshake error from 10.0.0.1:5: remote error: tls: bad certificate", "client_distrusts_cache"),
    ("x http: TLS handshake error from 10.0.0.1:5: EOF", None),
    ('time="x" level=error msg="m" error="s3aws: RequestError: dial tcp: no such host"', "storage_unreachable"),
]


@pytest.mark.parametrize(("line", "cause"), WORDS)
def test_the_same_words_mean_different_things_in_different_places(line: str, cause: str | None) -> None:
    assert read(line) == ([cause] if cause else [])


TASK_ERRORS = [
    ("no suitable node (scheduling constraints not satisfied on 3 nodes)", "no_node"),
    ("no suitable node (host-mode port already in use on 1 node; scheduling constraints not met)", "port_in_use"),
    ("No such image: docker/not-there:1", "image_missing"),
    ('invalid mount config for type "bind": bind source path does not exist: /srv/cache', "volume_missing"),
    (
        "driver failed programming external connectivity: Error starting userland proxy: listen tcp4 0.0.0.0:443: "
        "bind: address already in use",
        "port_in_use",
    ),
    (
        'starting container failed: OCI runtime create failed: exec: "/start.sh": stat /start.sh: no such file or '
        "directory: unknown",
        "entrypoint_missing",
    ),
    ("task: non-zero exit (137)", "killed"),
    ("task: non-zero exit (1)", "container_ended"),
    ("task: non-zero exit (1): dockerexec: unhealthy container", "unhealthy"),
    ("something new", "task_failed"),
]


@pytest.mark.parametrize(("error", "cause"), TASK_ERRORS)
def test_what_swarm_says_of_a_task(error: str, cause: str) -> None:
    collector = Collector()
    collector.take_task(task(state="rejected", error=error), NOW - datetime.timedelta(hours=2))
    (row,) = collector.rows([], NODES)
    assert (row["cause"], row["sample"]) == (cause, error)


def test_every_cause_of_the_catalogue_has_its_case() -> None:
    told = {cause for case in WRITTEN for cause in case["causes"]} | {cause for _words, cause in (*WORDS, *TASK_ERRORS)}
    # These two are about what is not there, and have tests of their own.
    assert set(causes.RANK) == (told - {None}) | {"no_service", "node_lost"}


def test_every_cause_of_the_catalogue_says_what_it_is_and_what_to_do() -> None:
    codes = [cause.code for cause in causes.CATALOGUE]
    assert set(codes) == set(causes.RANK)
    for cause in causes.CATALOGUE:
        assert cause.summary and not cause.summary.endswith("."), cause.code
        assert cause.hint[0].isalpha() and cause.hint.endswith((".", "ls", "logs", "--no-trunc")), cause.code


HOSTILE = "x509: certificate signed by unknown authority no space left on device"


@pytest.mark.parametrize(
    "line",
    [
        f'198.51.100.7 - - [24/Nov/2026:01:48:59 +0000] "GET /v2/ HTTP/1.1" 404 96 "" "{HOSTILE}"',
        f'time="x" level=error msg="response completed with error" http.request.useragent="{HOSTILE}"',
        f'time="x" level=error msg="m" http.request.useragent="\\" error=\\"{HOSTILE}" http.request.uri="/{HOSTILE}"',
        f'time="x" level=info msg="{HOSTILE}"',
        f'{{"level": "error", "msg": "m", "http.request.useragent": "{HOSTILE}"}}',
        f'{{"level": "debug", "msg": "{HOSTILE}"}}',
        "{broken json",
        '{"a":' * 12_000,
        "{}",
        "",
    ],
)
def test_what_a_client_sent_and_what_is_no_trouble_tell_nothing(line: str) -> None:
    assert read(line) == []


def test_the_refusal_that_a_health_probe_provokes_does_not_count() -> None:
    rejected = next(case for case in WRITTEN if case["case"] == "run-unauthorized")["lines"]
    probe = [line.replace("eng/app", "dtr-cache-health/probe") for line in rejected]
    assert findings(framed(*map(message, probe))) == []
    asked = [
        line.replace("method=GET", "method=HEAD").replace("=Python-urllib/3.13", "=ansible-dtr.cache")
        for line in rejected
    ]
    assert findings(framed(*map(message, asked))) == []
    untrusted = next(case for case in WRITTEN if case["case"] == "run-unknown-authority")["lines"]
    probe = [line.replace("eng/app", "dtr-cache-health/probe") for line in untrusted]
    assert [row["cause"] for row in findings(framed(*map(message, probe)))] == ["upstream_ca_unknown"]


def test_several_lines_of_one_request_are_one_event() -> None:
    lines = next(case for case in WRITTEN if case["case"] == "run-unknown-authority")["lines"]
    assert len(lines) > 1
    assert [row["count"] for row in findings(framed(*[message(line) for line in lines]))] == [1]
    other = [line.replace("http.request.id=", "http.request.id=other-") for line in lines]
    assert [row["count"] for row in findings(framed(*[message(line) for line in [*lines, *other]]))] == [2]


def test_a_finding_tells_when_where_and_shows_the_newest() -> None:
    lines = [
        message(UNTRUSTED.replace("dtr", "first"), at="2026-01-31T11:00:00.9Z"),
        message(UNTRUSTED.replace("dtr", "last"), at="2026-01-31T11:50:00Z", node="n2"),
        message(UNTRUSTED.replace("dtr", "middle"), at="2026-01-31T11:40:00Z", node="n3"),
    ]
    (row,) = findings(framed(*lines))
    assert (row["count"], row["first_seen"], row["last_seen"]) == (3, "2026-01-31T11:00:00Z", "2026-01-31T11:50:00Z")
    assert row["nodes"] == ["n3", "worker-1", "worker-2"]
    assert row["sample"] == "blob not served error=https://last: x509: certificate signed by unknown authority"


def test_a_terminals_form_and_frames_tell_the_same() -> None:
    lines = [message(UNTRUSTED), message("time=x level=info msg=fine"), message(UNTRUSTED)]
    as_terminal = "".join(lines).replace("\n", "\r\n").encode()
    assert findings(framed(*lines)) == findings(as_terminal)
    assert findings(as_terminal)[0]["count"] == 2


@given(st.binary(max_size=300), st.integers(1, 50))
def test_no_stream_breaks_it(content: bytes, size: int) -> None:
    Collector().read([content[at : at + size] for at in range(0, len(content), size)])


def test_a_huge_log_takes_little_memory() -> None:
    frames = framed(*[message(UNTRUSTED.replace("dtr", f"dtr-{number}")) for number in range(100)])
    tracemalloc.start()
    (row,) = findings(*([frames] * 50))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert row["count"] == 5000
    assert most < 512 * 1024


@pytest.mark.parametrize("text", ["level=error " + "a" * 60_000, 'level=error msg="' + "swift: " * 9_000])
def test_a_long_line_takes_little_time(text: str) -> None:
    collector = Collector()
    began = time.process_time()
    collector.take_line(LogLine("2026-01-31T12:00:00Z", "node", "task", text))
    assert time.process_time() - began < 2


def test_an_endless_line_is_cut() -> None:
    endless = b"\x01\x00\x00\x00" + (10**7).to_bytes(4, "big")
    tracemalloc.start()
    rows = findings(endless, *([b"x" * 100_000] * 100), framed(message(UNTRUSTED)))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [row["count"] for row in rows] == [1]
    assert most < 2 * 1024 * 1024


def test_tasks_that_are_old_or_well_tell_nothing_and_waiting_ones_always() -> None:
    collector = Collector()
    collector.take_task(task(state="failed", error="task: non-zero exit (1)"), NOW)
    collector.take_task(task(state="running", error=""), NOW)
    assert collector.rows([], NODES) == []
    collector.take_task(task(state="pending", error="no suitable node"), NOW)
    assert [row["cause"] for row in collector.rows([], NODES)] == ["no_node"]


def test_a_node_that_is_lost_with_its_replica() -> None:
    node = {"ID": "n1", "Description": {"Hostname": "worker-1"}, "Status": {"State": "down"}}
    collector = Collector()
    collector.take_node({**node, "ID": "n2"}, [task()], NOW)
    collector.take_node({**node, "Status": {"State": "ready"}}, [task()], NOW)
    assert collector.rows([task()], NODES) == []
    collector.take_node(node, [task()], NOW)
    (row,) = collector.rows([task()], NODES)
    assert (row["cause"], row["sample"], row["nodes"]) == ("node_lost", "node worker-1 is down", ["worker-1"])


def test_what_a_replaced_replica_met_is_over() -> None:
    chunks = framed(message('time="x" level=fatal msg="configuration error: yaml: x"', task="old"), message(UNTRUSTED))
    rows = findings(chunks, tasks=[task("old", "failed"), task("t1")])
    assert [(row["cause"], row["current"]) for row in rows] == [
        ("upstream_ca_unknown", True),
        ("configuration_syntax", False),
    ]
    rows = findings(chunks, tasks=[task("old", "failed"), task("t1", slot=2)])
    assert [(row["cause"], row["current"]) for row in rows] == [
        ("configuration_syntax", True),
        ("upstream_ca_unknown", True),
    ]


def test_what_was_mended_stays_over_when_something_else_breaks() -> None:
    chunks = framed(message('time="x" level=fatal msg="configuration error: yaml: x"', task="t1"))
    waits = task("t3", "pending", error="no suitable node")
    assert [row["current"] for row in findings(chunks, tasks=[task("t1", "failed"), waits])] == [True]
    for before in ([task("t1", "failed"), task("t2", "shutdown")], [task("t1", "failed", Spec={"of": "another day"})]):
        assert [row["current"] for row in findings(chunks, tasks=[*before, waits])] == [False]


def test_a_new_replica_that_fails_beside_the_old_one_is_no_past() -> None:
    chunks = framed(message('time="x" level=fatal msg="configuration error: yaml: x"', task="t2"))
    assert [row["current"] for row in findings(chunks, tasks=[task("t1"), task("t2", "failed")])] == [True]


def test_what_the_engine_cannot_read_is_told() -> None:
    collector = Collector()
    words = "Error grabbing logs: rpc error: incomplete log stream: node x is not available"
    collector.read([framed(message(UNTRUSTED)), framed(words, stream=3)])
    assert list(collector.unread) == [words]
    assert [row["cause"] for row in collector.rows([task()], NODES)] == ["upstream_ca_unknown"]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90s", "2026-01-31T11:58:30+00:00"),
        ("2h", "2026-01-31T10:00:00+00:00"),
        ("1d", "2026-01-30T12:00:00+00:00"),
        ("2026-01-31T11:00:00Z", "2026-01-31T11:00:00+00:00"),
        ("2026-01-31T13:00:00+02:00", "2026-01-31T11:00:00+00:00"),
        ("2026-01-31", "2026-01-31T00:00:00+00:00"),
        # The times of lines are compared as text, of which a year has four digits.
        ("0999-01-01", "1970-01-01T00:00:00+00:00"),
        ("700000d", "1970-01-01T00:00:00+00:00"),
    ],
)
def test_since(text: str, moment: str) -> None:
    assert since(text, NOW).isoformat() == moment


# The last of these are understood by newer versions of Python only, or by none in another time zone.
@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "soon",
            "2 fortnights",
            "-1h",
            "0h",
            "00d",
            "2026-02-02T00:00:00Z",
            "2099-01-01",
            "99999999999999999d",
            "\u0663h",
        ),
        *("2026-W05", "20260131", "2026-01-31T12:00:00.5Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"),
    ],
)
def test_a_time_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(Failure, match="since"):
        since(text, NOW)
