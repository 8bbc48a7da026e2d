# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examination of caches: its rounds, its verdict, and whether Swarm, DTR and names agree on where a cache is."""

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
    bad,
    likely_cause,
)
from ansible_collections.dtr.cache.plugins.module_utils.health.examine import (
    Cache,
    Condition,
    Dtr,
    assignment_checks,
    cache_endpoint,
    deployment_check,
    dtr_endpoint,
    read_only_checks,
    registration_checks,
    verdict,
    with_addresses,
)
from ansible_collections.dtr.cache.plugins.module_utils.health.probe import Endpoint, Report
from ansible_collections.dtr.cache.plugins.module_utils.health.pull_check import PullCheck, PullReport


def cache(name: str, url: str, port: int | None = None, **fields: t.Any) -> Cache:
    """Return a cache; C(routed) is the field of its endpoint."""
    server = cache_endpoint(url, port, None, routed=fields.pop("routed", False))
    return Cache(name, server, port, **fields)


ASIA = cache("region-asia", "https://asia.example.com")


def registered(*entries: tuple[str, str]) -> list[ContentCache]:
    return [ContentCache(str(number), name, host) for number, (name, host) in enumerate(entries)]


class Pull(PullCheck):
    """Stands in for the pull from a cache."""

    def __init__(self, log_in: t.Callable[[], None], run: t.Callable[[str, t.Sequence[str]], PullReport]) -> None:
        self.log_in = log_in
        self.run = run


