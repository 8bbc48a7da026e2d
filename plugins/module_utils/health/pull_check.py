# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pull a layer from a cache as a client does, with DTR's signature. The answers show what no other check can.

The redirect to the cache shows whether DTR and the cache get along. A blob that exists nowhere shows the cache's way to
DTR, since no cache can have it and only DTR can know that it does not exist. A layer shows the rest: a cache that
reaches its upstream and still gives nothing has trouble with its storage; one that is refused what DTR has signed is
not trusted, or asks another server than DTR.
"""

from __future__ import annotations

import secrets
import time
import typing as t
from urllib.parse import urlsplit

from ..common.concurrency import fan_out
from ..common.failure import Failure
from ..common.progress import Transfer
from ..common.urls import Origin, origin_of
from ..common.vocabulary import word
from ..dtr import images
from ..dtr.api import distrust_hint
from ..http.responses import status_text
from ..http.transport import Transport
from ..pulling.blob_transfer import BlobTransfer
from ..pulling.cache_client import CacheClient, SentBack
from ..pulling.distribution import Distribution
from ..pulling.puller import SENT_BACK_HINT
from ..pulling.report import Wanted
from .checks import (
    CACHE_TO_DTR,
    CLIENT_TO_DTR,
    DTR_TO_CACHE,
    Answer,
    Check,
    bad,
    judge_signed_upstream,
    log_hint,
    not_known,
    worst_by_check,
)

_MOST_NESTED = 3
# A larger layer is not read for a check.
_MOST_BYTES = 64 * 1024 * 1024
_SECONDS_TO_KEEP = 1.0
# The judge says what any of them means.
_ANY = range(200, 600)


class PullReport(t.NamedTuple):
    """What a pull showed.

    C(upstream_seconds) is the time of an answer for which the cache had to ask DTR, C(failed) the failures by address.
    """

    checks: t.Sequence[Check]
    upstream_seconds: float | None = None
    failed: t.Mapping[str, str] = {}


class PullCheck:
    """The pull of a layer from a cache as one of its accounts.

    Args:
        image: An image in DTR that the account may pull.
        log_in: Returns the name of the account, where it is known, and DTR's C(/v2) as that account.
        connect: Makes a transport without credentials for a URL of the cache, to the address where one is given.
        misassigned: Returns why DTR should not send the account to the cache, or C(None) where it should.
    """

    def __init__(
        self,
        image: str,
        log_in: t.Callable[[], tuple[str | None, Distribution]],
        connect: t.Callable[[str, str | None], Transport],
        misassigned: t.Callable[[str | None], str | None],
    ) -> None:
        self._image = image
        self._log_in = log_in
        self._connect = connect
        self._misassigned = misassigned

    def log_in(self) -> None:
        """Log in, by requests that each end after a step. Never leave it behind: a token in DTR has to be removed."""
        self._name, self._distribution = self._log_in()
        self._account = self._name or "of the client certificate"

    def run(self, url: str, addresses: t.Sequence[str] = ()) -> PullReport:
        """Ask each address of the cache for a blob that exists nowhere, and for the smallest layer of the image."""
        distribution = self._distribution
        try:
            repository, blob = _smallest_layer(distribution, self._image)
        except Failure as failure:
            return PullReport([bad(CLIENT_TO_DTR, "pull", failure.message, failure.hint)])
        try:
            location = distribution.blob_location(repository, blob.digest)
        except Failure as failure:
            return PullReport([self._not_sent(failure, url)])
        place = None if location is None else origin_of(location)
        if location is None or place is None or place != origin_of(url):
            return PullReport([self._sent_elsewhere(place, url)])
        sent = Check(DTR_TO_CACHE, "redirect", True, f"DTR sends account {self._account} to {place}")
        return self._at_addresses(sent, Wanted(blob, repository), location, addresses)

    def _at_addresses(self, sent: Check, wanted: Wanted, location: str, addresses: t.Sequence[str]) -> PullReport:
        nothing = _location_of_nothing(self._distribution, wanted.repository, origin_of(location))
        caches = {key: self._client_at(origin_of(location), key[1]) for key in enumerate(addresses or [None])}
        found = fan_out(
            lambda key: self._at_address(caches[key], wanted, location, nothing),
            caches,
            len(caches),
            lambda _failure: False,
        ).done
        kept = {key: cache.keeps(wanted, location) for key, cache in caches.items() if found[key][0][-1].ok}
        for key, has in kept.items():
            # A replica that was asked in the moment in which it keeps the layer is asked again.
            if not has and True in kept.values() and not _has_soon(caches[key], wanted, location):
                found[key][0][-1] = bad(
                    CACHE_TO_DTR,
                    "pull",
                    f"it does not keep a layer of {self._image} that it has just served, and another replica does",
                    f"Check its storage (full, or read-only?) and its configuration. {log_hint()}",
                )
        checks = [(str(address), check) for _number, address in caches for check in found[_number, address][0]]
        failed: dict[str, str] = {}
        for address, check in checks if addresses else ():
            if check.failed:
                failed.setdefault(address, check.detail)
        seconds = [seconds for _checks, seconds in found.values() if seconds is not None]
        worst = worst_by_check(checks, named=len(caches) > 1)
        return PullReport([sent, *worst], max(seconds, default=None), failed)

    def _client_at(self, place: Origin, address: str | None) -> CacheClient:
        def connect(url: str, is_cache: bool) -> Transport:
            return self._connect(url, address if is_cache else None)

        return CacheClient(str(place), [place], connect, self._distribution.origin)

    def _at_address(
        self, cache: CacheClient, wanted: Wanted, location: str, nothing: str | None
    ) -> tuple[list[Check], float | None]:
        """Return the checks of one address, and the seconds of an answer for which it had to ask DTR."""
        if nothing is None:
            return [self._layer_check(cache, wanted, location, reached=False)], None
        began = time.monotonic()
        upstream = judge_signed_upstream(_answer(cache.transport(origin_of(location)), nothing))
        seconds = round(time.monotonic() - began, 4) if upstream.ok else None
        if upstream.failed:
            return [upstream], None
        return [upstream, self._layer_check(cache, wanted, location, reached=upstream.ok is True)], seconds

    def _layer_check(self, cache: CacheClient, wanted: Wanted, location: str, *, reached: bool) -> Check:
        """Read a layer to its end: its digest shows that it is the one which was asked for."""
        answer = f"asked for a layer of {self._image} as DTR signed it, the cache answers"
        try:
            if wanted.blob.size > _MOST_BYTES:
                cache.open(location, wanted, 0).close()
                hint = f"Set {word('image')} to one with a small layer, or pull it with {word('proof')}."
                detail = f"{answer}; a layer of {wanted.blob.size} bytes is not read"
                return not_known(CACHE_TO_DTR, "pull", detail, hint)
            BlobTransfer(cache, wanted, Transfer(lambda *_counts, **_sizes: None), lambda: None).read(location)
        except SentBack:
            return bad(CACHE_TO_DTR, "pull", f"{answer} with a redirect back to DTR", SENT_BACK_HINT)
        except Failure as failure:
            status = failure.http_status or 0
            if status < 400:
                return bad(CACHE_TO_DTR, "pull", failure.message, failure.hint)
            why, hint = _why_no_layer(status, reached=reached)
            return bad(CACHE_TO_DTR, "pull", f"{answer} {status_text(status)}: {why}", hint)
        return Check(CACHE_TO_DTR, "pull", True, f"{answer} with the content that its digest names")

    def _not_sent(self, failure: Failure, url: str) -> Check:
        """Judge that DTR refuses a layer: the reason may be the account's cache, whatever the answer says."""
        if failure.http_status is None:
            return bad(CLIENT_TO_DTR, "pull", failure.message, failure.hint)
        misassigned = self._misassigned(self._name)
        if misassigned or failure.http_status < 500:
            return bad(CLIENT_TO_DTR, "pull", failure.message, misassigned or failure.hint)
        return bad(
            DTR_TO_CACHE,
            "redirect",
            f"DTR does not send account {self._account}, which is assigned to this cache, there for a layer of "
            f"{self._image}: {failure.message.rstrip('.')}",
            f"{distrust_hint(url)} If accounts without a cache get the same answer for this image, it is DTR's own "
            "storage.",
        )

    def _sent_elsewhere(self, place: Origin | None, url: str) -> Check:
        misassigned = self._misassigned(self._name)
        if misassigned or place is not None:
            where = f"{place or 'itself'} for a layer of {self._image}, and not to {url}"
            hint = misassigned or "The setting may have changed a moment ago: check again."
            return bad(CLIENT_TO_DTR, "pull", f"DTR sends account {self._account} to {where}", hint)
        return bad(
            DTR_TO_CACHE,
            "redirect",
            f"account {self._account} is assigned to this cache, which answers from here, and DTR serves a layer of "
            f"{self._image} itself",
            distrust_hint(url),
        )


