# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cache that is registered under another name: it is told, and with its former name its accounts follow."""

from __future__ import annotations

from pathlib import Path

from ..forms import play_of
from .conftest import DANGLING, Json, Moments, Registry, harness
from .playbook_runs import ASIA, LOCALLY, Ansible, finished, fleet

# As dtr.cache.deploy registers and assigns, and as dtr.cache.remove unregisters.
ROLES = [play_of("dtr_caches", {"roles": ["dtr.cache.registration", "dtr.cache.assignments"]})]


def renamed(registry: Registry, **more: object) -> Json:
    """The region of Asia under a new name, beside Europe, which another host has."""
    inventory = fleet(registry, asia={"accounts": ["heidi", "grace"]}, europe={})
    new = {"dtr_cache_name": "region-tokyo", "dtr_cache_host": "cache-asia.example.org", **more}
    inventory["dtr_caches"]["hosts"]["manager-asia"].update({**LOCALLY, **new})
    return inventory


def test_accounts_follow_a_new_name(two_regions: Registry, ansible: Ansible) -> None:
    limit = ("--limit", "manager-asia", "--diff")
    inventory = renamed(two_regions, dtr_cache_former_names=["region-asia"])
    with two_regions.nothing_is_written():
        announced = ansible.run(ROLES, "--check", *limit, inventory=inventory)
        refused = ansible.run(ROLES, *limit, inventory=renamed(two_regions, dtr_cache_former_names="region-europe"))
    # heidi comes along and is not announced a second time; grace is new.
    assert (announced.code, "changed=2" in announced.stdout) == (0, True), announced.output
    registered, _task, assigned = announced.stdout.partition("Let accounts pull from the cache")
    assert ("heidi" in registered, "heidi" in assigned, "grace" in assigned) == (True, False, True), announced.stdout
    assert "region-europe is a former name of host manager-asia and the cache of host manager-europe" in refused.stdout

    before = two_regions.control.state()
    done = ansible.run(ROLES, *limit, inventory=inventory)
    assert done.code == 0, done.output
    assert two_regions.settings() == {
        "alice": "region-europe",
        **dict.fromkeys(("grace", "heidi", "ivan"), "region-tokyo"),
    }
    assert ("region-tokyo", ASIA) in two_regions.caches()
    assert "region-asia" not in dict(two_regions.caches())
    seen = Moments(before, two_regions.control.journal())
    assert seen.orphaned == []
    assert [what for what, subject, _detail in two_regions.control.journal() if subject == "heidi"] == ["set"]
    with two_regions.nothing_is_written():
        again = ansible.run(ROLES, *limit, inventory=inventory)
    assert (again.code, "changed=0" in again.stdout) == (0, True), again.output


def test_who_pulls_from_elsewhere_is_told(two_regions: Registry) -> None:
    team = {"cache": "region-asia", "teams": ["engineering/backend"], "accounts": ["heidi"]}
    with two_regions.nothing_is_written():
        claims = [team, {"cache": "local", "accounts": ["alice"]}]
        told = two_regions.run("cache_assignments_info", assignments=claims, names=True)
    done = two_regions.run("cache_assignments", assignments=[team])
    names = [each["name"] for each in done["changed_accounts"]]
    assert told["elsewhere_accounts"] == {"local": ["alice"], "region-asia": names}
    assert told["elsewhere"] == {"local": 1, "region-asia": len(names)}
    assert len(done["changed_accounts"]) > 1
    assert two_regions.run("cache_assignments_info", assignments=[team])["elsewhere"] == {"region-asia": 0}
    unknown = two_regions.run("cache_assignments_info", assignments=[{**team, "teams": ["engineering/none"]}])
    assert (unknown["elsewhere"], unknown["counts"]["region-europe"]) == (None, 1)
    assert "there is no team engineering/none" in unknown["elsewhere_problem"]


def test_an_address_with_another_name_is_told(two_regions: Registry, ansible: Ansible) -> None:
    run = ansible.run(ROLES, "--check", "--limit", "manager-asia", inventory=renamed(two_regions))
    told = " ".join(run.output.split())
    assert "under the name region-asia, too. Accounts that were assigned to region-asia stay there." in told, run.output
    assert DANGLING not in two_regions.settings().values()


