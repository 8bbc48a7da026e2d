# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulling images through a content cache as a Docker Engine does, without keeping them.

Manifests come from DTR; for each blob DTR is asked where it is, and sends to the cache with a signed URL. Each blob is
read once, in small pieces, and only its running hash is kept.
"""

from __future__ import annotations

import dataclasses
import re
import threading
import time
import typing as t
from urllib.parse import urljoin, urlsplit, urlunsplit

from ..common.concurrency import fan_out
from ..common.failure import Failure
from ..common.progress import Transfer
from ..common.urls import Origin, origin_of, without_secrets
from ..dtr import images
from ..dtr.api import ContentCache
from ..http.responses import Answer, failure_of, status_text
from ..http.retries import RETRIED_STATUSES
from ..http.streams import BrokenOff, Stream
from ..http.transport import Transport
from .distribution import ANSWERED, Distribution

# Large enough that Python's share of the work is small, small enough that no layer's size matters.
_PIECE = 256 * 1024
# So much more before a connection breaks again, and the retries begin anew.
_ENOUGH_TO_GO_ON = 1024 * 1024
# An index within an index is allowed by OCI; deeper nesting than this is a mistake or an attack.
_MOST_NESTED = 3
# A storage backend of a cache may send on to another one of its addresses.
_MOST_REDIRECTS = 3
_CONTENT_RANGE = re.compile(r"bytes (\d+)-")
STOPS_ALL = ("NAME_NOT_RESOLVED", "PROXY_FAILED", "NOT_AUTHENTICATED", "INVALID_INPUT")

NOT_THROUGH_CACHE = "NOT_THROUGH_CACHE"
NOT_TRIED = "NOT_TRIED"
# Nothing was said at that address.
_CLOSED = ("CONNECTION_FAILED", "TIMEOUT", NOT_TRIED)
_DTR_ITSELF = "DTR itself"
_DTR_BY_THE_CACHE = "DTR, to which the cache sends back"
_SENT_BACK_HINT = (
    "A content cache serves what it fetches. Look at the middleware (downstream) of its configuration, and at what "
    "answers at its address."
)


class Wanted(t.NamedTuple):
    """A blob to pull, and a repository that has it."""

    blob: images.Blob
    repository: str


class Pulled(t.NamedTuple):
    """What became of one blob.

    Args:
        elsewhere: Who serves it, or where DTR sends, instead of the cache; C(None) when DTR sends to the cache.
        answered_before: Whether the cache said that it had the blob; C(None) when it did not say.
        received: Bytes that came from the cache.
        began: When it was asked for, in seconds of the clock.
        ended: When it was complete.
    """

    elsewhere: str | None
    answered_before: bool | None
    received: int
    began: float
    ended: float


@dataclasses.dataclass
class Image:
    """An image of the task: what it consists of, or why that could not be found out."""

    name: str
    digest: str | None = None
    blobs: dict[images.Blob, str] = dataclasses.field(default_factory=dict)  # with the repository of each
    foreign: int = 0
    seconds: float = 0.0
    failure: Failure | None = None


class Report(t.NamedTuple):
    """The end of a pull: a row for each image, what was transferred in all, and the failures by image."""

    pulls: list[dict[str, t.Any]]
    transferred: dict[str, t.Any]
    brought: bool
    failures: dict[str, Failure]


class _Broken(Exception):
    """A transfer that ended too early, and that can be taken up again."""


class _SentBack(Exception):
    """The cache sends on to DTR: whatever comes then does not come through the cache."""


class _Arrived:
    """How much of a blob has arrived, over all attempts."""

    def __init__(self, digest: str, told: Transfer) -> None:
        self._digest = digest
        self._told = told
        self.received = 0
        self.restart()

    def restart(self) -> None:
        self.offset = 0
        self._hasher = images.hasher(self._digest)

    def feed(self, piece: bytes) -> None:
        self._hasher.update(piece)
        self.offset += len(piece)
        self.received += len(piece)
        self._told.received(len(piece))

    @property
    def digest(self) -> str:
        return f"{self._hasher.name}:{self._hasher.hexdigest()}"


class Puller:
    """Pulls images of one DTR through one cache.

    Args:
        distribution: DTR's repositories, as the account that pulls.
        cache: The cache's name for messages.
        origins: The addresses at which the cache is registered: DTR has to send to one of them.
        connect: Makes a transport without credentials for an address; the second argument tells whether it is the cache
            itself, and not its storage backend.
        platforms: What C(images.parse_platforms) gave.
        concurrency: The most blobs at a time.
        skip_cached: Leave a blob that the cache already has where it is.
        transfer: Is told how much came.
        why_elsewhere: The likely cause when DTR does not send to the cache, as a sentence; asked at most once.
        lost_cache: What to do when the account's cache is gone, as a sentence, or C(None) where it is not; asked at
            most once, when DTR refuses a blob.
        clock: Seconds that never go back.
        sleep: Waits for a number of seconds.
    """

    def __init__(
        self,
        distribution: Distribution,
        cache: str,
        origins: t.Collection[Origin],
        connect: t.Callable[[str, bool], Transport],
        *,
        platforms: t.Sequence[str],
        concurrency: int,
        skip_cached: bool = False,
        transfer: Transfer | None = None,
        why_elsewhere: t.Callable[[], str] | None = None,
        lost_cache: t.Callable[[], str | None] = lambda: None,
        clock: t.Callable[[], float] = time.monotonic,
        sleep: t.Callable[[float], None] = time.sleep,
    ) -> None:
        self._distribution = distribution
        self._cache = cache
        self._origins = frozenset(origins)
        self._connect = connect
        self._platforms = tuple(platforms)
        self._concurrency = concurrency
        self._skip_cached = skip_cached
        self._transfer_told = transfer or Transfer(lambda *_counts, **_sizes: None)
        self._why_elsewhere = why_elsewhere
        self._lost_cache = _once(lost_cache)
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._transports: dict[Origin, Transport] = {}

    @property
    def warnings(self) -> list[str]:
        """One sentence for each retry at the cache."""
        return [warning for transport in self._transports.values() for warning in transport.warnings]

    def pull(self, names: t.Sequence[str], unknown: t.Mapping[str, Failure] | None = None) -> Report:
        """Pull images, each blob once even when images share it.

        Args:
            names: The images.
            unknown: What else was asked for, with the reason why nothing could be made of it.
        """
        resolved = self._resolve_all(names, unknown)
        wanted = _wanted(resolved)
        self._transfer_told.expect(len(wanted), sum(item.blob.size for item in wanted))
        began = self._clock()
        results = fan_out(self._pull_blob, wanted, self._concurrency, self._hopeless)
        ended = self._clock()
        done = {item.blob.digest: pulled for item, pulled in results.done.items()}
        failed = {item.blob.digest: failure for item, failure in results.failed.items()}
        tells = self._tells_what_it_has(results.done)
        for image in resolved:
            image.failure = image.failure or _first_failure(image, failed) or self._stray(image, done)
        self._explain_strays(resolved)
        came = [pulled for pulled in done.values() if pulled.received]
        transferred = {
            "blobs": len(came),
            "bytes": sum(pulled.received for pulled in came),
            "seconds": round(ended - began, 3),
            **_sizes(wanted, results.done if tells else {}),
        }
        return Report(
            [_row(image, done, tells) for image in resolved],
            transferred,
            tells and any(pulled.answered_before is False for pulled in done.values() if pulled.elsewhere is None),
            {image.name: image.failure for image in resolved if image.failure},
        )

    def preview(self, names: t.Sequence[str], unknown: t.Mapping[str, Failure] | None = None) -> Report:
        """What C(pull) would do: manifests are read and the cache is asked what it has, but no blob is requested.

        Whether an unsigned answer can be trusted shows only after a pull; here it is.
        """
        resolved = self._resolve_all(names, unknown)
        wanted = _wanted(resolved)
        results = fan_out(self._look, wanted, self._concurrency, self._hopeless)
        done = {item.blob.digest: pulled for item, pulled in results.done.items()}
        failed = {item.blob.digest: failure for item, failure in results.failed.items()}
        for image in resolved:
            image.failure = image.failure or _first_failure(image, failed)
        coming = [item for item, looked in results.done.items() if not (self._skip_cached and looked.answered_before)]
        return Report(
            [{**_row(image, done, True), "via_cache": None} for image in resolved],
            {
                "blobs": len(coming),
                "bytes": sum(item.blob.size for item in coming),
                "seconds": 0.0,
                **_sizes(wanted, results.done),
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
        digest = wanted.blob.digest
        location = self._location(wanted)
        elsewhere = self._elsewhere(location)
        if location is None or elsewhere:
            return Pulled(elsewhere, None, 0, began, self._clock())
        before = self._answers(location, wanted.blob)
        if before and self._skip_cached:
            self._transfer_told.complete(wanted.blob.size)
            return Pulled(None, True, 0, began, self._clock())
        arrived = _Arrived(digest, self._transfer_told)
        try:
            self._transfer(wanted, location, arrived)
        except _SentBack:
            return Pulled(_DTR_BY_THE_CACHE, before, arrived.received, began, self._clock())
        if arrived.offset != wanted.blob.size or arrived.digest != digest:
            raise self._damaged(wanted, arrived)
        self._transfer_told.complete()
        return Pulled(None, before, arrived.received, began, self._clock())

    def _location(self, wanted: Wanted) -> str | None:
        """Where DTR sends for a blob. A refusal may be about the account's cache, whatever DTR's answer says."""
        try:
            return self._distribution.blob_location(wanted.repository, wanted.blob.digest)
        except Failure as failure:
            if failure.http_status is not None and failure.http_status not in RETRIED_STATUSES:
                failure.hint = self._lost_cache() or failure.hint
            raise

    def _transfer(self, wanted: Wanted, location: str, arrived: _Arrived) -> None:
        """Read a blob to its end, taking up again after a broken connection with a newly signed URL."""
        transport = self._transport(origin_of(location))
        used, held = 0, 0
        while True:
            try:
                self._receive(location, wanted, arrived)
                return
            except _Broken as broken:
                reason = str(broken)
            # A line that breaks every few minutes still brings a large layer, bit by bit.
            if arrived.offset - held >= _ENOUGH_TO_GO_ON:
                used, held = 0, arrived.offset
            left = transport.retries - used
            if not left:
                break
            used += 1
            transport.note_retry(f"{wanted.blob.digest} of {wanted.repository}: {reason}, {left} retries left")
            self._sleep(transport.backoff.pause(used))
            again = self._location(wanted)
            if again is None or self._elsewhere(again):
                reason += ", and DTR no longer sends there for it"
                break
            location = again
        raise Failure(
            "CONNECTION_FAILED",
            f"{self._named(origin_of(location))} did not send {wanted.blob.digest} of {wanted.repository} to its end: "
            f"{reason}.",
            url=without_secrets(location),
            hint="Look at the cache's log, and for proxies or load balancers that end long transfers.",
        )

    def _receive(self, location: str, wanted: Wanted, arrived: _Arrived) -> None:
        try:
            with self._open(location, wanted, arrived) as stream:
                for piece in stream.pieces(_PIECE):
                    arrived.feed(piece)
                    if arrived.offset > wanted.blob.size:
                        raise self._damaged(wanted, arrived)
        except BrokenOff:
            raise _Broken(f"the connection broke after {arrived.offset} of {wanted.blob.size} bytes") from None
        if arrived.offset < wanted.blob.size:
            raise _Broken(f"the answer ended after {arrived.offset} of {wanted.blob.size} bytes")

    def _open(self, location: str, wanted: Wanted, arrived: _Arrived) -> Stream:
        """The answer whose body is the blob from C(arrived.offset) on."""
        headers = {"Accept": "*/*"}
        if arrived.offset:
            headers["Range"] = f"bytes={arrived.offset}-"
        stream = self._stream(location, headers)
        for _each in range(_MOST_REDIRECTS):
            target = stream.headers.get("Location")
            if not (300 <= stream.status < 400 and target):
                break
            # The cache's own storage backend (S3, Azure, ...) may serve its blobs; that is still the cache.
            stream.close()
            location = urljoin(location, target)
            if origin_of(location) == self._distribution.origin:
                raise _SentBack()
            stream = self._stream(location, headers)
        if stream.status == 206 and _begins_at(stream, arrived.offset):
            return stream
        if stream.status == 200:
            arrived.restart()
            return stream
        with stream:
            if stream.status in (206, 416):
                arrived.restart()
                raise _Broken("the cache does not continue where the connection broke")
            answer = Answer("GET", without_secrets(location), stream.status, stream.headers, stream.read())
        raise self._refused(answer, wanted)

    def _stream(self, location: str, headers: dict[str, str]) -> Stream:
        origin = origin_of(location)
        try:
            return self._transport(origin).stream("GET", _target(location), headers=headers, expect=ANSWERED)
        except Failure as failure:
            raise self._explained(failure, origin) from None

    # What the cache has

    def _look(self, wanted: Wanted) -> Pulled:
        moment = self._clock()
        origin = min(self._origins)
        path = f"{origin}/v2/{wanted.repository}/blobs/{wanted.blob.digest}"
        return Pulled(None, self._answers(path, wanted.blob), 0, moment, moment)

    def _answers(self, location: str, blob: images.Blob) -> bool | None:
        """Whether the cache answers a request for the blob without the signature.

        It can do that only from its own storage, since DTR refuses what is not signed. Where a refusal may mean
        something else, C(_tells_what_it_has) finds it out.
        """
        origin = origin_of(location)
        path = _target(without_secrets(location))
        try:
            answer = self._transport(origin).request(
                "HEAD", path, headers={"Accept": "*/*"}, expect=frozenset(range(200, 600))
            )
        except Failure as failure:
            raise self._explained(failure, origin) from None
        if answer.status in (401, 403, 404):
            return False
        length = answer.headers.get("Content-Length")
        to_backend = answer.status in (302, 307)
        return True if to_backend or (answer.status == 200 and length == str(blob.size)) else None

    def _tells_what_it_has(self, done: t.Mapping[Wanted, Pulled]) -> bool:
        """Whether unsigned answers tell what the cache has: they must, for a blob that just came through it."""
        through = {wanted: pulled for wanted, pulled in done.items() if pulled.elsewhere is None}
        if not through or any(pulled.answered_before for pulled in through.values()):
            return bool(through)
        try:
            return self._look(next(iter(through))).answered_before is True
        except Failure:
            return False

    # Failures in words

    def _elsewhere(self, location: str | None) -> str | None:
        if location is None:
            return _DTR_ITSELF
        origin = origin_of(location)
        return None if origin in self._origins else str(origin)

    def _stray(self, image: Image, done: t.Mapping[str, Pulled]) -> Failure | None:
        """The failure of an image of which something does not come through the cache."""
        stray = {blob: place for blob in image.blobs for place in [done[blob.digest].elsewhere] if place}
        layers = [blob for blob in image.blobs if not blob.is_config]
        # Whether DTR sends to the cache for configurations is not documented: layers that come through it are enough.
        if not stray or (layers and all(blob.is_config for blob in stray)):
            return None
        return Failure(
            NOT_THROUGH_CACHE,
            f"{len(stray)} of {len(image.blobs)} blobs of {image.name} do not come through the cache {self._cache} "
            f"({', '.join(sorted(map(str, self._origins)))}): {' and '.join(map(_way, sorted(set(stray.values()))))}.",
            hint=_SENT_BACK_HINT if _DTR_BY_THE_CACHE in stray.values() else None,
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

    def trouble(self) -> str | None:
        """Why the cache cannot be used from here, with what to do, or C(None) where it answers."""
        origin = min(self._origins)
        try:
            self._transport(origin).request("GET", "/v2/", expect=ANSWERED)
        except Failure as failure:
            return str(self._explained(failure, origin).as_result()["msg"])
        return None

    def _named(self, origin: Origin) -> str:
        kind = "Cache" if origin in self._origins else "The storage backend of cache"
        return f"{kind} {self._cache} ({origin})"

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
            f"Cache {self._cache} answered {status_text(answer.status)} for {wanted.blob.digest} of "
            f"{wanted.repository}, for which DTR sent there.",
            http_status=answer.status,
            url=answer.url,
            hint=hint,
        )

    def _explained(self, failure: Failure, origin: Origin) -> Failure:
        """A failure of the connection to the cache with a hint that fits this edge, and not the one to DTR."""
        if failure.code == "TLS_UNKNOWN_AUTHORITY":
            failure.hint = (
                "Give the CA that signed the cache's certificate as cache_ca_certificate (dtr_cache_ca_certificate of "
                "the roles). Docker Engines need it in the folder of DTR's host name below /etc/docker/certs.d."
            )
        elif failure.code in ("CONNECTION_FAILED", "TIMEOUT"):
            failure.hint = f"Check that the cache runs, and that this machine reaches {origin}."
        elif failure.http_status in (502, 503, 504):
            failure.hint = (
                "The cache could not get the blob: look at its log, whether it reaches and trusts its upstream, and "
                "whether its storage is full."
            )
        failure.message = f"{self._named(origin)}: {failure.message}"
        return failure

    def _damaged(self, wanted: Wanted, arrived: _Arrived) -> Failure:
        return Failure(
            "DIGEST_MISMATCH",
            f"Cache {self._cache} sent something else than {wanted.blob.digest} of {wanted.repository}: "
            f"{arrived.offset} bytes with the digest {arrived.digest} where {wanted.blob.size} bytes were expected.",
            hint="The cache's storage is damaged, or something on the way changes answers.",
        )

    # Connections

    def _hopeless(self, failure: Failure) -> bool:
        with self._lock:
            down = any(transport.down for transport in self._transports.values())
        return down or failure.code in STOPS_ALL or failure.code.startswith("TLS_")

    def _transport(self, origin: Origin) -> Transport:
        with self._lock:
            if origin not in self._transports:
                self._transports[origin] = self._connect(str(origin), origin in self._origins)
            return self._transports[origin]


def registered_origins(cache: str, caches: t.Sequence[ContentCache]) -> list[Origin]:
    """The addresses of a cache that is given by its name in DTR or by its URL.

    Raises:
        Failure: C(NO_SUCH_CONTENT_CACHE) when DTR knows no cache of this name or address.
    """
    by_name = [origin_of(each.host) for each in caches if each.name == cache]
    if by_name:
        return list(dict.fromkeys(by_name))
    if "://" in cache:
        origin = origin_of(cache)
        if any(origin_of(each.host) == origin for each in caches):
            return [origin]
    known = ", ".join(sorted(f"{each.name} ({each.host})" for each in caches)) or "none"
    raise Failure(
        "NO_SUCH_CONTENT_CACHE",
        f"DTR knows no content cache {cache}; it knows: {known}.",
        hint="Register it with dtr.cache.content_caches, or correct the name.",
    )


def likely_cause(
    account: str,
    setting: str | None,
    caches: t.Sequence[ContentCache],
    origins: t.Sequence[Origin],
    trouble: t.Callable[[], str | None] = lambda: None,
) -> str:
    """Why an account's blobs do not come through a cache, judged by the account's setting in DTR.

    Args:
        account: The account that pulls.
        setting: The id of the cache it is assigned to, or C(None).
        caches: All caches that DTR knows.
        origins: The addresses of the cache that was expected.
        trouble: Why that cache cannot be used, as C(Puller.trouble) tells; asked where the setting is right.
    """
    another = "with dtr.cache.cache_assignments, or name an account that is."
    if setting is None:
        return f"Account {account} is not assigned to any cache: assign it {another}"
    lost = lost_cache(account, setting, caches)
    if lost:
        return lost
    assigned = next(cache for cache in caches if cache.id == setting)
    if origin_of(assigned.host) not in origins:
        where = f"{assigned.name} ({assigned.host})"
        return f"Account {account} is assigned to the cache {where}: assign it to this one {another}"
    down = trouble()
    if down:
        told = f"Account {account} is assigned to the cache {assigned.name}"
        return f"{told}, and DTR may step in for a cache that is down. {down}"
    return (
        f"Account {account} is assigned to the cache {assigned.name}, which answers from here, and DTR still serves "
        f"the blobs another way: check that DTR's own nodes reach {assigned.host}, since DTR may step in for a cache "
        "that it takes for down, that url names DTR itself, and that the setting was not changed a moment ago."
    )


def lost_cache(account: str, setting: str | None, caches: t.Sequence[ContentCache]) -> str | None:
    """What to do about an account whose cache no longer exists, or C(None) where it does.

    What DTR makes of its pulls is not documented: it may serve blobs itself, send to where the cache was, or refuse.
    """
    if setting is None or any(cache.id == setting for cache in caches):
        return None
    return (
        f"Account {account} is assigned to a cache that no longer exists (id {setting}): assign it anew with "
        "dtr.cache.cache_assignments."
    )


def merged(reports: t.Sequence[Report]) -> Report:
    """What several pulls of the same images did together, such as one by each address: the rows are the first one's."""
    first = reports[0]
    sums = {
        name: round(sum(report.transferred[name] for report in reports), 3) for name in ("blobs", "bytes", "seconds")
    }
    return first._replace(transferred={**first.transferred, **sums}, brought=any(report.brought for report in reports))


