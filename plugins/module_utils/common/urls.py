# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of servers: when two of them mean the same one. Pure functions."""

from __future__ import annotations

import ipaddress
import typing as t
from urllib.parse import urlsplit, urlunsplit

from .failure import Failure

DEFAULT_PORTS = {"http": 80, "https": 443}


def canonical_host(url: str) -> str:
    """The URL in the one form in which equal servers are equal: no default port, no trailing slash, lower case.

    A name with letters beyond ASCII is in the form that DNS has of it, and an IPv6 address in its shortest. What is no
    URL stays as it is.
    """
    try:
        parts = urlsplit(url.strip())
        hostname, port = _one_form(parts.hostname or ""), parts.port
    except ValueError:
        return url.strip()
    if not hostname:
        return url.strip()
    scheme = parts.scheme.lower()
    shown = f"[{hostname}]" if ":" in hostname else hostname
    if port not in (None, DEFAULT_PORTS.get(scheme)):
        shown = f"{shown}:{port}"
    return f"{scheme}://{shown}{parts.path.rstrip('/')}"


def _one_form(hostname: str) -> str:
    try:
        return str(ipaddress.ip_address(hostname))
    except ValueError:
        return ascii_name(hostname).rstrip(".")


def canonical_server(url: str) -> str:
    """The same for the address of a DTR, where https is meant without a scheme."""
    return canonical_host(url if "://" in url else f"https://{url}")


def ascii_name(hostname: str) -> str:
    """A host name as DNS and certificates have it: C(xn--bcher-kva.example) for C(bücher.example).

    Raises:
        ValueError: DNS cannot have such a name.
    """
    # The codec refuses some names in ASCII that are in use, such as those with an empty label.
    return hostname if hostname.isascii() else hostname.encode("idna").decode("ascii")


class Origin(t.NamedTuple):
    """What of a URL names a server."""

    scheme: str
    host: str
    port: int | None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == DEFAULT_PORTS.get(self.scheme) else f":{self.port}"
        return f"{self.scheme}://{host}{port}"


def origin_of(url: str) -> Origin:
    """The server of a URL; without a scheme https is meant.

    Raises:
        Failure: C(INVALID_INPUT) when it is no URL.
    """
    text = url.strip()
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        host = (parts.hostname or "").lower()
        origin = Origin(parts.scheme.lower(), _one_form(host) if ":" in host else host, parts.port)
    except ValueError:
        origin = Origin("", "", None)
    if not origin.host:
        raise Failure("INVALID_INPUT", f"'{without_secrets(text)}' is not the URL of a server.")
    return origin._replace(port=origin.port or DEFAULT_PORTS.get(origin.scheme))


def address_and_port(place: str, port: int | None) -> tuple[str, int | None]:
    """An address, and the port that may be beside it as in a URL or else is C(port)."""
    if place.startswith("[") or place.count(":") == 1:
        origin = origin_of(f"tcp://{place}")
        return origin.host, origin.port or port
    return place, port


def without_secrets(url: str) -> str:
    """The URL without user information, query and fragment: any of them may carry a credential or a signature.

    What is no URL is not shown at all.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that is no URL"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
