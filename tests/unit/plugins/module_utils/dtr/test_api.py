# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API client against a DTR in memory that holds every request against the published API."""

from __future__ import annotations

import datetime
import threading
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.dtr import accounts
from ansible_collections.dtr.cache.plugins.module_utils.dtr.accounts import Accounts
from ansible_collections.dtr.cache.plugins.module_utils.dtr.api import DtrApi, forgotten, temporary_token
from ansible_collections.dtr.cache.plugins.module_utils.dtr.model import Account, ApiToken, ListedToken
from ansible_collections.dtr.cache.plugins.module_utils.http.responses import Answer
from ansible_collections.dtr.cache.plugins.module_utils.http.retries import Backoff
from ansible_collections.dtr.cache.plugins.module_utils.http.transport import Transport
from ansible_collections.dtr.cache.tests.unit.support.dtr import (
    OPERATIONS,
    OTHER_SOURCES,
    SWAGGERS,
    Dtr,
    error,
    once,
    reply_json,
    violation,
)
from ansible_collections.dtr.cache.tests.unit.support.transports import connect
from ansible_collections.dtr.cache.tests.unit.support.web import Reply, Request, Site, serve

HOST = "https://cache.example.org"


class Client(t.NamedTuple):
    api: DtrApi
    transport: Transport
    site: Site
    dtr: Dtr


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Client]:
    dtr = Dtr("alice", "bob", "carol")
    with serve(dtr) as site:
        transport = Transport(
            site.url, username="admin", password="x", timeout=0.5, backoff=Backoff(base=0.05, cap=0.3, budget=20)
        )
        yield Client(DtrApi(transport), transport, site, dtr)
    assert dtr.violations == []


