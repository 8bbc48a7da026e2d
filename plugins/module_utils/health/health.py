# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is a content cache healthy? Its trust edges and its registration, judged from one machine.

The edge from the cache to DTR is looked at through the cache: asked for a blob that cannot exist, it has to go to its
upstream, and its answer tells whether it got there.
"""

from __future__ import annotations

import functools
import json
import queue
import ssl
import threading
import time
import typing as t

from ..common.concurrency import fan_out
from ..common.failure import Failure
from ..common.urls import origin_of
from ..dtr.model import ContentCache
from ..http.responses import status_text
from ..logs import causes as log_causes
from .checks import (
    CACHE_TO_DTR,
    CLIENT_TO_CACHE,
    CLIENT_TO_DTR,
    Check,
    likely_cause,
)
from .probes import (
    Endpoint,
    Look,
    Question,
    Seen,
    Words,
    look_at,
)

if t.TYPE_CHECKING:
    from cryptography import x509

# A connection, a handshake or an answer that takes longer is broken for whoever pulls, too.
STEP_SECONDS = 10.0
# A cache may wait for its own connection to an upstream before it answers.
_STEPS_TO_UPSTREAM = 2
# Between two looks while waiting.
_PAUSE_SECONDS = 2.0
# Accounts that a message names.
_NAMED = 10
# Caches that are asked for a layer, or whose accounts are looked at, at a time: each is a few requests to the one DTR.
_CONCURRENCY = 16
_NO_BLOB = f"/v2/dtr-cache-health/probe/blobs/sha256:{'0' * 64}"
LOG_HINT = "The cache's log names the reason: dtr.cache.cache_logs_info reads it."

_CACHE_WORDS = Words(
    server="the cache",
    not_running=(
        "Check that the cache's service runs and publishes this port; a cache whose configuration, certificate or key "
        "is wrong ends right after its start, and its log says so."
    ),
    trust="by ca_path or ca_certificate of the cache in this task, and on every Docker client",
    chain_file="the cache's certificate file (dtr_cache_certificate)",
    renew="Renew the cache's certificate, and let the cache take it up (playbook dtr.cache.rotate).",
    name="Use a host name that the certificate covers, or have the cache's certificate issued for this one.",
    other_certificate=(
        "The replicas run with an older secret, or something else answers at this address: run dtr.cache.deploy or "
        "dtr.cache.rotate with the certificate that is wanted, and look at what stands before the cache."
    ),
    client_certificate="Take clientcas out of the cache's configuration (http.tls): Docker clients send it none.",
)
_DTR_WORDS = Words(
    server="DTR",
    not_running="Check host and port of url, and that DTR runs.",
    trust="by ca_path or ca_certificate; dtr.cache.registry_ca_info fetches DTR's CA",
    chain_file="DTR's certificate (settings of DTR, domain and proxies)",
    renew="Renew DTR's certificate in the settings of DTR.",
    name="Use a host name that DTR's certificate covers, or have it issued for this one.",
    client_certificate="Set client_cert and client_key to a certificate signed by the CA that DTR trusts for clients.",
)


class Cache(t.NamedTuple):
    """A cache to look at.

    Args:
        name: Its name in DTR.
        url: Where clients reach it.
        trust: Verifies what its clients verify.
        anchors: The CAs in C(trust) that are known.
        min_days: How long its certificate has to be valid, where that differs from what all others have to.
        certificate: The fingerprint of the certificate that it should have, when it is known.
        published: The ports that its stack publishes: none when there is no such stack, C(None) when that is not known.
        pull: How it is asked for a blob as an assigned account does.
        dangling: Lists those of its own accounts whose cache is gone; without it those of the whole DTR count.
    """

    name: str
    url: str
    trust: ssl.SSLContext | None
    anchors: t.Sequence[x509.Certificate] = ()
    min_days: int | None = None
    certificate: str | None = None
    published: t.Sequence[int] | None = None
    pull: Pull | None = None
    dangling: t.Callable[[], list[str]] | None = None


class Pull(t.NamedTuple):
    """Asking a cache for a blob as one of its accounts.

    Args:
        log_in: What has to be made for that, in DTR as well, by requests that each end after a step. It is called until
            it succeeds once, and never left behind, since what was made has to be removed.
        look: Asks at the URL that it is given. It leaves nothing behind.
    """

    log_in: t.Callable[[], None]
    look: t.Callable[[str], Check]


class Dtr(t.NamedTuple):
    """The DTR behind the caches.

    C(content_caches) lists what it has registered, C(read_only) tells whether nobody can push, C(dangling) lists the
    accounts whose cache is gone; each is C(None) when nobody may ask it, or is to.
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
    look: Look | None = None
    look_at_dtr: Look | None = None

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong."""
        return all(check.ok for check in self.checks)

    @property
    def serves(self) -> bool:
        """Whether nothing keeps a client of the cache from getting an answer; what the cache gets of DTR is no part."""
        return all(check.ok or check.harmless for check in self.checks if check.edge == CLIENT_TO_CACHE)

    def row(self) -> dict[str, t.Any]:
        """The cache's part of the module's result."""
        look = self.look
        return {
            "name": self.cache.name,
            "url": self.cache.url,
            "healthy": self.healthy,
            "serves": self.serves,
            "checks": [check.row() for check in self.checks],
            "certificate": look.certificate if look else None,
            "days_left": look.days_left if look else None,
            "seconds": {
                CLIENT_TO_CACHE: look.seconds if look else None,
                CACHE_TO_DTR: look.times.get(_NO_BLOB) if look else None,
                CLIENT_TO_DTR: self.look_at_dtr.seconds if self.look_at_dtr else None,
            },
        }


def unverified() -> ssl.SSLContext:
    """A context that verifies nothing: only certificates and public answers are read with it, no secret is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def examine(
    caches: t.Sequence[Cache], dtr: Dtr | None, *, min_days: int, timeout: float, wait: bool
) -> list[Condition]:
    """Look at all caches side by side; with C(wait) again and again at those that are not healthy.

    Args:
        caches: The caches, with different names.
        dtr: Their DTR, if the edges that end there are to be judged.
        min_days: Certificates have to be valid for so many more days.
        timeout: Seconds after which there is an answer in any case, with what was found by then.
        wait: Whether to look until all are healthy, or the time is over.
    """
    end = time.monotonic() + timeout
    latest: dict[str, Condition] = {}
    logins: dict[str, Failure | None] = {}
    while True:
        left = [cache for cache in caches if cache.name not in latest or not latest[cache.name].healthy]
        began = time.monotonic()
        found = _examine_once(left, dtr, min_days, max(0.1, end - began), logins)
        # What the last look had no time for is better told by the look before it.
        step = _step(end - began)
        short = step < _step(timeout) and time.monotonic() - began >= step
        latest.update(
            {
                name: each
                for name, each in found.items()
                if name not in latest or each.healthy or not (short and _timed_out(each))
            }
        )
        healthy = all(condition.healthy for condition in latest.values())
        if healthy or not wait or time.monotonic() + _PAUSE_SECONDS >= end:
            return [latest[cache.name] for cache in caches]
        time.sleep(_PAUSE_SECONDS)


