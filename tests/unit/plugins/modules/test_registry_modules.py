# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules that talk to DTR, from their options to their results, against a DTR in memory."""

from __future__ import annotations

import base64
import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.http import retries, transport
from ansible_collections.dtr.cache.tests.unit.support.dtr import Dtr, error, once
from ansible_collections.dtr.cache.tests.unit.support.modules import run_module
from ansible_collections.dtr.cache.tests.unit.support.web import Identity, Reply, Request, Site, make_identity, serve
from cryptography.hazmat.primitives import hashes

PASSWORD = "s3cret-of-the-modules"
ASIA = {"name": "asia", "host": "https://asia.example.org:443"}
ALL = (
    "content_caches",
    "content_caches_info",
    "cache_assignments",
    "cache_assignments_info",
    "registry_info",
    "registry_ca_info",
)
REQUIRED: dict[str, dict[str, t.Any]] = {"cache_assignments": {"assignments": []}}


FOREIGN_404 = [Reply(404), Reply(404, b"<html>", {"Content-Type": "text/html"}), error(404, "BLOCKED")]


def vanishing(dtr: Dtr, method: str, user: str) -> t.Callable[[Request, t.Callable[[], Reply]], Reply | None]:
    """A fault that deletes a user when a request for its settings comes."""

    def fault(request: Request, _act: t.Callable[[], Reply]) -> Reply | None:
        if request.method == method and request.path.endswith(f"/{user}/settings"):
            dtr.accounts.pop(user, None)
        return None

    return fault


class Lab(t.NamedTuple):
    dtr: Dtr
    site: Site

    def run(self, module: str, **options: t.Any) -> dict[str, t.Any]:
        return run_module(module, **{"url": self.site.url, "username": "admin", "password": PASSWORD, **options})

    @property
    def writes(self) -> int:
        return sum(self.site.count(method) for method in ("POST", "PATCH", "DELETE"))


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = retries.Backoff(base=0.01, cap=0.02, budget=5)
    monkeypatch.setitem(transport.Transport.__init__.__kwdefaults__ or {}, "backoff", fast)
    for name in ("URL", "USERNAME", "PASSWORD", "CA_PATH", "CLIENT_CERT", "CLIENT_KEY", "VALIDATE_CERTS"):
        monkeypatch.delenv(f"DTR_{name}", raising=False)


@pytest.fixture
def lab() -> t.Iterator[Lab]:
    dtr = Dtr("alice", "bob", "carol")
    dtr.add_user("dave", isActive=False)
    dtr.add_org("engineering", core=["alice", "dave"], web=["bob"])
    with serve(dtr) as site:
        yield Lab(dtr, site)
    assert dtr.violations == []


