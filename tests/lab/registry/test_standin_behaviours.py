# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
import typing as t

import pytest
from dtr_standin.behaviours import Behaviours
from dtr_standin.caches import normalised
from dtr_standin.control_client import ControlError
from standin_harness import ACCOUNTS, Client, code

UNKNOWN = "00000000-0000-4000-8000-000000000000"


def behave(client: Client, **behaviours: t.Any) -> None:
    client.standin.control.behave(**behaviours)


def create(client: Client, name: str, host: str) -> int:
    return client("POST", "/api/v0/content_caches", {"name": name, "host": host}).status_code


def test_duplicate_names(admin: Client) -> None:
    assert create(admin, "a", "https://one") == create(admin, "a", "https://two") == 201
    behave(admin, duplicate_names=False)
    assert create(admin, "a", "https://three") == 400
    assert create(admin, "b", "https://one") == 201
    assert len(admin.standin.control.state()["content_caches"]) == 3


def test_duplicate_hosts(admin: Client) -> None:
    assert create(admin, "a", "https://one") == create(admin, "b", "https://one") == 201
    behave(admin, duplicate_hosts=False)
    assert create(admin, "c", "https://one") == 400
    assert create(admin, "a", "https://two") == 201


def test_the_status_of_a_creation(admin: Client) -> None:
    behave(admin, create_status=200)
    assert create(admin, "a", "https://one") == 200


def test_hosts_are_kept_normalised_or_must_be_https(admin: Client) -> None:
    behave(admin, host_form="normalised")
    answer = admin("POST", "/api/v0/content_caches", {"name": "a", "host": "https://Cache.lab.test:443/"})
    assert answer.json()["host"] == "https://cache.lab.test"
    behave(admin, host_form="https_only")
    assert create(admin, "b", "http://cache.lab.test:5000") == 400
    assert create(admin, "b", "https://cache.lab.test:443/") == 201
    assert admin.standin.control.state()["content_caches"][1]["host"] == "https://cache.lab.test:443/"


def test_normalisation_keeps_what_matters() -> None:
    assert normalised("http://A:80/") == "http://a"
    assert normalised("http://A:443") == "http://a:443"
    assert normalised("https://a:8443/sub/") == "https://a:8443/sub"


def test_a_local_entry_in_the_list(admin: Client) -> None:
    cache = admin.create_cache()
    behave(admin, lists_local=True)
    assert [entry["name"] for entry in admin.get("/api/v0/content_caches").json()] == ["local", "region-asia"]
    assert [entry["id"] for entry in admin.standin.control.state()["content_caches"]] == [cache]


def test_deleting_what_is_missing(admin: Client) -> None:
    assert admin("DELETE", f"/api/v0/content_caches/{UNKNOWN}").status_code == 204
    behave(admin, delete_missing=404)
    assert code(admin("DELETE", f"/api/v0/content_caches/{UNKNOWN}")) == (404, "NO_SUCH_CONTENT_CACHE")


@pytest.mark.parametrize("clears", [False, True])
def test_deleting_a_cache_that_accounts_hold(admin: Client, clears: bool) -> None:
    behave(admin, delete_clears_settings=clears)
    first, second = admin.create_cache("one"), admin.create_cache("two")
    admin.set_cache("bob", first)
    admin.set_cache("alice", second)
    admin("DELETE", f"/api/v0/content_caches/{first}")
    assert admin.settings("bob") == {"ContentCacheUUID": "" if clears else first}
    assert admin.settings("alice") == {"ContentCacheUUID": second}


FORMS: dict[str, dict[str, t.Any]] = {
    "empty_uuid": {"contentCacheUUID": ""},
    "null_uuid": {"contentCacheUUID": None},
    "omitted_uuid": {},
    "local_uuid": {"contentCacheUUID": "local"},
}


@pytest.mark.parametrize("behaviour", FORMS)
@pytest.mark.parametrize("effect", ["unsets", "ignored", "refused"])
def test_each_way_to_say_no_cache(admin: Client, behaviour: str, effect: str) -> None:
    others = {name: "refused" if effect != "refused" else "unsets" for name in FORMS if name != behaviour}
    behave(admin, **others, **{behaviour: effect})
    cache = admin.create_cache()
    admin.set_cache("bob", cache)
    answer = admin("PATCH", "/api/v0/accounts/bob/settings", FORMS[behaviour])
    assert answer.status_code == (400 if effect == "refused" else 200)
    assert admin.standin.control.state()["settings"] == ({} if effect == "unsets" else {"bob": cache})


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        ("empty", {"ContentCacheUUID": ""}),
        ("null", {"ContentCacheUUID": None}),
        ("missing", {}),
        ("local", {"ContentCacheUUID": "local"}),
    ],
)
def test_what_an_account_without_a_cache_shows(admin: Client, shown: str, wanted: dict[str, t.Any]) -> None:
    behave(admin, unset_value=shown)
    assert admin.settings("bob") == wanted


@pytest.mark.parametrize("key", ["contentCacheUUID", "CONTENTCACHEUUID"])
def test_the_spelling_of_the_key(admin: Client, key: str) -> None:
    behave(admin, settings_key=key)
    cache = admin.create_cache()
    assert admin("PATCH", "/api/v0/accounts/bob/settings", {key: cache}).status_code == 200
    assert admin.settings("bob") == {key: cache}


