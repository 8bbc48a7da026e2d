# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which source files a run can remove."""

from __future__ import annotations

import typing as t

from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.facts import HostFacts
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.source_files import files_with_users, unused_files
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.region import Region

SHARED, OWN = "/certs/shared.key", "/certs/asia.key"


def test_files_have_the_regions_that_name_or_use_them() -> None:
    regions = [
        Region("asia", source_files=[SHARED, OWN], files=[OWN]),
        Region("europe", files=[SHARED]),
        Region("brazil", source_files=[SHARED]),
    ]
    assert files_with_users("asia", [SHARED, OWN], regions) == {SHARED: ["europe", "brazil"], OWN: []}
    assert files_with_users("europe", [], regions) == {SHARED: ["asia", "brazil"]}
    assert files_with_users("asia", [OWN], []) == {OWN: []}


def facts(host: str, files: t.Mapping[str, t.Sequence[str]], **more: t.Any) -> HostFacts:
    return HostFacts({"inventory_hostname": host, "__dtr_cache": {"play": "1", "source_files": files}, **more}, "1")


def removed(*hosts: HostFacts) -> dict[str, list[str]]:
    known = {each.host: each for each in hosts}
    return {each.host: unused_files(each, known) for each in hosts}


def test_the_last_region_that_needs_a_file_removes_it() -> None:
    asia, europe = facts("asia", {SHARED: ["europe"], OWN: []}), facts("europe", {SHARED: ["asia"]})
    assert removed(asia, europe) == {"asia": [OWN], "europe": [SHARED]}


def test_a_file_stays_for_a_region_that_needs_it_again() -> None:
    asia = facts("asia", {SHARED: ["europe"], OWN: []})
    not_run = HostFacts({"inventory_hostname": "europe"}, "1")
    of_an_earlier_play = HostFacts({"inventory_hostname": "europe", "__dtr_cache": {"play": "0"}}, "1")
    failure = {"play": "1", "task": "Deploy", "reason": ""}
    failed = facts("europe", {SHARED: ["asia"]}, __dtr_cache_failure=failure)
    for europe in (not_run, of_an_earlier_play, failed):
        assert removed(asia, europe) == {"asia": [OWN], "europe": []}
    # Left out by --limit, or not reached.
    assert removed(asia) == {"asia": [OWN]}
    assert removed(facts("asia", {OWN: []}, __dtr_cache_failure=failure)) == {"asia": []}
