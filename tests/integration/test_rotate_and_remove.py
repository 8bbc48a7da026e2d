# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""New certificates in a running cache, and a cache that is taken away: nothing of it stays, nothing else goes."""

from __future__ import annotations

import socket
import ssl
import typing as t
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from .authority import Authority
from .conftest import Lab, Play
from .nodes import add_hosts

HOST = "cache-europe.lab.test"
ONLY = ("--limit", "region-europe")


@pytest.fixture(scope="module")
def deployed(lab: Lab, play: Play) -> dict[str, t.Any]:
    lab.clean()
    run = play("dtr.cache.deploy", *ONLY)
    assert run.code == 0, run.output
    return lab.snapshot()


def presented(host: str) -> x509.Certificate:
    """The certificate that the cache shows to a client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection((host, 443), 10) as plain, context.wrap_socket(plain, server_hostname=host) as tls:
        data = tls.getpeercert(binary_form=True)
    assert data is not None
    return x509.load_der_x509_certificate(data)


def files(names: t.Iterable[str]) -> dict[str, int]:
    """How many versions there are of each file of the deployment."""
    counts: dict[str, int] = {}
    for name in names:
        file = name.removeprefix("dtr-cache_").rpartition("_")[0]
        counts[file] = counts.get(file, 0) + 1
    return counts


def test_rotation_brings_the_new_certificate_and_keeps_two_old_versions(
    deployed: dict[str, t.Any], lab: Lab, play: Play
) -> None:
    authority = Authority()
    for versions in (2, 3, 3):
        new = authority.issue(HOST)
        variables: dict[str, t.Any] = {
            "dtr_cache_certificate": new.chain,
            "dtr_cache_private_key": new.key,
            "dtr_cache_ca_certificate": authority.root,
        }
        old = presented(HOST)
        run = play("dtr.cache.rotate", *ONLY, "--diff", **variables)
        assert run.code == 0, run.output
        assert f"-fingerprint: {old.fingerprint(hashes.SHA256()).hex()}" in run.output
        assert f"+fingerprint: {presented(HOST).fingerprint(hashes.SHA256()).hex()}" in run.output
        assert new.key.splitlines()[1] not in run.output
        assert presented(HOST) == x509.load_pem_x509_certificate(new.certificate.encode())
        # The one in use and those for a rollback; the CA of the registry has not changed.
        found = files(lab.snapshot()["europe-1"]["secrets"])
        assert found == {"dtr.cert.pem": 1, "cache.cert.pem": versions, "cache.key.pem": versions}
    again = play("dtr.cache.rotate", *ONLY, **variables)
    assert again.code == 0, again.output
    assert again.total("changed") == 0, again.changed_tasks()


def test_a_check_of_a_rotation_tells_what_the_rotation_does(deployed: dict[str, t.Any], lab: Lab, play: Play) -> None:
    # What somebody has taken away belongs to what a rotation puts right.
    lab.inside("europe-1", "docker", "node", "update", "--label-rm", "dtr.cache", "europe-1")
    before = lab.snapshot()
    announced = play("dtr.cache.rotate", *ONLY, "--check", "--diff", dtr_cache_blob_ttl="48h")
    assert announced.code == 0, announced.output
    after = lab.snapshot()
    for part in ("labels", "configs", "secrets"):
        assert after["europe-1"][part] == before["europe-1"][part]
    done = play("dtr.cache.rotate", *ONLY, "--diff", dtr_cache_blob_ttl="48h")
    assert done.code == 0, done.output
    for run in (announced, done):
        assert {"-      blobttl: 24h", "+      blobttl: 48h"} <= set(run.output.splitlines()), run.output
    assert announced.regions()["region-europe"]["changed"] == done.regions()["region-europe"]["changed"]
    assert done.regions()["region-europe"]["changed"].startswith("1 node label, 1 config")
    assert lab.snapshot()["europe-1"]["labels"] == deployed["europe-1"]["labels"]
    assert play("dtr.cache.rotate", *ONLY, "--check", dtr_cache_blob_ttl="48h").total("changed") == 0


def test_a_bad_new_certificate_is_refused_while_the_old_one_serves(
    deployed: dict[str, t.Any], lab: Lab, play: Play
) -> None:
    before, serving = lab.snapshot(), presented(HOST)
    new = Authority().issue(HOST)
    run = play(
        "dtr.cache.rotate", *ONLY, dtr_cache_certificate=new.chain, dtr_cache_private_key=Authority().issue(HOST).key
    )
    assert run.code != 0
    assert "the private key belongs to another certificate" in run.output
    assert lab.snapshot() == before
    assert presented(HOST) == serving


def test_nothing_is_removed_without_the_name(deployed: dict[str, t.Any], lab: Lab, play: Play) -> None:
    before = lab.snapshot()
    for options, confirmation in (((), ""), (("--check",), "region-asia"), ((), "yes")):
        run = play("dtr.cache.remove", *ONLY, *options, dtr_cache_confirm_removal=confirmation)
        assert run.code != 0
        assert "dtr_cache_confirm_removal=region-europe" in run.output
    assert lab.snapshot() == before


def test_a_removal_takes_everything_and_only_that(deployed: dict[str, t.Any], lab: Lab, play: Play) -> None:
    confirmed: dict[str, t.Any] = {"dtr_cache_confirm_removal": "region-europe"}
    client = lab.engine("europe-1")
    client.configs.create(name="somebody-elses", data=b"x")
    lab.inside("europe-1", "docker", "node", "update", "--label-add", "rack=7", "europe-1")
    before = lab.snapshot()
    # A preview needs no confirmation.
    announced = play("dtr.cache.remove", *ONLY, "--check", "--diff")
    assert announced.code == 0, announced.output
    assert {"-  dtr-cache_cache:", "-region-europe: https://cache-europe.lab.test:443"} <= set(
        announced.output.splitlines()
    )
    assert lab.snapshot() == before

    run = play("dtr.cache.remove", *ONLY, **confirmed)
    assert run.code == 0, run.output
    after = lab.snapshot()
    assert after["registry"] == {"content_caches": [], "settings": {}}
    assert after["europe-1"] == {
        "labels": {"europe-1": {"rack": "7"}},
        "configs": ["somebody-elses"],
        "secrets": [],
        "services": {},
    }
    assert not [network for network in client.networks.list() if (network.name or "").startswith("dtr-cache")]
    planned = {"dtr.cache.removal : Plan the removal"}
    assert announced.changed_tasks() - planned == run.changed_tasks() - {
        "dtr.cache.removal : Remove the stack, and wait until its network is gone"
    }
    assert "unregistered, 1 account moved" in run.regions()["region-europe"]["changed"]

    for options in ((), ("--check",)):
        again = play("dtr.cache.remove", *ONLY, *options, **confirmed)
        assert again.code == 0, again.output
        assert again.total("changed") == 0, again.changed_tasks()
    lab.clean()


def test_a_volume_stays_or_goes_with_the_removal(lab: Lab, play: Play, tmp_path: Path) -> None:
    volume, nodes, limit = "dtr-cache_cache-data", ["asia-1", "asia-2"], ("--limit", "region-asia")
    lab.clean()
    run = play("dtr.cache.deploy", *limit, dtr_cache_nodes=nodes, dtr_cache_volume="cache-data")
    assert run.code == 0, run.output
    confirmed: dict[str, t.Any] = {"dtr_cache_confirm_removal": "region-asia", "dtr_cache_nodes": nodes}
    left = play("dtr.cache.remove", *limit, "--check", **confirmed)
    assert f"Volume {volume} stays on asia-1, asia-2 with the layers in it" in left.output

    # Only the Engine of a node removes its volume.
    before, confirmed["dtr_cache_remove_volume"] = lab.snapshot(), "true"
    refused = play("dtr.cache.remove", *limit, **confirmed)
    assert refused.code != 0
    assert "dtr_cache_remove_volume: the inventory has no host asia-2" in refused.output
    assert lab.snapshot() == before

    reached = add_hosts(lab, tmp_path, "cache_nodes", ["asia-2"])
    announced = play("dtr.cache.remove", *limit, *reached, "--check", **confirmed)
    assert [volume in lab.inside(node, "docker", "volume", "ls", "-q") for node in nodes] == [True, True]
    run = play("dtr.cache.remove", *limit, *reached, **confirmed)
    assert run.code == 0, run.output
    assert [volume in lab.inside(node, "docker", "volume", "ls", "-q") for node in nodes] == [False, False]
    assert "2 volumes removed" in run.regions()["region-asia"]["changed"]
    assert announced.regions()["region-asia"]["changed"] == run.regions()["region-asia"]["changed"]
    assert "stays on" not in run.output
    assert play("dtr.cache.remove", *limit, *reached, **confirmed).total("changed") == 0
