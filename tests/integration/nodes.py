# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's nodes themselves as hosts, for the roles that do not go by a manager."""

from __future__ import annotations

import typing as t
from pathlib import Path

import yaml

from .conftest import Lab


def add_hosts(lab: Lab, folder: Path, group: str, names: t.Iterable[str], **variables: t.Any) -> list[str]:
    """The options that add a group of nodes to the inventory, reached by SSH and with variables for all of them."""
    hosts = {}
    for node in lab.status["nodes"]:
        if node["name"] in names:
            at = node["ssh"]
            hosts[node["name"]] = {
                "ansible_host": at["host"],
                "ansible_port": at["port"],
                "ansible_user": at["user"],
                "ansible_ssh_private_key_file": at["key"],
            }
    trust = f"-o UserKnownHostsFile={lab.status['known_hosts']} -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes"
    common = {"ansible_ssh_common_args": trust, "ansible_python_interpreter": "/usr/bin/python3"}
    path = folder / f"{group}.yml"
    path.write_text(yaml.safe_dump({group: {"hosts": hosts, "vars": {**common, **variables}}}))
    return ["-i", str(path)]
