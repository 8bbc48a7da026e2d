# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab that is up is what C(lab status) says, and as real as the collection's tests need it.

Everything here goes through the command and what it prints, as a user's scripts would.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
import subprocess
import time
import typing as t
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from cryptography import x509

LAB = str(Path(__file__).parent / "lab")
INVENTORY = Path(__file__).parents[2] / "inventory" / "lab"


def lab(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([LAB, *arguments], input=stdin, capture_output=True, text=True, check=False)


def inside(node: str, *command: str, stdin: str | None = None) -> str:
    """What a command inside a node prints; it has to succeed."""
    result = lab("run", node, *command, stdin=stdin)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.fixture(scope="module")
def status() -> dict[str, t.Any]:
    result = lab("status")
    assert result.returncode == 0, f"the lab has to be up: {result.stderr}"
    return t.cast("dict[str, t.Any]", json.loads(result.stdout))


def node(status: dict[str, t.Any], name: str) -> dict[str, t.Any]:
    return next(node for node in status["nodes"] if node["name"] == name)


def ssh(status: dict[str, t.Any], name: str, *command: str, options: tuple[str, ...] = ()) -> t.Any:
    at = node(status, name)["ssh"]
    return subprocess.run(
        [
            *("ssh", "-F", "none", "-i", at["key"], "-p", str(at["port"])),
            *("-o", f"UserKnownHostsFile={status['known_hosts']}", "-o", "StrictHostKeyChecking=yes"),
            *("-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", *options),
            *(f"{at['user']}@{at['host']}", *command),
        ],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def manager(status: dict[str, t.Any]) -> Iterator[docker.DockerClient]:
    client = docker.DockerClient(base_url=status["managers"][0]["docker_host"])
    yield client
    client.close()


@pytest.fixture
def login(status: dict[str, t.Any]) -> Iterator[t.Callable[[str], list[str]]]:
    """Logs an account in on the client node; gives the docker command that acts as this account."""
    passwords = json.loads(Path(status["registry"]["passwords_path"]).read_text())
    folders: list[str] = []

    def as_account(account: str) -> list[str]:
        folder = inside("client", "mktemp", "-d")
        folders.append(folder)
        command = ["docker", "--config", folder]
        inside("client", *command, "login", "-u", account, "--password-stdin", "dtr.lab.test", stdin=passwords[account])
        return command

    yield as_account
    for folder in folders:
        inside("client", "rm", "-r", folder)


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    head = f"{LAB} status | head -n 1; {LAB} logs asia-1 | head -n 1"
    shown = subprocess.run(["sh", "-c", head], capture_output=True, text=True, check=True)
    assert (shown.stderr, shown.stdout.splitlines()[0]) == ("", "{")


def test_status_describes_what_the_contract_names(status: dict[str, t.Any]) -> None:
    assert status["registry"]["url"] == "https://dtr.lab.test"
    assert set(status["registry"]["admin"]) == {"username", "password"}
    assert [manager["name"] for manager in status["managers"]] == ["asia-1", "europe-1"]
    assert all({"host", "port", "user", "key"} == set(manager["ssh"]) for manager in status["managers"])
    assert status["cache_image"] == "docker/dtr-content-cache:2.7.4"
    for path in (
        status["registry"]["ca_path"],
        status["registry"]["passwords_path"],
        status["registry"]["control"]["secret_path"],
        status["certificates"]["ca"],
        status["client_bundle"],
        status["known_hosts"],
    ):
        assert Path(path).exists(), path


def test_the_registry_has_ten_thousand_accounts(status: dict[str, t.Any]) -> None:
    registry = status["registry"]
    credentials = base64.b64encode(":".join(registry["admin"].values()).encode()).decode()
    request = urllib.request.Request(
        f"{registry['url']}/enzi/v0/accounts?limit=1", headers={"Authorization": f"Basic {credentials}"}
    )
    context = ssl.create_default_context(cafile=registry["ca_path"])
    with urllib.request.urlopen(request, context=context, timeout=30) as answer:
        assert json.load(answer)["usersCount"] >= 10_000


def test_secrets_are_for_root_only(status: dict[str, t.Any]) -> None:
    state = Path(status["state"])
    assert state.stat().st_mode & 0o777 == 0o700
    secret = [status["registry"]["passwords_path"], status["registry"]["control"]["secret_path"]]
    secret += [manager["ssh"]["key"] for manager in status["managers"]]
    secret += [host["private_key"] for host in status["certificates"]["hosts"].values()]
    secret += [f"{status['client_bundle']}/key.pem", status["client_bundles"]["asia-1"]["archive"]]
    assert {path: Path(path).stat().st_mode & 0o077 for path in secret} == dict.fromkeys(secret, 0)


def test_asia_is_a_swarm_of_three_with_one_manager(manager: docker.DockerClient) -> None:
    nodes = {node.attrs["Description"]["Hostname"]: node.attrs for node in manager.nodes.list()}
    assert set(nodes) == {"asia-1", "asia-2", "asia-3"}
    assert all(attributes["Status"]["State"] == "ready" for attributes in nodes.values())
    leaders = [name for name, attributes in nodes.items() if attributes.get("ManagerStatus", {}).get("Leader")]
    assert leaders == ["asia-1"]


def test_europe_is_a_swarm_of_its_own() -> None:
    assert (
        inside("europe-1", "docker", "node", "ls", "--format", "{{.Hostname}} {{.ManagerStatus}}") == "europe-1 Leader"
    )


def test_the_client_is_in_no_swarm() -> None:
    assert inside("client", "docker", "info", "--format", "{{.Swarm.LocalNodeState}}") == "inactive"


@pytest.mark.parametrize("name", ["asia-1", "asia-2", "asia-3", "europe-1", "client"])
def test_a_node_lets_the_labs_key_in_by_ssh_and_has_its_own_engine(status: dict[str, t.Any], name: str) -> None:
    result = ssh(status, name, "hostname; docker info --format '{{.Name}}'")
    assert (result.stdout.split(), result.returncode) == ([name, name], 0), result.stderr


def test_a_node_lets_nobody_in_without_the_key(status: dict[str, t.Any]) -> None:
    result = ssh(status, "asia-1", "true", options=("-o", "PubkeyAuthentication=no"))
    assert result.returncode == 255
    assert "Permission denied (publickey)" in result.stderr


def test_a_node_sees_neither_the_state_nor_the_disks_of_the_machine(status: dict[str, t.Any]) -> None:
    assert inside("asia-1", "find", status["state"], "-mindepth", "1") == ""
    inside("asia-1", "touch", "/tmp/only-here", "/root/only-here")
    try:
        assert not Path("/tmp/only-here").exists()
        assert not Path("/root/only-here").exists()
    finally:
        inside("asia-1", "rm", "/tmp/only-here", "/root/only-here")


def test_a_service_starts_where_its_constraint_says(status: dict[str, t.Any], manager: docker.DockerClient) -> None:
    started = time.monotonic()
    service = manager.services.create(
        status["cache_image"],
        command=["/bin/busybox", "sleep", "600"],
        constraints=["node.hostname == asia-3"],
        name="lab-test",
    )
    tasks: list[dict[str, t.Any]] = []
    try:
        while [task["Status"]["State"] for task in tasks] != ["running"]:
            assert time.monotonic() - started < 60, tasks
            time.sleep(0.1)
            tasks = service.tasks()
        (task,) = tasks
        assert task["NodeID"] == manager.nodes.get("asia-3").id
        container = task["Status"]["ContainerStatus"]["ContainerID"]
        looked_up = inside("asia-3", "docker", "exec", container, "/bin/busybox", "nslookup", "dtr.lab.test")
        assert "198.18.57.10" in looked_up
    finally:
        service.remove()


def test_names_that_the_lab_does_not_have_are_unknown_instead_of_without_an_answer() -> None:
    result = lab("run", "client", "docker", "pull", "alpine")
    assert result.returncode != 0
    assert "no such host" in result.stderr


def test_the_client_pulls_and_runs_an_image(login: t.Callable[[str], list[str]]) -> None:
    image = "dtr.lab.test/engineering/app:1.0"
    inside("client", *login("alice"), "pull", "--quiet", image)
    try:
        assert inside("client", "docker", "run", "--rm", image) == "engineering 1.0"
    finally:
        inside("client", "docker", "rmi", image)


def test_the_index_has_both_platforms(login: t.Callable[[str], list[str]]) -> None:
    image = "dtr.lab.test/engineering/multi:1.0"
    alice = login("alice")
    for architecture in ("amd64", "arm64"):
        inside("client", *alice, "pull", "--quiet", "--platform", f"linux/{architecture}", image)
        try:
            found = inside("client", "docker", "image", "inspect", "--format", "{{.Architecture}}", image)
        finally:
            inside("client", "docker", "rmi", image)
        assert found == architecture


def test_a_user_without_a_right_cannot_pull(login: t.Callable[[str], list[str]]) -> None:
    result = lab("run", "client", *login("erin"), "pull", "dtr.lab.test/engineering/app:1.0")
    assert result.returncode != 0
    assert "denied" in result.stderr


def test_the_bundle_opens_the_managers_socket_and_is_needed_for_it(status: dict[str, t.Any]) -> None:
    bundle = Path(status["client_bundle"])
    environment = subprocess.run(
        ["bash", "-c", "source ./env.sh; docker node ls --format '{{.Hostname}}'"],
        cwd=bundle,
        capture_output=True,
        text=True,
        check=False,
    )
    assert environment.stdout.split() == ["asia-1", "asia-2", "asia-3"], environment.stderr
    with zipfile.ZipFile(status["client_bundles"]["asia-1"]["archive"]) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            file.name: file.read_bytes() for file in bundle.iterdir()
        }
    stranger = ssl.create_default_context(cafile=str(bundle / "ca.pem"))
    with (
        socket.create_connection(("198.18.57.21", 2376), timeout=5) as plain,
        pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"),
        stranger.wrap_socket(plain, server_hostname="198.18.57.21") as connection,
    ):
        connection.send(b"GET /_ping HTTP/1.0\r\n\r\n")
        connection.recv(1)


def test_a_caches_certificate_comes_with_its_chain_in_order_and_from_another_authority_than_dtrs(
    status: dict[str, t.Any],
) -> None:
    root = x509.load_pem_x509_certificate(Path(status["certificates"]["ca"]).read_bytes())
    dtr = x509.load_pem_x509_certificate(Path(status["registry"]["ca_path"]).read_bytes())
    assert root.subject != dtr.subject
    for host, files in status["certificates"]["hosts"].items():
        leaf, intermediate = x509.load_pem_x509_certificates(Path(files["certificate"]).read_bytes())
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == [host]
        leaf.verify_directly_issued_by(intermediate)
        intermediate.verify_directly_issued_by(root)


def test_the_machine_knows_the_labs_names(status: dict[str, t.Any]) -> None:
    text = Path("/etc/hosts").read_text()
    assert (text.count("# dtr.cache lab: begin"), text.count("# dtr.cache lab: end")) == (1, 1)
    for other in status["nodes"]:
        assert socket.gethostbyname(other["host_name"]) == other["address"]
    assert socket.gethostbyname("dtr.lab.test") == status["registry"]["address"]
    assert socket.gethostbyname("cache-europe.lab.test") == "198.18.57.31"
    assert sorted(socket.gethostbyname_ex("cache-asia.lab.test")[2]) == ["198.18.57.22", "198.18.57.23"]


def snapshot(status: dict[str, t.Any]) -> dict[str, object]:
    """What a needless change of the lab would show in: files, their times, processes, and the Swarm's own counter."""
    state = Path(status["state"])
    kept = [*state.glob("certs/*"), *state.glob("ssh/*"), *state.glob("bundles/**/*"), *state.glob("image/*.tar")]
    kept += [*state.glob("nodes/*/*.json"), *INVENTORY.rglob("*.yml"), Path("/etc/hosts")]
    times: dict[str, object] = {str(path): path.stat().st_mtime_ns for path in kept if path.is_file()}
    for name in ("dtr", "asia-1", "asia-2", "asia-3", "europe-1", "client"):
        namespace = f"dtrlab-{name}"
        found = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=True)
        daemons = [
            pid for pid in found.stdout.split() if os.readlink(f"/proc/{pid}/exe").endswith(("python", "dockerd"))
        ]
        times[namespace] = daemons
    with_client = docker.DockerClient(base_url=status["managers"][0]["docker_host"])
    times["swarm"] = with_client.swarm.attrs["Version"]["Index"]
    with_client.close()
    return times


