# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a cache's name leads to, and what that has to do with what fails there. Pure functions.

A load balancer may stand before the nodes, or before caches and DTR together. So an address that is no node's, or
DTR's own, is wrong only where no cache answers at it.
"""

from __future__ import annotations

import typing as t

from ..common.urls import origin_of
from .checks import CLIENT_TO_CACHE, Check, bad
from .endpoint import EndpointReport
from .model import Cache

# What fails at a server that is not the cache, or where there is none.
_NOT_THE_CACHE = ("tcp", "tls", "chain", "host_name", "api")
_NOT_REACHED = ("tcp", "tls")
_SHOWN = 6


def with_addresses(
    cache: Cache, checks: t.Sequence[Check], probed: EndpointReport | None, dtr: EndpointReport | None
) -> list[Check]:
    """The checks of a cache, where a name that leads elsewhere is named before what follows from it."""
    failed = {check.check for check in checks if check.prevents_pulls and check.edge == CLIENT_TO_CACHE}
    if not probed or not probed.addresses or not failed.intersection(_NOT_THE_CACHE):
        return list(checks)
    wrong = _is_dtr(cache, probed, dtr)
    if wrong is None and failed.intersection(_NOT_REACHED):
        wrong = _is_no_node(cache, probed)
    if wrong is None:
        return list(checks)
    return [wrong if (check.edge, check.check) == (wrong.edge, wrong.check) else check for check in checks]


def with_mesh(cache: Cache, checks: t.Sequence[Check]) -> list[Check]:
    """The checks, where the hint of a port that does not answer names the routing mesh, if it is published by that."""
    port = cache.port or origin_of(cache.url).port
    if not cache.routed or (cache.published is not None and port not in cache.published):
        return list(checks)
    return [
        check._replace(hint=f"{_MESH} {check.hint}")
        if check.failed and (check.edge, check.check) in ((CLIENT_TO_CACHE, "tcp"), (CLIENT_TO_CACHE, "tls"))
        else check
        for check in checks
    ]


_MESH = (
    "The port is published by Swarm's routing mesh. If the replicas run (docker stack ps), the mesh does not bring "
    "connections to them: every node needs IPVS in its kernel (module ip_vs), and ports 7946 (TCP and UDP) and 4789 "
    "(UDP) open to all other nodes. dtr_cache_publish_mode: host does without the mesh; clients then need the "
    "addresses of the cache's own nodes."
)


def _is_dtr(cache: Cache, probed: EndpointReport, dtr: EndpointReport | None) -> Check | None:
    """The wrong name of a cache that leads to DTR: to its very port, or to a machine that is no node of the Swarm."""
    if dtr is None:
        return None
    host, port = origin_of(cache.url).host, origin_of(cache.url).port
    shared = [address for address in probed.addresses if address in dtr.addresses]
    elsewhere = bool(cache.nodes) and not set(shared).intersection(cache.nodes)
    if not shared or not (port == dtr.port or elsewhere):
        return None
    return bad(
        CLIENT_TO_CACHE,
        "name_resolution",
        f"{host} is {', '.join(shared[:_SHOWN])}, which is the address of DTR itself, and no cache answers there",
        f"Let the name {host} lead to the nodes of the cache, or to the load balancer before them, in DNS and in "
        "/etc/hosts.",
    )


def _is_no_node(cache: Cache, probed: EndpointReport) -> Check | None:
    """The wrong name of a cache that does not answer and leads to no node of its Swarm."""
    if not cache.nodes or set(probed.addresses).intersection(cache.nodes):
        return None
    host = origin_of(cache.url).host
    more = f" and {len(cache.nodes) - _SHOWN} more" if len(cache.nodes) > _SHOWN else ""
    return bad(
        CLIENT_TO_CACHE,
        "name_resolution",
        f"{host} is {', '.join(probed.addresses[:_SHOWN])}, which is no node of the cache's Swarm "
        f"({', '.join(cache.nodes[:_SHOWN])}{more}), and no cache answers there",
        "If a load balancer or an address translation stands there, check that it leads to the nodes; otherwise let "
        f"the name {host} lead to the nodes, in DNS and in /etc/hosts.",
    )
