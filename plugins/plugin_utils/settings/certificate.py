# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the cache presents to its clients, and the CAs of others, judged as far as that is possible without them."""

from __future__ import annotations

import datetime
import typing as t

from ...module_utils.common.failure import Failure
from ...module_utils.x509 import certificates, chains, keys, paths, usage
from . import values
from .model import ADDRESS, CERTIFICATE
from .reader import Reader
from .structures import entries, is_structure

Certificates = t.Sequence[t.Any]  # x509.Certificate


def read_certificate(reader: Reader, host: str, needs: t.Collection[str], now: datetime.datetime) -> dict[str, t.Any]:
    """The chain, the key and the CA that signed them.

    What is to be rolled out must be accepted by all clients and last. An observation judges what a server shows.
    """
    required = CERTIFICATE in needs
    certificate = read_pem(reader, "certificate", "the cache's certificate, PEM text or a path" if required else "")
    key_meaning = "the private key of the certificate, PEM text or a path"
    private_key = read_pem(reader, "private_key", key_meaning if required else "")
    authority = read_pem(reader, "ca_certificate")
    chain = tuple(reader.certificates("certificate", certificate))
    key_problem = keys.key_problem(private_key) if private_key else None
    if key_problem:
        reader.problem("private_key", key_problem)
    authorities = reader.certificates("ca_certificate", authority)
    min_days = reader.whole("min_days", 0, 3650)
    if chain:
        sound_key = private_key if private_key and not key_problem else None
        is_given = bool(authorities) or reader.is_reported("ca_certificate")
        anchors = reader.control_node.trusted() if required and not is_given else authorities
        place = _place(chain, sound_key)
        own = chain[place or 0]
        path = paths.find_path([own, *(each for each in chain if each != own)], anchors, now)
        needed = [each for each in chain if each in path.certificates]
        readable = _check(reader, "certificate", lambda: chains.chain_problems(chain, host, sound_key, now, needed))
        judged = readable and place is not None
        if required and judged:
            _check_path(reader, path, chain, now)
            _check_days(reader, needed, min_days, now)
        if (required or authorities) and judged and not path.closed and not reader.is_reported("ca_certificate"):
            _check_end(reader, path, authorities, now)
    return {
        "chain": chain,
        "certificate": certificate,
        "private_key": private_key,
        # What was refused may hold a key, and this is shown.
        "ca_certificate": authority if authorities else "",
        "min_days": min_days,
    }


def read_pem(reader: Reader, name: str, required: str = "") -> str:
    """A PEM text, given itself or as a path."""
    value = reader.value(name, values.block, "", required)
    return reader.pem(name, value) if value else ""


def read_authorities(
    reader: Reader, name: str, needs: t.Collection[str], now: datetime.datetime, *, ahead: bool = False
) -> tuple[str, ...]:
    """A list of CAs, each a PEM text or a path; one alone may be given as text.

    C(ahead) says that it may hold the CA of a later time.
    """
    given = reader.raw(name)
    if isinstance(given, dict):
        reader.problem(name, "must be a list of PEM texts or paths")
        return ()
    # A PEM text has line breaks of its own, so it is no list.
    is_one = isinstance(given, str) and "-----BEGIN" in given and not is_structure(given)
    authorities = [given] if is_one else reader.checked(name, entries, given, [])
    pems = []
    for authority in authorities:
        if values.is_set(authority):
            text = reader.checked(name, values.block, authority, "")
            pem = reader.pem(name, text) if text else ""
            bundle = reader.certificates(name, pem)
            pems.append(pem if bundle else "")
            check_authority(reader, name, bundle, needs, now, ahead=ahead)
    return tuple(pems)


def check_authority(
    reader: Reader,
    name: str,
    bundle: Certificates,
    needs: t.Collection[str],
    now: datetime.datetime,
    *,
    ahead: bool = False,
) -> None:
    """Make sure that whoever is given a CA can trust something by it; one such in a bundle is enough."""
    if not {CERTIFICATE, ADDRESS} & set(needs):
        return
    faults = [
        paths.authority_fault(certificate, max(now, certificates.not_before(certificate)) if ahead else now)
        for certificate in bundle
    ]
    if faults and all(faults):
        for fault in dict.fromkeys(faults):
            reader.problem(name, str(fault).rstrip("."))