def by_all_addresses(
    pull_by: t.Callable[[str | None], Report], cache: str, addresses: t.Sequence[str], replicas: int, passes: int
) -> tuple[Report, list[str]]:
    """Pull until each replica of a cache should have all: by each of its addresses, several times behind one.

    Args:
        pull_by: Pulls by one address of the cache, over new connections, or by its name with C(None).
        cache: Its name for messages.
        addresses: Those of its name, where they are known.
        replicas: How many there are, as far as they do not share their storage.
        passes: The most pulls behind one address, where there are fewer addresses than replicas.

    Returns:
        What was done in all, and warnings about replicas that may lack something.
    """
    done: list[Report] = []
    closed: list[Report] = []
    warnings: list[str] = []
    again = passes if replicas > max(1, len(addresses)) else 1
    ways: list[str | None] = [*addresses] or [None]
    for address in ways:
        report: Report | None = None
        for _each in range(again):
            before, report = report, pull_by(address)
            if address and report.failures and all(each.code in _CLOSED for each in report.failures.values()):
                closed.append(report)
                reason = next(iter(report.failures.values())).message
                warnings.append(f"{cache} was not reached at {address}, and what is there got nothing: {reason}")
                report = None
                break
            done.append(report)
            if report.failures:
                return merged([report, *done[:-1]]), warnings
            if before and not report.brought:
                break
        if again > 1 and report and (report.brought or report.transferred["cached_blobs"] is None):
            where = f"its address {address}" if address else "one address"
            warnings.append(
                f"{cache} has {replicas} replicas, and several behind {where}. Whether each of them has everything "
                f"cannot be told after {again} pulls: pull again, or let the replicas share their storage."
            )
    return merged(done or closed), warnings


