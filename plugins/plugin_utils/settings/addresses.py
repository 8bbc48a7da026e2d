# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses: of hosts, of the DTR and other caches, and of an Engine. They are judged by their parts.

A password in an address, or an address that is split in another way than who reads it would, ends up elsewhere.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t
from urllib.parse import SplitResult, urlsplit

from ...module_utils.common.urls import ascii_name, canonical_host
from . import values
from .reader import Reader

DEFAULT_ENGINE = "unix:///var/run/docker.sock"

_LABEL = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
# Servers inside of a network also have names with _.
_SERVER = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9_.])?")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_USER = re.compile(r"[A-Za-z0-9._-]+")


def is_host(host: str) -> bool:
    return is_address(host) or (len(host) <= 253 and _HOST.fullmatch(host) is not None and not _ends_in_number(host))


def https_url(value: t.Any) -> str:
    """The address of a DTR or a cache, without a slash at its end. It carries no credentials, and a wrong one may."""
    text = values.line(value)
    if "@" in text:
        raise values.invalid("must not carry credentials, nor any other @; use the variables for them")
    parts = _split(text)
    if parts is None or parts.scheme != "https":
        raise values.invalid(f"{values.quoted(text)} is not an address of the form https://host[:port]")
    if parts.path not in ("", "/") or "?" in text or "#" in text:
        raise values.invalid(f"{values.quoted(text)} must end after the host and its port")
    # Case, a dot at the end and how a port is written make no other address; whether it is written does to clients.
    host = canonical_host(
        f"https://{parts.hostname}" if ":" not in (parts.hostname or "") else f"https://[{parts.hostname}]"
    )
    return host if parts.port is None else f"{host}:{parts.port}"


def read_engine(reader: Reader) -> dict[str, t.Any]:
    """The connection options of modules that use the Engine.

    The private key goes this way, so what goes over the network is encrypted and verified.
    """
    text = reader.text("docker_host") or DEFAULT_ENGINE
    parts = _split_engine(text)
    if parts is None:
        reader.problem(
            "docker_host",
            f"{values.quoted(text)} is not an Engine's address such as unix:///var/run/docker.sock, "
            "tcp://manager:2376 or ssh://user@manager; http:// would carry the private key in the clear",
        )
        return {}
    if parts.scheme not in ("tcp", "https"):
        return {"docker_host": text}
    address = {"docker_host": f"{parts.scheme}://{parts.netloc}"}
    return address if _is_loopback(parts.hostname or "") else {**address, "validate_certs": True}


def _split_engine(text: str) -> SplitResult | None:
    """The parts of an Engine's address, or C(None) where it is none."""
    scheme, _colon, rest = text.partition("://")
    scheme = scheme.lower()
    if any(letter in text for letter in "?#\\ "):
        return None
    parts: SplitResult | None
    if scheme in ("unix", "npipe"):
        parts = urlsplit(text)
        return parts if parts.path.startswith("/") and not parts.netloc else None
    if scheme == "ssh":
        user, at, host = rest.rpartition("@")
        parts = _split(f"ssh://{host}")
        return parts if parts and (not at or _USER.fullmatch(user)) else None
    parts = _split(text) if "@" not in text else None
    # Docker's own library knows no default port.
    is_engine = parts and scheme in ("tcp", "https") and parts.path in ("", "/") and parts.port
    return parts if is_engine else None


def _split(text: str) -> SplitResult | None:
    """The parts of an address, or C(None) where its host or its port cannot be one."""
    try:
        parts = urlsplit(text)
        host, port = ascii_name(parts.hostname or ""), parts.port
    except ValueError:
        return None
    is_server = (
        is_address(host) and ":" in host if parts.netloc.startswith("[") else _is_server(parts.hostname or "", host)
    )
    return parts if is_server and port != 0 and not parts.netloc.endswith(":") else None


def _is_server(written: str, host: str) -> bool:
    """Whether a host is one, as it is written and as DNS has it, which leaves out what nobody sees."""
    if not all(letter.isalnum() or letter in "-_." for letter in written) or not _SERVER.fullmatch(host):
        return False
    return ".." not in host and (is_address(host) or not _ends_in_number(host))


def _ends_in_number(host: str) -> bool:
    """Whether resolvers may take a name for an IPv4 address: 127.1 is 127.0.0.1, and 010.0.0.1 is 8.0.0.1."""
    return _NUMBER.fullmatch(host.removesuffix(".").rpartition(".")[2]) is not None


def is_address(host: str) -> bool:
    if "%" in host:  # a zone is a network interface of one machine
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host).is_loopback if is_address(host) else host == "localhost"
