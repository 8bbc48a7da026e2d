# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blobs asked for as a client asks: with DTR's signature. The answers show what no other check can.

Whether DTR sends there at all shows whether DTR and the cache get along. A blob that exists nowhere shows the cache's
way to DTR, since no cache can have it and only DTR can know that nobody has. A layer shows the rest: a cache that
reaches its upstream and still gives nothing has trouble with its storage; one that is refused what DTR has signed is
not trusted, or asks somebody else than DTR.
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
from .checks import CACHE_TO_DTR, CLIENT_TO_DTR, DTR_TO_CACHE, Check, bad, not_known
from .endpoint import ProbeAnswer
from .judges import judge_signed_upstream, log_hint
from .model import PullReport

_MOST_NESTED = 3
# A larger layer is not read for a check.
_MOST_BYTES = 64 * 1024 * 1024
_SECONDS_TO_KEEP = 1.0
# What any of them means is for the judge to say.
_ANY = range(200, 600)


class Ask(t.NamedTuple):
    """What is asked for, and how.

    Args:
        image: An image in DTR that the account may pull.
        account: Gives the account's name for messages, once it is logged in.
        distribution: Gives DTR's C(/v2) as that account.
        connect: Makes a transport without credentials for a URL of the cache, to the address where one is given.
        misassigned: Why DTR should not send the account to the cache, as a sentence, or C(None) where it should.
    """

    image: str
    account: t.Callable[[], str]
    distribution: t.Callable[[], Distribution]
    connect: t.Callable[[str, str | None], Transport]
    misassigned: t.Callable[[], str | None]


def check_pull(ask: Ask, url: str, addresses: t.Sequence[str] = ()) -> PullReport:
    """Ask for a blob that exists nowhere, and for the smallest layer of the image, at each address of the cache."""
    try:
        distribution = ask.distribution()
        repository, blob = _smallest_layer(distribution, ask.image)
    except Failure as failure:
        return PullReport([_bad(CLIENT_TO_DTR, failure.message, failure.hint)])
    wanted = Wanted(blob, repository)
    try:
        location = distribution.blob_location(repository, blob.digest)
    except Failure as failure:
        return PullReport([_not_sent(ask, failure, url)])
    place = None if location is None else origin_of(location)
    if location is None or place is None or place != origin_of(url):
        return PullReport([_sent_elsewhere(ask, place, url)])
    sent = Check(DTR_TO_CACHE, "redirect", True, f"DTR sends account {ask.account()} to {place}")
    nothing = _location_of_nothing(distribution, repository)
    if nothing is not None and origin_of(nothing) != place:
        nothing = None
    caches = {key: _client_at(ask, place, key[1], distribution.origin) for key in enumerate(addresses or [None])}
    found = fan_out(
        lambda key: _at_address(ask, caches[key], wanted, location, nothing),
        caches,
        len(caches),
        lambda _failure: False,
    ).done
    kept = {key: each.keeps(wanted, location) for key, each in caches.items() if found[key].serves}
    if True in kept.values():
        # A replica that was asked in the moment in which it keeps the layer is asked again.
        kept = {key: has or _has_soon(caches[key], wanted, location) for key, has in kept.items()}
        for key in (key for key, has in kept.items() if not has):
            found[key] = found[key]._replace(pulled=_keeps_nothing(ask.image))
    return _together(sent, {key: found[key] for key in caches})


def _client_at(ask: Ask, place: Origin, address: str | None, dtr: Origin) -> CacheClient:
    def connect(url: str, is_cache: bool) -> Transport:
        return ask.connect(url, address if is_cache else None)

    return CacheClient(str(place), [place], connect, dtr)


class _AtAddress(t.NamedTuple):
    """What one address of the cache did."""

    upstream: Check | None
    pulled: Check | None
    seconds: float | None

    @property
    def checks(self) -> list[Check]:
        return [each for each in (self.upstream, self.pulled) if each]

    @property
    def serves(self) -> bool:
        return self.pulled is not None and self.pulled.ok is True


