# Copyright: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What answers and registrations mean, which cause is told first, and that there is always a result in time."""

from __future__ import annotations

import threading
import time
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.dtr.model import ContentCache
from ansible_collections.dtr.cache.plugins.module_utils.health import health
from ansible_collections.dtr.cache.plugins.module_utils.health.checks import (
    CACHE_TO_DTR,
    CLIENT_TO_CACHE,
    CLIENT_TO_DTR,
    Check,
    likely_cause,
)
from ansible_collections.dtr.cache.plugins.module_utils.health.health import Cache, Condition, Dtr, Pull
from ansible_collections.dtr.cache.plugins.module_utils.health.probes import Endpoint, Look, Seen

REGISTRY = {"docker-distribution-api-version": "registry/2.0"}
ASIA = Cache("region-asia", "https://asia.example.com", None)


def seen(status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> Seen:
    return Seen(status, headers or {}, body)


class TestApi:
    @pytest.mark.parametrize("answer", [seen(200, b"{}", REGISTRY), seen(200, b"{}\n"), seen(200, b"", REGISTRY)])
    def test_a_cache(self, answer: Seen) -> None:
        assert health.judge_api(answer).ok

    @pytest.mark.parametrize(
        ("answer", "told", "hint"),
        [
            (seen(200, b"<html>"), "no Docker registry", "host and port"),
            (seen(404), "no Docker registry", "host and port"),
            (seen(401, b"", REGISTRY), "wants to know who asks", "not DTR's"),
            (seen(503), "503", "log"),
            ("no answer within 10 seconds", "no answer within 10 seconds", "log"),
        ],
    )
    def test_something_else(self, answer: Seen | str, told: str, hint: str) -> None:
        check = health.judge_api(answer)
        assert not check.ok
        assert told in check.detail
        assert hint in (check.hint or "")


class TestUpstream:
    @pytest.mark.parametrize("status", [401, 403, 404])
    def test_reached(self, status: int) -> None:
        check = health.judge_upstream(seen(status))
        assert check.ok
        assert check.edge == CACHE_TO_DTR

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
    def test_not_reached(self, answer: Seen | str, hint: str) -> None:
        check = health.judge_upstream(answer)
        assert not check.ok
        assert hint in (check.hint or "")

    def test_an_answer_that_tells_the_reason(self) -> None:
        body = b'{"errors": [{"code": "UNKNOWN", "detail": "x509: certificate signed by unknown authority"}]}'
        check = health.judge_upstream(seen(500, body))
        assert (check.edge, check.ok) == (CACHE_TO_DTR, False)
        assert "dtr_cache_registry_ca" in (check.hint or "")


class TestPing:
    @pytest.mark.parametrize("body", [b'{"Error": "", "Healthy": true}', b'{"healthy": true}'])
    def test_healthy(self, body: bytes) -> None:
        assert health.judge_ping(seen(200, body)).ok

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
    def test_not_healthy(self, answer: Seen | str, told: str) -> None:
        check = health.judge_ping(answer)
        assert not check.ok
        assert told in check.detail
        assert check.hint


def registered(*entries: tuple[str, str]) -> list[ContentCache]:
    return [ContentCache(str(number), name, host) for number, (name, host) in enumerate(entries)]


class TestRegistration:
    @pytest.mark.parametrize("host", ["https://asia.example.com", "https://ASIA.example.com:443/"])
    def test_as_it_should_be(self, host: str) -> None:
        assert health._registration(ASIA, registered(("region-asia", host), ("other", "https://other"))).ok

    def test_another_name_for_it_is_told(self) -> None:
        check = health._registration(ASIA, registered(("region-asia", ASIA.url), ("old-asia", ASIA.url)))
        assert check.ok
        assert check.detail.endswith(", as is old-asia")

    @pytest.mark.parametrize(
        ("entries", "told"),
        [
            ([], "no content cache named region-asia"),
            ([("region-asia", "https://old.example.com")], "DTR sends to https://old.example.com, which is not"),
            ([("region-asia", "not a url:x")], "which is not"),
            ([("region-asia", ASIA.url), ("region-asia", ASIA.url)], "2 content caches named region-asia"),
        ],
    )
    def test_wrong(self, entries: list[tuple[str, str]], told: str) -> None:
        check = health._registration(ASIA, registered(*entries))
        assert not check.ok
        assert told in check.detail
        assert "dtr.cache.content_caches" in (check.hint or "")

    def test_not_readable(self) -> None:
        check = health._registration(ASIA, Failure("NOT_AUTHENTICATED", "Refused.", hint="Check the password."))
        assert not check.ok
        assert (check.detail, check.hint) == ("the registered caches cannot be read: Refused.", "Check the password.")


class TestDeployment:
    @pytest.mark.parametrize(
        ("published", "told", "hint"),
        [
            ([], "the Swarm has no stack that publishes this cache", "dtr.cache.deploy"),
            ([4443, 80], "clients are sent to port 443, and the stack publishes 4443, 80", "dtr_cache_port"),
        ],
    )
    def test_wrong(self, published: list[int], told: str, hint: str) -> None:
        check = health._deployment(ASIA, published)
        assert (check.edge, check.check, check.ok) == (CLIENT_TO_CACHE, "deployment", False)
        assert told in check.detail
        assert hint in (check.hint or "")

    def test_right(self) -> None:
        assert health._deployment(ASIA, [443, 80]).ok


class TestStateOfDtr:
    @pytest.mark.parametrize("read_only", [None, Failure("HTTP_500", "No.")])
    def test_nothing_is_said_of_what_is_not_known(self, read_only: Failure | None) -> None:
        assert health._read_only(read_only) + health._assignments(None) == []

    def test_all_is_well(self) -> None:
        checks = health._read_only(False) + health._assignments([])
        assert [(check.check, check.ok) for check in checks] == [("read_only", True), ("assignments", True)]

    def test_few_and_many_lost_accounts(self) -> None:
        (few,) = health._assignments(["alice"])
        assert not few.ok
        assert few.detail == "assigned to a cache that no longer exists: alice."
        (many,) = health._assignments([f"u{number}" for number in range(12)])
        assert many.detail.endswith("u8, u9 and 2 more.")

    def test_settings_that_cannot_be_read(self) -> None:
        (check,) = health._assignments(Failure("NOT_AUTHORIZED", "Not an administrator.", hint="Be one."))
        assert (check.check, check.ok, check.hint) == ("assignments", False, "Be one.")
        assert "cannot be read: Not an administrator" in check.detail


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

    def test_verdict_names_each_cache(self) -> None:
        bad = Check(CLIENT_TO_CACHE, "tcp", False, "port 443 refuses connections.", "Start it.")
        also = Check(CACHE_TO_DTR, "upstream", False, "no.", None)
        conditions = [
            Condition(ASIA, [bad, also]),
            Condition(ASIA._replace(name="region-europe"), [bad._replace(ok=True)]),
            Condition(ASIA._replace(name="region-us"), [also]),
        ]
        assert health.verdict(conditions) == (
            "2 of 3 caches are not healthy. region-asia: client->cache, tcp: port 443 refuses connections. Start it. "
            "(1 more checks failed) region-us: cache->DTR, upstream: no."
        )
        assert health.verdict(conditions[1:2]) is None

    def test_a_cache_is_not_blamed_for_a_dtr_that_is_down(self) -> None:
        upstream = Check(CACHE_TO_DTR, "upstream", False, "no.", "Look at cas.")
        down = Check(CLIENT_TO_DTR, "tcp", False, "refused.", "Start DTR.")
        assert health._without_follow_ups([upstream, down])[0].hint == (
            "DTR does not answer this machine either: mend that first, and look again."
        )
        untrusted = down._replace(check="chain")
        assert health._without_follow_ups([upstream, untrusted])[0].hint == "Look at cas."

    def test_an_older_certificate_is_replaced_and_not_renewed(self) -> None:
        expired = Check(CLIENT_TO_CACHE, "validity", False, "expired.", "Renew it.")
        older = Check(CLIENT_TO_CACHE, "certificate", False, "another one.", "Deploy the wanted one.")
        assert [check.hint for check in health._without_follow_ups([expired, older])] == ["Deploy the wanted one."] * 2
        assert health._without_follow_ups([expired])[0].hint == "Renew it."

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
        found = health._without_follow_ups(checks)
        assert found[0].hint == hint
        blamed = found[1].hint != "Look at cas."
        assert blamed == (there != "5 hours behind")


class Stage:
    """Stands in for the looks at servers: what each URL shows, one look after the other, the last one for ever."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **shows: list[bool | float]) -> None:
        self.shows = shows
        self.looks: list[str] = []
        monkeypatch.setattr(health, "look_at", self.look_at)
        monkeypatch.setattr(health, "_PAUSE_SECONDS", 0.05)

    def look_at(self, endpoint: Endpoint, _step: float) -> Look:
        name = endpoint.url.removeprefix("https://")
        self.looks.append(name)
        shows = self.shows[name]
        show = shows.pop(0) if len(shows) > 1 else shows[0]
        if not isinstance(show, bool):
            time.sleep(show)
            show = True
        return Look([Check(endpoint.edge, "tcp", show, "as the test wants")], None, 30, 0.01)

    def examine(self, names: t.Iterable[str], **options: t.Any) -> dict[str, Condition]:
        settings = {"min_days": 14, "timeout": 5.0, "wait": False, **options}
        asked = [settings.pop(name, None) for name in ("content_caches", "read_only", "dangling")]
        dtr = Dtr("https://dtr", None, [], health.unverified, *asked)
        with_dtr = dtr if "dtr" in self.shows else None
        own = {name: settings.pop(name, None) for name in ("pull", "dangling_there")}
        caches = [
            Cache(name, f"https://{name}", None, pull=own["pull"], dangling=own["dangling_there"]) for name in names
        ]
        return {each.cache.name: each for each in health.examine(caches, with_dtr, **settings)}


class TestExamine:
    def test_each_cache_and_dtr_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stage = Stage(monkeypatch, a=[True], b=[False], dtr=[True])
        found = stage.examine(["a", "b"])
        assert sorted(stage.looks) == ["a", "b", "dtr"]
        assert {name: condition.healthy for name, condition in found.items()} == {"a": True, "b": False}
        assert [check.edge for check in found["a"].checks] == [CLIENT_TO_CACHE, CLIENT_TO_DTR]

    def test_registrations_are_read_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[int] = []

        def content_caches() -> list[ContentCache]:
            asked.append(1)
            return registered(("a", "https://a"))

        found = Stage(monkeypatch, a=[True], b=[True], dtr=[True]).examine(["a", "b"], content_caches=content_caches)
        assert asked == [1]
        assert [found[name].checks[-1].ok for name in "ab"] == [True, False]

    def test_no_word_about_registrations_of_a_dtr_that_is_down(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stage = Stage(monkeypatch, a=[True], dtr=[False])
        found = stage.examine(["a"], content_caches=registered)
        assert [check.check for check in found["a"].checks] == ["tcp", "tcp"]

    def test_many_that_hang_cost_one_time_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        names = [f"c{number}" for number in range(100)]
        hang: dict[str, list[bool | float]] = {
            name: [30.0] if number % 2 else [True] for number, name in enumerate(names)
        }
        stage = Stage(monkeypatch, **hang)
        began = time.monotonic()
        found = stage.examine(names, timeout=0.5)
        assert time.monotonic() - began < 1.5
        assert list(found) == names
        assert [found[name].healthy for name in names[:4]] == [True, False, True, False]
        assert [check.check for check in found["c1"].checks] == ["finished"]

    def test_waits_until_all_are_healthy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stage = Stage(monkeypatch, a=[True], b=[False, False, True])
        found = stage.examine(["a", "b"], wait=True)
        assert all(condition.healthy for condition in found.values())
        assert sorted(stage.looks) == ["a", "b", "b", "b"]

    def test_waits_no_longer_than_the_time_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stage = Stage(monkeypatch, a=[False])
        began = time.monotonic()
        assert not stage.examine(["a"], wait=True, timeout=0.5)["a"].healthy
        assert time.monotonic() - began < 1.5
        assert len(stage.looks) > 2

    def test_the_last_whole_look_counts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stage = Stage(monkeypatch, a=[False, 30.0])
        found = stage.examine(["a"], wait=True, timeout=0.5)
        assert [check.check for check in found["a"].checks] == ["tcp"]

    def test_a_last_look_without_time_hides_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        refused = Check(CLIENT_TO_CACHE, "tcp", False, "port 443 refuses connections.", "Start it.")
        hangs = Check(CLIENT_TO_CACHE, "tls", False, "there is no TLS answer within 0.3 seconds.", "Look.")
        shows = [(0.0, refused), (10.0, hangs)]

        def look_at(_endpoint: Endpoint, step: float) -> Look:
            seconds, check = shows.pop(0)
            time.sleep(min(seconds, step))
            return Look([check], None, None, None)

        monkeypatch.setattr(health, "look_at", look_at)
        monkeypatch.setattr(health, "_PAUSE_SECONDS", 0.05)
        (condition,) = health.examine([ASIA], None, min_days=14, timeout=0.4, wait=True)
        assert shows == []
        assert condition.checks == [refused]

    def test_what_dtr_tells_is_part_of_each_cache(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stage = Stage(monkeypatch, a=[True], b=[True], dtr=[True])
        found = stage.examine(["a", "b"], read_only=lambda: True, dangling=list)
        assert [[(check.check, check.ok) for check in found[name].checks[2:]] for name in "ab"] == [
            [("read_only", False), ("assignments", True)]
        ] * 2

    def test_what_is_late_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def late(*_arguments: t.Any) -> t.Any:
            time.sleep(5)

        stage = Stage(monkeypatch, a=[True], dtr=[True])
        pull = Pull(lambda: None, late)
        for asked, told in (
            ({"content_caches": late, "read_only": late, "dangling": late}, ["assignments", "registration"]),
            ({"read_only": late}, ["pull"]),
        ):
            found = stage.examine(["a"], timeout=0.3, pull=pull, **asked)
            wrong = {check.check: check.detail for check in found["a"].checks if not check.ok}
            assert list(wrong) == told
            assert all("here is no answer after 0 seconds" in detail for detail in wrong.values())

    @pytest.mark.parametrize(("well", "known"), [(True, True), (False, False)])
    def test_a_pull_is_judged_only_where_all_else_is_well(
        self, monkeypatch: pytest.MonkeyPatch, well: bool, known: bool
    ) -> None:
        pulled = Check(CACHE_TO_DTR, "pull", False, "full.", "Make room.")
        asked: list[str] = []

        def look(url: str) -> Check:
            asked.append(url)
            return pulled

        pull = Pull(lambda: asked.append("log in"), look)
        found = Stage(monkeypatch, a=[well]).examine(["a"], pull=pull)
        assert (pulled in found["a"].checks) == known
        assert asked == (["log in", "https://a"] if known else []), "and nothing is asked for in vain"

    def test_a_pull_of_an_account_that_is_sent_elsewhere_tells_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pull = Pull(lambda: pytest.fail("in vain"), lambda _url: pytest.fail("in vain"))
        for asked in ({"content_caches": registered}, {"dangling": lambda: ["alice"]}):
            found = Stage(monkeypatch, a=[True], dtr=[True]).examine(["a"], pull=pull, **asked)
            assert len([check for check in found["a"].checks if not check.ok]) == 1

    def test_one_login_serves_all_rounds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        logins: list[int] = []
        shows = [Check(CACHE_TO_DTR, "pull", False, "full.", "Make room.")] * 2

        def log_in() -> None:
            logins.append(1)
            if len(logins) == 1:
                raise Failure("HTTP_500", "DTR is busy.", hint="Look again.")

        def look(_url: str) -> Check:
            return shows.pop() if shows else Check(CACHE_TO_DTR, "pull", True, "fine")

        found = Stage(monkeypatch, a=[True]).examine(["a"], pull=Pull(log_in, look), wait=True)
        assert found["a"].healthy
        assert len(logins) == 2, "until it succeeds"

    def test_a_login_that_fails_is_dtrs_matter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def log_in() -> None:
            raise Failure("NO_SUCH_USER", "account: DTR has no user zoe.", hint="Name another.")

        found = Stage(monkeypatch, a=[True]).examine(
            ["a"], pull=Pull(log_in, lambda _url: pytest.fail("not logged in"))
        )
        (check,) = [check for check in found["a"].checks if not check.ok]
        assert check[:5] == (CLIENT_TO_DTR, "pull", False, "account: DTR has no user zoe.", "Name another.")

    def test_a_login_is_never_left_behind(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ended: list[int] = []

        def log_in() -> None:
            time.sleep(0.6)
            ended.append(1)

        def late(_url: str) -> Check:
            time.sleep(5)
            return Check(CACHE_TO_DTR, "pull", True, "fine")

        began = time.monotonic()
        found = Stage(monkeypatch, a=[True]).examine(["a"], pull=Pull(log_in, late), timeout=0.4)
        assert ended == [1]
        assert time.monotonic() - began < 3, "a look is"
        assert [check.check for check in found["a"].checks if not check.ok] == ["pull"]

    def test_a_caches_own_accounts_count_for_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stage = Stage(monkeypatch, a=[True], dtr=[True])
        found = stage.examine(["a"], dangling=lambda: ["bob"], dangling_there=lambda: ["alice"])
        (check,) = [check for check in found["a"].checks if not check.ok]
        assert check.detail == "assigned to a cache that no longer exists: alice."


@pytest.mark.parametrize(
    ("check", "serves"),
    [
        (Check(CLIENT_TO_CACHE, "tcp", False, "refused."), False),
        (Check(CLIENT_TO_CACHE, "validity", False, "expires in 3 days.", None, True), True),
        (health._deployment(ASIA, []), True),
        (Check(CACHE_TO_DTR, "upstream", False, "503."), True),
        (Check(CLIENT_TO_DTR, "registration", False, "none."), True),
    ],
)
def test_what_keeps_clients_from_an_answer(check: Check, serves: bool) -> None:
    row = Condition(ASIA, [Check(CLIENT_TO_CACHE, "name_resolution", True, "fine"), check]).row()
    assert (row["healthy"], row["serves"]) == (False, serves)
    assert set(row["checks"][1]) == {"edge", "check", "ok", "detail", "hint"}


class TestSideBySide:
    def test_an_error_comes_out(self) -> None:
        def broken() -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            health.side_by_side({"broken": broken}, 5)

    def test_what_hangs_is_left_behind(self) -> None:
        never = threading.Event()
        assert health.side_by_side({"a": lambda: 1, "b": never.wait}, 0.2) == {"a": 1}
        never.set()
