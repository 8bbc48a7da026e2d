# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Transfers that break, and what else may come instead of a blob."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.pulling.report import failure_of_report
from ansible_collections.dtr.cache.tests.unit.support.pulling import (
    APP,
    LAYERS,
    FakeDtr,
    make_puller,
    row_of,
    running,
    sha256,
)
from ansible_collections.dtr.cache.tests.unit.support.web import Reply, Request, serve


@pytest.fixture
def dtr() -> t.Iterator[FakeDtr]:
    with running() as made:
        yield made


class TestBrokenTransfers:
    def cut(self, dtr: FakeDtr, times: int) -> None:
        """Let the first transfers of the first layer break off after 100,000 bytes."""
        left = [times]

        def answer(request: Request, content: bytes) -> Reply | None:
            if content != LAYERS[0] or not left[0]:
                return None
            left[0] -= 1
            offset = int(request.headers.get("Range", "bytes=0-")[6:-1])
            headers = {"Content-Range": f"bytes {offset}-{len(content) - 1}/{len(content)}"} if offset else {}
            return Reply(
                206 if offset else 200, content[offset : offset + 100_000], headers, length=len(content) - offset
            )

        dtr.cache.answer = answer

    def test_taken_up_again_where_it_broke(self, dtr: FakeDtr) -> None:
        dtr.add_image(APP, *LAYERS)
        self.cut(dtr, 2)
        puller = make_puller(dtr)
        report = puller.pull([APP])
        ranges = [each.headers["Range"] for each in dtr.cache.site.requests if "Range" in each.headers]
        assert ranges == ["bytes=100000-", "bytes=200000-"]
        assert report.failures == {}
        assert report.transferred["bytes"] == sum(map(len, LAYERS)) + 2
        told = [each.partition("app: ")[2] for each in puller.cache.warnings if each.startswith(sha256(LAYERS[0]))]
        assert told == [
            "the connection broke after 100000 of 300000 bytes, 3 retries left",
            "the connection broke after 200000 of 300000 bytes, 2 retries left",
        ]

    def test_begun_anew_where_ranges_are_ignored(self, dtr: FakeDtr) -> None:
        dtr.add_image(APP, *LAYERS)
        dtr.cache.ranges = False
        self.cut(dtr, 1)
        report = make_puller(dtr).pull([APP])
        assert report.failures == {}
        assert report.transferred["bytes"] == sum(map(len, LAYERS)) + 2 + 100_000

    @pytest.mark.parametrize("headers", [{}, {"Content-Range": "bytes 5-9/300000"}])
    def test_begun_anew_where_the_range_is_another_one(self, dtr: FakeDtr, headers: dict[str, str]) -> None:
        dtr.add_image(APP, *LAYERS)
        replies = [Reply(200, LAYERS[0][:10], length=300_000), Reply(206, b"wrong", headers), Reply(416)]

        def answer(_request: Request, content: bytes) -> Reply | None:
            return replies.pop(0) if content == LAYERS[0] and replies else None

        dtr.cache.answer = answer
        assert make_puller(dtr).pull([APP]).failures == {}
        assert replies == []

    def test_each_attempt_gets_a_new_signature(self, dtr: FakeDtr) -> None:
        dtr.add_image(APP, *LAYERS)
        self.cut(dtr, 2)
        make_puller(dtr).pull([APP])
        assert dtr.site.count("GET", f"/v2/engineering/app/blobs/{sha256(LAYERS[0])}") == 3

    @pytest.mark.parametrize("place", [None, "https://elsewhere.example.com/x?signature=1"])
    def test_not_taken_up_where_dtr_no_longer_sends_to_the_cache(self, dtr: FakeDtr, place: str | None) -> None:
        dtr.add_image(APP, *LAYERS)
        self.cut(dtr, 1)
        asked: list[str] = []

        def location(digest: str) -> str | None:
            asked.append(digest)
            return place if asked.count(digest) > 1 else dtr.signed(digest)

        dtr.location = location
        failure = make_puller(dtr).pull([APP]).failures[APP]
        assert failure.code == "CONNECTION_FAILED"
        assert failure.message.endswith("after 100000 of 300000 bytes, and DTR no longer sends there for it.")

    def test_bounded_tries(self, dtr: FakeDtr) -> None:
        dtr.add_image(APP, *LAYERS)
        dtr.cache.answer = lambda _request, content: Reply(200, content[:4], length=len(content))
        report = make_puller(dtr, concurrency=1).pull([APP])
        assert report.failures[APP].code == "CONNECTION_FAILED"
        assert "to its end" in report.failures[APP].message

    def test_a_large_layer_comes_over_a_line_that_breaks_often(self, dtr: FakeDtr) -> None:
        large = bytes(range(256)) * 40_000
        dtr.add_image(APP, large)

        def answer(request: Request, content: bytes) -> Reply | None:
            if content != large:
                return None
            offset = int(request.headers.get("Range", "bytes=0-")[6:-1])
            headers = {"Content-Range": f"bytes {offset}-{len(content) - 1}/{len(content)}"} if offset else {}
            return Reply(
                206 if offset else 200, content[offset : offset + 1_500_000], headers, length=len(content) - offset
            )

        dtr.cache.answer = answer
        report = make_puller(dtr).pull([APP])
        assert report.failures == {}
        assert report.transferred["bytes"] == len(large) + 2

    def test_a_body_without_a_length_that_ends_early(self, dtr: FakeDtr) -> None:
        dtr.add_image(APP, b"layer")
        dtr.cache.answer = lambda _request, content: Reply(200, content[:4])
        assert "the answer ended after 4 of 5 bytes" in make_puller(dtr).pull([APP]).failures[APP].message


