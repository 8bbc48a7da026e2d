# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planning of caches as properties, and carrying plans out against a DTR in memory."""

from __future__ import annotations

import contextlib
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.concurrency import failed_accounts
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.common.urls import canonical_host
from ansible_collections.dtr.cache.plugins.module_utils.dtr.caches_apply import CacheChanger
from ansible_collections.dtr.cache.plugins.module_utils.dtr.caches_plan import (
    CacheStep,
    WantedCache,
    duplicate_names,
    entangled,
    foreseen,
    host_problem,
    parse_caches,
    plan_caches,
    plan_moves,
    report,
)
from ansible_collections.dtr.cache.plugins.module_utils.dtr.model import Account, ContentCache
from hypothesis import assume, given
from hypothesis import strategies as st

NAMES = st.sampled_from(["asia", "europe", "america"])
HOSTS = st.sampled_from([f"https://cache-{number}.example.org:443" for number in range(4)])
USERS = [f"user{number}" for number in range(6)]


class FakeDtr:
    """DTR's caches and settings without HTTP, which watches that nobody's cache ever vanishes."""

    def __init__(self, current: t.Iterable[ContentCache], settings: t.Mapping[str, str | None]) -> None:
        self.caches = list(current)
        self.settings = dict(settings)
        self.log: list[str] = []
        self.refuses: t.Callable[[str, str], bool] = lambda _name, _host: False
        self.stuck: set[str] = set()
        #: Called before each look at a user's setting and each write, with the user.
        self.meanwhile: t.Callable[[str], None] = lambda _user: None
        self._number = 0

    def users(self) -> t.Iterator[Account]:
        return map(Account, list(self.settings))

    def user_cache(self, user: str) -> str | None:
        self.meanwhile(user)
        return self.settings[user]

    def content_caches(self) -> list[ContentCache]:
        return list(self.caches)

    def create_content_cache(self, name: str, host: str, known_ids: t.Collection[str]) -> ContentCache:
        assert {cache.id for cache in self.caches} <= set(known_ids)
        if self.refuses(name, host):
            raise Failure("INVALID_CONTENT_CACHE", "refused", http_status=400)
        self._number += 1
        cache = ContentCache(f"new-{self._number}", name, host)
        self.caches.append(cache)
        self.log.append(f"create {name}")
        return cache

    def delete_content_cache(self, cache_id: str) -> None:
        assert cache_id not in self.settings.values(), "somebody still pulls from it"
        self.caches = [cache for cache in self.caches if cache.id != cache_id]
        self.log.append(f"delete {cache_id}")

    def set_user_cache(self, user: str, cache_id: str | None) -> None:
        assert cache_id is None or any(cache.id == cache_id for cache in self.caches)
        if user in self.stuck:
            raise Failure("INTERNAL_ERROR", f"{user} is stuck", http_status=500)
        self.settings[user] = cache_id
        self.log.append(f"move {user}")

    def wait_for_late_writes(self, _usernames: t.Iterable[str]) -> list[str]:
        return []

    def hopeless(self, _failure: Failure) -> bool:
        return False

    def host_of(self, user: str) -> str | None:
        hosts = {cache.id: cache.host for cache in self.caches}
        wanted = self.settings[user]
        return hosts[wanted] if wanted else None


class Situation(t.NamedTuple):
    """What DTR knows, what is declared, and who pulls from where."""

    current: list[ContentCache]
    wanted: list[WantedCache]
    settings: dict[str, str | None]
    purge: bool


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    entries = draw(st.lists(st.tuples(NAMES, HOSTS), max_size=5))
    current = [ContentCache(f"id-{number}", *entry) for number, entry in enumerate(entries)]
    declared = draw(st.dictionaries(NAMES, st.none() | HOSTS))
    ids = st.sampled_from([cache.id for cache in current]) if current else st.nothing()
    settings = draw(st.fixed_dictionaries({user: st.none() | ids for user in USERS}))
    former: dict[str, list[str]] = {}
    # A name that is free may be a former one of one of the caches.
    for name in sorted({cache.name for cache in current} - declared.keys()):
        for owner in draw(st.lists(st.sampled_from(sorted(declared)), max_size=1)) if declared else []:
            former.setdefault(owner, []).append(name)
    wanted = [WantedCache(name, host, tuple(former.get(name, ()))) for name, host in declared.items()]
    return Situation(current, wanted, settings, draw(st.booleans()))


