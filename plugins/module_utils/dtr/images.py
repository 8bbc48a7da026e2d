# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Image names, manifests and platforms, as pure functions.

Sources: the Docker registry's "Image Manifest V 2, Schema 2" and the OCI image specification 1.1 (manifest, index,
descriptors). The two formats share all fields that matter here.
"""

from __future__ import annotations

import hashlib
import json
import re
import typing as t

from ..common.failure import Failure

MANIFEST_MEDIA_TYPES = (
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
)
ALL_PLATFORMS = "all"

COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{COMPONENT}/{COMPONENT}")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}
_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9_]+(?:/[a-z0-9_.]+)?")
# Attestations and other companions of an image are listed in its index under this operating system.
_NO_SYSTEM = "unknown"

Json = t.Mapping[str, t.Any]


class ImageName(t.NamedTuple):
    """An image on DTR: C(namespace/repository), and a tag or a digest."""

    repository: str
    reference: str

    @property
    def digest(self) -> str | None:
        """The digest, when the image is named by one."""
        return self.reference if ":" in self.reference else None


class Blob(t.NamedTuple):
    """A layer or an image's configuration; the size is in bytes."""

    digest: str
    size: int
    is_config: bool = False


class Entry(t.NamedTuple):
    """A manifest in an index. C(platform) is C(os/architecture[/variant]), or empty where the index names none."""

    digest: str
    platform: str


class Manifest(t.NamedTuple):
    """An image for one platform. C(foreign) counts the layers that live elsewhere than in the registry."""

    blobs: tuple[Blob, ...]
    foreign: int


class Index(t.NamedTuple):
    """Several manifests under one name (a "manifest list" in Docker's words)."""

    entries: tuple[Entry, ...]


def parse_name(text: str) -> ImageName:
    """The parts of C(namespace/repository[:tag][@digest]); a digest wins over a tag, and no tag means C(latest).

    Raises:
        Failure: C(INVALID_INPUT) when it is something else.
    """
    name, at, digest = text.strip().partition("@")
    head, slash, last = name.rpartition("/")
    last, colon, tag = last.partition(":")
    repository = head + slash + last
    if not _REPOSITORY.fullmatch(repository):
        hint = "Write namespace/repository:tag"
        if repository.count("/") > 1 or ":" in head:
            hint += ", without the host name: the images are those of the DTR in url"
        raise Failure("INVALID_INPUT", f"images: '{text}' does not name an image on DTR.", hint=f"{hint}.")
    if colon and not _TAG.fullmatch(tag):
        raise Failure("INVALID_INPUT", f"images: '{text}' has no valid tag after the colon.")
    if at:
        if not is_digest(digest):
            raise Failure(
                "INVALID_INPUT", f"images: '{text}' has no valid digest after the @.", hint="Write @sha256:<64 digits>."
            )
        return ImageName(repository, digest)
    return ImageName(repository, tag or "latest")


def parse_repository(text: str, option: str) -> str:
    """The name of a repository on DTR.

    Raises:
        Failure: C(INVALID_INPUT), with the option's name, when it is something else.
    """
    if not _REPOSITORY.fullmatch(text):
        raise Failure(
            "INVALID_INPUT",
            f"{option}: '{text}' does not name a repository on DTR.",
            hint="Write namespace/repository, without the host name and without a tag.",
        )
    return text


def parse_platforms(texts: t.Sequence[str]) -> tuple[str, ...]:
    """The platforms asked for, each once; C(("all",)) stands for every one.

    Raises:
        Failure: C(INVALID_INPUT) when one has another form than C(os/architecture[/variant]).
    """
    wanted = tuple(dict.fromkeys(text.strip().lower() for text in texts))
    if ALL_PLATFORMS in wanted:
        return (ALL_PLATFORMS,)
    wrong = [text for text in wanted if not _PLATFORM.fullmatch(text)]
    if wrong or not wanted:
        what = f"{', '.join(repr(each) for each in wrong)} is no platform" if wrong else "the list is empty"
        raise Failure("INVALID_INPUT", f"platforms: {what}.", hint="Write for example linux/amd64, or all.")
    return wanted


def is_digest(text: str) -> bool:
    """Whether it is a digest of an algorithm that the OCI specification registers and Python has."""
    algorithm, _colon, digits = text.partition(":")
    return bool(re.fullmatch(r"[0-9a-f]+", digits)) and len(digits) == _DIGEST_LENGTHS.get(algorithm)


