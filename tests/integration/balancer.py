# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""haproxy before the replicas of a cache, as operators have it: it passes TLS on, and a server can be drained."""

from __future__ import annotations

import contextlib
import csv
import io
import shutil
import socket
import subprocess
import typing as t
from collections.abc import Iterator
from pathlib import Path

from .conftest import until

_CONFIGURATION = """
global
  stats socket {socket} mode 600 level admin
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option redispatch
frontend clients
  bind :{port}
  default_backend caches
backend caches
  balance roundrobin
  default-server check inter 500ms fall 2 rise 1
"""


class Balancer:
    """A running haproxy, which is asked by its socket."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def command(self, text: str) -> str:
        with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
            connection.connect(str(self._place))
            connection.sendall(f"{text}\n".encode())
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        return answer.decode()

    def sessions(self) -> dict[str, int]:
        """How many connections each server has got so far."""
        return {row["svname"]: int(row["stot"]) for row in self._servers()}

    def is_up(self, server: str) -> bool:
        """Whether a server answers its checks, be it drained or not."""
        return any(row["svname"] == server and row["check_status"] == "L4OK" for row in self._servers())

    def _servers(self) -> list[dict[str, str]]:
        rows = csv.DictReader(io.StringIO(self.command("show stat").removeprefix("# ")))
        return [row for row in rows if row["pxname"] == "caches" and row["svname"] != "BACKEND"]


@contextlib.contextmanager
def load_balancer(folder: Path, port: int, servers: t.Mapping[str, str]) -> Iterator[Balancer]:
    """haproxy on this machine, before servers by name."""
    program = shutil.which("haproxy")
    assert program, "needs haproxy, of the distribution's package of that name"
    place = folder / "haproxy.sock"
    lines = [f"  server {name} {address}" for name, address in servers.items()]
    configuration = folder / "haproxy.cfg"
    configuration.write_text(_CONFIGURATION.format(socket=place, port=port) + "\n".join(lines) + "\n")
    with subprocess.Popen([program, "-W", "-f", str(configuration)]) as process:
        try:
            until(place.exists, "haproxy runs", seconds=20)
            yield Balancer(place)
        finally:
            process.terminate()
