# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom the playbooks run on, and how many of them at a time."""

from __future__ import annotations

import re

import pytest

from .conftest import Json, Registry
from .playbook_runs import LOCALLY, WRONG_PASSWORD, Ansible, finished, fleet


def declared(registry: Registry, **more: Json) -> Json:
    return fleet(registry, **{"asia": {"accounts": ["alice"]}, "europe": {"accounts": ["bob"]}, **more})


def pulled_from(registry: Registry) -> tuple[str | None, str | None]:
    settings = registry.settings()
    return settings.get("alice"), settings.get("bob")


@pytest.mark.parametrize("hosts", ["manager-asia", " manager-asia ", '["manager-asia"]', "dtr_caches:!manager-europe"])
def test_only_the_hosts_that_are_named(two_regions: Registry, ansible: Ansible, hosts: str) -> None:
    run = ansible.run("dtr.cache.assign", inventory=declared(two_regions), dtr_cache_hosts=hosts)
    assert run.code == 0, run.output
    assert pulled_from(two_regions) == ("region-asia", None)


def test_by_the_variables_of_import_playbook(two_regions: Registry, ansible: Ansible) -> None:
    book = [{"import_playbook": "dtr.cache.assign", "vars": {"dtr_cache_hosts": ["manager-europe"]}}]
    before, _bob = pulled_from(two_regions)
    run = ansible.run(book, inventory=declared(two_regions, asia={"accounts": ["alice"]}))
    assert run.code == 0, run.output
    assert pulled_from(two_regions) == (before, "region-europe")
    assert before != "region-asia"


def test_in_the_inventory_it_would_have_no_effect(two_regions: Registry, ansible: Ansible) -> None:
    inventory = declared(two_regions)
    inventory["dtr_caches"]["vars"].update(dtr_cache_hosts="manager-asia", dtr_cache_serial=1)
    with two_regions.nothing_is_written():
        run = ansible.run("dtr.cache.assign", inventory=inventory)
    assert run.code != 0
    for name in ("dtr_cache_hosts", "dtr_cache_serial"):
        assert f"{name}: Ansible chooses the hosts before it reads the inventory" in run.stdout


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"dtr_cache_hosts": "manager-azia"}, "dtr_cache_hosts: the inventory has no group and no host of the name"),
        ({"dtr_cache_hosts": {"a": 1}}, "dtr_cache_hosts: must be a list of texts"),
        ({"dtr_cache_serial": "0"}, "dtr_cache_serial: '0' is neither a number of regions from 1 nor a share"),
        ({"dtr_cache_serial": "one"}, "dtr_cache_serial: 'one' is neither a number of regions from 1 nor a share"),
        ({"dtr_cache_serial": [1, "150%"]}, "dtr_cache_serial: '150%' is neither a number of regions from 1"),
    ],
)
def test_what_is_not_understood_is_an_error(
    two_regions: Registry, ansible: Ansible, variables: Json, sentence: str
) -> None:
    with two_regions.nothing_is_written():
        run = ansible.run("dtr.cache.assign", inventory=declared(two_regions), **variables)
    assert run.code != 0
    assert sentence in " ".join(run.output.split()), run.output
    assert "Traceback" not in run.output


@pytest.mark.parametrize("serial", [1, "1, 100%", "50%", '[1, "100%"]'])
def test_one_after_the_other(two_regions: Registry, ansible: Ansible, serial: object) -> None:
    run = ansible.run("dtr.cache.assign", inventory=declared(two_regions), dtr_cache_serial=serial)
    assert run.code == 0, run.output
    assert re.findall(r"^manager-\w+  +(region-\w+)", run.stdout, re.MULTILINE) == ["region-asia", "region-europe"]
    assert pulled_from(two_regions) == ("region-asia", "region-europe")


def test_a_failed_batch_stops_those_after_it(two_regions: Registry, ansible: Ansible) -> None:
    """Also where a region of the same batch succeeded; Ansible by itself goes on then."""
    inventory = declared(two_regions, brazil={"accounts": ["carol"]})
    inventory["dtr_caches"]["hosts"]["manager-asia"]["dtr_cache_registry_password"] = WRONG_PASSWORD
    saved = ansible.folder / "caches.json"
    run = ansible.run("dtr.cache.backup", inventory=inventory, dtr_cache_serial=2, dtr_cache_backup_file=str(saved))
    assert saved.exists()
    assert run.code != 0
    assert "- manager-asia failed in an earlier batch (dtr_cache_serial), so nothing is done here" in run.stdout, (
        run.stdout
    )


