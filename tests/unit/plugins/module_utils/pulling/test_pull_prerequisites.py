# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands against a run at DTR: all of it at once, nothing where DTR cannot be asked, and nothing is written."""

from __future__ import annotations

import contextlib
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.dtr import images
from ansible_collections.dtr.cache.plugins.module_utils.dtr.api import DtrApi
from ansible_collections.dtr.cache.plugins.module_utils.pulling import prerequisites
from ansible_collections.dtr.cache.plugins.module_utils.pulling.prerequisites import Findings, Wanted, registry_findings
from ansible_collections.dtr.cache.tests.unit.support.dtr import Dtr, error, once, reply_json
from ansible_collections.dtr.cache.tests.unit.support.transports import PASSWORD, connect
from ansible_collections.dtr.cache.tests.unit.support.web import Reply, Request, Site, serve

APP = "engineering/app:1.0"
PROOF = "engineering/proof"
CREATE = f"dtr_cache_verify_repository: DTR has no repository {PROOF}, and makes none at a push; create it in DTR"
WAY_OUT = "; leave it out of one of them, members of a team by assignments.except (accounts, teams, orgs)"
FORMS = {"readOnlyRegistry": False, "createRepositoryOnPush": False}


class Registry(Dtr):
    """A DTR that has one image, and serves its manifest to whoever has a token."""

    def __init__(self) -> None:
        super().__init__("alice", "bob", "admin")
        self.add_user("dave", isActive=False)
        self.add_org("engineering", core=["bob"], empty=["dave"])
        self.images = {"/v2/engineering/app/manifests/1.0"}
        self.dtr_settings = dict(FORMS)
        self.site: Site

    def answer(self, request: Request) -> Reply:
        if request.path == "/v2/":
            challenge = f'Bearer realm="{self.site.url}/auth/token",service="dtr"'
            return Reply(401, headers={"Www-Authenticate": challenge})
        if request.path == "/auth/token":
            return reply_json({"token": "t"})
        if request.path.startswith("/v2/"):
            named = {"Docker-Content-Digest": images.digest_of(b"{}")}
            return Reply(200, b"{}", named) if request.path in self.images else error(404, "MANIFEST_UNKNOWN")
        return super().answer(request)

    def __call__(self, request: Request) -> Reply:
        # The contract is about DTR's own API.
        if request.path.startswith(("/v2/", "/auth/")):
            reply = self.fault(request, lambda: self.answer(request)) if self.fault else None
            return reply or self.answer(request)
        return super().__call__(request)


@pytest.fixture
def dtr() -> t.Iterator[Registry]:
    dtr = Registry()
    with serve(dtr) as dtr.site:
        yield dtr
    assert dtr.violations == []
    assert {request.method for request in dtr.site.requests} <= {"GET"}


def found(dtr: Registry, *, connection: t.Mapping[str, t.Any] | None = None, **wanted: t.Any) -> Findings:
    transport = connect(dtr.site.url, validate_certs=False, concurrency=4, **(connection or {}))
    with contextlib.closing(transport):
        return registry_findings(DtrApi(transport), transport, Wanted("admin", **wanted))


def problems(dtr: Registry, **wanted: t.Any) -> list[str]:
    findings = found(dtr, **wanted)
    assert findings.warnings == []
    return findings.problems


DEPLOYMENT: dict[str, t.Any] = {
    "registers": True,
    "cache_url": "https://cache.example.org:443",
    "assignments": {"accounts": ["alice"]},
    "pulls_of": {"accounts": ["alice"]},
    "image": APP,
    "asks_version": True,
    "cache_image": "docker/dtr-content-cache:2.7.4",
}