def _step(seconds: float) -> float:
    """The time of a step when there are so many seconds for all."""
    return min(STEP_SECONDS, max(0.1, round(seconds, 1)))


def _timed_out(condition: Condition) -> bool:
    return any(
        check.check == "finished" or " within " in check.detail or " no answer after " in check.detail
        for check in condition.checks
        if not check.ok
    )


def _examine_once(
    caches: t.Sequence[Cache],
    dtr: Dtr | None,
    min_days: int,
    seconds: float,
    logins: dict[str, Failure | None],
) -> dict[str, Condition]:
    end = time.monotonic() + seconds
    step = _step(seconds)
    tasks: dict[str, t.Callable[[], t.Any]] = {
        f"cache {cache.name}": functools.partial(look_at, cache_endpoint(cache, min_days, seconds), step)
        for cache in caches
    }
    if dtr is not None:
        tasks["DTR"] = functools.partial(look_at, dtr_endpoint(dtr, min_days, step), step)
        asked = {"registrations": dtr.content_caches, "read_only": dtr.read_only, "dangling": dtr.dangling}
        tasks.update({name: functools.partial(_or_failure, ask) for name, ask in asked.items() if ask is not None})
        tasks.update(
            {
                f"dangling {cache.name}": functools.partial(_or_failure, cache.dangling)
                for cache in caches
                if cache.dangling is not None
            }
        )
    results = side_by_side(tasks, seconds)
    late = Failure("TIMEOUT", f"There is no answer after {seconds:.0f} seconds.", hint="Raise timeout.")
    for name in tasks:
        if name in ("registrations", "dangling") or name.startswith("dangling "):
            results.setdefault(name, late)
    to_dtr = _of_dtr(dtr, results.get("DTR"), seconds)
    answers = all(check.ok or check.harmless for check in to_dtr)
    conditions = {}
    for cache in caches:
        look: Look | None = results.get(f"cache {cache.name}")
        checks = list(look.checks) if look else [_unfinished(CLIENT_TO_CACHE, cache.url, seconds)]
        if cache.published is not None:
            checks.append(_deployment(cache, cache.published))
        checks += to_dtr
        if answers:
            checks += _read_only(results.get("read_only"))
            checks += _assignments(results.get(f"dangling {cache.name}", results.get("dangling")))
        if answers and results.get("registrations") is not None:
            checks.append(_registration(cache, results["registrations"]))
        conditions[cache.name] = Condition(cache, checks, look, results.get("DTR"))
    for name, check in _pulls(conditions, late, end, step, logins).items():
        conditions[name].checks.append(check)
    return {name: each._replace(checks=_without_follow_ups(each.checks)) for name, each in conditions.items()}


