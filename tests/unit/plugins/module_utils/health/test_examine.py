# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""There is always a result in time, and the last whole round counts."""

from __future__ import annotations

import time
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.dtr.model import ContentCache
from ansible_collections.dtr.cache.plugins.module_utils.health import examine
from ansible_collections.dtr.cache.plugins.module_utils.health.checks import (
    CACHE_TO_DTR,
    CLIENT_TO_CACHE,
    CLIENT_TO_DTR,
    Check,
)
from ansible_collections.dtr.cache.plugins.module_utils.health.endpoint import Endpoint, EndpointReport
from ansible_collections.dtr.cache.plugins.module_utils.health.endpoints import unverified
from ansible_collections.dtr.cache.plugins.module_utils.health.model import Cache, Condition, Dtr, Pulling, PullReport

ASIA = Cache("region-asia", "https://asia.example.com", None)


def registered(*entries: tuple[str, str]) -> list[ContentCache]:
    return [ContentCache(str(number), name, host) for number, (name, host) in enumerate(entries)]


class Stage:
    """Stands in for the looks at servers: what each URL shows, one look after the other, the last one for ever."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **shows: list[bool | float]) -> None:
        self.shows = shows
        self.probed: list[str] = []
        monkeypatch.setattr(examine, "probe", self.probe)
        monkeypatch.setattr(examine, "_PAUSE_SECONDS", 0.05)

    def probe(self, endpoint: Endpoint, _step: float) -> EndpointReport:
        name = endpoint.url.removeprefix("https://")
        self.probed.append(name)
        shows = self.shows[name]
        show = shows.pop(0) if len(shows) > 1 else shows[0]
        if not isinstance(show, bool):
            time.sleep(show)
            show = True
        return EndpointReport([Check(endpoint.edge, "tcp", show, "as the test wants")], None, 30, 0.01)

    def examine(self, names: t.Iterable[str], **options: t.Any) -> dict[str, Condition]:
        settings = {"min_days": 14, "timeout": 5.0, "wait": False, **options}
        asked = [settings.pop(name, None) for name in ("content_caches", "read_only", "dangling")]
        dtr = Dtr("https://dtr", None, [], unverified, *asked)
        with_dtr = dtr if "dtr" in self.shows else None
        own = {name: settings.pop(name, None) for name in ("pull", "dangling_there")}
        caches = [
            Cache(name, f"https://{name}", None, pull=own["pull"], dangling=own["dangling_there"]) for name in names
        ]
        return {each.cache.name: each for each in examine.examine(caches, with_dtr, **settings)}


class TestExamine:
    def test_each_cache_and_dtr_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stage = Stage(monkeypatch, a=[True], b=[False], dtr=[True])
        found = stage.examine(["a", "b"])
        assert sorted(stage.probed) == ["a", "b", "dtr"]
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
        assert sorted(stage.probed) == ["a", "b", "b", "b"]

    def test_waits_no_longer_than_the_time_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stage = Stage(monkeypatch, a=[False])
        began = time.monotonic()
        assert not stage.examine(["a"], wait=True, timeout=0.5)["a"].healthy
        assert time.monotonic() - began < 1.5
        assert len(stage.probed) > 2

    def test_the_last_whole_look_counts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stage = Stage(monkeypatch, a=[False, 30.0])
        found = stage.examine(["a"], wait=True, timeout=2)
        assert [check.check for check in found["a"].checks] == ["tcp"]

    def test_a_last_look_without_time_hides_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        refused = Check(CLIENT_TO_CACHE, "tcp", False, "port 443 refuses connections.", "Start it.")
        hangs = Check(CLIENT_TO_CACHE, "tls", False, "there is no TLS answer within 0.3 seconds.", "Look.")
        shows = [(0.0, refused), (10.0, hangs)]

        def probe(_endpoint: Endpoint, step: float) -> EndpointReport:
            seconds, check = shows.pop(0)
            time.sleep(min(seconds, step))
            return EndpointReport([check], None, None, None)

        monkeypatch.setattr(examine, "probe", probe)
        monkeypatch.setattr(examine, "_PAUSE_SECONDS", 0.05)
        (condition,) = examine.examine([ASIA], None, min_days=14, timeout=1.5, wait=True)
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
        pull = Pulling(lambda: None, late)
        for asked, told in (
            ({"content_caches": late, "read_only": late, "dangling": late}, ["answers"]),
            ({"read_only": late}, ["pull"]),
        ):
            found = stage.examine(["a"], timeout=0.3, pull=pull, **asked)
            wrong = {check.check: check.detail for check in found["a"].checks if check.failed}
            assert list(wrong) == told
            assert all("here is no answer after 0 seconds" in detail for detail in wrong.values())

    @pytest.mark.parametrize(("well", "known"), [(True, True), (False, False)])
    def test_a_pull_is_judged_only_where_all_else_is_well(
        self, monkeypatch: pytest.MonkeyPatch, well: bool, known: bool
    ) -> None:
        pulled = Check(CACHE_TO_DTR, "pull", False, "full.", "Make room.")
        asked: list[str] = []

        def look(url: str, _addresses: t.Sequence[str]) -> PullReport:
            asked.append(url)
            return PullReport([pulled])

        pull = Pulling(lambda: asked.append("log in"), look)
        found = Stage(monkeypatch, a=[well]).examine(["a"], pull=pull)
        assert (pulled in found["a"].checks) == known
        assert asked == (["log in", "https://a"] if known else []), "and nothing is asked for in vain"

    def test_a_pull_of_an_account_that_is_sent_elsewhere_tells_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pull = Pulling(lambda: pytest.fail("in vain"), lambda _url, _addresses: pytest.fail("in vain"))
        for asked in ({"content_caches": registered}, {"dangling": lambda: ["alice"]}):
            found = Stage(monkeypatch, a=[True], dtr=[True]).examine(["a"], pull=pull, **asked)
            assert len([check for check in found["a"].checks if check.failed]) == 1

    def test_one_login_serves_all_rounds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        logins: list[int] = []
        shows = [Check(CACHE_TO_DTR, "pull", False, "full.", "Make room.")] * 2

        def log_in() -> None:
            logins.append(1)
            if len(logins) == 1:
                raise Failure("HTTP_500", "DTR is busy.", hint="Look again.")

        def look(_url: str, _addresses: t.Sequence[str]) -> PullReport:
            return PullReport([shows.pop() if shows else Check(CACHE_TO_DTR, "pull", True, "fine")])

        found = Stage(monkeypatch, a=[True]).examine(["a"], pull=Pulling(log_in, look), wait=True)
        assert found["a"].healthy
        assert len(logins) == 2, "until it succeeds"

    def test_a_login_that_fails_is_dtrs_matter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def log_in() -> None:
            raise Failure("NO_SUCH_USER", "account: DTR has no user zoe.", hint="Name another.")

        found = Stage(monkeypatch, a=[True]).examine(
            ["a"], pull=Pulling(log_in, lambda _url, _addresses: pytest.fail("not logged in"))
        )
        (check,) = [check for check in found["a"].checks if check.failed]
        assert check[:5] == (CLIENT_TO_DTR, "pull", False, "account: DTR has no user zoe.", "Name another.")

    def test_a_login_is_never_left_behind(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ended: list[int] = []

        def log_in() -> None:
            time.sleep(0.6)
            ended.append(1)

        def late(_url: str, _addresses: t.Sequence[str]) -> PullReport:
            time.sleep(5)
            return PullReport([Check(CACHE_TO_DTR, "pull", True, "fine")])

        began = time.monotonic()
        found = Stage(monkeypatch, a=[True]).examine(["a"], pull=Pulling(log_in, late), timeout=0.4)
        assert ended == [1]
        assert time.monotonic() - began < 3, "a look is"
        assert [check.check for check in found["a"].checks if check.failed] == ["pull"]

    def test_a_caches_own_accounts_count_for_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stage = Stage(monkeypatch, a=[True], dtr=[True])
        found = stage.examine(["a"], dangling=lambda: ["bob"], dangling_there=lambda: ["alice"])
        (check,) = [check for check in found["a"].checks if check.failed]
        assert check.detail == "assigned to a cache that no longer exists: alice."
