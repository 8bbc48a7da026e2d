# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One blob asked for as a client asks: with DTR's signature. The cache's answer shows what no other check can.

A cache that reaches its upstream and still gives nothing has trouble with its storage; one that is refused what DTR has
signed is not trusted, or asks somebody else than DTR.
"""

from __future__ import annotations

import typing as t
from urllib.parse import urlsplit

from ..common.failure import Failure
from ..common.urls import origin_of
from ..dtr import images
from ..http.responses import status_text
from ..http.transport import Transport
from ..pulling.distribution import Distribution
from .checks import CACHE_TO_DTR, CLIENT_TO_DTR, Check, bad
from .judges import LOG_HINT

_MOST_NESTED = 3
# What any of them means is for the judge to say.
_ANY = range(200, 600)


class Ask(t.NamedTuple):
    """What is asked for, and how.

    Args:
        image: An image in DTR that the account may pull.
        account: Gives the account's name for messages, once it is logged in.
        distribution: Gives DTR's C(/v2) as that account.
        connect: Makes a transport without credentials for an address of the cache.
        why_elsewhere: The likely cause when DTR does not send to the cache, as a sentence.
        lost_cache: What to do when the account's cache is gone, or C(None) where it is not.
    """

    image: str
    account: t.Callable[[], str]
    distribution: t.Callable[[], Distribution]
    connect: t.Callable[[str], Transport]
    why_elsewhere: t.Callable[[], str]
    lost_cache: t.Callable[[], str | None]


def check_pull(ask: Ask, url: str) -> Check:
    """Ask for the smallest layer of the image by way of the cache at C(url)."""
    try:
        distribution = ask.distribution()
        repository, blob = _smallest_layer(distribution, ask.image)
        location = _location(ask, distribution, repository, blob.digest)
    except Failure as failure:
        return _bad(CLIENT_TO_DTR, failure.message, failure.hint)
    place = None if location is None else origin_of(location)
    if location is None or place != origin_of(url):
        account = ask.account()
        return _bad(
            CLIENT_TO_DTR,
            f"DTR sends account {account} to {place or 'itself'} for a layer of {ask.image}, and not to {url}",
            ask.why_elsewhere(),
        )
    try:
        return judge(_status(ask.connect(str(place)), location), ask.image)
    except Failure as failure:
        return _bad(CACHE_TO_DTR, failure.message, failure.hint)


def _location(ask: Ask, distribution: Distribution, repository: str, digest: str) -> str | None:
    """Where DTR sends for a layer. A refusal may be about the account's cache, whatever DTR's answer says."""
    try:
        return distribution.blob_location(repository, digest)
    except Failure as failure:
        if failure.http_status is not None:
            failure.hint = ask.lost_cache() or failure.hint
        raise


def judge(status: int, image: str) -> Check:
    """What the cache's answer to a signed request means, when it is known to reach its upstream."""
    answer = f"asked for a layer of {image} as DTR signed it, the cache answers {status_text(status)}"
    if status < 400:
        return Check(CACHE_TO_DTR, "pull", True, answer)
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
    return _bad(
        CACHE_TO_DTR,
        f"{answer}: it reaches its upstream, but cannot store or read the layer",
        f"Its storage may be full or not writable: make room, or check rights and credentials. {LOG_HINT}",
    )


def _smallest_layer(distribution: Distribution, image: str) -> tuple[str, images.Blob]:
    """A layer, since DTR may serve configurations itself."""
    name = images.parse_name(image)
    reference = name.reference
    for _each in range(_MOST_NESTED):
        manifest = images.parse_manifest(distribution.manifest(name.repository, reference)[1], image)
        if isinstance(manifest, images.Manifest):
            layers = [blob for blob in manifest.blobs if not blob.is_config] or list(manifest.blobs)
            return name.repository, min(layers, key=lambda blob: blob.size)
        # Which platform does not matter: all of them come the same way.
        reference = images.choose(manifest, (images.ALL_PLATFORMS,), image)[0].digest
    raise Failure("UNSUPPORTED_MANIFEST", f"The manifest of {image} has an index too deep within another.")


def _status(transport: Transport, location: str) -> int:
    parts = urlsplit(location)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    # The body is the layer: it is left unread.
    with transport.stream("GET", target, headers={"Accept": "*/*"}, expect=_ANY) as stream:
        return stream.status


def _bad(edge: str, detail: str, hint: str | None) -> Check:
    return bad(edge, "pull", detail, hint)
