# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module cache_pull as a task runs it, against a DTR and a cache over HTTP."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.progress import sentence
from ansible_collections.dtr.cache.tests.unit.support.modules import run_module
from ansible_collections.dtr.cache.tests.unit.support.pulling import PASSWORD, FakeDtr, running, sha256
from ansible_collections.dtr.cache.tests.unit.support.web import Reply

APP = "engineering/app:1.0"


@pytest.fixture
def dtr() -> t.Iterator[FakeDtr]:
    with running() as made:
        made.add_image(APP, b"one" * 1000, b"two")
        yield made


def run(dtr: FakeDtr, **options: t.Any) -> dict[str, t.Any]:
    settings = {
        "url": dtr.site.url,
        "username": "admin",
        "password": PASSWORD,
        "cache": "region-asia",
        "images": [APP],
        "retries": 0,
        "timeout": 5,
        **options,
    }
    return run_module("cache_pull", **settings)


def who_pulled(dtr: FakeDtr) -> set[str]:
    """The accounts whose tokens were used for manifests and blobs."""
    used = [each.headers["Authorization"] for each in dtr.site.requests if each.path.startswith("/v2/engineering")]
    return {header.removeprefix("Bearer ").partition("-")[0] for header in used}


def test_pull_and_pull_again(dtr: FakeDtr) -> None:
    first, second = run(dtr), run(dtr)
    assert (first["changed"], second["changed"]) == (True, False)
    assert [row["cached_before"] for result in (first, second) for row in result["pulls"]] == [0, 3]
    assert all(row["via_cache"] for result in (first, second) for row in result["pulls"])
    assert first["transferred"]["blobs"] == 3
    assert who_pulled(dtr) == {"admin"}


def test_cache_by_url(dtr: FakeDtr) -> None:
    assert run(dtr, cache=dtr.cache.site.url)["pulls"][0]["via_cache"]


def test_check_mode(dtr: FakeDtr) -> None:
    result = run(dtr, check=True, account="alice")
    assert result["changed"]
    assert result["pulls"][0]["blobs"] == 3
    assert dtr.cache.served() == []
    assert {each.method for each in dtr.site.requests} == {"GET"}
    run(dtr)
    assert not run(dtr, check=True)["changed"]


def test_diff(dtr: FakeDtr) -> None:
    result = run(dtr, _ansible_diff=True)
    assert result["diff"] == {"before": f"{APP}: 0 of 3 blobs cached\n", "after": f"{APP}: 3 of 3 blobs cached\n"}
    assert "diff" not in run(dtr)


def test_as_another_account_by_a_token_that_is_gone_afterwards(dtr: FakeDtr) -> None:
    result = run(dtr, account="alice")
    assert result["pulls"][0]["via_cache"]
    assert who_pulled(dtr) == {"alice"}
    assert dtr.site.count("POST", "/api/v0/api_tokens") == 1
    assert dtr.access_tokens == {}
    assert "token-alice" not in json.dumps(result)


def test_token_is_gone_after_a_failure(dtr: FakeDtr) -> None:
    assert run(dtr, account="alice", images=["engineering/app:9"])["failed"]
    assert dtr.site.count("POST", "/api/v0/api_tokens") == 1
    assert dtr.access_tokens == {}


def test_no_token_for_oneself(dtr: FakeDtr) -> None:
    run(dtr, account="admin")
    assert dtr.site.count("POST") == 0


def test_unknown_account(dtr: FakeDtr) -> None:
    assert run(dtr, account="nobody")["msg"] == "account: DTR has no user nobody."


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("", "Account alice is not assigned to any cache"),
        ("id-2", "Account alice is assigned to the cache region-europe (https://europe.example.com): assign it"),
        ("id-1", "is assigned to the cache region-asia, which answers from here"),
        ("id-9", "no longer exists (id id-9)"),
    ],
)
def test_not_through_the_cache_with_its_cause(dtr: FakeDtr, setting: str, told: str) -> None:
    dtr.settings["alice"] = setting
    dtr.location = lambda _digest: None
    result = run(dtr, account="alice")
    assert result["failed"]
    assert result["failure"]["code"] == "NOT_THROUGH_CACHE"
    assert told in result["failure"]["hint"]
    assert told in result["pulls"][0]["failure"]["hint"]
    assert not result["changed"]
    assert dtr.access_tokens == {}


def test_where_dtr_steps_in_for_a_cache_that_is_down(dtr: FakeDtr) -> None:
    dtr.location = lambda _digest: None
    dtr.cache.site.behaviour = lambda _request: Reply(503)
    failure = run(dtr, account="alice")["failure"]
    assert failure["code"] == "NOT_THROUGH_CACHE"
    assert failure["message"].endswith(": DTR serves them itself.")
    assert failure["hint"].startswith(
        "Account alice is assigned to the cache region-asia, and DTR may step in for a cache that is down. Cache "
    )
    assert "503 Service Unavailable" in failure["hint"]