def test_a_client_certificate_in_place_of_a_password(two_regions: Registry, ansible: Ansible) -> None:
    key = two_regions.client.key_file.read_text()
    inventory = renamed(
        two_regions,
        dtr_cache_former_names=["region-asia"],
        dtr_cache_registry_username="",
        dtr_cache_registry_password="",
        dtr_cache_registry_client_cert=two_regions.client.certificate_file.read_text(),
        dtr_cache_registry_client_key=key,
    )
    run = ansible.run(ROLES, "--limit", "manager-asia", "--diff", "-vvv", inventory=inventory)
    assert run.code == 0, run.output
    assert two_regions.settings()["grace"] == "region-tokyo"
    line = key.splitlines()[1]
    assert not any(line in text for text in (run.output, *ansible.written().values()))


def test_a_region_that_moves_to_another_dtr_asks_nothing_of_the_old_one(
    two_regions: Registry, ansible: Ansible, ca: harness.Issued, admin_certificate: harness.Issued, tmp_path: Path
) -> None:
    with harness.running(tmp_path, "http://127.0.0.1:9", accounts=1, ca=ca, client_ca=ca) as standin:
        new = Registry(standin, admin_certificate)
        inventory = renamed(new, dtr_cache_name="region-asia")
        old = {"DTR_URL": two_regions.standin.url, "DTR_CA_PATH": str(two_regions.standin.ca)}
        # What is left of the old one in the environment is not used for the new one, nor the other way round.
        run = ansible.run(ROLES, "--limit", "manager-asia", inventory=inventory, env={**old, "DTR_PASSWORD": "of-old"})
        assert run.code == 0, run.output
        assert (new.caches(), new.settings()) == (
            [("region-asia", ASIA)],
            dict.fromkeys(("grace", "heidi"), "region-asia"),
        )
        assert two_regions.control.requests()["counts"] == []
    # As left_behind says, with the credentials of the old one.
    ansible.environment.update(old, DTR_USERNAME="admin", DTR_PASSWORD=two_regions.connection["password"])
    gone = {"caches": [{"name": "region-asia", "state": "absent"}]}
    cleaned = finished(ansible.start_module("dtr.cache.content_caches", gone))
    assert cleaned.code == 0, cleaned.output
    assert (dict(two_regions.caches()).keys(), two_regions.settings()) == (
        {"region-europe"},
        {"alice": "region-europe"},
    )


def test_an_observation_counts_who_is_elsewhere_and_names_what_is_left_behind(
    two_regions: Registry, ansible: Ansible
) -> None:
    inventory = renamed(two_regions, dtr_cache_docker_host="unix:///none", dtr_cache_assignments={"everyone": True})
    europe = {**LOCALLY, "dtr_cache_host": "cache-europe.example.org", "dtr_cache_assignments": {"orgs": ["research"]}}
    inventory["dtr_caches"]["hosts"]["manager-europe"].update(europe)
    row = "__dtr_cache_observed.regions[0]"
    shown = {"ansible.builtin.debug": {"msg": f"{{{{ {row}.elsewhere }}}} {{{{ {row}.other_names[0].name }}}}"}}
    observed = [{**play_of("dtr_caches", {"roles": ["dtr.cache.observation"]}), "tasks": [shown]}]
    with two_regions.nothing_is_written():
        run = ansible.run(observed, "--limit", "manager-asia", inventory=inventory)
    assert run.code == 0, run.output
    # All active users but those whom the region claims that takes no part.
    users = two_regions.run("cache_assignments_info", assignments=[{"cache": "region-tokyo", "everyone": True}])
    research = two_regions.run("cache_assignments_info", assignments=[{"cache": "region-tokyo", "orgs": ["research"]}])
    expected = users["elsewhere"]["region-tokyo"] - research["elsewhere"]["region-tokyo"]
    assert f"{expected} region-asia" in run.stdout, run.output
