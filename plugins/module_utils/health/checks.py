# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of a cache: their results, the judgement of answers, and which failure explains the others."""

from __future__ import annotations

import functools
import json
import typing as t

from ..common.vocabulary import CACHE_TO_DTR, CLIENT_TO_CACHE, CLIENT_TO_DTR, DTR_TO_CACHE, word
from ..http.responses import status_text

if t.TYPE_CHECKING:
    from ..logs.causes import Cause

# What is more likely the cause stands before what it causes.
_EDGES = (CLIENT_TO_CACHE, CLIENT_TO_DTR, DTR_TO_CACHE, CACHE_TO_DTR)
# What each check says when it is right. tests/lib/reference.py makes a table of it.
CHECKS: dict[str, str] = {
    "deployment": "The Swarm has a stack that publishes the port that clients use for the cache.",
    "name_resolution": "The host name has an address; where no cache answers, not DTR's, and one of the Swarm.",
    "tcp": "The port takes connections.",
    "addresses": "Each replica takes connections at its address; where this machine cannot reach one, that is not "
    "known.",
    "tls": "The server speaks TLS 1.2 or newer, and does not require a client certificate.",
    "clock": "The server's clock is off by more than five minutes; only reported when it is.",
    "validity": "No certificate of the chain has expired, expires soon, or is not valid yet.",
    "chain": "The certificate leads to a trusted CA; none in between is missing, and their order is right.",
    "host_name": "The certificate covers the host name.",
    "certificate": "Every replica has the certificate that it should have.",
    "api": "A cache answers `/v2/` as a registry without accounts does, DTR says at `/_ping` that it is healthy.",
    "upstream": "Asked for a blob that it cannot have, the cache comes back with its upstream's refusal; not known "
    "where it may have refused by itself.",
    "redirect": "DTR sends an account that is assigned to the cache there for a layer.",
    "pull": "Asked for a layer with DTR's signature, the cache serves it.",
    "finished": "There was no result in time; only reported when it is so.",
    "answers": "DTR answers what it is asked of caches and accounts; only reported when it does not.",
    "registration": "DTR has exactly one cache of this name, at this URL.",
    "read_only": "DTR takes pushes; only administrators can see that.",
    "assignments": "No account is assigned to a cache that is gone.",
}
# They have no effect on the other checks.
_BESIDES = ("certificate", "answers", "registration", "read_only", "assignments")

_AT_THE_SERVER = ("tcp", "tls", "clock", "validity", "chain", "host_name", "certificate", "api")
_NAME_FIRST = "The name leads elsewhere: correct that first, and check again."


class Check(t.NamedTuple):
    """The result of one check: C(detail) says what was observed, C(hint) what to do where it is not right.

    C(ok) is C(None) where the observation does not show whether it is right; C(hint) then says how to find out.
    C(harmless) says that pulls work although it is not right.
    """

    edge: str
    check: str
    ok: bool | None
    detail: str
    hint: str | None = None
    harmless: bool = False

    @property
    def failed(self) -> bool:
        """Return whether it is known not to be right."""
        return self.ok is False

    @property
    def prevents_pulls(self) -> bool:
        """Return whether it is not right, and pulls fail because of it."""
        return self.failed and not self.harmless

    def row(self) -> dict[str, t.Any]:
        """Return it as results show it."""
        return {"edge": self.edge, "check": self.check, "ok": self.ok, "detail": self.detail, "hint": self.hint}


def bad(edge: str, check: str, detail: str, hint: str | None, *, harmless: bool = False) -> Check:
    """Return a failed check; the full stop is added here."""
    return Check(edge, check, False, f"{detail.rstrip('.')}.", hint, harmless)


def not_known(edge: str, check: str, detail: str, hint: str) -> Check:
    """Return a check whose observation says neither; the full stop is added here."""
    return Check(edge, check, None, f"{detail.rstrip('.')}.", hint)


def by_likelihood(checks: t.Sequence[Check]) -> list[Check]:
    """Return the failed checks, first the one that most likely explains the others."""

    def rank(check: Check) -> tuple[int, int, int]:
        return (check.check in _BESIDES, _EDGES.index(check.edge), list(CHECKS).index(check.check))

    return sorted((check for check in checks if check.failed), key=rank)


