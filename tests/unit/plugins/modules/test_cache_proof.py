# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module cache_proof as a task runs it, against a DTR and a cache over HTTP."""

from __future__ import annotations

import datetime
import gzip
import io
import json
import tarfile
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.dtr import images
from ansible_collections.dtr.cache.plugins.module_utils.pulling import tiny_image
from ansible_collections.dtr.cache.tests.unit.support.modules import run_module
from ansible_collections.dtr.cache.tests.unit.support.pulling import PASSWORD, FakeDtr, running
from ansible_collections.dtr.cache.tests.unit.support.web import Reply

REPOSITORY = "engineering/proof"
NOW = datetime.datetime(2026, 5, 4, 12, tzinfo=datetime.timezone.utc)


@pytest.fixture
def dtr() -> t.Iterator[FakeDtr]:
    with running() as made:
        yield made


def run(dtr: FakeDtr, **options: t.Any) -> dict[str, t.Any]:
    settings = {
        "url": dtr.site.url,
        "username": "admin",
        "password": PASSWORD,
        "cache": "region-asia",
        "repository": REPOSITORY,
        "account": "alice",
        "retries": 0,
        "timeout": 5,
        **options,
    }
    return run_module("cache_proof", **settings)


def tags(dtr: FakeDtr) -> list[str]:
    return [name for name in dtr.manifests if name.startswith(REPOSITORY) and ":sha256" not in name]


def test_a_miss_then_a_hit_then_nothing_is_left(dtr: FakeDtr) -> None:
    result = run(dtr)
    assert not result["changed"]
    assert (result["proof"]["cold"]["hit"], result["proof"]["warm"]["hit"]) == (False, True)
    assert result["proof"]["image"].startswith(f"{REPOSITORY}:dtr-cache-proof-")
    assert len(dtr.cache.served()) == 4
    assert len(set(dtr.cache.served())) == 2
    assert tags(dtr) == []
    assert dtr.access_tokens == {}
    assert PASSWORD not in json.dumps(result)


def test_each_proof_is_about_an_image_of_its_own(dtr: FakeDtr) -> None:
    assert run(dtr)["proof"]["image"] != run(dtr)["proof"]["image"]
    assert len(set(dtr.cache.served())) == 4


def test_pulled_as_the_assigned_account_and_pushed_as_the_other(dtr: FakeDtr) -> None:
    run(dtr)
    users = {
        (each.method in ("POST", "PUT"), each.headers["Authorization"].removeprefix("Bearer ").partition("-")[0])
        for each in dtr.site.requests
        if each.path.startswith(f"/v2/{REPOSITORY}/blobs")
    }
    assert users == {(True, "admin"), (False, "alice")}


def test_a_cache_that_does_not_tell_proves_the_miss_only(dtr: FakeDtr) -> None:
    dtr.cache.tells = False
    result = run(dtr)
    assert result["proof"]["cold"]["hit"] is False
    assert result["proof"]["warm"]["hit"] is None
    assert result["proof"]["warm"]["evidence"].startswith("None")


def test_answers_of_a_cache_that_needs_no_signature_are_no_evidence(dtr: FakeDtr) -> None:
    honest = dtr.cache.site.behaviour
    dtr.cache.site.behaviour = lambda request: honest(request._replace(query={"signature": ["x"]}))
    assert run(dtr)["proof"]["warm"]["hit"] is None


def test_a_cache_that_keeps_nothing(dtr: FakeDtr) -> None:
    honest, left = dtr.cache.site.behaviour, [0]

    def forgetful(request: t.Any) -> Reply:
        """It has the first blob for a moment, so that its answers count, and then nothing any more."""
        reply = honest(request)
        if request.method == "GET":
            left[0] += 1
        if left[0] > 2:
            dtr.cache.stored.clear()
        return reply

    dtr.cache.site.behaviour = forgetful
    result = run(dtr)
    assert result["failure"]["code"] == "NOT_KEPT"
    assert "does not keep what comes through it" in result["msg"]
    assert tags(dtr) == []


def test_gone_after_a_failure(dtr: FakeDtr) -> None:
    dtr.location = lambda _digest: None
    result = run(dtr)
    assert result["failure"]["code"] == "NOT_THROUGH_CACHE"
    assert dtr.site.count("POST", f"/v2/{REPOSITORY}/blobs/uploads/") == 2
    assert tags(dtr) == []
    assert dtr.access_tokens == {}


