# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples on the pages of the roles run as they stand, one after the other, but for the names of the lab."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from .conftest import PROJECT, Lab, Play, Run
from .nodes import add_hosts

# Each finds what those before it have made.
ROLES = (
    *("settings", "certificates", "node_label", "config_secrets", "stack", "registration", "assignments"),
    *("verification", "observation", "warming", "client_trust", "cleanup", "firewall", "removal"),
)
HOST, NODE, PORT = "cache-asia.lab.test", "asia-2", 443
TRUSTED = "/etc/docker/certs.d"
# What the examples have of one region in Europe and one in Brazil, the lab has of one.
NAMES = {"dtr.example.org": "dtr.lab.test", "example.org": "lab.test", "region-brazil": "region-europe"}
NODES = {"[worker-1, worker-2]": "[europe-1]"}


@pytest.fixture(scope="module")
def own_folders(lab: Lab) -> Iterator[Lab]:
    """A client that trusts nobody yet, and a node on which the firewall's files are not the machine's."""
    lab.clean()
    lab.inside("client", "sh", "-c", f"mount -t tmpfs tmpfs {TRUSTED} && mount -t tmpfs tmpfs /etc/containerd")
    lab.inside(NODE, "sh", "-c", "mkdir -p /run/lab/examples && mount --bind /run/lab/examples /usr/local/sbin")
    yield lab
    for family in ("iptables", "ip6tables"):
        lab.inside(NODE, "sh", "-c", f"{family}-save | grep -v DTR-CACHE | {family}-restore")
    lab.inside(NODE, "sh", "-c", "umount /usr/local/sbin && rm -r /run/lab/examples")
    lab.inside("client", "umount", TRUSTED, "/etc/containerd")
    lab.clean()


@pytest.fixture(scope="module")
def run(own_folders: Lab, play: Play, tmp_path_factory: pytest.TempPathFactory) -> Run:
    lab, folder = own_folders, tmp_path_factory.mktemp("examples")
    (folder / "certs").mkdir()
    (folder / "certs" / "ca.pem").write_text(Path(lab.status["certificates"]["ca"]).read_text())
    (folder / "certs" / "region-asia.pem").write_text(lab.certificate(HOST))
    key = folder / "region-asia.key.pem"
    key.write_text(lab.certificate(HOST, "key"))
    # The verification of all regions needs one that is in use already.
    lab.control.set_state(
        [{"id": "region-europe", "name": "region-europe", "host": "https://cache-europe.lab.test:443"}],
        {"bob": "region-europe"},
    )
    changes = {**NAMES, **NODES, "certs/": f"{folder}/certs/", "/root/region-asia.key.pem": str(key)}
    pin = {"dtr_cache_registry_ca_fingerprint": lab.status["registry"]["ca_fingerprint"]}
    return play(
        [each for role in ROLES for each in example(role, changes)],
        *add_hosts(lab, folder, "docker_hosts", ["client"], **pin),
        *add_hosts(lab, folder, "cache_nodes", [NODE]),
        vault_dtr_token=lab.passwords["admin"],
        vault_dtr_cache_private_key=key.read_text(),
    )


def example(role: str, changes: dict[str, str]) -> list[dict[str, t.Any]]:
    """The example of a role's page, with other names."""
    text = (PROJECT / "roles" / role / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    for old, new in changes.items():
        block = block.replace(old, new)
    return t.cast("list[dict[str, t.Any]]", yaml.safe_load(block))


def test_every_role_has_its_turn() -> None:
    assert sorted(ROLES) == sorted(path.name for path in (PROJECT / "roles").iterdir() if path.is_dir())


def test_the_examples_succeed(run: Run) -> None:
    assert run.code == 0, run.output


def test_the_examples_do_what_their_pages_say(own_folders: Lab, run: Run) -> None:
    lab = own_folders
    state = lab.snapshot()
    assert [cache["name"] for cache in state["registry"]["content_caches"]] == ["region-asia"], run.output
    assert [len(state[manager]["services"]) for manager in ("asia-1", "europe-1")] == [1, 0], run.output
    for folder in (TRUSTED, "/etc/containerd/certs.d"):
        assert "dtr-cache." in lab.inside("client", "ls", f"{folder}/dtr.lab.test"), run.output
    assert f"-A DTR-CACHE-{PORT} -s 192.0.2.0/24 -j RETURN" in lab.inside(NODE, "iptables-save", "-t", "filter")
    log = lab.inside("asia-1", "sh", "-c", "docker service logs --raw dtr-cache_cache 2>&1")
    assert "blob served" in log, "the verification pulled through it"
    removed = next(line for line in run.output.splitlines() if "region-asia.key.pem" in line)
    assert not Path(re.findall(r"/\S+region-asia\.key\.pem", removed)[0]).exists()