class TestContentCaches:
    def test_from_nothing(self, lab: Lab) -> None:
        announced = lab.run("content_caches", caches=[ASIA], check=True)
        assert lab.writes == 0
        made = lab.run("content_caches", caches=[ASIA])
        assert announced["changed"]
        assert made["changed"]
        assert [cache["host"] for cache in announced["created"]] == [cache["host"] for cache in made["created"]]
        assert made["content_caches"] == lab.dtr.caches
        assert not lab.run("content_caches", caches=[ASIA])["changed"]

    def test_the_diff_is_given_when_asked_for(self, lab: Lab) -> None:
        lab.dtr.add_cache("asia", "https://old.example.org", "alice")
        assert "diff" not in lab.run("content_caches", caches=[ASIA], check=True)
        lab.dtr.add_cache("europe", "https://europe.example.org")
        shown: dict[str, t.Any] = {"caches": [ASIA], "check": True, "_ansible_diff": True}
        of_caches, of_accounts = lab.run("content_caches", **shown)["diff"]
        assert (of_caches["before"], of_caches["after"]) == (
            "asia: https://old.example.org\n",
            f"asia: {ASIA['host']}\n",
        )
        way = f"asia (https://old.example.org) -> asia ({ASIA['host']})"
        assert of_accounts == {"prepared": f"accounts: {way}: alice\n"}
        each = lab.run("content_caches", **shown, _ansible_verbosity=1)["diff"][2]
        assert (each["before"], each["after"]) == (
            "alice: asia (https://old.example.org)\n",
            f"alice: asia ({ASIA['host']})\n",
        )

    def test_one_list_and_one_write_a_difference(self, lab: Lab) -> None:
        fleet = [{"name": f"cache-{number}", "host": f"https://cache-{number}.example.org"} for number in range(100)]
        lab.run("content_caches", caches=fleet)
        # Once more after the writes: another run may have made the same entries.
        assert (lab.site.count("GET"), lab.site.count("POST")) == (2, 100)
        lab.site.requests.clear()
        fleet[7]["state"] = "absent"
        lab.run("content_caches", caches=fleet, reassign=False)
        assert [request.method for request in lab.site.requests] == ["GET", "DELETE"]

    def test_replacing_moves_inactive_accounts_as_well(self, lab: Lab) -> None:
        lab.dtr.add_cache("asia", "https://old.example.org", "alice", "dave")
        result = lab.run("content_caches", caches=[ASIA])
        assert [lab.dtr.host_of(user) for user in ("alice", "bob", "dave")] == [ASIA["host"], None, ASIA["host"]]
        assert [entry["name"] for entry in result["reassigned"]] == ["alice", "dave"]
        assert result["replaced"][0]["before"]["host"] == "https://old.example.org"
        assert (result["created"], result["deleted"]) == ([], [])

    def test_removing_resets_first(self, lab: Lab) -> None:
        lab.dtr.add_cache("asia", ASIA["host"], "alice")
        result = lab.run("content_caches", caches=[{"name": "asia", "state": "absent"}])
        assert lab.dtr.settings == {}
        assert result["reassigned"][0]["after"] == "local"
        methods = [request.method for request in lab.site.requests if request.method in ("PATCH", "DELETE")]
        assert methods == ["PATCH", "DELETE"]

    def test_purge(self, lab: Lab) -> None:
        lab.dtr.add_cache("europe", "https://europe.example.org")
        lab.dtr.add_cache("local", "")
        result = lab.run("content_caches", caches=[ASIA], purge=True)
        assert [cache["name"] for cache in lab.dtr.caches] == ["local", "asia"]
        assert [cache["name"] for cache in result["deleted"]] == ["europe"]

    def test_without_reassigning(self, lab: Lab) -> None:
        lab.dtr.add_cache("asia", "https://old.example.org", "alice")
        result = lab.run("content_caches", caches=[ASIA], reassign=False)
        assert lab.site.count("PATCH") == 0
        assert "names nothing" in str(result["warnings"])

    def test_duplicates_are_resolved_or_told(self, lab: Lab) -> None:
        lab.dtr.add_cache("asia", "https://old.example.org", "alice")
        lab.dtr.add_cache("asia", "https://ASIA.example.org/", "bob")
        assert "several caches named asia" in str(lab.run("content_caches", caches=[])["warnings"])
        result = lab.run("content_caches", caches=[ASIA])
        assert [cache["host"] for cache in lab.dtr.caches] == ["https://ASIA.example.org/"]
        assert lab.dtr.host_of("alice") == lab.dtr.host_of("bob") == "https://ASIA.example.org/"
        assert [cache["host"] for cache in result["deleted"]] == ["https://old.example.org"]

    def test_what_was_done_before_a_failure_is_told(self, lab: Lab) -> None:
        lab.dtr.add_cache("asia", "https://old.example.org", "alice", "bob")
        lab.dtr.fault = once("PATCH", "bob", error(500, "INTERNAL_ERROR"), times=99)
        result = lab.run("content_caches", caches=[ASIA])
        assert result["failure"]["code"] == "ACCOUNTS_NOT_MOVED"
        assert result["changed"]
        assert [entry["name"] for entry in result["reassigned"]] == ["alice"]
        assert [entry["name"] for entry in result["failed_accounts"]] == ["bob"]
        assert lab.dtr.host_of("bob") == "https://old.example.org"
        lab.dtr.fault = None
        again = lab.run("content_caches", caches=[ASIA])
        assert [entry["name"] for entry in again["reassigned"]] == ["bob"]
        assert len(lab.dtr.caches) == 1

    def test_nothing_is_touched_when_settings_cannot_be_read(self, lab: Lab) -> None:
        lab.dtr.add_cache("asia", "https://old.example.org", "alice")
        lab.dtr.fault = once("GET", "bob/settings", error(500, "INTERNAL_ERROR"))
        result = lab.run("content_caches", caches=[ASIA])
        assert result["failure"]["code"] == "SETTINGS_UNREADABLE"
        assert lab.writes == 0

    def test_a_user_who_vanishes_meanwhile_is_no_failure(self, lab: Lab) -> None:
        lab.dtr.add_cache("asia", "https://old.example.org", "alice", "bob")
        lab.dtr.fault = vanishing(lab.dtr, "PATCH", "bob")
        result = lab.run("content_caches", caches=[ASIA])
        assert "failed" not in result
        assert [entry["name"] for entry in result["reassigned"]] == ["alice"]

    @pytest.mark.parametrize("reply", FOREIGN_404, ids=["empty", "page", "other code"])
    @pytest.mark.parametrize("method", ["GET", "PATCH"])
    def test_a_404_of_something_in_front_deletes_nothing(self, lab: Lab, method: str, reply: Reply) -> None:
        lab.dtr.add_cache("asia", "https://old.example.org", "alice", "bob")
        lab.dtr.fault = once(method, "/settings$", reply, times=99)
        for declared in (ASIA, {"name": "asia", "state": "absent"}):
            result = lab.run("content_caches", caches=[declared])
            assert result["failure"]["code"] in ("SETTINGS_UNREADABLE", "ACCOUNTS_NOT_MOVED")
            assert result["failure"]["http_status"] == 404
            assert lab.dtr.host_of("alice") == lab.dtr.host_of("bob") == "https://old.example.org"

    def test_settings_that_cannot_be_read_again_keep_the_old_entry(self, lab: Lab) -> None:
        lab.dtr.add_cache("asia", "https://old.example.org", "alice")
        path = "/api/v0/accounts/carol/settings"

        def fault(request: Request, _act: t.Callable[[], Reply]) -> Reply | None:
            return error(500, "INTERNAL_ERROR") if request.path == path and lab.site.count("GET", path) > 1 else None

        lab.dtr.fault = fault
        result = lab.run("content_caches", caches=[ASIA])
        assert result["failure"]["code"] == "SETTINGS_UNREADABLE"
        assert "so no cache that somebody may pull from was deleted" in result["msg"]
        assert result["changed"]
        assert sorted(cache["host"] for cache in lab.dtr.caches) == [ASIA["host"], "https://old.example.org"]