class TestContentCaches:
    def test_create_list_delete(self, client: Client) -> None:
        created = client.api.create_content_cache("asia", HOST, ())
        assert client.api.content_caches() == [created]
        client.api.delete_content_cache(created.id)
        assert client.api.content_caches() == []

    def test_the_pseudo_cache_is_left_out(self, client: Client) -> None:
        local = client.dtr.add_cache("Local", "", "alice")
        client.dtr.add_cache("asia", HOST)
        assert [cache.name for cache in client.api.content_caches()] == ["asia"]
        assert client.dtr.settings["alice"] == local
        assert client.api.user_cache("alice") is None

    def test_an_empty_list_may_be_null(self, client: Client) -> None:
        client.dtr.fault = once("GET", "content_caches", Reply(200, b"null"))
        assert client.api.content_caches() == []

    @pytest.mark.parametrize("body", [b"{}", b'"x"', b"[1]", b'[{"id": "1"}]', b'[{"id":"","name":"a","host":"b"}]'])
    def test_lists_of_another_shape(self, client: Client, body: bytes) -> None:
        client.dtr.fault = once("GET", "content_caches", Reply(200, body))
        with pytest.raises(Failure) as raised:
            client.api.content_caches()
        assert raised.value.code == "UNEXPECTED_ANSWER"

    @pytest.mark.parametrize("acts", [True, False])
    @pytest.mark.parametrize(
        "reply",
        [Reply(drop=True), Reply(502), Reply(503), Reply(504), Reply(200, b"x", length=9)],
        ids=["drop", "502", "503", "504", "cut"],
    )
    def test_no_lost_answer_leaves_two_entries(self, client: Client, reply: Reply, acts: bool) -> None:
        client.dtr.fault = once("POST", "content_caches", reply, acts=acts)
        if reply.status == 504 and not acts:
            # The server may still be at work, so nothing is sent again.
            with pytest.raises(Failure) as raised:
                client.api.create_content_cache("asia", HOST, ())
            assert raised.value.code == "OUTCOME_UNKNOWN"
            return
        created = client.api.create_content_cache("asia", HOST, ())
        assert [cache["id"] for cache in client.dtr.caches] == [created.id]
        assert client.site.count("POST") == (1 if acts else 2)

    @pytest.mark.parametrize(
        "reply", [Reply(201), Reply(201, b"{"), Reply(201, b"<html>"), Reply(201, b"{}"), error(500, "INTERNAL_ERROR")]
    )
    def test_an_entry_behind_a_useless_answer_is_found(self, client: Client, reply: Reply) -> None:
        client.dtr.fault = once("POST", "content_caches", reply, acts=True)
        created = client.api.create_content_cache("asia", HOST, ())
        assert [cache["id"] for cache in client.dtr.caches] == [created.id]

    @pytest.mark.parametrize(
        "answered",
        [
            {"id": "x", "name": "europe", "host": HOST},
            {"id": "x", "name": "asia", "host": "https://u:europe@other.example.org"},
            {"id": "old", "name": "asia", "host": HOST},
        ],
        ids=["name", "host", "id"],
    )
    @pytest.mark.parametrize("acts", [True, False])
    def test_an_answer_about_another_cache_is_not_believed(
        self, client: Client, answered: dict[str, str], acts: bool
    ) -> None:
        client.dtr.fault = once("POST", "content_caches", reply_json(answered, 201), acts=acts)
        if acts:
            created = client.api.create_content_cache("asia", HOST, {"old"})
            assert [cache["id"] for cache in client.dtr.caches] == [created.id]
            return
        with pytest.raises(Failure, match="answered 201 for the cache asia") as raised:
            client.api.create_content_cache("asia", HOST, {"old"})
        assert raised.value.code == "UNEXPECTED_ANSWER"
        assert "u:europe@" not in raised.value.message

    @pytest.mark.parametrize("status", [400, 409, 422])
    def test_a_refusal_says_what_dtr_said_and_what_may_be_behind_it(self, client: Client, status: int) -> None:
        client.dtr.fault = once("POST", "content_caches", error(status, "INVALID_CONTENT_CACHE"))
        with pytest.raises(Failure) as raised:
            client.api.create_content_cache("asia", HOST, ())
        assert raised.value.message.startswith(f"DTR refused to register the cache asia ({HOST}): POST ")
        assert (raised.value.code, raised.value.http_status) == ("INVALID_CONTENT_CACHE", status)
        for part in (
            "DTR may not trust the cache's certificate",
            "--custom-ca-cert-bundle",
            "this name or host already",
        ):
            assert part in (raised.value.hint or ""), part
        # That is the CA of DTR's own certificate, which the pins of all caches verify.
        assert "TLS Root CA" not in (raised.value.hint or "")

    def test_an_error_without_an_entry_is_told(self, client: Client) -> None:
        client.dtr.fault = once("POST", "content_caches", error(500, "INTERNAL_ERROR"))
        with pytest.raises(Failure) as raised:
            client.api.create_content_cache("asia", HOST, ())
        assert raised.value.code == "INTERNAL_ERROR"
        assert client.site.count("POST") == 1

    def test_an_entry_that_comes_after_the_time_out(self, client: Client) -> None:
        release = threading.Event()

        def slow(request: Request, act: t.Callable[[], Reply]) -> Reply | None:
            if request.method != "POST":
                return None
            release.wait(0.8)
            return act()

        client.dtr.fault = slow
        created = client.api.create_content_cache("asia", HOST, ())
        release.set()
        assert [cache["id"] for cache in client.dtr.caches] == [created.id]
        assert client.site.count("POST") == 1

    @pytest.mark.parametrize("reply", [Reply(drop=True), Reply(502), Reply(503)], ids=["drop", "502", "503"])
    def test_whoever_is_in_front_gives_up_before_the_server_does(self, client: Client, reply: Reply) -> None:
        def impatient(request: Request, act: t.Callable[[], Reply]) -> Reply | None:
            if request.method != "POST":
                return None
            threading.Timer(0.3, act).start()
            return reply

        client.dtr.fault = impatient
        created = client.api.create_content_cache("asia", HOST, ())
        assert [cache["id"] for cache in client.dtr.caches] == [created.id]
        assert client.site.count("POST") == 1

    def test_what_somebody_else_registers_meanwhile_is_neither_ours_nor_removed(self, client: Client) -> None:
        others: list[str] = []

        def meanwhile(request: Request, _act: t.Callable[[], Reply]) -> Reply | None:
            if request.method != "POST" or others:
                return None
            others.extend(client.dtr.add_cache("asia", f"https://other-{number}.example.org") for number in (1, 2))
            return Reply(drop=True)

        client.dtr.fault = meanwhile
        created = client.api.create_content_cache("asia", f"{HOST}:443/", ())
        assert created.id not in others
        assert client.dtr.ids == {created.id, *others}

    def test_of_a_late_second_entry_always_the_same_is_meant(self, client: Client) -> None:
        def late(request: Request, act: t.Callable[[], Reply]) -> Reply | None:
            if request.method != "POST":
                return None
            if client.site.count("POST") == 1:
                return Reply(drop=True)
            act()
            return act()

        client.dtr.fault = late
        created = client.api.create_content_cache("asia", HOST, ())
        assert len(client.dtr.caches) == 2
        assert created.id == min(cache["id"] for cache in client.dtr.caches)

    def test_entries_that_were_there_are_not_taken_for_the_new_one(self, client: Client) -> None:
        old = client.dtr.add_cache("asia", "https://old.example.org")
        client.dtr.fault = once("POST", "content_caches", Reply(drop=True))
        created = client.api.create_content_cache("asia", HOST, {old})
        assert created.id != old
        assert len(client.dtr.caches) == 2

    def test_a_server_that_stays_away_leaves_the_outcome_unknown(self, client: Client) -> None:
        client.dtr.fault = lambda _request, _act: Reply(drop=True)
        with pytest.raises(Failure) as raised:
            client.api.create_content_cache("asia", HOST, ())
        assert raised.value.code == "OUTCOME_UNKNOWN"
        assert client.site.count("POST") == 1

    def test_refused_for_good(self, client: Client) -> None:
        client.dtr.is_admin = False
        with pytest.raises(Failure) as raised:
            client.api.create_content_cache("asia", HOST, ())
        assert raised.value.code == "NOT_AUTHORIZED"
        assert "administrator" in (raised.value.hint or "")

    def test_what_is_gone_is_deleted(self, client: Client) -> None:
        client.api.delete_content_cache("no-such-id")

    @pytest.mark.parametrize(
        "reply", [Reply(200), Reply(200, b"<html>"), error(500, "INTERNAL_ERROR"), Reply(404, b"<html>")]
    )
    def test_a_deletion_in_doubt_is_looked_up(self, client: Client, reply: Reply) -> None:
        cache = client.dtr.add_cache("asia", HOST)
        client.dtr.fault = once("DELETE", "content_caches", reply)
        with pytest.raises(Failure):
            client.api.delete_content_cache(cache)
        assert client.dtr.ids == {cache}
        client.dtr.fault = once("DELETE", "content_caches", reply, acts=True)
        client.api.delete_content_cache(cache)
        assert client.dtr.ids == set()

    def test_a_lost_deletion_is_sent_again(self, client: Client) -> None:
        cache = client.dtr.add_cache("asia", HOST)
        client.dtr.fault = once("DELETE", "content_caches", Reply(drop=True), acts=True)
        client.api.delete_content_cache(cache)
        assert client.dtr.ids == set()


