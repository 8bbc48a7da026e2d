# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One blob, read to its end in small pieces; a transfer that broke is taken up again."""

from __future__ import annotations

import re
import time
import typing as t

from ..common.failure import Failure
from ..common.progress import Transfer
from ..common.urls import origin_of, without_secrets
from ..dtr import images
from ..http.connections import BrokenOff, Stream
from .cache_client import CacheClient
from .report import Wanted

# Large enough that Python's share of the work is small, small enough that no layer's size matters.
_PIECE = 256 * 1024
# So much more before a connection breaks again, and the retries begin anew.
_ENOUGH_TO_GO_ON = 1024 * 1024
_CONTENT_RANGE = re.compile(r"bytes (\d+)-")


class _Broken(Exception):
    """A transfer that ended too early, and that can be taken up again."""


class BlobTransfer:
    """How much of a blob has arrived, over all attempts.

    Args:
        cache: The cache that it comes from.
        wanted: The blob.
        transfer: Counts what arrives.
        locate: The location that DTR signs anew, or C(None) where that is no longer the cache.
        sleep: Waits for a number of seconds.
    """

    def __init__(
        self,
        cache: CacheClient,
        wanted: Wanted,
        transfer: Transfer,
        locate: t.Callable[[], str | None],
        sleep: t.Callable[[float], None] = time.sleep,
    ) -> None:
        self.received = 0
        self._cache = cache
        self._wanted = wanted
        self._transfer = transfer
        self._locate = locate
        self._sleep = sleep
        self._restart()

    def read(self, location: str) -> None:
        """Read a blob to its end, taking up again after a broken connection with a newly signed URL.

        Raises:
            Failure: It did not come, or it is not the blob that was asked for.
            SentBack: The cache sends to DTR.
        """
        blob, repository = self._wanted
        transport = self._cache.transport(origin_of(location))
        used, held = 0, 0
        while (reason := self._interruption(location)) is not None:
            # A line that breaks every few minutes still brings a large layer, bit by bit.
            if self._offset - held >= _ENOUGH_TO_GO_ON:
                used, held = 0, self._offset
            left = transport.retries - used
            if not left:
                raise self._given_up(location, reason)
            used += 1
            transport.note_retry(f"{blob.digest} of {repository}: {reason}, {left} retries left")
            self._sleep(transport.backoff.pause(used))
            again = self._locate()
            if again is None:
                raise self._given_up(location, f"{reason}, and DTR no longer sends there for it")
            location = again
        if self._offset != blob.size or self._digest != blob.digest:
            raise self._damaged()

    def _interruption(self, location: str) -> str | None:
        """How the connection broke while the blob came; None when all of it came."""
        try:
            self._receive(location)
        except _Broken as broken:
            return str(broken)
        return None

    def _receive(self, location: str) -> None:
        size = self._wanted.blob.size
        try:
            with self._opened(location) as stream:
                for piece in stream.pieces(_PIECE):
                    self._feed(piece)
                    if self._offset > size:
                        raise self._damaged()
        except BrokenOff:
            raise _Broken(f"the connection broke after {self._offset} of {size} bytes") from None
        if self._offset < size:
            raise _Broken(f"the answer ended after {self._offset} of {size} bytes")

    def _opened(self, location: str) -> Stream:
        """The answer whose body is the blob from the offset on."""
        stream = self._cache.open(location, self._wanted, self._offset)
        if stream.status == 206 and _begins_at(stream, self._offset):
            return stream
        self._restart()
        if stream.status == 200:
            return stream
        stream.close()
        raise _Broken("the cache does not continue where the connection broke")

    def _restart(self) -> None:
        self._offset = 0
        self._hasher = images.hasher(self._wanted.blob.digest)

    def _feed(self, piece: bytes) -> None:
        self._hasher.update(piece)
        self._offset += len(piece)
        self.received += len(piece)
        self._transfer.received(len(piece))

    @property
    def _digest(self) -> str:
        return f"{self._hasher.name}:{self._hasher.hexdigest()}"

    def _given_up(self, location: str, reason: str) -> Failure:
        return Failure(
            "CONNECTION_FAILED",
            f"{self._cache.named(origin_of(location))} did not send {self._wanted.blob.digest} of "
            f"{self._wanted.repository} to its end: {reason}.",
            url=without_secrets(location),
            hint="Check the cache's log, and proxies or load balancers that end long transfers.",
        )

    def _damaged(self) -> Failure:
        blob, repository = self._wanted
        return Failure(
            "DIGEST_MISMATCH",
            f"Cache {self._cache.name} sent something else than {blob.digest} of {repository}: "
            f"{self._offset} bytes with the digest {self._digest} where {blob.size} bytes were expected.",
            hint="The cache's storage is damaged, or something on the way changes answers.",
        )


def _begins_at(stream: Stream, offset: int) -> bool:
    found = _CONTENT_RANGE.match(stream.headers.get("Content-Range") or "")
    return found is not None and int(found.group(1)) == offset
