# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was checked on a cache's trust edges, check by check, and which failed check explains the others."""

from __future__ import annotations

import typing as t

from ..common.vocabulary import CACHE_TO_DTR, CLIENT_TO_CACHE, CLIENT_TO_DTR, DTR_TO_CACHE

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
    """One thing that was checked. C(detail) says what was observed, C(hint) what to do about it if it is not right.

    C(ok) is C(None) where what was observed does not show whether it is right; C(hint) says then how to find out.
    C(harmless) says that pulls work all the same when it is not right.
    """

    edge: str
    check: str
    ok: bool | None
    detail: str
    hint: str | None = None
    harmless: bool = False

    @property
    def failed(self) -> bool:
        """Whether it is known not to be right."""
        return self.ok is False

    @property
    def prevents_pulls(self) -> bool:
        """Whether it is not right, and pulls fail by it."""
        return self.failed and not self.harmless

    def row(self) -> dict[str, t.Any]:
        """As results show it."""
        return {"edge": self.edge, "check": self.check, "ok": self.ok, "detail": self.detail, "hint": self.hint}


def bad(edge: str, check: str, detail: str, hint: str | None, *, harmless: bool = False) -> Check:
    """A failed check; the full stop comes by itself."""
    return Check(edge, check, False, f"{detail.rstrip('.')}.", hint, harmless)


def not_known(edge: str, check: str, detail: str, hint: str) -> Check:
    """A check whose observation says neither; the full stop comes by itself."""
    return Check(edge, check, None, f"{detail.rstrip('.')}.", hint)


def likely_cause(checks: t.Sequence[Check]) -> Check | None:
    """The failed check that most likely explains the others."""
    return next(iter(by_likelihood(checks)), None)


def by_likelihood(checks: t.Sequence[Check]) -> list[Check]:
    """The failed checks, that first which most likely explains the others."""
    return sorted((check for check in checks if check.failed), key=_rank)


def _rank(check: Check) -> tuple[int, int, int]:
    return (check.check in _BESIDES, _EDGES.index(check.edge), list(CHECKS).index(check.check))


def without_follow_ups(checks: t.Sequence[Check]) -> list[Check]:
    """The checks, where what follows from a failed one has the hint to fix that one first."""
    failed = {(check.edge, check.check): check for check in checks if check.failed}
    hints: dict[tuple[str, str], str] = {}
    if any((CLIENT_TO_DTR, check) in failed for check in ("tcp", "tls", "api", "finished")):
        hints[CACHE_TO_DTR, "upstream"] = "DTR does not answer this machine either: fix that first, and check again."
    other = failed.get((CLIENT_TO_CACHE, "certificate"))
    if other and other.hint:
        hints.update({(CLIENT_TO_CACHE, check): other.hint for check in ("validity", "chain", "host_name")})
    if (CLIENT_TO_CACHE, "name_resolution") in failed:
        # Whatever else was found there was found at another server, or at none.
        hints.update({key: _NAME_FIRST for key in failed if key[0] == CLIENT_TO_CACHE and key[1] in _AT_THE_SERVER})
    here, there = failed.get((CLIENT_TO_CACHE, "clock")), failed.get((CLIENT_TO_DTR, "clock"))
    if here and there and _direction(here) == _direction(there):
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


def _direction(clock: Check) -> bool:
    return " ahead of " in clock.detail