class TestSettings:
    @pytest.mark.parametrize(
        "body",
        [
            b"{}",
            b'{"ContentCacheUUID": ""}',
            b'{"ContentCacheUUID": null}',
            b'{"contentcacheuuid": "Local"}',
            b'{"CONTENTCACHEUUID": 7}',
        ],
    )
    def test_forms_of_none(self, client: Client, body: bytes) -> None:
        client.dtr.fault = once("GET", "settings", Reply(200, body))
        assert client.api.user_cache("alice") is None

    @pytest.mark.parametrize("key", ["ContentCacheUUID", "contentCacheUUID", "contentcacheuuid"])
    def test_any_capitalisation(self, client: Client, key: str) -> None:
        client.dtr.fault = once("GET", "settings", reply_json({key: "u-1"}))
        assert client.api.user_cache("alice") == "u-1"

    @pytest.mark.parametrize("answers_patch", [True, False])
    def test_a_write_is_read_back_unless_the_answer_says_it(self, client: Client, answers_patch: bool) -> None:
        client.dtr.answers_patch = answers_patch
        cache = client.dtr.add_cache("asia", HOST)
        client.api.set_user_cache("alice", cache)
        assert client.dtr.settings == {"alice": cache}
        assert client.site.count("GET") == (0 if answers_patch else 1)

    def test_a_write_that_does_not_take_effect(self, client: Client) -> None:
        cache = client.dtr.add_cache("asia", HOST)
        client.dtr.fault = once("PATCH", "settings", Reply(200))
        with pytest.raises(Failure) as raised:
            client.api.set_user_cache("alice", cache)
        assert raised.value.code == "NOT_APPLIED"

    @pytest.mark.parametrize("unset_by", ["", None, "omitted", "local"])
    def test_each_way_to_unset_is_found_and_remembered(self, client: Client, unset_by: str | None) -> None:
        client.dtr.unset_by = unset_by
        client.dtr.add_cache("asia", HOST, "alice", "bob")
        client.api.set_user_cache("alice", None)
        before = client.site.count("PATCH")
        client.api.set_user_cache("bob", None)
        assert client.dtr.settings == {}
        assert client.site.count("PATCH") == before + 1

    def test_unset_by_the_id_of_the_pseudo_cache(self, client: Client) -> None:
        client.dtr.unset_by = client.dtr.add_cache("local", "")
        client.dtr.add_cache("asia", HOST, "alice")
        client.api.content_caches()
        client.api.set_user_cache("alice", None)
        assert client.dtr.settings == {}

    def test_a_server_that_cannot_unset(self, client: Client) -> None:
        client.dtr.unset_by = object()
        cache = client.dtr.add_cache("asia", HOST, "alice")
        with pytest.raises(Failure, match=r'"contentCacheUUID": "".: INVALID_USER_SETTINGS') as raised:
            client.api.set_user_cache("alice", None)
        assert raised.value.code == "UNSET_REFUSED"
        assert client.dtr.settings == {"alice": cache}

    def test_unknown_user(self, client: Client) -> None:
        with pytest.raises(Failure) as raised:
            client.api.user_cache("zoe")
        assert raised.value.code == "NO_SUCH_USER"

    def test_names_are_quoted(self, client: Client) -> None:
        client.dtr.add_user("a%20b%2Fc%3F")
        assert client.api.user_cache("a b/c?") is None

    @pytest.mark.parametrize(
        ("name", "quoted"), [(".", "%2E"), ("..", "%2E%2E"), ("a/b", "a%2Fb"), ("%2e", "%252e"), ("..a", "..a")]
    )
    def test_names_that_would_be_another_path(self, client: Client, name: str, quoted: str) -> None:
        client.dtr.add_user(quoted)
        assert client.api.user_cache(name) is None
        assert client.site.requests[-1].path == f"/api/v0/accounts/{quoted}/settings"
        # An id may be anything as well; there is none like this.
        client.api.delete_content_cache(name)
        assert {f"/api/v0/content_caches/{quoted}"} <= {request.path for request in client.site.requests}

    @pytest.mark.parametrize("reply", [Reply(504), Reply(502), Reply(drop=True)], ids=["504", "502", "drop"])
    def test_writes_whose_answer_got_lost_are_waited_for_once(self, client: Client, reply: Reply) -> None:
        cache = client.dtr.add_cache("asia", HOST)
        client.dtr.fault = once("PATCH", "alice", reply)
        client.api.set_user_cache("alice", cache)
        client.api.set_user_cache("bob", cache)
        assert client.api.wait_for_late_writes(["alice", "bob"]) == ["alice"]
        assert client.api.wait_for_late_writes(["alice", "bob"]) == []


