# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The judgement of answers, and which failed check explains the others."""

from __future__ import annotations

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.health.checks import (
    CACHE_TO_DTR,
    CLIENT_TO_CACHE,
    CLIENT_TO_DTR,
    Answer,
    Check,
    judge_api,
    judge_ping,
    judge_signed_upstream,
    judge_upstream,
    likely_cause,
    without_follow_ups,
)

REGISTRY = {"docker-distribution-api-version": "registry/2.0"}


def seen(status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
    return Answer(status, headers or {}, body)


class TestApi:
    @pytest.mark.parametrize("answer", [seen(200, b"{}", REGISTRY), seen(200, b"{}\n"), seen(200, b"", REGISTRY)])
    def test_a_cache(self, answer: Answer) -> None:
        assert judge_api(answer).ok

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
    def test_something_else(self, answer: Answer | str, told: str, hint: str) -> None:
        check = judge_api(answer)
        assert not check.ok
        assert told in check.detail
        assert hint in (check.hint or "")


class TestUpstream:
    @pytest.mark.parametrize("status", [401, 403, 404])
    def test_a_refusal_may_be_the_caches_own(self, status: int) -> None:
        check = judge_upstream(seen(status))
        assert (check.edge, check.ok) == (CACHE_TO_DTR, None)
        assert "or the cache does without asking DTR" in check.detail

    @pytest.mark.parametrize(("status", "ok"), [(404, True), (401, None), (403, None)])
    def test_only_dtr_knows_that_nobody_has_it(self, status: int, ok: bool | None) -> None:
        check = judge_signed_upstream(seen(status))
        assert (check.edge, check.check, check.ok) == (CACHE_TO_DTR, "upstream", ok)
        assert bool(check.hint) == (ok is None)

    @pytest.mark.parametrize("answer", [seen(503), seen(500), seen(200), "no answer within 20 seconds"])
    def test_a_signed_question_that_fails(self, answer: Answer | str) -> None:
        assert judge_signed_upstream(answer).failed

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
    def test_not_reached(self, answer: Answer | str, hint: str) -> None:
        check = judge_upstream(answer)
        assert not check.ok
        assert hint in (check.hint or "")

    def test_an_answer_that_tells_the_reason(self) -> None:
        body = b'{"errors": [{"code": "UNKNOWN", "detail": "x509: certificate signed by unknown authority"}]}'
        check = judge_upstream(seen(500, body))
        assert (check.edge, check.ok) == (CACHE_TO_DTR, False)
        assert "dtr_cache_registry_ca" in (check.hint or "")


class TestPing:
    @pytest.mark.parametrize("body", [b'{"Error": "", "Healthy": true}', b'{"healthy": true}'])
    def test_healthy(self, body: bytes) -> None:
        assert judge_ping(seen(200, body)).ok

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
    def test_not_healthy(self, answer: Answer | str, told: str) -> None:
        check = judge_ping(answer)
        assert not check.ok
        assert told in check.detail
        assert check.hint


class TestCause:
    @pytest.mark.parametrize(
        ("wrong", "cause"),
        [
            ([(CACHE_TO_DTR, "upstream"), (CLIENT_TO_DTR, "tcp")], (CLIENT_TO_DTR, "tcp")),
            ([(CACHE_TO_DTR, "upstream"), (CLIENT_TO_CACHE, "api")], (CLIENT_TO_CACHE, "api")),
            ([(CLIENT_TO_CACHE, "validity"), (CLIENT_TO_CACHE, "clock")], (CLIENT_TO_CACHE, "clock")),
            ([(CLIENT_TO_DTR, "registration"), (CACHE_TO_DTR, "upstream")], (CACHE_TO_DTR, "upstream")),
            ([], None),
        ],
    )
    def test_before_its_consequences(self, wrong: list[tuple[str, str]], cause: tuple[str, str] | None) -> None:
        checks = [Check(CLIENT_TO_CACHE, "tcp", True, "connected")]
        checks += [Check(edge, name, False, "wrong.", "Mend it.") for edge, name in wrong]
        found = likely_cause(checks)
        assert (found and (found.edge, found.check)) == cause

    def test_a_cache_is_not_blamed_for_a_dtr_that_is_down(self) -> None:
        upstream = Check(CACHE_TO_DTR, "upstream", False, "no.", "Look at cas.")
        down = Check(CLIENT_TO_DTR, "tcp", False, "refused.", "Start DTR.")
        assert without_follow_ups([upstream, down])[0].hint == (
            "DTR does not answer this machine either: fix that first, and check again."
        )
        untrusted = down._replace(check="chain")
        assert without_follow_ups([upstream, untrusted])[0].hint == "Look at cas."

    def test_an_older_certificate_is_replaced_and_not_renewed(self) -> None:
        expired = Check(CLIENT_TO_CACHE, "validity", False, "expired.", "Renew it.")
        older = Check(CLIENT_TO_CACHE, "certificate", False, "another one.", "Deploy the wanted one.")
        assert [check.hint for check in without_follow_ups([expired, older])] == ["Deploy the wanted one."] * 2
        assert without_follow_ups([expired])[0].hint == "Renew it."

    @pytest.mark.parametrize(
        ("there", "hint"),
        [
            ("5 hours behind", "Cache and DTR agree on that: set this machine's clock right (NTP)."),
            ("5 hours ahead of", "Set NTP."),
            (None, "DTR's clock agrees with this machine's: set that of the cache's node (NTP)."),
        ],
    )
    def test_whose_clock_is_wrong(self, there: str | None, hint: str) -> None:
        clock = Check(
            CLIENT_TO_CACHE, "clock", False, "the server's clock is 5 hours behind this machine's.", "Set NTP."
        )
        upstream = Check(CACHE_TO_DTR, "upstream", False, "no.", "Look at cas.")
        checks = [clock, upstream, Check(CLIENT_TO_DTR, "api", True, "GET /_ping answers 200 OK")]
        if there:
            told = f"the server's clock is {there} this machine's."
            checks.append(Check(CLIENT_TO_DTR, "clock", False, told, "Set NTP."))
        found = without_follow_ups(checks)
        assert found[0].hint == hint
        blamed = found[1].hint != "Look at cas."
        assert blamed == (there != "5 hours behind")