def test_the_answer_to_a_patch(admin: Client) -> None:
    cache = admin.create_cache()
    behave(admin, patch_answer="settings")
    assert admin.set_cache("bob", cache).json() == {"ContentCacheUUID": cache}
    behave(admin, patch_answer="text")
    answer = admin.set_cache("bob", cache)
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.text == "Successfully updated user settings."


def test_an_unknown_id_may_be_taken(admin: Client) -> None:
    behave(admin, unknown_uuid="accepted")
    assert admin.set_cache("bob", UNKNOWN).status_code == 200
    assert admin.settings("bob") == {"ContentCacheUUID": UNKNOWN}


def test_an_organisation_may_have_settings(admin: Client) -> None:
    behave(admin, organization_settings=True)
    cache = admin.create_cache()
    assert admin.set_cache("engineering", cache).status_code == 200
    assert admin.settings("engineering") == {"ContentCacheUUID": cache}
    assert code(admin.set_cache("nobody", cache)) == (404, "NO_SUCH_USER")


@pytest.mark.parametrize(
    ("marker", "in_body", "in_header"), [("body", True, False), ("header", False, True), ("both", True, True)]
)
def test_where_the_marker_of_the_next_page_is(admin: Client, marker: str, in_body: bool, in_header: bool) -> None:
    behave(admin, paging_marker=marker)
    answer = admin.get("/enzi/v0/accounts?filter=orgs&limit=2")
    assert answer.json().get("nextPageStart") == ("research" if in_body else None)
    assert answer.headers.get("X-Next-Page-Start") == ("research" if in_header else None)
    last = admin.get("/enzi/v0/accounts?filter=orgs&limit=2&start=research")
    assert last.json().get("nextPageStart", "") == ""
    assert "X-Next-Page-Start" not in last.headers


def test_a_cap_on_the_length_of_a_page(admin: Client) -> None:
    behave(admin, page_limit=25)
    assert len(admin.get("/enzi/v0/accounts?limit=1000").json()["accounts"]) == 25
    assert len(admin.get("/enzi/v0/accounts?limit=24").json()["accounts"]) == 24


def test_a_last_page_that_names_itself(admin: Client) -> None:
    behave(admin, paging_stuck=True)
    last = admin.get("/enzi/v0/accounts", params={"start": f"user{ACCOUNTS:05d}"}).json()
    assert last["nextPageStart"] == f"user{ACCOUNTS:05d}"


def test_the_log_in_page_in_place_of_a_refusal(nobody: Client) -> None:
    behave(nobody, enzi_unauthenticated="redirected")
    answer = nobody.get("/enzi/v0/accounts")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/api/v0/openid/begin")
    page = nobody.get("/api/v0/openid/begin")
    assert page.headers["Content-Type"].startswith("text/html")
    assert nobody.get("/api/v0/content_caches").status_code == 401


def test_an_unhealthy_registry(nobody: Client, admin: Client) -> None:
    behave(nobody, unhealthy="rethinkdb: no quorum")
    ping = nobody.get("/_ping")
    assert (ping.status_code, ping.json()) == (503, {"Error": "rethinkdb: no quorum", "Healthy": False})
    assert nobody.get("/health").json()["healthy"] is False
    status = admin.get("/api/v0/meta/cluster_status").json()
    assert status["rethink_system_tables"]["current_issues"]
    behave(nobody, cluster_issues_on_top=True)
    status = admin.get("/api/v0/meta/cluster_status").json()
    assert status["current_issues"]
    assert "current_issues" not in status["rethink_system_tables"]


def test_the_version(admin: Client) -> None:
    behave(admin, version="3.1.2")
    assert admin.get("/api/v0/admin/version").json() == {"version": "3.1.2"}


def test_wrong_behaviours_are_refused_as_a_whole(admin: Client) -> None:
    control = admin.standin.control
    with pytest.raises(ControlError, match=r"no behaviour speed.*create_status cannot be 204.*one of 200, 201"):
        behave(admin, lists_local=True, speed=1, create_status=204)
    with pytest.raises(ControlError, match="page_limit cannot be True"):
        behave(admin, page_limit=True)
    assert control.request("GET", "/behaviours") == dataclasses.asdict(Behaviours())
    behave(admin, lists_local=True)
    control.reset()
    assert control.request("GET", "/behaviours") == dataclasses.asdict(Behaviours())


def test_what_an_administrator_is_told_of_an_accounts_right(admin: Client, alice: Client) -> None:
    def level(client: Client, account: str, repository: str) -> t.Any:
        answer = client("GET", f"/api/v0/accounts/{account}/repositoryAccess/{repository}")
        return answer.json()["accessLevel"] if answer.status_code == 200 else code(answer)

    assert level(admin, "alice", "engineering/app") == "admin"
    assert level(admin, "bob", "engineering/app") == "read-only"
    assert level(admin, "bob", "research/app") == (404, "NO_SUCH_REPOSITORY")
    behave(admin, without_access="empty")
    assert level(admin, "bob", "research/app") == ""
    assert level(admin, "nobody", "engineering/app") == (404, "NO_SUCH_USER")
    assert level(alice, "bob", "engineering/app") == (403, "NOT_AUTHORIZED")
