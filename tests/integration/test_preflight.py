# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong is told at once and before anything is touched, with the real Swarm's and the real files' problems."""

from __future__ import annotations

import contextlib
import datetime
import socket
import threading
import typing as t
from pathlib import Path

import pytest

from .authority import Authority
from .conftest import Lab, Play

DEPLOY = "dtr.cache.deploy"
HOST = "cache-asia.lab.test"


@pytest.fixture(scope="module")
def empty(lab: Lab) -> dict[str, t.Any]:
    lab.clean()
    return lab.snapshot()


@pytest.fixture
def refused(empty: dict[str, t.Any], lab: Lab, play: Play) -> t.Callable[..., str]:
    """Deploys region-asia with bad settings: it must fail in the preflight and change nothing. Gives the output."""

    def run(**variables: t.Any) -> str:
        result = play(DEPLOY, "--limit", "region-asia", **variables)
        assert result.code != 0
        assert result.total("changed") == 0
        assert "nothing has been changed" in result.output
        assert lab.snapshot() == empty
        return result.output

    return run


def test_problems_of_variables_files_dtr_and_swarm_are_told_together(
    refused: t.Callable[..., str], tmp_path: Path
) -> None:
    missing = tmp_path / "missing.pem"
    output = refused(
        dtr_cache_name="local",
        dtr_cache_port=0,
        dtr_cache_blob_ttl="24",
        dtr_cache_nodes=["asia-2", "asia-9"],
        dtr_cache_private_key=str(missing),
        dtr_cache_replicsa=2,
        dtr_cache_resources={"reservations": {"cpus": "640"}},
        dtr_cache_assignments={"accounts": ["alice", "nobody-here"], "teams": ["engineering/none"]},
        dtr_cache_verify_image="engineering/app:none",
    )
    assert str(missing) not in output, "it might be the key itself"
    for sentence in (
        "dtr_cache_replicsa: is no variable of dtr.cache; did you mean dtr_cache_replicas?",
        "dtr_cache_name: 'local' is what DTR calls pulling without a cache",
        "dtr_cache_port: '0' is not a whole number from 1 to 65535",
        "dtr_cache_private_key: is neither PEM text nor a file of the control node that can be read",
        "dtr_cache_blob_ttl: 24 has no unit",
        "dtr_cache_assignments: there is no account nobody-here; there is no team engineering/none",
        "dtr_cache_verify_image: DTR has no image engineering/app:none.",
        "dtr_cache_nodes: the Swarm has no node asia-9; its nodes are asia-1, asia-2, asia-3",
        "dtr_cache_resources: with reservations of 640 CPUs the nodes of dtr_cache_nodes have no room for a replica",
    ):
        assert sentence in output
    assert "have 9 problems" in output


def test_regions_that_get_in_each_others_way_are_refused_with_both_names(
    lab: Lab, play: Play, empty: dict[str, t.Any]
) -> None:
    run = play(DEPLOY, dtr_cache_host=HOST, dtr_cache_assignments={"accounts": ["alice"], "everyone": True})
    assert run.code != 0
    assert {host: counts["failed"] for host, counts in run.recap.items()} == {"region-asia": 1, "region-europe": 1}
    for own, other in (("region-asia", "region-europe"), ("region-europe", "region-asia")):
        assert f"dtr_cache_host: hosts {own} and {other} both have their cache at {HOST}:443" in run.output
        assert f"dtr_cache_assignments: hosts {own} and {other} both claim account alice, everyone" in run.output
    assert lab.snapshot() == empty


def test_one_stack_of_two_regions_in_one_swarm_is_refused_to_both(
    lab: Lab, play: Play, empty: dict[str, t.Any]
) -> None:
    # Two names of one manager, so that only its Swarm shows that they are the same.
    address = next(manager["ssh"]["host"] for manager in lab.status["managers"] if manager["name"] == "asia-1")
    by_name = {"region-asia": "asia-1.lab.test", "region-europe": "198.18.57.21"}
    assert address in ("asia-1.lab.test", "198.18.57.21")
    run = play(
        *(DEPLOY, "--check"),
        ansible_host=f"{{{{ {by_name} [inventory_hostname] }}}}",
        ansible_ssh_common_args="-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null",
        dtr_cache_nodes=["asia-2"],
    )
    assert {counts["failed"] for counts in run.recap.values()} == {1}, run.output
    for own, other in (("region-asia", "region-europe"), ("region-europe", "region-asia")):
        assert f"hosts {own} and {other} both deploy stack dtr-cache to the same Swarm" in run.output
    assert lab.snapshot() == empty