def _pulls(
    conditions: t.Mapping[str, Condition], late: Failure, end: float, step: float, logins: dict[str, Failure | None]
) -> dict[str, Check]:
    """What asking for a blob tells of the caches at which nothing else is wrong that a pull would meet.

    Args:
        conditions: What was found so far, by cache.
        late: What to tell where there is no time left.
        end: When there has to be an answer, by the monotonic clock.
        step: Seconds that one answer may take.
        logins: By cache, why the log-in failed that was tried, or C(None) where it did not; completed here.
    """
    asked = {
        name: each.cache.pull
        for name, each in conditions.items()
        if each.cache.pull and all(check.ok or check.harmless for check in each.checks)
    }
    found = {name: _bad(CACHE_TO_DTR, "pull", late.message.rstrip("."), late.hint) for name in asked}
    if end - time.monotonic() < step / 2:
        return found
    new = [name for name in asked if name not in logins or logins[name] is not None]
    outcome = fan_out(lambda name: asked[name].log_in(), new, _CONCURRENCY, lambda _failure: False)
    logins.update({**dict.fromkeys(outcome.done), **outcome.failed})
    for name in asked:
        failure = logins[name]
        if failure is not None:
            found[name] = _bad(CLIENT_TO_DTR, "pull", failure.message.rstrip("."), failure.hint)
    looks = {
        name: functools.partial(pull.look, conditions[name].cache.url)
        for name, pull in asked.items()
        if logins[name] is None
    }
    return {**found, **side_by_side(looks, max(0.0, end - time.monotonic()))}


def side_by_side(tasks: t.Mapping[str, t.Callable[[], t.Any]], seconds: float) -> dict[str, t.Any]:
    """The results of the tasks that end in time. A task that hangs, in name resolution for example, is left behind.

    Raises:
        Exception: What a task raised.
    """
    done: queue.SimpleQueue[tuple[str, t.Any, Exception | None]] = queue.SimpleQueue()

    def run(name: str, task: t.Callable[[], t.Any]) -> None:
        try:
            done.put((name, task(), None))
        except Exception as error:  # noqa: BLE001 (raised again in the thread of the caller)
            done.put((name, None, error))

    for name, task in tasks.items():
        threading.Thread(target=run, args=(name, task), daemon=True).start()
    end = time.monotonic() + seconds
    results: dict[str, t.Any] = {}
    while len(results) < len(tasks):
        try:
            name, result, error = done.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            break
        if error is not None:
            raise error
        results[name] = result
    return results