class TestCacheAssignments:
    def test_from_nothing(self, lab: Lab) -> None:
        lab.dtr.add_cache("asia", ASIA["host"])
        wanted = [{"cache": "asia", "accounts": ["carol"], "teams": ["engineering/core"]}]
        announced = lab.run("cache_assignments", assignments=wanted, check=True)
        assert lab.writes == 0
        result = lab.run("cache_assignments", assignments=wanted)
        assert result["changed_accounts"] == announced["changed_accounts"]
        assert [entry["name"] for entry in result["changed_accounts"]] == ["alice", "carol"]
        assert lab.dtr.host_of("alice") == lab.dtr.host_of("carol") == ASIA["host"]
        again = lab.run("cache_assignments", assignments=wanted)
        assert (again["changed"], again["unchanged"]) == (False, 2)

    def test_only_what_differs_is_written(self, lab: Lab) -> None:
        lab.dtr.add_cache("asia", ASIA["host"], "alice")
        lab.run("cache_assignments", assignments=[{"cache": "asia", "everyone": True}])
        assert lab.site.count("PATCH") == 2

    def test_named_accounts_do_not_cost_the_whole_list(self, lab: Lab) -> None:
        lab.dtr.add_cache("asia", ASIA["host"])
        lab.run("cache_assignments", assignments=[{"cache": "asia", "accounts": ["alice"]}])
        assert lab.site.count("GET", "/enzi/v0/accounts") == 0

    def test_many_named_accounts_are_looked_up_in_the_list(self, lab: Lab) -> None:
        names = [f"user{number:03}" for number in range(101)]
        for name in names:
            lab.dtr.add_user(name)
        result = lab.run(
            "cache_assignments", assignments=[{"cache": "local", "accounts": [*names, "engineering", "x"]}]
        )
        assert lab.site.count("GET", "/enzi/v0/accounts") == 1
        assert result["problems"] == [
            "engineering is an organisation, to be named under orgs",
            "there is no account x",
        ]

    def test_exclusive(self, lab: Lab) -> None:
        lab.dtr.add_cache("asia", ASIA["host"], "bob", "dave")
        lab.run("cache_assignments", assignments=[{"cache": "asia", "accounts": ["alice"]}], exclusive=True)
        assert lab.dtr.settings.keys() == {"alice", "dave"}

    @pytest.mark.parametrize("check", [True, False])
    def test_an_exclusive_assignment_that_would_reset_more_than_it_may_is_refused(self, lab: Lab, check: bool) -> None:
        lab.dtr.add_cache("asia", ASIA["host"], "alice", "bob")
        lab.dtr.settings["carol"] = "gone"
        wanted: dict[str, t.Any] = {"assignments": [{"cache": "local", "accounts": ["alice"]}], "exclusive": True}
        refused = lab.run("cache_assignments", **wanted, max_resets=1, check=check)
        assert (refused["failure"]["code"], refused["resets"], lab.writes) == ("TOO_MANY_RESETS", 2, 0)
        assert refused["msg"].startswith(
            "This exclusive assignment would reset 2 accounts that it does not name (1 of asia, 1 of gone (dangling)), "
            "and max_resets allows 1. Nothing was changed."
        )
        assert "set max_resets to 2 for this run" in refused["msg"]
        # An account that is sent to local by its name counts as little as one that pulls from there already.
        assert len(lab.run("cache_assignments", **wanted, max_resets=2, check=check)["changed_accounts"]) == 3
        assert lab.writes == (0 if check else 3)

    def test_others_reset_as_many_as_they_name(self, lab: Lab) -> None:
        lab.dtr.add_cache("asia", ASIA["host"], "alice", "bob")
        wanted = [{"cache": "local", "everyone": True}]
        assert lab.run("cache_assignments", assignments=wanted, exclusive=True, max_resets=0)["changed"]
        failed = lab.run("cache_assignments", assignments=wanted, max_resets=-1)
        assert failed["msg"] == "max_resets: -1 is not a number from 0 on."

    def test_everyone_but_whom_others_claim(self, lab: Lab) -> None:
        lab.dtr.add_cache("asia", ASIA["host"], "alice", "bob")
        lab.dtr.add_cache("europe", "https://europe.example.org:443")
        region = {"cache": "asia", "accounts": ["bob"], "teams": ["engineering/core", "no/team"], "everyone": False}
        wanted = {"assignments": [{"cache": "europe", "everyone": True}], "others": [region]}
        result = lab.run("cache_assignments", **wanted)
        assert [entry["name"] for entry in result["changed_accounts"]] == ["carol"]
        assert (result["unchanged"], result["covered"]) == (0, {"europe": 1})
        assert lab.run("cache_assignments", **wanted)["changed"] is False
        together = [{**region, "teams": ["engineering/core"]}, {"cache": "europe", "everyone": True}]
        assert lab.run("cache_assignments", assignments=together)["changed"] is False

    def test_one_whom_others_claim_is_not_moved_to_and_fro(self, lab: Lab) -> None:
        lab.dtr.add_cache("asia", ASIA["host"], "alice")
        lab.dtr.add_cache("europe", "https://europe.example.org:443")
        others = [{"cache": "asia", "teams": ["engineering/core"]}]
        wanted = {"assignments": [{"cache": "europe", "accounts": ["alice", "carol"]}], "others": others}
        result = lab.run("cache_assignments", **wanted)
        assert result["problems"][0].startswith("alice is claimed by asia and europe; ")
        assert lab.writes == 0

    def test_others_cost_nothing_where_nothing_is_written(self, lab: Lab) -> None:
        lab.dtr.add_cache("asia", ASIA["host"], "carol")
        wanted = {"assignments": [{"cache": "asia", "accounts": ["carol"]}]}
        lab.run("cache_assignments", **wanted, others=[{"cache": "europe", "teams": ["engineering/core"]}])
        assert lab.site.count("GET", "/enzi/v0/accounts/engineering/teams/core/members") == 0

    def test_dangling_is_repaired(self, lab: Lab) -> None:
        lab.dtr.settings["alice"] = "gone-id"
        result = lab.run("cache_assignments", assignments=[{"cache": "local", "accounts": ["alice"]}])
        assert result["changed_accounts"] == [{"name": "alice", "before": "gone-id (dangling)", "after": "local"}]
        assert lab.dtr.settings == {}

    def test_partial_failure(self, lab: Lab) -> None:
        lab.dtr.add_cache("asia", ASIA["host"])
        lab.dtr.fault = once("PATCH", "bob", error(500, "INTERNAL_ERROR"))
        wanted = [{"cache": "asia", "everyone": True}]
        result = lab.run("cache_assignments", assignments=wanted)
        assert result["failed"]
        assert [entry["name"] for entry in result["changed_accounts"]] == ["alice", "carol"]
        assert [(entry["name"], entry["code"]) for entry in result["failed_accounts"]] == [("bob", "INTERNAL_ERROR")]
        assert result["unchanged"] == 0
        again = lab.run("cache_assignments", assignments=wanted)
        assert [entry["name"] for entry in again["changed_accounts"]] == ["bob"]

    @pytest.mark.parametrize(
        "reply",
        [error(401, "NOT_AUTHENTICATED"), Reply(302, b"", {"Location": "/api/v0/openid/begin"})],
        ids=["refused", "log-in page"],
    )
    def test_a_revoked_password_is_not_tried_on_every_account(self, lab: Lab, reply: Reply) -> None:
        for number in range(200):
            lab.dtr.add_user(f"user{number:03}")
        lab.dtr.add_cache("asia", ASIA["host"])
        lab.dtr.fault = lambda request, _act: reply if request.method == "PATCH" else None
        assignments = [{"cache": "asia", "everyone": True}]
        result = lab.run("cache_assignments", assignments=assignments, concurrency=4, _ansible_verbosity=1)
        assert len(result["failed_accounts"]) == 203
        assert lab.site.count("PATCH") <= 8

    @pytest.mark.parametrize("method", ["GET", "PATCH"])
    def test_a_user_who_vanishes_meanwhile_is_told_and_no_failure(self, lab: Lab, method: str) -> None:
        lab.dtr.add_cache("asia", ASIA["host"])
        lab.dtr.fault = vanishing(lab.dtr, method, "bob")
        result = lab.run("cache_assignments", assignments=[{"cache": "asia", "everyone": True}])
        assert "failed" not in result
        assert [entry["name"] for entry in result["changed_accounts"]] == ["alice", "carol"]
        assert (result["unchanged"], result["covered"]) == (0, {"asia": 2})
        assert "deleted while this task ran are left out: bob" in str(result["warnings"])

    def test_a_user_who_is_named_and_vanishes_is_a_failure(self, lab: Lab) -> None:
        lab.dtr.add_cache("asia", ASIA["host"])
        lab.dtr.fault = vanishing(lab.dtr, "GET", "bob")
        result = lab.run("cache_assignments", assignments=[{"cache": "asia", "accounts": ["bob"]}])
        assert [entry["code"] for entry in result["failed_accounts"]] == ["NO_SUCH_USER"]

    @pytest.mark.parametrize("reply", FOREIGN_404, ids=["empty", "page", "other code"])
    def test_a_404_of_something_in_front_is_a_failure_of_each_account(self, lab: Lab, reply: Reply) -> None:
        lab.dtr.fault = once("GET", "bob/settings", reply, times=99)
        for module, options in (
            ("cache_assignments", {"assignments": [{"cache": "local", "everyone": True}]}),
            ("cache_assignments_info", {}),
        ):
            result = lab.run(module, **options)
            assert [account["name"] for account in result["failed_accounts"]] == ["bob"]

    def test_inactive_accounts_are_left_out_with_a_warning(self, lab: Lab) -> None:
        lab.dtr.add_cache("asia", ASIA["host"])
        result = lab.run("cache_assignments", assignments=[{"cache": "asia", "accounts": ["dave"]}])
        assert result["inactive"] == ["dave"]
        assert "dave" in str(result["warnings"])
        assert lab.writes == 0

    def test_caches_that_are_only_planned(self, lab: Lab) -> None:
        options = {"assignments": [{"cache": "asia", "accounts": ["alice"]}], "planned_caches": ["asia", "asia"]}
        announced = lab.run("cache_assignments", check=True, **options)
        assert announced["changed_accounts"] == [{"name": "alice", "before": "local", "after": "asia"}]
        assert lab.run("cache_assignments", **options)["problems"] == ["there is no cache asia"]

    def test_entries_of_one_name_are_one_where_the_registration_is_only_planned(self, lab: Lab) -> None:
        """Who is assigned to one that goes comes along with the registration."""
        lab.dtr.add_cache("asia", ASIA["host"])
        lab.dtr.add_cache("asia", "https://old", "bob")
        options = {"assignments": [{"cache": "asia", "accounts": ["alice", "bob"]}], "planned_caches": ["asia"]}
        announced = lab.run("cache_assignments", check=True, **options)
        assert announced["changed_accounts"] == [{"name": "alice", "before": "local", "after": "asia"}]
        (problem,) = lab.run("cache_assignments", **options)["problems"]
        assert problem.startswith("there are 2 caches named asia")