class TestFailures:
    @pytest.mark.parametrize("wrong", [b"x" * 5, b"layers and more"])
    def test_wrong_content(self, dtr: FakeDtr, wrong: bytes) -> None:
        dtr.add_image(APP, b"layer")
        dtr.cache.answer = lambda _request, content: Reply(200, wrong) if content == b"layer" else None
        report = make_puller(dtr).pull([APP])
        assert report.failures[APP].code == "DIGEST_MISMATCH"
        assert not row_of(report)["via_cache"]

    @pytest.mark.parametrize(
        ("status", "code", "hint"),
        [
            (403, "SIGNATURE_REFUSED", "clocks"),
            (401, "SIGNATURE_REFUSED", "clocks"),
            (404, "BLOB_UNKNOWN", "upstreams"),
            (503, "HTTP_503", "storage is full"),
            (500, "HTTP_500", ""),
        ],
    )
    def test_refused_by_the_cache(self, dtr: FakeDtr, status: int, code: str, hint: str) -> None:
        dtr.add_image(APP, b"layer")
        dtr.cache.answer = lambda _request, _content: Reply(status)
        failure = make_puller(dtr).pull([APP]).failures[APP]
        assert (failure.code, failure.http_status) == (code, status)
        assert hint in (failure.hint or "")
        assert "signature" not in failure.as_result()["msg"] + (failure.url or "")

    def test_no_cache_there(self, dtr: FakeDtr) -> None:
        dtr.add_image(APP, *LAYERS)
        with serve(lambda _request: Reply(200)) as gone:
            pass
        dtr.cache.site = gone
        failure = make_puller(dtr).pull([APP]).failures[APP]
        assert failure.code == "CONNECTION_FAILED"
        assert failure.hint == f"Check that the cache runs, and that this machine reaches {gone.url}."

    def test_the_others_are_pulled_all_the_same(self, dtr: FakeDtr) -> None:
        dtr.add_image(APP, *LAYERS)
        dtr.denied.add("research/secret")
        names = ["engineering/app:9", APP, "research/secret:1"]
        report = make_puller(dtr).pull(names)
        assert {name: failure.code for name, failure in report.failures.items()} == {
            "engineering/app:9": "MANIFEST_UNKNOWN",
            "research/secret:1": "NOT_AUTHORIZED",
        }
        assert [row["image"] for row in report.pulls] == names
        assert row_of(report)["via_cache"]

    def test_one_failure_for_the_task(self, dtr: FakeDtr) -> None:
        dtr.add_image(APP, *LAYERS)
        report = make_puller(dtr).pull([APP, "engineering/app:9"])
        failure = failure_of_report(report, "region-asia")
        assert failure is not None
        assert failure.code == "MANIFEST_UNKNOWN"
        result = failure.as_result()
        assert result["msg"].startswith("1 of 2 images failed to come through region-asia. DTR has no image")
        assert [row["via_cache"] for row in result["pulls"]] == [True, False]
        assert result["changed"] is True

    def test_no_failure_for_the_task(self, dtr: FakeDtr) -> None:
        dtr.add_image(APP, *LAYERS)
        assert failure_of_report(make_puller(dtr).pull([APP]), "region-asia") is None
