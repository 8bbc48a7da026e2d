# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and addresses: the machine's C(/etc/hosts), each node's, and the lab's name server."""

from __future__ import annotations

import socket
from pathlib import Path

from .files import write_file
from .topology import DOMAIN, NODES, REGISTRY, Node, host_records

HOSTS = Path("/etc/hosts")
BEGIN = "# dtr.cache lab: begin"
END = "# dtr.cache lab: end"


def without_block(text: str) -> str:
    """A hosts file without the lab's block. A block whose end is missing reaches as far as lines of the lab do."""
    kept: list[str] = []
    inside = False
    for line in text.splitlines(keepends=True):
        stripped = line.strip()
        if stripped == BEGIN:
            inside = True
        elif inside and stripped == END:
            inside = False
        elif inside and _is_ours(stripped):
            continue
        else:
            inside = False
            kept.append(line)
    return "".join(kept)


def _is_ours(line: str) -> bool:
    fields = line.split()
    return len(fields) > 1 and all(name.endswith(f".{DOMAIN}") for name in fields[1:])


def with_block(text: str) -> str:
    """A hosts file with the lab's block at its end."""
    others = without_block(text)
    if others and not others.endswith("\n"):
        others += "\n"
    records = "".join(f"{address}\t{name}\n" for name, address in host_records())
    return f"{others}{BEGIN}\n{records}{END}\n"


def add_to_machine() -> bool:
    """Let the machine know the lab's names. Returns whether the file changed."""
    return write_file(HOSTS, with_block(HOSTS.read_text()), HOSTS.stat().st_mode & 0o7777)


def machine_is_right() -> bool:
    """Whether the machine knows the lab's names."""
    text = HOSTS.read_text()
    return text == with_block(text)


def remove_from_machine() -> bool:
    """Take the lab's names out of the machine's C(/etc/hosts). Returns whether the file changed."""
    return write_file(HOSTS, without_block(HOSTS.read_text()), HOSTS.stat().st_mode & 0o7777)


def node_hosts(node: Node) -> str:
    """A node's C(/etc/hosts): itself first, then the lab with short names as well."""
    short = {other.host_name: other.name for other in NODES}
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost", f"{node.address} {node.host_name} {node.name}"]
    lines += [
        " ".join(filter(None, (str(address), name, short.get(name))))
        for name, address in host_records()
        if name != node.host_name
    ]
    return "\n".join(lines) + "\n"


def node_resolver() -> str:
    """A node's C(/etc/resolv.conf): the lab's name server, which containers use through their Engine as well."""
    return f"nameserver {REGISTRY.address}\noptions timeout:1 attempts:1\n"


def name_server_command(hosts: Path) -> list[str]:
    """A name server that knows the lab and answers at once that nothing else exists."""
    return [
        "dnsmasq",
        "--keep-in-foreground",
        "--log-facility=-",
        "--conf-file=/dev/null",
        "--pid-file=",
        "--user=root",
        "--no-resolv",
        "--no-hosts",
        "--local=/#/",
        f"--addn-hosts={hosts}",
        "--interface=eth0",
        "--bind-interfaces",
    ]


def name_server_answers() -> bool:
    """Whether the lab's name server listens (on TCP, as it does on UDP)."""
    try:
        with socket.create_connection((str(REGISTRY.address), 53), timeout=1):
            return True
    except OSError:
        return False
