# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles and playbooks inside of somebody else's: other plays before them, names and keywords of the user's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .conftest import Json, Registry, harness
from .playbook_runs import EUROPE, LOCALLY, Ansible, fleet, rows

ROLE = "ansible.builtin.include_role"
WRONG = {"dtr_cache_registry_password": "another-password-of-the-test"}


def use(role: str, **more: object) -> Json:
    return {ROLE: {"name": f"dtr.cache.{role}"}, **more}


def play(*tasks: Json, **keywords: object) -> Json:
    return {"hosts": "dtr_caches", "gather_facts": False, "tasks": list(tasks), **keywords}


def test_a_failure_that_was_rescued_in_another_play_is_none_of_this_one(
    two_regions: Registry,
    ansible: Ansible,
) -> None:
    inventory = fleet(two_regions, asia={"accounts": ["alice"]}, europe={})
    rescued = {"block": [use("assignments", vars=WRONG)], "rescue": [{"ansible.builtin.debug": {"msg": "rescued"}}]}
    run = ansible.run([play(rescued), {"import_playbook": "dtr.cache.assign"}], inventory=inventory)
    assert run.code == 0, run.output
    assert [row[-1] for row in rows(run)[1:3]] == ["ok", "ok"], run.stdout
    assert two_regions.settings()["alice"] == "region-asia"


def test_check_mode_as_a_keyword_is_check_mode(two_regions: Registry, ansible: Ansible) -> None:
    new = {
        "dtr_cache_name": "region-oz",
        "dtr_cache_host": "cache-oz.example.org",
        "dtr_cache_assignments": {"accounts": ["bob"]},
    }
    hosts = {"dtr_caches": {"hosts": {"here": {**LOCALLY, **new}}, "vars": fleet(two_regions)["dtr_caches"]["vars"]}}
    with two_regions.nothing_is_written():
        run = ansible.run([play(use("registration"), use("assignments"), check_mode=True)], inventory=hosts)
    assert run.code == 0, run.output
    assert "changed=2" in run.stdout


@pytest.mark.parametrize("playbook", ["assign", "deploy", "status"])
def test_a_task_that_times_out_keeps_its_reason(two_regions: Registry, ansible: Ansible, playbook: str) -> None:
    """Also where Ansible ends it before it has a result, and nobody knows whether the manager answers."""
    two_regions.control.fault("delay", seconds=5)
    inventory = fleet(two_regions, asia={"accounts": ["alice"]}, europe={})
    for host in inventory["dtr_caches"]["hosts"].values():
        host.update(LOCALLY, dtr_cache_host="cache.example.org", dtr_cache_docker_host="unix:///none")
    run = ansible.run(f"dtr.cache.{playbook}", inventory=inventory, env={"ANSIBLE_TASK_TIMEOUT": "2"})
    assert run.code != 0
    report = run.stdout.partition("TASK [Report")[2]
    told = report.count("The task did not end within 2 seconds, which ANSIBLE_TASK_TIMEOUT")
    assert told == 1, run.output
    assert report.count("failed at") >= 1
    assert "not reached" not in run.output
    assert "is undefined" not in run.output


def test_a_folder_that_cannot_be_made_is_no_manager_out_of_reach(two_regions: Registry, ansible: Ansible) -> None:
    inventory = fleet(two_regions, asia={})
    inventory["dtr_caches"]["hosts"]["manager-asia"].update(LOCALLY, dtr_cache_docker_host="unix:///none")
    (ansible.home / "full").touch()
    run = ansible.run("dtr.cache.adopt", inventory=inventory, env={"ANSIBLE_REMOTE_TEMP": f"{ansible.home}/full/x"})
    assert run.code != 0
    told = " ".join(run.stdout.partition("TASK [Report")[2].split())
    assert "The manager manager-asia answers, and Ansible cannot make a folder for its modules there: Failed to" in told
    assert "reached" not in told


@pytest.mark.parametrize(
    "names",
    [{"reason": "survey-ticket", "before": "prod", "failed": "none", "changes": 7, "status": "x", "said": "y"}],
)
def test_names_of_the_users_own_do_no_harm(
    two_regions: Registry,
    ansible: Ansible,
    names: Json,
) -> None:
    inventory = fleet(two_regions, asia={"users": ["alice"]}, europe={})
    run = ansible.run("dtr.cache.assign", inventory=inventory, **names)
    assert run.code != 0
    assert "dtr_cache_assignments: users is unknown" in run.stdout
    assert "survey-ticket" not in run.stdout


def test_errors_that_are_fatal_for_all_hosts_are_refused(
    two_regions: Registry,
    ansible: Ansible,
) -> None:
    inventory = fleet(two_regions, asia={"accounts": ["alice"]}, europe={})
    with two_regions.nothing_is_written():
        run = ansible.run("dtr.cache.assign", inventory=inventory, env={"ANSIBLE_ANY_ERRORS_FATAL": "1"})
    assert run.code != 0
    assert "ANSIBLE_ANY_ERRORS_FATAL" in run.stdout


@pytest.mark.parametrize("half", ["DTR_USERNAME", "DTR_PASSWORD"])
def test_half_of_other_credentials_in_the_environment(
    two_regions: Registry,
    ansible: Ansible,
    half: str,
) -> None:
    inventory = fleet(two_regions, asia={"accounts": ["alice"]}, europe={})
    del inventory["dtr_caches"]["vars"]["dtr_cache_registry_ca"]
    run = ansible.run("dtr.cache.assign", inventory=inventory, env={half: "of-something-else"})
    assert run.code == 0, run.output


