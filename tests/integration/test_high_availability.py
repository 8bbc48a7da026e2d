# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two replicas that share their layers, and a cache that fetches from another cache: both by real pulls."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Lab, Play
from .load import Load

from labkit.nodes import enter_command  # isort: skip (conftest puts it into the path)
from labkit.topology import node_named  # isort: skip

SHARED = "/srv/dtr-cache-test"
REPLICAS = {"asia-2": "198.18.57.22", "asia-3": "198.18.57.23"}


def log_of(lab: Lab, manager: str) -> list[str]:
    """All lines of the cache's log in a region, each with the node that wrote it."""
    text = lab.inside(manager, "sh", "-c", "docker service logs dtr-cache_cache 2>&1")
    return [line for line in text.splitlines() if "digest=" in line]


def digests(lines: t.Iterable[str], node: str, words: str) -> set[str]:
    """The digests in the lines that a node wrote with these words."""
    found = (line for line in lines if f"@{node} " in line and words in line)
    return {
        field.partition("=")[2].strip('"') for line in found for field in line.split() if field.startswith("digest=")
    }


@pytest.fixture
def shared_folder(lab: Lab) -> Iterator[str]:
    """One folder on both nodes, as an NFS mount would be: nodes have mounts of their own over the machine's disk."""
    lab.clean()
    folder = Path(SHARED)
    folder.mkdir(parents=True)
    yield SHARED
    lab.clean()
    shutil.rmtree(folder)


def test_what_one_replica_fetched_the_other_has(shared_folder: str, lab: Lab, play: Play) -> None:
    (Path(shared_folder) / "seen-by-the-machine").touch()
    for node in REPLICAS:
        assert lab.inside(node, "ls", shared_folder) == "seen-by-the-machine"
    run = play(
        "dtr.cache.deploy", "--limit", "region-asia", dtr_cache_nodes=list(REPLICAS), dtr_cache_volume=shared_folder
    )
    assert run.code == 0, run.output
    client = lab.engine("asia-1")
    (service,) = client.services.list()
    assert service.attrs["Spec"]["TaskTemplate"]["ContainerSpec"]["Mounts"] == [
        {"Type": "bind", "Source": shared_folder, "Target": "/var/lib/registry"}
    ]
    running = [task["NodeID"] for task in service.tasks(filters={"desired-state": "running"})]
    assert len(set(running)) == 2, "one replica a node"
    client.close()

    roots = [Path(lab.status["certificates"]["ca"]).read_text()]
    load = Load(lab, "alice", "cache-asia.lab.test", roots, tag="2.0")
    for address in REPLICAS.values():
        load.read_once(address)
    assert load.failed == []
    assert {attempt.address for attempt in load.attempts} == set(REPLICAS.values())
    lines = log_of(lab, "asia-1")
    wanted = set(load.digests)
    fetched = {node: digests(lines, node, '"blob fetched"') & wanted for node in REPLICAS}
    served = {node: digests(lines, node, '"blob served"') & wanted for node in REPLICAS}
    assert served == dict.fromkeys(REPLICAS, wanted)
    assert not fetched["asia-2"] & fetched["asia-3"], "each layer came from DTR once"
    assert fetched["asia-2"] | fetched["asia-3"] == wanted


@contextlib.contextmanager
def refusing(lab: Lab, node: str) -> Iterator[None]:
    """Nothing takes connections at the address of a replica."""
    with redirected(lab, node, "1"):
        yield


@contextlib.contextmanager
def storing_nothing(lab: Lab, node: str) -> Iterator[None]:
    """The storage of a replica is empty and full."""
    lab.inside(node, "sh", "-c", f"rm -rf {SHARED}/*; dd if=/dev/zero of={SHARED}/full bs=64k 2>/dev/null || true")
    try:
        yield
    finally:
        lab.inside(node, "rm", f"{SHARED}/full")


