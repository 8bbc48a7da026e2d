# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cache that somebody made by hand after the vendor's page: described by files, then deployed with them.

The tests are a story and run in their order: each begins with what the one before has left.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from .conftest import INVENTORY, Lab, Play
from .test_forms import from_here

ADOPT = "dtr.cache.adopt"
DEPLOY = "dtr.cache.deploy"
MANAGER, NODE = "asia-1", "asia-2"
ONLY = ("--limit", "region-asia")
IMAGE = "docker/dtr-content-cache:2.7.4"
HOST = "cache-asia.lab.test"
HTTP_SECRET = "a-secret-of-the-vendors-page"
CONFIG: dict[str, t.Any] = {
    "version": 0.1,
    "log": {"level": "debug"},
    "storage": {"delete": {"enabled": True}, "filesystem": {"rootdirectory": "/var/lib/registry"}},
    "http": {
        "addr": "0.0.0.0:443",
        "secret": HTTP_SECRET,
        "host": f"https://{HOST}",
        "tls": {"certificate": "/run/secrets/cache.cert.pem", "key": "/run/secrets/cache.key.pem"},
    },
    "middleware": {
        "registry": [
            {
                "name": "downstream",
                "options": {
                    "blobttl": "48h",
                    "upstreams": ["https://dtr.lab.test"],
                    "cas": ["/run/secrets/dtr.cert.pem"],
                },
            }
        ]
    },
}
# What somebody set with docker service update, and no definition of a stack can declare.
AGAIN_BY_HAND = ("--dns-option-add", "ndots:1", "--group-add", "27")
MOUNT = "type=bind,source=/tmp,target=/mnt,bind-propagation=private,bind-nonrecursive=true"
TAKEN_AWAY = [
    "service: dns_options: ndots:1 -> none",
    "service: groups: 27 -> none",
    "service: other_settings: ContainerSpec.Mounts[/mnt].BindOptions.NonRecursive True -> none",
]
# What docs/decisions.md says that a deployment changes of such a stack.
CHANGES = [
    *TAKEN_AWAY,
    "service: ports: 443:443/tcp (host) 8443:443/tcp (host) -> 443:443/tcp (host)",
    "service: restart_policy: condition on-failure -> any",
    "service: stop_grace_period: 10s -> 40s",
    "service: update_config: delay 0s -> 5s, failure_action pause -> rollback, monitor 5s -> 10s",
    "config.yml: http.draintimeout, http.secret, middleware.registry.downstream.upstreams",
]


@pytest.fixture(scope="module")
def by_hand(lab: Lab) -> Iterator[Lab]:
    """The vendor's stack, with objects that have names of their own, registered under two names."""
    lab.clean()
    lab.inside(MANAGER, "docker", "node", "update", "--label-add", "dtr.cache=true", NODE)
    lab.inside(MANAGER, "docker", "config", "create", "cfg-2019", "-", stdin=yaml.safe_dump(CONFIG))
    authority = Path(lab.status["registry"]["ca_path"]).read_text()
    contents = {"dtr.cert.pem": authority, "cache.cert.pem": lab.certificate(HOST)}
    contents["cache.key.pem"] = lab.certificate(HOST, "key")
    for name, content in contents.items():
        lab.inside(MANAGER, "docker", "secret", "create", f"hand-{name}", "-", stdin=content)
    stack = {
        "version": "3.3",
        "services": {
            "cache": {
                "image": IMAGE,
                "entrypoint": ["/start.sh", "/config.yml"],
                # DTR sends its clients to the second one.
                "ports": [
                    {"mode": "host", "protocol": "tcp", "published": number, "target": 443} for number in (8443, 443)
                ],
                "deploy": {
                    "replicas": 1,
                    "placement": {"constraints": ["node.labels.dtr.cache == true"]},
                    "restart_policy": {"condition": "on-failure"},
                },
                "configs": [{"source": "config", "target": "/config.yml"}],
                "secrets": [{"source": name, "target": name} for name in contents],
            }
        },
        "configs": {"config": {"external": {"name": "cfg-2019"}}},
        "secrets": {name: {"external": {"name": f"hand-{name}"}} for name in contents},
    }
    deploy = ("docker", "stack", "deploy", "--resolve-image", "never", "--compose-file", "-", "pulls-asia")
    lab.inside(MANAGER, *deploy, stdin=yaml.safe_dump(stack))
    update = ("docker", "service", "update", "--quiet", "--no-resolve-image", *AGAIN_BY_HAND, "--mount-add", MOUNT)
    lab.inside(MANAGER, *update, "pulls-asia_cache")
    caches = [("a1", "region-asia", f"https://{HOST}:443"), ("a2", "asia-2019", f"https://{HOST}/")]
    lab.control.set_state(
        [{"id": each, "name": name, "host": host} for each, name, host in caches],
        {"alice": "a1", "bob": "a1", "carol": "a2"},
    )
    yield lab
    lab.clean()
    lab.wait_until_gone("pulls-asia", MANAGER, [MANAGER, NODE])


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lab's hosts with what it takes to reach them and DTR, and nothing of their caches."""
    folder = tmp_path_factory.mktemp("inventory")
    hosts = yaml.safe_load(Path(INVENTORY, "hosts.yml").read_text())
    given = yaml.safe_load(Path(INVENTORY, "group_vars", "dtr_caches.yml").read_text())
    (folder / "hosts.yml").write_text(yaml.safe_dump(hosts))
    (folder / "group_vars").mkdir()
    shared = {name: value for name, value in given.items() if "registry" in name or name == "lab_passwords"}
    shared["dtr_cache_resolve_image"] = "never"
    (folder / "group_vars" / "dtr_caches.yml").write_text(yaml.safe_dump(shared))
    return folder