def cache_endpoint(cache: Cache, min_days: int, seconds: float) -> Endpoint:
    """What is to be looked at on a cache."""
    questions = (
        Question("/v2/", min(STEP_SECONDS, seconds), judge_api),
        Question(_NO_BLOB, min(_STEPS_TO_UPSTREAM * STEP_SECONDS, seconds), judge_upstream),
    )
    return Endpoint(
        CLIENT_TO_CACHE,
        cache.url,
        cache.trust,
        cache.anchors,
        _CACHE_WORDS,
        questions,
        min_days if cache.min_days is None else cache.min_days,
        unverified,
        cache.certificate,
    )


def dtr_endpoint(dtr: Dtr, min_days: int, seconds: float) -> Endpoint:
    """What is to be looked at on DTR."""
    questions = (Question("/_ping", seconds, judge_ping),)
    return Endpoint(CLIENT_TO_DTR, dtr.url, dtr.trust, dtr.anchors, _DTR_WORDS, questions, min_days, dtr.client_context)


def judge_api(seen: Seen | str) -> Check:
    """The answer to C(/v2/), which a cache gives to anybody: it is a Docker registry without accounts of its own."""
    if isinstance(seen, str):
        return _bad(CLIENT_TO_CACHE, "api", f"GET /v2/: {seen}", LOG_HINT)
    told = f"GET /v2/ answers {status_text(seen.status)}"
    is_registry = "docker-distribution-api-version" in seen.headers
    if seen.status == 200 and (is_registry or seen.body.strip() == b"{}"):
        return Check(CLIENT_TO_CACHE, "api", True, told)
    if seen.status == 401 and is_registry:
        return _bad(
            CLIENT_TO_CACHE,
            "api",
            f"{told}: this registry wants to know who asks, as DTR does and a cache does not",
            "Check that the URL is the cache's and not DTR's, and that the cache's configuration has no auth section.",
        )
    if seen.status in (500, 502, 503, 504):
        return _bad(CLIENT_TO_CACHE, "api", told, f"The cache, or a load balancer before it, is in trouble. {LOG_HINT}")
    return _bad(CLIENT_TO_CACHE, "api", f"{told}: this is no Docker registry", "Check host and port of the URL.")


def judge_upstream(seen: Seen | str) -> Check:
    """The answer for a blob that exists nowhere, asked for without a signature.

    That DTR refuses such a request is what is expected to come back. A cache that refuses by itself, which is not
    published of any version, looks the same; a pull with M(dtr.cache.cache_pull) leaves no doubt.
    """
    if isinstance(seen, str):
        return _bad(
            CACHE_TO_DTR,
            "upstream",
            f"asked for a blob that it does not have, the cache gives up: {seen}",
            f"Its way to the upstream may be blocked without a word: let firewalls pass the cache's node. {LOG_HINT}",
        )
    told = f"asked for a blob that it does not have, the cache answers {status_text(seen.status)}"
    if seen.status in (401, 403, 404):
        return Check(CACHE_TO_DTR, "upstream", True, f"{told}, as its upstream should")
    # The registry writes into some of its answers what else is only in its log.
    cause = log_causes.of_line(seen.body.decode("utf-8", "replace"), fatal=False) if seen.status >= 500 else None
    if cause is not None:
        return _bad(CACHE_TO_DTR, "upstream", f"{told}: {cause.summary}", cause.hint)
    if seen.status in (502, 503, 504):
        return _bad(
            CACHE_TO_DTR,
            "upstream",
            f"{told}: it gets nothing from its upstream",
            "Check from the cache's node that DTR's name, port and certificate are as upstreams and cas of its "
            f"configuration say. {LOG_HINT}",
        )
    if seen.status == 500:
        return _bad(CACHE_TO_DTR, "upstream", told, f"Its storage may be full or not writable. {LOG_HINT}")
    return _bad(
        CACHE_TO_DTR, "upstream", f"{told}, as no content cache does", "Check that the URL is a content cache's."
    )