class TestAccounts:
    @pytest.mark.parametrize("paging", ["body", "header", "none"])
    @pytest.mark.parametrize("page_limit", [1, 2, 7, 1000])
    def test_all_pages(self, client: Client, paging: str, page_limit: int) -> None:
        for number in range(12):
            client.dtr.add_user(f"user{number:02}")
        client.dtr.add_org("engineering", core=["alice", "bob", "carol", "user01"])
        client.dtr.paging = paging
        # A server that names no marker has to be asked from the last entry on, which a page of one never gets past.
        client.dtr.page_limit = 2 if paging == "none" and page_limit == 1 else page_limit
        names = [account.name for account in client.api.users()]
        assert names == sorted(name for name in client.dtr.accounts if name != "engineering")
        members = client.api.team_members("engineering", "core") or []
        assert [member.name for member in members] == ["alice", "bob", "carol", "user01"]

    def test_a_last_page_that_names_itself(self, client: Client) -> None:
        page = reply_json({"accounts": [{"name": "alice"}], "nextPageStart": "alice", "resourceCount": 1})
        client.dtr.fault = lambda request, _act: page if "enzi" in request.path else None
        assert list(client.api.users()) == [Account("alice")]

    def test_a_list_that_is_stuck_half_way(self, client: Client) -> None:
        pages = [
            reply_json({"accounts": [{"name": "alice"}], "nextPageStart": "bob", "resourceCount": 9}),
            reply_json({"accounts": [{"name": "bob"}], "nextPageStart": "bob", "resourceCount": 9}),
        ]
        client.dtr.fault = lambda _request, _act: pages.pop(0)
        with pytest.raises(Failure, match="after 2 of 9 entries"):
            list(client.api.users())

    def test_a_server_that_does_not_know_where_to_start(self, client: Client) -> None:
        """Its first page comes for ever, and names a next one."""
        page = {"accounts": [{"name": "alice"}, {"name": "bob"}], "nextPageStart": "carol", "usersCount": 3}
        client.dtr.fault = lambda _request, _act: reply_json({**page, "resourceCount": 2})
        with pytest.raises(Failure, match="after 2 of 3 entries"):
            list(client.api.users())

    @pytest.mark.parametrize("listed", [lambda page: {"accounts": page}, lambda page: page], ids=["object", "array"])
    def test_short_pages_without_a_marker_and_without_a_total(
        self, client: Client, listed: t.Callable[[list[t.Any]], t.Any]
    ) -> None:
        names = [f"user{number}" for number in range(9)]

        def page(request: Request, _act: t.Callable[[], Reply]) -> Reply:
            start = request.query.get("start", [""])[0]
            return reply_json(listed([{"name": name} for name in names if name >= start][:4]))

        client.dtr.fault = page
        assert [account.name for account in client.api.users()] == names

    def test_a_total_that_counts_organisations_as_well_is_no_sign_of_a_gap(self, client: Client) -> None:
        page = {"accounts": [{"name": "alice"}], "nextPageStart": "alice", "usersCount": 1, "resourceCount": 7}
        client.dtr.fault = lambda _request, _act: reply_json(page)
        assert list(client.api.users()) == [Account("alice")]

    @pytest.mark.parametrize("reply", [Reply(404), Reply(404, b"<html>")], ids=["empty", "page"])
    def test_a_404_that_is_not_from_the_accounts_api(self, client: Client, reply: Reply) -> None:
        client.dtr.fault = lambda _request, _act: reply
        for look in (
            lambda: client.api.account("alice"),
            lambda: client.api.org_members("engineering"),
            lambda: client.api.team_members("engineering", "core"),
        ):
            with pytest.raises(Failure, match="answered 404"):
                look()

    def test_states(self, client: Client) -> None:
        client.dtr.add_user("dave", isActive=False)
        client.dtr.add_org("engineering", core=["dave"])
        assert client.api.account("dave") == Account("dave", is_active=False)
        assert client.api.account("engineering") == Account("engineering", is_org=True)
        assert client.api.account("zoe") is None
        assert client.api.org_members("engineering") == [Account("dave", is_active=False)]
        assert client.api.org_members("sales") is None
        assert client.api.team_members("engineering", "none") is None

    def test_not_allowed_to_look(self, client: Client) -> None:
        client.dtr.fault = once("GET", "members", error(403, "NOT_AUTHORIZED"), times=9)
        with pytest.raises(Failure):
            client.api.org_members("engineering")
        with pytest.raises(Failure):
            client.api.team_members("engineering", "core")

    def test_lists_of_another_shape(self, client: Client) -> None:
        client.dtr.fault = once("GET", "enzi", reply_json({"users": []}))
        with pytest.raises(Failure, match="not a list of accounts"):
            list(client.api.users())
        client.dtr.fault = once("GET", "enzi", reply_json({"accounts": None}))
        assert list(client.api.users()) == []


