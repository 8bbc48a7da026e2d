# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab whose commands are killed is brought up by the next one, and nothing of it is left when it goes down.

On a machine of its own: C(tests/lab/alone FOLDER python -m pytest tests/lab/test_kills.py).
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import typing as t
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
STATE = Path(os.environ["DTR_CACHE_LAB"])


class Lab(t.NamedTuple):
    """The command C(tests/lab/lab) of a checkout."""

    path: str

    def __call__(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self.path, command], capture_output=True, text=True, check=False)

    def killed(self, command: str, line: str) -> None:
        """Run a command and kill it as soon as it has said a line."""
        process = subprocess.Popen([self.path, command], stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        for said in process.stderr:
            if line in said:
                break
        else:
            raise AssertionError(f"{command} never said: {line}")
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Of a checkout of its own: this one's inventory is that of another lab."""
    checkout = tmp_path_factory.mktemp("kills") / "checkout"
    shutil.copytree(PROJECT, checkout, ignore=shutil.ignore_patterns(".git", "__pycache__"))
    return Lab(str(checkout / "tests" / "lab" / "lab"))


def printed(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def processes() -> set[str]:
    """All that runs, without what this test itself consists of. A kernel needs a moment to let the dead go."""
    names = {path.name for path in Path("/proc").iterdir() if path.name.isdigit()}
    return {name for name in names if int(name) > 2 and name != str(os.getpid()) and _is_alive(name)}


def _is_alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/exe").readlink() is not None
    except OSError:
        return False


def traces() -> dict[str, t.Any]:
    """What a lab leaves on a machine while it runs."""
    cgroup = str(STATE).strip("/").replace("/", "-")
    groups = [*Path("/sys/fs/cgroup").glob(cgroup), *Path("/sys/fs/cgroup").glob(f"*/{cgroup}")]
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return {
        "namespaces": sorted(path.name for path in Path("/run/netns").iterdir()),
        "links": sorted(name for _number, name in socket.if_nameindex()),
        "rules": printed("iptables", "-w", "-S"),
        "hosts": Path("/etc/hosts").read_text(),
        # The ip command itself makes this one, once a boot, for whoever uses it.
        "mounts": sorted(mount for mount in mounts if mount != "/run/netns"),
        "cgroups": sorted(str(path) for path in groups),
        "disks": sorted(path.name for path in (STATE / "nodes").glob("*")),
        "processes": sorted(processes()),
    }


def assert_no_traces(before: dict[str, t.Any]) -> None:
    deadline = time.monotonic() + 20
    while (after := traces()) != before and time.monotonic() < deadline:
        time.sleep(0.5)
    assert after == before


def test_what_was_killed_is_finished_by_the_next_command_and_nothing_is_left_after_down(lab: Lab) -> None:
    assert lab("down").returncode == 0
    before = traces()

    lab.killed("up", "bridge made")
    lab.killed("up", "started")
    lab.killed("up", "Swarm of")
    up = lab("up")
    assert up.returncode == 0, up.stderr
    status = lab("status")
    assert status.returncode == 0, status.stderr

    lab.killed("down", "nodes ended")
    assert lab("status").returncode == 1
    again = lab("up")
    assert again.returncode == 0, again.stderr
    assert lab("status").returncode == 0

    down = lab("down")
    assert down.returncode == 0, down.stderr
    assert_no_traces(before)


def test_a_lab_that_is_killed_while_it_comes_up_goes_down(lab: Lab) -> None:
    before = traces()
    lab.killed("up", "started")
    down = lab("down")
    assert down.returncode == 0, down.stderr
    assert_no_traces(before)
    second = lab("down")
    assert second.returncode == 0, second.stderr