class TestInfo:
    def test_content_caches(self, lab: Lab) -> None:
        lab.dtr.add_cache("b", "https://b")
        lab.dtr.add_cache("a", "https://z")
        lab.dtr.add_cache("a", "https://a")
        result = lab.run("content_caches_info")
        assert [cache["host"] for cache in result["content_caches"]] == ["https://a", "https://z", "https://b"]
        assert result["duplicates"] == ["a"]

    def test_assignments(self, lab: Lab) -> None:
        lab.dtr.add_cache("asia", ASIA["host"], "alice", "dave")
        lab.dtr.settings["bob"] = "gone"
        lab.dtr.add_user("erin", isActive=False)
        counted = lab.run("cache_assignments_info")
        numbers = {
            "total": 5,
            "counts": {"asia": 2, "local": 2},
            "dangling_count": 1,
            "inactive_count": 2,
        }
        assert {key: value for key, value in counted.items() if key not in ("changed", "invocation")} == numbers
        result = lab.run("cache_assignments_info", names=True)
        assert {key: result[key] for key in numbers} == numbers
        assert result["by_cache"] == {"asia": ["alice", "dave"], "local": ["carol", "erin"]}
        assert (result["dangling"], result["inactive"]) == (["bob"], ["dave", "erin"])
        assert lab.run("cache_assignments_info", accounts=["alice"])["by_cache"]["asia"] == ["alice"]

    def test_assignments_of_unknown_accounts(self, lab: Lab) -> None:
        result = lab.run("cache_assignments_info", accounts=["alice", "zoe"])
        assert [entry["code"] for entry in result["failed_accounts"]] == ["NO_SUCH_USER"]
        assert result["by_cache"]["local"] == ["alice"]

    def test_registry(self, lab: Lab) -> None:
        result = lab.run("registry_info")
        assert (result["healthy"], result["version"], result["read_only"]) == (True, "2.7.4", False)
        assert result["replicas"] == [
            {"id": "f4c1e1a0b2d3", "health": "OK", "read_only": False, "timestamp": "2020-06-01T12:00:00Z"}
        ]

    @pytest.mark.parametrize(
        ("path", "field"),
        [
            ("meta/features", "features"),
            ("meta/cluster_status", "replicas"),
            ("meta/settings", None),
            ("admin/version", "version"),
        ],
    )
    @pytest.mark.parametrize(
        "reply",
        [Reply(404), Reply(405), Reply(406), Reply(302, b"", {"Location": "https://elsewhere.example.org/"})],
        ids=["404", "405", "406", "redirect"],
    )
    def test_what_a_version_does_not_tell(self, lab: Lab, path: str, field: str | None, reply: Reply) -> None:
        lab.dtr.fault = lambda request, _act: reply if request.path.endswith(path) else None
        result = lab.run("registry_info")
        if field == "features" and reply.status == 302:
            assert result["failure"]["code"] == "UNEXPECTED_REDIRECT"
            return
        assert "failed" not in result
        untold = [name for name in ("version", "read_only", "features", "replicas") if result[name] is None]
        assert untold == ([field] if field else [])

    @pytest.mark.parametrize("path", ["meta/cluster_status", "meta/settings", "admin/version"])
    @pytest.mark.parametrize(
        "reply", [Reply(401), Reply(500), Reply(302, b"", {"Location": "/login"})], ids=["401", "500", "log-in"]
    )
    def test_what_fails_is_a_failure(self, lab: Lab, path: str, reply: Reply) -> None:
        lab.dtr.fault = lambda request, _act: reply if request.path.endswith(path) else None
        assert lab.run("registry_info")["failure"]["http_status"] == reply.status

    def test_registry_for_others_than_administrators(self, lab: Lab) -> None:
        lab.dtr.is_admin = False
        result = lab.run("registry_info")
        assert (result["healthy"], result["read_only"], result["replicas"]) == (True, None, None)

    def test_an_unhealthy_registry_is_an_answer(self, lab: Lab) -> None:
        lab.dtr.healthy = False
        lab.dtr.fault = lambda request, _act: error(500, "INTERNAL_ERROR") if "/api/" in request.path else None
        result = lab.run("registry_info")
        assert (result["healthy"], result["error"], result["features"]) == (False, "rethinkdb", None)

    def test_bad_credentials_are_a_failure_even_then(self, lab: Lab) -> None:
        lab.dtr.healthy = False
        lab.dtr.fault = lambda request, _act: error(401, "NOT_AUTHENTICATED") if "/api/" in request.path else None
        assert lab.run("registry_info")["failure"]["code"] == "NOT_AUTHENTICATED"


