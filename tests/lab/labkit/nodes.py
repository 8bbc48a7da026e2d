# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting, finding and ending nodes."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from . import network, node_init
from .errors import LabError
from .files import write_file
from .folders import LAB_SOURCE, Folders
from .node_init import NodeSpec
from .topology import Node


def first_process(node: Node) -> int | None:
    """The node's process 1, as the machine counts it; None when the node does not run."""
    for pid in network.processes(node.namespace):
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        numbers = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
        if len(numbers) == 2 and numbers[1] == "1":
            return pid
    return None


def fingerprint(spec: NodeSpec, sources: Sequence[Path] = ()) -> str:
    """A name for what a node runs: it changes when the specification, the first process or a source does.

    Where the checkout lies does not matter, so that a second one finds the lab as it wants it.
    """
    digest = hashlib.sha256(spec.to_json().replace(str(LAB_SOURCE), "").encode())
    for source in (Path(node_init.__file__), *sources):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:16]


def runs(node: Node, mark: str) -> bool:
    """Whether the node runs, and from the specification with this fingerprint."""
    pid = first_process(node)
    if pid is None:
        return False
    try:
        return mark in Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return False


def launch(node: Node, spec: NodeSpec, mark: str, folders: Folders) -> subprocess.Popen[bytes]:
    """End the node if it runs, and start it anew from the specification.

    Returns its outermost process, before its services are ready.

    C(ip netns exec) is not used to enter the network namespace, since it mounts a /sys without cgroups.
    """
    stop(node.namespace)
    network.add_namespace(node)
    spec_file = folders.node(node) / "node.json"
    write_file(spec_file, spec.to_json(), 0o600)
    with (folders.node_logs(node) / "node.log").open("ab") as log:
        return subprocess.Popen(
            [
                *("nsenter", f"--net={network.NAMESPACES / node.namespace}"),
                *("unshare", "--uts", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
                *(sys.executable, "-I", node_init.__file__, str(spec_file), mark),
            ],
            env={"PATH": os.environ["PATH"]},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def stop(namespace: str) -> None:
    """End a node and remove its network. Its disks stay."""
    network.remove_namespace(namespace)


def enter_command(node: Node, command: Sequence[str]) -> list[str]:
    """The command line that runs a command inside a node, as root in its home.

    Raises:
        LabError: The node does not run.
    """
    pid = first_process(node)
    if pid is None:
        raise LabError(f"{node.name} does not run")
    return [
        *("nsenter", f"--target={pid}", "--net", "--uts", "--mount", "--pid", "--"),
        *("sh", "-c", 'cd && exec "$@"', "sh", *command),
    ]


def keep_logs(folders: Folders) -> None:
    """Put the nodes' logs aside, in place of those of the run before."""
    for logs in folders.nodes.glob("*/log"):
        kept = folders.logs / logs.parent.name
        shutil.rmtree(kept, ignore_errors=True)
        logs.rename(kept)


def remove_disks(folders: Folders) -> None:
    """Remove what the nodes had on their disks.

    The kernel unmounts what a dead node had mounted a moment after its last process is gone: what is busy is
    tried again.
    """
    deadline = time.monotonic() + 10
    while folders.nodes.exists():
        try:
            shutil.rmtree(folders.nodes)
        except OSError as error:
            if time.monotonic() > deadline:
                raise LabError(f"could not remove {folders.nodes}: {error}") from error
            time.sleep(0.2)


def remove_cgroups(folders: Folders, base: Path = Path("/sys/fs/cgroup")) -> None:
    """Remove the control groups of the nodes' containers: a tree in each hierarchy."""
    for top in (base / folders.cgroup, *sorted(base.glob(f"*/{folders.cgroup}"))):
        if not top.is_dir():
            continue
        for folder, _folders, _files in os.walk(top, topdown=False):
            for _attempt in range(50):
                try:
                    os.rmdir(folder)
                    break
                except OSError:
                    time.sleep(0.1)
            else:
                raise LabError(f"the control group {folder} is still in use")
