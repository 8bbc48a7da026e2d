# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clients of the cache: from where they come, and what Docker hosts among them trust."""

from __future__ import annotations

import datetime
import ipaddress
import typing as t
from urllib.parse import urlsplit

from ...module_utils.common.urls import DEFAULT_PORTS, canonical_server
from . import values
from .certificate import read_authorities
from .image import is_registry
from .model import Network
from .reader import Reader

CLIENT_RUNTIMES = ("docker", "containerd", "podman", "cri-o")


def read_clients(
    reader: Reader, registry_url: str, needs: t.Collection[str], now: datetime.datetime
) -> dict[str, t.Any]:
    return {
        "allowed_networks": _read_networks(reader),
        "client_registries": _read_registries(reader, registry_url),
        "client_runtimes": _read_runtimes(reader),
        "client_cas": read_authorities(reader, "client_cas", needs, now, ahead=True),
        "client_trust_state": reader.choice("client_trust_state", ("present", "absent")),
        "client_hosts": tuple(reader.items("client_hosts")),
        "firewall_hosts": tuple(reader.items("firewall_hosts")),
    }


def _read_networks(reader: Reader) -> tuple[Network, ...]:
    networks: dict[Network, None] = {}
    for text in reader.items("allowed_networks"):
        try:
            if "%" in text:
                raise ValueError("a zone is a network interface of one machine")
            networks[ipaddress.ip_network(text)] = None
        except ValueError as error:
            meant = ipaddress.ip_network(text, strict=False) if "host bits" in str(error) else None
            hint = f"; did you mean {meant}?" if meant else ""
            reader.problem("allowed_networks", f"{values.quoted(text)} is not a network such as 198.51.100.0/24{hint}")
    return tuple(networks)


def _read_registries(reader: Reader, registry_url: str) -> tuple[str, ...]:
    """What stands before the first slash of an image's reference, and is a folder below /etc/docker/certs.d."""
    names = reader.items("client_registries")
    for name in names:
        if not is_registry(name):
            reader.problem("client_registries", f"{values.quoted(name)} is not the host[:port] of an image's reference")
    if names or not registry_url:
        return tuple(dict.fromkeys(names))
    # The folder has the name as Docker has it, however the address is spelled.
    host = canonical_server(registry_url).partition("://")[2]
    # Who writes the usual port in the address may leave it out in a reference.
    return (f"{host}:443", host) if urlsplit(registry_url).port == DEFAULT_PORTS["https"] else (host,)


def _read_runtimes(reader: Reader) -> tuple[str, ...]:
    runtimes = reader.items("client_runtimes")
    for unknown in sorted(set(runtimes) - set(CLIENT_RUNTIMES)):
        reader.problem("client_runtimes", f"{values.quoted(unknown)} is none of {', '.join(CLIENT_RUNTIMES)}")
    if not runtimes and not reader.is_reported("client_runtimes"):
        # It would take the trust of all of them back.
        reader.problem(
            "client_runtimes",
            f"names none of {', '.join(CLIENT_RUNTIMES)}; leave it out for docker (trust is taken back by "
            "dtr_cache_client_trust_state=absent)",
        )
    return tuple(runtimes)