class TestConnection:
    def test_options_from_the_environment(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DTR_URL", lab.site.url)
        monkeypatch.setenv("DTR_USERNAME", "admin")
        monkeypatch.setenv("DTR_PASSWORD", PASSWORD)
        assert run_module("content_caches_info")["content_caches"] == []

    def test_retries_are_warnings(self, lab: Lab) -> None:
        lab.dtr.fault = once("GET", "content_caches", Reply(503))
        result = lab.run("content_caches_info")
        assert f"GET {lab.site.url}/api/v0/content_caches: 503 Service Unavailable" in str(result["warnings"])

    def test_retries_are_warnings_of_a_failure_as_well(self, lab: Lab) -> None:
        lab.dtr.fault = once("GET", "content_caches", Reply(503), times=9)
        result = lab.run("content_caches_info", retries=1)
        assert result["failure"]["http_status"] == 503
        assert "0 of 1 retries left" in str(result["warnings"])

    @pytest.mark.parametrize("module", ALL)
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"url": "ftp://dtr.example.org"}, "not a scheme"),
            ({"url": "https://admin:pw@dtr.example.org"}, "credentials do not belong"),
            ({"url": "http://dtr.example.org"}, "plain http"),
            ({"url": "https://"}, "names no host"),
            ({"timeout": 0}, "timeout"),
            ({"retries": -1}, "retries"),
            ({"ca_path": "/nonexistent/ca.pem"}, "ca_path"),
            ({"ca_certificate": "junk"}, "ca_certificate"),
            ({"ca_path": "/a", "ca_certificate": "b"}, "mutually exclusive"),
            ({"client_key": "/a"}, "client_cert"),
            ({"timeout": float("inf")}, "timeout: inf is more than a day"),
            ({"timeout": "nan"}, "timeout: nan is not a number of seconds above 0."),
            ({"timeout": 1e12}, "timeout: 1e+12 is more than a day"),
            ({"retries": "many"}, "retries"),
            ({"timeout": "long"}, "timeout"),
            ({"validate_certs": "maybe"}, "validate_certs"),
        ],
    )
    def test_bad_options(self, lab: Lab, module: str, options: dict[str, t.Any], message: str) -> None:
        result = lab.run(module, **REQUIRED.get(module, {}), **options)
        assert result["failed"]
        assert message in result["msg"]
        assert result["failure"]["code"] == "INVALID_INPUT"
        assert "Traceback" not in json.dumps(result)
        assert lab.site.requests == []

    @pytest.mark.parametrize("module", [name for name in ALL if name != "registry_ca_info"])
    @pytest.mark.parametrize("missing", ["username", "password"])
    def test_half_of_the_credentials(self, lab: Lab, module: str, missing: str) -> None:
        result = lab.run(module, **{**REQUIRED.get(module, {}), missing: ""})
        assert f"username and password are required together, and {missing} is missing" in result["msg"]
        assert f"DTR_{missing.upper()}" in result["msg"]
        assert lab.site.requests == []

    def test_a_ca_that_is_given_wins_over_the_environment(
        self, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        authority = make_identity("CA", ca=True)
        (tmp_path / "ca.pem").write_text(authority.pem)
        with serve(lab.dtr, make_identity("dtr", authority).server_context(tmp_path)) as site:
            monkeypatch.setenv("DTR_CA_PATH", "/nonexistent/ca.pem")
            options = {"url": site.url, "retries": 0}
            assert lab.run("content_caches_info", ca_certificate=authority.pem, **options)["content_caches"] == []
            assert lab.run("content_caches_info", ca_path=str(tmp_path / "ca.pem"), **options)["content_caches"] == []
            assert "/nonexistent/ca.pem cannot be used" in lab.run("content_caches_info", **options)["msg"]
            monkeypatch.setenv("DTR_CA_PATH", str(tmp_path / "ca.pem"))
            assert lab.run("content_caches_info", **options)["content_caches"] == []
            monkeypatch.setenv("DTR_CA_PATH", "")
            failure = lab.run("content_caches_info", **options)["failure"]
            assert failure["code"] == "TLS_UNKNOWN_AUTHORITY"

    @pytest.mark.parametrize(("value", "code"), [("no", None), ("false", None), ("true", "TLS_UNKNOWN_AUTHORITY")])
    def test_verification_by_the_environment(
        self, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, code: str | None
    ) -> None:
        monkeypatch.setenv("DTR_VALIDATE_CERTS", value)
        with serve(lab.dtr, make_identity("dtr").server_context(tmp_path)) as site:
            result = lab.run("content_caches_info", url=site.url, retries=0)
        assert result.get("failure", {}).get("code") == code

    def test_what_a_server_repeats_of_the_log_in_is_hidden(self, lab: Lab) -> None:
        """A gateway that shows what it was sent, to whoever looks for the mistake."""

        def echo(request: Request, _act: t.Callable[[], Reply]) -> Reply:
            body = {
                "errors": [{"code": "BAD_GATEWAY", "message": request.headers["Authorization"], "detail": PASSWORD}]
            }
            return Reply(500, json.dumps(body).encode(), {"Content-Type": "application/json"})

        lab.dtr.fault = echo
        result = lab.run("content_caches_info")
        assert result["failure"]["code"] == "BAD_GATEWAY"
        assert PASSWORD not in json.dumps(result)
        assert base64.b64encode(f"admin:{PASSWORD}".encode()).decode() not in json.dumps(result)

    def test_a_password_in_a_url_is_not_shown_with_the_options(self, lab: Lab) -> None:
        refused = [{"name": "asia", "host": "https://someone:pass-word-1@cache.example.org"}]
        url = "https://someone:pass-word-2@dtr.example.org"
        result = lab.run("content_caches", url=url, caches=refused, invocation=True)
        assert "https://someone:********@dtr.example.org" in json.dumps(result["invocation"])
        assert "pass-word" not in json.dumps(result)

    @pytest.mark.parametrize("module", ALL[:-1])
    def test_somebody_has_to_ask(self, lab: Lab, module: str) -> None:
        options = {"url": lab.site.url, **REQUIRED.get(module, {})}
        assert "required: username, client_cert" in run_module(module, **options)["msg"]
        assert "required" in run_module(module, username="", password="", **options)["msg"]
        assert lab.site.requests == []

    @pytest.mark.parametrize("module", ["content_caches", "cache_assignments", "cache_assignments_info"])
    @pytest.mark.parametrize("concurrency", [0, -1, 1000])
    def test_concurrency_has_bounds(self, lab: Lab, module: str, concurrency: int) -> None:
        result = lab.run(module, **REQUIRED.get(module, {}), concurrency=concurrency)
        assert "concurrency" in result["msg"]

    @pytest.mark.parametrize("module", ALL[:-1])
    @pytest.mark.parametrize(
        ("reply", "code"),
        [
            (error(401, "NOT_AUTHENTICATED"), "NOT_AUTHENTICATED"),
            (error(403, "NOT_AUTHORIZED"), "NOT_AUTHORIZED"),
            (Reply(302, b"", {"Location": "/api/v0/openid/begin"}), "NOT_AUTHENTICATED"),
            (Reply(301, b"", {"Location": "https://elsewhere.example.org/"}), "UNEXPECTED_REDIRECT"),
            (Reply(200, b"<html>"), "UNEXPECTED_ANSWER"),
            (Reply(200), "UNEXPECTED_ANSWER"),
            (Reply(200, b'[{"id"'), "UNEXPECTED_ANSWER"),
            (Reply(500), "HTTP_500"),
            (Reply(502, b"<html>"), "HTTP_502"),
            (Reply(drop=True), "CONNECTION_FAILED"),
        ],
    )
    def test_servers_that_do_not_answer_as_they_should(self, lab: Lab, module: str, reply: Reply, code: str) -> None:
        def fault(request: Request, _act: t.Callable[[], Reply]) -> Reply | None:
            return None if request.path == "/_ping" else reply

        lab.dtr.fault = fault
        result = lab.run(module, retries=1, **REQUIRED.get(module, {}))
        assert result["failed"]
        assert result["failure"]["code"] == code
        assert result["failure"]["message"] in result["msg"]
        assert PASSWORD not in json.dumps(result)
        assert "Traceback" not in json.dumps(result)


class TestRegistryCa:
    AUTHORITY = make_identity("DTR's CA", ca=True)

    @pytest.fixture
    def lab(self, tmp_path: Path) -> t.Iterator[Lab]:
        dtr = Dtr()
        dtr.ca = self.AUTHORITY.pem
        with serve(dtr, make_identity("dtr", self.AUTHORITY).server_context(tmp_path)) as site:
            yield Lab(dtr, site)
        assert all("Authorization" not in request.headers for request in site.requests)

    def fingerprint(self, identity: Identity) -> str:
        return identity.certificate.fingerprint(hashes.SHA256()).hex(":").upper()

    def test_on_first_use(self, lab: Lab) -> None:
        result = lab.run("registry_ca_info")
        assert result["pem"] == self.AUTHORITY.pem
        assert result["trusted_by"] == "first_use"
        assert "it is trusted as it came" in str(result["warnings"])
        pin = f"pin it with fingerprint: {self.fingerprint(self.AUTHORITY).replace(':', '').lower()}"
        assert pin in str(result["warnings"])

    @pytest.mark.parametrize("half", ["DTR_USERNAME", "DTR_PASSWORD"])
    def test_who_gives_no_credentials_may_have_half_of_them_in_the_environment(
        self, lab: Lab, half: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(half, "of-something-else")
        result = lab.run("registry_ca_info", username=None, password=None)
        assert not result.get("failed"), result

    def test_pinned(self, lab: Lab) -> None:
        result = lab.run("registry_ca_info", fingerprint=self.fingerprint(self.AUTHORITY))
        assert result["trusted_by"] == "fingerprint"
        assert "warnings" not in result

    def test_with_a_known_ca(self, lab: Lab) -> None:
        result = lab.run("registry_ca_info", ca_certificate=self.AUTHORITY.pem)
        assert result["trusted_by"] == "ca"
        assert "warnings" not in result

    def test_with_a_ca_of_the_systems(self, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "system.pem").write_text(self.AUTHORITY.pem)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "system.pem"))
        result = lab.run("registry_ca_info")
        assert result["trusted_by"] == "system"
        assert "warnings" not in result

    def test_another_pin(self, lab: Lab) -> None:
        other = make_identity("Other", ca=True)
        result = lab.run("registry_ca_info", fingerprint=self.fingerprint(other))
        assert result["failure"]["code"] == "FINGERPRINT_MISMATCH"

    def test_the_pinned_one_and_a_stranger(self, lab: Lab) -> None:
        lab.dtr.ca += make_identity("Stranger", ca=True).pem
        result = lab.run("registry_ca_info", fingerprint=self.fingerprint(self.AUTHORITY))
        assert result["failure"]["code"] == "FINGERPRINT_MISMATCH"

    def test_a_ca_that_did_not_sign_the_connection(self, lab: Lab) -> None:
        stranger = make_identity("Stranger", ca=True)
        lab.dtr.ca = stranger.pem
        for options in ({}, {"fingerprint": self.fingerprint(stranger)}):
            assert lab.run("registry_ca_info", **options)["failure"]["code"] == "CA_DOES_NOT_FIT"

    def test_a_ca_that_did_not_sign_the_connection_is_refused_without_verification_as_well(self, lab: Lab) -> None:
        lab.dtr.ca = make_identity("Stranger", ca=True).pem
        assert lab.run("registry_ca_info", validate_certs=False)["failure"]["code"] == "CA_DOES_NOT_FIT"

    @pytest.mark.parametrize("flaw", [{"addresses": ["192.0.2.1"]}, {"days": (-9, -1)}], ids=["name", "date"])
    def test_only_the_chain_counts_without_verification(self, tmp_path: Path, flaw: dict[str, t.Any]) -> None:
        dtr = Dtr()
        dtr.ca = self.AUTHORITY.pem
        with serve(dtr, make_identity("dtr", self.AUTHORITY, **flaw).server_context(tmp_path)) as site:
            lab = Lab(dtr, site)
            strict = lab.run("registry_ca_info")
            result = lab.run("registry_ca_info", validate_certs=False)
        assert strict["failure"]["code"] in ("TLS_HOST_MISMATCH", "TLS_EXPIRED")
        assert result["pem"] == self.AUTHORITY.pem
        assert result["trusted_by"] == "first_use"

    def test_another_known_ca(self, lab: Lab) -> None:
        result = lab.run("registry_ca_info", ca_certificate=make_identity("Other", ca=True).pem)
        assert result["failure"]["code"] == "TLS_UNKNOWN_AUTHORITY"

    @pytest.mark.parametrize(
        ("ca", "code"),
        [
            ("", "INVALID_CERTIFICATE"),
            ("<html>", "INVALID_CERTIFICATE"),
            ("-----BEGIN CERTIFICATE-----", "INVALID_CERTIFICATE"),
            (make_identity("leaf").pem, "NOT_A_CA"),
            (make_identity("old", ca=True, days=(-9, -1)).pem, "CA_EXPIRED"),
        ],
    )
    def test_what_is_no_ca(self, lab: Lab, ca: str, code: str) -> None:
        lab.dtr.ca = ca
        assert lab.run("registry_ca_info")["failure"]["code"] == code

    def test_a_pin_that_is_none(self, lab: Lab) -> None:
        assert lab.run("registry_ca_info", fingerprint="ab:cd")["failure"]["code"] == "INVALID_FINGERPRINT"
        assert lab.site.requests == []


