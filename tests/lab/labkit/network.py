# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's network: one bridge, and a network namespace with an address for each node."""

from __future__ import annotations

import json
import os
import signal
import socket
import typing as t
from pathlib import Path

from .commands import run
from .progress import wait_until
from .topology import BRIDGE, CONTROL_ADDRESS, NETWORK, PREFIX, Node

NAMESPACES = Path("/run/netns")
RULE_COMMENT = "dtr-cache-lab"


def _links() -> set[str]:
    return {name for _number, name in socket.if_nameindex()}


def bridge_is_up() -> bool:
    """Whether the bridge is there with its address."""
    if BRIDGE not in _links():
        return False
    answer: list[dict[str, t.Any]] = json.loads(run(["ip", "-json", "address", "show", "dev", BRIDGE]).stdout)
    addresses = [address["local"] for link in answer for address in link["addr_info"]]
    return "UP" in answer[0]["flags"] and str(CONTROL_ADDRESS) in addresses


def add_bridge() -> bool:
    """Make the bridge. Returns whether there was something to do."""
    if bridge_is_up():
        return False
    remove_link(BRIDGE)
    _ip_batch(
        f"link add {BRIDGE} type bridge stp_state 0 forward_delay 0",
        f"address add {CONTROL_ADDRESS}/{NETWORK.prefixlen} dev {BRIDGE}",
        f"link set {BRIDGE} up",
    )
    return True


def remove_link(name: str) -> None:
    """Remove an interface of the lab, if it is there."""
    if name in _links():
        run(["ip", "link", "delete", name], check=False)


def node_links() -> list[str]:
    """The machine's ends of the nodes' cables."""
    return sorted(name for name in _links() if name.startswith(f"{PREFIX}-"))


def namespaces() -> list[str]:
    """The lab's network namespaces, also those of an earlier run."""
    if not NAMESPACES.is_dir():
        return []
    return sorted(path.name for path in NAMESPACES.iterdir() if path.name.startswith(f"{PREFIX}-"))


def add_namespace(node: Node) -> None:
    """Make the node's network: loopback, and a cable to the bridge, over which its default route goes too."""
    run(["ip", "netns", "add", node.namespace])
    _ip_batch(
        f"link add {node.namespace} type veth peer name eth0 address {node.mac} netns {node.namespace}",
        f"link set {node.namespace} master {BRIDGE} up",
    )
    _ip_batch(
        "link set lo up",
        f"address add {node.address}/{NETWORK.prefixlen} dev eth0",
        "link set eth0 up",
        f"route add default via {CONTROL_ADDRESS}",
        namespace=node.namespace,
    )


def remove_namespace(name: str) -> None:
    """End whatever runs in the namespace and remove it with its cable."""
    end_processes(name)
    remove_link(name)
    if (NAMESPACES / name).exists():
        run(["ip", "netns", "delete", name])


def processes(namespace: str) -> list[int]:
    """The processes in a network namespace of the lab. They are ours by definition: nobody else enters it.

    A container has a network namespace of its own and is not among them; it ends with its node's first process.
    """
    try:
        wanted = os.stat(NAMESPACES / namespace)
    except FileNotFoundError:
        return []
    return [pid for pid in _all_processes() if _is_in(pid, wanted)]


def _all_processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _is_in(pid: int, namespace: os.stat_result) -> bool:
    try:
        found = os.stat(f"/proc/{pid}/ns/net")
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (namespace.st_dev, namespace.st_ino)


def end_processes(namespace: str) -> None:
    """Kill every process in a namespace of the lab and wait until they are gone."""

    def none_left() -> bool:
        left = processes(namespace)
        for pid in left:
            _kill(pid, namespace)
        return not left

    wait_until(none_left, what=f"the processes in {namespace} should end", timeout=20, interval=0.05)


def _kill(pid: int, namespace: str) -> None:
    """Kill a process, but never another one that got its number meanwhile."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if _is_in(pid, os.stat(NAMESPACES / namespace)):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except ProcessLookupError:
        pass
    finally:
        os.close(descriptor)


def _ip_batch(*commands: str, namespace: str | None = None) -> None:
    within = ["-netns", namespace] if namespace else []
    run(["ip", *within, "-batch", "-"], stdin="\n".join(commands) + "\n")


_RULE = ("-i", BRIDGE, "-o", BRIDGE, "-m", "comment", "--comment", RULE_COMMENT, "-j", "ACCEPT")


def allow_forwarding() -> bool:
    """Let the nodes talk to each other. Returns whether a rule had to be added.

    A Docker Engine on the machine sets the policy of FORWARD to DROP, which (with bridge-nf-call-iptables) also holds
    for what crosses a bridge.
    """
    if run(["iptables", "-w", "-C", "FORWARD", *_RULE], check=False).returncode == 0:
        return False
    run(["iptables", "-w", "-I", "FORWARD", *_RULE])
    return True


def forget_forwarding() -> None:
    """Remove the lab's firewall rule, as often as it is there."""
    while run(["iptables", "-w", "-D", "FORWARD", *_RULE], check=False).returncode == 0:
        pass
