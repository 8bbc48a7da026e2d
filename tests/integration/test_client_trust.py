# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(client_trust) on the client node: real pulls before and after, by each kind of client."""

from __future__ import annotations

import os
import pty
import shlex
import subprocess
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from .authority import Authority
from .conftest import LAB, Lab, Play, Run
from .nodes import add_hosts

IMAGE = "dtr.lab.test/engineering/app:1.0"
DOCKER = "/etc/docker/certs.d/dtr.lab.test"
CONTAINERD = "/etc/containerd/certs.d/dtr.lab.test"
ROLE = [{"hosts": "docker_clients", "gather_facts": False, "roles": ["dtr.cache.client_trust"]}]
CONTAINERS = "/etc/containers/certs.d/dtr.lab.test"
CTR = "ctr --address /run/docker/containerd/containerd.sock images"
# Pulled through the cache of region-europe.
ACCOUNT = "bob"
UNKNOWN_AUTHORITY = "x509: certificate signed by unknown authority"


@pytest.fixture(scope="module")
def cache(lab: Lab, play: Play) -> Iterator[Lab]:
    """A lab with a cache, and a client that trusts nobody yet."""
    lab.clean()
    run = play("dtr.cache.deploy", "--limit", "region-europe")
    assert run.code == 0, run.output
    # The machine's /etc/containerd is the nodes' as well.
    lab.inside("client", "sh", "-c", f"mv {DOCKER} /root/trusted && mount -t tmpfs tmpfs /etc/containerd")
    lab.inside(
        *("client", "sh", "-c"),
        "cp -a /etc/containers /run/containers-before && mount -t tmpfs tmpfs /etc/containers "
        "&& cp -a /run/containers-before/. /etc/containers/",
    )
    yield lab
    lab.inside("client", "sh", "-c", "umount /etc/containers; rm -rf /run/containers-before")
    lab.inside("client", "sh", "-c", f"umount /etc/containerd; rm -rf {DOCKER}*; mv /root/trusted {DOCKER}")
    lab.inside("client", "sh", "-c", f"docker image rm {IMAGE}; {CTR} rm --sync {IMAGE}")
    lab.clean()


@pytest.fixture
def client(cache: Lab) -> Lab:
    cache.inside("client", "sh", "-c", f"rm -rf {DOCKER}* {CONTAINERD} {CONTAINERS}")
    return cache


@pytest.fixture
def trust(client: Lab, play: Play, tmp_path: Path) -> t.Callable[..., Run]:
    """Runs the role on the client node."""
    hosts = add_hosts(
        client,
        tmp_path,
        "docker_clients",
        ["client"],
        dtr_cache_registry_url="https://dtr.lab.test",
        dtr_cache_registry_ca_fingerprint=client.status["registry"]["ca_fingerprint"],
        dtr_cache_ca_certificate=client.status["certificates"]["ca"],
    )
    return lambda *options, **variables: play(ROLE, *hosts, "--diff", *options, **variables)


def files(lab: Lab) -> dict[str, str]:
    """What is in the folders of all runtimes: paths with owner and mode."""
    command = (
        "find /etc/docker/certs.d /etc/containerd/certs.d /etc/containers/certs.d -mindepth 1 "
        "-printf '%p %u:%g:%m\\n' 2>/dev/null || true"
    )
    return dict(line.rsplit(" ", 1) for line in lab.inside("client", "sh", "-c", command).splitlines())


def pull(lab: Lab) -> str:
    """Log in and pull on the client node, with the layers from the cache. Gives all output, also of a failure."""
    script = f"""
        docker image rm {IMAGE} >/dev/null 2>&1
        export DOCKER_CONFIG=$(mktemp -d)
        docker login --username {ACCOUNT} --password-stdin dtr.lab.test 2>&1 && docker pull {IMAGE} 2>&1
        rm -r $DOCKER_CONFIG"""
    return lab.inside("client", "sh", "-c", script, stdin=lab.passwords[ACCOUNT])