def failure_of_report(report: Report, cache: str) -> Failure | None:
    """One failure for all images that failed, with the rows of all images in its result."""
    if not report.failures:
        return None
    failures = list(report.failures.values())
    tried = [each for each in failures if each.code != NOT_TRIED] or failures
    message, hint = tried[0].message, tried[0].hint
    if len(report.pulls) > 1:
        sentences = dict.fromkeys(each.as_result()["msg"] for each in tried)
        message = f"{len(failures)} of {len(report.pulls)} images failed to come through {cache}. {' '.join(sentences)}"
        hint = None
    return Failure(
        tried[0].code,
        message,
        http_status=tried[0].http_status,
        url=tried[0].url,
        hint=hint,
        **result_of(report),
    )


def result_of(report: Report) -> dict[str, t.Any]:
    """The module's result."""
    return {"changed": report.brought, "pulls": report.pulls, "transferred": report.transferred}


def diff_of(report: Report) -> dict[str, str]:
    """What the cache had and has, one line for each image."""
    before, after = (
        "".join(f"{row['image']}: {count(row)} of {row['blobs']} blobs cached\n" for row in report.pulls)
        for count in (lambda row: _told(row["cached_before"]), lambda row: row["blobs"])
    )
    return {"before": before, "after": after if report.brought else before}


