# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every known cause, in the words of the registry, of Go and of Swarm."""

from __future__ import annotations

import datetime
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.logs import causes
from ansible_collections.dtr.cache.plugins.module_utils.logs.findings import Collector
from ansible_collections.dtr.cache.tests.unit.support.logs import (
    NODES,
    NOW,
    WRITTEN,
    findings,
    framed,
    message,
    read,
    task,
)


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