def pull_by_containerd(lab: Lab) -> str:
    """The same by containerd's own client, which asks for the password on a terminal."""
    lab.inside("client", "sh", "-c", f"{CTR} rm --sync {IMAGE} 2>/dev/null; {CTR} ls -q")
    command = f"{CTR} pull --hosts-dir /etc/containerd/certs.d --user {ACCOUNT} --snapshotter native {IMAGE}"
    terminal, slave = pty.openpty()
    process = subprocess.Popen([LAB, "run", "client", *shlex.split(command)], stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    output = b""
    while chunk := _read(terminal):
        output += chunk
        if output.endswith(b"Password: "):
            os.write(terminal, lab.passwords[ACCOUNT].encode() + b"\n")
    os.close(terminal)
    process.wait()
    return output.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # the other side was closed
        return b""


def pull_by_podman(lab: Lab) -> str:
    """The same by podman, and by skopeo, each with nothing kept of an earlier pull."""
    script = f"""
        folder=$(mktemp -d)
        podman="podman --root $folder/root --runroot $folder/run --tmpdir $folder/tmp --storage-driver vfs"
        $podman login --authfile $folder/auth --username {ACCOUNT} --password-stdin dtr.lab.test 2>&1
        $podman pull --retry 0 --authfile $folder/auth {IMAGE} 2>&1 &&
            echo "podman has $($podman images --noheading 2>/dev/null)"
        skopeo copy --authfile $folder/auth docker://{IMAGE} dir:$folder/copy 2>&1 &&
            echo "skopeo has $(ls $folder/copy)"
        rm -rf $folder"""
    return lab.inside("client", "sh", "-c", script, stdin=lab.passwords[ACCOUNT])


def test_a_pull_fails_before_and_works_after(client: Lab, trust: t.Callable[..., Run]) -> None:
    assert UNKNOWN_AUTHORITY in pull(client)

    announced = trust("--check")
    assert announced.code == 0, announced.output
    assert files(client) == {}

    # The DTR alone is not enough: the cache that it redirects to has to be trusted in the same folder.
    assert trust(dtr_cache_ca_certificate="").code == 0
    output = pull(client)
    assert "Login Succeeded" in output
    assert UNKNOWN_AUTHORITY in output

    run = trust()
    assert run.code == 0, run.output
    assert announced.changed_tasks() >= run.changed_tasks()
    assert "-----BEGIN CERTIFICATE-----" in run.output, "the difference is shown"
    assert f"Downloaded newer image for {IMAGE}" in pull(client)

    before = files(client)
    for again in (trust(), trust("--check")):
        assert (again.code, again.total("changed")) == (0, 0), again.output
    assert files(client) == before
    (cache_ca,) = (path for path in before if "/dtr-cache.cache-ca." in path)
    assert before == {
        DOCKER: "root:root:755",
        f"{DOCKER}/dtr-cache.registry-ca.crt": "root:root:644",
        cache_ca: "root:root:644",
    }
    assert client.inside("client", "cat", cache_ca) == Path(client.status["certificates"]["ca"]).read_text().strip()


def test_containerd_trusts_them_as_well_when_asked(client: Lab, trust: t.Callable[..., Run]) -> None:
    assert UNKNOWN_AUTHORITY in pull_by_containerd(client)
    announced = trust("--check", dtr_cache_client_runtimes=["docker", "containerd"])
    run = trust(dtr_cache_client_runtimes=["docker", "containerd"])
    assert (announced.code, run.code) == (0, 0), run.output
    assert announced.changed_tasks() == run.changed_tasks()
    output = pull_by_containerd(client)
    assert "done: " in output, output
    assert trust(dtr_cache_client_runtimes="docker,containerd").total("changed") == 0
    present = files(client)
    assert present[f"{CONTAINERD}/hosts.toml"] == "root:root:644"
    assert len(present) == 7

    # A runtime that is no longer named is no longer served.
    assert trust(dtr_cache_client_runtimes="containerd").code == 0
    assert [path for path in files(client) if path.startswith(f"{DOCKER}/")] == []
    assert "done: " in pull_by_containerd(client)


def test_podman_and_its_relatives_trust_them_as_well_when_asked(
    client: Lab, trust: t.Callable[..., Run], play: Play
) -> None:
    refused = pull_by_podman(client)
    assert UNKNOWN_AUTHORITY in refused
    # The DTR alone is not enough.
    assert trust(dtr_cache_client_runtimes="podman", dtr_cache_ca_certificate="").code == 0
    refused = pull_by_podman(client)
    assert "Login Succeeded!" in refused
    assert refused.count(UNKNOWN_AUTHORITY) >= 2, refused
    assert "has " not in refused

    announced = trust("--check", dtr_cache_client_runtimes="podman,cri-o")
    run = trust(dtr_cache_client_runtimes="podman,cri-o")
    assert (announced.code, run.code) == (0, 0), run.output
    assert announced.changed_tasks() == run.changed_tasks()
    pulled = pull_by_podman(client)
    assert "podman has dtr.lab.test/engineering/app" in pulled, pulled
    assert "skopeo has " in pulled, pulled
    present = files(client)
    assert trust(dtr_cache_client_runtimes=["cri-o"]).total("changed") == 0, "they have one folder for both"
    assert files(client) == present
    assert {path for path in present if "certs.d/" in path and not path.startswith(CONTAINERS)} == set()

    # What clients met stands in the log of the cache, and what to do with each of them in the diagnosis.
    diagnosed = play("dtr.cache.diagnose", "--limit", "region-europe")
    assert diagnosed.code == 0, diagnosed.output
    told = " ".join(diagnosed.output.split())
    assert "Some clients have trouble: clients do not accept its certificate." in told
    for place in ("/etc/docker/certs.d/DTR/", "/etc/containerd/certs.d/DTR/hosts.toml", "/etc/containers/certs.d/DTR/"):
        assert place in told


def test_hosts_toml_of_somebody_else_is_left_alone(client: Lab, trust: t.Callable[..., Run]) -> None:
    theirs = 'server = "https://dtr.lab.test"\n[host."https://mirror.example.org"]'
    client.inside("client", "sh", "-c", f"mkdir -p {CONTAINERD} && cat > {CONTAINERD}/hosts.toml", stdin=theirs)
    run = trust(dtr_cache_client_runtimes="containerd")
    assert run.code != 0
    assert run.total("changed") == 0
    assert f"{CONTAINERD}/hosts.toml was not written by this role" in run.output
    assert trust(dtr_cache_client_trust_state="absent").code == 0
    assert client.inside("client", "cat", f"{CONTAINERD}/hosts.toml") == theirs


def test_an_authority_that_is_replaced_goes_and_nothing_else(client: Lab, trust: t.Callable[..., Run]) -> None:
    own = f"mkdir -p {DOCKER} && touch {DOCKER}/company.crt {DOCKER}/client.cert && chmod 700 {DOCKER}"
    client.inside("client", "sh", "-c", own)
    others = files(client)
    next_one, other_region = Authority().root, Authority().root

    # Before a rotation both are trusted, and so is the cache of another region.
    assert trust(dtr_cache_client_cas=[next_one, other_region]).code == 0
    during = files(client)
    assert len(during) == len(others) + 4
    assert trust(dtr_cache_client_cas=[other_region, next_one]).total("changed") == 0

    after = trust(dtr_cache_ca_certificate=next_one)
    assert after.code == 0, after.output
    left = {path: during[path] for path in during if path in files(client)}
    assert files(client) == left
    assert len(left) == len(others) + 2
    assert others.items() <= left.items()

    announced = trust("--check", dtr_cache_client_trust_state="absent")
    assert announced.total("changed") == 1
    assert files(client) == left
    # The DTR need not be there any more.
    gone = {"dtr_cache_client_trust_state": "absent", "dtr_cache_registry_url": "https://dtr.lab.test:9"}
    assert trust(**{**gone, "dtr_cache_client_registries": "dtr.lab.test"}).code == 0
    assert files(client) == others
    assert trust(dtr_cache_client_trust_state="absent").total("changed") == 0


def test_the_folder_is_named_as_images_are(client: Lab, trust: t.Callable[..., Run]) -> None:
    run = trust(
        dtr_cache_registry_url="https://dtr.lab.test:443",
        dtr_cache_registry_ca="system",
        dtr_cache_registry_ca_fingerprint="",
    )
    assert run.code == 0, run.output
    folders = {path for path, mode in files(client).items() if mode.endswith(":755")}
    assert folders == {DOCKER, f"{DOCKER}:443"}
    assert all("dtr-cache.cache-ca." in path for path in set(files(client)) - folders), "a trusted DTR needs no CA"


def test_wrong_settings_are_told_at_once(client: Lab, trust: t.Callable[..., Run]) -> None:
    run = trust(dtr_cache_registry_url="", dtr_cache_client_runtimes="rkt", dtr_cache_ca_certificate="missing.pem")
    assert run.code != 0
    for sentence in (
        "dtr_cache_registry_url: is required",
        "dtr_cache_client_runtimes: 'rkt' is none of docker, containerd, podman, cri-o",
        "dtr_cache_ca_certificate: missing.pem cannot be read",
        "have 3 problems",
    ):
        assert sentence in run.output
    assert files(client) == {}


def test_a_removal_takes_the_cache_from_the_hosts_that_are_named(
    client: Lab, trust: t.Callable[..., Run], play: Play, tmp_path: Path
) -> None:
    """The last one: afterwards there is no cache."""
    assert trust(dtr_cache_client_runtimes=["docker", "containerd"]).code == 0
    # The machine's /usr/local/sbin is the nodes' as well.
    node, sbin = "europe-1", "mkdir -p /run/lab/sbin && mount --bind /run/lab/sbin /usr/local/sbin"
    client.inside(node, "sh", "-c", sbin)
    hosts = ["-i", str(tmp_path / "docker_clients.yml"), *add_hosts(client, tmp_path, "cache_nodes", [node])]
    limit = [{"hosts": "cache_nodes", "gather_facts": False, "roles": ["dtr.cache.firewall"]}]
    assert play(limit, *hosts, dtr_cache_allowed_networks=["198.18.57.0/24"]).code == 0
    # In the lab all caches have one CA; with it, it would stay.
    other = {region: {"dtr_cache_ca_certificate": Authority().root} for region in ("region-asia", "region-brazil")}
    (tmp_path / "other.yml").write_text(yaml.safe_dump({"dtr_caches": {"hosts": other}}))
    removal: dict[str, t.Any] = {
        "dtr_cache_confirm_removal": "region-europe",
        "dtr_cache_firewall_hosts": "cache_nodes",
        "dtr_cache_client_hosts": "docker_clients",
    }
    before = files(client)
    limited = "iptables -S DTR-CACHE-443 || true; ls /usr/local/sbin"

    def remove(*options: str) -> Run:
        return play("dtr.cache.remove", "--limit", "region-europe", *hosts, "--diff", *options, **removal)

    kept = remove("--check")
    assert "The CA of region-europe stays on the hosts of dtr_cache_client_hosts" in " ".join(kept.output.split())
    hosts += ["-i", str(tmp_path / "other.yml")]
    announced = remove("--check")
    assert (announced.code, files(client)) == (0, before), announced.output
    assert "DTR-CACHE-443" in client.inside(node, "sh", "-c", limited)
    done = remove()
    assert done.code == 0, done.output
    own = {"Forget the CA of the cache", "Name the CA to containerd no more", "Bring the rules into place"}
    for run in (announced, done):
        assert own <= {task.rpartition(" : ")[2] for task in run.changed_tasks()}, run.output
    assert not client.inside(node, "sh", "-c", limited)
    gone = {path for path in before if "dtr-cache.cache-ca." in path}
    assert files(client) == {path: mode for path, mode in before.items() if path not in gone}
    assert "cache-ca" not in client.inside("client", "cat", f"{CONTAINERD}/hosts.toml")
    for options in ((), ("--check",)):
        again = remove(*options)
        assert (again.code, again.total("changed")) == (0, 0), again.output
    client.inside(node, "umount", "/usr/local/sbin")
