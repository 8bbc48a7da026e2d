# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a server's certificate to a CA that is trusted, in whatever order and with whatever else the chain has.

As Go and OpenSSL have it: one way that is sound is enough, and any certificate that is trusted ends it, also an
intermediate CA or the server's own certificate.
"""

from __future__ import annotations

import collections
import datetime
import typing as t

from ..common.failure import Failure
from . import usage
from .certificates import check_authorities, is_issued_by, public_key_of, validity_faults

if t.TYPE_CHECKING:
    from cryptography import x509

    Fits = t.Callable[[x509.Certificate, int], bool]


class Path(t.NamedTuple):
    """Certificates from a server's own on, each followed by its issuer, and whether the last one is trusted."""

    certificates: tuple[x509.Certificate, ...]
    closed: bool

    @property
    def last(self) -> x509.Certificate:
        return self.certificates[-1]


def find_path(
    chain: t.Sequence[x509.Certificate], anchors: t.Sequence[x509.Certificate], now: datetime.datetime
) -> Path:
    """The shortest way to one of the anchors that clients accept, or else one that they do not, or else the longest."""

    def is_sound(issuer: x509.Certificate, below: int) -> bool:
        return not any((*usage_faults(issuer, below, chain[0]), *validity_faults(issuer, now)))

    sound = _search(chain, anchors, is_sound)
    return sound if sound.closed else _search(chain, anchors, lambda _issuer, _below: True)


def usage_faults(issuer: x509.Certificate, below: int, leaf: x509.Certificate) -> t.Iterator[str]:
    """Why nothing that it has signed is accepted, as clauses after its name."""
    try:
        yield from usage.issuer_problems(issuer, below, leaf)
    except Failure as failure:
        yield f"cannot be judged: {failure.message.rstrip('.')}"


def signature_faults(path: Path) -> t.Iterator[tuple[x509.Certificate, str]]:
    """The certificates whose signature clients refuse. Nobody verifies that of what is trusted, or of a root."""
    for certificate in path.certificates[: -1 if path.closed else None]:
        fault = None if certificate.subject == certificate.issuer else usage.signature_problem(certificate)
        if fault:
            yield certificate, fault


def shadowed(path: Path, chain: t.Sequence[x509.Certificate], now: datetime.datetime) -> t.Iterator[x509.Certificate]:
    """Issuers on the way that OpenSSL does not find: it takes the first of its name and key that is valid, Go any."""
    for certificate, issuer in zip(path.certificates, path.certificates[1:-1]):
        same = (each for each in chain if each.subject == issuer.subject and _has_issued(each, certificate))
        if next((each for each in same if not any(validity_faults(each, now))), issuer) != issuer:
            yield issuer


def authority_fault(certificate: x509.Certificate, now: datetime.datetime) -> str | None:
    """Why clients would not accept anything by trusting this certificate, or None.

    One that is signed by itself is the server's own: Docker accepts it there, whether it is a CA's or not.
    """
    try:
        check_authorities([certificate], now)
        public_key_of(certificate)
    except Failure as failure:
        is_own = failure.code == "NOT_A_CA" and certificate.subject == certificate.issuer
        if not is_own:
            return failure.message
    return next(validity_faults(certificate, now), None)


def _search(chain: t.Sequence[x509.Certificate], anchors: t.Sequence[x509.Certificate], fits: Fits) -> Path:
    """Breadth first: what limits the length of a path accepts the shortest one, if any."""
    known = [chain[0]]
    way: tuple[x509.Certificate, ...] = (chain[0],)
    pending = collections.deque([way])
    while pending:
        way = pending.popleft()
        if way[-1] in anchors:
            return Path(way, True)
        for candidate in (*anchors, *chain[1:]):
            if (
                candidate.subject == way[-1].issuer
                and candidate not in known
                and fits(candidate, len(way) - 1)
                and _has_issued(candidate, way[-1])
            ):
                known.append(candidate)
                pending.append((*way, candidate))
    return Path(way, False)


def _has_issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """What cannot be checked does not count."""
    try:
        return is_issued_by(certificate, issuer)
    except Failure:
        return False
