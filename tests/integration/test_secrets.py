# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets appear nowhere: not in output at -vvvv, files of either side, labels and process arguments."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml

from .conftest import INVENTORY, Lab, Play, Run

DEPLOY = "dtr.cache.deploy"
HTTP_SECRET = "an-http-secret-of-the-test-and-of-nothing-else"


def fragments(lab: Lab) -> list[str]:
    """Parts of each secret of a deployment that could not appear by chance, also base64-encoded."""
    key = lab.certificate("cache-europe.lab.test", "key").splitlines()[1:-1]
    credentials = f"admin:{lab.passwords['admin']}"
    secrets = [*key, lab.passwords["admin"], HTTP_SECRET]
    encoded = [base64.b64encode(secret.encode()).decode().rstrip("=")[:-2] for secret in [*secrets, credentials]]
    return [*secrets, *encoded]


def leaks(text: str, lab: Lab) -> list[str]:
    return [fragment for fragment in fragments(lab) if fragment in text]


def verbose(play: Play, *options: str, **variables: t.Any) -> Run:
    return play(
        DEPLOY, "-vvvv", "--diff", "--limit", "region-europe", *options, dtr_cache_http_secret=HTTP_SECRET, **variables
    )


def test_nothing_secret_is_shown_on_any_path_by_the_swarm_or_left_in_the_registry(clean_lab: Lab, play: Play) -> None:
    runs = {
        "check": verbose(play, "--check"),
        "refused settings": verbose(play, dtr_cache_port=0, dtr_cache_private_key=_without_pem(clean_lab)),
        "bad image": verbose(play, dtr_cache_version="0.0.0", dtr_cache_timeout=20),
        "deploy": verbose(play),
        "unknown account": verbose(play, dtr_cache_assignments={"accounts": ["nobody-here"]}),
        "registry ill": _with_fault(clean_lab, play),
    }
    assert [runs[name].code == 0 for name in runs] == [True, False, False, True, False, False]
    for name, run in runs.items():
        assert not leaks(run.output, clean_lab), name
    made, deleted = (clean_lab.control.count(method, "api_tokens") for method in ("POST", "DELETE"))
    assert made > 0, "the verification made a token"
    assert made == deleted
    assert not leaks(json.dumps(_shown_by_the_swarm(clean_lab)), clean_lab)


def _shown_by_the_swarm(lab: Lab) -> list[t.Any]:
    """All that an Engine tells of what was deployed; config.yml is what holds the secret of HTTP."""
    with contextlib.closing(lab.engine("europe-1")) as client:
        services = [service.attrs for service in client.services.list()]
        assert services
        return [
            *services,
            *(secret.attrs for secret in client.secrets.list()),
            *(node.attrs for node in client.nodes.list()),
            *({**config.attrs["Spec"], "Data": None} for config in client.configs.list()),
        ]


def _without_pem(lab: Lab) -> str:
    """The key as base64 alone, as variables of a CI often have it: no PEM, and no path either."""
    return "".join(lab.certificate("cache-europe.lab.test", "key").splitlines()[1:-1])


def _with_fault(lab: Lab, play: Play) -> Run:
    lab.control.fault("status", path="/settings$", status=500)
    try:
        return verbose(play, dtr_cache_assignments={"accounts": ["carol"]})
    finally:
        lab.control.remove_faults()