def carry_out(situation: Situation, dtr: FakeDtr) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """What check mode announces, and what the real run reports."""
    steps = plan_caches(situation.current, situation.wanted, situation.purge)
    moves = plan_moves(steps, situation.settings)
    announced = report(situation.current, steps, foreseen(steps, moves))
    changer = CacheChanger(t.cast(t.Any, dtr), situation.current, 3)
    changer.run(steps, moves)
    return announced, report(situation.current, steps, changer.done)


def without_new_ids(report: t.Any) -> t.Any:
    """A report in which the ids that only the server can give are blank, as check mode has them."""
    if isinstance(report, dict):
        return {
            key: "" if key == "id" and str(value).startswith("new-") else without_new_ids(value)
            for key, value in report.items()
        }
    if isinstance(report, list):
        return [without_new_ids(each) for each in report]
    return report


@given(situations())
def test_planning_after_applying_is_empty(situation: Situation) -> None:
    dtr = FakeDtr(situation.current, situation.settings)
    carry_out(situation, dtr)
    steps = plan_caches(dtr.caches, situation.wanted, situation.purge)
    assert steps == []


@given(situations())
def test_what_was_declared_is_there_and_nobody_dangles(situation: Situation) -> None:
    dtr = FakeDtr(situation.current, situation.settings)
    carry_out(situation, dtr)
    by_name: dict[str, list[str]] = {}
    for cache in dtr.caches:
        by_name.setdefault(cache.name, []).append(cache.host)
    for wanted in situation.wanted:
        assert by_name.pop(wanted.name, []) == ([wanted.host] if wanted.host else [])
    assert not (situation.purge and by_name)
    known = {cache.id: cache for cache in dtr.caches}
    old = {cache.id: cache for cache in situation.current}
    heirs = {name: each.name for each in situation.wanted if each.host for name in (each.name, *each.former_names)}
    for user, before in situation.settings.items():
        after = dtr.settings[user]
        assert after is None or after in known
        if before and old[before].name in heirs:
            assert after and known[after].name == heirs[old[before].name]


@given(situations())
def test_check_mode_announces_what_the_run_reports(situation: Situation) -> None:
    announced, reported = carry_out(situation, FakeDtr(situation.current, situation.settings))
    assert without_new_ids(announced) == without_new_ids(reported)
    assert announced["diff"] == reported["diff"]


@given(situations(), st.sets(st.sampled_from(USERS), min_size=1))
def test_a_cache_stays_while_users_cannot_be_moved(situation: Situation, stuck: set[str]) -> None:
    dtr = FakeDtr(situation.current, situation.settings)
    dtr.stuck = stuck
    with contextlib.suppress(Failure):
        carry_out(situation, dtr)
    assert all(dtr.settings[user] == situation.settings[user] for user in stuck)
    ids = {cache.id for cache in dtr.caches}
    assert all(cache_id is None or cache_id in ids for cache_id in dtr.settings.values())


@given(situations())
def test_servers_that_refuse_a_second_entry_with_the_name_end_up_the_same(situation: Situation) -> None:
    unique = list({cache.name: cache for cache in situation.current}.values())
    ids = {cache.id for cache in unique}
    settings = {user: cache_id if cache_id in ids else None for user, cache_id in situation.settings.items()}
    situation = situation._replace(current=unique, settings=settings)
    free, strict = (FakeDtr(situation.current, situation.settings) for _each in range(2))
    strict.refuses = lambda name, _host: any(cache.name == name for cache in strict.caches)
    carry_out(situation, free)
    announced, reported = carry_out(situation, strict)
    assert sorted(cache[1:] for cache in strict.caches) == sorted(cache[1:] for cache in free.caches)
    assert [strict.host_of(user) for user in USERS] == [free.host_of(user) for user in USERS]
    assert without_new_ids(announced) == without_new_ids(reported)


