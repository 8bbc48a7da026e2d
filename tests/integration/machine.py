# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine with systemd, firewalld and Docker, for what the lab's nodes do not have.

It is made of namespaces over a copy of this machine's disk: what is installed, enabled and started in it is gone with
it, and it has no network but its own loopback.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

from .conftest import PROJECT

PACKAGES = ("firewalld", "systemd-sysv")
"""What the machine has that this one need not have; C(python -m integration.machine) in C(tests) downloads them."""

INSTALL = ("apt-get", "install", "-qq", "--yes", "--no-install-recommends", *PACKAGES)

# $1 is an empty folder, $2 a name; the rest are folders that the machine sees as they are. Of the units that this
# machine has enabled none is started there, and what the kernel has only once is read only.
START = r"""
set -eu
mount -t tmpfs tmpfs "$1"
cd "$1"
group=$2
shift 2
mkdir upper work root
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
cd root
for folder; do
  mkdir -p ".$folder"
  mount --rbind "$folder" ".$folder"
done
mount -t tmpfs tmpfs dev
for device in null zero full random urandom tty; do
  touch "dev/$device"
  mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
printf '#!/bin/sh\nexit 101\n' >usr/sbin/policy-rc.d
chmod 755 usr/sbin/policy-rc.d
mount -t tmpfs tmpfs run
mount -t proc proc proc
DEBIAN_FRONTEND=noninteractive chroot . $INSTALL
rm -rf etc/systemd/system etc/docker/daemon.json
mkdir etc/systemd/system
ln -s /dev/null etc/systemd/system/tmp.mount
: >etc/fstab
cat >etc/systemd/system/machine.target <<UNIT
[Unit]
Wants=firewalld.service docker.service
UNIT
# The machine's control groups are below one of its own.
mkdir ../control
mount -t cgroup2 cgroup2 ../control
group=$PWD/../control$(sed -n 's/^0:://p' /proc/self/cgroup)/$group
mkdir "$group"

stop() {
  kill -KILL "$machine"
  wait
  while [ -d "$group" ]; do find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.1; done
  exit
}
trap stop TERM

while :; do
  sh -euc '
    echo $$ >"$1/cgroup.procs"
    exec unshare --pid --net --ipc --uts --cgroup --mount --fork --kill-child sh -euc "$2"' sh "$group" '
    mount -t tmpfs tmpfs run
    mount -t proc proc proc
    mount -t sysfs -o ro sysfs sys
    mount -t tmpfs tmpfs sys/fs/cgroup
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    mount --bind proc/sys proc/sys
    mount --bind proc/sys/net proc/sys/net
    mount -o remount,bind,ro proc/sys
    mount -o remount,bind,rw proc/sys/net
    exec env -i "PATH=$PATH" container=other chroot . /lib/systemd/systemd --unit=machine.target' &
  machine=$!
  wait "$machine" || true
done
"""


class Machine:
    """One such machine; it sees the files that lie beside its folder. C(stop) ends it."""

    def __init__(self, folder: Path) -> None:
        arguments = [str(folder), f"dtr-cache-machine-{os.getpid()}", str(PROJECT), sys.prefix, str(folder.parent)]
        folder.mkdir()
        self._log = folder.parent / f"{folder.name}.log"
        start = [
            "setpriv",
            "--pdeathsig",
            "KILL",
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*start, "bash", "-c", START, "machine", *arguments],
                env={**os.environ, "INSTALL": " ".join(INSTALL)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait_until_it_runs()

    def run(self, command: str, environment: t.Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a shell command in the machine."""
        init = self._first_process()
        enter = [f"--target={init}", "--mount", "--net", "--ipc", "--uts", "--pid", "--cgroup", "--root", "--wd"]
        return subprocess.run(
            ["nsenter", *enter, "sh", "-c", command] if init else ["false"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def said(self, command: str) -> str:
        """What a command prints that has to succeed."""
        done = self.run(command)
        assert done.returncode == 0, done.stdout
        return done.stdout.strip()

    def cut_the_power(self) -> None:
        """End everything in it at once, and let it start anew from its disk."""
        _signal(self._first_process(), signal.SIGKILL)
        self._wait_until_it_runs()

    def stop(self) -> None:
        _signal(_child(self._process.pid), signal.SIGTERM)
        self._process.wait(timeout=60)

    def _wait_until_it_runs(self) -> None:
        deadline = time.monotonic() + 180
        while self.run("systemctl is-active docker && firewall-cmd --state").returncode != 0:
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.3)

    def _first_process(self) -> int:
        """systemd as this machine counts it; 0 while it does not run."""
        pid = self._process.pid
        for _generation in ("the script", "the namespaces", "the machine"):
            pid = pid and _child(pid)
        return pid if pid and Path(f"/proc/{pid}/comm").read_text() == "systemd\n" else 0


def _signal(pid: int, number: signal.Signals) -> None:
    # 0 would be this program with its whole group.
    assert pid, "the machine has ended"
    os.kill(pid, number)


def _child(pid: int) -> int:
    """The only child of a process; 0 when it has none or is gone."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0
    return int(children[0]) if children else 0


if __name__ == "__main__":
    subprocess.run([*INSTALL, "--download-only"], check=True)
