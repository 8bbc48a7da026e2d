# Copyright: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulls through a cache, against real servers."""

from __future__ import annotations

import tracemalloc
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.common.urls import origin_of
from ansible_collections.dtr.cache.plugins.module_utils.dtr.api import ContentCache
from ansible_collections.dtr.cache.plugins.module_utils.http.retries import Backoff
from ansible_collections.dtr.cache.plugins.module_utils.http.transport import Transport
from ansible_collections.dtr.cache.plugins.module_utils.pulling import pull
from ansible_collections.dtr.cache.plugins.module_utils.pulling.distribution import Distribution
from ansible_collections.dtr.cache.tests.unit.support.pulling import (
    PASSWORD,
    FakeDtr,
    index,
    manifest,
    running,
    sha256,
)
from ansible_collections.dtr.cache.tests.unit.support.web import Reply, Request, serve

FAST = Backoff(base=0.001, cap=0.002, budget=5)
APP = "engineering/app:1.0"
LAYERS = (b"one" * 100_000, b"two" * 50_000, b"three")


@pytest.fixture
def dtr() -> t.Iterator[FakeDtr]:
    with running() as made:
        yield made


def make_puller(dtr: FakeDtr, **options: t.Any) -> pull.Puller:
    to_dtr = Transport(dtr.site.url, username="alice", password=PASSWORD, timeout=5, concurrency=4, backoff=FAST)

    def connect(url: str, _is_cache: bool) -> Transport:
        return Transport(url, system_trust=False, timeout=5, retries=3, concurrency=4, backoff=FAST)

    settings = {"platforms": ("linux/amd64",), "concurrency": 4, "sleep": lambda _seconds: None, **options}
    return pull.Puller(
        Distribution(to_dtr, "alice"), "region-asia", [origin_of(dtr.cache.site.url)], connect, **settings
    )


def row_of(report: pull.Report, name: str = APP) -> dict[str, t.Any]:
    (row,) = [row for row in report.pulls if row["image"] == name]
    return row


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

    def test_skip_cached_transfers_only_what_is_missing(self, dtr: FakeDtr) -> None:
        dtr.add_image(APP, *LAYERS)
        dtr.cache.stored.add(sha256(LAYERS[0]))
        report = make_puller(dtr, skip_cached=True).pull([APP])
        assert row_of(report)["cached_before"] == 1
        assert sha256(LAYERS[0]) not in dtr.cache.served()
        assert report.transferred["blobs"] == 3
        assert report.brought

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
        assert row["failure"]["code"] == pull.NOT_THROUGH_CACHE
        assert "the cache sends back to DTR for them" in row["failure"]["message"]
        assert "downstream" in row["failure"]["hint"]
        assert not any(
            "/blobs/" in each.path for each in dtr.site.requests[asked:] if "Authorization" not in each.headers
        )


