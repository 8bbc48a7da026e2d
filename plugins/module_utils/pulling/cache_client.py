# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cache as a client of it: whether it has a blob, its answers, and its failures in words."""

from __future__ import annotations

import threading
import typing as t
from urllib.parse import urljoin, urlsplit, urlunsplit

from ..common.failure import Failure
from ..common.urls import Origin, origin_of, without_secrets
from ..common.vocabulary import word
from ..dtr import images
from ..http.connections import Stream
from ..http.responses import Answer, failure_of, status_text
from ..http.transport import Transport
from .distribution import ANSWERED
from .report import Wanted

# A storage backend of a cache may send on to another one of its addresses.
_MOST_REDIRECTS = 3


class SentBack(Exception):
    """The cache sends on to DTR: whatever comes then does not come through the cache."""


class CacheClient:
    """One cache, safe to share between threads.

    Args:
        cache: Its name for messages.
        origins: The addresses at which it is registered.
        connect: Makes a transport without credentials for an address; the second argument says whether it is the cache
            itself, and not its storage backend.
        dtr: DTR's own address.
    """

    def __init__(
        self, cache: str, origins: t.Collection[Origin], connect: t.Callable[[str, bool], Transport], dtr: Origin
    ) -> None:
        self.name = cache
        self.origins = frozenset(origins)
        self._connect = connect
        self._dtr = dtr
        self._lock = threading.Lock()
        self._transports: dict[Origin, Transport] = {}

    def transport(self, origin: Origin) -> Transport:
        """The connections to one of its addresses, or to its storage backend."""
        with self._lock:
            if origin not in self._transports:
                self._transports[origin] = self._connect(str(origin), origin in self.origins)
            return self._transports[origin]

    @property
    def warnings(self) -> list[str]:
        """One sentence for each retry at the cache."""
        return [warning for transport in self._transports.values() for warning in transport.warnings]

    @property
    def down(self) -> bool:
        """Whether one of its servers does not answer any more."""
        with self._lock:
            return any(transport.down for transport in self._transports.values())

    def trouble(self) -> str | None:
        """Why the cache cannot be used from here, with what to do, or C(None) where it answers."""
        origin = min(self.origins)
        try:
            self.transport(origin).request("GET", "/v2/", expect=ANSWERED)
        except Failure as failure:
            return str(self._explained(failure, origin).as_result()["msg"])
        return None

    def path_of(self, wanted: Wanted) -> str:
        """The unsigned address of a blob in the cache."""
        return f"{min(self.origins)}/v2/{wanted.repository}/blobs/{wanted.blob.digest}"

    def has(self, location: str, blob: images.Blob) -> bool | None:
        """Whether the cache answers a request for the blob without the signature.

        It can do that only from its own storage, since DTR refuses what is not signed. A refusal may mean something
        else; C(None) is an answer that says neither.
        """
        origin = origin_of(location)
        path = _target(without_secrets(location))
        try:
            answer = self.transport(origin).request(
                "HEAD", path, headers={"Accept": "*/*"}, expect=frozenset(range(200, 600))
            )
        except Failure as failure:
            raise self._explained(failure, origin) from None
        if answer.status in (401, 403, 404):
            return False
        length = answer.headers.get("Content-Length")
        to_backend = answer.status in (302, 307)
        return True if to_backend or (answer.status == 200 and length == str(blob.size)) else None

    def keeps(self, wanted: Wanted, location: str) -> bool:
        """Whether it says that it has the blob."""
        try:
            return self.has(location, wanted.blob) is True
        except Failure:
            return False

    def open(self, location: str, wanted: Wanted, offset: int) -> Stream:
        """The answer to a signed request for a blob, from an offset on: with status 200, 206 or 416.

        Raises:
            Failure: It is any other answer, or none.
            SentBack: The cache sends to DTR.
        """
        headers = {"Accept": "*/*"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        stream = self._stream(location, headers)
        for _each in range(_MOST_REDIRECTS):
            target = stream.headers.get("Location")
            if not (300 <= stream.status < 400 and target):
                break
            # The cache's own storage backend (S3, Azure, ...) may serve its blobs; that is still the cache.
            stream.close()
            location = urljoin(location, target)
            if origin_of(location) == self._dtr:
                raise SentBack()
            stream = self._stream(location, headers)
        if stream.status in (200, 206, 416):
            return stream
        with stream:
            answer = Answer("GET", without_secrets(location), stream.status, stream.headers, *stream.beginning())
        raise self._refused(answer, wanted)

    def named(self, origin: Origin) -> str:
        """One of its servers for messages."""
        kind = "Cache" if origin in self.origins else "The storage backend of cache"
        return f"{kind} {self.name} ({origin})"

    def _stream(self, location: str, headers: dict[str, str]) -> Stream:
        origin = origin_of(location)
        try:
            return self.transport(origin).stream("GET", _target(location), headers=headers, expect=ANSWERED)
        except Failure as failure:
            raise self._explained(failure, origin) from None

    def _refused(self, answer: Answer, wanted: Wanted) -> Failure:
        """What it means when the cache answers a signed request with something else than the blob."""
        if answer.status in (401, 403):
            code = "SIGNATURE_REFUSED"
            hint = (
                "Compare the clocks of DTR and the cache's node, and check that the cache's upstreams lead to this DTR."
            )
        elif answer.status == 404:
            code = "BLOB_UNKNOWN"
            hint = "Check that the cache's upstreams lead to this DTR, and that the registered host is a content cache."
        else:
            return failure_of(answer)
        return Failure(
            code,
            f"Cache {self.name} answered {status_text(answer.status)} for {wanted.blob.digest} of "
            f"{wanted.repository}, for which DTR sent there.",
            http_status=answer.status,
            url=answer.url,
            hint=hint,
        )

    def _explained(self, failure: Failure, origin: Origin) -> Failure:
        """A failure of the connection to the cache with a hint that fits this edge, and not the one to DTR."""
        if failure.code == "TLS_UNKNOWN_AUTHORITY":
            failure.hint = (
                f"Give the CA that signed the cache's certificate as {word('CA of the cache')}. Docker Engines need "
                "it in the folder of DTR's host name below /etc/docker/certs.d (role dtr.cache.client_trust)."
            )
        elif failure.code in ("CONNECTION_FAILED", "TIMEOUT"):
            failure.hint = f"Check that the cache runs, and that this machine reaches {origin}."
        elif failure.http_status in (502, 503, 504):
            failure.hint = (
                "The cache could not get the blob: check its log, whether it reaches and trusts its upstream, and "
                "whether its storage is full."
            )
        failure.message = f"{self.named(origin)}: {failure.message}"
        return failure


def _target(location: str) -> str:
    """Path and query of a URL, as they came: the query holds the signature."""
    parts = urlsplit(location)
    return urlunsplit(("", "", parts.path or "/", parts.query, ""))
