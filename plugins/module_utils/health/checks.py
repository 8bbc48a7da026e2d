# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a look at a cache's trust edges tells, check by check, and which of them explains the others."""

from __future__ import annotations

import typing as t

from ..common.edges import CACHE_TO_DTR, CLIENT_TO_CACHE, CLIENT_TO_DTR

# What is more likely the cause stands before what it causes.
_EDGES = (CLIENT_TO_CACHE, CLIENT_TO_DTR, CACHE_TO_DTR)
# What each check tells. tests/lib/reference.py makes the README's table of it.
CHECKS: dict[str, str] = {
    "deployment": "The Swarm has a stack that publishes the port at which clients look for the cache.",
    "name_resolution": "The host name has an address.",
    "tcp": "The port takes connections.",
    "tls": "TLS is spoken there, in version 1.2 or newer, and wants no client certificate that is not there.",
    "clock": "The server's clock is off by more than five minutes; only told when it is.",
    "validity": "No certificate of the chain has expired, expires soon, or is not valid yet.",
    "chain": "The certificate leads to a trusted CA; none in between is missing, and their order is right.",
    "host_name": "The certificate covers the host name.",
    "certificate": "Every replica has the certificate that it should have.",
    "api": "A cache answers `/v2/` as a registry without accounts does, DTR says at `/_ping` that it is healthy.",
    "upstream": "Asked for a blob that it cannot have, the cache comes back with its upstream's refusal.",
    "pull": "Asked for a layer with DTR's signature, the cache has it to give.",
    "finished": "There was no result in time; only told when it is so.",
    "registration": "DTR has exactly one cache of this name, at this URL.",
    "read_only": "DTR takes pushes; only administrators are told.",
    "assignments": "No account is assigned to a cache that is gone.",
}
# They are of no effect on what else is seen.
_BESIDES = ("certificate", "registration", "read_only", "assignments")


class Check(t.NamedTuple):
    """One thing that was looked at. C(detail) says what was seen, C(hint) what to do about it if it is not right.

    C(harmless) says that pulls work all the same when it is not right.
    """

    edge: str
    check: str
    ok: bool
    detail: str
    hint: str | None = None
    harmless: bool = False

    def row(self) -> dict[str, t.Any]:
        """As results show it."""
        return {"edge": self.edge, "check": self.check, "ok": self.ok, "detail": self.detail, "hint": self.hint}


def likely_cause(checks: t.Sequence[Check]) -> Check | None:
    """The failed check that most likely explains the others."""
    return next(iter(by_likelihood(checks)), None)


def by_likelihood(checks: t.Sequence[Check]) -> list[Check]:
    """The failed checks, that first which most likely explains the others."""
    return sorted((check for check in checks if not check.ok), key=_rank)


def _rank(check: Check) -> tuple[int, int, int]:
    return (check.check in _BESIDES, _EDGES.index(check.edge), list(CHECKS).index(check.check))
