# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each node consists of: files on its disk, mounts and services."""

from __future__ import annotations

from pathlib import Path

from . import certificates, engines, names, registry, ssh
from .files import write_file
from .folders import Folders
from .node_init import STATE, NodeSpec, Service
from .topology import Node


def prepare(folders: Folders, node: Node) -> NodeSpec:
    """Write what the node finds on its disk and say how it starts. What is as wanted is left alone."""
    disk = folders.node(node)
    for folder in (disk, folders.node_logs(node)):
        folder.mkdir(mode=0o755, exist_ok=True)
    write_file(disk / "hosts", names.node_hosts(node))
    write_file(disk / "resolv.conf", names.node_resolver())
    shared = [("log", "/var/log"), ("hosts", "/etc/hosts"), ("resolv.conf", "/etc/resolv.conf")]
    if not node.has_engine:
        registry.install(folders, STATE)
        return NodeSpec(node.name, str(disk), shared, [], registry.services(folders, STATE))

    (disk / "tmp").mkdir(exist_ok=True)
    (disk / "tmp").chmod(0o1777)
    engines.install(folders, node, STATE)
    ssh.install(folders, node, STATE)
    own = [
        ("docker", "/var/lib/docker"),
        ("containerd", "/opt/containerd"),
        (engines.SETTINGS, "/etc/docker"),
        ("shadow", "/etc/shadow"),
        ("root", "/root"),
        ("tmp", "/tmp"),
    ]
    services = [
        Service("dockerd", engines.COMMAND, {}),
        Service("sshd", ssh.daemon_command(STATE), {}),
    ]
    # A manager must not find the keys of the control node where the control node has them.
    return NodeSpec(node.name, str(disk), [*shared, *own], [str(folders.root)], services)


def sources(folders: Folders, node: Node) -> list[Path]:
    """The files that a node's services read at their start: when one changes, the node is started anew."""
    disk = folders.node(node)
    if not node.has_engine:
        files = certificates.registry(folders)
        own = [files.certificate, files.private_key, certificates.dtr_ca(folders)]
        return [*own, disk / "registry.yml", disk / "hosts", *registry.sources()]
    tls = sorted((disk / engines.SETTINGS / "tls").glob("*.pem"))
    return [disk / engines.SETTINGS / "daemon.json", disk / "ssh/sshd_config", disk / "ssh/host_key", *tls]