@given(situations(), st.booleans())
def test_servers_that_refuse_a_second_entry_with_the_host_end_up_the_same(situation: Situation, names: bool) -> None:
    current = {cache.host: cache for cache in {cache.name: cache for cache in situation.current}.values()}.values()
    ids = {cache.id for cache in current}
    settings = {user: cache_id if cache_id in ids else None for user, cache_id in situation.settings.items()}
    wanted = {cache.host or cache.name: cache for cache in situation.wanted}.values()
    left = {cache.host for cache in current if cache.name not in {each.name for each in wanted}}
    # Hosts that another cache keeps cannot be had at all.
    assume(situation.purge or not left & {cache.host for cache in wanted})
    situation = Situation(list(current), list(wanted), settings, situation.purge)
    free, strict = (FakeDtr(situation.current, situation.settings) for _each in range(2))
    strict.refuses = lambda name, host: any(
        cache.host == host or (names and cache.name == name) for cache in strict.caches
    )
    carry_out(situation, free)
    announced, reported = carry_out(situation, strict)
    assert sorted(cache[1:] for cache in strict.caches) == sorted(cache[1:] for cache in free.caches)
    assert [strict.host_of(user) for user in USERS] == [free.host_of(user) for user in USERS]
    assert without_new_ids(announced) == without_new_ids(reported)


def replacing(refuses: t.Callable[[FakeDtr, str, str], bool]) -> tuple[FakeDtr, Failure | None]:
    old = ContentCache("old", "asia", "https://old.example.org")
    settings: dict[str, str | None] = {"alice": "old", "bob": "old", "carol": None}
    dtr = FakeDtr([old], settings)
    dtr.refuses = lambda name, host: refuses(dtr, name, host)
    situation = Situation([old], [WantedCache("asia", "https://new.example.org")], settings, False)
    try:
        carry_out(situation, dtr)
    except Failure as failure:
        return dtr, failure
    return dtr, None


def test_of_two_entries_that_runs_made_side_by_side_one_is_left_with_all_accounts() -> None:
    """Each run sees both, in one order or the other, and comes to the same."""
    host = "https://cache-1.example.org:443"
    for theirs in ("a-first", "z-last"):
        dtr = FakeDtr([], dict.fromkeys(USERS))
        steps = plan_caches([], [WantedCache("asia", host)])
        changer = CacheChanger(t.cast(t.Any, dtr), [], 3)
        create = dtr.create_content_cache

        def create_both(
            name: str,
            host: str,
            known_ids: t.Collection[str],
            dtr: FakeDtr = dtr,
            theirs: str = theirs,
            create: t.Callable[..., ContentCache] = create,
        ) -> ContentCache:
            made = create(name, host, known_ids)
            dtr.caches += [
                ContentCache(theirs, name, host.removesuffix(":443")),
                ContentCache("other", name, "https://x"),
            ]
            dtr.settings[USERS[0]] = theirs
            dtr.settings[USERS[1]] = "other"
            return made

        dtr.create_content_cache = create_both  # type: ignore[method-assign]
        changer.run(steps, [])
        left = min(theirs, "new-1")
        assert [cache.id for cache in dtr.caches] == [
            each for each in ("new-1", theirs, "other") if each in (left, "other")
        ]
        assert (dtr.settings[USERS[0]], dtr.settings[USERS[1]]) == (left, "other")
        assert changer.doubles == ["asia"]
        result = report([], steps, changer.done)
        assert [cache["id"] for cache in result["created"]] == [left]
        assert result["deleted"] == []


def test_where_dtr_takes_no_second_entry_that_of_another_run_is_taken() -> None:
    host = "https://cache-1.example.org:443"
    for current in ([], [ContentCache("old", "asia", "https://old.example.org")]):
        dtr = FakeDtr(current, {})
        steps = plan_caches(current, [WantedCache("asia", host)])
        # Another run has done it since the plan was made.
        dtr.caches = [ContentCache("theirs", "asia", host)]
        dtr.refuses = lambda _name, _host: True
        changer = CacheChanger(t.cast(t.Any, dtr), [*current], 3)
        # The other run's entry is none that this one knew.
        dtr.create_content_cache = lambda *_args: _refused()  # type: ignore[method-assign]
        changer.run(steps, [])
        assert [cache.id for cache in dtr.caches] == ["theirs"]
        assert changer.done.created["asia"].id == "theirs"