def test_nothing_stands_against_a_sound_deployment_and_few_requests_say_so(dtr: Registry) -> None:
    assert problems(dtr, **DEPLOYMENT) == []
    assert len(dtr.site.requests) == 9
    first, *_others = dtr.site.requests
    assert first.path == "/api/v0/meta/settings"


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (error(401, "NOT_AUTHENTICATED"), "dtr_cache_registry_password: GET {url}/api/v0/meta/settings answered 401 "),
        (
            Reply(302, headers={"Location": "/login"}),
            "dtr_cache_registry_password: GET {url}/api/v0/meta/settings answ",
        ),
        (Reply(503), "dtr_cache_registry_url: GET {url}/api/v0/meta/settings answered 503 Service Unavailable"),
        (Reply(200, b"<html>"), "dtr_cache_registry_url: GET {url}/api/v0/meta/settings answered 200 OK with an HTML"),
    ],
)
def test_who_is_not_let_in_or_not_answered_gets_one_problem(dtr: Registry, fault: Reply, sentence: str) -> None:
    dtr.fault = lambda _request, _act: fault
    (problem,) = problems(dtr, **DEPLOYMENT, connection={"retries": 0})
    assert problem.startswith(sentence.format(url=dtr.site.url))
    assert PASSWORD not in problem
    assert len(dtr.site.requests) == 1, "a wrong password is not tried again and again"


def test_a_dtr_that_is_lost_in_between_is_one_problem(dtr: Registry) -> None:
    dtr.fault = lambda request, _act: None if request.path.endswith("/settings") else Reply(503)
    (problem,) = problems(dtr, **DEPLOYMENT, repository=PROOF, connection={"retries": 0})
    assert problem.startswith("dtr_cache_registry_url: GET ")


def test_one_that_answers_too_late_is_one_problem(dtr: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prerequisites, "side_by_side", lambda tasks, _seconds: {name: [] for name in list(tasks)[:1]})
    (problem,) = problems(dtr, **DEPLOYMENT)
    assert problem == "dtr_cache_registry_url: DTR did not answer everything within 120 seconds"


NOBODY = "dtr_cache_registry_username: admin is no administrator of the DTR, and "


@pytest.mark.parametrize(
    ("wanted", "purpose"),
    [
        ({"registers": True}, "registering and removing a cache takes one"),
        ({"assignments": {"accounts": ["alice"]}}, "assigning other accounts takes one"),
        ({"image": APP, "pulls_of": {"accounts": ["alice"]}}, "pulling as alice takes one"),
        ({"image": APP, "pulls_of": {"teams": ["engineering/core"]}}, "pulling as a member of a team takes one"),
        ({"image": APP, "pull_account": "alice"}, "pulling as alice takes one"),
        ({"warms": True, "pull_account": "alice"}, "pulling as alice takes one"),
        ({"warms": True}, None),
        ({"image": APP, "pull_account": "admin"}, None),
        ({"image": APP}, None),
        ({}, None),
    ],
)
def test_what_takes_an_administrator(dtr: Registry, wanted: dict[str, t.Any], purpose: str | None) -> None:
    dtr.is_admin = False
    expected = [f"{NOBODY}{purpose} (GET {dtr.site.url}/api/v0/meta/settings answered 403)"] if purpose else []
    assert problems(dtr, **wanted) == expected


def test_everything_that_is_missing_is_listed_at_once(dtr: Registry) -> None:
    claims = {
        "accounts": ["alice", "zoe", "engineering", "yann"],
        "teams": ["engineering/core", "engineering/none", "nowhere/core"],
        "orgs": ["engineering", "sales"],
        "everyone": True,
    }
    assert problems(dtr, assignments=claims, image="engineering/app:9", pull_account="alice") == [
        "dtr_cache_assignments: engineering is an organisation, to be named under orgs; there is no account yann; "
        "there is no account zoe; there is no organisation sales; there is no team engineering/none; there is no team "
        "nowhere/core",
        "dtr_cache_verify_image: DTR has no image engineering/app:9. Check repository and tag; the image may not have "
        "been pushed yet, or have been pruned.",
    ]