class TestState:
    def test_health(self, client: Client) -> None:
        assert client.api.ping() == (True, "")
        client.dtr.healthy = False
        assert client.api.ping() == (False, "rethinkdb")
        assert client.transport.warnings == []

    @pytest.mark.parametrize(
        ("reply", "health"),
        [
            (Reply(200), (True, "")),
            (Reply(503), (False, "no reason given")),
            (Reply(503, b"<html>"), (False, "an HTML page instead of the state")),
            (Reply(200, b'{"healthy": false, "error": "garant"}'), (False, "garant")),
        ],
    )
    def test_other_forms_of_health(self, client: Client, reply: Reply, health: tuple[bool, str]) -> None:
        client.dtr.fault = once("GET", "_ping", reply)
        assert client.api.ping() == health

    def test_what_only_administrators_see(self, client: Client) -> None:
        assert client.api.cluster_status() is not None
        assert client.api.settings() is not None
        client.dtr.is_admin = False
        assert client.api.cluster_status() is None
        assert client.api.settings() is None

    @pytest.mark.parametrize("reply", [Reply(404), Reply(403), Reply(200), Reply(200, b"[]"), Reply(200, b"{}")])
    def test_no_version(self, client: Client, reply: Reply) -> None:
        client.dtr.fault = once("GET", "version", reply)
        assert client.api.version() is None

    def test_access_tokens(self, client: Client) -> None:
        made = client.api.create_api_token("alice", "label")
        assert made.token == "token-of-alice"
        assert client.site.requests[-1].query == {"username": ["alice"]}
        listed, now = client.api.api_tokens("alice")
        assert [(token.hashed_token, token.label) for token in listed] == [(made.hashed_token, "label")]
        assert listed[0].made_at is not None
        assert now.tzinfo is not None
        client.api.delete_api_token(made.hashed_token)
        client.api.delete_api_token(made.hashed_token)
        assert client.api.api_tokens("alice")[0] == []

    @pytest.mark.parametrize("zone", ["GMT", "-0000", ""])
    def test_the_present_by_dtrs_clock_can_be_compared(self, monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
        headers = {"Date": f"Mon, 04 May 2026 12:00:00 {zone}".strip()}
        listed = b'[{"hashedToken": "h", "tokenLabel": "l", "createdAt": "2026-05-04T11:00:00Z"}]'
        transport = Transport("https://dtr.example.com")
        monkeypatch.setattr(transport, "request", lambda *_path, **_options: Answer("GET", "", 200, headers, listed))
        (token,), now = DtrApi(transport).api_tokens("alice")
        assert token.made_at is not None
        assert now - token.made_at == datetime.timedelta(hours=1)


#: Each method of the client that sends something, as it is called.
METHODS: dict[str, t.Callable[[DtrApi, str], t.Any]] = {
    "content_caches": lambda registry, _cache: registry.content_caches(),
    "create_content_cache": lambda registry, cache: registry.create_content_cache("new", HOST, {cache}),
    "user_cache": lambda registry, _cache: registry.user_cache("alice"),
    "set_user_cache": lambda registry, cache: (
        registry.set_user_cache("alice", cache),
        registry.set_user_cache("alice", None),
    ),
    "users": lambda registry, _cache: list(registry.users()),
    "account": lambda registry, _cache: registry.account("alice"),
    "org_members": lambda registry, _cache: registry.org_members("engineering"),
    "team_members": lambda registry, _cache: registry.team_members("engineering", "core"),
    "ping": lambda registry, _cache: registry.ping(),
    "version": lambda registry, _cache: registry.version(),
    "features": lambda registry, _cache: registry.features(),
    "cluster_status": lambda registry, _cache: registry.cluster_status(),
    "settings": lambda registry, _cache: registry.settings(),
    "read_only": lambda registry, _cache: registry.read_only(),
    "ca": lambda registry, _cache: registry.ca(),
    "create_api_token": lambda registry, _cache: registry.create_api_token("alice", "label"),
    "api_tokens": lambda registry, _cache: registry.api_tokens("alice"),
    "has_repository": lambda registry, _cache: registry.has_repository("engineering/app"),
    "access": lambda registry, _cache: registry.access("alice", "engineering/app"),
    "delete_tag": lambda registry, _cache: registry.delete_tag("engineering/app", "a b"),
    "delete_api_token": lambda registry, _cache: registry.delete_api_token("hash-0"),
    "delete_content_cache": lambda registry, cache: registry.delete_content_cache(cache),
}
#: These send nothing of their own.
SILENT = {"hopeless", "wait_for_late_writes"}


def test_every_request_that_the_client_can_send_is_held_against_the_contract(client: Client) -> None:
    """The fixture fails for whatever breaks it; this is about none being left out."""
    public = {name for name in dir(DtrApi) if not name.startswith("_")}
    assert public == METHODS.keys() | SILENT
    client.dtr.add_org("engineering", core=["alice"])
    client.dtr.unset_by = "local"
    cache = client.dtr.add_cache("asia", HOST)
    for name, call in METHODS.items():
        before = len(client.site.requests)
        call(client.api, cache)
        assert len(client.site.requests) > before, name
    assert client.dtr.violations == []
    asked = {operation.path for operation in client.dtr.operations}
    assert {operation.path for operation in OPERATIONS} - asked == {"/enzi/v0/accounts/{org}/teams"}


def test_what_no_api_description_has_is_named_with_its_source() -> None:
    elsewhere = {operation.path: operation.source for operation in OPERATIONS if operation.source not in SWAGGERS}
    assert elsewhere == {
        "/_ping": "DTR documentation",
        "/ca": "DTR documentation",
        "/api/v0/admin/version": "Terraform provider for MSR",
        "/api/v0/repositories/{namespace}/{reponame}/tags/{reference}": "DTR release notes",
    }
    assert set(elsewhere.values()) == set(OTHER_SOURCES)


def test_the_contract_catches_what_it_should() -> None:
    json_headers = {"Content-Type": "application/json"}
    good = Request("POST", "/api/v0/content_caches", {}, json_headers, b'{"name": "a", "host": "b"}')
    assert violation(good) is None
    for bad in (
        good._replace(method="PUT"),
        good._replace(headers={}),
        good._replace(body=b'{"name": "a"}'),
        good._replace(body=b'{"name": "a", "host": "b", "id": "c"}'),
        good._replace(body=b'{"name": "a", "host": 1}'),
        good._replace(query={"x": ["y"]}),
        Request("GET", "/api/v0/accounts", {}, {}, b""),
        Request("DELETE", "/api/v0/content_caches/1", {}, {}, b"{}"),
    ):
        assert violation(bad), bad


NOW = datetime.datetime(2026, 5, 4, 12, tzinfo=datetime.timezone.utc)


class FakeDtrApi(DtrApi):
    """Keeps access tokens in a set."""

    def __init__(self, failure: Failure | None = None) -> None:
        self.tokens: set[str] = set()
        self.failure = failure
        self.listed: list[ListedToken] = []

    def api_tokens(self, username: str) -> tuple[list[ListedToken], datetime.datetime]:
        assert username == "alice"
        return self.listed, NOW

    def create_api_token(self, username: str, label: str) -> ApiToken:
        assert label.startswith("dtr.cache.cache_pull ")
        self.tokens.add(username)
        return ApiToken("secret", username)

    def delete_api_token(self, hashed_token: str) -> None:
        if self.failure:
            raise self.failure
        self.tokens.remove(hashed_token)


class TestTemporaryToken:
    def test_deleted_at_the_end(self) -> None:
        dtr = FakeDtrApi()
        with temporary_token(dtr, "alice", pytest.fail) as token:
            assert token == "secret"
            assert dtr.tokens == {"alice"}
        assert dtr.tokens == set()

    def test_deleted_after_a_failure(self) -> None:
        dtr = FakeDtrApi()
        with pytest.raises(RuntimeError), temporary_token(dtr, "alice", pytest.fail):
            raise RuntimeError
        assert dtr.tokens == set()

    def test_one_that_stays_is_told_without_its_secret(self) -> None:
        warnings: list[str] = []
        dtr = FakeDtrApi(Failure("TIMEOUT", "No answer."))
        with temporary_token(dtr, "alice", warnings.append):
            pass
        (warning,) = warnings
        assert "of account alice was not deleted: No answer." in warning
        assert "secret" not in warning


class TestForgotten:
    @pytest.mark.parametrize(
        ("label", "hours", "gone"),
        [
            ("dtr.cache.cache_pull 1a2b", 25, True),
            ("dtr.cache.cache_pull 1a2b", 23, False),
            ("dtr.cache.cache_pull 1a2b", -1, False),
            ("dtr.cache.cache_pulls", 25, False),
            ("alice's laptop", 9999, False),
            ("", 9999, False),
        ],
    )
    def test_only_old_ones_of_this_collection(self, label: str, hours: int, gone: bool) -> None:
        token = ListedToken("hash", label, NOW - datetime.timedelta(hours=hours))
        assert forgotten([token], NOW) == ([token] if gone else [])

    def test_one_of_unknown_age_stays(self) -> None:
        assert forgotten([ListedToken("hash", "dtr.cache.cache_pull 1a2b", None)], NOW) == []

    def test_deleted_before_a_new_one_is_made(self) -> None:
        dtr = FakeDtrApi()
        dtr.listed = [ListedToken("old", "dtr.cache.cache_pull 1a2b", NOW - datetime.timedelta(days=2))]
        dtr.tokens.add("old")
        with temporary_token(dtr, "alice", pytest.fail):
            assert dtr.tokens == {"alice"}


class Endless:
    """Page after page, each with accounts of its own or all with the same ones."""

    def __init__(self, *, repeats: bool) -> None:
        self.repeats = repeats
        self.pages = 0

    def __call__(self, _request: Request) -> Reply:
        self.pages += 1
        of_page = 0 if self.repeats else self.pages
        users = [{"name": f"user-{of_page}-{number}"} for number in range(1000)]
        return reply_json({"accounts": users, "nextPageStart": f"page-{self.pages}"})


def test_ever_new_accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "_MOST_ENTRIES", 5000)
    endless = Endless(repeats=False)
    with (
        serve(endless) as site,
        pytest.raises(Failure, match=r"does not end: it was given up after 6000 ent") as raised,
    ):
        list(Accounts(connect(site.url)).users())
    assert (raised.value.code, endless.pages) == ("UNEXPECTED_ANSWER", 6)


def test_ever_the_same_accounts_under_ever_new_starts() -> None:
    endless = Endless(repeats=True)
    with serve(endless) as site:
        assert len(list(Accounts(connect(site.url)).users())) == 1000
    assert endless.pages == 2


def test_pages_that_take_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "_LONGEST_SECONDS", 0.0)
    dtr = Dtr("alice", "bob")
    dtr.page_limit = 1
    with serve(dtr) as site, pytest.raises(Failure, match="does not end: it was given up after 1 entries in 0 seconds"):
        list(Accounts(connect(site.url)).users())