def _refused() -> t.NoReturn:
    raise Failure("INVALID_CONTENT_CACHE", "refused", http_status=400)


def test_the_order_is_create_move_delete() -> None:
    dtr, failure = replacing(lambda *_: False)
    assert failure is None
    assert dtr.log[0] == "create asia"
    assert sorted(dtr.log[1:3]) == ["move alice", "move bob"]
    assert dtr.log[3:] == ["delete old"]


def test_what_is_refused_for_good_leaves_everything_as_it_was() -> None:
    dtr, failure = replacing(lambda _registry, _name, host: host == "https://new.example.org")
    assert failure is not None
    assert [cache[1:] for cache in dtr.caches] == [("asia", "https://old.example.org")]
    assert [dtr.host_of(user) for user in ("alice", "bob", "carol")] == ["https://old.example.org"] * 2 + [None]


def test_users_whose_cache_cannot_come_back_are_named_with_it() -> None:
    old = ContentCache("old", "asia", "https://old.example.org")
    dtr = FakeDtr([old], {"alice": "old", "bob": "old"})
    dtr.refuses = lambda _name, _host: dtr.caches == [old] or "delete old" in dtr.log
    steps = plan_caches([old], [WantedCache("asia", "https://new.example.org")])
    changer = CacheChanger(t.cast(t.Any, dtr), [old], 3)
    with pytest.raises(Failure):
        changer.run(steps, plan_moves(steps, dtr.settings))
    assert dtr.settings == {"alice": None, "bob": None}
    assert sorted(changer.failed_moves) == ["alice", "bob"]
    assert changer.failed_moves["alice"].message.startswith("It pulled from asia (https://old.example.org)")


def test_only_names_that_exchange_their_hosts_make_room_together() -> None:
    def step(name: str, host: str, old: str) -> CacheStep:
        return CacheStep(name, host, None, (ContentCache(f"id-{name}", name, old),))

    swapped = [step("a", "https://2", "https://1"), step("b", "https://1", "https://2")]
    chained = [step("c", "https://4", "https://3"), step("d", "https://5", "https://4")]
    alone = step("e", "https://7", "https://6")
    groups = entangled([swapped[0], chained[0], alone, swapped[1], chained[1]])
    assert sorted(sorted(each.name for each in group) for group in groups) == [["a", "b"], ["c", "d"], ["e"]]


def test_a_user_who_cannot_be_reset_stops_the_exchange() -> None:
    old = ContentCache("old", "asia", "https://old.example.org")
    settings: dict[str, str | None] = {"alice": "old", "bob": "old"}
    dtr = FakeDtr([old], settings)
    dtr.refuses = lambda name, _host: any(cache.name == name for cache in dtr.caches)
    dtr.stuck = {"bob"}
    situation = Situation([old], [WantedCache("asia", "https://new.example.org")], settings, False)
    with pytest.raises(Failure, match="bob is stuck") as raised:
        carry_out(situation, dtr)
    assert raised.value.code == "ACCOUNTS_NOT_MOVED"
    assert dtr.settings == settings
    assert dtr.caches == [old]


def exchanging(dtr: FakeDtr) -> tuple[CacheChanger, Failure]:
    """What comes of an exchange where the old entry has to make room first, and fails on the way."""
    dtr.refuses = lambda name, _host: any(cache.name == name for cache in dtr.caches)
    current = list(dtr.caches)
    steps = plan_caches(current, [WantedCache("asia", "https://new.example.org")])
    changer = CacheChanger(t.cast(t.Any, dtr), current, 1)
    with pytest.raises(Failure) as raised:
        changer.run(steps, plan_moves(steps, dtr.settings))
    return changer, raised.value


