# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether DTR trusts a cache: a handshake with the certificate authorities that it has."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import urllib.parse

from .site import Site

_SECONDS = 2.0


async def trusts(site: Site, host: str) -> bool:
    """Whether the server at a cache's address shows a certificate that this registry trusts."""
    parts = urllib.parse.urlsplit(host)
    if parts.scheme != "https" or not parts.hostname:
        return parts.scheme == "http"
    context = ssl.create_default_context(cadata=site.ca_pem or None)
    if site.behaviours.trusted_ca:
        context.load_verify_locations(cadata=site.behaviours.trusted_ca)
    try:
        async with asyncio.timeout(_SECONDS):
            _reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 443, ssl=context)
    except (OSError, ssl.SSLError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError, ssl.SSLError):
        await writer.wait_closed()
    return True