def adopted_file(inventory: Path) -> Path:
    return inventory / "host_vars" / "region-asia.yml"


def test_the_first_run_shows_the_file_and_writes_nothing(by_hand: Lab, play: Play, inventory: Path) -> None:
    before = by_hand.snapshot()
    run = play(ADOPT, "--check", "--diff", inventory=str(inventory))
    # The Swarm of the other host has no cache.
    assert run.code != 0 and run.recap["region-asia"]["failed"] == 0, run.output
    assert "None of the 0 services of this Swarm is a content cache" in " ".join(run.output.split())
    assert "+dtr_cache_name: region-asia" in run.output and "+dtr_cache_blob_ttl: 48h" in run.output
    assert HTTP_SECRET not in run.output
    assert not (inventory / "host_vars").exists() and by_hand.snapshot() == before


def test_the_file_describes_what_runs(by_hand: Lab, play: Play, inventory: Path) -> None:
    before = by_hand.snapshot()
    run = play(ADOPT, *ONLY, inventory=str(inventory))
    assert (run.code, run.total("changed")) == (0, 1), run.output
    text = adopted_file(inventory).read_text()
    found = yaml.safe_load(text)
    assert found == found | {
        "dtr_cache_name": "region-asia",
        "dtr_cache_host": HOST,
        "dtr_cache_image": IMAGE,
        "dtr_cache_nodes": [NODE],
        "dtr_cache_port": 443,
        "dtr_cache_publish_mode": "host",
        "dtr_cache_stack_name": "pulls-asia",
        "dtr_cache_blob_ttl": "48h",
        "dtr_cache_config_extra": {"log": {"level": "debug"}},
        "dtr_cache_assignments": {"accounts": ["alice", "bob", "carol"]},
    }
    assert "asia-2019" in text and HTTP_SECRET not in text
    for change in CHANGES:
        assert f"# - {change}\n" in text
    words = " ".join(run.output.split())
    assert "Ports 8443:443/tcp (host) of its service is not kept" in words
    assert "dns_options ndots:1 of its service is not kept" in words and "Groups 27 of its service is not" in words
    (row,) = run.regions().values()
    assert (row["cache"], row["accounts"], row["to set"], row["result"]) == ("region-asia", "3", "2", "written")
    assert by_hand.snapshot() == before


def test_a_second_run_by_another_way_changes_nothing(by_hand: Lab, play: Play, inventory: Path) -> None:
    before = adopted_file(inventory).stat().st_mtime_ns
    run = play(ADOPT, *ONLY, inventory=str(inventory), **from_here(by_hand, "archive"))
    assert (run.code, run.total("changed")) == (0, 0), run.output
    assert adopted_file(inventory).stat().st_mtime_ns == before


def identity() -> str:
    """What only the user knows."""
    return "\n".join(
        [
            'dtr_cache_certificate: "{{ lab_state }}/certs/{{ dtr_cache_host }}.cert.pem"',
            'dtr_cache_private_key: "{{ lab_state }}/certs/{{ dtr_cache_host }}.key.pem"',
            'dtr_cache_ca_certificate: "{{ lab_state }}/certs/cache-ca.pem"\n',
        ]
    )


def test_a_deployment_with_it_changes_what_the_file_says(by_hand: Lab, play: Play, inventory: Path) -> None:
    shared = inventory / "group_vars" / "dtr_caches.yml"
    shared.write_text(shared.read_text() + identity())
    run = play(DEPLOY, *ONLY, "--check", "--diff", inventory=str(inventory))
    assert run.code == 0, run.output
    of_stack = run.output.partition("+++ after: stack pulls-asia\n")[2].partition("\n\n")[0]
    assert set(re.findall(r"^[-+ ](\w+):", of_stack, re.MULTILINE)) == {"configs", "secrets", "services"}
    parts = set(re.findall(r"^[-+ ]    (\w+):", of_stack, re.MULTILINE))
    by_hand_alone = {"dns_options", "groups", "mounts", "other_settings", "ports"}
    policies = {"restart_policy", "stop_grace_period", "update_config"}
    assert parts == {"configs", "secrets"} | policies | by_hand_alone, of_stack
    assert "ndots:1" in of_stack and "bind /tmp at /mnt (propagation private)" in of_stack
    of_config = run.output.partition("--- before: config.yml")[2].partition("\n\n")[0]
    keys = {line.strip("+-: ").partition(":")[0] for line in of_config.splitlines()[2:] if line[:1] in ("+", "-")}
    assert keys == {"secret", "draintimeout", "upstreams", "https"}, of_config
    assert "asia-2019" in run.output and "carol" in run.output


def test_what_is_deployed_with_it_is_described_by_the_same(by_hand: Lab, play: Play, inventory: Path) -> None:
    run = play(DEPLOY, *ONLY, inventory=str(inventory))
    assert run.code == 0, run.output
    again = inventory.parent / "again"
    run = play(ADOPT, *ONLY, inventory=str(inventory), dtr_cache_adopt_to=str(again))
    assert run.code == 0, run.output
    first, second = (yaml.safe_load(path.read_text()) for path in (adopted_file(inventory), again / "region-asia.yml"))
    # The other name has no accounts any more, and may be gone.
    of_cache = [{key: value for key, value in each.items() if "former" not in key} for each in (first, second)]
    assert of_cache[0] == of_cache[1]
    assert "A deployment changes nothing else" in (again / "region-asia.yml").read_text()
    # With what the user has added, the first file says something else than this one.
    run = play(ADOPT, *ONLY, inventory=str(inventory))
    assert run.code != 0 and "dtr_cache_adopt_overwrite=true" in " ".join(run.output.split()), run.output