class TestTextThatIsNone:
    """NUL and halves of surrogate pairs end no module in an internal error, wherever they come from."""

    @pytest.mark.parametrize(
        ("module", "options"),
        [
            ("content_caches", {"caches": [{"name": "TEXT", "host": "https://asia.example.org"}]}),
            ("content_caches", {"caches": [{"name": "asia", "host": "https://TEXT.example.org"}]}),
            ("cache_assignments", {"assignments": [{"cache": "TEXT", "accounts": ["TEXT"], "orgs": ["TEXT"]}]}),
            ("cache_assignments", {"assignments": [{"cache": "local", "teams": ["TEXT/TEXT"]}]}),
            ("cache_assignments_info", {"accounts": ["TEXT"]}),
            ("cache_pull", {"cache": "TEXT", "images": ["engineering/app"]}),
            ("cache_pull", {"cache": "https://TEXT", "images": ["TEXT"]}),
            ("registry_ca_info", {"fingerprint": "TEXT"}),
            ("registry_info", {"url": "https://TEXT"}),
            ("registry_info", {"username": "TEXT"}),
            ("registry_info", {"password": "TEXT"}),
            ("registry_info", {"ca_path": "/TEXT"}),
            ("registry_info", {"ca_certificate": "TEXT"}),
        ],
    )
    def test_in_an_option(self, lab: Lab, module: str, options: dict[str, t.Any]) -> None:
        # ansible-core takes no halves of pairs: it logs the options before a module's work begins.
        filled = json.loads(json.dumps(options).replace("TEXT", "a\\u0000b"))
        result = lab.run(module, **{"retries": 0, **filled})
        assert result.get("failure", {}).get("code") != "INTERNAL", result["msg"]
        json.dumps(result).encode()

    @pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
    def test_in_what_dtr_says(self, lab: Lab, text: str) -> None:
        lab.dtr.add_cache(text, f"https://{text}.example.org", "alice")
        lab.dtr.add_user(text)
        caches = lab.run("content_caches_info")["content_caches"]
        assert [each["host"] for each in caches] == [f"https://{caches[0]['name']}.example.org"]
        for module, options in (
            ("cache_assignments_info", {}),
            ("cache_assignments", {"assignments": [{"cache": "local", "everyone": True}]}),
            ("content_caches", {"caches": [{"name": "asia", "host": "https://asia.example.org"}], "purge": True}),
        ):
            result = lab.run(module, **{"retries": 0, **options})
            assert result.get("failure", {}).get("code") != "INTERNAL", (module, result["msg"])
