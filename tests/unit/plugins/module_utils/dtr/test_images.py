# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Image names, manifests and platforms."""

from __future__ import annotations

import hashlib
import json
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.dtr import images
from ansible_collections.dtr.cache.tests.unit.support.pulling import (
    MANIFEST_LIST,
    OCI_MANIFEST,
    descriptor,
    index,
    manifest,
    sha256,
)

DIGEST = "sha256:" + "0a" * 32
NAME = "engineering/app:1.0"


class TestNames:
    @pytest.mark.parametrize(
        ("text", "repository", "reference"),
        [
            ("engineering/app:1.0", "engineering/app", "1.0"),
            ("engineering/app", "engineering/app", "latest"),
            (f"engineering/app@{DIGEST}", "engineering/app", DIGEST),
            (f"engineering/app:1.0@{DIGEST}", "engineering/app", DIGEST),
            (" qa-team/a__b.c-d:V1_x-2 ", "qa-team/a__b.c-d", "V1_x-2"),
        ],
    )
    def test_parts(self, text: str, repository: str, reference: str) -> None:
        assert images.parse_name(text) == images.ImageName(repository, reference)

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("", "does not name an image"),
            ("app:1.0", "does not name an image"),
            ("dtr.example.com/engineering/app:1.0", "without the host name"),
            ("dtr.example.com:4443/engineering/app", "without the host name"),
            ("localhost:5000/app:1", "without the host name"),
            ("Engineering/app:1.0", "does not name an image"),
            ("engineering/app:", "no valid tag"),
            ("engineering/app:bad tag", "no valid tag"),
            ("engineering/app:" + "x" * 129, "no valid tag"),
            ("engineering/app@sha256:12", "no valid digest"),
            ("engineering/app@" + DIGEST.upper(), "no valid digest"),
            ("engineering/app/../../enzi:1", "does not name an image"),
        ],
    )
    def test_refused(self, text: str, told: str) -> None:
        with pytest.raises(Failure) as caught:
            images.parse_name(text)
        assert caught.value.code == "INVALID_INPUT"
        assert told in caught.value.as_result()["msg"]

    def test_only_a_digest_is_one(self) -> None:
        assert images.parse_name(f"a/b@{DIGEST}").digest == DIGEST
        assert images.parse_name("a/b:1").digest is None


class TestPlatforms:
    def test_each_once(self) -> None:
        assert images.parse_platforms(["linux/amd64", "Linux/ARM64 ", "linux/amd64"]) == ("linux/amd64", "linux/arm64")

    def test_all_covers_the_others(self) -> None:
        assert images.parse_platforms(["linux/amd64", "all"]) == ("all",)

    @pytest.mark.parametrize("texts", [[], ["amd64"], ["linux/amd64", "linux/"], ["a/b/c/d"]])
    def test_refused(self, texts: list[str]) -> None:
        with pytest.raises(Failure, match="platforms: "):
            images.parse_platforms(texts)


class TestDigests:
    @pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
    def test_of_the_same_algorithm(self, algorithm: str) -> None:
        digest = f"{algorithm}:{hashlib.new(algorithm, b'content').hexdigest()}"
        assert images.is_digest(digest)
        assert images.digest_of(b"content", digest) == digest

    @pytest.mark.parametrize("text", ["md5:" + "0" * 32, "sha256:", "0" * 64, "sha256:" + "g" * 64])
    def test_nothing_else(self, text: str) -> None:
        assert not images.is_digest(text)


