# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first process of a node: makes its mounts, starts its services and ends the node when one of them ends.

Runs as process 1 of the node's namespaces (see C(nodes.launch)), so that killing it ends everything that belongs to the
node: Engine, containers, SSH sessions. Imports nothing but the standard library, all of it before a mount may hide it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import typing as t
from dataclasses import asdict, dataclass
from pathlib import Path

STATE = "/run/lab"
"""Where a node finds its own part of the lab's state."""


@dataclass(frozen=True)
class Service:
    """A program that the node keeps running; its output goes to C(log/NAME.log) in the node's state."""

    name: str
    command: list[str]
    environment: dict[str, str]


@dataclass(frozen=True)
class NodeSpec:
    """All that the first process has to know.

    Attributes:
        host_name: The host name the node gets.
        state: A folder that the node sees as C(/run/lab).
        binds: What is mounted over what: pairs of a source (in the state folder, relative to it) and a target.
        hidden: Folders that the node sees empty.
        services: What runs on it.
    """

    host_name: str
    state: str
    binds: list[tuple[str, str]]
    hidden: list[str]
    services: list[Service]

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> NodeSpec:
        data: dict[str, t.Any] = json.loads(text)
        data["services"] = [Service(**service) for service in data["services"]]
        return cls(**data)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def _bind(source: str, target: str) -> None:
    # A resolv.conf may be a link into /run, where nothing is left of what it points to.
    real = Path(os.path.realpath(target))
    if not real.exists() and real.is_relative_to("/run"):
        real.parent.mkdir(parents=True, exist_ok=True)
        real.touch()
    _mount("--bind", source, str(real))


def make_mounts(spec: NodeSpec) -> None:
    """Give the node disks of its own. What it does not own it shares with the machine, as a container would not."""
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    os.mkdir(STATE)
    os.mkdir("/run/sshd", mode=0o755)
    _mount("--bind", spec.state, STATE)
    for source, target in spec.binds:
        _bind(f"{STATE}/{source}", target)
    for folder in spec.hidden:
        _mount("-t", "tmpfs", "-o", "mode=700,size=1m", "tmpfs", folder)


def start(service: Service) -> subprocess.Popen[bytes]:
    """Start a service in a session of its own."""
    with open(f"{STATE}/log/{service.name}.log", "ab") as log:
        return subprocess.Popen(
            service.command,
            env={"PATH": os.environ["PATH"], "HOME": "/root", **service.environment},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def main(spec_file: str) -> t.NoReturn:
    """Run the node until one of its services ends; then the kernel ends all the rest of it."""
    spec = NodeSpec.from_json(Path(spec_file).read_text())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    socket.sethostname(spec.host_name)
    make_mounts(spec)
    started = {service.name: start(service) for service in spec.services}
    running = {process.pid: name for name, process in started.items()}
    while True:
        # As process 1 it inherits the orphans of the whole node and has to fetch their status.
        pid, status = os.wait()
        if pid in running:
            print(f"{running[pid]} ended with status {os.waitstatus_to_exitcode(status)}: the node ends", flush=True)
            sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1])