def _at_address(ask: Ask, cache: CacheClient, wanted: Wanted, location: str, nothing: str | None) -> _AtAddress:
    transport = cache.transport(origin_of(location))
    began = time.monotonic()
    upstream = None if nothing is None else _of_upstream(transport, nothing)
    seconds = round(time.monotonic() - began, 4)
    if upstream and upstream.failed:
        return _AtAddress(upstream, None, None)
    reached = upstream is not None and upstream.ok is True
    return _AtAddress(upstream, _of_layer(ask, cache, wanted, location, reached=reached), seconds if reached else None)


def _of_layer(ask: Ask, cache: CacheClient, wanted: Wanted, location: str, *, reached: bool) -> Check:
    """Read a layer to its end: its digest shows that it is the one which was asked for."""
    answer = f"asked for a layer of {ask.image} as DTR signed it, the cache answers"
    try:
        if wanted.blob.size > _MOST_BYTES:
            cache.open(location, wanted, 0).close()
            hint = f"Set {word('image')} to one with a small layer, or pull it with {word('proof')}."
            return not_known(CACHE_TO_DTR, "pull", f"{answer}; a layer of {wanted.blob.size} bytes is not read", hint)
        BlobTransfer(cache, wanted, Transfer(lambda *_counts, **_sizes: None), lambda: None).read(location)
    except SentBack:
        return _bad(CACHE_TO_DTR, f"{answer} with a redirect back to DTR", SENT_BACK_HINT)
    except Failure as failure:
        status = failure.http_status or 0
        if status < 400:
            return _bad(CACHE_TO_DTR, failure.message, failure.hint)
        return judge(status, ask.image, reached=reached)
    return Check(CACHE_TO_DTR, "pull", True, f"{answer} with the content that its digest names")


def _has_soon(cache: CacheClient, wanted: Wanted, location: str) -> bool:
    time.sleep(_SECONDS_TO_KEEP)
    return cache.keeps(wanted, location)


def _keeps_nothing(image: str) -> Check:
    return _bad(
        CACHE_TO_DTR,
        f"it does not keep a layer of {image} that it has just served, and another replica does",
        f"Check its storage (full, or read-only?) and its configuration. {log_hint()}",
    )


def _together(sent: Check, found: t.Mapping[tuple[int, str | None], _AtAddress]) -> PullReport:
    """What all addresses did: of each check the worst, with the address where there are several."""
    worst: dict[str, Check] = {}
    failed: dict[str, str] = {}
    for (_number, address), each in found.items():
        for check in each.checks:
            told = check._replace(detail=f"{address}: {check.detail}") if address and len(found) > 1 else check
            known = worst.get(check.check)
            if known is None or (check.failed and not known.failed) or (known.ok and check.ok is None):
                worst[check.check] = told
            if check.failed and address:
                failed.setdefault(address, check.detail)
    seconds = [each.seconds for each in found.values() if each.seconds is not None]
    return PullReport([sent, *worst.values()], max(seconds, default=None), failed)


def _location_of_nothing(distribution: Distribution, repository: str) -> str | None:
    """Where DTR sends for a blob that exists nowhere; C(None) where it does not, which is not documented."""
    try:
        return distribution.blob_location(repository, f"sha256:{secrets.token_hex(32)}")
    except Failure:
        return None


def _of_upstream(transport: Transport, location: str) -> Check:
    try:
        answer: ProbeAnswer | str = _answer(transport, location)
    except Failure as failure:
        answer = failure.message
    return judge_signed_upstream(answer)


