# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a removal undoes on other hosts, as far as no other region needs it."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.urls import canonical_server
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.undoing import Undoing, undoing
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.model import authority_file
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.region import Region
from ansible_collections.dtr.cache.tests.unit.support.settings import CA, read

GROUPS = {"all": ["asia", "europe", "node-1", "node-2", "docker-1"], "nodes": ["node-1", "node-2"]}
DTR = "https://dtr.example.org"
FILE = authority_file(CA.pem)
OWN = Region("asia", name="region-asia", dtr=DTR, authority=FILE)
EUROPE = Region("europe", name="region-europe", dtr=DTR, authority="another")


def undo(*others: Region, **changes: t.Any) -> Undoing:
    settings, problems = read(**{"firewall_hosts": "nodes, node-1", "client_hosts": ["docker-1"], **changes})
    assert problems == []
    own = OWN._replace(former_names=settings.former_names)
    return undoing(settings, own, [own, *others], GROUPS)


def test_hosts_and_groups() -> None:
    assert undo(EUROPE) == Undoing(["node-1", "node-2"], ["docker-1"], FILE, [], [])
    assert undo().fact() == {"firewall": ["node-1", "node-2"], "trust": ["docker-1"], "file": FILE}
    assert undo(firewall_hosts=[], client_hosts=None).fact() == {"firewall": [], "trust": [], "file": FILE}


@pytest.mark.parametrize("authority", [FILE, None], ids=["the same", "not known"])
def test_a_ca_that_another_region_may_need_stays(authority: str | None) -> None:
    found = undo(EUROPE._replace(authority=authority))
    assert (found.trust, found.problems) == ([], [])
    assert found.warnings == [
        "The CA of region-asia stays on the hosts of dtr_cache_client_hosts, since the cache of europe has or may have "
        "the same."
    ]
    assert undo(EUROPE._replace(authority=authority), client_hosts=[]).warnings == []


def test_without_a_ca_there_is_none_to_take() -> None:
    settings, _problems = read(client_hosts=["docker-1"], ca_certificate=None)
    found = undoing(settings, OWN._replace(authority=""), [], GROUPS)
    assert (found.trust, len(found.warnings)) == ([], 1)


def test_a_cache_that_another_one_pulls_from_is_not_removed() -> None:
    settings, _problems = read()
    beyond = EUROPE._replace(upstreams=[canonical_server(settings.url)], in_play=False)
    (problem,) = undoing(settings, OWN, [OWN, beyond], GROUPS).problems
    assert problem.startswith("dtr_cache_upstreams: the cache of host europe pulls from this one (https://cache.")
    # It goes as well.
    assert undoing(settings, OWN, [OWN, beyond._replace(in_play=True)], GROUPS).problems == []


def test_what_is_not_there_and_what_is_another_regions_is_refused() -> None:
    found = undo(EUROPE, firewall_hosts=["node-3", "nodes"], former_names=["region-europe"])
    assert [problem.partition(":")[0] for problem in found.problems] == [
        "dtr_cache_former_names",
        "dtr_cache_firewall_hosts",
    ]
    assert found.problems[1].endswith("the inventory has no host or group node-3")
