# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections to a content cache: without credentials, and with the trust that a client of the cache has.

A Docker Engine trusts the system's CAs in addition to those that are given: the folder of DTR's host name in
C(/etc/docker/certs.d) adds to the system's trust.
"""

from __future__ import annotations

import socket
import typing as t

from ..common.failure import Failure
from ..common.urls import Origin, address_and_port, origin_of
from ..http import tls
from ..http.transport import Transport


def addresses_of(origin: Origin) -> list[str]:
    """The addresses of a server's name, each once; none where they are not to be had here, as behind a proxy."""
    try:
        found = socket.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    except (OSError, ValueError):
        return []
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def cache_connector(params: t.Mapping[str, t.Any], address: str | None = None) -> t.Callable[[str, bool], Transport]:
    """What makes a transport to a URL, of the cache or not: its storage backend is another server, trusted otherwise.

    Args:
        address: The one address of the cache's name to connect to.
        params: C(cache_ca_certificate), DTR's C(ca_path) and C(ca_certificate), C(validate_certs), C(timeout),
            C(retries) and C(concurrency) of the module.

    Raises:
        Failure: C(INVALID_INPUT) when the cache's CA cannot be used.
    """
    options = {name: params[name] for name in ("validate_certs", "timeout", "retries", "concurrency")}
    given = params["cache_ca_certificate"]
    if given:
        trust = authority(given, "cache_ca_certificate")
    else:
        trust = {name: params[name] for name in ("ca_path", "ca_certificate")}

    def connect(url: str, is_cache: bool) -> Transport:
        return transport_to(
            url, address if is_cache else None, system_trust=not (given and is_cache), **trust, **options
        )

    return connect


def transport_to(url: str, address: str | None, **options: t.Any) -> Transport:
    """Make a transport to the server of a URL, at one address, which may have a port of its own."""
    if address is None:
        return Transport(url, **options)
    origin = origin_of(url)
    only, port = address_and_port(address, origin.port)
    return Transport(str(origin._replace(port=port)), address=only, **options)


def authority(value: str, option: str) -> dict[str, t.Any]:
    """A CA given as PEM text or as a path, as an option of the transport.

    Raises:
        Failure: C(INVALID_INPUT), with the option's name, when it cannot be used.
    """
    trust: dict[str, t.Any] = {"ca_certificate": value} if "-----BEGIN" in value else {"ca_path": value}
    try:
        tls.client_context(**trust)
    except Failure as failure:
        reason = failure.message.partition(": ")[2]
        raise Failure("INVALID_INPUT", f"{option}: {reason}") from None
    return trust
