# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections to a content cache: without credentials, and with the trust that a client of the cache has."""

from __future__ import annotations

import typing as t

from ansible_collections.dtr.cache.plugins.module_utils import tls
from ansible_collections.dtr.cache.plugins.module_utils.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.transport import Transport


class CacheTransport(Transport):
    """A transport for paths that carry a signature in their query, which is shown to nobody.

    Args:
        url: The cache.
        system_trust: Whether the system's CAs are trusted in addition to those that are given. A Docker Engine does
            that: the folder of DTR's host name in C(/etc/docker/certs.d) adds to the system's trust.
        options: Those of C(Transport).
    """

    def __init__(self, url: str, *, system_trust: bool, **options: t.Any) -> None:
        super().__init__(url, **options)
        if system_trust:
            self._connections._context.load_default_certs()


def cache_connector(params: t.Mapping[str, t.Any]) -> t.Callable[[str, bool], Transport]:
    """What makes a transport to an address, of the cache or not: its storage backend has a certificate from elsewhere.

    Args:
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
    return lambda url, is_cache: CacheTransport(url, system_trust=not (given and is_cache), **trust, **options)


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
