# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tiny image that nobody has seen before: pushed to DTR, pulled through a cache cold and warm, and deleted again.

What is random cannot be in the cache, so the first pull shows the way over DTR, and the second one the cache's storage.
Sources: the Docker registry's "HTTP API V2" (uploads, manifests) and "Image Manifest V 2, Schema 2".
"""

from __future__ import annotations

import datetime
import gzip
import io
import json
import re
import tarfile
import typing as t
from urllib.parse import quote, urljoin, urlsplit

from ..common.failure import Failure
from ..common.urls import origin_of
from ..dtr import images
from ..dtr.api import Registry
from ..http.responses import Answer, failure_of
from ..http.retries import Lost
from ..http.transport import Transport
from . import pull
from .distribution import ANSWERED, Distribution

PUSH_ACTIONS = ("push", "delete", "*")
"""What the token of who pushes and deletes is asked for; registries before 2.7 know C(*) instead of C(delete)."""

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip"

_TAG = "dtr-cache-proof-"
_TAG_FORM = re.compile(rf"{_TAG}(\d{{14}})-[0-9a-f]+")
_MOMENT = "%Y%m%d%H%M%S"
# Another region may be at its proof in the same repository.
_LEFT_BEHIND_AFTER = datetime.timedelta(hours=1)
# Replicas that do not share their storage each have to see the image first.
_WARM_PULLS = 5


class TinyImage(t.NamedTuple):
    """An image of one small layer, for one platform."""

    manifest: bytes
    config: bytes
    layer: bytes

    @property
    def size(self) -> int:
        """Bytes of its blobs."""
        return len(self.config) + len(self.layer)


class Pulls(t.NamedTuple):
    """The rows of the first pull and of the last one, and whether the cache served the last one by itself.

    C(warm_hit) is C(None) when the cache does not tell what it has.
    """

    cold: dict[str, t.Any]
    warm: dict[str, t.Any]
    warm_hit: bool | None


def tiny_image(content: bytes) -> TinyImage:
    """An image with one file of this content, valid for every Docker Engine."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as writer:
        entry = tarfile.TarInfo("proof")
        entry.size = len(content)
        writer.addfile(entry, io.BytesIO(content))
    layer = gzip.compress(archive.getvalue(), mtime=0)
    config = _json(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [images.digest_of(archive.getvalue())]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": _descriptor(config, CONFIG_TYPE),
            "layers": [_descriptor(layer, LAYER_TYPE)],
        }
    )
    return TinyImage(manifest, config, layer)


def new_tag(now: datetime.datetime, chance: str) -> str:
    """A tag that tells its age."""
    return f"{_TAG}{now.strftime(_MOMENT)}-{chance}"


def left_behind(tags: t.Iterable[str], now: datetime.datetime) -> list[str]:
    """The tags of proofs whose run was killed."""
    found = []
    for tag in tags:
        form = _TAG_FORM.fullmatch(tag)
        if not form:
            continue
        try:
            made_at = datetime.datetime.strptime(form.group(1), _MOMENT).replace(tzinfo=datetime.timezone.utc)
        except ValueError:
            # Somebody else's tag: no proof is of a day that there is not.
            continue
        if now - made_at > _LEFT_BEHIND_AFTER:
            found.append(tag)
    return found


