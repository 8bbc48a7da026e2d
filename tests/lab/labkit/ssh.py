# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""SSH as a user has it: a key that opens every node, host keys that are known, nothing else let in."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

from .commands import run
from .files import write_file
from .folders import Folders
from .topology import ENGINE_NODES, SSH_PORT, Node


def key(folders: Folders) -> Path:
    """The private key of the lab's user."""
    return folders.ssh / "id_ed25519"


def known_hosts(folders: Folders) -> Path:
    return folders.ssh / "known_hosts"


def host_key(folders: Folders, node: Node) -> Path:
    return folders.ssh / f"host-{node.name}"


def make_keys(folders: Folders) -> bool:
    """Make what is missing: the user's key, each node's host key, and the list of known hosts."""
    made = _make_key(key(folders), "dtr.cache lab")
    for node in ENGINE_NODES:
        made |= _make_key(host_key(folders, node), node.host_name)
    lines = []
    for node in ENGINE_NODES:
        kind, public, _comment = _public(host_key(folders, node)).split(maxsplit=2)
        lines.append(f"{node.host_name},{node.address} {kind} {public}\n")
    return write_file(known_hosts(folders), "".join(lines), 0o600) or made


def _public(private: Path) -> str:
    return private.with_name(f"{private.name}.pub").read_text().strip()


def _make_key(path: Path, comment: str) -> bool:
    """Make a key pair unless it is there whole."""
    if path.exists() and path.with_name(f"{path.name}.pub").exists():
        return False
    path.unlink(missing_ok=True)
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)])
    return True


def install(folders: Folders, node: Node, state: str) -> None:
    """Put the daemon's settings and keys on a node's disk; the node sees its disk as C(state)."""
    disk = folders.node(node)
    for folder in (disk / "ssh", disk / "root", disk / "root/.ssh"):
        folder.mkdir(mode=0o700, exist_ok=True)
    write_file(disk / "ssh/host_key", host_key(folders, node).read_text(), 0o600)
    write_file(disk / "ssh/sshd_config", daemon_config(node, state), 0o600)
    write_file(disk / "root/.ssh/authorized_keys", _public(key(folders)) + "\n", 0o600)
    write_file(disk / "shadow", shadow(), 0o640)


def daemon_config(node: Node, state: str) -> str:
    """The daemon's settings: root, by key, on the node's own address."""
    return "\n".join(
        [
            f"ListenAddress {node.address}:{SSH_PORT}",
            f"HostKey {state}/ssh/host_key",
            "PidFile none",
            "UsePAM no",
            "UseDNS no",
            "PermitRootLogin prohibit-password",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "AllowUsers root",
            "MaxStartups 100",
            "MaxSessions 100",
            "PrintMotd no",
            "PrintLastLog no",
            "Subsystem sftp internal-sftp",
            "",
        ]
    )


def shadow() -> str:
    """A shadow file with root alone, without a password: sshd refuses even keys for an account that is locked."""
    return "root:*:19000:0:99999:7:::\n"


def daemon_command(state: str) -> list[str]:
    """The daemon has to be called by its whole path, as it starts itself again for each session."""
    sshd = shutil.which("sshd") or "/usr/sbin/sshd"
    return [sshd, "-D", "-e", "-f", f"{state}/ssh/sshd_config"]


def answers(node: Node) -> bool:
    """Whether the node's daemon listens and greets."""
    try:
        with socket.create_connection((str(node.address), SSH_PORT), timeout=2) as connection:
            return connection.recv(8).startswith(b"SSH-2.0")
    except OSError:
        return False