def likely_cause(checks: t.Sequence[Check]) -> Check | None:
    """Return the failed check that most likely explains the others."""
    return next(iter(by_likelihood(checks)), None)


def worst_by_check(found: t.Iterable[tuple[str, Check]], *, named: bool) -> list[Check]:
    """Return the worst result of each check over several addresses; C(named) puts the address into its detail."""
    worst: dict[tuple[str, str], tuple[int, Check]] = {}
    for address, check in found:
        severity = 2 if check.failed else int(check.ok is None)
        key = (check.edge, check.check)
        if key not in worst or severity > worst[key][0]:
            worst[key] = severity, check._replace(detail=f"{address}: {check.detail}") if named else check
    return [check for _severity, check in worst.values()]


def without_follow_ups(checks: t.Sequence[Check]) -> list[Check]:
    """Give each check that fails because of another one the hint to fix that one first."""
    failed = {(check.edge, check.check): check for check in checks if check.failed}
    hints: dict[tuple[str, str], str] = {}
    if any((CLIENT_TO_DTR, check) in failed for check in ("tcp", "tls", "api", "finished")):
        hints[CACHE_TO_DTR, "upstream"] = "DTR does not answer this machine either: fix that first, and check again."
    other = failed.get((CLIENT_TO_CACHE, "certificate"))
    if other and other.hint:
        hints.update({(CLIENT_TO_CACHE, check): other.hint for check in ("validity", "chain", "host_name")})
    if (CLIENT_TO_CACHE, "name_resolution") in failed:
        # These checks met another server, or none.
        hints.update({key: _NAME_FIRST for key in failed if key[0] == CLIENT_TO_CACHE and key[1] in _AT_THE_SERVER})
    here, there = failed.get((CLIENT_TO_CACHE, "clock")), failed.get((CLIENT_TO_DTR, "clock"))
    if here and there and (" ahead of " in here.detail) == (" ahead of " in there.detail):
        hints[CLIENT_TO_CACHE, "clock"] = hints[CLIENT_TO_DTR, "clock"] = (
            "Cache and DTR agree on that: set this machine's clock right (NTP)."
        )
    elif here:
        hints[CACHE_TO_DTR, "upstream"] = (
            "Set the clock of the cache's node right first, and check again: the cache judges DTR's certificate by it."
        )
        if any(check.edge == CLIENT_TO_DTR and check.check == "api" and check.ok for check in checks) and not there:
            hints[CLIENT_TO_CACHE, "clock"] = (
                "DTR's clock agrees with this machine's: set that of the cache's node (NTP)."
            )
    return [
        check._replace(hint=hints.get((check.edge, check.check), check.hint)) if check.failed else check
        for check in checks
    ]


class Answer(t.NamedTuple):
    """The beginning of an HTTP answer. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


_IN_TROUBLE = (500, 502, 503, 504)
_REFUSALS = (401, 403, 404)


def log_hint() -> str:
    """Return the hint to read the cache's log."""
    return f"The cache's log names the reason: {word('read the log')} reads it."


def judge_api(seen: Answer | str) -> Check:
    """Judge the answer to C(/v2/), or the reason why there is none: a cache answers as a registry without accounts."""
    wrong = functools.partial(bad, CLIENT_TO_CACHE, "api")
    if isinstance(seen, str):
        return wrong(f"GET /v2/: {seen}", log_hint())
    answer = f"GET /v2/ answers {status_text(seen.status)}"
    is_registry = "docker-distribution-api-version" in seen.headers
    if seen.status == 200 and (is_registry or seen.body.strip() == b"{}"):
        return Check(CLIENT_TO_CACHE, "api", True, answer)
    if seen.status == 401 and is_registry:
        return wrong(
            f"{answer}: this registry requires a login, as DTR does and a cache does not",
            "Check that the URL is the cache's and not DTR's, and that the cache's configuration has no auth section.",
        )
    if seen.status in _IN_TROUBLE:
        return wrong(answer, f"The cache, or a load balancer before it, is in trouble. {log_hint()}")
    return wrong(f"{answer}: this is no Docker registry", "Check host and port of the URL.")


