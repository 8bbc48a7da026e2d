# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the lab keeps its state."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .topology import Node

LAB_SOURCE = Path(__file__).resolve().parent.parent
PROJECT = LAB_SOURCE.parent.parent
LOCK = Path("/run/dtr-cache-lab.lock")
"""One for the machine, wherever the state is: the namespaces have one name only."""


@dataclass(frozen=True)
class Folders:
    """The lab's state folder and the places in it.

    Kept when the lab goes down: certificates, SSH keys, the cache's image and the logs of the last run.
    """

    root: Path

    @classmethod
    def from_environment(cls) -> Folders:
        return cls(Path(os.environ.get("DTR_CACHE_LAB") or "/var/lib/dtr-cache-lab").resolve())

    @property
    def cgroup(self) -> str:
        """The control group of all containers. Labs side by side (C(tests/lab/alone)) share the machine's tree."""
        return str(self.root).strip("/").replace("/", "-")

    @property
    def certs(self) -> Path:
        return self.root / "certs"

    @property
    def ssh(self) -> Path:
        return self.root / "ssh"

    @property
    def image(self) -> Path:
        return self.root / "image"

    @property
    def registry(self) -> Path:
        return self.root / "registry"

    @property
    def nodes(self) -> Path:
        return self.root / "nodes"

    @property
    def logs(self) -> Path:
        """The nodes' logs of the last run, after the lab went down."""
        return self.root / "log"

    @property
    def builds(self) -> Path:
        """The output of what is built."""
        return self.root / "build-log"

    @property
    def bundles(self) -> Path:
        return self.root / "bundles"

    @property
    def scratch(self) -> Path:
        """For one step of one run, which empties it before and after; credentials may lie in it meanwhile."""
        return self.root / "scratch"

    def node(self, node: Node) -> Path:
        """What the node sees as C(/run/lab): its disks, settings and sockets."""
        return self.nodes / node.name

    def node_logs(self, node: Node) -> Path:
        """The node's C(/var/log)."""
        return self.node(node) / "log"

    def engine_socket(self, node: Node) -> Path:
        return self.node(node) / "docker.sock"

    def make(self) -> None:
        """Make the folders; the state holds keys and passwords, so only root may look into it."""
        parts = (self.certs, self.ssh, self.image, self.registry, self.nodes, self.logs, self.builds, self.bundles)
        for folder in (self.root, *parts):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
