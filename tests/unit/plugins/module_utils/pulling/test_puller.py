# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulls through a cache, against real servers."""

from __future__ import annotations

import tracemalloc
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.pulling.puller import NOT_THROUGH_CACHE
from ansible_collections.dtr.cache.plugins.module_utils.pulling.report import diff_of
from ansible_collections.dtr.cache.tests.unit.support.pulling import (
    APP,
    LAYERS,
    FakeDtr,
    index,
    make_puller,
    manifest,
    row_of,
    running,
    sha256,
)
from ansible_collections.dtr.cache.tests.unit.support.web import Reply, Request, serve


@pytest.fixture
def dtr() -> t.Iterator[FakeDtr]:
    with running() as made:
        yield made


class TestPull:
    def test_through_the_cache(self, dtr: FakeDtr) -> None:
        digest = dtr.add_image(APP, *LAYERS)
        report = make_puller(dtr).pull([APP])
        row = row_of(report)
        assert row.pop("seconds") > 0
        size = sum(map(len, LAYERS)) + 2
        assert row == {
            "image": APP,
            "digest": digest,
            "blobs": 4,
            "bytes": size,
            "foreign_layers": 0,
            "via_cache": True,
            "cached_before": 0,
            "elsewhere": [],
            "failure": None,
        }
        assert report.brought
        assert report.failures == {}
        assert {key: report.transferred[key] for key in ("blobs", "bytes")} == {"blobs": 4, "bytes": size}

    def test_second_pull_brings_nothing(self, dtr: FakeDtr) -> None:
        dtr.add_image(APP, *LAYERS)
        make_puller(dtr).pull([APP])
        report = make_puller(dtr).pull([APP])
        assert row_of(report)["cached_before"] == 4
        assert not report.brought
        assert report.transferred["blobs"] == 4

    def test_signature_goes_out_as_it_came_and_credentials_do_not(self, dtr: FakeDtr) -> None:
        dtr.add_image(APP, *LAYERS)
        make_puller(dtr).pull([APP])
        gets = [each for each in dtr.cache.site.requests if each.method == "GET"]
        assert all(each.query == {"account": ["x"], "signature": ["a b/c"]} for each in gets)
        assert not any("Authorization" in each.headers for each in dtr.cache.site.requests)

    def test_shared_blobs_are_read_once_and_counted_for_each_image(self, dtr: FakeDtr) -> None:
        dtr.add_image(APP, *LAYERS)
        dtr.add_image("engineering/other:2", *LAYERS[1:])
        report = make_puller(dtr).pull([APP, "engineering/other:2"])
        served = dtr.cache.served()
        assert len(served) == len(set(served)) == 4
        assert [row["blobs"] for row in report.pulls] == [4, 3]
        assert report.transferred["blobs"] == 4

    def test_what_the_cache_has_is_read_as_well(self, dtr: FakeDtr) -> None:
        """The name and the size of a damaged layer are right."""
        dtr.add_image(APP, *LAYERS)
        make_puller(dtr).pull([APP])
        dtr.blobs[sha256(LAYERS[0])] = b"x" * len(LAYERS[0])
        report = make_puller(dtr).pull([APP])
        assert report.failures[APP].code == "DIGEST_MISMATCH"
        assert report.transferred["cached_blobs"] == 3

    def test_a_cache_that_never_answers_unsigned_requests_tells_nothing(self, dtr: FakeDtr) -> None:
        dtr.add_image(APP, *LAYERS)
        dtr.cache.tells = False
        report = make_puller(dtr).pull([APP])
        assert row_of(report)["cached_before"] is None
        assert row_of(report)["via_cache"]
        assert not report.brought

    def test_bounded_memory(self, dtr: FakeDtr) -> None:
        large = b"\0" * 40_000_000
        dtr.add_image(APP, large)
        puller = make_puller(dtr)
        tracemalloc.start()
        try:
            assert puller.pull([APP]).transferred["bytes"] == len(large) + 2
            # The fake cache serves from memory that was there before; reading in one piece would take all of it again.
            assert tracemalloc.get_traced_memory()[1] < 8_000_000
        finally:
            tracemalloc.stop()

    def test_storage_backend_of_the_cache_counts_as_the_cache(self, dtr: FakeDtr) -> None:
        dtr.add_image(APP, *LAYERS)
        with serve(lambda request: Reply(200, dtr.blobs[request.path[1:]])) as backend:
            dtr.cache.answer = lambda request, _content: Reply(
                307, b"", {"Location": f"{backend.url}/{request.path.rpartition('/')[2]}?X-Amz-Signature=1"}
            )
            report = make_puller(dtr).pull([APP])
            assert backend.count("GET") == 4
        assert row_of(report)["via_cache"]

    @pytest.mark.parametrize("steps", [1, 2])
    def test_a_cache_that_sends_back_to_dtr_is_none(self, dtr: FakeDtr, steps: int) -> None:
        dtr.add_image(APP, *LAYERS)

        def back(request: Request, _content: bytes = b"") -> Reply:
            digest = request.path.rpartition("/")[2]
            return Reply(307, b"", {"Location": f"{dtr.site.url}/v2/engineering/app/blobs/{digest}"})

        with serve(back) as between:
            by_way = Reply(307, b"", {"Location": f"{between.url}/x"})
            dtr.cache.answer = lambda request, _content: back(request) if steps == 1 else by_way
            asked = dtr.site.count("GET")
            report = make_puller(dtr, why_elsewhere=lambda: "Assign it.").pull([APP])
        row = row_of(report)
        assert not row["via_cache"]
        assert row["failure"]["code"] == NOT_THROUGH_CACHE
        assert "the cache sends back to DTR for them" in row["failure"]["message"]
        assert "downstream" in row["failure"]["hint"]
        assert not any(
            "/blobs/" in each.path for each in dtr.site.requests[asked:] if "Authorization" not in each.headers
        )