class TestManifests:
    @pytest.mark.parametrize("media_type", ["application/vnd.docker.distribution.manifest.v2+json", OCI_MANIFEST])
    def test_image(self, media_type: str) -> None:
        parsed = images.parse_manifest(manifest(b"{}", b"one", b"two", media_type=media_type), NAME)
        blobs = (
            images.Blob(sha256(b"{}"), 2, is_config=True),
            images.Blob(sha256(b"one"), 3),
            images.Blob(sha256(b"two"), 3),
        )
        assert parsed == images.Manifest(blobs, 0)

    def test_a_layer_that_is_there_twice_counts_once(self) -> None:
        parsed = images.parse_manifest(manifest(b"{}", b"one", b"one"), NAME)
        assert isinstance(parsed, images.Manifest)
        assert len(parsed.blobs) == 2

    def test_foreign_layers_are_left_out(self) -> None:
        layers = [
            descriptor(b"base", urls=["https://elsewhere.example.com"]),
            descriptor(b"own"),
            descriptor(b"n", urls=[]),
        ]
        parsed = images.parse_manifest(manifest(b"{}", layers=layers), NAME)
        assert isinstance(parsed, images.Manifest)
        assert [blob.digest for blob in parsed.blobs[1:]] == [sha256(b"own"), sha256(b"n")]
        assert parsed.foreign == 1

    @pytest.mark.parametrize("media_type", [MANIFEST_LIST, "application/vnd.oci.image.index.v1+json"])
    def test_index(self, media_type: str) -> None:
        parsed = images.parse_manifest(index({"linux/amd64": b"a", "linux/arm/v7": b"b"}, media_type), NAME)
        assert parsed == images.Index(
            (images.Entry(sha256(b"a"), "linux/amd64"), images.Entry(sha256(b"b"), "linux/arm/v7"))
        )

    @pytest.mark.parametrize(
        "document",
        [
            {"schemaVersion": 1, "fsLayers": [], "history": []},
            {"fsLayers": [{"blobSum": DIGEST}]},
        ],
    )
    def test_schema_1_is_refused_with_a_way_out(self, document: dict[str, t.Any]) -> None:
        with pytest.raises(Failure, match="schema 1") as caught:
            images.parse_manifest(json.dumps(document).encode(), NAME)
        assert "Push the image again" in (caught.value.hint or "")

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            (b"<html>", "is not JSON"),
            (b"[]", "is not a JSON object"),
            (b"{}", "neither an image nor an index"),
            (manifest(b"{}", manifests=[]), "both an image and an index"),
            (manifest(b"{}", layers=[{"digest": DIGEST}]), "without a size, or a digest to compare with"),
            (manifest(b"{}", layers=[{"digest": "../x", "size": 1}]), "without a size, or a digest to compare with"),
            (manifest(b"{}", layers=[{"digest": DIGEST, "size": -1}]), "without a size, or a digest to compare with"),
            (manifest(b"{}", layers=[{"digest": "blake3:" + 64 * "0", "size": 1}]), "a digest to compare with"),
            (manifest(b"{}", layers=None), "without a size, or a digest to compare with"),
            (b'{"manifests": ["x"]}', "without a size, or a digest to compare with"),
        ],
    )
    def test_unusable(self, content: bytes, told: str) -> None:
        with pytest.raises(Failure, match=told) as caught:
            images.parse_manifest(content, NAME)
        assert caught.value.code == "UNSUPPORTED_MANIFEST"


class TestChoice:
    INDEX = images.Index(
        (
            images.Entry("a", "linux/amd64"),
            images.Entry("b", "linux/arm/v6"),
            images.Entry("c", "linux/arm/v7"),
            images.Entry("d", "windows/amd64"),
            images.Entry("e", "windows/amd64"),
            images.Entry("f", "unknown/unknown"),
        )
    )

    @pytest.mark.parametrize(
        ("platforms", "chosen"),
        [
            (["linux/amd64"], "a"),
            (["linux/arm"], "b"),
            (["linux/arm/v7"], "c"),
            (["linux/arm", "linux/arm/v6"], "b"),
            (["windows/amd64"], "d"),
            (["linux/arm/v7", "linux/amd64"], "ca"),
            (["all"], "abcde"),
        ],
    )
    def test_first_that_fits(self, platforms: list[str], chosen: str) -> None:
        assert "".join(entry.digest for entry in images.choose(self.INDEX, platforms, NAME)) == chosen

    @pytest.mark.parametrize("platform", ["linux/s390x", "linux/amd64/v3", "unknown/unknown", "linux/ar"])
    def test_missing_names_what_there_is(self, platform: str) -> None:
        with pytest.raises(Failure) as caught:
            images.choose(self.INDEX, ["linux/amd64", platform], NAME)
        assert caught.value.code == "PLATFORM_MISSING"
        assert "linux/amd64, linux/arm/v6, linux/arm/v7, windows/amd64." in caught.value.message

    @pytest.mark.parametrize("platform", ["all", "linux/amd64"])
    @pytest.mark.parametrize("entries", [(), (images.Entry("f", "unknown/unknown"),)])
    def test_an_index_without_an_image(self, platform: str, entries: tuple[images.Entry, ...]) -> None:
        with pytest.raises(Failure, match="exists for no platform: a pull of it proves nothing"):
            images.choose(images.Index(entries), [platform], NAME)