def test_another_hosts_connection_is_the_inventorys_or_none(
    two_regions: Registry,
    ansible: Ansible,
) -> None:
    """What a play says of a host cannot be seen from another one; the inventory's credentials are of another DTR."""
    inventory = fleet(two_regions, asia={}, europe={})
    hosts = inventory["dtr_caches"]["hosts"]
    for name, host in hosts.items():
        host.update({**LOCALLY, "dtr_cache_host": f"cache-{name}.example.org", "dtr_cache_docker_host": "unix:///none"})
    hosts["manager-europe"]["other"] = two_regions.standin.url.replace("127.0.0.1", "localhost")
    shown = {"ansible.builtin.debug": {"msg": "{{ __dtr_cache_observed.registries | map(attribute='cause') | list }}"}}
    variables = {"dtr_cache_registry_url": "{{ other | default('" + two_regions.standin.url + "') }}"}
    run = ansible.run([play(use("observation"), shown, vars=variables)], inventory=inventory)
    assert "what stands at a play, a task or an include is known of one host alone" in run.stdout, run.output


def test_defaults_of_modules_around_a_role(two_regions: Registry, ansible: Ansible) -> None:
    """Those of single modules are refused where they reach in; those of groups are for tasks outside of roles."""
    cases: dict[str, Json] = {
        "dtr.cache.content_caches": {"purge": True},
        "dtr.cache.preflight": {"ask_swarm": "never"},
        "group/docker": {"docker_host": "tcp://192.0.2.1:2376"},
    }
    roles = {"group/docker": "stack", "dtr.cache.content_caches": "removal"}
    shown = {"ansible.builtin.debug": {"msg": "{{ ansible_failed_result.msg }}"}}
    plays = [
        play(
            {"block": [use(roles.get(name, "registration"))], "rescue": [shown]},
            module_defaults={name: given},
        )
        for name, given in cases.items()
    ]
    before = play(use("registration"), module_defaults={"group/dtr.cache.dtr": {"url": "https://192.0.2.1"}})
    inventory = fleet(two_regions, asia={})
    inventory["dtr_caches"]["hosts"]["manager-asia"].update(LOCALLY, dtr_cache_host="cache-oz.example.org")
    run = ansible.run([*plays, before], inventory=inventory)
    assert run.code == 0, run.output
    for name in cases:
        resolved = name.replace("group/docker", "group/ansible.builtin.docker")
        role = roles.get(name, "registration")
        assert f"module_defaults of {resolved} stand around role dtr.cache.{role}, and would" in run.stdout, run.output
    assert two_regions.caches() == [("region-asia", "https://cache-oz.example.org:443"), ("region-europe", EUROPE)]


def test_mappings_that_ansible_merges(
    two_regions: Registry, ansible: Ansible, ca: harness.Issued, tmp_path: Path
) -> None:
    """What the roles have by default is no part of what the inventory says, whatever Ansible does with mappings."""
    said = {"order": "start-first"}
    issued = harness.issue(tmp_path, "cache", ca, "cache-asia.example.org")
    inventory = fleet(two_regions, asia={})
    inventory["dtr_caches"]["hosts"]["manager-asia"].update(
        LOCALLY,
        dtr_cache_host="cache-asia.example.org",
        dtr_cache_nodes=["worker-1"],
        dtr_cache_image="docker/dtr-content-cache:2.7.6",
        dtr_cache_certificate=str(issued.certificate_file),
        dtr_cache_private_key=str(issued.key_file),
        dtr_cache_ca_certificate=str(ca.certificate_file),
        dtr_cache_update_config=said,
    )
    shown = {"ansible.builtin.debug": {"msg": "{{ __dtr_cache.deployment.definition | to_json }}"}}
    # Its defaults are the play's, also where nothing of it is done.
    defaults = {"role": "dtr.cache.settings", "when": False}
    run = ansible.run(
        [play(use("registration"), shown, roles=[defaults])],
        inventory=inventory,
        env={"ANSIBLE_HASH_BEHAVIOUR": "merge"},
    )
    assert run.code == 0, run.output
    (found,) = re.findall(r"update_config[^}]*}", run.stdout)
    assert found.replace("\\", "") == 'update_config": {"order": "start-first"}', run.output


def test_a_run_that_would_leave_out_a_part(two_regions: Registry, ansible: Ansible) -> None:
    """It fails with one sentence, and changes nothing. A tag of the user's own at the playbook is for all of it."""
    hosts = fleet(two_regions, asia={"accounts": ["alice"]})
    wider = [{"import_playbook": "dtr.cache.assign"}]
    role = [play(roles=["dtr.cache.assignments"])]
    left_out = "which checks the settings, was left out"
    cases: list[tuple[str | list[Json], tuple[str, str], str]] = [
        (
            "dtr.cache.assign",
            ("--tags", "assign"),
            "--tags would leave out everything; the playbooks of dtr.cache have",
        ),
        (wider, ("--start-at-task", "Let the accounts of all regions*"), left_out),
        (role, ("--start-at-task", "Let accounts pull*"), left_out),
    ]
    with two_regions.nothing_is_written():
        for playbook, options, sentence in cases:
            run = ansible.run(playbook, *options, inventory=hosts)
            assert run.code != 0, run.output
            assert sentence in run.output
    tagged = [{"import_playbook": "dtr.cache.assign", "tags": "caches"}]
    run = ansible.run(tagged, "--tags", "caches", inventory=hosts)
    assert (run.code, two_regions.settings()["alice"]) == (0, "region-asia"), run.output
