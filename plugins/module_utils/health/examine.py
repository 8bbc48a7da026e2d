# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Examine content caches from one machine: their trust edges, their registration, their accounts, a pull from each.

The edge from a cache to DTR is judged through the cache: asked for a blob that cannot exist, it may have to go to its
upstream, and a failure there shows. A pull with DTR's signature shows that the edge works.
"""

from __future__ import annotations

import functools
import ssl
import time
import typing as t

from ..common.concurrency import fan_out, side_by_side
from ..common.failure import Failure
from ..common.urls import origin_of, without_secrets
from ..common.vocabulary import DTR_CA, FETCH_CA, word
from ..dtr.model import ContentCache
from .checks import (
    CACHE_TO_DTR,
    CLIENT_TO_CACHE,
    CLIENT_TO_DTR,
    Check,
    bad,
    judge_api,
    judge_ping,
    judge_upstream,
    likely_cause,
    not_known,
    without_follow_ups,
)
from .probe import MOST_VISITS, Advice, Endpoint, Question, Report, probe, step_of
from .pull_check import PullCheck, PullReport

if t.TYPE_CHECKING:
    from cryptography import x509

# Between two rounds while waiting.
_PAUSE_SECONDS = 2.0
# Caches that are asked for a layer at a time: each is a few requests to the one DTR.
_CONCURRENCY = 16
# Accounts and addresses that a message names.
_NAMED_ACCOUNTS = 10
_NAMED_ADDRESSES = 6
# What fails at a server that is not the cache, or where there is none.
_NOT_THE_CACHE = ("tcp", "tls", "chain", "host_name", "api")
_NOT_REACHED = ("tcp", "tls")
_MESH = (
    "The port is published by Swarm's routing mesh. If the replicas run (docker stack ps), the mesh does not bring "
    "connections to them: every node needs IPVS in its kernel (module ip_vs), and ports 7946 (TCP and UDP) and 4789 "
    "(UDP) open to all other nodes. dtr_cache_publish_mode: host does without the mesh; clients then need the "
    "addresses of the cache's own nodes."
)
# A blob that exists nowhere: a cache has to ask its upstream for it, and may wait for its own connection there.
_QUESTIONS = (
    Question("/v2/", judge_api),
    Question(f"/v2/dtr-cache-health/probe/blobs/sha256:{'0' * 64}", judge_upstream, steps=2),
)


class Cache(t.NamedTuple):
    """A cache to check.

    Args:
        name: Its name in DTR.
        endpoint: The server to probe, at the URL that clients use.
        port: The port that its stack has to publish, where a load balancer or the like before it has another one.
        published: The ports that its stack publishes: none when there is no such stack, C(None) when that is not known.
        nodes: The addresses of the nodes of its Swarm, as far as they are known.
        pull: The pull of a layer as one of its accounts.
        dangling: Lists those of its own accounts whose cache is gone; without it those of the whole DTR count.
    """

    name: str
    endpoint: Endpoint
    port: int | None = None
    published: t.Sequence[int] | None = None
    nodes: t.Sequence[str] = ()
    pull: PullCheck | None = None
    dangling: t.Callable[[], list[str]] | None = None

    @property
    def url(self) -> str:
        """Return where clients reach it."""
        return self.endpoint.url


class Dtr(t.NamedTuple):
    """The DTR behind the caches.

    C(content_caches) lists the registered caches, C(read_only) says whether pushes are refused, C(dangling) lists the
    accounts whose cache is gone; each is C(None) when it may or should not be asked.
    """

    endpoint: Endpoint
    content_caches: t.Callable[[], list[ContentCache]] | None = None
    read_only: t.Callable[[], bool | None] | None = None
    dangling: t.Callable[[], list[str]] | None = None


def cache_endpoint(
    url: str, port: int | None, trust: ssl.SSLContext | None, anchors: t.Sequence[x509.Certificate] = (), **more: t.Any
) -> Endpoint:
    """Return the endpoint of a cache; C(port) is the one of its service, C(more) further fields."""
    public = origin_of(url).port
    if port in (None, public):
        not_running = (
            "Check that the cache's service runs and publishes this port; a cache whose configuration, certificate or "
            "key is wrong ends right after its start, and its log says so."
        )
    else:
        not_running = (
            f"Check that what stands before the cache listens on port {public} ({word('public port')}) and leads to "
            f"port {port} of the nodes. Where nothing stands there, clients use the cache's own port."
        )
    advice = Advice(
        server="the cache",
        not_running=not_running,
        trust=f"by {word('CA of a cache')}, and on every Docker client",
        chain_file="the cache's certificate file (dtr_cache_certificate)",
        renew="Renew the cache's certificate, and let the cache take it up (playbook dtr.cache.rotate).",
        name="Use a host name that the certificate covers, or have the cache's certificate issued for this one.",
        other_certificate=(
            "The replicas run with another secret, or something else answers at this address: run dtr.cache.deploy or "
            "dtr.cache.rotate with the certificate that is wanted, and check what stands before the cache."
        ),
        client_certificate="Take clientcas out of the cache's configuration (http.tls): Docker clients send it none.",
    )
    return Endpoint(CLIENT_TO_CACHE, url, trust, anchors, advice, _QUESTIONS, **more)


def dtr_endpoint(
    url: str, trust: ssl.SSLContext | None, anchors: t.Sequence[x509.Certificate] = (), **more: t.Any
) -> Endpoint:
    """Return the endpoint of DTR; C(more) are further fields."""
    advice = Advice(
        server="DTR",
        not_running=f"Check host and port of {word('url')}, and that DTR runs.",
        trust=f"by {word(DTR_CA)}{word(FETCH_CA)}",
        chain_file="DTR's certificate (settings of DTR, domain and proxies)",
        renew="Renew DTR's certificate in the settings of DTR.",
        name="Use a host name that DTR's certificate covers, or have it issued for this one.",
        client_certificate=(
            f"Set {word('client certificate')} to a certificate signed by the CA that DTR trusts for clients."
        ),
    )
    return Endpoint(CLIENT_TO_DTR, url, trust, anchors, advice, [Question("/_ping", judge_ping)], **more)


class Condition(t.NamedTuple):
    """What was found at one cache."""

    cache: Cache
    checks: list[Check]
    probed: Report | None = None
    probed_dtr: Report | None = None
    pulled: PullReport = PullReport([])

    @property
    def healthy(self) -> bool:
        """Return whether nothing is wrong, as far as it can be known."""
        return not any(check.failed for check in self.checks)

    @property
    def serves(self) -> bool:
        """Return whether a client gets an answer at one address of the cache at least; its upstream does not count."""
        failed = any(check.prevents_pulls for check in self.checks if check.edge == CLIENT_TO_CACHE)
        return not failed or any(each.ok for each in (self.probed.places if self.probed else ()))

    def row(self) -> dict[str, t.Any]:
        """Return the cache's part of the module's result."""
        probed = self.probed or Report([])
        pulled = {name: {"ok": False, "detail": detail} for name, detail in self.pulled.failed.items()}
        return {
            "name": self.cache.name,
            "url": self.cache.url,
            "healthy": self.healthy,
            "serves": self.serves,
            "checks": [check.row() for check in self.checks],
            "addresses": [{**each._asdict(), **pulled.get(each.address, {})} for each in probed.places],
            "certificate": probed.certificate,
            "days_left": probed.days_left,
            "seconds": {
                CLIENT_TO_CACHE: probed.seconds,
                # Of an answer without a signature it is not known whether the cache asked DTR.
                CACHE_TO_DTR: self.pulled.upstream_seconds,
                CLIENT_TO_DTR: self.probed_dtr.seconds if self.probed_dtr else None,
            },
        }


def verdict(conditions: t.Sequence[Condition]) -> str | None:
    """Return one sentence or more for each cache that is not healthy, or C(None) when all are."""
    sentences = []
    for condition in conditions:
        cause = likely_cause(condition.checks)
        if cause is None:
            continue
        more = sum(check.failed for check in condition.checks) - 1
        text = f"{condition.cache.name}: {cause.edge}, {cause.check}: {cause.detail}"
        text += f" {cause.hint}" if cause.hint else ""
        sentences.append(text + (f" ({more} more check{'s' if more > 1 else ''} failed)" if more else ""))
    if not sentences:
        return None
    if len(conditions) == 1:
        return f"The cache is not healthy. {sentences[0]}"
    return f"{len(sentences)} of {len(conditions)} caches are not healthy. {' '.join(sentences)}"


def examine(caches: t.Sequence[Cache], dtr: Dtr | None, *, timeout: float, wait: bool) -> list[Condition]:
    """Check all caches side by side; with C(wait) again and again those that are not healthy.

    Args:
        caches: The caches, with different names.
        dtr: Their DTR, if the edges that end there are to be judged.
        timeout: Seconds after which there is an answer in any case, with what was found by then.
        wait: Whether to check until all are healthy, or the time is over.
    """
    end = time.monotonic() + timeout
    latest: dict[str, Condition] = {}
    logins: dict[str, Failure | None] = {}
    while True:
        left = [cache for cache in caches if cache.name not in latest or not latest[cache.name].healthy]
        began = time.monotonic()
        found = _examine_once(left, dtr, max(0.1, end - began), logins)
        # A round without time for a step says less than the round before it.
        step = step_of(end - began)
        short = step < step_of(timeout) and time.monotonic() - began >= step
        for name, each in found.items():
            if name not in latest or each.healthy or not (short and _timed_out(each)):
                latest[name] = each
        healthy = all(condition.healthy for condition in latest.values())
        if healthy or not wait or time.monotonic() + _PAUSE_SECONDS >= end:
            return [latest[cache.name] for cache in caches]
        time.sleep(_PAUSE_SECONDS)


def _timed_out(condition: Condition) -> bool:
    return any(
        check.check == "finished" or " within " in check.detail or " no answer after " in check.detail
        for check in condition.checks
        if check.failed
    )


def _examine_once(
    caches: t.Sequence[Cache], dtr: Dtr | None, seconds: float, logins: dict[str, Failure | None]
) -> dict[str, Condition]:
    end = time.monotonic() + seconds
    late = Failure("TIMEOUT", f"There is no answer after {seconds:.0f} seconds.", hint=f"{word('more time')}.")
    results = _asked_side_by_side(caches, dtr, seconds, late)
    to_dtr: list[Check] = []
    if dtr is not None:
        probed = results.get("DTR")
        to_dtr = probed.checks if probed else [_unfinished(dtr.endpoint, seconds)]
    conditions = {}
    for cache in caches:
        probed = results.get(f"cache {cache.name}")
        checks = list(probed.checks) if probed else [_unfinished(cache.endpoint, seconds)]
        checks = with_addresses(cache, checks, probed, results.get("DTR"))
        if cache.published is not None:
            checks.append(deployment_check(cache, cache.published))
        checks += to_dtr
        if not any(check.prevents_pulls for check in to_dtr):
            checks += read_only_checks(results.get("read_only"))
            checks += assignment_checks(results.get(f"dangling {cache.name}", results.get("dangling")))
            checks += registration_checks(cache, results.get("registrations"))
        conditions[cache.name] = Condition(cache, checks, probed, results.get("DTR"))
    for name, pulled in _pulls(conditions, late, end, step_of(seconds), logins).items():
        # What was found with a signature says more than what was found without one.
        better = {(check.edge, check.check) for check in pulled.checks}
        kept = [check for check in conditions[name].checks if (check.edge, check.check) not in better]
        conditions[name] = conditions[name]._replace(checks=[*kept, *pulled.checks], pulled=pulled)
    return {name: each._replace(checks=without_follow_ups(each.checks)) for name, each in conditions.items()}


def _asked_side_by_side(caches: t.Sequence[Cache], dtr: Dtr | None, seconds: float, late: Failure) -> dict[str, t.Any]:
    """Probe caches and DTR, and ask DTR; a question without an answer in time has the failure C(late)."""
    probes = {f"cache {cache.name}": cache.endpoint for cache in caches}
    questions: dict[str, t.Callable[[], t.Any] | None] = {}
    if dtr is not None:
        probes["DTR"] = dtr.endpoint
        questions = {"registrations": dtr.content_caches, "read_only": dtr.read_only, "dangling": dtr.dangling}
        questions.update({f"dangling {cache.name}": cache.dangling for cache in caches})
    asked = {name: functools.partial(_or_failure, ask) for name, ask in questions.items() if ask is not None}
    probing = {name: functools.partial(probe, endpoint, seconds) for name, endpoint in probes.items()}
    results = side_by_side({**probing, **asked}, seconds)
    return {**{name: late for name in asked if name != "read_only"}, **results}


def _or_failure(ask: t.Callable[[], t.Any]) -> t.Any:
    try:
        return ask()
    except Failure as failure:
        return failure


def _unfinished(endpoint: Endpoint, seconds: float) -> Check:
    return bad(
        endpoint.edge,
        "finished",
        f"there is no result for {endpoint.url} after {seconds:.0f} seconds",
        f"{word('more time')}; if it stays so, check this machine's name resolution.",
    )


def _pulls(
    conditions: t.Mapping[str, Condition], late: Failure, end: float, step: float, logins: dict[str, Failure | None]
) -> dict[str, PullReport]:
    """Pull from each cache where nothing was found that prevents pulls.

    Args:
        conditions: What was found so far, by cache.
        late: What to report where there is no time left.
        end: When there has to be an answer, by the monotonic clock.
        step: Seconds that one answer may take.
        logins: By cache, why the log-in failed that was tried, or C(None) where it did not; completed here.
    """
    asked = {
        name: each.cache.pull
        for name, each in conditions.items()
        if each.cache.pull and not any(check.prevents_pulls for check in each.checks)
    }
    found = {name: PullReport([bad(CACHE_TO_DTR, "pull", late.message, late.hint)]) for name in asked}
    if end - time.monotonic() < step / 2:
        return found
    new = [name for name in asked if name not in logins or logins[name] is not None]
    outcome = fan_out(lambda name: asked[name].log_in(), new, _CONCURRENCY, lambda _failure: False)
    logins.update({**dict.fromkeys(outcome.done), **outcome.failed})
    pulls = {}
    for name, pull in asked.items():
        failure = logins[name]
        if failure is None:
            pulls[name] = functools.partial(pull.run, conditions[name].cache.url, _to_pull_at(conditions[name]))
        else:
            found[name] = PullReport([bad(CLIENT_TO_DTR, "pull", failure.message, failure.hint)])
    return {**found, **side_by_side(pulls, max(0.0, end - time.monotonic()))}


def _to_pull_at(condition: Condition) -> list[str]:
    """Return the addresses at which the cache answers, repeated where one has several replicas; none means its name."""
    addresses = [place.address for place in condition.probed.places if place.ok] if condition.probed else []
    replicas = condition.cache.endpoint.replicas or 1
    if len(addresses) < 2 and replicas < 2:
        return []
    return addresses * (min(2 * replicas, MOST_VISITS) if replicas > len(addresses) else 1)


def with_addresses(cache: Cache, checks: t.Sequence[Check], probed: Report | None, dtr: Report | None) -> list[Check]:
    """Name a host name that leads elsewhere, or the routing mesh, before the checks that fail because of it.

    A load balancer may stand before the nodes, or before caches and DTR together. So an address that is no node's, or
    DTR's own, is wrong only where no cache answers at it.
    """
    failed = {check.check for check in checks if check.prevents_pulls and check.edge == CLIENT_TO_CACHE}
    wrong = None
    if probed and probed.addresses and failed.intersection(_NOT_THE_CACHE):
        wrong = _is_dtr(cache, probed, dtr)
        if wrong is None and failed.intersection(_NOT_REACHED):
            wrong = _is_no_node(cache, probed)
    port = cache.port or origin_of(cache.url).port
    mesh = cache.endpoint.routed and (cache.published is None or port in cache.published)
    found = []
    for check in checks:
        if wrong is not None and (check.edge, check.check) == (wrong.edge, wrong.check):
            found.append(wrong)
        elif mesh and check.failed and check.edge == CLIENT_TO_CACHE and check.check in _NOT_REACHED:
            found.append(check._replace(hint=f"{_MESH} {check.hint}"))
        else:
            found.append(check)
    return found


def _is_dtr(cache: Cache, probed: Report, dtr: Report | None) -> Check | None:
    """Check whether the name leads to DTR: to its very port, or to a machine that is no node of the Swarm."""
    host, port = origin_of(cache.url).host, origin_of(cache.url).port
    shared = [address for address in probed.addresses if dtr and address in dtr.addresses]
    elsewhere = bool(cache.nodes) and not set(shared).intersection(cache.nodes)
    if dtr is None or not shared or not (port == dtr.port or elsewhere):
        return None
    return bad(
        CLIENT_TO_CACHE,
        "name_resolution",
        f"{host} is {', '.join(shared[:_NAMED_ADDRESSES])}, which is the address of DTR itself, and no cache answers "
        "there",
        f"Let the name {host} lead to the nodes of the cache, or to the load balancer before them, in DNS and in "
        "/etc/hosts.",
    )


def _is_no_node(cache: Cache, probed: Report) -> Check | None:
    """Check whether the name leads to no node of the Swarm."""
    if not cache.nodes or set(probed.addresses).intersection(cache.nodes):
        return None
    host = origin_of(cache.url).host
    return bad(
        CLIENT_TO_CACHE,
        "name_resolution",
        f"{host} is {', '.join(probed.addresses[:_NAMED_ADDRESSES])}, which is no node of the cache's Swarm "
        f"({_first(cache.nodes, _NAMED_ADDRESSES)}), and no cache answers there",
        "If a load balancer or an address translation stands there, check that it leads to the nodes; otherwise let "
        f"the name {host} lead to the nodes, in DNS and in /etc/hosts.",
    )


def _first(names: t.Sequence[str], most: int) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def deployment_check(cache: Cache, published: t.Sequence[int]) -> Check:
    """Check whether the Swarm publishes the cache where clients expect it."""
    wrong = functools.partial(bad, CLIENT_TO_CACHE, "deployment", harmless=True)
    public = origin_of(cache.url).port
    port = cache.port or public
    if not published:
        return wrong(
            "the Swarm has no stack that publishes this cache",
            "Deploy it with dtr.cache.deploy; or, when it is no longer needed, take it out of DTR with "
            "dtr.cache.remove.",
        )
    expected = f"clients are sent to port {public}"
    if port != public:
        expected += f", which what stands before the cache has to bring to port {port}"
    if port not in published:
        return wrong(
            f"{expected}, and the stack publishes {', '.join(map(str, published))}",
            "Set dtr_cache_port to the port that clients are to use, and run dtr.cache.deploy. Where a load balancer "
            "or an address translation has another port for them, dtr_cache_public_port is that one.",
        )
    detail = f"the stack publishes port {port}{f', and {expected}' if port != public else ''}"
    return Check(CLIENT_TO_CACHE, "deployment", True, detail)


def read_only_checks(read_only: bool | Failure | None) -> list[Check]:
    """Check whether DTR takes pushes, as far as it was asked and said so."""
    if read_only is True:
        hint = "Images can be pulled, but not pushed. Unless somebody works on DTR, end it in DTR's settings."
        return [bad(CLIENT_TO_DTR, "read_only", "DTR is in read-only mode", hint, harmless=True)]
    return [Check(CLIENT_TO_DTR, "read_only", True, "DTR takes pushes")] if read_only is False else []


def assignment_checks(dangling: list[str] | Failure | None) -> list[Check]:
    """Check whether the caches of all accounts exist, as far as that was asked."""
    if dangling is None:
        return []
    if isinstance(dangling, Failure):
        return _unread("assignments", "the accounts' settings cannot be read", dangling)
    if not dangling:
        return [Check(CLIENT_TO_DTR, "assignments", True, "no account is assigned to a cache that is gone")]
    detail = f"assigned to a cache that no longer exists: {_first(dangling, _NAMED_ACCOUNTS)}"
    hint = f"Assign them to a cache that exists, or to local, with {word('assign')}."
    return [bad(CLIENT_TO_DTR, "assignments", detail, hint)]


def registration_checks(cache: Cache, registered: list[ContentCache] | Failure | None) -> list[Check]:
    """Check whether DTR sends the cache's accounts to the address that was probed, as far as that was asked."""
    if registered is None:
        return []
    if isinstance(registered, Failure):
        return _unread("registration", "the registered caches cannot be read", registered)
    wrong = functools.partial(bad, CLIENT_TO_DTR, "registration")
    hosts = [without_secrets(each.host) for each in registered if each.name == cache.name]
    register = word("register")
    if not hosts:
        hint = f"Register it with {register}. If DTR refuses it there, it may not trust the cache's certificate."
        return [wrong(f"DTR has no content cache named {cache.name}", hint)]
    if len(hosts) > 1:
        detail = f"DTR has {len(hosts)} content caches named {cache.name}: {', '.join(hosts)}"
        return [wrong(detail, f"{register} leaves one of them, and moves the accounts of the others.")]
    if not _same_server(hosts[0], cache.url):
        hint = f"Correct {word('URL of the cache')}, or register the right one with {register}."
        return [wrong(f"DTR sends to {hosts[0]}, which is not {cache.url}", hint)]
    others = [each.name for each in registered if each.name != cache.name and _same_server(each.host, cache.url)]
    also = f", as is {', '.join(others)}" if others else ""
    return [Check(CLIENT_TO_DTR, "registration", True, f"{cache.name} is registered as {hosts[0]}{also}")]


def _unread(check: str, subject: str, failure: Failure) -> list[Check]:
    """Report that DTR did not answer: that is wrong, and the result of the check is not known."""
    message, hint = f"{subject}: {failure.message}", failure.hint
    unknown = not_known(CLIENT_TO_DTR, check, message, hint or "Check again when DTR answers.")
    return [unknown, bad(CLIENT_TO_DTR, "answers", message, hint)]


def _same_server(one: str, other: str) -> bool:
    try:
        return origin_of(one) == origin_of(other)
    except Failure:
        return False