def test_the_private_key_never_touches_a_disk_and_no_arguments_of_a_process(
    clean_lab: Lab, play: Play, tmp_path: Path
) -> None:
    """Every write of a deployment with a vaulted key is watched: Ansible's own, and those below the manager's sshd."""
    key = clean_lab.certificate("cache-europe.lab.test", "key")
    password = tmp_path / "vault-password"
    password.write_text("vault password of the test")
    vaulted = tmp_path / "vault.yml"
    vaulted.write_text(yaml.safe_dump({"dtr_cache_private_key": key}))
    subprocess.run(
        ["ansible-vault", "encrypt", "--vault-password-file", str(password), str(vaulted)],
        check=True,
        capture_output=True,
    )
    assert not leaks(vaulted.read_text(), clean_lab)
    against = tmp_path / "against.yml"
    against.write_text(
        yaml.safe_dump({"all": {"vars": {"ansible_pipelining": False, "ansible_ssh_pipelining": False}}})
    )
    # A connection that an earlier test left open would belong to a process that is not watched, and the roles have to
    # see to it themselves that their modules travel without a file.
    environment = {**play.environment, "ANSIBLE_SSH_ARGS": "-o ControlMaster=no", "ANSIBLE_PIPELINING": "0"}
    inventories = ("-i", INVENTORY, "-i", str(against))
    watch = ["strace", "-f", "-y", "-v", "-s", "200000", "-e", "trace=write,pwrite64,writev,sendfile,execve"]
    manager_trace, control_trace = tmp_path / "manager.trace", tmp_path / "control.trace"
    sshd = _outside(clean_lab.inside("europe-1", "sh", "-c", "echo $(pgrep -o -x sshd)"))
    watcher = subprocess.Popen([*watch, "-o", str(manager_trace), "-p", sshd], stderr=subprocess.PIPE, text=True)
    assert watcher.stderr is not None
    assert "attached" in watcher.stderr.readline()
    try:
        result = subprocess.run(
            [
                *(*watch, "--seccomp-bpf", "-o", str(control_trace)),
                *("ansible-playbook", *inventories, DEPLOY, "--limit", "region-europe"),
                *("-e", f"@{vaulted}", "--vault-password-file", str(password)),
            ],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        watcher.terminate()
        watcher.wait()
    assert result.returncode == 0, result.stdout
    verify_trace = tmp_path / "verify.trace"
    verify = ["ansible-playbook", *inventories, "dtr.cache.verify", "--limit", "region-europe"]
    subprocess.run(
        [*watch, "--seccomp-bpf", "-o", str(verify_trace), *verify], env=environment, check=True, capture_output=True
    )
    needle, password_of_dtr = key.splitlines()[1][:40], clean_lab.passwords["admin"]
    keys = {
        "key, control node": _targets(control_trace, needle),
        "key, manager": _targets(manager_trace, needle),
    }
    for what, targets in {**keys, "name, verify": _targets(verify_trace, "region-europe")}.items():
        assert targets, f"{what}: it must have passed through a pipe or socket, or the watch saw nothing"
    # To DTR it goes encrypted, and to no other process.
    passwords = {
        "DTR's password, deploy": _targets(control_trace, password_of_dtr),
        "DTR's password, verify": _targets(verify_trace, password_of_dtr),
    }
    for what, targets in {**keys, **passwords}.items():
        files = [target for target in targets if target.startswith("/") and not target.startswith("/dev/")]
        assert not files, what
    for trace in (manager_trace, control_trace, verify_trace):
        started = [line for line in trace.read_text(errors="replace").splitlines() if "execve(" in line]
        assert started, trace.name
        assert not leaks("\n".join(started), clean_lab), trace.name


def _targets(trace: Path, needle: str) -> set[str]:
    """What each write that held the needle went to: a path, a pipe, a socket."""
    found = set()
    for line in trace.read_text(errors="replace").splitlines():
        if needle in line:
            match = re.search(r"(?:write|pwrite64|writev)\(\d+<(.*?)>, ", line)
            if match:
                found.add(match[1])
    return found


def _outside(pid: str) -> str:
    """The id, in the machine's own process namespace, of a process that a node knows by this id."""
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            lines = dict(line.partition(":")[::2] for line in status.read_text().splitlines())
            ids = lines.get("NSpid", "").split()
            if len(ids) > 1 and ids[-1] == pid and lines["Name"].strip() == "sshd" and _is_in(ids[0], "europe-1"):
                return ids[0]
        except OSError:
            continue
    raise AssertionError("found no sshd of europe-1")


def _is_in(pid: str, node: str) -> bool:
    name = subprocess.run(["nsenter", "-t", pid, "-u", "hostname"], capture_output=True, text=True, check=False)
    return name.stdout.strip() == node


@pytest.fixture(autouse=True)
def nothing_left_over(lab: Lab) -> t.Iterator[None]:
    """After each test, no file of Ansible's temporary folders on either side holds a secret."""
    yield
    for folder in (Path.home() / ".ansible" / "tmp", Path("/dev/shm")):
        for path in folder.rglob("*"):
            # Something else that runs on the machine may remove its files meanwhile.
            with contextlib.suppress(OSError):
                assert not leaks(path.read_text(errors="replace"), lab), path
    left = lab.inside("europe-1", "sh", "-c", "find /root/.ansible /tmp -type f -exec cat {} + 2>/dev/null; true")
    assert not leaks(left, lab)
