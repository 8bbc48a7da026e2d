# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the certificate, the key and the CAs. OpenSSL judges whether clients accept them; here are the words for it."""

from __future__ import annotations

import datetime
import typing as t

from ...module_utils.common.failure import Failure
from ...module_utils.x509 import certificates, judge
from ...module_utils.x509.pem import has_pem, private_key
from . import values
from .model import ADDRESS, CERTIFICATE
from .reader import Reader
from .structures import entries, is_structure

Certificates = t.Sequence[t.Any]  # x509.Certificate

# OpenSSL's codes for a chain that ends before a trusted CA, or at another one of the same name.
_UNKNOWN_ISSUER = (2, 7, 18, 19, 20, 21)
# Docker Engines up to 24 take no longer message of a handshake.
_LARGEST_CHAIN = 2**16 - 2**10
_ADVICE = {
    26: "it, or a CA in it, must not be used for servers (extended key usage, key usage)",
    34: "it, or a CA in it, has a critical extension that clients do not know",
    47: "a CA in it must not sign certificates for these host names (name constraints)",
    48: "a CA in it must not sign certificates for these host names (name constraints)",
}


def read_certificate(reader: Reader, host: str, needs: t.Collection[str], now: datetime.datetime) -> dict[str, t.Any]:
    """Read the chain, the key and the CA that signed them, and judge those that are to be deployed.

    An observation judges the certificate that a server sends, and not these.
    """
    required = CERTIFICATE in needs
    meaning = "the cache's certificate, PEM text or a path" if required else ""
    key_meaning = "the private key of the certificate, PEM text or a path" if required else ""
    presented = _Presented(
        chain=read_certificates(reader, "certificate", meaning),
        key=_read_key(reader, key_meaning),
        authorities=read_certificates(reader, "ca_certificate"),
        host=host.rstrip("."),
        now=now,
        min_days=reader.whole("min_days", 0, 3650) or 0,
    )
    if required and presented.chain and presented.key:
        try:
            _check(reader, presented)
        except Failure as failure:
            reader.problem("certificate", f"{failure.message} {failure.hint}".rstrip())
    return {
        "chain": presented.chain,
        "certificate": certificates.to_pem(presented.chain),
        "private_key": presented.key,
        "ca_certificate": certificates.to_pem(presented.authorities),
        "min_days": presented.min_days,
    }


class _Presented(t.NamedTuple):
    """What a cache is to present, what its clients trust, and how long it has to last."""

    chain: tuple[t.Any, ...]
    key: str
    authorities: tuple[t.Any, ...]
    host: str
    now: datetime.datetime
    min_days: int


def read_certificates(reader: Reader, name: str, required: str = "") -> tuple[t.Any, ...]:
    """Read the certificates of a variable, given as PEM text or as a path."""
    return tuple(reader.certificates(name, reader.value(name, values.block, "", required)))


def _read_key(reader: Reader, required: str) -> str:
    """Read the private key of the certificate, written anew; empty where it is missing or wrong."""
    value = reader.value("private_key", values.block, "", required)
    content = reader.pem("private_key", value) if value else None
    key, text = reader.checked("private_key", private_key, content, (None, "")) if content else (None, "")
    problem = judge.private_key_problem(key) if text else None
    if problem:
        reader.problem("private_key", problem)
    return "" if problem else str(text)


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
    is_one = isinstance(given, str) and has_pem(given) and not is_structure(given)
    authorities = [given] if is_one else reader.checked(name, entries, given, [])
    pems = []
    for authority in authorities:
        if values.is_set(authority):
            text = reader.checked(name, values.block, authority, "")
            bundle = reader.certificates(name, text)
            pems.append(certificates.to_pem(bundle))
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
        certificates.authority_fault(certificate, max(now, certificates.not_before(certificate)) if ahead else now)
        for certificate in bundle
    ]
    if faults and all(faults):
        for fault in dict.fromkeys(faults):
            reader.problem(name, str(fault).rstrip("."))


def check_cipher_suites(reader: Reader, variable: str, chain: Certificates, config_of_tls: t.Any) -> None:
    """Check that a client of TLS 1.2 can agree with the registry: such a suite is for one kind of key.

    The trial of a registry does not show it, and registries of DTR 2.x know nothing newer.
    """
    config = config_of_tls if isinstance(config_of_tls, dict) else {}
    suites = config.get("ciphersuites")
    if not chain or not suites or not isinstance(suites, list) or config.get("minimumtls") == "tls1.3":
        return
    kind = "ECDSA" if judge.has_elliptic_curve(chain[0]) else "RSA"
    named = {name for name in ("ECDSA", "RSA") for each in suites if f"_{name}_" in str(each)}
    if named and kind not in named:
        reader.problem(
            variable, f"http.tls.ciphersuites: none is for the {kind} key of the certificate; add one with {kind} in it"
        )


def _check(reader: Reader, presented: _Presented) -> None:
    """Report all that keeps clients from accepting the certificate, or makes it end too soon."""
    chain, key, host = presented.chain, presented.key, presented.host
    public = certificates.public_key_of_private(key)
    places = [place for place, each in enumerate(chain) if certificates.public_key_of(each) == public]
    if not places:
        reader.problem(
            "certificate", "the private key belongs to another certificate; give the two that were made together"
        )
    elif places[0]:
        reader.problem(
            "certificate",
            f"is out of order: the certificate of the private key is at place {places[0] + 1}; "
            "put it first, then the intermediates, each followed by its issuer",
        )
    elif not reader.is_reported("ca_certificate"):
        verdict = judge.judge(chain, key, host, presented.authorities or None)
        if verdict.path:
            _check_path(reader, presented, verdict.path)
        else:
            _explain(reader, presented, verdict)


