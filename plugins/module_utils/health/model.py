# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Caches and DTR as they are to be checked, and the condition that each cache was found in."""

from __future__ import annotations

import ssl
import typing as t

from ..dtr.model import ContentCache
from .checks import CACHE_TO_DTR, CLIENT_TO_CACHE, CLIENT_TO_DTR, Check, likely_cause
from .endpoint import EndpointReport

if t.TYPE_CHECKING:
    from cryptography import x509


# Of a blob that exists nowhere: asked for it, a cache has to go to its upstream.
NO_BLOB = f"/v2/dtr-cache-health/probe/blobs/sha256:{'0' * 64}"


class Cache(t.NamedTuple):
    """A cache to check.

    Args:
        name: Its name in DTR.
        url: Where clients reach it.
        trust: Verifies what its clients verify.
        anchors: The CAs in C(trust) that are known.
        min_days: How long its certificate has to be valid, where that differs from what all others have to.
        certificate: The fingerprint of the certificate that it should have, when it is known.
        port: The port that its stack has to publish, where a load balancer or the like before it has another one.
        published: The ports that its stack publishes: none when there is no such stack, C(None) when that is not known.
        nodes: The addresses of the nodes of its Swarm, as far as they are known.
        replicas: How many it has, when that is known.
        replica_addresses: Where each takes connections itself, as C(ADDRESS:PORT).
        routed: Whether its stack publishes the port by the routing mesh, as far as that is known.
        pull: How it is asked for a blob as an assigned account does.
        dangling: Lists those of its own accounts whose cache is gone; without it those of the whole DTR count.
    """

    name: str
    url: str
    trust: ssl.SSLContext | None
    anchors: t.Sequence[x509.Certificate] = ()
    min_days: int | None = None
    certificate: str | None = None
    port: int | None = None
    published: t.Sequence[int] | None = None
    nodes: t.Sequence[str] = ()
    replicas: int | None = None
    replica_addresses: t.Sequence[str] = ()
    routed: bool = False
    pull: Pulling | None = None
    dangling: t.Callable[[], list[str]] | None = None


class PullReport(t.NamedTuple):
    """What asking with DTR's signature showed.

    C(upstream_seconds) are those of an answer for which the cache had to ask DTR, C(failed) is what failed by address.
    """

    checks: t.Sequence[Check]
    upstream_seconds: float | None = None
    failed: t.Mapping[str, str] = {}


class Pulling(t.NamedTuple):
    """Asking a cache for a blob as one of its accounts.

    Args:
        log_in: What has to be made for that, in DTR as well, by requests that each end after a step. It is called until
            it succeeds once, and never left behind, since what was made has to be removed.
        check: Asks at the URL that it is given, at each of these addresses. It leaves nothing behind.
    """

    log_in: t.Callable[[], None]
    check: t.Callable[[str, t.Sequence[str]], PullReport]


class Dtr(t.NamedTuple):
    """The DTR behind the caches.

    C(content_caches) lists what it has registered, C(read_only) says whether nobody can push, C(dangling) lists the
    accounts whose cache is gone; each is C(None) when nobody may, or should, ask it.
    """

    url: str
    trust: ssl.SSLContext | None
    anchors: t.Sequence[x509.Certificate]
    client_context: t.Callable[[], ssl.SSLContext]
    content_caches: t.Callable[[], list[ContentCache]] | None
    read_only: t.Callable[[], bool | None] | None = None
    dangling: t.Callable[[], list[str]] | None = None


class Condition(t.NamedTuple):
    """What was found at one cache."""

    cache: Cache
    checks: list[Check]
    probed: EndpointReport | None = None
    probed_dtr: EndpointReport | None = None
    # Of an answer without a signature it is not known whether the cache asked anybody.
    upstream_seconds: float | None = None
    failed_pulls: t.Mapping[str, str] = {}

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong, as far as it can be known."""
        return not any(check.failed for check in self.checks)

    @property
    def serves(self) -> bool:
        """Whether a client of the cache gets an answer at one of its addresses at least.

        What the cache gets of DTR is no part of that.
        """
        failed = any(check.prevents_pulls for check in self.checks if check.edge == CLIENT_TO_CACHE)
        return not failed or any(each.ok for each in (self.probed.places if self.probed else ()))

    def addresses(self) -> list[dict[str, t.Any]]:
        """What was found at each address."""
        places = self.probed.places if self.probed else ()
        pulled = {name: {"ok": False, "detail": detail} for name, detail in self.failed_pulls.items()}
        return [{**each._asdict(), **pulled.get(each.address, {})} for each in places]

    def row(self) -> dict[str, t.Any]:
        """The cache's part of the module's result."""
        probed = self.probed
        return {
            "name": self.cache.name,
            "url": self.cache.url,
            "healthy": self.healthy,
            "serves": self.serves,
            "checks": [check.row() for check in self.checks],
            "addresses": self.addresses(),
            "certificate": probed.certificate if probed else None,
            "days_left": probed.days_left if probed else None,
            "seconds": {
                CLIENT_TO_CACHE: probed.seconds if probed else None,
                CACHE_TO_DTR: self.upstream_seconds,
                CLIENT_TO_DTR: self.probed_dtr.seconds if self.probed_dtr else None,
            },
        }


def verdict(conditions: t.Sequence[Condition]) -> str | None:
    """One sentence or more for each cache that is not healthy, or C(None) when all are."""
    sentences = []
    for condition in conditions:
        cause = likely_cause(condition.checks)
        if cause is None:
            continue
        more = sum(1 for check in condition.checks if check.failed) - 1
        text = f"{condition.cache.name}: {cause.edge}, {cause.check}: {cause.detail}"
        text += f" {cause.hint}" if cause.hint else ""
        sentences.append(text + (f" ({more} more check{'s' if more > 1 else ''} failed)" if more else ""))
    if not sentences:
        return None
    if len(conditions) == 1:
        return f"The cache is not healthy. {sentences[0]}"
    return f"{len(sentences)} of {len(conditions)} caches are not healthy. {' '.join(sentences)}"