def _told(count: int | None) -> str:
    return "unknown number" if count is None else str(count)


def _sizes(wanted: t.Sequence[Wanted], done: t.Mapping[Wanted, Pulled]) -> dict[str, int | None]:
    """How much was wanted, and how much of it the cache had before, which is nothing where it does not tell."""
    whole = sum(item.blob.size for item in wanted)
    through = {wanted: pulled for wanted, pulled in done.items() if pulled.elsewhere is None}
    if not through or any(pulled.answered_before is None for pulled in through.values()):
        return {"wanted_bytes": whole, "cached_blobs": None, "cached_bytes": None}
    sizes = [wanted.blob.size for wanted, pulled in through.items() if pulled.answered_before]
    return {"wanted_bytes": whole, "cached_blobs": len(sizes), "cached_bytes": sum(sizes)}


def _wanted(resolved: t.Iterable[Image]) -> list[Wanted]:
    """Each blob once, in the order of the images."""
    first: dict[str, Wanted] = {}
    for image in resolved:
        for blob, repository in image.blobs.items():
            first.setdefault(blob.digest, Wanted(blob, repository))
    return list(first.values())


def _first_failure(image: Image, failed: t.Mapping[str, Failure]) -> Failure | None:
    failures = [failed[blob.digest] for blob in image.blobs if blob.digest in failed]
    return next((each for each in failures if each.code != NOT_TRIED), failures[0] if failures else None)