class Stage:
    """Stands in for the looks at servers: what each URL shows, one look after the other, the last one for ever."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **shows: list[bool | float]) -> None:
        self.shows = shows
        self.probed: list[str] = []
        monkeypatch.setattr(examine, "probe", self.probe)
        monkeypatch.setattr(examine, "_PAUSE_SECONDS", 0.05)

    def probe(self, endpoint: Endpoint, _step: float) -> Report:
        name = endpoint.url.removeprefix("https://")
        self.probed.append(name)
        shows = self.shows[name]
        show = shows.pop(0) if len(shows) > 1 else shows[0]
        if not isinstance(show, bool):
            time.sleep(show)
            show = True
        return Report([Check(endpoint.edge, "tcp", show, "as the test wants")], None, 30, 0.01)

    def examine(self, names: t.Iterable[str], **options: t.Any) -> dict[str, Condition]:
        settings = {"timeout": 5.0, "wait": False, **options}
        asked = [settings.pop(name, None) for name in ("content_caches", "read_only", "dangling")]
        dtr = Dtr(dtr_endpoint("https://dtr", None), *asked)
        with_dtr = dtr if "dtr" in self.shows else None
        own = {name: settings.pop(name, None) for name in ("pull", "dangling_there")}
        caches = [cache(name, f"https://{name}", pull=own["pull"], dangling=own["dangling_there"]) for name in names]
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
        found = stage.examine(names, timeout=2.0)
        # One after the other, the first that hangs would have been the last that was asked.
        assert set(stage.probed) == set(names)
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

        def probe(_endpoint: Endpoint, step: float) -> Report:
            seconds, check = shows.pop(0)
            time.sleep(min(seconds, step))
            return Report([check])

        monkeypatch.setattr(examine, "probe", probe)
        monkeypatch.setattr(examine, "_PAUSE_SECONDS", 0.05)
        (condition,) = examine.examine([ASIA], None, timeout=1.5, wait=True)
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

        pull = Pull(lambda: asked.append("log in"), look)
        found = Stage(monkeypatch, a=[well]).examine(["a"], pull=pull)
        assert (pulled in found["a"].checks) == known
        assert asked == (["log in", "https://a"] if known else []), "and nothing is asked for in vain"

    def test_a_pull_of_an_account_that_is_sent_elsewhere_tells_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pull = Pull(lambda: pytest.fail("in vain"), lambda _url, _addresses: pytest.fail("in vain"))
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

        found = Stage(monkeypatch, a=[True]).examine(["a"], pull=Pull(log_in, look), wait=True)
        assert found["a"].healthy
        assert len(logins) == 2, "until it succeeds"

    def test_a_login_that_fails_is_dtrs_matter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def log_in() -> None:
            raise Failure("NO_SUCH_USER", "account: DTR has no user zoe.", hint="Name another.")

        found = Stage(monkeypatch, a=[True]).examine(
            ["a"], pull=Pull(log_in, lambda _url, _addresses: pytest.fail("not logged in"))
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
        found = Stage(monkeypatch, a=[True]).examine(["a"], pull=Pull(log_in, late), timeout=0.4)
        assert ended == [1]
        assert time.monotonic() - began < 3, "a look is"
        assert [check.check for check in found["a"].checks if check.failed] == ["pull"]

    def test_a_caches_own_accounts_count_for_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stage = Stage(monkeypatch, a=[True], dtr=[True])
        found = stage.examine(["a"], dangling=lambda: ["bob"], dangling_there=lambda: ["alice"])
        (check,) = [check for check in found["a"].checks if check.failed]
        assert check.detail == "assigned to a cache that no longer exists: alice."


class TestVerdict:
    def test_verdict_names_each_cache(self) -> None:
        bad = Check(CLIENT_TO_CACHE, "tcp", False, "port 443 refuses connections.", "Start it.")
        also = Check(CACHE_TO_DTR, "upstream", False, "no.", None)
        conditions = [
            Condition(ASIA, [bad, also]),
            Condition(ASIA._replace(name="region-europe"), [bad._replace(ok=True)]),
            Condition(ASIA._replace(name="region-us"), [also]),
        ]
        assert verdict(conditions) == (
            "2 of 3 caches are not healthy. region-asia: client->cache, tcp: port 443 refuses connections. Start it. "
            "(1 more check failed) region-us: cache->DTR, upstream: no."
        )
        assert verdict(conditions[1:2]) is None
        assert verdict(conditions[2:]) == "The cache is not healthy. region-us: cache->DTR, upstream: no."


@pytest.mark.parametrize(
    ("check", "serves"),
    [
        (Check(CLIENT_TO_CACHE, "tcp", False, "refused."), False),
        (Check(CLIENT_TO_CACHE, "validity", False, "expires in 3 days.", None, True), True),
        (deployment_check(ASIA, []), True),
        (Check(CACHE_TO_DTR, "upstream", False, "503."), True),
        (Check(CLIENT_TO_DTR, "registration", False, "none."), True),
    ],
)
def test_what_keeps_clients_from_an_answer(check: Check, serves: bool) -> None:
    row = Condition(ASIA, [Check(CLIENT_TO_CACHE, "name_resolution", True, "fine"), check]).row()
    assert (row["healthy"], row["serves"]) == (False, serves)
    assert set(row["checks"][1]) == {"edge", "check", "ok", "detail", "hint"}


class TestRegistration:
    @pytest.mark.parametrize("host", ["https://asia.example.com", "https://ASIA.example.com:443/"])
    def test_as_it_should_be(self, host: str) -> None:
        (check,) = registration_checks(ASIA, registered(("region-asia", host), ("other", "https://other")))
        assert check.ok

    def test_another_name_for_it_is_told(self) -> None:
        (check,) = registration_checks(ASIA, registered(("region-asia", ASIA.url), ("old-asia", ASIA.url)))
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
        (check,) = registration_checks(ASIA, registered(*entries))
        assert not check.ok
        assert told in check.detail
        assert "dtr.cache.content_caches" in (check.hint or "")

    def test_not_readable(self) -> None:
        unknown, check = registration_checks(ASIA, Failure("HTTP_503", "Refused.", hint="Check the password."))
        assert (unknown.check, unknown.ok, check.check, check.ok) == ("registration", None, "answers", False)
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
        check = deployment_check(ASIA, published)
        assert (check.edge, check.check, check.ok) == (CLIENT_TO_CACHE, "deployment", False)
        assert told in check.detail
        assert hint in (check.hint or "")

    def test_right(self) -> None:
        assert deployment_check(ASIA, [443, 80]).ok

    def test_what_stands_before_the_cache_may_have_another_port(self) -> None:
        behind = ASIA._replace(port=8443)
        right = deployment_check(behind, [8443])
        expected = "clients are sent to port 443, which what stands before the cache has to bring to port 8443"
        assert (right.ok, right.detail) == (True, f"the stack publishes port 8443, and {expected}")
        wrong = deployment_check(behind, [443])
        assert (wrong.ok, wrong.detail) == (False, f"{expected}, and the stack publishes 443.")


class TestStateOfDtr:
    @pytest.mark.parametrize("read_only", [None, Failure("HTTP_500", "No.")])
    def test_nothing_is_said_of_what_is_not_known(self, read_only: Failure | None) -> None:
        assert read_only_checks(read_only) + assignment_checks(None) == []

    def test_all_is_well(self) -> None:
        checks = read_only_checks(False) + assignment_checks([])
        assert [(check.check, check.ok) for check in checks] == [("read_only", True), ("assignments", True)]

    def test_few_and_many_lost_accounts(self) -> None:
        (few,) = assignment_checks(["alice"])
        assert not few.ok
        assert few.detail == "assigned to a cache that no longer exists: alice."
        (many,) = assignment_checks([f"u{number}" for number in range(12)])
        assert many.detail.endswith("u8, u9 and 2 more.")

    def test_settings_that_cannot_be_read(self) -> None:
        unknown, check = assignment_checks(Failure("NOT_AUTHORIZED", "Not an administrator.", hint="Be one."))
        assert (unknown.check, unknown.ok, check.ok, check.hint) == ("assignments", None, False, "Be one.")
        assert "cannot be read: Not an administrator" in check.detail


DTR, NODE, BALANCER = "192.0.2.1", "192.0.2.21", "192.0.2.9"
NODES = (NODE, "192.0.2.22")


def checks(failed: str = "", *, harmless: bool = False) -> list[Check]:
    found = [
        Check(CLIENT_TO_CACHE, each, True, "fine") for each in ("name_resolution", "tcp", "tls", "host_name", "api")
    ]
    return [
        bad(CLIENT_TO_CACHE, each.check, "wrong", "Fix it.", harmless=harmless) if each.check == failed else each
        for each in found
    ]


def cause(failed: str, *addresses: str, port: int = 443, dtr_port: int | None = 443, **of_cache: t.Any) -> str:
    """The likely cause of a cache with one failed check, at addresses."""
    asia = cache("asia", f"https://asia.example.com:{port}", **of_cache)
    dtr = Report([], addresses=[DTR], port=dtr_port) if dtr_port else None
    probed = Report([], addresses=addresses, port=port)
    found = likely_cause(with_addresses(asia, checks(failed), probed, dtr))
    return f"{found.check}: {found.detail} {found.hint}" if found else ""


@pytest.mark.parametrize("failed", ["tcp", "tls", "host_name", "api"])
def test_a_name_that_leads_to_dtr_comes_first(failed: str) -> None:
    told = cause(failed, DTR)
    assert told.startswith(
        "name_resolution: asia.example.com is 192.0.2.1, which is the address of DTR itself, and no cache answers "
        "there."
    )
    assert "Let the name asia.example.com lead to the nodes of the cache" in told


def test_another_port_of_dtrs_machine_counts_where_that_is_no_node() -> None:
    assert cause("tcp", DTR, port=8443, nodes=NODES).startswith("name_resolution: ")
    assert cause("tcp", DTR, port=8443, nodes=(DTR, *NODES)).startswith("tcp: ")
    assert cause("tcp", DTR, port=8443).startswith("tcp: ")


@pytest.mark.parametrize("failed", ["tcp", "tls"])
def test_a_cache_that_does_not_answer_at_an_address_of_no_node(failed: str) -> None:
    told = cause(failed, BALANCER, nodes=NODES)
    assert told.startswith(
        "name_resolution: asia.example.com is 192.0.2.9, which is no node of the cache's Swarm (192.0.2.21, "
        "192.0.2.22), and no cache answers there."
    )
    assert "If a load balancer or an address translation stands there" in told


@pytest.mark.parametrize(
    ("failed", "addresses", "nodes"),
    [
        ("", (DTR,), NODES),
        ("", (BALANCER,), NODES),
        ("api", (BALANCER,), NODES),
        ("tcp", (NODE,), NODES),
        ("tcp", (BALANCER, NODE), NODES),
        ("tcp", (BALANCER,), ()),
    ],
)
def test_where_a_load_balancer_may_stand_nothing_is_said(
    failed: str, addresses: tuple[str, ...], nodes: tuple[str, ...]
) -> None:
    assert "name_resolution" not in cause(failed, *addresses, nodes=nodes)


def test_a_reminder_is_no_failure_of_the_name() -> None:
    asia = cache("asia", "https://asia.example.com", nodes=NODES)
    probed = Report([], addresses=[BALANCER], port=443)
    given = checks("host_name", harmless=True)
    assert with_addresses(asia, given, probed, None) == given
    assert with_addresses(asia, given, None, None) == given


@pytest.mark.parametrize(
    ("failed", "routed", "published", "told"),
    [
        ("tcp", True, (443,), True),
        ("tls", True, None, True),
        ("tcp", True, (8443,), False),
        ("tcp", True, (), False),
        ("tcp", False, (443,), False),
        ("api", True, (443,), False),
    ],
)
def test_the_routing_mesh_is_named_where_it_is_used(
    failed: str, routed: bool, published: tuple[int, ...] | None, told: bool
) -> None:
    asia = cache("asia", "https://asia.example.com", routed=routed, published=published)
    found = with_addresses(asia, checks(failed), None, None)
    # The mesh does not know the port of a load balancer.
    behind = cache("asia", "https://asia.example.com:7443", 443, routed=routed, published=published)
    assert with_addresses(behind, checks(failed), None, None) == found
    hints = " ".join(check.hint for check in found if check.hint)
    for part in ("routing mesh", "IPVS", "7946", "4789", "dtr_cache_publish_mode: host"):
        assert (part in hints) == told, part
    assert hints.endswith("Fix it.")