class Shelf:
    """A repository of DTR where images are put and taken away.

    Args:
        registry: DTR's API.
        transport: The connections to the same DTR.
        distribution: The repositories of this DTR, with C(PUSH_ACTIONS).
        repository: Its name.
    """

    def __init__(self, registry: Registry, transport: Transport, distribution: Distribution, repository: str) -> None:
        self._registry = registry
        self._transport = transport
        self._distribution = distribution
        self._repository = repository

    def tags(self) -> list[str]:
        """The tags in it; none when nothing was pushed to it yet."""
        try:
            return self._distribution.tags(self._repository)
        except Failure as failure:
            if failure.http_status == 404:
                return []
            raise

    def put(self, tag: str, image: TinyImage) -> None:
        """Push an image.

        Raises:
            Failure: C(NOT_AUTHORIZED), C(READ_ONLY), or what DTR said.
        """
        for blob in (image.config, image.layer):
            self._upload(blob)
        path = f"/v2/{self._repository}/manifests/{tag}"
        self._done(self._send("PUT", path, image.manifest, MANIFEST_TYPE), 201)

    def take_away(self, tag: str) -> None:
        """Delete a tag, and see that it is gone.

        Raises:
            Failure: C(NOT_DELETED) when DTR still has it.
        """
        reason = ""
        try:
            self._registry.delete_tag(self._repository, tag)
        except Failure as failure:
            reason = failure.message
        digest = self._digest_of(tag)
        if digest is None:
            return
        # What DTR's API does not do, the registry protocol may.
        self._send("DELETE", f"/v2/{self._repository}/manifests/{digest}")
        if self._digest_of(tag) is not None:
            raise Failure(
                "NOT_DELETED",
                f"DTR still has the image {self._repository}:{tag} of the proof. {reason}".strip(),
                hint="Delete this tag in DTR.",
            )

    def _digest_of(self, tag: str) -> str | None:
        try:
            return self._distribution.manifest(self._repository, tag)[0]
        except Failure as failure:
            if failure.code == "MANIFEST_UNKNOWN":
                return None
            raise

    def _upload(self, blob: bytes) -> None:
        begun = self._done(self._send("POST", f"/v2/{self._repository}/blobs/uploads/"), 202)
        target = urljoin(self._transport.base_url, begun.headers.get("Location") or "")
        if origin_of(target) != origin_of(self._transport.base_url):
            raise Failure(
                "UNEXPECTED_REDIRECT",
                f"DTR wants an upload to {self._repository} to go to {origin_of(target)}.",
                hint="Set the url to the address that DTR itself answers on.",
            )
        parts = urlsplit(target)
        query = f"{parts.query}&" if parts.query else ""
        path = f"{parts.path}?{query}digest={quote(images.digest_of(blob))}"
        self._done(self._send("PUT", path, blob, "application/octet-stream"), 201)

    def _send(self, method: str, path: str, content: bytes | None = None, media_type: str | None = None) -> Answer:
        """Send until there is an answer: each of these requests may be sent again without harm."""
        headers = {"Content-Type": media_type} if media_type else {}

        def send(authorization: dict[str, str]) -> Answer:
            patience = self._transport.patience(method, path.partition("?")[0])
            while True:
                try:
                    return self._transport.attempt(
                        method, path, content=content, headers={**headers, **authorization}, expect=ANSWERED
                    )
                except Lost as lost:
                    patience.wait(lost)

        return self._distribution.authorised(self._repository, send)

    def _done(self, answer: Answer, status: int) -> Answer:
        if answer.status == status:
            return answer
        if answer.status == 405:
            raise Failure(
                "READ_ONLY",
                f"DTR takes no push to {self._repository}: it answered 405. It may be in read-only mode.",
                http_status=405,
                hint="Verify with an image that DTR has already, or wait until DTR is writable again.",
            )
        if answer.status in (401, 403):
            raise self._distribution.refusal(answer, self._repository, "push to")
        if answer.status == 404:
            raise Failure(
                "NAME_UNKNOWN",
                f"DTR has no repository {self._repository}.",
                http_status=404,
                hint="Create it in DTR; the verification pushes a tiny image to it, and deletes it again.",
            )
        raise failure_of(answer)


def pull_twice(puller: pull.Puller, name: str, cache: str) -> Pulls:
    """Pull an image that the cache cannot have, and pull it again until the cache serves it by itself.

    Raises:
        Failure: The image did not come through the cache, or the cache did not keep it (C(NOT_KEPT)).
    """
    cold = _pulled(puller, name, cache)
    # Unsigned answers tell something only if they were refused for what the cache could not have.
    tells = cold["cached_before"] == 0
    warm = cold
    for _each in range(_WARM_PULLS if tells else 1):
        warm = _pulled(puller, name, cache)
        if warm["cached_before"] == warm["blobs"]:
            return Pulls(cold, warm, True if tells else None)
    if not tells:
        return Pulls(cold, warm, None)
    raise Failure(
        "NOT_KEPT",
        f"The cache {cache} does not keep what comes through it: after {_WARM_PULLS} more pulls of the same image it "
        f"has {warm['cached_before']} of {warm['blobs']} blobs.",
        hint="Look at the cache's storage (full, or read-only?), at its blob TTL, and whether its replicas share it.",
    )


def result_of(pulls: Pulls, image: TinyImage, name: str) -> dict[str, t.Any]:
    """What was proved, and by what."""
    return {
        "image": name,
        "bytes": image.size,
        "cold": {
            "seconds": pulls.cold["seconds"],
            "hit": False,
            "evidence": (
                "Random content that only DTR had came through the cache."
                if pulls.warm_hit is None
                else "Random content that only DTR had came through the cache, which had refused it without DTR's "
                "signature."
            ),
        },
        "warm": {
            "seconds": pulls.warm["seconds"],
            "hit": pulls.warm_hit,
            "evidence": (
                "None: this cache does not tell what it has."
                if pulls.warm_hit is None
                else "The cache answered without DTR's signature, which it can do only from its own storage."
            ),
        },
    }


def _pulled(puller: pull.Puller, name: str, cache: str) -> dict[str, t.Any]:
    report = puller.pull([name])
    failure = pull.failure_of_report(report, cache)
    if failure:
        raise failure
    return report.pulls[0]


def _descriptor(content: bytes, media_type: str) -> dict[str, t.Any]:
    return {"mediaType": media_type, "size": len(content), "digest": images.digest_of(content)}


def _json(document: t.Mapping[str, t.Any]) -> bytes:
    return json.dumps(document, indent=2).encode()