def test_who_cannot_be_given_the_new_cache_is_named_with_it() -> None:
    """A rerun would find them without a cache, and nothing to do."""
    dtr = FakeDtr([ContentCache("old", "asia", "https://old.example.org")], {"alice": "old", "bob": "old"})
    write = dtr.set_user_cache

    def stuck_from_then_on(user: str, cache_id: str | None) -> None:
        if cache_id is not None:
            dtr.stuck = {"bob"}
        write(user, cache_id)

    dtr.set_user_cache = stuck_from_then_on  # type: ignore[method-assign]
    changer, failure = exchanging(dtr)
    assert dtr.settings == {"alice": "new-1", "bob": None}
    assert [cache.host for cache in dtr.caches] == ["https://new.example.org"]
    assert list(changer.done.moved) == ["alice"]
    (told,) = failed_accounts(changer.failed_moves)
    assert told["message"] == (
        "It pulled from asia (https://old.example.org), pulls from DTR itself now, and belongs to asia "
        "(https://new.example.org): bob is stuck"
    )
    assert (told["cache"], told["host"]) == ("asia", "https://new.example.org")
    assert "1 accounts lost their cache on the way and pull from DTR itself now" in failure.message
    assert "stay for now" not in failure.message
    assert "dtr.cache.cache_assignments" in (failure.hint or "")


def test_who_cannot_be_given_the_old_cache_back_is_named_with_it() -> None:
    dtr = FakeDtr([ContentCache("old", "asia", "https://old.example.org")], {"alice": "old", "bob": "old"})
    write = dtr.set_user_cache

    def second_reset_fails(user: str, cache_id: str | None) -> None:
        write(user, cache_id)
        dtr.stuck = {"alice", "bob"}

    dtr.set_user_cache = second_reset_fails  # type: ignore[method-assign]
    changer, failure = exchanging(dtr)
    assert sorted(dtr.settings.values(), key=str) == [None, "old"]
    reset = next(user for user, cache in dtr.settings.items() if cache is None)
    told = {account["name"]: account for account in failed_accounts(changer.failed_moves)}
    assert told[reset]["message"].startswith("It pulled from asia (https://old.example.org), pulls from DTR itself now")
    assert (told[reset]["cache"], told[reset]["host"]) == ("asia", "https://old.example.org")
    other = next(user for user in told if user != reset)
    assert told[other] == {"name": other, "code": "INTERNAL_ERROR", "message": f"{other} is stuck"}
    assert "1 accounts lost their cache on the way" in failure.message


def meeting(meanwhile: t.Callable[[FakeDtr, str], None], strict: bool) -> tuple[FakeDtr, Failure | None]:
    """A replacement of a host while something else changes settings."""
    old = ContentCache("old", "asia", "https://old.example.org")
    dtr = FakeDtr([old], {"alice": "old", "bob": None, "carol": None})
    if strict:
        dtr.refuses = lambda name, _host: any(cache.name == name for cache in dtr.caches)
    dtr.meanwhile = lambda user: meanwhile(dtr, user)
    steps = plan_caches([old], [WantedCache("asia", "https://new.example.org")])
    moves = plan_moves(steps, dict(dtr.settings))
    try:
        CacheChanger(t.cast(t.Any, dtr), [old], 1).run(steps, moves)
    except Failure as failure:
        return dtr, failure
    return dtr, None


@pytest.mark.parametrize("strict", [False, True])
def test_who_is_set_to_the_old_entry_meanwhile_moves_as_well(strict: bool) -> None:
    left = ["bob"]

    def meanwhile(dtr: FakeDtr, _user: str) -> None:
        if left:
            dtr.settings[left.pop()] = "old"

    dtr, failure = meeting(meanwhile, strict)
    assert failure is None
    assert [cache.host for cache in dtr.caches] == ["https://new.example.org"]
    assert dtr.host_of("alice") == dtr.host_of("bob") == "https://new.example.org"
    assert dtr.settings["carol"] is None


@pytest.mark.parametrize("strict", [False, True])
def test_an_entry_that_does_not_come_free_stays(strict: bool) -> None:
    def meanwhile(dtr: FakeDtr, _user: str) -> None:
        dtr.settings["bob"] = "old"

    dtr, failure = meeting(meanwhile, strict)
    assert failure is not None
    assert "bob: Something else sets it to asia (https://old.example.org)" in failure.message
    assert "https://old.example.org" in [cache.host for cache in dtr.caches]
    assert dtr.settings["bob"] == "old"


