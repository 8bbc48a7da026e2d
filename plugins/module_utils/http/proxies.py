# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proxy that the environment names."""

from __future__ import annotations

import base64
import ipaddress
import urllib.request
from urllib.parse import SplitResult, unquote, urlsplit

from ..common.failure import Failure


def proxy_for(host: str) -> SplitResult | None:
    """The proxy that the environment names for https, unless C(NO_PROXY) covers the host."""
    settings = urllib.request.getproxies_environment()
    proxy = settings.get("https") or settings.get("all")
    if not proxy or any(_covers(entry.strip().lower(), host) for entry in settings.get("no", "").split(",")):
        return None
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        usable = parts.scheme == "http" and parts.hostname and (parts.port is None or parts.port)
    except ValueError:
        usable = False
    if not usable:
        raise Failure(
            "INVALID_INPUT",
            "The environment's HTTPS_PROXY is not the URL of an HTTP proxy.",
            hint="Write http://host:port, or add the host to NO_PROXY.",
        )
    return parts


def _covers(entry: str, host: str) -> bool:
    """Whether an entry of C(NO_PROXY) covers a host: everything, an address range, a host, or a domain above it."""
    if entry == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        domain = entry.lstrip("*.")
        return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def proxy_headers(proxy: SplitResult) -> dict[str, str]:
    """The header fields by which a proxy knows its client."""
    if not proxy.username:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair.encode()).decode('ascii')}"}
