# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What DTR says of caches that somebody made by hand, in the files that describe them."""

from __future__ import annotations

import typing as t
from pathlib import Path

import yaml
from ansible_collections.dtr.cache.tests.unit.support.live import CONFIG, changed, config, found, service

from ..forms import play_of
from .conftest import MANY_ACCOUNTS, Json, Registry
from .playbook_runs import ASIA, EUROPE, LOCALLY, WRONG_PASSWORD, Ansible, Run, fleet, rows

HOSTS = ("region-asia", "manager-europe")
CACHES = {"a1": ("region-asia", ASIA), "a2": ("asia-2019", f"{ASIA}/"), "e1": ("region-europe", EUROPE)}
ADOPT = [
    play_of(
        "dtr_caches",
        {
            "tasks": [
                {"dtr.cache.preflight": {"needs": ["dtr"]}, "register": "__dtr_cache"},
                {
                    "dtr.cache.adopt": {
                        "caches": "{{ live }}",
                        "swarm": "{{ swarm }}",
                        "to": "{{ folder }}",
                        "overwrite": "{{ overwrite | default(false) }}",
                    },
                    "module_defaults": {
                        "group/dtr.cache.dtr": "{{ lookup('dtr.cache.connection', ca=__dtr_cache.dtr_ca.pem) }}"
                    },
                    "delegate_to": "localhost",
                    "register": "__dtr_cache_adopted",
                },
                {"dtr.cache.report": {"of": "adoption"}, "run_once": True, "register": "__dtr_cache_report"},
            ]
        },
    )
]


def live(region: str) -> list[dict[str, t.Any]]:
    """The cache of a Swarm, in a stack of the region's name; in that of Asia is another one."""
    content = changed(CONFIG, ("http.host", f"https://cache-{region}.example.org"))
    other = changed(CONFIG, ("http.host", "https://cache-other.example.org:8443"))
    beside = [service(region, "osaka", "other", {"PublishedPort": 8443})] if region == "asia" else []
    return found([service(region, config=region), *beside], [config(region, content), config("other", other)])


def adopt(
    ansible: Ansible,
    registry: Registry,
    folder: Path,
    *options: str,
    env: t.Mapping[str, str] | None = None,
    **variables: t.Any,
) -> Run:
    shared = {
        "dtr_cache_registry_url": registry.standin.url,
        "dtr_cache_registry_username": "admin",
        "dtr_cache_registry_password": registry.connection["password"],
        "dtr_cache_registry_ca": str(registry.standin.ca),
        **LOCALLY,
    }
    hosts = {name: {"live": live(name.partition("-")[2]), "swarm": name} for name in HOSTS}
    inventory: Json = {"dtr_caches": {"hosts": hosts, "vars": shared}}
    return ansible.run(ADOPT, *options, inventory=inventory, env=env, folder=str(folder), **variables)


def test_two_regions_of_a_large_fleet(ansible: Ansible, large_registry: Registry, tmp_path: Path) -> None:
    registry, folder = large_registry, tmp_path / "host_vars"
    registry.control.reset(data=True)
    # The hundredth user is inactive.
    registry.set_up(CACHES, {"alice": "a1", "user00001": "a2", "user00100": "a1", "bob": "e1"})
    # A file that somebody has edited, and one that is made when the caches are described.
    folder.mkdir()
    (folder / "region-asia.yml").write_text(
        "dtr_cache_name: asia\nsite:\n  smtp: |\n    hush1\nmore:\n- hush2 # hush3\n"
    )
    missing = str(tmp_path / "cache-ca.pem")
    with registry.nothing_is_written():
        run = adopt(ansible, registry, folder, "--diff", overwrite=True, dtr_cache_ca_certificate=missing)
    assert run.code == 0, run.output
    assert "-dtr_cache_name: asia" in run.output and "-site:" in run.output and "hush" not in run.output
    texts = [(folder / f"{host}.yml").read_text() for host in HOSTS]
    asia, europe = map(yaml.safe_load, texts)
    assert (asia["dtr_cache_name"], europe["dtr_cache_name"]) == ("region-asia", "region-europe")
    assert asia["dtr_cache_assignments"] == {"accounts": ["alice", "user00001"]}
    assert europe["dtr_cache_assignments"] == {"accounts": ["bob"]}
    assert "1 inactive user pulls from it, too" in texts[0] and "asia-2019" in texts[0]
    # Everybody's setting is read once for all regions.
    assert MANY_ACCOUNTS <= registry.control.count("GET", "settings") < MANY_ACCOUNTS + 100
    assert registry.connection["password"] not in run.output + "".join(texts)
    assert {row[0]: row[1] for row in rows(run)[1:]} == dict(zip(HOSTS, ("region-asia", "region-europe"), strict=True))
    assert "To set: dtr_cache_certificate, dtr_cache_private_key." in run.output
    assert "Stack asia also has the cache asia_osaka, and dtr.cache keeps one cache in a stack." in run.output
    assert "asia_osaka" in texts[0] and "keeps one cache in a stack" not in texts[1]


def test_what_stands_against_it(ansible: Ansible, registry: Registry, tmp_path: Path) -> None:
    registry.set_up(CACHES, {})
    (tmp_path / "region-asia.yml").write_text("ansible_host: 192.0.2.1\n")
    # One Swarm, whose only cache two hosts take for theirs.
    run = adopt(ansible, registry, tmp_path, live=live("europe"), swarm="one")
    assert run.code == 2
    words = " ".join(run.output.split())
    assert "Service europe_cache is already the cache of" in words and "set dtr_cache_stack_name for both" in words
    assert len(list(tmp_path.iterdir())) <= 2
    assert (tmp_path / "region-asia.yml").read_text() == "ansible_host: 192.0.2.1\n"


def test_in_a_job_of_awx(ansible: Ansible, registry: Registry, tmp_path: Path) -> None:
    registry.set_up(CACHES, {})
    job, mounted = tmp_path / "job", tmp_path / "mounted"
    env = {"DTR_CA_PATH": str(registry.standin.ca), "JOB_ID": "7", "AWX_PRIVATE_DATA_DIR": str(job)}
    run = adopt(ansible, registry, mounted, env=env, dtr_cache_registry_ca="")
    assert run.code == 0, run.output
    # The CA that the credential of a job names is no part of what is written, and stands against nothing.
    assert "dtr_cache_registry_ca" not in run.output + (mounted / "region-asia.yml").read_text()
    run = adopt(ansible, registry, job / "host_vars", env=env)
    words = " ".join(run.output.split())
    assert run.code == 2 and "would be lost when this job ends" in words and "Paths to expose to isolated jobs" in words
    run = ansible.run(
        "dtr.cache.backup", inventory=fleet(registry, asia={}), env=env, dtr_cache_backup_file=str(job / "caches.json")
    )
    assert run.code == 2 and "caches.json would be lost when this job ends" in " ".join(run.output.split())
    assert not job.exists()


def test_who_may_not_ask(ansible: Ansible, registry: Registry, tmp_path: Path) -> None:
    run = adopt(ansible, registry, tmp_path, dtr_cache_registry_password=WRONG_PASSWORD)
    assert run.code == 2 and "dtr_cache_registry_password: GET https://" in " ".join(run.output.split())
    assert "dtr_cache_name" not in run.output and list(tmp_path.iterdir()) == []
