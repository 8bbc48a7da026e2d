# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a region concerns the other regions: its cache's name and address, its accounts, its stack and its ports."""

from __future__ import annotations

import typing as t

from ...module_utils.common.urls import ascii_name, canonical_server
from ...module_utils.x509.certificates import to_pem
from . import cache, certificate, clients, dtr, run
from .model import Settings, authority_file
from .reader import PREFIX, Reader


class Region(t.NamedTuple):
    """One region as an inventory declares it. What is not known is empty, and is like nothing else.

    The stack, its ports and its nodes are known of regions whose settings were read, and matter in one Swarm.

    Args:
        host: The inventory's host.
        name: The cache's name in DTR.
        former_names: Names that it had there before.
        former_stack_names: Stacks that it replaces.
        authority: The file in which Docker hosts keep the CA of its certificate; C(None) where it cannot be read.
        dtr: The DTR's address, in the one form in which equal ones are equal.
        address: Host and public port of the cache, in such a form as well.
        stack_name: The stack.
        port: The port that the stack publishes.
        metrics_port: That of its metrics; C(None) without.
        upstreams: What it pulls from in the place of the DTR, in the one form in which equal ones are equal.
        source_files: The files to remove at the end, as absolute paths.
        files: Those of its certificate and private key, as absolute paths.
        nodes: The nodes that are dedicated to it.
        publish_mode: C(ingress), by which every node of the Swarm has the port, or C(host).
        assignments: C(accounts), C(teams), C(orgs) and C(everyone).
        in_play: Whether the host takes part in the play.
        in_group: Whether the host is one of the regions of the inventory, and not only of the play.
    """

    host: str
    name: str = ""
    dtr: str = ""
    address: str = ""
    stack_name: str = ""
    port: int | None = None
    metrics_port: int | None = None
    nodes: t.Sequence[str] = ()
    publish_mode: str = ""
    assignments: t.Mapping[str, t.Any] = {}
    in_play: bool = True
    in_group: bool = True
    former_names: t.Sequence[str] = ()
    former_stack_names: t.Sequence[str] = ()
    authority: str | None = ""
    upstreams: t.Sequence[str] = ()
    source_files: t.Sequence[str] = ()
    files: t.Sequence[str] = ()


VARIABLES = tuple(
    PREFIX + name
    for name in (
        *("name", "host", "port", "public_port", "registry_url", "assignments"),
        *("former_names", "ca_certificate", "upstreams"),
        *("source_files", "certificate", "private_key"),
    )
)
"""The variables that are read for it."""

_MADE_OF = {
    "name": ("name",),
    "dtr": ("registry_url",),
    "address": ("host", "port", "public_port"),
    "port": ("port",),
    "nodes": ("nodes",),
    "publish_mode": ("publish_mode",),
    "stack_name": ("stack_name", "product"),
    "metrics_port": ("metrics_port",),
    "assignments": ("assignments",),
    "former_names": ("former_names",),
    "former_stack_names": ("former_stack_names",),
    "upstreams": ("upstreams",),
    "source_files": ("source_files",),
}


def read_region(reader: Reader, host: str, unknown: t.Collection[str]) -> Region:
    """A region of an inventory, as far as it can be understood.

    Args:
        reader: Its variables.
        host: The inventory's host.
        unknown: Variables whose values cannot be known.
    """
    address = cache.read_address(reader, ())
    url = dtr.read_url(reader)
    assignments = clients.read_assignments(reader)
    former_names = cache.read_former_names(reader, address["name"])
    authority = to_pem(certificate.read_certificates(reader, "ca_certificate"))
    upstreams = cache.read_upstreams(reader)
    source_files = run.read_source_files(reader)
    wrong = {sentence.partition(":")[0] for sentence in reader.problems} | set(unknown)
    if not (address["name"] or address["host"] or {f"{PREFIX}name", f"{PREFIX}host"} & wrong):
        # What roles do there is said where they are used, and the defaults are nobody's.
        return Region(host)
    region = Region(
        host,
        name=address["name"],
        dtr=canonical_server(url) if url else "",
        address=address_of(address["host"], address["public_port"]),
        assignments=assignments,
        former_names=former_names,
        upstreams=[canonical_server(each) for each in upstreams if each],
        source_files=source_files,
        files=[file for name in ("certificate", "private_key") for file in _file(reader, name)],
        authority=None if f"{PREFIX}ca_certificate" in wrong else authority_file(authority) if authority else "",
    )
    return _understood(region, wrong)


def _file(reader: Reader, name: str) -> list[str]:
    """Return the path of a variable that may be PEM text as well; nothing where it is that."""
    value = reader.raw(name)
    is_path = isinstance(value, str) and "-----" not in value and "\n" not in value
    return [reader.control_node.locate(value)] if is_path else []


def region_as_read(settings: Settings, problems: t.Iterable[str], host: str) -> Region:
    """The region of settings that were read for a deployment, without what the reading found to be wrong."""
    region = Region(
        host,
        name=settings.name,
        dtr=canonical_server(settings.registry_url) if settings.registry_url else "",
        address=address_of(settings.host, settings.public_port),
        stack_name=settings.stack_name,
        port=settings.port,
        nodes=settings.nodes,
        publish_mode=settings.publish_mode,
        metrics_port=settings.metrics_port,
        assignments=settings.assignments,
        former_names=settings.former_names,
        former_stack_names=settings.former_stack_names,
    )
    return _understood(region, {problem.partition(":")[0] for problem in problems})


def _understood(region: Region, wrong: t.Collection[str]) -> Region:
    """The region without what wrong variables are a part of: in their place there are defaults, which nobody meant."""
    nothing = Region(region.host)
    doubtful = [name for name, parts in _MADE_OF.items() if any(PREFIX + part in wrong for part in parts)]
    return region._replace(**{name: getattr(nothing, name) for name in doubtful})


def address_of(host: str, port: int | None) -> str:
    """A cache's address, in the one form in which equal ones are equal."""
    try:
        return f"{ascii_name(host).lower().rstrip('.')}:{port}" if host and port else ""
    except ValueError:
        return ""