def test_relative_paths_lead_to_where_the_playbook_was_started(
    lab: Lab, play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in ("cert", "key"):
        (tmp_path / f"{kind}.pem").write_text(lab.certificate(HOST, kind))
    monkeypatch.chdir(tmp_path)
    run = play(
        *(DEPLOY, "--limit", "region-asia"),
        dtr_cache_certificate="cert.pem",
        dtr_cache_private_key="key.pem",
        dtr_cache_source_files=["key.pem"],
        dtr_cache_port=0,
    )
    assert "have 1 problem" in run.output
    assert "dtr_cache_port: " in run.output
    assert sorted(path.name for path in tmp_path.glob("*.pem")) == ["cert.pem", "key.pem"], "nothing is removed then"


def test_a_connection_that_would_write_the_key_to_a_disk_is_refused(refused: t.Callable[..., str]) -> None:
    output = refused(ansible_ssh_pipelining=False)
    assert "the private key would be written to the disk of region-asia" in output


def test_nothing_is_installed_and_no_engine_asked_before_the_control_node_has_judged(
    refused: t.Callable[..., str], tmp_path: Path
) -> None:
    output = refused(
        ansible_connection="local",
        ansible_python_interpreter="{{ ansible_playbook_python }}",
        dtr_cache_install_requirements=True,
        dtr_cache_client_bundle=str(tmp_path / "bundle.zip"),
        dtr_cache_blob_ttl="24",
    )
    assert "dtr_cache_client_bundle: " in output
    assert "bundle.zip cannot be read on the control node: No such file or directory" in output
    assert "dtr_cache_blob_ttl: 24 has no unit" in output
    assert "have 2 problems" in output
    assert "dtr_cache_install_requirements" not in output


def test_an_engine_in_the_network_is_never_spoken_to_in_the_clear(refused: t.Callable[..., str], lab: Lab) -> None:
    heard: list[bytes] = []
    with socket.create_server((lab.status["control_address"], 0)) as server:

        def listen() -> None:
            with contextlib.suppress(OSError):
                while True:
                    with server.accept()[0] as connection:
                        heard.append(connection.recv(8))

        threading.Thread(target=listen, daemon=True).start()
        output = refused(
            ansible_connection="local",
            ansible_python_interpreter="{{ ansible_playbook_python }}",
            dtr_cache_docker_host="tcp://{}:{}".format(*server.getsockname()),
        )
    assert "cannot be reached" in output
    assert heard
    # The record type of a TLS handshake.
    assert {first[:1] for first in heard} == {b"\x16"}


def test_a_worker_is_no_manager(refused: t.Callable[..., str]) -> None:
    output = refused(ansible_host="asia-3.lab.test")
    assert "The Docker Engine on asia-3 is a worker" in output
    assert "198.18.57.21" in output, "names a manager to use instead"


def test_a_manager_that_does_not_answer_is_one_problem_among_others(refused: t.Callable[..., str]) -> None:
    output = refused(ansible_port=2, dtr_cache_blob_ttl="24")
    assert "the manager region-asia cannot be reached" in output
    assert "dtr_cache_blob_ttl: 24 has no unit" in output


def test_a_port_that_something_else_holds_is_named_with_its_node(refused: t.Callable[..., str], lab: Lab) -> None:
    # asia-3's own sshd is something that answers and is no cache.
    output = refused(dtr_cache_nodes=["asia-2", "asia-3"], dtr_cache_port=22)
    for node in ("asia-2", "asia-3"):
        assert f"dtr_cache_port: 22 is in use on node {node} by something that is not this cache and no serv" in output


def test_a_drained_node_is_named_with_the_way_back(lab: Lab, play: Play, empty: dict[str, t.Any]) -> None:
    lab.inside("asia-1", "docker", "node", "update", "--availability", "drain", "asia-2")
    try:
        run = play(DEPLOY, "--limit", "region-asia")
    finally:
        lab.inside("asia-1", "docker", "node", "update", "--availability", "active", "asia-2")
    assert run.code != 0
    assert "dtr_cache_nodes: node asia-2 is set to drain" in run.output
    assert "docker node update --availability active asia-2" in run.output
    assert lab.snapshot() == empty


def test_another_service_on_the_port_is_named(lab: Lab, play: Play, empty: dict[str, t.Any]) -> None:
    lab.inside(
        *("asia-1", "docker", "service", "create", "--detach", "--quiet", "--name", "other", "--replicas", "0"),
        *("--publish", "9443:443", "docker/dtr-content-cache:2.7.4"),
    )
    try:
        run = play(DEPLOY, "--limit", "region-asia", dtr_cache_port=9443)
    finally:
        lab.inside("asia-1", "docker", "service", "rm", "other")
    assert run.code != 0
    assert "dtr_cache_port: 9443 is published by service other already" in run.output
    assert run.total("changed") == 0
    assert lab.snapshot() == empty


def test_bad_certificates_and_keys_are_told_apart(refused: t.Callable[..., str], tmp_path: Path) -> None:
    authority = Authority()
    now = datetime.datetime.now(datetime.timezone.utc)
    good = authority.issue(HOST)

    def problem(certificate: str, key: str) -> str:
        return refused(
            dtr_cache_certificate=certificate, dtr_cache_private_key=key, dtr_cache_ca_certificate=authority.root
        )

    assert "the private key belongs to another certificate" in problem(good.chain, authority.issue(HOST).key)
    assert "dtr_cache_private_key: is encrypted" in problem(good.chain, good.encrypted_key("a passphrase"))
    assert "dtr_cache_private_key: is not a private key" in problem(good.chain, good.certificate)
    assert "is out of order" in problem(authority.intermediate + good.certificate, good.key)
    other = authority.issue("cache.example.org")
    assert f"does not cover {HOST}; it names cache.example.org" in problem(other.chain, other.key)
    expired = authority.issue(HOST, end=now - datetime.timedelta(days=1))
    assert f"dtr_cache_certificate: CN={HOST} has expired on" in problem(expired.chain, expired.key)
    future = authority.issue(HOST, begin=now + datetime.timedelta(days=1))
    assert f"dtr_cache_certificate: CN={HOST} is not valid before" in problem(future.chain, future.key)
    output = refused(dtr_cache_certificate=good.chain, dtr_cache_private_key=good.key, dtr_cache_ca_certificate="")
    assert "dtr_cache_ca_certificate: is needed: " in output


def test_another_ca_than_the_pinned_one_stops_the_run_before_a_change(
    lab: Lab, play: Play, empty: dict[str, t.Any]
) -> None:
    run = play(DEPLOY, "--limit", "region-asia", dtr_cache_registry_ca_fingerprint="00" * 32)
    assert run.code != 0
    assert "fingerprint" in run.output
    assert run.total("changed") == 0
    assert lab.snapshot() == empty