def test_everyone_takes_a_dtr_that_lists_its_accounts(dtr: Registry) -> None:
    dtr.fault = lambda request, _act: error(403, "NOT_AUTHORIZED") if request.path == "/enzi/v0/accounts" else None
    (problem,) = problems(dtr, assignments={"everyone": True})
    assert problem.startswith("dtr_cache_assignments: everyone needs the list of all accounts, which DTR does not give")
    assert problem.endswith(" Name accounts, teams or orgs instead")
    assert problems(dtr, assignments={"accounts": ["alice"]}) == []


class TestOthers:
    OWN: t.ClassVar = {"cache": "region-asia", "assignments": {"accounts": ["alice"], "teams": ["engineering/core"]}}

    @pytest.mark.parametrize(
        ("others", "contested"),
        [
            ([{"cache": "region-europe", "accounts": ["bob"]}], "bob"),
            ([{"cache": "region-europe", "orgs": ["engineering"]}], "bob"),
            ([{"cache": "region-europe", "teams": ["no/team", "engineering/empty"], "everyone": True}], None),
            ([{"cache": "region-asia", "orgs": ["engineering"]}], None),
        ],
    )
    def test_whom_another_region_claims_by_a_group(
        self, dtr: Registry, others: list[dict[str, t.Any]], contested: str | None
    ) -> None:
        expected = [f"dtr_cache_assignments: {contested} is claimed by region-asia and region-europe{WAY_OUT}"]
        assert problems(dtr, **self.OWN, others=others) == (expected if contested else [])

    def test_a_large_fleet_is_not_read_for_each_region(self, dtr: Registry) -> None:
        many = [{"cache": f"r{number}", "teams": [f"engineering/t{number}"]} for number in range(17)]
        assert problems(dtr, **self.OWN, others=many) == []
        assert len(dtr.site.requests) == 3
        many.append({"cache": "last", "accounts": ["bob"]})
        assert problems(dtr, **self.OWN, others=many) == [
            f"dtr_cache_assignments: bob is claimed by last and region-asia{WAY_OUT}"
        ]


@pytest.mark.parametrize("path", ["/api/v0/meta/settings", "/api/v0/admin/version", "repositoryAccess", "/tags"])
@pytest.mark.parametrize(
    "reply",
    [Reply(404, b"<html>not found"), error(404, "NOT_FOUND"), Reply(302, headers={"Location": "/else"}), Reply(405)],
    ids=["html", "404", "redirect", "405"],
)
def test_what_a_version_cannot_be_asked_is_no_problem(dtr: Registry, path: str, reply: Reply) -> None:
    dtr.fault = once("GET", path, reply, times=99)
    known = path not in ("/tags", "/api/v0/meta/settings")
    assert problems(dtr, **DEPLOYMENT, repository=PROOF) == [CREATE] * known


def test_credentials_are_tried_where_the_settings_are_not_there(dtr: Registry) -> None:
    def fault(request: Request, _act: t.Callable[[], Reply]) -> Reply | None:
        return error(404, "NOT_FOUND") if request.path.endswith("meta/settings") else error(401, "NOT_AUTHENTICATED")

    dtr.fault = fault
    (problem,) = problems(dtr, **DEPLOYMENT)
    assert problem.startswith(f"dtr_cache_registry_password: GET {dtr.site.url}/api/v0/content_caches answered 401")


class TestReadOnly:
    def test_it_is_worth_knowing(self, dtr: Registry) -> None:
        dtr.dtr_settings["readOnlyRegistry"] = True
        findings = found(dtr, **DEPLOYMENT)
        assert findings.problems == []
        assert findings.warnings == [f"{dtr.site.url} is in its read-only mode: nobody can push to it."]

    def test_a_proof_cannot_be_pushed(self, dtr: Registry) -> None:
        dtr.dtr_settings["readOnlyRegistry"] = True
        (problem,) = found(dtr, repository=PROOF).problems
        assert problem.startswith("dtr_cache_verify_repository: DTR is in its read-only mode and takes no push")

    def test_a_version_that_does_not_say_is_not_read_only(self, dtr: Registry) -> None:
        dtr.dtr_settings = {}
        dtr.repositories.add(PROOF)
        assert problems(dtr, repository=PROOF) == []


