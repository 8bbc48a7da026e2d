# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The example of a project: Ansible reads all of its playbooks, with its inventory, as AWX starts them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import yaml

from .controller import PLAYBOOKS
from .playbook import PROJECT, Awx

SKELETON = PROJECT / "docs" / "examples" / "awx-project"


def test_ansible_reads_each_playbook(awx: Awx) -> None:
    result = subprocess.run(
        ["ansible-playbook", "--syntax-check", "-i", "inventory/hosts.yml", *PLAYBOOKS],
        cwd=SKELETON,
        env={**awx.environment, "ANSIBLE_HOST_PATTERN_MISMATCH": "error"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert [line for line in result.stdout.splitlines() if line] == [f"playbook: {name}" for name in PLAYBOOKS]


def test_the_inventory_has_a_host_for_each_region(awx: Awx) -> None:
    listed = subprocess.run(
        ["ansible-inventory", "-i", "inventory/hosts.yml", "--list"],
        cwd=SKELETON,
        env=awx.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    hosts = json.loads(listed.stdout)["_meta"]["hostvars"]
    assert {path.stem for path in (SKELETON / "inventory" / "host_vars").glob("*.yml")} == set(hosts)
    for variables in hosts.values():
        # What the credential carries stands nowhere else.
        assert {"dtr_cache_host", "dtr_cache_nodes", "dtr_cache_private_key"} <= set(variables)
        assert not {"dtr_cache_registry_url", "dtr_cache_registry_password"} & set(variables)


def test_the_collection_that_it_asks_for_is_this_one() -> None:
    (asked,) = yaml.safe_load((SKELETON / "collections" / "requirements.yml").read_text())["collections"]
    galaxy = yaml.safe_load((Path(__file__).parents[2] / "galaxy.yml").read_text())
    assert asked["name"] == f"{galaxy['repository']}.git"