def _not_sent(ask: Ask, failure: Failure, url: str) -> Check:
    """What it means that DTR refuses a layer: that may be about the account's cache, whatever the answer says."""
    if failure.http_status is None:
        return _bad(CLIENT_TO_DTR, failure.message, failure.hint)
    misassigned = ask.misassigned()
    if misassigned:
        return _bad(CLIENT_TO_DTR, failure.message, misassigned)
    if failure.http_status < 500:
        return _bad(CLIENT_TO_DTR, failure.message, failure.hint)
    return bad(
        DTR_TO_CACHE,
        "redirect",
        f"DTR does not send account {ask.account()}, which is assigned to this cache, there for a layer of "
        f"{ask.image}: {failure.message.rstrip('.')}",
        f"{distrust_hint(url)} If accounts without a cache get the same answer for this image, it is DTR's own "
        "storage.",
    )


def _sent_elsewhere(ask: Ask, place: Origin | None, url: str) -> Check:
    misassigned = ask.misassigned()
    account, where = ask.account(), str(place or "itself")
    if misassigned or place is not None:
        detail = f"DTR sends account {account} to {where} for a layer of {ask.image}, and not to {url}"
        return _bad(CLIENT_TO_DTR, detail, misassigned or "The setting may have changed a moment ago: check again.")
    return bad(
        DTR_TO_CACHE,
        "redirect",
        f"account {account} is assigned to this cache, which answers from here, and DTR serves a layer of {ask.image} "
        "itself",
        distrust_hint(url),
    )


def judge(status: int, image: str, *, reached: bool) -> Check:
    """What the cache's answer to a signed request means. C(reached) says whether it is known to reach its upstream."""
    answer = f"asked for a layer of {image} as DTR signed it, the cache answers {status_text(status)}"
    if status in (401, 403):
        return _bad(
            CACHE_TO_DTR,
            f"{answer}: its upstream does not take the signature",
            "Check that upstreams of the cache's configuration lead to this very DTR, and compare the clocks of DTR "
            "and the cache's node.",
        )
    if status == 404:
        return _bad(
            CACHE_TO_DTR,
            f"{answer}: its upstream does not have what DTR has",
            "Check that upstreams of the cache's configuration lead to this very DTR.",
        )
    storage = "Its storage may be full or not writable: make room, or check rights and credentials."
    if reached:
        why = f"{answer}: it reaches its upstream, but cannot store or read the layer"
        return _bad(CACHE_TO_DTR, why, f"{storage} {log_hint()}")
    return _bad(
        CACHE_TO_DTR,
        f"{answer}: it cannot get the layer from its upstream, or cannot store or read it",
        "Check from the cache's node that DTR's name, port and certificate are as upstreams and cas of its "
        f"configuration say. {storage} {log_hint()}",
    )


def _smallest_layer(distribution: Distribution, image: str) -> tuple[str, images.Blob]:
    """A layer, since DTR may serve configurations itself."""
    name = images.parse_name(image)
    reference = name.reference
    for _each in range(_MOST_NESTED):
        manifest = images.parse_manifest(distribution.manifest(name.repository, reference)[1], image)
        if isinstance(manifest, images.Manifest):
            layers = [blob for blob in manifest.blobs if blob.size and not blob.is_config] or list(manifest.blobs)
            return name.repository, min(layers, key=lambda blob: blob.size)
        # Which platform does not matter: all of them come the same way.
        reference = images.choose(manifest, (images.ALL_PLATFORMS,), image)[0].digest
    raise Failure("UNSUPPORTED_MANIFEST", f"The manifest of {image} has an index too deep within another.")


def _answer(transport: Transport, location: str) -> ProbeAnswer:
    parts = urlsplit(location)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    with transport.stream("GET", target, headers={"Accept": "*/*"}, expect=_ANY) as stream:
        # The body of a success is the layer: it is left unread.
        body = b"" if stream.status < 400 else stream.beginning()[0]
        return ProbeAnswer(stream.status, {}, body)


def _bad(edge: str, detail: str, hint: str | None) -> Check:
    return bad(edge, "pull", detail, hint)