def _row(image: Image, done: t.Mapping[str, Pulled], tells: bool) -> dict[str, t.Any]:
    """An image's row in the result. Sizes are the image's own, also where a blob was read for another image."""
    pulled = {blob: done[blob.digest] for blob in image.blobs if blob.digest in done}
    through = [each for each in pulled.values() if each.elsewhere is None]
    told = tells and bool(through) and all(each.answered_before is not None for each in through)
    seconds = max((each.ended for each in pulled.values()), default=0) - min(
        (each.began for each in pulled.values()), default=0
    )
    failure = image.failure
    return {
        "image": image.name,
        "digest": image.digest,
        "blobs": len(image.blobs),
        "bytes": sum(blob.size for blob in image.blobs),
        "foreign_layers": image.foreign,
        "seconds": round(image.seconds + seconds, 3),
        "via_cache": failure is None,
        "cached_before": sum(1 for each in through if each.answered_before) if told else None,
        "elsewhere": [
            {"digest": blob.digest, "source": each.elsewhere} for blob, each in pulled.items() if each.elsewhere
        ],
        "failure": failure.as_result()["failure"] if failure else None,
    }


def _target(location: str) -> str:
    """Path and query of a URL, as they came: the query holds the signature."""
    parts = urlsplit(location)
    return urlunsplit(("", "", parts.path or "/", parts.query, ""))


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
    told: list[_T] = []

    def answer() -> _T:
        with lock:
            if not told:
                told.append(ask())
            return told[0]

    return answer


def _begins_at(stream: Stream, offset: int) -> bool:
    found = _CONTENT_RANGE.match(stream.headers.get("Content-Range") or "")
    return found is not None and int(found.group(1)) == offset