def test_a_user_who_vanishes_is_neither_moved_nor_failed() -> None:
    old = ContentCache("old", "asia", "https://old.example.org")
    dtr = FakeDtr([old], {"alice": "old", "bob": "old"})
    write = dtr.set_user_cache

    def vanishing(user: str, cache_id: str | None) -> None:
        if user == "bob":
            dtr.settings.pop("bob", None)
            raise Failure("NO_SUCH_USER", "gone", http_status=404)
        write(user, cache_id)

    dtr.set_user_cache = vanishing  # type: ignore[method-assign]
    situation = Situation([old], [WantedCache("asia", None)], dict(dtr.settings), False)
    _announced, reported = carry_out(situation, dtr)
    assert [entry["name"] for entry in reported["reassigned"]] == ["alice"]
    assert dtr.caches == []


def test_a_renamed_cache_may_take_over_the_host() -> None:
    old = ContentCache("old", "asia", "https://cache.example.org")
    dtr = FakeDtr([old], {})
    dtr.refuses = lambda _name, host: any(cache.host == host for cache in dtr.caches)
    wanted = [WantedCache("asia", None), WantedCache("apac", "https://cache.example.org")]
    carry_out(Situation([old], wanted, {}, False), dtr)
    assert [cache.name for cache in dtr.caches] == ["apac"]


class TestHosts:
    @pytest.mark.parametrize(
        "same",
        [
            ("https://cache.example.org", "https://cache.example.org:443", "HTTPS://Cache.Example.org:443/"),
            ("http://cache.example.org", "http://cache.example.org:80/"),
            ("https://[::1]", "https://[::1]:443", "https://[0:0:0:0:0:0:0:1]"),
            ("https://dtr.example.org", "https://dtr.example.org."),
            ("https://bücher.example", "https://xn--bcher-kva.example:443"),
        ],
    )
    def test_equal(self, same: tuple[str, ...]) -> None:
        assert len({canonical_host(host) for host in same}) == 1

    def test_different(self) -> None:
        hosts = ["https://c", "http://c", "https://c:80", "https://d", "https://c/x", "not a url", "https://c:x"]
        assert len({canonical_host(host) for host in hosts}) == len(hosts)

    @pytest.mark.parametrize("host", ["https://cache.example.org", "http://10.0.0.1:5000", "https://[::1]:5000/"])
    def test_good(self, host: str) -> None:
        assert host_problem(host) is None

    @pytest.mark.parametrize(
        "host",
        [
            "cache.example.org",
            "cache.example.org:443",
            "ftp://cache.example.org",
            "https://",
            "https://cache example.org",
            "https://cache.example.org:port",
            "https://cache.example.org:70000",
            "https://user:secret@cache.example.org",
            "user:secret@cache.example.org",
            "https://user:sec/ret@cache.example.org",
            "https://cache.example.org/v2",
            "https://cache.example.org?x=1",
        ],
    )
    def test_bad(self, host: str) -> None:
        problem = host_problem(host)
        assert problem
        assert "sec" not in problem


def test_all_problems_of_the_input_are_told_at_once() -> None:
    with pytest.raises(Failure) as raised:
        parse_caches(
            [
                {"name": " ", "host": "https://a", "state": "present"},
                {"name": "Local", "host": "https://a", "state": "present"},
                {"name": "asia", "host": None, "state": "present"},
                {"name": "europe", "host": "nonsense", "state": "present"},
                {"name": "twice", "host": None, "state": "absent"},
                {"name": "twice", "host": "https://a", "state": "present"},
            ]
        )
    assert raised.value.code == "INVALID_INPUT"
    assert len(raised.value.result["problems"]) == 5


def test_a_former_name_is_nobody_elses() -> None:
    entry = {"host": "https://a", "state": "present"}
    with pytest.raises(Failure) as raised:
        parse_caches(
            [
                {"name": "asia", **entry, "former_names": ["asia", "europe", "old", " ", "LOCAL"]},
                {"name": "europe", **entry, "former_names": ["old"]},
            ]
        )
    assert raised.value.result["problems"] == [
        "asia: the former name asia is the one that it has",
        "asia: the former name europe is declared as a cache of its own",
        "asia: a former name is empty",
        "asia: the former name 'LOCAL' means no cache in DTR",
        "old is the former name of 2 caches",
    ]


def test_duplicates_are_found() -> None:
    entries = [ContentCache(str(number), name, "https://a") for number, name in enumerate("abcab")]
    assert duplicate_names(entries) == ["a", "b"]