def judge_upstream(seen: Answer | str) -> Check:
    """Judge the answer for a blob that exists nowhere, asked for without a signature.

    A failure on the way to DTR shows. A refusal does not prove that the way works: DTR refuses such a request, and a
    cache may refuse it without asking DTR, since no document says which of both judges the signature.
    """
    asked = "asked for a blob that it does not have"
    if isinstance(seen, str) or seen.status not in _REFUSALS:
        return _without_refusal(asked, seen)
    return not_known(
        CACHE_TO_DTR,
        "upstream",
        f"{asked}, the cache answers {status_text(seen.status)}: DTR refuses that, or the cache does without asking "
        "DTR",
        f"Set {word('image')}: asked with DTR's signature, the cache has to go to DTR.",
    )


def judge_signed_upstream(seen: Answer | str) -> Check:
    """Judge the answer for a blob that exists nowhere, asked for as DTR signed it: only DTR knows that."""
    asked = "asked with DTR's signature for a blob that exists nowhere"
    if isinstance(seen, str) or seen.status not in _REFUSALS:
        return _without_refusal(asked, seen)
    answer = f"{asked}, the cache answers {status_text(seen.status)}"
    if seen.status == 404:
        return Check(CACHE_TO_DTR, "upstream", True, f"{answer}, as only DTR can know")
    return not_known(
        CACHE_TO_DTR,
        "upstream",
        f"{answer}: the signature is refused, or DTR refuses what does not exist",
        f"Pull an image that the cache cannot have yet ({word('proof')}), and compare the clocks of DTR and the "
        "cache's node.",
    )


def _without_refusal(asked: str, seen: Answer | str) -> Check:
    """Judge a cache that was asked for something it cannot have and does not refuse it."""
    wrong = functools.partial(bad, CACHE_TO_DTR, "upstream")
    if isinstance(seen, str):
        return wrong(
            f"{asked}, the cache gives up: {seen}",
            f"Its way to the upstream may be blocked without a word: let firewalls pass the cache's node. {log_hint()}",
        )
    answer = f"{asked}, the cache answers {status_text(seen.status)}"
    # The registry writes some reasons into its answers that else are only in its log.
    cause = _cause_in(seen.body) if seen.status >= 500 else None
    if cause is not None:
        return wrong(f"{answer}: {cause.summary}", cause.hint)
    if seen.status in (502, 503, 504):
        return wrong(
            f"{answer}: it gets nothing from its upstream",
            "Check from the cache's node that DTR's name, port and certificate are as upstreams and cas of its "
            f"configuration say. {log_hint()}",
        )
    if seen.status == 500:
        return wrong(answer, f"Its storage may be full or not writable. {log_hint()}")
    return wrong(f"{answer}, as no content cache does", "Check that the URL is a content cache's.")


def _cause_in(body: bytes) -> Cause | None:
    """Return the cause that an answer points to. The catalogue of causes is loaded only here."""
    from ..logs import causes

    return causes.of_line(body.decode("utf-8", "replace"), fatal=False)


def judge_ping(seen: Answer | str) -> Check:
    """Judge the answer to C(/_ping): C({"Error", "Healthy"}) with 200 or 503."""
    wrong = functools.partial(bad, CLIENT_TO_DTR, "api")
    if isinstance(seen, str):
        return wrong(f"GET /_ping: {seen}", "Read DTR's log.")
    answer = f"GET /_ping answers {status_text(seen.status)}"
    try:
        document = json.loads(seen.body)
    except ValueError:
        document = None
    fields = {key.lower(): value for key, value in document.items()} if isinstance(document, dict) else {}
    if seen.status == 200 and fields.get("healthy", "healthy" not in fields and bool(fields)):
        return Check(CLIENT_TO_DTR, "api", True, answer)
    if "healthy" in fields or "error" in fields:
        reason = str(fields.get("error") or "no reason given").strip().rstrip(".")
        return wrong(f"{answer}: DTR says that it is not healthy ({reason})", "Fix DTR first.")
    if seen.status in _IN_TROUBLE:
        return wrong(answer, "DTR, or the load balancer before it, is in trouble: fix that first.")
    return wrong(f"{answer}, as no DTR does", f"Check that {word('url')} is the address of DTR.")
