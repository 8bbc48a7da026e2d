# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The address of a DTR as an option has it: what is accepted, and in which one form it is used."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import quote, urlsplit

from ..common.failure import Failure
from ..common.urls import ascii_name, without_secrets
from ..common.vocabulary import word


def normalise_url(url: str, allow_plain: bool = False) -> str:
    """The base URL with a scheme, without a trailing slash.

    Raises:
        Failure: C(INVALID_INPUT) when it is no URL of a server, or carries what does not belong into it.
    """
    text = url.strip()
    if "@" in text:
        # First of all: what carries a password is not repeated, whatever else is wrong with it.
        host = re.split(r"[:/?#]", text.rpartition("@")[2])[0]
        raise Failure(
            "INVALID_INPUT",
            f"url: credentials do not belong into the URL of {host or 'a server'}.",
            hint=f"Use {word('credentials')}.",
        )
    if "://" not in text:
        text = f"https://{text}"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
        name = ascii_name(host)
    except ValueError:
        raise Failure("INVALID_INPUT", "url: this is not a URL with a valid host and port.") from None
    if not host or any(character.isspace() or not character.isprintable() for character in text):
        raise Failure("INVALID_INPUT", f"url: '{without_secrets(text)}' names no host.")
    if parts.scheme not in ("https", "http"):
        raise Failure("INVALID_INPUT", f"url: '{parts.scheme}' is not a scheme of DTR; use https.")
    if parts.query or parts.fragment:
        raise Failure("INVALID_INPUT", f"url: {without_secrets(text)} must not be followed by a query or a fragment.")
    if parts.scheme == "http" and not allow_plain and not _is_loopback(host):
        raise Failure(
            "INVALID_INPUT",
            f"url: plain http to {host} would show the password to the network.",
            hint="Use https.",
        )
    netloc = parts.netloc if name == host else name if port is None else f"{name}:{port}"
    return f"{parts.scheme}://{quote(netloc, safe=':[]%~')}{quote(parts.path.rstrip('/'), safe='/%~')}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
