# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository of DTR where images are put and taken away.

Source: the Docker registry's "HTTP API V2" (uploads, manifests).
"""

from __future__ import annotations

from urllib.parse import quote, urljoin, urlsplit

from ..common.failure import Failure
from ..common.urls import origin_of
from ..common.vocabulary import word
from ..dtr import images
from ..dtr.api import DtrApi
from ..http.responses import Answer, failure_of
from ..http.retries import Lost
from ..http.transport import Transport
from .distribution import ANSWERED, Distribution
from .tiny_image import MANIFEST_TYPE, TinyImage

PUSH_ACTIONS = ("push", "delete", "*")
"""What the token of who pushes and deletes is asked for; registries before 2.7 know C(*) instead of C(delete)."""


class Shelf:
    """A repository of DTR where images are put and taken away.

    Args:
        dtr: DTR's API.
        transport: The connections to the same DTR.
        distribution: The repositories of this DTR, with C(PUSH_ACTIONS).
        repository: Its name.
    """

    def __init__(self, dtr: DtrApi, transport: Transport, distribution: Distribution, repository: str) -> None:
        self._dtr = dtr
        self._transport = transport
        self._distribution = distribution
        self.repository = repository

    def tags(self) -> list[str]:
        """The tags in it; none when nothing was pushed to it yet."""
        try:
            return self._distribution.tags(self.repository)
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
        path = f"/v2/{self.repository}/manifests/{tag}"
        self._done(self._send("PUT", path, image.manifest, MANIFEST_TYPE), 201)

    def take_away(self, tag: str) -> None:
        """Delete a tag, and see that it is gone.

        Raises:
            Failure: C(NOT_DELETED) when DTR still has it.
        """
        reason = ""
        try:
            self._dtr.delete_tag(self.repository, tag)
        except Failure as failure:
            reason = failure.message
        digest = self._digest_of(tag)
        if digest is None:
            return
        # What DTR's API does not do, the registry protocol may.
        self._send("DELETE", f"/v2/{self.repository}/manifests/{digest}")
        if self._digest_of(tag) is not None:
            raise Failure(
                "NOT_DELETED",
                f"DTR still has the image {self.repository}:{tag} of the proof. {reason}".strip(),
                hint="Delete this tag in DTR.",
            )

    def _digest_of(self, tag: str) -> str | None:
        try:
            return self._distribution.manifest(self.repository, tag)[0]
        except Failure as failure:
            if failure.code == "MANIFEST_UNKNOWN":
                return None
            raise

    def _upload(self, blob: bytes) -> None:
        begun = self._done(self._send("POST", f"/v2/{self.repository}/blobs/uploads/"), 202)
        target = urljoin(self._transport.base_url, begun.headers.get("Location") or "")
        if origin_of(target) != origin_of(self._transport.base_url):
            raise Failure(
                "UNEXPECTED_REDIRECT",
                f"DTR wants an upload to {self.repository} to go to {origin_of(target)}.",
                hint=f"Set {word('url')} to the address that DTR itself answers on.",
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

        return self._distribution.authorised(self.repository, send)

    def _done(self, answer: Answer, status: int) -> Answer:
        if answer.status == status:
            return answer
        if answer.status == 405:
            raise Failure(
                "READ_ONLY",
                f"DTR takes no push to {self.repository}: it answered 405. It may be in read-only mode.",
                http_status=405,
                hint="Verify with an image that DTR has already, or wait until DTR is writable again.",
            )
        if answer.status in (401, 403):
            raise self._distribution.refusal(answer, self.repository, "push to")
        if answer.status == 404:
            raise Failure(
                "NAME_UNKNOWN",
                f"DTR has no repository {self.repository}.",
                http_status=404,
                hint="Create it in DTR; the verification pushes a tiny image to it, and deletes it again.",
            )
        raise failure_of(answer)