def hasher(digest: str) -> hashlib._Hash:
    """A new hash object of a digest's algorithm."""
    return hashlib.new(digest.partition(":")[0])


def digest_of(content: bytes, like: str = "sha256:") -> str:
    """The digest of a content, with the algorithm of another digest."""
    hashed = hasher(like)
    hashed.update(content)
    return f"{hashed.name}:{hashed.hexdigest()}"


def parse_manifest(content: bytes, shown: str) -> Manifest | Index:
    """What a manifest says.

    The form decides and not the media type, which proxies change and OCI makes optional in the document.

    Args:
        content: The document as it came.
        shown: The image's name for messages.

    Raises:
        Failure: C(UNSUPPORTED_MANIFEST) for anything that is neither an image nor an index in a supported format.
    """
    try:
        document = json.loads(content)
    except ValueError:
        raise _unsupported(shown, "is not JSON") from None
    if not isinstance(document, dict):
        raise _unsupported(shown, "is not a JSON object")
    if document.get("schemaVersion") == 1 or "fsLayers" in document:
        raise Failure(
            "UNSUPPORTED_MANIFEST",
            f"{shown} has a manifest of the outdated schema 1, which names no sizes and which Docker Engine no longer "
            "pulls by default.",
            hint="Push the image again with a Docker Engine of version 1.10 or newer.",
        )
    has_image = "layers" in document and "config" in document
    if has_image == ("manifests" in document):
        # Both at once would mean different images to different clients (CVE-2021-41190).
        raise _unsupported(shown, "is both an image and an index" if has_image else "is neither an image nor an index")
    try:
        return _image(document) if has_image else Index(tuple(_entry(each) for each in document["manifests"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        known = ", ".join(_DIGEST_LENGTHS)
        raise _unsupported(shown, f"has a descriptor without a size, or a digest to compare with ({known})") from None


def choose(index: Index, platforms: t.Sequence[str], shown: str) -> list[Entry]:
    """The entries for the wanted platforms, each once, as Docker Engine chooses: the first that fits.

    A platform without a variant fits any variant.

    Raises:
        Failure: C(PLATFORM_MISSING) when the image does not exist for a platform.
    """
    images = [entry for entry in index.entries if entry.platform.partition("/")[0] != _NO_SYSTEM]
    if not images:
        raise Failure(
            "PLATFORM_MISSING",
            f"{shown} exists for no platform: a pull of it proves nothing.",
            hint="Push the image again, or take it off the list.",
        )
    if ALL_PLATFORMS in platforms:
        return list(dict.fromkeys(images))
    chosen: dict[Entry, None] = {}
    for platform in platforms:
        entry = next((each for each in images if _fits(each.platform, platform)), None)
        if entry is None:
            there = ", ".join(sorted({each.platform or "one without a platform" for each in images}))
            raise Failure(
                "PLATFORM_MISSING",
                f"{shown} does not exist for {platform}; its platforms are: {there}.",
                hint="Change platforms, or take the image off the list.",
            )
        chosen[entry] = None
    return list(chosen)


def _image(document: Json) -> Manifest:
    layers = document["layers"]
    # Layers with urls are fetched from there by every client; DTR does not have them (Windows base layers).
    own = [layer for layer in layers if not layer.get("urls")]
    config = Blob(*_descriptor(document["config"]), is_config=True)
    blobs = (config, *(Blob(*_descriptor(layer)) for layer in own))
    return Manifest(tuple(dict.fromkeys(blobs)), len(layers) - len(own))


def _entry(descriptor: Json) -> Entry:
    digest, _size = _descriptor(descriptor)
    platform = descriptor.get("platform") or {}
    names = [str(platform.get(key) or "").lower() for key in ("os", "architecture", "variant")]
    return Entry(digest, "/".join(name for name in names if name))


def _descriptor(descriptor: Json) -> tuple[str, int]:
    digest, size = descriptor["digest"], descriptor["size"]
    if not isinstance(digest, str) or not is_digest(digest) or not isinstance(size, int) or size < 0:
        raise ValueError(digest)
    return digest, size


def _fits(offered: str, wanted: str) -> bool:
    return offered == wanted or (wanted.count("/") == 1 and offered.startswith(f"{wanted}/"))


def _unsupported(shown: str, what: str) -> Failure:
    return Failure("UNSUPPORTED_MANIFEST", f"The manifest of {shown} {what}.")