def test_a_second_up_changes_nothing(status: dict[str, t.Any]) -> None:
    # The first one may have to write the inventory into this checkout.
    assert lab("up").returncode == 0
    before = snapshot(status)
    result = lab("up")
    assert result.returncode == 0, result.stderr
    assert "nothing had to be done" in result.stderr
    assert snapshot(status) == before


def test_a_part_that_has_ended_is_told_and_repaired() -> None:
    assert inside("client", "sh", "-c", "kill $(cat /run/docker.pid)") == ""
    deadline = time.monotonic() + 20
    while (ill := lab("status")).returncode == 0:
        assert time.monotonic() < deadline, "status should find that an Engine has ended"
        time.sleep(0.2)
    assert ill.stderr.startswith("lab: client")
    repaired = lab("up")
    assert repaired.returncode == 0, repaired.stderr
    assert "client started" in repaired.stderr
    assert "asia-1 started" not in repaired.stderr
    assert lab("status").returncode == 0


def test_the_inventory_is_one_that_ansible_reads(status: dict[str, t.Any]) -> None:
    listed = subprocess.run(
        ["ansible-inventory", "-i", str(INVENTORY), "--list"], capture_output=True, text=True, check=True
    )
    variables = json.loads(listed.stdout)["_meta"]["hostvars"]
    assert {name: host["dtr_cache_nodes"] for name, host in variables.items()} == {
        "region-asia": ["asia-2"],
        "region-europe": ["europe-1"],
    }
    assert status["registry"]["admin"]["password"] not in listed.stdout
    pinged = subprocess.run(
        ["ansible", "-i", str(INVENTORY), "dtr_caches", "-m", "ansible.builtin.ping"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert pinged.returncode == 0, pinged.stdout
