# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left out of a message."""

from __future__ import annotations

import pytest
from ansible_collections.dtr.cache.tests.unit.support.logs import (
    WRITTEN,
    findings,
    framed,
    message,
    read,
)

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