def _why_no_layer(status: int, *, reached: bool) -> tuple[str, str]:
    """Say what a refusal of a signed request means; C(reached): the cache is known to reach its upstream."""
    upstreams = "Check that upstreams of the cache's configuration lead to this very DTR"
    if status in (401, 403):
        hint = f"{upstreams}, and compare the clocks of DTR and the cache's node."
        return "its upstream does not take the signature", hint
    if status == 404:
        return "its upstream does not have what DTR has", f"{upstreams}."
    storage = "Its storage may be full or not writable: make room, or check rights and credentials."
    if reached:
        return "it reaches its upstream, but cannot store or read the layer", f"{storage} {log_hint()}"
    return (
        "it cannot get the layer from its upstream, or cannot store or read it",
        "Check from the cache's node that DTR's name, port and certificate are as upstreams and cas of its "
        f"configuration say. {storage} {log_hint()}",
    )


def _has_soon(cache: CacheClient, wanted: Wanted, location: str) -> bool:
    time.sleep(_SECONDS_TO_KEEP)
    return cache.keeps(wanted, location)


def _location_of_nothing(distribution: Distribution, repository: str, place: Origin) -> str | None:
    """Return where at the cache DTR sends for a blob that exists nowhere.

    It is not documented whether DTR sends there at all; C(None) is returned where it does not.
    """
    try:
        location = distribution.blob_location(repository, f"sha256:{secrets.token_hex(32)}")
    except Failure:
        return None
    return None if location is None or origin_of(location) != place else location


def _smallest_layer(distribution: Distribution, image: str) -> tuple[str, images.Blob]:
    """Return the repository and a layer of an image. DTR may serve configurations itself."""
    name = images.parse_name(image)
    reference = name.reference
    for _each in range(_MOST_NESTED):
        manifest = images.parse_manifest(distribution.manifest(name.repository, reference)[1], image)
        if isinstance(manifest, images.Manifest):
            layers = [blob for blob in manifest.blobs if blob.size and not blob.is_config] or list(manifest.blobs)
            return name.repository, min(layers, key=lambda blob: blob.size)
        # Any platform will do: all of them come the same way.
        reference = images.choose(manifest, (images.ALL_PLATFORMS,), image)[0].digest
    raise Failure("UNSUPPORTED_MANIFEST", f"The manifest of {image} has an index too deep within another.")


def _answer(transport: Transport, location: str) -> Answer | str:
    parts = urlsplit(location)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    try:
        with transport.stream("GET", target, headers={"Accept": "*/*"}, expect=_ANY) as stream:
            # The body of a success is the layer: it is left unread.
            return Answer(stream.status, {}, b"" if stream.status < 400 else stream.beginning()[0])
    except Failure as failure:
        return failure.message