@pytest.mark.parametrize("setting", ["id-9", "id-1"])
def test_a_refusal_of_dtr_with_its_cause(dtr: FakeDtr, setting: str) -> None:
    dtr.settings["alice"] = setting
    dtr.refusal = lambda request: Reply(404) if "/blobs/" in request.path else None
    failure = run(dtr, account="alice")["failure"]
    assert failure["code"] == "BLOB_UNKNOWN"
    gone = (
        "Account alice is assigned to a cache that no longer exists (id id-9): assign it anew with "
        "dtr.cache.cache_assignments."
    )
    assert failure["hint"] == (gone if setting == "id-9" else "Push the image again.")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"cache": "region-mars"}, "DTR knows no content cache region-mars; it knows: region-asia"),
        ({"images": ["app"]}, "images: 'app' does not name an image"),
        ({"platforms": ["amd64"]}, "platforms: 'amd64' is no platform"),
        ({"cache_ca_certificate": "/nowhere/ca.pem"}, "cache_ca_certificate: /nowhere/ca.pem cannot be used"),
        ({"concurrency": 0}, "concurrency: 0"),
        ({"images": ["engineering/app:9"]}, "DTR has no image engineering/app:9"),
    ],
)
def test_one_clear_sentence(dtr: FakeDtr, options: dict[str, t.Any], told: str) -> None:
    result = run(dtr, **options)
    assert result["failed"]
    assert result["msg"].startswith(told)
    assert result["failure"]["code"]
    assert dtr.cache.served() == []


def test_retries_are_told_without_the_signature(dtr: FakeDtr) -> None:
    honest, left = dtr.cache.site.behaviour, [1]

    def behaviour(request: t.Any) -> t.Any:
        reply = honest(request)
        if request.method == "GET" and left:
            left.pop()
            return reply._replace(body=reply.body[:1], length=len(reply.body))
        return reply

    dtr.cache.site.behaviour = behaviour
    result = run(dtr, retries=2)
    assert result["pulls"][0]["via_cache"]
    assert "of engineering/app: the connection broke after 1 of" in json.dumps(result["warnings"])
    assert "signature" not in json.dumps(result)


def test_every_tag_that_matches(dtr: FakeDtr) -> None:
    for tag in ("1.1", "1.2", "2.0", "latest"):
        dtr.add_image(f"engineering/app:{tag}", tag.encode())
    result = run(dtr, repositories=[{"repository": "engineering/app", "tags": "1.*"}])
    assert [row["image"] for row in result["pulls"]] == [f"engineering/app:1.{minor}" for minor in range(3)]
    everything = run(dtr, images=[], repositories=[{"repository": "engineering/app"}])
    assert len(everything["pulls"]) == 5


def test_a_pattern_that_nothing_matches_fails_beside_the_others(dtr: FakeDtr) -> None:
    result = run(
        dtr,
        repositories=[
            {"repository": "engineering/app", "tags": "9.*"},
            {"repository": "engineering/nothing"},
        ],
    )
    failures = {row["image"]: row["failure"] and row["failure"]["code"] for row in result["pulls"]}
    assert failures == {APP: None, "engineering/app:9.*": "NO_TAG_MATCHES", "engineering/nothing:*": "NAME_UNKNOWN"}
    assert result["transferred"]["blobs"] == 3
    assert result["changed"]


def test_nothing_to_pull(dtr: FakeDtr) -> None:
    assert run(dtr, images=[])["msg"].startswith("images: nothing to pull")


@pytest.mark.parametrize(
    ("declared", "account"),
    [
        ({"accounts": ["alice", "bob"], "teams": ["engineering/backend"]}, "alice"),
        ({"teams": ["engineering/gone", "engineering/backend"]}, "alice"),
        ({"everyone": True}, "admin"),
        ({"accounts": "alice, bob", "teams": "engineering/gone, engineering/backend"}, "alice"),
        ({}, "admin"),
    ],
)
def test_as_one_of_the_assigned_accounts(dtr: FakeDtr, declared: dict[str, t.Any], account: str) -> None:
    assert run(dtr, account_of=declared)["pulls"][0]["via_cache"]
    assert who_pulled(dtr) == {account}