def _place(chain: Certificates, private_key: str | None) -> int | None:
    """Where the certificate of the key stands, as far as that can be read."""
    try:
        return chains.place_of_key(chain, private_key)
    except Failure:  # reported with the chain
        return None


def _check_path(reader: Reader, path: paths.Path, chain: Certificates, now: datetime.datetime) -> None:
    """Make sure that clients accept each certificate for what it is there for."""
    leaf = path.certificates[0]
    name = certificates.name_of(leaf)
    _check(reader, "certificate", lambda: (f"{name} {fault}" for fault in usage.server_problems(leaf)))
    for certificate, fault in paths.signature_faults(path):
        reader.problem("certificate", f"{certificates.name_of(certificate)} {fault}")
    for issuer in paths.shadowed(path, chain, now) if path.closed else ():
        issued = f"{certificates.name_of(issuer)} issued by {certificates.issuer_of(issuer)}"
        reader.problem("certificate", f"{issued} must stand before the other of its name: OpenSSL takes the first one")
    for below, issuer in enumerate(path.certificates[1:]):
        in_chain = issuer in chain
        # How long the chain itself is valid is judged with its order.
        validity = () if in_chain else certificates.validity_faults(issuer, now)
        for fault in (*paths.usage_faults(issuer, below, leaf), *validity):
            variable = "certificate" if in_chain else "ca_certificate"
            reader.problem(variable, f"{certificates.name_of(issuer)} {fault}")


def _check_end(reader: Reader, path: paths.Path, authorities: Certificates, now: datetime.datetime) -> None:
    """Say what is missing between the last certificate of a chain and a CA that is trusted."""
    refused = [certificate for certificate, _fault in paths.signature_faults(path)]
    if path.last not in refused:
        given = _wrong_authority(path, authorities, now) if authorities else _missing_authority(path)
        reader.problem("ca_certificate", given)


def _missing_authority(path: paths.Path) -> str:
    name, issuer = certificates.name_of(path.last), certificates.issuer_of(path.last)
    if path.last.subject != path.last.issuer:
        return (
            f"is needed: {issuer}, which issued {name}, is no CA that this control node trusts; give the CA here. If "
            f"{issuer} is an intermediate of a CA that is trusted, append it to dtr_cache_certificate instead"
        )
    if len(path.certificates) == 1:
        return (
            "is needed: the cache's certificate is signed by itself, and this control node does not trust it; give the "
            "certificate here as well, for clients to trust"
        )
    return f"is needed: the chain ends at {name}, which this control node does not trust; give that CA here"


def _wrong_authority(path: paths.Path, authorities: Certificates, now: datetime.datetime) -> str:
    name, issuer = certificates.name_of(path.last), certificates.issuer_of(path.last)
    namesakes = [authority for authority in authorities if authority.subject == path.last.issuer]
    faults = [paths.authority_fault(authority, now) for authority in namesakes or authorities]
    if faults[0] and all(faults):
        return faults[0].rstrip(".")
    if path.last.subject == path.last.issuer:
        return f"did not sign the cache's certificate: its chain ends at {name}; give that CA here"
    if namesakes:
        return f"did not sign {name}: another CA of the same name did. Give the one that signed it"
    return (
        f"did not sign {name}: {issuer} did. If that is an intermediate, append its certificate to "
        "dtr_cache_certificate; if it is the CA itself, give it here"
    )


def _check_days(reader: Reader, needed: Certificates, min_days: int | None, now: datetime.datetime) -> None:
    """Who rolls out a certificate wants it to last; what has expired is reported as that."""
    first = min(needed, key=certificates.not_after)
    days = chains.days_left(first, now)
    if min_days and 0 <= days < min_days:
        reader.problem(
            "certificate",
            f"{certificates.name_of(first)} expires in {days} day(s), on {certificates.not_after(first):%Y-%m-%d}, and "
            f"dtr_cache_min_days asks for {min_days}; have it renewed, or set dtr_cache_min_days lower",
        )


def _check(reader: Reader, name: str, problems: t.Callable[[], t.Iterable[str]]) -> bool:
    """Whether all could be judged; what could not is a problem, too."""
    try:
        for problem in problems():
            reader.problem(name, problem)
    except Failure as failure:
        reader.problem(name, f"{failure.message} {failure.hint}")
        return False
    return True
