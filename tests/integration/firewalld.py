# Copyright: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine with firewalld: namespaces over a copy of this machine, so that nothing is installed on the real one."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from .conftest import PROJECT

# $1 is an empty folder, $2 firewalld's backend, and the rest are folders that the machine sees as they are.
START = r"""
set -eu
mount -t tmpfs tmpfs "$1"
cd "$1"
mkdir upper work root
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
cd root
backend=$2
shift 2
for folder in /dev /sys "$@"; do
  mkdir -p ".$folder"
  mount --rbind "$folder" ".$folder"
done
mount -t proc proc proc
mount -t tmpfs tmpfs run
mkdir run/dbus
printf '#!/bin/sh\nexit 101\n' >usr/sbin/policy-rc.d
chmod 755 usr/sbin/policy-rc.d
DEBIAN_FRONTEND=noninteractive chroot . apt-get install -qq --no-install-recommends firewalld
sed -i "s/^FirewallBackend=.*/FirewallBackend=$backend/" etc/firewalld/firewalld.conf
exec unshare --net chroot . sh -c 'ip link set lo up; dbus-daemon --system --fork; exec firewalld --nofork --nopid'
"""


class Machine:
    """One such machine; it ends with C(stop), and nothing of it is left."""

    def __init__(self, folder: Path, backend: str) -> None:
        seen = [str(PROJECT), sys.prefix, str(folder.parent)]
        namespaces = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
        with (folder.parent / f"{folder.name}.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*namespaces, "bash", "-c", START, "machine", str(folder), backend, *seen], stdout=log, stderr=log
            )
        deadline = time.monotonic() + 120
        while self._process.poll() is not None or self.run("firewall-cmd --state").returncode != 0:
            assert self._process.poll() is None, Path(log.name).read_text()
            assert time.monotonic() < deadline, Path(log.name).read_text()
            time.sleep(0.2)

    def run(self, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a shell command in the machine."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        enter = (
            ["nsenter", f"--target={children[0]}", "--mount", "--net", "--pid", "--root", "--wd"]
            if children
            else ["false"]
        )
        return subprocess.run(
            [*enter, "sh", "-c", command],
            env=environment or None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
