# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server to probe: where it is, what to ask there, and what was found."""

from __future__ import annotations

import ssl
import typing as t

from ..x509 import certificates
from .checks import Check

if t.TYPE_CHECKING:
    from cryptography import x509


class ProbeAnswer(t.NamedTuple):
    """The beginning of an HTTP answer. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Advice(t.NamedTuple):
    """What to do about what is wrong, which differs from edge to edge.

    Args:
        server: The server as the subject of a sentence.
        not_running: When nothing listens on the port.
        trust: When its CA is not trusted, as a clause after "trust": with which option.
        chain_file: Where its certificates come from.
        renew: How its certificate is renewed.
        name: How host name and certificate are made to agree.
        other_certificate: When it has another certificate than it should.
        client_certificate: When the server wants another client certificate than it gets, or one at all.
    """

    server: str
    not_running: str
    trust: str
    chain_file: str
    renew: str
    name: str
    client_certificate: str
    other_certificate: str = ""


class Endpoint(t.NamedTuple):
    """A server to probe.

    Args:
        edge: From where to where.
        url: Its address.
        trust: A context that verifies chains as the client does; C(None) when nothing is to be verified.
        anchors: The CAs in it, when they are known.
        advice: What the operator has to do.
        ask: Paths to request, each with the function that judges the answer, and the seconds it may take.
        min_days: Fewer days of validity than that are not enough.
        client_context: Makes a context that verifies nothing, with a client certificate where there is one.
        certificate: The SHA-256 fingerprint of the certificate that the server should have, when it is known.
        replicas: How many servers there are; C(None) when that is not known.
        places: Where each of them takes connections, as C(ADDRESS:PORT), when that is known.
        routed: Whether each of them is behind every address of the name.
    """

    edge: str
    url: str
    trust: ssl.SSLContext | None
    anchors: t.Sequence[x509.Certificate]
    advice: Advice
    ask: t.Sequence[Question]
    min_days: int
    client_context: t.Callable[[], ssl.SSLContext]
    certificate: str | None = None
    replicas: int | None = 1
    places: t.Sequence[str] = ()
    routed: bool = False


class Place(t.NamedTuple):
    """An address, with its port where that is not the URL's; C(ok) is C(None) where nothing was found out there."""

    address: str
    ok: bool | None
    detail: str


class Question(t.NamedTuple):
    """A path, and what its answer means: called with the answer, or with the reason why there is none."""

    path: str
    seconds: float
    judge: t.Callable[[ProbeAnswer | str], Check]


class EndpointReport(t.NamedTuple):
    """What was found at an endpoint, whose name leads to the C(addresses).

    C(seconds) is the time to the first answer over HTTP, C(times) that by path. C(refused) says whether it was a
    refusal that ended an attempt to connect. C(places) are all addresses that were probed.
    """

    checks: list[Check]
    certificate: certificates.Description | None
    days_left: int | None
    seconds: float | None
    times: t.Mapping[str, float] = {}
    addresses: t.Sequence[str] = ()
    port: int | None = None
    refused: bool = False
    places: t.Sequence[Place] = ()
