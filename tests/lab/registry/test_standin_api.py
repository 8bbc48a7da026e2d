# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import pathlib

import pytest
from standin_harness import Client, Issued, Standin, basic, code, issue

UNKNOWN = "00000000-0000-4000-8000-000000000000"


# Content caches


def test_a_content_cache_is_created_listed_shown_and_deleted(admin: Client, bob: Client) -> None:
    assert bob.get("/api/v0/content_caches").json() == []
    answer = admin("POST", "/api/v0/content_caches", {"name": "asia", "host": "https://cache.lab.test:443/"})
    assert answer.status_code == 201
    cache = answer.json()
    assert cache == {"id": cache["id"], "name": "asia", "host": "https://cache.lab.test:443/"}
    assert bob.get("/api/v0/content_caches").json() == [cache]
    assert bob.get(f"/api/v0/content_caches/{cache['id']}").json() == cache
    deleted = admin("DELETE", f"/api/v0/content_caches/{cache['id']}")
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert code(bob.get(f"/api/v0/content_caches/{cache['id']}")) == (404, "NO_SUCH_CONTENT_CACHE")
    assert admin.standin.control.state() == {"content_caches": [], "settings": {}}


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"name": "a"},
        {"host": "b"},
        {"name": "", "host": "b"},
        {"name": "a", "host": 1},
        {"name": None, "host": "b"},
    ],
)
def test_a_content_cache_needs_both_fields(admin: Client, form: dict[str, object]) -> None:
    assert admin("POST", "/api/v0/content_caches", form).status_code == 400
    assert admin.get("/api/v0/content_caches").json() == []


def test_only_admins_change_content_caches(admin: Client, alice: Client) -> None:
    cache = admin.create_cache()
    assert code(alice("POST", "/api/v0/content_caches", {"name": "a", "host": "b"})) == (403, "NOT_AUTHORIZED")
    assert code(alice("DELETE", f"/api/v0/content_caches/{cache}")) == (403, "NOT_AUTHORIZED")
    assert len(admin.get("/api/v0/content_caches").json()) == 1


# What every operation has in common


@pytest.mark.parametrize("path", ["/api/v0/content_caches", "/api/v0/meta/features", "/enzi/v0/accounts"])
def test_without_credentials_nothing_is_told(nobody: Client, path: str) -> None:
    assert code(nobody.get(path)) == (401, "NOT_AUTHENTICATED")


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize(
    "path", ["/api/v0/content_caches", f"/api/v0/content_caches/{UNKNOWN}", "/api/v0/meta/features"]
)
def test_a_verb_that_a_path_does_not_have(admin: Client, method: str, path: str) -> None:
    assert code(admin(method, path, {})) == (405, "NOT_ALLOWED")


def test_head_is_no_verb_of_the_api(admin: Client) -> None:
    assert admin("HEAD", "/api/v0/content_caches").status_code == 405
    assert admin("HEAD", "/enzi/v0/accounts").status_code == 405


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", None])
def test_a_body_must_be_json(admin: Client, content_type: str | None) -> None:
    body = json.dumps({"name": "a", "host": "https://b"})
    headers = {"Content-Type": content_type} if content_type else {}
    answer = admin("POST", "/api/v0/content_caches", data=body.encode(), headers=headers)
    assert code(answer) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_a_client_must_accept_json(admin: Client) -> None:
    assert code(admin.get("/api/v0/content_caches", headers={"Accept": "text/html"})) == (406, "NOT_ACCEPTABLE")
    for accepted in ("application/json", "application/*", "text/html, */*;q=0.1"):
        assert admin.get("/api/v0/content_caches", headers={"Accept": accepted}).status_code == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"text"'])