def _check_path(reader: Reader, presented: _Presented, path: Certificates) -> None:
    """Report what Docker refuses in a path that OpenSSL accepts, a wrong order, and what ends too soon."""
    chain, now, min_days = presented.chain, presented.now, presented.min_days
    if [each for each in chain if each in path] != [each for each in path if each in chain]:
        reader.problem("certificate", "is out of order: each certificate must be followed by the one that issued it")
    for certificate, fault in judge.go_faults(path, chain):
        reader.problem(_variable(presented, certificate), f"{certificates.name_of(certificate)} {fault}")
    size = sum(len(certificates.to_der(each)) for each in chain)
    if size > _LARGEST_CHAIN:
        reader.problem(
            "certificate",
            f"has {len(chain)} certificates of {size} bytes, and Docker takes {_LARGEST_CHAIN}; leave out all but the "
            "cache's own certificate and its intermediates",
        )
    first = min(path, key=certificates.not_after)
    days = certificates.days_left(first, now)
    if days < min_days:
        reader.problem(
            _variable(presented, first),
            f"{certificates.name_of(first)} expires in {days} day(s), on {certificates.not_after(first):%Y-%m-%d}, and "
            f"dtr_cache_min_days asks for {min_days}; have it renewed, or set dtr_cache_min_days lower",
        )


def _explain(reader: Reader, presented: _Presented, refused: judge.Verdict) -> None:
    """Ask again with the name and the time left out, so that one mistake hides no other."""
    chain, key, authorities, host, now, _min_days = presented
    leaf, found = chain[0], len(reader.problems)
    if host and judge.judge(chain[:1], key, host, chain[:1], check_time=False).is_about_the_name:
        names = ", ".join(certificates.host_names(leaf))
        reader.problem(
            "certificate", f"does not cover {host}{_nearly(leaf, host)}; it names {names or 'no host at all'}"
        )
    timeless = judge.judge(chain, key, "", authorities or None, check_time=False)
    path = timeless.path or certificates.probable_path(chain, authorities)
    for certificate in path:
        for fault in certificates.validity_faults(certificate, now):
            reader.problem(_variable(presented, certificate), f"{certificates.name_of(certificate)} {fault}")
    if timeless.error:
        _explain_chain(reader, presented, timeless, path)
    if len(reader.problems) == found:
        reader.problem("certificate", f"is refused by clients: {refused.reason}")


def _explain_chain(reader: Reader, presented: _Presented, verdict: judge.Verdict, path: Certificates) -> None:
    """Say why OpenSSL finds no path to a trusted CA."""
    faults = list(judge.go_faults(path, presented.chain))
    for certificate, fault in faults:
        reader.problem(_variable(presented, certificate), f"{certificates.name_of(certificate)} {fault}")
    if faults:
        return
    if verdict.code not in _UNKNOWN_ISSUER:
        advice = f": {_ADVICE[verdict.code]}" if verdict.code in _ADVICE else ""
        reader.problem("certificate", f"is refused by clients ({verdict.reason}){advice}; have it issued anew")
    elif path[-1] in presented.authorities and len(path) > 1:
        links = list(zip(path, path[1:]))
        link = next((each for each in links if certificates.names_another_key(*each)), links[-1])
        reader.problem("certificate", certificates.other_issuer(*link))
    elif presented.authorities:
        reader.problem(*_wrong_authority(presented, path[-1]))
    else:
        reader.problem("ca_certificate", _missing_authority(path[-1], is_alone=len(path) == 1))


def _variable(presented: _Presented, certificate: t.Any) -> str:
    """Return the variable that holds a certificate of the path."""
    is_declared = certificate in presented.authorities and certificate not in presented.chain
    return "ca_certificate" if is_declared else "certificate"


def _nearly(leaf: t.Any, host: str) -> str:
    """Say why a name does not count that looks as if it did."""
    names = [name.lower() for name in certificates.host_names(leaf)]
    if host.lower() in names:
        return ", which is there as a DNS name; an address must be an IP entry"
    is_wildcard = f"*.{host.lower().partition('.')[2]}" in names
    return ", as OpenSSL takes no wildcard for a whole domain" if is_wildcard else ""


def _missing_authority(last: t.Any, *, is_alone: bool) -> str:
    name, issuer = certificates.name_of(last), certificates.issuer_of(last)
    if last.subject != last.issuer:
        return (
            f"is needed: {issuer}, which issued {name}, is no CA that this control node trusts; give the CA here. If "
            f"{issuer} is an intermediate of a CA that is trusted, append it to dtr_cache_certificate instead"
        )
    if is_alone:
        return (
            "is needed: the cache's certificate is signed by itself, and this control node does not trust it; give the "
            "certificate here as well, for clients to trust"
        )
    return f"is needed: the chain ends at {name}, which this control node does not trust; give that CA here"


def _wrong_authority(presented: _Presented, last: t.Any) -> tuple[str, str]:
    """Return the variable that is wrong, and why."""
    name, issuer = certificates.name_of(last), certificates.issuer_of(last)
    namesakes = [each for each in (*presented.authorities, *presented.chain) if each.subject == last.issuer]
    faults = [certificates.authority_fault(each, presented.now) for each in presented.authorities]
    if all(faults):
        return "ca_certificate", str(faults[0]).rstrip(".")
    if last.subject == last.issuer:
        return (
            "ca_certificate",
            f"did not sign the cache's certificate: its chain ends at {name}; give that CA here",
        )
    if namesakes:
        return "ca_certificate", certificates.other_issuer(last, namesakes[0])
    return (
        "ca_certificate",
        f"did not sign {name}: {issuer} did. If that is an intermediate, append its certificate to "
        "dtr_cache_certificate; if it is the CA itself, give it here",
    )
