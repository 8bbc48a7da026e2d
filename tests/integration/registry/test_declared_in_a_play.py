# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a play, a task or a host outside of the inventory's regions declares stands against the other regions alike."""

from __future__ import annotations

import typing as t

from .conftest import Json, Registry
from .playbook_runs import LOCALLY, Ansible, fleet

BY_HOST = "{{ {'manager-asia': {'accounts': ['grace']}, 'manager-europe': {'everyone': true}}[inventory_hostname] }}"


def inventory_of(registry: Registry) -> Json:
    """Two regions that claim nobody, and a host beside them."""
    inventory = fleet(registry, asia={}, europe={})
    regions = inventory["dtr_caches"]
    for name, host in regions["hosts"].items():
        of_cache = {"dtr_cache_host": f"cache-{name.removeprefix('manager-')}.example.org"}
        # All are this machine, with a Swarm each.
        host.update(LOCALLY, **of_cache, dtr_cache_docker_host=f"unix:///nonexistent/{name}.sock")
        del host["dtr_cache_assignments"]
    of_localhost = {**LOCALLY, **regions["vars"], "dtr_cache_host": "cache-tokyo.example.org"}
    return {"dtr_caches": regions, "ungrouped": {"hosts": {"localhost": of_localhost}}}


def attempt(hosts: str, role: str, *, how: str = "import_role", of_task: Json | None = None, **of_play: t.Any) -> Json:
    """A play that uses a role and says why that was refused."""
    use = {f"ansible.builtin.{how}": {"name": f"dtr.cache.{role}"}, **({"vars": of_task} if of_task else {})}
    say = {"ansible.builtin.debug": {"msg": "refused: {{ ansible_failed_result.msg | regex_replace('\\s+', ' ') }}"}}
    tasks = [{"block": [use], "rescue": [say]}]
    return {"hosts": hosts, "gather_facts": False, "vars": of_play, "tasks": tasks}


EVERYONE: Json = {"dtr_cache_assignments": {"everyone": True}}
ONE_NAME: Json = {"dtr_cache_name": "region-global"}


def test_what_the_inventory_may_not_say_twice_no_play_and_no_task_may(two_regions: Registry, ansible: Ansible) -> None:
    plays = [
        attempt("dtr_caches", "assignments", **EVERYONE),
        attempt("dtr_caches", "assignments", of_task=EVERYONE),
        attempt("dtr_caches", "assignments", how="include_role", of_task=EVERYONE),
        attempt("dtr_caches", "registration", **ONE_NAME),
        attempt("dtr_caches", "registration", of_task=ONE_NAME),
        # Outside of the group, two hosts of one play.
        attempt("localhost:manager-asia", "registration", **ONE_NAME),
        # A host that acts for one region, beside those of the inventory.
        attempt("localhost", "registration", dtr_cache_name="region-tokyo", dtr_cache_former_names="region-europe"),
    ]
    with two_regions.nothing_is_written():
        run = ansible.run(plays, inventory=inventory_of(two_regions))
    # With what lies between the messages of a host: their number is that of hosts and plays.
    told = [line.partition("refused: ")[2] for line in run.stdout.splitlines() if "refused: " in line]
    everyone = [line for line in told if "both claim everyone" in line]
    names = [line for line in told if "both name their cache region-global at the same DTR" in line]
    former = [line for line in told if "region-europe is a former name of host localhost and the cache of" in line]
    assert (len(everyone), len(names), len(former), len(told)) == (6, 6, 1, 13), run.output


def test_accounts_that_a_play_gives_to_one_region_stay_there(two_regions: Registry, ansible: Ansible) -> None:
    inventory = inventory_of(two_regions)
    plays = [attempt("dtr_caches", "assignments", dtr_cache_assignments=BY_HOST)]
    done = ansible.run(plays, inventory=inventory)
    settings = two_regions.settings()
    assert (done.code, settings["grace"], settings["heidi"]) == (0, "region-asia", "region-europe"), done.output
    with two_regions.nothing_is_written():
        again = ansible.run(plays, inventory=inventory)
    assert again.code == 0 and again.stdout.count("changed=0") == 2, again.output


def test_a_host_beside_the_regions_acts_for_one_of_them(two_regions: Registry, ansible: Ansible) -> None:
    inventory = inventory_of(two_regions)
    inventory["dtr_caches"]["hosts"]["manager-asia"]["dtr_cache_assignments"] = {"accounts": ["heidi", "ivan"]}
    loop = {
        "ansible.builtin.include_role": {"name": "dtr.cache.assignments"},
        "loop": [{"name": "region-asia", "whom": {"accounts": ["grace"]}}, {"name": "region-europe", "whom": {}}],
        "vars": {"dtr_cache_name": "{{ item.name }}", "dtr_cache_assignments": "{{ item.whom }}"},
    }
    everyone = attempt("localhost", "assignments", dtr_cache_name="region-europe", **EVERYONE)
    plays = [{"hosts": "localhost", "gather_facts": False, "tasks": [loop]}, everyone]
    done = ansible.run(plays, inventory=inventory)
    assert done.code == 0 and "refused: " not in done.stdout, done.output
    settings = two_regions.settings()
    # Europe's everyone leaves alone whom another region of the inventory claims.
    assert {name: settings[name] for name in ("heidi", "ivan", "grace", "alice")} == {
        **dict.fromkeys(("heidi", "ivan"), "region-asia"),
        **dict.fromkeys(("grace", "alice"), "region-europe"),
    }
