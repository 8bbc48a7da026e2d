# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a cache's name leads to, and the routing mesh: what is said of it, and when nothing is."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.health.addresses import with_addresses, with_mesh
from ansible_collections.dtr.cache.plugins.module_utils.health.checks import (
    CLIENT_TO_CACHE,
    Check,
    bad,
    likely_cause,
)
from ansible_collections.dtr.cache.plugins.module_utils.health.endpoint import EndpointReport
from ansible_collections.dtr.cache.plugins.module_utils.health.model import Cache

DTR, NODE, BALANCER = "192.0.2.1", "192.0.2.21", "192.0.2.9"
NODES = (NODE, "192.0.2.22")


def checks(failed: str = "", *, harmless: bool = False) -> list[Check]:
    found = [
        Check(CLIENT_TO_CACHE, each, True, "fine") for each in ("name_resolution", "tcp", "tls", "host_name", "api")
    ]
    return [
        bad(CLIENT_TO_CACHE, each.check, "wrong", "Fix it.", harmless=harmless) if each.check == failed else each
        for each in found
    ]


def cause(failed: str, *addresses: str, port: int = 443, dtr_port: int | None = 443, **of_cache: t.Any) -> str:
    """The likely cause of a cache with one failed check, at addresses."""
    cache = Cache("asia", f"https://asia.example.com:{port}", None, **of_cache)
    dtr = EndpointReport([], None, None, None, addresses=[DTR], port=dtr_port) if dtr_port else None
    probed = EndpointReport([], None, None, None, addresses=addresses, port=port)
    found = likely_cause(with_addresses(cache, checks(failed), probed, dtr))
    return f"{found.check}: {found.detail} {found.hint}" if found else ""


@pytest.mark.parametrize("failed", ["tcp", "tls", "host_name", "api"])
def test_a_name_that_leads_to_dtr_comes_first(failed: str) -> None:
    told = cause(failed, DTR)
    assert told.startswith(
        "name_resolution: asia.example.com is 192.0.2.1, which is the address of DTR itself, and no cache answers "
        "there."
    )
    assert "Let the name asia.example.com lead to the nodes of the cache" in told


def test_another_port_of_dtrs_machine_counts_where_that_is_no_node() -> None:
    assert cause("tcp", DTR, port=8443, nodes=NODES).startswith("name_resolution: ")
    assert cause("tcp", DTR, port=8443, nodes=(DTR, *NODES)).startswith("tcp: ")
    assert cause("tcp", DTR, port=8443).startswith("tcp: ")


@pytest.mark.parametrize("failed", ["tcp", "tls"])
def test_a_cache_that_does_not_answer_at_an_address_of_no_node(failed: str) -> None:
    told = cause(failed, BALANCER, nodes=NODES)
    assert told.startswith(
        "name_resolution: asia.example.com is 192.0.2.9, which is no node of the cache's Swarm (192.0.2.21, "
        "192.0.2.22), and no cache answers there."
    )
    assert "If a load balancer or an address translation stands there" in told


@pytest.mark.parametrize(
    ("failed", "addresses", "nodes"),
    [
        ("", (DTR,), NODES),
        ("", (BALANCER,), NODES),
        ("api", (BALANCER,), NODES),
        ("tcp", (NODE,), NODES),
        ("tcp", (BALANCER, NODE), NODES),
        ("tcp", (BALANCER,), ()),
    ],
)
def test_where_a_load_balancer_may_stand_nothing_is_said(
    failed: str, addresses: tuple[str, ...], nodes: tuple[str, ...]
) -> None:
    assert "name_resolution" not in cause(failed, *addresses, nodes=nodes)


def test_a_reminder_is_no_failure_of_the_name() -> None:
    cache = Cache("asia", "https://asia.example.com", None, nodes=NODES)
    probed = EndpointReport([], None, None, None, addresses=[BALANCER], port=443)
    given = checks("host_name", harmless=True)
    assert with_addresses(cache, given, probed, None) == given
    assert with_addresses(cache, given, None, None) == given


@pytest.mark.parametrize(
    ("failed", "routed", "published", "told"),
    [
        ("tcp", True, (443,), True),
        ("tls", True, None, True),
        ("tcp", True, (8443,), False),
        ("tcp", True, (), False),
        ("tcp", False, (443,), False),
        ("api", True, (443,), False),
    ],
)
def test_the_routing_mesh_is_named_where_it_is_used(
    failed: str, routed: bool, published: tuple[int, ...] | None, told: bool
) -> None:
    cache = Cache("asia", "https://asia.example.com", None, routed=routed, published=published)
    hints = " ".join(check.hint for check in with_mesh(cache, checks(failed)) if check.hint)
    # Of a load balancer's port the mesh knows nothing.
    behind = cache._replace(url="https://asia.example.com:7443", port=443)
    assert with_mesh(behind, checks(failed)) == with_mesh(cache, checks(failed))
    for part in ("routing mesh", "IPVS", "7946", "4789", "dtr_cache_publish_mode: host"):
        assert (part in hints) == told, part
    assert hints.endswith("Fix it.")