@pytest.mark.parametrize(
    ("there", "creates", "expected"),
    [(True, False, []), (False, True, []), (False, False, [CREATE]), (False, None, [])],
)
def test_a_repository_that_a_push_would_not_make(
    dtr: Registry, there: bool, creates: bool | None, expected: list[str]
) -> None:
    dtr.dtr_settings = {} if creates is None else {"createRepositoryOnPush": creates}
    dtr.repositories = {PROOF} if there else set()
    assert problems(dtr, repository=PROOF) == expected


class TestWhoPulls:
    @pytest.mark.parametrize("level", ["", "NO_SUCH_REPOSITORY"])
    @pytest.mark.parametrize(
        ("wanted", "account"),
        [
            ({"pulls_of": {"accounts": ["alice", "bob"]}}, "alice"),
            ({"pulls_of": {"accounts": ["dave", "bob"]}}, "bob"),
            ({"pulls_of": {"accounts": ["dave"], "teams": ["engineering/core"]}}, "bob"),
            ({"pulls_of": {"teams": ["engineering/core"]}}, "bob"),
            ({"pulls_of": {"accounts": ["alice"]}, "pull_account": "bob"}, "bob"),
        ],
    )
    def test_one_who_may_not(self, dtr: Registry, level: str, wanted: dict[str, t.Any], account: str) -> None:
        dtr.access[account, "engineering/app"] = level
        assert problems(dtr, image=APP, **wanted) == [
            f"dtr_cache_verify_image: account {account} may not pull from engineering/app; give it read access in DTR, "
            "or name another account in dtr_cache_verify_account, or another place in dtr_cache_verify_image"
        ]

    def test_one_who_may_not_pull_the_proof(self, dtr: Registry) -> None:
        dtr.repositories.add(PROOF)
        dtr.access["alice", PROOF] = ""
        (problem,) = problems(dtr, repository=PROOF, pull_account="alice")
        assert problem.startswith(f"dtr_cache_verify_repository: account alice may not pull from {PROOF};")

    @pytest.mark.parametrize(
        ("account", "problem"),
        [
            ("zoe", "DTR has no user zoe"),
            ("engineering", "DTR has no user engineering"),
            ("dave", "DTR does not let in the inactive user dave"),
        ],
    )
    def test_one_who_is_not_there(self, dtr: Registry, account: str, problem: str) -> None:
        for pulls in ({"image": APP}, {"warms": True}):
            assert problems(dtr, **pulls, pull_account=account) == [f"dtr_cache_verify_account: {problem}"]

    @pytest.mark.parametrize("declared", [{"teams": ["engineering/empty"]}, {"accounts": ["dave"]}])
    def test_nobody_who_could(self, dtr: Registry, declared: dict[str, t.Any]) -> None:
        (problem,) = problems(dtr, image=APP, pulls_of=declared)
        assert problem.startswith("dtr_cache_verify_account: nobody in dtr_cache_assignments is an active user")

    @pytest.mark.parametrize("wanted", [{}, {"pulls_of": {"everyone": True}}, {"pulls_of": {"accounts": ["admin"]}}])
    def test_who_asks_needs_no_other_right(self, dtr: Registry, wanted: dict[str, t.Any]) -> None:
        dtr.access["admin", "engineering/app"] = ""
        assert problems(dtr, image=APP, **wanted) == []