def judge_ping(seen: Seen | str) -> Check:
    """The answer to C(/_ping): C({"Error", "Healthy"}) with 200 or 503."""
    if isinstance(seen, str):
        return _bad(CLIENT_TO_DTR, "api", f"GET /_ping: {seen}", "Look at DTR's log.")
    told = f"GET /_ping answers {status_text(seen.status)}"
    try:
        document = json.loads(seen.body)
    except ValueError:
        document = None
    fields = {key.lower(): value for key, value in document.items()} if isinstance(document, dict) else {}
    if seen.status == 200 and fields.get("healthy", "healthy" not in fields and bool(fields)):
        return Check(CLIENT_TO_DTR, "api", True, told)
    if "healthy" in fields or "error" in fields:
        reason = str(fields.get("error") or "no reason given").strip().rstrip(".")
        return _bad(CLIENT_TO_DTR, "api", f"{told}: DTR says that it is not healthy ({reason})", "Mend DTR first.")
    if seen.status in (500, 502, 503, 504):
        return _bad(CLIENT_TO_DTR, "api", told, "DTR, or the load balancer before it, is in trouble: mend that first.")
    return _bad(CLIENT_TO_DTR, "api", f"{told}, as no DTR does", "Check that url is the address of DTR.")


_Answer = t.TypeVar("_Answer")


def _or_failure(ask: t.Callable[[], _Answer]) -> _Answer | Failure:
    try:
        return ask()
    except Failure as failure:
        return failure


def _of_dtr(dtr: Dtr | None, look: Look | None, seconds: float) -> list[Check]:
    if dtr is None:
        return []
    return list(look.checks) if look else [_unfinished(CLIENT_TO_DTR, dtr.url, seconds)]


def _read_only(read_only: bool | Failure | None) -> list[Check]:
    """What DTR tells administrators of itself, as far as it was asked and told."""
    if read_only is True:
        hint = (
            "If nobody is at work on DTR, switch the read-only mode off in its settings. Images can be pulled, but not "
            "pushed."
        )
        return [_bad(CLIENT_TO_DTR, "read_only", "DTR is in read-only mode", hint, harmless=True)]
    return [Check(CLIENT_TO_DTR, "read_only", True, "DTR takes pushes")] if read_only is False else []


def _assignments(dangling: list[str] | Failure | None) -> list[Check]:
    """What the accounts' settings lead to, as far as it was asked."""
    if dangling is None:
        return []
    if isinstance(dangling, Failure):
        message = f"the accounts' settings cannot be read: {dangling.message.rstrip('.')}"
        return [_bad(CLIENT_TO_DTR, "assignments", message, dangling.hint)]
    if not dangling:
        return [Check(CLIENT_TO_DTR, "assignments", True, "no account is assigned to a cache that is gone")]
    named = ", ".join(dangling[:_NAMED]) + (f" and {len(dangling) - _NAMED} more" if len(dangling) > _NAMED else "")
    return [
        _bad(
            CLIENT_TO_DTR,
            "assignments",
            f"assigned to a cache that no longer exists: {named}",
            "Assign them to a cache that exists, or to local, with dtr.cache.cache_assignments.",
        )
    ]


def _deployment(cache: Cache, published: t.Sequence[int]) -> Check:
    """Whether the Swarm publishes the cache where clients look for it."""
    port = origin_of(cache.url).port
    if not published:
        return _bad(
            CLIENT_TO_CACHE,
            "deployment",
            "the Swarm has no stack that publishes this cache",
            "Deploy it with dtr.cache.deploy; or, when it is not wanted any more, take it out of DTR with "
            "dtr.cache.remove.",
            harmless=True,
        )
    if port not in published:
        return _bad(
            CLIENT_TO_CACHE,
            "deployment",
            f"clients are sent to port {port}, and the stack publishes {', '.join(map(str, published))}",
            "Set dtr_cache_port to the port that clients are to use, and run dtr.cache.deploy.",
            harmless=True,
        )
    return Check(CLIENT_TO_CACHE, "deployment", True, f"the stack publishes port {port}")


