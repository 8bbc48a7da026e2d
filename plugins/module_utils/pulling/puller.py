# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulling images through a content cache as a Docker Engine does, without keeping them.

Manifests come from DTR; for each blob DTR is asked where it is, and sends to the cache with a signed URL. Each blob is
read once, in small pieces, and only its running hash is kept.
"""

from __future__ import annotations

import threading
import time
import typing as t

from ..common.concurrency import fan_out
from ..common.failure import Failure
from ..common.progress import Transfer
from ..common.urls import origin_of
from ..dtr import images
from ..http.retries import RETRIED_STATUSES
from .blob_transfer import BlobTransfer
from .cache_client import CacheClient, SentBack
from .distribution import Distribution
from .report import Image, Pulled, Report, Wanted, first_failure, row, sizes, wanted_blobs

# An index within an index is allowed by OCI; deeper nesting than this is a mistake or an attack.
_MOST_NESTED = 3
STOPS_ALL = ("NAME_NOT_RESOLVED", "PROXY_FAILED", "NOT_AUTHENTICATED", "INVALID_INPUT")

NOT_THROUGH_CACHE = "NOT_THROUGH_CACHE"
_DTR_ITSELF = "DTR itself"
_DTR_BY_THE_CACHE = "DTR, to which the cache sends back"
SENT_BACK_HINT = (
    "A content cache serves what it fetches. Check the middleware (downstream) of its configuration, and what "
    "answers at its address."
)


class Puller:
    """Pulls images of one DTR through one cache.

    Args:
        distribution: DTR's repositories, as the account that pulls.
        cache: The cache: DTR has to send to one of its addresses.
        platforms: What C(images.parse_platforms) gave.
        concurrency: The most blobs at a time.
        transfer: Counts what arrives.
        why_elsewhere: The likely cause when DTR does not send to the cache, as a sentence; asked at most once.
        lost_cache: What to do when the account's cache is gone, as a sentence, or C(None) where it is not; asked at
            most once, when DTR refuses a blob.
        clock: Seconds that never go back.
        sleep: Waits for a number of seconds.
    """

    def __init__(
        self,
        distribution: Distribution,
        cache: CacheClient,
        *,
        platforms: t.Sequence[str],
        concurrency: int,
        transfer: Transfer | None = None,
        why_elsewhere: t.Callable[[], str] | None = None,
        lost_cache: t.Callable[[], str | None] = lambda: None,
        clock: t.Callable[[], float] = time.monotonic,
        sleep: t.Callable[[float], None] = time.sleep,
    ) -> None:
        self._distribution = distribution
        self.cache = cache
        self._platforms = tuple(platforms)
        self._concurrency = concurrency
        self._transfer = transfer or Transfer(lambda *_counts, **_sizes: None)
        self._why_elsewhere = why_elsewhere
        self._lost_cache = _once(lost_cache)
        self._clock = clock
        self._sleep = sleep

    def pull(self, names: t.Sequence[str], unknown: t.Mapping[str, Failure] | None = None) -> Report:
        """Pull images, each blob once even when images share it.

        Args:
            names: The images.
            unknown: What else was asked for, with the reason why nothing could be made of it.
        """
        resolved = self._resolve_all(names, unknown)
        wanted = wanted_blobs(resolved)
        self._transfer.expect(len(wanted), sum(item.blob.size for item in wanted))
        began = self._clock()
        results = fan_out(self._pull_blob, wanted, self._concurrency, self._hopeless)
        ended = self._clock()
        done = {item.blob.digest: pulled for item, pulled in results.done.items()}
        failed = {item.blob.digest: failure for item, failure in results.failed.items()}
        says = self._says_what_it_has(results.done)
        for image in resolved:
            image.failure = image.failure or first_failure(image, failed) or self._stray(image, done)
        self._explain_strays(resolved)
        came = [pulled for pulled in done.values() if pulled.received]
        transferred = {
            "blobs": len(came),
            "bytes": sum(pulled.received for pulled in came),
            "seconds": round(ended - began, 3),
            **sizes(wanted, results.done if says else {}),
        }
        return Report(
            [row(image, done, says) for image in resolved],
            transferred,
            says and any(pulled.answered_before is False for pulled in done.values() if pulled.elsewhere is None),
            {image.name: image.failure for image in resolved if image.failure},
        )

    def preview(self, names: t.Sequence[str], unknown: t.Mapping[str, Failure] | None = None) -> Report:
        """What C(pull) would do: manifests are read and the cache is asked what it has, but no blob is requested.

        Where the cache refuses everything, it may have nothing, or it may ask DTR before it serves what it has: what
        it has is not known then.
        """
        resolved = self._resolve_all(names, unknown)
        wanted = wanted_blobs(resolved)
        results = fan_out(self._ask, wanted, self._concurrency, self._hopeless)
        done = {item.blob.digest: pulled for item, pulled in results.done.items()}
        failed = {item.blob.digest: failure for item, failure in results.failed.items()}
        for image in resolved:
            image.failure = image.failure or first_failure(image, failed)
        says = any(asked.answered_before for asked in done.values())
        return Report(
            [{**row(image, done, says), "via_cache": None} for image in resolved],
            {
                "blobs": len(results.done),
                "bytes": sum(item.blob.size for item in results.done),
                "seconds": 0.0,
                **sizes(wanted, results.done if says else {}),
            },
            any(pulled.answered_before is False for pulled in done.values()),
            {image.name: image.failure for image in resolved if image.failure},
        )

    # Manifests

    def _resolve_all(self, names: t.Sequence[str], unknown: t.Mapping[str, Failure] | None) -> list[Image]:
        parsed = {name: images.parse_name(name) for name in names}
        results = fan_out(self._resolve, parsed, self._concurrency, lambda failure: failure.code in STOPS_ALL)
        failed = {**results.failed, **(unknown or {})}
        return [
            results.done[name] if name in results.done else Image(name, failure=failed[name])
            for name in dict.fromkeys((*parsed, *failed))
        ]

    def _resolve(self, name: str) -> Image:
        """Read the manifest, and for an index those of the wanted platforms."""
        began = self._clock()
        parsed = images.parse_name(name)
        image = Image(name)
        image.digest = self._collect(image, parsed.repository, parsed.reference, _MOST_NESTED)
        image.seconds = self._clock() - began
        return image

    def _collect(self, image: Image, repository: str, reference: str, nested: int) -> str:
        digest, content = self._distribution.manifest(repository, reference)
        manifest = images.parse_manifest(content, image.name)
        if isinstance(manifest, images.Manifest):
            image.blobs.update(dict.fromkeys(manifest.blobs, repository))
            image.foreign += manifest.foreign
            return digest
        if not nested:
            raise Failure("UNSUPPORTED_MANIFEST", f"The manifest of {image.name} has an index too deep within another.")
        for entry in images.choose(manifest, self._platforms, image.name):
            self._collect(image, repository, entry.digest, nested - 1)
        return digest

    # Blobs

    def _pull_blob(self, wanted: Wanted) -> Pulled:
        began = self._clock()
        location = self._location(wanted)
        elsewhere = self._elsewhere(location)
        if location is None or elsewhere:
            return Pulled(elsewhere, None, 0, began, self._clock())
        before = self.cache.has(location, wanted.blob)

        def locate() -> str | None:
            again = self._location(wanted)
            return None if self._elsewhere(again) else again

        blob = BlobTransfer(self.cache, wanted, self._transfer, locate, self._sleep)
        try:
            blob.read(location)
        except SentBack:
            return Pulled(_DTR_BY_THE_CACHE, before, blob.received, began, self._clock())
        self._transfer.complete()
        return Pulled(None, before, blob.received, began, self._clock())

    def _location(self, wanted: Wanted) -> str | None:
        """Where DTR sends for a blob. A refusal may be about the account's cache, whatever DTR's answer says."""
        try:
            return self._distribution.blob_location(wanted.repository, wanted.blob.digest)
        except Failure as failure:
            if failure.http_status is not None and failure.http_status not in RETRIED_STATUSES:
                failure.hint = self._lost_cache() or failure.hint
            raise

    def _ask(self, wanted: Wanted) -> Pulled:
        """Whether the cache has a blob, without asking DTR where it is."""
        moment = self._clock()
        return Pulled(None, self.cache.has(self.cache.path_of(wanted), wanted.blob), 0, moment, moment)

    def _says_what_it_has(self, done: t.Mapping[Wanted, Pulled]) -> bool:
        """Whether unsigned answers say what the cache has: they must, for a blob that just came through it."""
        through = {wanted: pulled for wanted, pulled in done.items() if pulled.elsewhere is None}
        if not through or any(pulled.answered_before for pulled in through.values()):
            return bool(through)
        try:
            return self._ask(next(iter(through))).answered_before is True
        except Failure:
            return False

    # Failures in words

    def _elsewhere(self, location: str | None) -> str | None:
        if location is None:
            return _DTR_ITSELF
        origin = origin_of(location)
        return None if origin in self.cache.origins else str(origin)

    def _stray(self, image: Image, done: t.Mapping[str, Pulled]) -> Failure | None:
        """The failure of an image of which something does not come through the cache."""
        stray = {blob: place for blob in image.blobs for place in [done[blob.digest].elsewhere] if place}
        layers = [blob for blob in image.blobs if not blob.is_config]
        # Whether DTR sends to the cache for configurations is not documented: layers that come through it are enough.
        if not stray or (layers and all(blob.is_config for blob in stray)):
            return None
        cache, addresses = self.cache.name, ", ".join(sorted(map(str, self.cache.origins)))
        return Failure(
            NOT_THROUGH_CACHE,
            f"{len(stray)} of {len(image.blobs)} blobs of {image.name} do not come through the cache {cache} "
            f"({addresses}): {' and '.join(map(_way, sorted(set(stray.values()))))}.",
            hint=SENT_BACK_HINT if _DTR_BY_THE_CACHE in stray.values() else None,
        )

    def _explain_strays(self, resolved: t.Iterable[Image]) -> None:
        strays = [
            failure
            for failure in (image.failure for image in resolved)
            if failure and failure.code == NOT_THROUGH_CACHE and not failure.hint
        ]
        hint = self._why_elsewhere() if strays and self._why_elsewhere else None
        for failure in strays:
            failure.hint = hint

    def _hopeless(self, failure: Failure) -> bool:
        return self.cache.down or failure.code in STOPS_ALL or failure.code.startswith("TLS_")


def _way(place: str) -> str:
    """How blobs come that do not come through the cache."""
    if place == _DTR_ITSELF:
        return "DTR serves them itself"
    if place == _DTR_BY_THE_CACHE:
        return "the cache sends back to DTR for them"
    return f"DTR sends to {place} for them"


_T = t.TypeVar("_T")


def _once(ask: t.Callable[[], _T]) -> t.Callable[[], _T]:
    """The same answer for all threads, asked for by the first."""
    lock = threading.Lock()
    answers: list[_T] = []

    def answer() -> _T:
        with lock:
            if not answers:
                answers.append(ask())
            return answers[0]

    return answer