def test_exclusive_needs_all_regions_at_once(two_regions: Registry, ansible: Ansible) -> None:
    inventory = declared(two_regions)
    inventory["dtr_caches"]["vars"]["dtr_cache_assignments_exclusive"] = True
    for variables in ({"dtr_cache_serial": 1}, {"dtr_cache_hosts": "manager-asia"}):
        with two_regions.nothing_is_written():
            run = ansible.run("dtr.cache.assign", inventory=inventory, **variables)
        assert run.code != 0
        assert "the run has to include all of them" in " ".join(run.stdout.split())


def test_two_control_nodes_share_a_fleet(two_regions: Registry, ansible: Ansible) -> None:
    """Each has the whole inventory and runs on a part of it, at the same time; only C(exclusive) needs all regions."""
    names = ["asia", "europe", "brazil", "canada", "denmark", "egypt"]
    claimed = dict(zip(names, ("alice", "bob", "carol", "dave", "erin", "frank"), strict=True))
    claims: Json = {name: {"accounts": [account]} for name, account in claimed.items()}
    claims["asia"] = {"everyone": True}
    inventory = fleet(two_regions, **claims)
    for number, name in enumerate(names):
        host = {"dtr_cache_host": f"cache-{name}.example.org", "dtr_cache_port": 8443 + number, **LOCALLY}
        inventory["dtr_caches"]["hosts"][f"manager-{name}"].update(host)
    roles = ["dtr.cache.registration", "dtr.cache.assignments"]
    book: list[Json] = [{"hosts": "dtr_caches", "gather_facts": False, "roles": roles}]
    halves = [",".join(f"manager-{name}" for name in half) for half in (names[:3], names[3:])]
    runs = [finished(run) for run in [ansible.start(book, "--limit", half, inventory=inventory) for half in halves]]
    assert [run.code for run in runs] == [0, 0], runs
    settings = two_regions.settings()
    assert {account: settings[account] for account in list(claimed.values())[1:]} == {
        account: f"region-{name}" for name, account in claimed.items() if name != "asia"
    }
    assert {settings[account] for account in ("alice", "grace")} == {"region-asia"}
    registered = [name for name, _url in two_regions.caches()]
    assert sorted(registered) == sorted(f"region-{name}" for name in names)
    with two_regions.nothing_is_written():
        again = ansible.run("dtr.cache.assign", inventory=inventory)
    assert again.code == 0, again.output


def test_a_first_host_whose_variables_make_no_connection(two_regions: Registry, ansible: Ansible) -> None:
    """The report of all hosts is made all the same."""
    inventory = declared(two_regions)
    inventory["dtr_caches"]["hosts"]["manager-asia"]["ansible_host"] = "{{ nowhere_defined }}"
    saved = ansible.folder / "caches.json"
    run = ansible.run("dtr.cache.backup", inventory=inventory, dtr_cache_backup_file=str(saved))
    assert run.code != 0
    assert re.search(r"^manager-asia .* failed at: Check the settings$", run.stdout, re.MULTILINE), run.stdout
    assert "'nowhere_defined' is undefined" in run.stdout.partition("\ndtr  ")[2], "the report has the reason"
    assert re.search(rf"^https://\S+ .* {saved} +ok$", run.stdout, re.MULTILINE), run.stdout


def test_a_status_is_of_all_regions_whatever_is_wrong_with_the_first(two_regions: Registry, ansible: Ansible) -> None:
    inventory = declared(two_regions)
    for host in inventory["dtr_caches"]["hosts"].values():
        host.update(LOCALLY, dtr_cache_host="127.0.0.1", dtr_cache_docker_host="unix:///nowhere.sock")
    run = ansible.run("dtr.cache.status", inventory=inventory, dtr_cache_serial=1)
    assert run.code != 0
    assert re.findall(r"^(manager-\w+) .* unhealthy", run.stdout, re.MULTILINE) == ["manager-asia", "manager-europe"]
    assert re.search(
        r"fatal: \[manager-europe\].*manager-europe is unhealthy\..* manager-asia is unhealthy\.", run.stdout
    )
