# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

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


def test_only_admins_change_content_caches(admin: Client, alice: Client) -> None:
    cache = admin.create_cache()
    assert code(alice("POST", "/api/v0/content_caches", {"name": "a", "host": "b"})) == (403, "NOT_AUTHORIZED")
    assert code(alice("DELETE", f"/api/v0/content_caches/{cache}")) == (403, "NOT_AUTHORIZED")
    assert len(admin.get("/api/v0/content_caches").json()) == 1


# What every operation has in common


# Who the client is


def test_wrong_credentials(standin: Standin) -> None:
    right = standin.passwords["admin"]
    for name, secret in (("admin", "wrong"), ("nobody", right), ("bob", right), ("engineering", right), ("admin", "")):
        assert code(Client(standin, name, secret).get("/api/v0/content_caches")) == (401, "NOT_AUTHENTICATED")
    for header in ("Basic", "Basic !!!", "Bearer abc", basic("admin", right).replace("Basic", "Digest")):
        headers = {"Authorization": header}
        assert Client(standin).get("/api/v0/content_caches", headers=headers).status_code == 401, header


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
