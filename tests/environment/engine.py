# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Docker Engine of the tests' own, which builds the execution environment and runs jobs in it.

Its containers have the network of whoever starts it: the machine's for a build, the lab's for a job.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Engine:
    """A running Engine, by Docker's command line."""

    def __init__(self, socket: Path) -> None:
        self.environment = {**os.environ, "DOCKER_HOST": f"unix://{socket}"}

    def docker(self, *arguments: str, check: bool = True) -> str:
        """What C(docker) prints."""
        done = subprocess.run(["docker", *arguments], env=self.environment, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
        return done.stdout.strip()

    def in_image(self, image: str, *command: str) -> str:
        """What a command prints in a container of its own."""
        return self.docker("run", "--rm", "--network=host", image, *command)


@contextmanager
def running(folder: Path) -> Iterator[Engine]:
    """An Engine that keeps its images in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    socket, log = folder / "docker.sock", folder / "dockerd.log"
    # Not the machine's own settings.
    settings = folder / "daemon.json"
    settings.write_text("{}")
    command = ["dockerd", "--config-file", str(settings), "--host", f"unix://{socket}"]
    command += ["--data-root", str(folder / "data"), "--exec-root", str(folder / "run")]
    command += ["--pidfile", str(folder / "dockerd.pid"), "--cgroup-parent", "/dtr-cache-environment"]
    command += ["--exec-opt", "native.cgroupdriver=cgroupfs", "--bridge=none", "--iptables=false", "--ip6tables=false"]
    command += ["--ip-forward=false"]
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    engine = Engine(socket)
    try:
        deadline = time.monotonic() + 60
        while not engine.docker("version", "--format", "{{.Server.Version}}", check=False):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield engine
    finally:
        process.terminate()
        process.wait(timeout=60)