def test_a_body_must_be_an_object(admin: Client, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    for method, path in (("POST", "/api/v0/content_caches"), ("PATCH", "/api/v0/accounts/bob/settings")):
        assert code(admin(method, path, data=body, headers=headers)) == (400, "INVALID_JSON")


def test_an_unknown_path(admin: Client) -> None:
    assert admin.get("/api/v0/accounts").status_code == 404
    assert admin.get("/api/v0/content_cache").status_code == 404


def test_a_slash_at_the_end_makes_no_difference(admin: Client) -> None:
    assert admin.get("/api/v0/content_caches/").json() == []
    assert admin.get("/enzi/v0/accounts/").json()["usersCount"] > 0


# Who the client is


def test_wrong_credentials(standin: Standin) -> None:
    right = standin.passwords["admin"]
    for name, secret in (("admin", "wrong"), ("nobody", right), ("bob", right), ("engineering", right), ("admin", "")):
        assert code(Client(standin, name, secret).get("/api/v0/content_caches")) == (401, "NOT_AUTHENTICATED")
    for header in ("Basic", "Basic !!!", "Bearer abc", basic("admin", right).replace("Basic", "Digest")):
        headers = {"Authorization": header}
        assert Client(standin).get("/api/v0/content_caches", headers=headers).status_code == 401, header


def test_inactive_accounts_are_refused(standin: Standin) -> None:
    assert Client(standin, "ivan").get("/api/v0/content_caches").status_code == 401
    shared = standin.passwords["user*"]
    assert Client(standin, "user00100", shared).get("/api/v0/content_caches").status_code == 401
    assert Client(standin, "user00101", shared).get("/api/v0/content_caches").status_code == 200


def test_an_access_token_stands_for_the_password_until_it_is_switched_off(standin: Standin, bob: Client) -> None:
    made = bob("POST", "/api/v0/api_tokens", {"tokenLabel": "lab"})
    assert made.status_code == 200
    token = made.json()
    assert set(token) == {
        *("token", "hashedToken", "tokenLabel", "isActive", "lastUsed", "createdAt", "generatedBy", "creatorUa"),
    }
    by_token = Client(standin, "bob", token["token"])
    assert by_token.get("/api/v0/accounts/bob/settings").status_code == 200
    assert Client(standin, "alice", token["token"]).get("/api/v0/content_caches").status_code == 401
    path = f"/api/v0/api_tokens/{token['hashedToken']}"
    shown = bob.get(path).json()
    assert "token" not in shown
    assert shown["lastUsed"] > token["lastUsed"]
    changed = bob("PATCH", path, {"isActive": False}).json()
    assert (changed["isActive"], changed["tokenLabel"]) == (False, "lab")
    assert by_token.get("/api/v0/content_caches").status_code == 401
    bob("PATCH", path, {"isActive": True, "tokenLabel": "new"})
    assert by_token.get(path).json()["tokenLabel"] == "new"
    assert bob("DELETE", path).status_code == 200
    assert by_token.get("/api/v0/content_caches").status_code == 401
    assert code(bob.get(path)) == (404, "NO_SUCH_API_TOKEN")


def test_admins_make_tokens_for_others_and_nobody_else_does(standin: Standin, admin: Client, bob: Client) -> None:
    token = admin("POST", "/api/v0/api_tokens?username=bob", {"tokenLabel": "for bob"}).json()
    assert Client(standin, "bob", token["token"]).get("/api/v0/accounts/bob/settings").status_code == 200
    assert code(bob("POST", "/api/v0/api_tokens?username=alice", {})) == (403, "NOT_AUTHORIZED")
    assert code(admin("POST", "/api/v0/api_tokens?username=nobody", {})) == (404, "NO_SUCH_USER")
    foreign = admin("POST", "/api/v0/api_tokens", {"tokenLabel": "admin's"}).json()["hashedToken"]
    assert code(bob.get(f"/api/v0/api_tokens/{foreign}")) == (403, "NOT_AUTHORIZED")
    assert len(bob.get("/api/v0/api_tokens").json()) == 1
    assert len(admin.get("/api/v0/api_tokens").json()) == 2


def test_tokens_are_paged_and_cleaned_up(admin: Client) -> None:
    for number in range(3):
        admin("POST", "/api/v0/api_tokens", {"tokenLabel": str(number)})
    first = admin.get("/api/v0/api_tokens?pageSize=2&count=true")
    assert (len(first.json()), first.headers["X-Resource-Count"]) == (2, "3")
    rest = admin.get("/api/v0/api_tokens", params={"pageStart": first.headers["X-Next-Page-Start"]})
    assert len(rest.json()) == 1
    assert "X-Next-Page-Start" not in rest.headers
    assert admin("DELETE", "/api/v0/api_tokens").status_code == 200  # only those of generatedby=auto
    assert len(admin.get("/api/v0/api_tokens").json()) == 3
    admin("DELETE", "/api/v0/api_tokens?generatedby=api")
    assert admin.get("/api/v0/api_tokens").json() == []


def test_a_refresh_token_in_the_query_authenticates(nobody: Client, bob: Client) -> None:
    token = bob("POST", "/api/v0/api_tokens", {}).json()["token"]
    assert nobody.get("/api/v0/content_caches", params={"refresh_token": token}).status_code == 200
    assert nobody.get("/api/v0/content_caches", params={"refresh_token": "wrong"}).status_code == 401


def test_a_certificate_names_the_user(nobody: Client, client_ca: Issued, ca: Issued, tmp_path: pathlib.Path) -> None:
    for name, wanted in (("bob", 200), ("ivan", 401), ("stranger", 401)):
        shown = issue(tmp_path, name, client_ca)
        files = (str(shown.certificate_file), str(shown.key_file))
        assert nobody.get("/api/v0/accounts/bob/settings", cert=files).status_code == wanted, name
    foreign = issue(tmp_path, "admin", ca)
    with pytest.raises(OSError, match=r"(?i)unknown ca|aborted|reset"):
        nobody.get("/api/v0/content_caches", cert=(str(foreign.certificate_file), str(foreign.key_file)))


# Account settings


def test_a_user_sets_their_own_cache_and_an_admin_anyones(admin: Client, bob: Client) -> None:
    first, second = admin.create_cache("one"), admin.create_cache("two")
    answer = bob.set_cache("bob", first)
    assert (answer.status_code, answer.text) == (200, "")
    assert bob.settings("bob") == {"ContentCacheUUID": first}
    assert admin.set_cache("bob", second).status_code == 200
    assert bob.settings("bob") == {"ContentCacheUUID": second}
    assert admin.standin.control.state()["settings"] == {"bob": second}


def test_settings_of_others_are_closed_even_when_they_do_not_exist(bob: Client) -> None:
    for name in ("alice", "nobody"):
        path = f"/api/v0/accounts/{name}/settings"
        assert code(bob.get(path)) == (403, "NOT_AUTHORIZED")
        assert code(bob("PATCH", path, {"contentCacheUUID": ""})) == (403, "NOT_AUTHORIZED")


@pytest.mark.parametrize("name", ["nobody", "engineering"])
def test_settings_belong_to_users(admin: Client, name: str) -> None:
    assert code(admin.get(f"/api/v0/accounts/{name}/settings")) == (404, "NO_SUCH_USER")
    assert code(admin.set_cache(name, "")) == (404, "NO_SUCH_USER")


@pytest.mark.parametrize("value", [UNKNOWN, "region-asia", 7, True, ["x"], {}])
def test_a_value_that_names_no_cache(admin: Client, value: object) -> None:
    cache = admin.create_cache()
    admin.set_cache("bob", cache)
    assert code(admin.set_cache("bob", value)) == (400, "INVALID_USER_SETTINGS")
    assert admin.settings("bob") == {"ContentCacheUUID": cache}


# The registry's state


def test_what_the_registry_says_of_itself(standin: Standin, admin: Client, nobody: Client) -> None:
    ping = nobody.get("/_ping")
    assert (ping.status_code, ping.json()) == (200, {"Error": "", "Healthy": True})
    assert nobody.get("/health").json() == {"error": "", "healthy": True}
    assert nobody.get("/nginx_status").text.startswith("Active connections: ")
    assert nobody.get("/ca").text == standin.ca.read_text()
    assert nobody.get("/api/v0/accounts/language").json() == {"language": "en"}
    assert admin.get("/api/v0/admin/version").json() == {"version": "2.7.4"}
    assert set(admin.get("/api/v0/meta/features").json()) == {
        *("scanningEnabled", "scanningLicensed", "promotionLicensed", "mirroringLicensed"),
        *("metadataStoreOptedIn", "onlineGCEnabled", "db_version", "ucpHost"),
    }
    assert admin.get("/api/v0/meta/alerts").json() == []
    status = admin.get("/api/v0/meta/cluster_status").json()
    assert list(status["replica_health"].values()) == ["OK"]
    assert status["rethink_system_tables"]["current_issues"] == []


def test_settings_of_the_registry_are_for_admins_and_keep_their_types(admin: Client, bob: Client) -> None:
    for path in ("/api/v0/meta/settings", "/api/v0/meta/cluster_status", "/api/v0/meta/alerts"):
        assert code(bob.get(path)) == (403, "NOT_AUTHORIZED")
    assert code(admin("POST", "/api/v0/meta/settings", {"readOnlyRegistry": "yes"})) == (400, "INVALID_SETTINGS")
    assert (
        admin("POST", "/api/v0/meta/settings", {"readOnlyRegistry": True, "dtrHost": "dtr.lab.test"}).status_code == 202
    )
    settings = admin.get("/api/v0/meta/settings").json()
    assert (settings["readOnlyRegistry"], settings["dtrHost"]) == (True, "dtr.lab.test")
    assert settings["webTLSCA"] == admin.standin.ca.read_text()
    assert "webTLSKey" not in settings
    assert [alert["id"] for alert in admin.get("/api/v0/meta/alerts").json()] == ["read-only"]