def test_a_declaration_without_an_active_account(dtr: FakeDtr) -> None:
    assert run(dtr, account_of={"teams": ["engineering/gone"]})["failure"]["code"] == "NO_SUCH_USER"
    left_out = {"teams": ["engineering/backend"], "except": {"teams": ["engineering/backend"]}}
    assert run(dtr, account_of=left_out)["failure"]["code"] == "NO_SUCH_USER"


def test_a_number_is_no_account(dtr: FakeDtr) -> None:
    assert run(dtr, account_of={"accounts": [2505]})["msg"].startswith("account_of: accounts: 2505 is a number to YAML")


def test_tokens_of_killed_runs_go_with_the_next_run(dtr: FakeDtr) -> None:
    dtr.listed_tokens = [
        {"hashedToken": "h1", "tokenLabel": "dtr.cache.cache_pull 12ab", "createdAt": "2020-01-02T03:04:05.678901234Z"},
        {"hashedToken": "h2", "tokenLabel": "laptop", "createdAt": "2020-01-02T03:04:05Z"},
    ]
    result = run(dtr, account="alice")
    assert [each["hashedToken"] for each in dtr.listed_tokens] == ["h2"]
    assert "warnings" not in result


def test_what_a_check_says_of_the_transfer_is_what_comes(dtr: FakeDtr) -> None:
    dtr.cache.stored.add(sha256(b"two"))
    said = run(dtr, check=True)["transferred"]
    came = run(dtr)["transferred"]
    assert {**said, "seconds": 0} == {**came, "seconds": 0}
    assert (came["blobs"], came["cached_blobs"], came["cached_bytes"]) == (3, 1, 3)
    assert came["brought_bytes"] == came["wanted_bytes"] - 3
    again = run(dtr)["transferred"]
    assert (again["blobs"], again["brought_bytes"], again["cached_bytes"]) == (3, 0, again["wanted_bytes"])


def test_progress_is_told(dtr: FakeDtr, tmp_path: Path) -> None:
    path = tmp_path / "progress"
    path.touch()
    run(dtr, progress_path=str(path))
    assert sentence(path.read_text()) == "3 of 3 blobs through the cache, 0.0 of 0.0 MB"


PROOF = "engineering/proof"


def test_a_proof_after_the_images(dtr: FakeDtr) -> None:
    result = run(dtr, proof_repository=PROOF, account="alice")
    assert [row["image"] for row in result["pulls"]] == [APP]
    assert (result["proof"]["cold"]["hit"], result["proof"]["warm"]["hit"]) == (False, True)
    assert result["proof"]["image"].startswith(f"{PROOF}:")
    assert result["changed"]
    assert not [name for name in dtr.manifests if name.startswith(PROOF) and ":sha256" not in name]
    assert dtr.access_tokens == {}
    assert sum(each.method == "POST" and each.path == "/api/v0/api_tokens" for each in dtr.site.requests) == 1


def test_a_proof_alone(dtr: FakeDtr) -> None:
    result = run(dtr, images=[], proof_repository=PROOF, replicas=3)
    assert (result["changed"], result["pulls"], result["transferred"]["blobs"]) == (False, [], 0)
    assert result["proof"]["warm"]["hit"]
    (warning,) = result["warnings"]
    assert "6 new connections met 1 that can be told apart" in str(warning)


def test_no_proof_in_check_mode(dtr: FakeDtr) -> None:
    options = {"url": dtr.site.url, "username": "admin", "password": PASSWORD, "cache": "region-asia", "retries": 0}
    result = run_module("cache_pull", check=True, images=[APP], proof_repository=PROOF, **options)
    assert "proof" not in result
    assert [row["image"] for row in result["pulls"]] == [APP]
    assert not any(each.method in ("POST", "PUT", "DELETE") for each in dtr.site.requests)


def test_a_proof_that_fails_leaves_what_was_pulled_in_the_result(dtr: FakeDtr) -> None:
    dtr.refusal = lambda request: Reply(405) if "/uploads/" in request.path else None
    result = run(dtr, proof_repository=PROOF)
    assert result["failure"]["code"] == "READ_ONLY"
    assert [row["image"] for row in result["pulls"]] == [APP]
    assert "proof" not in result


def test_no_proof_after_images_that_failed(dtr: FakeDtr) -> None:
    result = run(dtr, images=["engineering/app:9"], proof_repository=PROOF)
    assert result["failure"]["code"] == "MANIFEST_UNKNOWN"
    assert not any(each.method in ("POST", "PUT") for each in dtr.site.requests)


def test_what_is_no_repository_is_refused_before_anything_is_asked(dtr: FakeDtr) -> None:
    result = run(dtr, proof_repository="engineering/proof:1")
    assert result["msg"].startswith("proof_repository: 'engineering/proof:1' does not name a repository")
    assert dtr.site.requests == []