def test_where_the_api_deletes_no_tag_the_manifest_goes(dtr: FakeDtr) -> None:
    dtr.deletes_tags = False
    assert run(dtr)["proof"]["warm"]["hit"]
    assert tags(dtr) == []


def test_what_cannot_be_deleted_is_told(dtr: FakeDtr) -> None:
    dtr.deletes_tags = False
    dtr.refusal = lambda request: Reply(405) if request.method == "DELETE" else None
    result = run(dtr)
    (tag,) = tags(dtr)
    assert result["failure"]["code"] == "NOT_DELETED"
    assert tag in result["msg"]
    dtr.location = lambda _digest: None
    again = run(dtr)
    assert again["failure"]["code"] == "NOT_THROUGH_CACHE"
    assert "DTR still has the image" in json.dumps(again["warnings"])


def test_what_a_killed_run_left_goes_and_what_is_under_way_stays(dtr: FakeDtr) -> None:
    old = f"{REPOSITORY}:{tiny_image.new_tag(NOW - datetime.timedelta(days=400), 'ab12')}"
    young = f"{REPOSITORY}:{tiny_image.new_tag(datetime.datetime.now(datetime.timezone.utc), 'ab12')}"
    for name in (old, young, f"{REPOSITORY}:1.0", f"{REPOSITORY}:2.0"):
        dtr.add_image(name, name.encode())
    run(dtr)
    assert tags(dtr) == [young, f"{REPOSITORY}:1.0", f"{REPOSITORY}:2.0"]


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (401, "NOT_AUTHORIZED", "Account admin may not push to engineering/proof"),
        (403, "NOT_AUTHORIZED", "Account admin may not push to engineering/proof"),
        (404, "NAME_UNKNOWN", "DTR has no repository engineering/proof"),
        (405, "READ_ONLY", "DTR takes no push to engineering/proof"),
        (500, "HTTP_500", "answered 500"),
    ],
)
def test_a_push_that_is_refused(dtr: FakeDtr, status: int, code: str, told: str) -> None:
    dtr.refusal = lambda request: Reply(status) if request.method == "POST" else None
    result = run(dtr)
    assert result["failure"]["code"] == code
    assert told in result["msg"]


def test_check_mode_pushes_nothing(dtr: FakeDtr) -> None:
    result = run(dtr, check=True)
    assert not result["changed"]
    assert "failed" not in result
    assert {each.method for each in dtr.site.requests} == {"GET"}
    assert dtr.cache.served() == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"repository": "proof"}, "repository: 'proof' does not name a repository"),
        ({"repository": "engineering/proof:1"}, "repository: 'engineering/proof:1' does not name a repository"),
        ({"cache": "region-mars"}, "DTR knows no content cache region-mars"),
    ],
)
def test_one_clear_sentence(dtr: FakeDtr, options: dict[str, t.Any], told: str) -> None:
    assert run(dtr, **options)["msg"].startswith(told)


def test_the_image_is_one_that_an_engine_takes() -> None:
    image = tiny_image.tiny_image(b"content")
    config, manifest = json.loads(image.config), json.loads(image.manifest)
    archive = gzip.decompress(image.layer)
    assert config["rootfs"]["diff_ids"] == [images.digest_of(archive)]
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        assert files.getnames() == ["proof"]
    assert manifest["layers"][0]["digest"] == images.digest_of(image.layer)
    parsed = images.parse_manifest(image.manifest, "proof")
    assert isinstance(parsed, images.Manifest)
    assert sum(blob.size for blob in parsed.blobs) == image.size


@pytest.mark.parametrize(
    ("tag", "gone"),
    [
        (tiny_image.new_tag(NOW - datetime.timedelta(minutes=61), "ab12"), True),
        (tiny_image.new_tag(NOW - datetime.timedelta(minutes=59), "ab12"), False),
        ("dtr-cache-proof-20260101000000", False),
        ("dtr-cache-proof-of-concept", False),
        ("dtr-cache-proof-20261332250000-ab12", False),
        ("1.0", False),
    ],
)
def test_only_old_proofs_are_left_behind(tag: str, gone: bool) -> None:
    assert tiny_image.left_behind([tag], NOW) == ([tag] if gone else [])
