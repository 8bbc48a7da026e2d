# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the report of an adoption has of each host."""

from __future__ import annotations

import typing as t

from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.facts import HostFacts
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.reports import adoption
from ansible_collections.dtr.cache.tests.unit.support import facts

ADOPTED: dict[str, t.Any] = {
    "changed": True,
    "name": "region-asia",
    "url": "https://cache-asia.example.org:443",
    "stack": "pulls",
    "nodes": ["worker-1", "worker-2"],
    "accounts": 122,
    "to_set": ["dtr_cache_certificate"],
    "vaulted": ["vault_dtr_cache_storage_s3_secretkey"],
    "path": "/inventory/host_vars/manager-asia.yml",
    "notes": ["its service limits processes to 100, which no variable keeps"],
}


def host(**changes: t.Any) -> HostFacts:
    return facts.host("manager-asia", {"name": ""}, adopted={**ADOPTED, **changes})


def test_what_was_written_and_what_is_left_to_do() -> None:
    (row,) = adoption.rows([host()])
    assert row == {
        "region": "manager-asia",
        "cache": "region-asia",
        "url": ADOPTED["url"],
        "stack": "pulls",
        "nodes": 2,
        "accounts": 122,
        "to set": ["dtr_cache_certificate", "vault_dtr_cache_storage_s3_secretkey"],
        "file": ADOPTED["path"],
        "result": "written",
    }
    lines = adoption.table([host()], False).lines(400)
    assert lines[0].split()[-1] == "result"
    assert lines[3:] == [
        "  To set: dtr_cache_certificate, vault_dtr_cache_storage_s3_secretkey.",
        "  Its service limits processes to 100, which no variable keeps.",
    ]
    planned = adoption.table([host()], True).lines(400)
    assert "would write" in planned[0]
    assert planned[2].endswith("  would be written")


def test_names_are_written_as_they_are() -> None:
    notes = ["dtr_cache_name: 'a b' is not a cache's name", "config.yml: x", "https://dtr has none", "groups 27 of it"]
    assert adoption.table([host(notes=notes, to_set=[], vaulted=[])], False).lines(400)[3:] == [
        "  dtr_cache_name: 'a b' is not a cache's name.",
        "  config.yml: x.",
        "  https://dtr has none.",
        "  Groups 27 of it.",
    ]


def test_how_it_ended() -> None:
    hosts = [host(changed=False), facts.host("b", failure=facts.FAILED), facts.host("c")]
    results = [row["result"] for row in adoption.rows(hosts)]
    assert results == ["as it was", "failed at: Deploy the stack", "did not finish"]
    assert f"  {facts.FAILED['reason']}" in adoption.table(hosts, False).lines(400)