@pytest.mark.parametrize(
    ("wanted", "host", "told"),
    [
        (
            {},
            "https://ASIA.example.org",
            "DTR has asia (https://asia.example.org:443) under the name old, too. Accounts that were assigned to old "
            "stay there. If that is a former name of this cache, set dtr_cache_former_names: [old], and they follow to "
            "asia and its entry goes.",
        ),
        (
            {"removes": True},
            "https://asia.example.org",
            "DTR has asia (https://asia.example.org:443) under the name old, too. Its entry and its accounts stay. If "
            "that is a former name of this cache, set dtr_cache_former_names: [old], and it is removed as well.",
        ),
        (
            {"former_names": ["old"]},
            "https://u:secret@old.example.org",
            "old, which dtr_cache_former_names names, is registered as https://old.example.org, which is not the "
            "address of asia (https://asia.example.org:443). Its accounts move to asia all the same, and its "
            "entry goes.",
        ),
        ({"former_names": ["old"]}, "https://asia.example.org", None),
        ({}, "https://old.example.org", None),
        ({"registers": False}, "https://asia.example.org", None),
    ],
)
def test_other_names_of_the_cache_are_worth_knowing(
    dtr: Registry, wanted: dict[str, t.Any], host: str, told: str | None
) -> None:
    dtr.add_cache("asia", "https://asia.example.org:443")
    dtr.add_cache("old", host)
    own = {"registers": True, "cache": "asia", "cache_url": "https://asia.example.org:443"}
    findings = found(dtr, **{**own, **wanted})
    assert findings[:2] == ([], [told] if told else [])
    assert {each.name: each.host for each in findings.registered} == {"asia": own["cache_url"], "old": host}


def test_a_removal_under_a_name_that_dtr_does_not_know_is_refused_where_it_knows_another(dtr: Registry) -> None:
    """Whoever has renamed the cache in the variables alone would leave its accounts with a cache that is gone."""
    dtr.add_cache("old", "https://ASIA.example.org")
    own: dict[str, t.Any] = {
        "registers": True,
        "removes": True,
        "cache": "asia",
        "cache_url": "https://asia.example.org:443",
    }
    (problem,) = found(dtr, **own).problems
    assert problem == (
        "dtr_cache_name: DTR has no cache asia, and has its address (https://asia.example.org:443) under the name old, "
        "whose accounts would be sent to a cache that is gone. Set dtr_cache_name to that, or dtr_cache_former_names: "
        "[old]"
    )
    assert found(dtr, **{**own, "former_names": ["old"]}).problems == []
    assert found(dtr, **{**own, "removes": False}).problems == []
    assert found(dtr, **{**own, "cache_url": "https://other.example.org"}).problems == []


@pytest.mark.parametrize(
    ("image", "version", "warned"),
    [
        ("docker/dtr-content-cache:2.7.4", "2.7.4", False),
        ("docker/dtr-content-cache:2.7.4-1", "2.7.4", False),
        ("docker/dtr-content-cache:2.7.6", "2.7.4", True),
        ("registry.example.org:5000/cache:2.7.6@sha256:00", "2.7.4", True),
        ("registry.example.org:5000/cache", "2.7.4", False),
        ("cache:latest", "2.7.4", False),
        ("cache:2.7.6", "newest", False),
    ],
)
def test_another_version_than_dtrs_is_a_warning(dtr: Registry, image: str, version: str, warned: bool) -> None:
    dtr.version = version
    findings = found(dtr, asks_version=True, cache_image=image)
    assert (findings.problems, findings.version) == ([], version)
    assert [warning.partition(".")[0] for warning in findings.warnings] == ["The cache has version 2"] * warned


@pytest.mark.parametrize(
    ("reply", "version"),
    [
        (None, "2.7.4"),
        (error(404, "NOT_FOUND"), ""),
        (error(403, "NOT_AUTHORIZED"), ""),
        (reply_json({}), ""),
        (reply_json({"version": None}), ""),
        (Reply(302, headers={"Location": "/login"}), ""),
        (Reply(200, b"<html>"), ""),
    ],
)
def test_the_version_of_dtr_is_an_answer_or_none(dtr: Registry, reply: Reply | None, version: str) -> None:
    dtr.fault = lambda request, act: reply if reply and request.path == "/api/v0/admin/version" else act()
    findings = found(dtr, asks_version=True)
    assert findings[:3] == ([], [], version)


def test_a_version_that_nobody_wants_is_not_asked(dtr: Registry) -> None:
    assert found(dtr).version is None
    assert "/api/v0/admin/version" not in [request.path for request in dtr.site.requests]