def _registration(cache: Cache, registered: list[ContentCache] | Failure) -> Check:
    """Whether DTR sends the cache's accounts to the address that was looked at."""
    if isinstance(registered, Failure):
        message = f"the registered caches cannot be read: {registered.message.rstrip('.')}"
        return _bad(CLIENT_TO_DTR, "registration", message, registered.hint)
    hosts = [each.host for each in registered if each.name == cache.name]
    if not hosts:
        return _bad(
            CLIENT_TO_DTR,
            "registration",
            f"DTR has no content cache named {cache.name}",
            "Register it with dtr.cache.content_caches.",
        )
    if len(hosts) > 1:
        return _bad(
            CLIENT_TO_DTR,
            "registration",
            f"DTR has {len(hosts)} content caches named {cache.name}: {', '.join(hosts)}",
            "dtr.cache.content_caches leaves one of them, and moves the accounts of the others.",
        )
    if not _same_server(hosts[0], cache.url):
        return _bad(
            CLIENT_TO_DTR,
            "registration",
            f"DTR sends to {hosts[0]}, which is not {cache.url}",
            "Correct the URL in this task, or register the right one with dtr.cache.content_caches.",
        )
    others = [each.name for each in registered if each.name != cache.name and _same_server(each.host, cache.url)]
    also = f", as is {', '.join(others)}" if others else ""
    return Check(CLIENT_TO_DTR, "registration", True, f"{cache.name} is registered as {hosts[0]}{also}")


def _same_server(one: str, other: str) -> bool:
    try:
        return origin_of(one) == origin_of(other)
    except Failure:
        return False


def _unfinished(edge: str, url: str, seconds: float) -> Check:
    return _bad(
        edge,
        "finished",
        f"there is no result for {url} after {seconds:.0f} seconds",
        "Raise timeout; if it stays so, check this machine's name resolution.",
    )


def _without_follow_ups(checks: list[Check]) -> list[Check]:
    """The checks, where what follows from a failed one has the hint to mend that one first."""
    failed = {(check.edge, check.check): check for check in checks if not check.ok}
    hints: dict[tuple[str, str], str] = {}
    if any((CLIENT_TO_DTR, check) in failed for check in ("tcp", "tls", "api", "finished")):
        hints[CACHE_TO_DTR, "upstream"] = "DTR does not answer this machine either: mend that first, and look again."
    other = failed.get((CLIENT_TO_CACHE, "certificate"))
    if other and other.hint:
        hints.update({(CLIENT_TO_CACHE, check): other.hint for check in ("validity", "chain", "host_name")})
    here, there = failed.get((CLIENT_TO_CACHE, "clock")), failed.get((CLIENT_TO_DTR, "clock"))
    if here and there and _direction(here) == _direction(there):
        hints[CLIENT_TO_CACHE, "clock"] = hints[CLIENT_TO_DTR, "clock"] = (
            "Cache and DTR agree on that: set this machine's clock right (NTP)."
        )
    elif here:
        hints[CACHE_TO_DTR, "upstream"] = (
            "Set the clock of the cache's node right first, and look again: the cache judges DTR's certificate by it."
        )
        if any(check.edge == CLIENT_TO_DTR and check.check == "api" and check.ok for check in checks) and not there:
            hints[CLIENT_TO_CACHE, "clock"] = (
                "DTR's clock agrees with this machine's: set that of the cache's node (NTP)."
            )
    return [
        check if check.ok else check._replace(hint=hints.get((check.edge, check.check), check.hint)) for check in checks
    ]


def _direction(clock: Check) -> bool:
    return " ahead of " in clock.detail


def _bad(edge: str, check: str, detail: str, hint: str | None, *, harmless: bool = False) -> Check:
    return Check(edge, check, False, f"{detail}.", hint, harmless)


def verdict(conditions: t.Sequence[Condition]) -> str | None:
    """One sentence or more for each cache that is not healthy, or C(None) when all are."""
    sentences = []
    for condition in conditions:
        cause = likely_cause(condition.checks)
        if cause is None:
            continue
        more = sum(1 for check in condition.checks if not check.ok) - 1
        text = f"{condition.cache.name}: {cause.edge}, {cause.check}: {cause.detail}"
        text += f" {cause.hint}" if cause.hint else ""
        sentences.append(text + (f" ({more} more checks failed)" if more else ""))
    if not sentences:
        return None
    return f"{len(sentences)} of {len(conditions)} caches are not healthy. {' '.join(sentences)}"
