# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the cache presents to its clients, and the CAs of others, judged as far as that is possible without them."""

from __future__ import annotations

import datetime
import typing as t

from ...module_utils.common.failure import Failure
from ...module_utils.x509 import chains
from . import values
from .model import CERTIFICATE
from .reader import Reader
from .structures import entries, is_structure


def read_certificate(reader: Reader, host: str, needs: t.Collection[str], now: datetime.datetime) -> dict[str, t.Any]:
    """The chain, the key and the CA that signed them."""
    required = CERTIFICATE in needs
    certificate = read_pem(reader, "certificate", "the cache's certificate, PEM text or a path" if required else "")
    key_meaning = "the private key of the certificate, PEM text or a path"
    private_key = read_pem(reader, "private_key", key_meaning if required else "")
    authority = read_pem(reader, "ca_certificate")
    chain = tuple(reader.certificates("certificate", certificate))
    key_problem = chains.key_problem(private_key) if private_key else None
    if key_problem:
        reader.problem("private_key", key_problem)
    if chain:
        sound_key = private_key if private_key and not key_problem else None
        _check(reader, "certificate", lambda: chains.chain_problems(chain, host, sound_key, now))
    authorities = reader.certificates("ca_certificate", authority)
    if chain and authorities:
        _check(reader, "ca_certificate", lambda: _issuer_problems(chain, authorities))
    return {
        "chain": chain,
        "certificate": certificate,
        "private_key": private_key,
        # What was refused may hold a key, and this is shown.
        "ca_certificate": authority if authorities else "",
        "min_days": reader.whole("min_days", 0, 3650),
    }


def read_pem(reader: Reader, name: str, required: str = "") -> str:
    """A PEM text, given itself or as a path."""
    value = reader.value(name, values.block, "", required)
    return reader.pem(name, value) if value else ""


def read_authorities(reader: Reader, name: str) -> tuple[str, ...]:
    """A list of CAs, each a PEM text or a path; one alone may be given as text."""
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
            pems.append(pem if reader.certificates(name, pem) else "")
    return tuple(pems)


def _issuer_problems(chain: t.Sequence[t.Any], authorities: t.Sequence[t.Any]) -> list[str]:
    if chains.signed_by(chain, authorities):
        return []
    return ["did not sign the cache's certificate, nor an intermediate that stands behind it"]


def _check(reader: Reader, name: str, problems: t.Callable[[], t.Iterable[str]]) -> None:
    try:
        for problem in problems():
            reader.problem(name, problem)
    except Failure as failure:
        reader.problem(name, f"{failure.message} {failure.hint}")