class TestReplicas:
    """Pulls by addresses; each is a function of how often an address was pulled by."""

    @staticmethod
    def report(brought: bool, failure: Failure | None = None, cached: int | None = 0) -> pull.Report:
        transferred = {"blobs": int(brought), "bytes": 10 * brought, "seconds": 0.5, "cached_blobs": cached}
        return pull.Report([], transferred, brought, {APP: failure} if failure else {})

    def pull_by(
        self, addresses: t.Sequence[str], replicas: int, *reports: pull.Report, passes: int | None = None
    ) -> tuple[pull.Report, list[str], list[str | None]]:
        left, asked = list(reports), []

        def pull_by(address: str | None) -> pull.Report:
            asked.append(address)
            return left.pop(0)

        report, warnings = pull.by_all_addresses(
            pull_by, "region-asia", addresses, replicas, replicas if passes is None else passes
        )
        assert not left
        return report, warnings, asked

    def test_one_replica_is_pulled_through_by_its_name(self) -> None:
        report, warnings, asked = self.pull_by([], 1, self.report(True))
        assert (report.brought, warnings, asked) == (True, [], [None])

    def test_each_address_gets_everything_once(self) -> None:
        report, warnings, asked = self.pull_by(["a", "b"], 2, self.report(True), self.report(True))
        assert (report.transferred["bytes"], report.transferred["blobs"]) == (20, 2)
        assert (warnings, asked) == ([], ["a", "b"])

    def test_behind_one_address_until_nothing_comes(self) -> None:
        came = [self.report(True), self.report(True), self.report(False)]
        report, warnings, asked = self.pull_by(["a"], 4, *came)
        assert (report.brought, warnings, asked) == (True, [], ["a"] * 3)

    def test_what_remains_unknown_is_a_warning(self) -> None:
        for last in (self.report(True), self.report(False, cached=None)):
            _report, (warning,), asked = self.pull_by([], 2, self.report(True), last)
            assert asked == [None, None]
            assert warning.startswith("region-asia has 2 replicas, and several behind one address. Whether each of")

    def test_a_preview_is_made_once(self) -> None:
        _report, _warnings, asked = self.pull_by(["a"], 3, self.report(True), passes=1)
        assert asked == ["a"]

    def test_an_address_that_is_closed_is_told_and_the_others_are_warmed(self) -> None:
        closed = self.report(False, Failure("CONNECTION_FAILED", "Nobody listens."))
        report, (warning,), asked = self.pull_by(["a", "b"], 2, closed, self.report(True))
        assert (report.failures, asked) == ({}, ["a", "b"])
        assert warning == "region-asia was not reached at a, and what is there got nothing: Nobody listens."
        report, warnings, _asked = self.pull_by(["a", "b"], 2, closed, closed)
        assert report.failures
        assert len(warnings) == 2

    def test_a_failure_ends_it(self) -> None:
        refused = self.report(False, Failure("SIGNATURE_REFUSED", "No."))
        report, _warnings, asked = self.pull_by(["a", "b"], 2, self.report(True), refused)
        assert [failure.code for failure in report.failures.values()] == ["SIGNATURE_REFUSED"]
        assert asked == ["a", "b"]


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
        assert failure.code == pull.NOT_THROUGH_CACHE
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
        assert make_puller(dtr).pull([APP]).failures[APP].code == pull.NOT_THROUGH_CACHE

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
        assert puller.trouble() is None
        dtr.cache.site.behaviour = lambda _request: Reply(503)
        told = puller.trouble()
        assert told and told.startswith(f"Cache region-asia ({dtr.cache.site.url}): ")
        assert "look at its log" in told


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
        told = [each.partition("app: ")[2] for each in puller.warnings if each.startswith(sha256(LAYERS[0]))]
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
        puller = make_puller(dtr)
        dtr.cache.site = gone
        puller._origins = frozenset([origin_of(gone.url)])
        failure = puller.pull([APP]).failures[APP]
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
        failure = pull.failure_of_report(report, "region-asia")
        assert failure is not None
        assert failure.code == "MANIFEST_UNKNOWN"
        result = failure.as_result()
        assert result["msg"].startswith("1 of 2 images failed to come through region-asia. DTR has no image")
        assert [row["via_cache"] for row in result["pulls"]] == [True, False]
        assert result["changed"] is True

    def test_no_failure_for_the_task(self, dtr: FakeDtr) -> None:
        dtr.add_image(APP, *LAYERS)
        assert pull.failure_of_report(make_puller(dtr).pull([APP]), "region-asia") is None


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

    def test_agrees_with_the_pull(self, dtr: FakeDtr) -> None:
        dtr.add_image(APP, *LAYERS)
        foretold, happened = make_puller(dtr).preview([APP]), make_puller(dtr).pull([APP])
        assert foretold.brought == happened.brought
        assert pull.diff_of(foretold) == pull.diff_of(happened)
        assert pull.diff_of(happened) == {
            "before": f"{APP}: 0 of 4 blobs cached\n",
            "after": f"{APP}: 4 of 4 blobs cached\n",
        }

    def test_a_missing_image(self, dtr: FakeDtr) -> None:
        assert make_puller(dtr).preview([APP]).failures[APP].code == "MANIFEST_UNKNOWN"


CACHES = [
    ContentCache("id-1", "region-asia", "https://Asia.example.com:443/"),
    ContentCache("id-2", "region-europe", "https://europe.example.com"),
    ContentCache("id-3", "region-asia", "https://asia-2.example.com"),
]


class TestRegisteredOrigins:
    def test_by_name_every_entry(self) -> None:
        origins = pull.registered_origins("region-asia", CACHES)
        assert list(map(str, origins)) == ["https://asia.example.com", "https://asia-2.example.com"]

    def test_by_url(self) -> None:
        assert pull.registered_origins("https://asia.example.com", CACHES) == [origin_of("https://asia.example.com")]

    @pytest.mark.parametrize("cache", ["region-mars", "https://mars.example.com", "asia.example.com"])
    def test_unknown_names_the_known(self, cache: str) -> None:
        with pytest.raises(Failure, match=r"region-europe \(https://europe\.example\.com\)") as caught:
            pull.registered_origins(cache, CACHES)
        assert caught.value.code == "NO_SUCH_CONTENT_CACHE"


class TestLikelyCause:
    @pytest.mark.parametrize(
        ("setting", "told"),
        [
            (None, "is not assigned to any cache"),
            ("id-9", "no longer exists (id id-9)"),
            ("id-2", "is assigned to the cache region-europe"),
            ("id-1", "which answers from here, and DTR still serves the blobs another way"),
        ],
    )
    def test_by_the_setting(self, setting: str | None, told: str) -> None:
        assert told in pull.likely_cause("alice", setting, CACHES, [origin_of("https://asia.example.com")])

    def test_a_cache_that_is_down_is_looked_at_where_the_setting_is_right(self) -> None:
        asked: list[int] = []

        def trouble() -> str:
            asked.append(1)
            return "It is down."

        told = [
            pull.likely_cause("alice", setting, CACHES, [origin_of("https://asia.example.com")], trouble)
            for setting in ("id-1", "id-2", "id-9", None)
        ]
        step_in = "and DTR may step in for a cache that is down. It is down."
        assert told[0] == f"Account alice is assigned to the cache region-asia, {step_in}"
        assert asked == [1]
