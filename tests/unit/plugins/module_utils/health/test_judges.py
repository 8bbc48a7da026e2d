# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the answers of caches and of DTR mean."""

from __future__ import annotations

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.health import judges
from ansible_collections.dtr.cache.plugins.module_utils.health.checks import (
    CACHE_TO_DTR,
)
from ansible_collections.dtr.cache.plugins.module_utils.health.endpoint import ProbeAnswer

REGISTRY = {"docker-distribution-api-version": "registry/2.0"}


def seen(status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> ProbeAnswer:
    return ProbeAnswer(status, headers or {}, body)


class TestApi:
    @pytest.mark.parametrize("answer", [seen(200, b"{}", REGISTRY), seen(200, b"{}\n"), seen(200, b"", REGISTRY)])
    def test_a_cache(self, answer: ProbeAnswer) -> None:
        assert judges.judge_api(answer).ok

    @pytest.mark.parametrize(
        ("answer", "told", "hint"),
        [
            (seen(200, b"<html>"), "no Docker registry", "host and port"),
            (seen(404), "no Docker registry", "host and port"),
            (seen(401, b"", REGISTRY), "requires a login", "not DTR's"),
            (seen(503), "503", "log"),
            ("no answer within 10 seconds", "no answer within 10 seconds", "log"),
        ],
    )
    def test_something_else(self, answer: ProbeAnswer | str, told: str, hint: str) -> None:
        check = judges.judge_api(answer)
        assert not check.ok
        assert told in check.detail
        assert hint in (check.hint or "")


class TestUpstream:
    @pytest.mark.parametrize("status", [401, 403, 404])
    def test_a_refusal_may_be_the_caches_own(self, status: int) -> None:
        check = judges.judge_upstream(seen(status))
        assert (check.edge, check.ok) == (CACHE_TO_DTR, None)
        assert "or the cache does without asking DTR" in check.detail

    @pytest.mark.parametrize(("status", "ok"), [(404, True), (401, None), (403, None)])
    def test_only_dtr_knows_that_nobody_has_it(self, status: int, ok: bool | None) -> None:
        check = judges.judge_signed_upstream(seen(status))
        assert (check.edge, check.check, check.ok) == (CACHE_TO_DTR, "upstream", ok)
        assert bool(check.hint) == (ok is None)

    @pytest.mark.parametrize("answer", [seen(503), seen(500), seen(200), "no answer within 20 seconds"])
    def test_a_signed_question_that_fails(self, answer: ProbeAnswer | str) -> None:
        assert judges.judge_signed_upstream(answer).failed

    @pytest.mark.parametrize(
        ("answer", "hint"),
        [
            (seen(503), "upstreams and cas"),
            (seen(502), "upstreams and cas"),
            (seen(500), "storage"),
            (seen(200), "content cache's"),
            ("no answer within 20 seconds", "firewalls"),
        ],
    )
    def test_not_reached(self, answer: ProbeAnswer | str, hint: str) -> None:
        check = judges.judge_upstream(answer)
        assert not check.ok
        assert hint in (check.hint or "")

    def test_an_answer_that_tells_the_reason(self) -> None:
        body = b'{"errors": [{"code": "UNKNOWN", "detail": "x509: certificate signed by unknown authority"}]}'
        check = judges.judge_upstream(seen(500, body))
        assert (check.edge, check.ok) == (CACHE_TO_DTR, False)
        assert "dtr_cache_registry_ca" in (check.hint or "")


class TestPing:
    @pytest.mark.parametrize("body", [b'{"Error": "", "Healthy": true}', b'{"healthy": true}'])
    def test_healthy(self, body: bytes) -> None:
        assert judges.judge_ping(seen(200, body)).ok

    @pytest.mark.parametrize(
        ("answer", "told"),
        [
            (seen(503, b'{"Error": "rethinkdb: no quorum", "Healthy": false}'), "(rethinkdb: no quorum)"),
            (seen(200, b'{"Error": "", "Healthy": false}'), "(no reason given)"),
            (seen(503, b"<html>"), "503"),
            (seen(200, b"<html>"), "as no DTR does"),
            (seen(200, b"{}"), "as no DTR does"),
            (seen(404), "as no DTR does"),
            ("the connection is closed without an answer", "closed without an answer"),
        ],
    )
    def test_not_healthy(self, answer: ProbeAnswer | str, told: str) -> None:
        check = judges.judge_ping(answer)
        assert not check.ok
        assert told in check.detail
        assert check.hint