class TestPlatforms:
    @pytest.fixture(autouse=True)
    def multi(self, dtr: FakeDtr) -> None:
        children = {}
        for platform in ("linux/amd64", "linux/arm64"):
            content = manifest(platform.encode(), b"shared", f"layer of {platform}".encode())
            dtr.add("engineering/multi:x", content, platform.encode(), b"shared", f"layer of {platform}".encode())
            children[platform] = content
        dtr.add("engineering/multi:1.0", index(children))
        dtr.add("engineering/multi:nested", index({"linux/amd64": dtr.manifests["engineering/multi:1.0"]}))

    @pytest.mark.parametrize(
        ("platforms", "blobs"),
        [(("linux/amd64",), 3), (("linux/amd64", "linux/arm64"), 5), (("all",), 5)],
    )
    def test_blobs_of_the_wanted_ones(self, dtr: FakeDtr, platforms: tuple[str, ...], blobs: int) -> None:
        report = make_puller(dtr, platforms=platforms).pull(["engineering/multi:1.0"])
        assert report.pulls[0]["blobs"] == blobs
        assert report.pulls[0]["digest"] == sha256(dtr.manifests["engineering/multi:1.0"])

    def test_index_in_an_index(self, dtr: FakeDtr) -> None:
        assert make_puller(dtr).pull(["engineering/multi:nested"]).pulls[0]["blobs"] == 3

    def test_endless_nesting_ends(self, dtr: FakeDtr) -> None:
        name = "engineering/multi:1.0"
        for number in range(5):
            dtr.add(f"engineering/multi:n{number}", index({"linux/amd64": dtr.manifests[name]}))
            name = f"engineering/multi:n{number}"
        assert make_puller(dtr).pull([name]).failures[name].code == "UNSUPPORTED_MANIFEST"

    def test_a_missing_one_fails_its_image_only(self, dtr: FakeDtr) -> None:
        dtr.add_image(APP, *LAYERS)
        report = make_puller(dtr, platforms=("linux/s390x",)).pull(["engineering/multi:1.0", APP])
        assert report.failures["engineering/multi:1.0"].code == "PLATFORM_MISSING"
        assert row_of(report)["via_cache"]


