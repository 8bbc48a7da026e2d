# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The DTRs of a play are observed in Ansible's own process, with the credentials of their first host."""

from __future__ import annotations

import typing as t
from pathlib import Path
from unittest import mock

import pytest
from ansible_collections.dtr.cache.plugins.action import fleet_info
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.tests.unit.support.actions import make_action
from ansible_collections.dtr.cache.tests.unit.support.dtr import Dtr
from ansible_collections.dtr.cache.tests.unit.support.web import Site, make_identity, serve

CA = make_identity("DTR's CA", ca=True)
PASSWORD = "s3cret-of-the-test"


@pytest.fixture
def dtr() -> Dtr:
    made = Dtr("alice", "bob")
    made.add_cache("asia", "https://127.0.0.1:1", "alice")
    return made


@pytest.fixture
def site(dtr: Dtr, tmp_path: Path) -> t.Iterator[Site]:
    with serve(dtr, make_identity("dtr", CA).server_context(tmp_path)) as running:
        yield running


def facts(name: str, url: str, **settings: t.Any) -> dict[str, t.Any]:
    known = {
        "name": name,
        "host": "127.0.0.1",
        "url": "https://127.0.0.1:1",
        "dtr": url,
        "assignments": {},
        "probe": {"name": name, "url": "https://127.0.0.1:1", "min_days": 14},
        **settings,
    }
    return {
        "inventory_hostname": name,
        "__dtr_cache": {"settings": known, "dtr_ca": {"pem": CA.pem}},
        "__dtr_cache_plan": {"steps": [], "services": []},
    }


def observe(
    hosts: dict[str, dict[str, t.Any]], connection: t.Any, args: dict[str, t.Any] | None = None, **more: t.Any
) -> t.Any:
    action = make_action("fleet_info", {"probe_timeout": 5, "retries": 0, **(args or {})}, **more)
    variables = {"inventory_hostname": "asia", "hostvars": hosts, "ansible_play_batch": list(hosts)}
    with mock.patch.object(fleet_info.settings_variables, "dtr_connection", connection):
        return action.run(task_vars=variables)


def credentials(hosts: list[str], url: str) -> t.Any:
    def connection(variables: t.Mapping[str, t.Any], _templar: t.Any, _loader: t.Any) -> dict[str, t.Any]:
        hosts.append(variables["inventory_hostname"])
        return {"url": url, "username": "admin", "password": PASSWORD, "validate_certs": True}

    return connection


def test_one_question_for_all_hosts_of_a_dtr(site: Site) -> None:
    asked: list[str] = []
    hosts = {"asia": facts("asia", site.url), "europe": facts("europe", site.url), "new": {"inventory_hostname": "new"}}
    result = observe(hosts, credentials(asked, site.url))
    assert asked[0] == "asia" and len(asked) == 1
    assert [(row["region"], row["state"]) for row in result["regions"]] == [
        ("asia", "unhealthy"),
        ("europe", "unhealthy"),
    ]
    assert result["regions"][0]["accounts"] == 1
    assert result["regions"][0]["registered"] is True
    assert "port 1 refuses connections" in result["regions"][0]["cause"]
    (registry,) = result["registries"]
    assert (registry["url"], registry["healthy"], registry["cause"]) == (site.url, True, None)
    assert [row["dangling"] for row in (*result["regions"], registry)] == [0, 0, 0]
    assert "dangling_accounts" not in registry
    named = observe(hosts, credentials(asked, site.url), {"names": True})
    assert named["registries"][0]["dangling_accounts"] == []
    assert not result["changed"]
    assert not result.get("failed")
    assert PASSWORD not in str(result)


def test_variables_that_cannot_be_read_leave_the_caches_to_be_probed(site: Site) -> None:
    def refused(*_args: t.Any) -> dict[str, t.Any]:
        raise Failure("INVALID_SETTINGS", "dtr_cache_registry_password: is required")

    result = observe({"asia": facts("asia", site.url)}, refused)
    (row,) = result["regions"]
    causes = [problem["cause"] for problem in row["problems"]]
    assert any("port 1 refuses connections" in cause for cause in causes)
    assert any("dtr_cache_registry_password: is required" in cause for cause in causes)
    assert result["registries"][0]["cause"] == "the DTR cannot be queried: dtr_cache_registry_password: is required."


def test_a_dtr_that_is_down_becomes_a_problem(site: Site) -> None:
    result = observe({"asia": facts("asia", "https://127.0.0.1:1")}, credentials([], "https://127.0.0.1:1"))
    assert result["registries"][0]["healthy"] is None
    assert result["registries"][0]["cause"].startswith("the DTR cannot be queried: ")
    assert not result.get("failed")


def test_where_this_process_does_not_do_modules_are_sent(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, dict[str, t.Any]]] = []

    def execute(_self: t.Any, module_name: str, module_args: dict[str, t.Any], **_more: t.Any) -> dict[str, t.Any]:
        sent.append((module_name, module_args))
        return {"healthy": True, "version": "2.7.6", "warnings": ["Asked twice."]}

    monkeypatch.setattr(fleet_info.ActionModule, "_is_for_this_process", lambda *_args: False)
    monkeypatch.setattr(fleet_info.ActionModule, "_execute_module", execute)
    result = observe({"asia": facts("asia", site.url)}, credentials([], site.url), {"timeout": 7})
    assert [name for name, _args in sent] == [
        "dtr.cache.registry_info",
        "dtr.cache.content_caches_info",
        "dtr.cache.cache_health",
        "dtr.cache.cache_assignments_info",
    ]
    assert [args["timeout"] for _name, args in sent] == [7, 7, 5, 21]
    assert sent[0][1]["ca_certificate"] == CA.pem
    assert result["warnings"] == ["Asked twice."]