@contextlib.contextmanager
def with_another_certificate(lab: Lab, node: str) -> Iterator[None]:
    """The replica answers with the certificate of another region."""
    pem = "".join(lab.certificate("cache-europe.lab.test", kind) for kind in ("cert", "key"))
    lab.inside(node, "sh", "-c", f"cat > {SHARED}/other.pem", stdin=pem)
    command = ("openssl", "s_server", "-quiet", "-www", "-accept", "4443", "-cert", f"{SHARED}/other.pem")
    server = subprocess.Popen(enter_command(node_named(node), command), stdout=subprocess.DEVNULL)
    try:
        with redirected(lab, node, "4443"):
            yield
    finally:
        server.kill()
        server.wait()


@contextlib.contextmanager
def redirected(lab: Lab, node: str, port: str) -> Iterator[None]:
    rule = ("PREROUTING", "-p", "tcp", "--dport", "443", "-j", "REDIRECT", "--to-ports", port)
    lab.inside(node, "iptables", "-w", "-t", "nat", "-I", *rule)
    try:
        yield
    finally:
        lab.inside(node, "iptables", "-w", "-t", "nat", "-D", *rule)


@pytest.fixture(scope="module")
def two_replicas(lab: Lab, play: Play) -> Iterator[dict[str, t.Any]]:
    """Each has a storage and an address of its own."""
    lab.clean()
    Path(SHARED).mkdir(parents=True)
    lab.inside("asia-3", "mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", SHARED)
    two: dict[str, t.Any] = {"dtr_cache_nodes": list(REPLICAS), "dtr_cache_volume": SHARED}
    run = play("dtr.cache.deploy", "--limit", "region-asia", **two)
    assert run.code == 0, run.output
    yield two
    lab.clean()
    lab.inside("asia-3", "umount", SHARED)
    shutil.rmtree(SHARED)


FAULTS = {
    refusing: "port 443 refuses connections",
    with_another_certificate: "chain: ",
    storing_nothing: "503 Service Unavailable",
}


@pytest.mark.parametrize("playbook", ["verify", "status", "deploy"])
@pytest.mark.parametrize("fault", FAULTS)
def test_one_replica_of_two(
    two_replicas: dict[str, t.Any], lab: Lab, play: Play, fault: t.Callable[..., t.Any], playbook: str
) -> None:
    """The other one is well all the while, and what is wrong is told with the address."""
    with fault(lab, "asia-3"):
        run = play(f"dtr.cache.{playbook}", "--limit", "region-asia", **two_replicas)
    assert run.code == 2, run.output
    report = run.output.partition("\nregion ")[2]
    assert FAULTS[fault] in report
    assert REPLICAS["asia-3"] in report
    assert REPLICAS["asia-2"] not in report


def test_a_cache_whose_upstream_is_another_cache(lab: Lab, play: Play) -> None:
    lab.clean()
    asia = play("dtr.cache.deploy", "--limit", "region-asia", dtr_cache_verify_image="")
    assert asia.code == 0, asia.output
    europe = play(
        "dtr.cache.deploy",
        "--limit",
        "region-europe",
        dtr_cache_upstreams=["https://cache-asia.lab.test:443"],
        dtr_cache_upstream_cas=[Path(lab.status["certificates"]["ca"]).read_text()],
    )
    assert europe.code == 0, europe.output
    image = "dtr.lab.test/engineering/app:2.0"
    # What another test has left there is not pulled again.
    lab.inside("client", "docker", "image", "prune", "--all", "--force")
    lab.inside("client", "docker", "login", "-u", "bob", "--password-stdin", "dtr.lab.test", stdin=lab.passwords["bob"])
    lab.inside("client", "docker", "pull", "--quiet", image)
    config = lab.inside("client", "docker", "image", "inspect", "--format", "{{.Id}}", image)
    lab.inside("client", "docker", "image", "rm", image)
    near, far = log_of(lab, "europe-1"), log_of(lab, "asia-1")
    assert config in digests(near, "europe-1", '"blob served"')
    assert config in digests(far, "asia-2", '"blob served"')
    fetched = [line for line in near if "blob fetched" in line]
    assert fetched
    assert all("upstream=" in line and "cache-asia.lab.test" in line for line in fetched), (
        "nothing came from DTR itself"
    )
    assert digests(near, "europe-1", '"blob fetched"') <= digests(far, "asia-2", '"blob served"')
    lab.clean()