class TestElsewhere:
    def test_dtr_serves_it_itself(self, dtr: FakeDtr) -> None:
        dtr.add_image(APP, *LAYERS)
        dtr.location = lambda _digest: None
        report = make_puller(dtr, why_elsewhere=lambda: "Because.").pull([APP])
        failure = report.failures[APP]
        assert failure.code == NOT_THROUGH_CACHE
        assert failure.as_result()["msg"].endswith(
            f"4 of 4 blobs of {APP} do not come through the cache region-asia ({dtr.cache.site.url}): DTR serves them "
            "itself. Because."
        )
        assert not row_of(report)["via_cache"]
        assert row_of(report)["cached_before"] is None
        assert {each["source"] for each in row_of(report)["elsewhere"]} == {"DTR itself"}

    def test_another_cache_is_named_and_not_asked(self, dtr: FakeDtr) -> None:
        dtr.add_image(APP, *LAYERS)
        with serve(lambda _request: Reply(200)) as other:
            dtr.location = lambda digest: f"{other.url}/v2/engineering/app/blobs/{digest}?signature=1"
            report = make_puller(dtr).pull([APP])
            assert other.requests == []
        assert report.failures[APP].message.endswith(f": DTR sends to {other.url} for them.")

    def test_one_stray_layer_fails_its_images_only(self, dtr: FakeDtr) -> None:
        dtr.add_image(APP, *LAYERS)
        dtr.add_image("engineering/other:2", *LAYERS[1:])
        dtr.location = lambda digest: None if digest == sha256(LAYERS[0]) else dtr.signed(digest)
        report = make_puller(dtr).pull([APP, "engineering/other:2"])
        assert list(report.failures) == [APP]
        assert [row["via_cache"] for row in report.pulls] == [False, True]

    def test_a_configuration_from_dtr_is_fine_beside_layers_from_the_cache(self, dtr: FakeDtr) -> None:
        dtr.add_image(APP, *LAYERS)
        dtr.location = lambda digest: None if digest == sha256(b"{}") else dtr.signed(digest)
        report = make_puller(dtr).pull([APP])
        assert row_of(report)["via_cache"]
        assert len(row_of(report)["elsewhere"]) == 1

    def test_a_configuration_from_dtr_proves_nothing_without_layers(self, dtr: FakeDtr) -> None:
        dtr.add_image(APP)
        dtr.location = lambda _digest: None
        assert make_puller(dtr).pull([APP]).failures[APP].code == NOT_THROUGH_CACHE

    def test_the_cause_is_looked_up_once(self, dtr: FakeDtr) -> None:
        dtr.add_image(APP, *LAYERS)
        dtr.add_image("engineering/other:2", *LAYERS)
        dtr.location = lambda _digest: None
        asked: list[int] = []

        def why() -> str:
            asked.append(1)
            return "Because."

        report = make_puller(dtr, why_elsewhere=why).pull([APP, "engineering/other:2"])
        assert len(report.failures) == 2
        assert asked == [1]

    @pytest.mark.parametrize(
        ("reply", "code", "told"),
        [
            (Reply(404, b'{"errors": [{"code": "NO_SUCH_CONTENT_CACHE"}]}'), "BLOB_UNKNOWN", "NO_SUCH_CONTENT_CACHE"),
            (Reply(403), "NOT_AUTHORIZED", "403 Forbidden"),
            (Reply(500), "HTTP_500", "500 Internal Server Error"),
        ],
    )
    @pytest.mark.parametrize("lost", ["It is gone.", None])
    def test_a_refused_blob_may_be_about_a_cache_that_is_gone(
        self, dtr: FakeDtr, reply: Reply, code: str, told: str, lost: str | None
    ) -> None:
        dtr.add_image(APP, *LAYERS)
        dtr.refusal = lambda request: reply if "/blobs/" in request.path else None
        asked: list[int] = []

        def ask() -> str | None:
            asked.append(1)
            return lost

        failure = make_puller(dtr, lost_cache=ask).pull([APP]).failures[APP]
        assert (failure.code, told in failure.message) == (code, True)
        assert failure.hint == lost if lost else failure.hint != "It is gone."
        assert asked == [1]

    def test_an_overloaded_dtr_is_not_asked_for_more(self, dtr: FakeDtr) -> None:
        dtr.add_image(APP, *LAYERS)
        dtr.refusal = lambda request: Reply(503) if "/blobs/" in request.path else None
        failure = make_puller(dtr, lost_cache=lambda: "It is gone.").pull([APP]).failures[APP]
        assert failure.http_status == 503
        assert failure.hint != "It is gone."

    def test_whether_the_cache_answers_is_told_with_what_to_do(self, dtr: FakeDtr) -> None:
        puller = make_puller(dtr)
        assert puller.cache.trouble() is None
        dtr.cache.site.behaviour = lambda _request: Reply(503)
        told = puller.cache.trouble()
        assert told and told.startswith(f"Cache region-asia ({dtr.cache.site.url}): ")
        assert "check its log" in told


class TestPreview:
    def test_says_what_would_be_brought_and_brings_nothing(self, dtr: FakeDtr) -> None:
        dtr.add_image(APP, *LAYERS)
        dtr.cache.stored.add(sha256(LAYERS[0]))
        report = make_puller(dtr).preview([APP])
        assert row_of(report)["blobs"] == 4
        assert row_of(report)["cached_before"] == 1
        assert row_of(report)["via_cache"] is None
        assert report.brought
        assert dtr.cache.served() == []
        assert not any("blobs" in each.path for each in dtr.site.requests)

    def test_nothing_to_bring(self, dtr: FakeDtr) -> None:
        dtr.add_image(APP, *LAYERS)
        make_puller(dtr).pull([APP])
        assert not make_puller(dtr).preview([APP]).brought

    def test_a_cache_that_refuses_everything_may_have_it(self, dtr: FakeDtr) -> None:
        dtr.add_image(APP, *LAYERS)
        report = make_puller(dtr).preview([APP])
        assert (row_of(report)["cached_before"], report.transferred["cached_blobs"]) == (None, None)
        dtr.cache.tells = False
        make_puller(dtr).pull([APP])
        assert row_of(make_puller(dtr).preview([APP]))["cached_before"] is None, "as it refuses what it has"

    def test_agrees_with_the_pull(self, dtr: FakeDtr) -> None:
        dtr.add_image(APP, *LAYERS)
        dtr.cache.stored.add(sha256(LAYERS[0]))
        foretold, happened = make_puller(dtr).preview([APP]), make_puller(dtr).pull([APP])
        assert foretold.brought == happened.brought
        assert diff_of(foretold) == diff_of(happened)
        assert diff_of(happened) == {
            "before": f"{APP}: 1 of 4 blobs cached\n",
            "after": f"{APP}: 4 of 4 blobs cached\n",
        }

    def test_a_missing_image(self, dtr: FakeDtr) -> None:
        assert make_puller(dtr).preview([APP]).failures[APP].code == "MANIFEST_UNKNOWN"
