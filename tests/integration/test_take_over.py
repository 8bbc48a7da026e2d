# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Caches made by hand are taken over, and go from one product line to the next; whoever pulls notices nothing."""

from __future__ import annotations

import json
import socket
import typing as t
from pathlib import Path

import yaml
from dtr_standin.accounts import generated_name
from labkit.topology import CONTROL_ADDRESS

from . import hand_made
from .conftest import Lab, Play, Run, until
from .load import Load, summary
from .registry.conftest import harness
from .registry.served_image import CONTENT, IMAGE, push
from .test_interruptions import killed

ASIA, EUROPE = "cache-asia.lab.test", "cache-europe.lab.test"
NODES = ["asia-2", "asia-3"]
ACCOUNTS = 10_000
KEEP: dict[str, t.Any] = {"dtr_cache_keep_versions": 0}
MSR2: dict[str, t.Any] = {"dtr_cache_product": "msr2", "dtr_cache_version": "2.9.16"}
MSR3: dict[str, t.Any] = {"dtr_cache_product": "msr3", "dtr_cache_version": "3.1.4"}
MOVED: dict[str, t.Any] = {**MSR3, "dtr_cache_former_stack_names": ["dtr-cache"]}


def answers(host: str) -> bool:
    try:
        socket.create_connection((host, 443), 1).close()
    except OSError:
        return False
    return True


def labels_of(lab: Lab, manager: str) -> dict[str, t.Any]:
    return {node: labels for node, labels in lab.snapshot()[manager]["labels"].items() if labels}


def deploy(play: Play, region: str, *options: str, **variables: t.Any) -> Run:
    run = play("dtr.cache.deploy", "--limit", f"region-{region}", *options, **variables)
    assert run.code == 0, run.output
    return run


def test_from_dtr_to_msr_3_with_two_replicas_and_no_failed_pull(lab: Lab, play: Play) -> None:
    lab.clean(accounts=ACCOUNTS)
    hand_made.give_images(lab, NODES)
    hand_made.deploy(lab, ASIA, NODES, manager="asia-1")
    everybody = ["alice", *(generated_name(number) for number in range(1, ACCOUNTS + 1))]
    entry = {"id": "0b1c-by-hand", "name": "region-asia", "host": f"https://{ASIA}:443"}
    lab.control.set_state([entry], dict.fromkeys(everybody, entry["id"]))
    until(lambda: answers("198.18.57.22") and answers("198.18.57.23"), "both replicas")

    two: dict[str, t.Any] = {"dtr_cache_nodes": NODES}
    load = Load(lab, "alice", ASIA, [Path(lab.status["certificates"]["ca"]).read_text()], clients=2)
    taken_over, cut_off = 0, ""
    with load.running():
        for version, variables in (("2.7.6", {"dtr_cache_version": "2.7.6"}), ("2.9.16", MSR2), ("3.1.4", MOVED)):
            lab.control.behave(version=version)
            before = lab.snapshot()
            announced = deploy(play, "asia", "--check", "--diff", **two, **variables)
            assert lab.snapshot() == before
            done = deploy(play, "asia", **two, **variables)
            row = done.regions()["region-asia"]
            assert announced.regions()["region-asia"]["changed"] == row["changed"]
            assert row["gap"] in ("none", "none, pulls cut off"), row
            if version == "2.7.6":
                assert "Service dtr-cache_cache was not deployed by dtr.cache: it is taken over" in announced.output
                taken_over, cut_off = len(load.attempts), row["gap"]
            again = deploy(play, "asia", **two, **variables)
            assert again.total("changed") == 0, again.changed_tasks()
        assert deploy(play, "asia", "--check", **two, **MOVED).total("changed") == 0
    print(summary(load))
    # A replica made after the documents does not finish its requests; the report says so, and an Engine asks again.
    cut = [attempt for attempt in load.attempts[:taken_over] if attempt.error]
    assert not [attempt for attempt in load.attempts[taken_over:] if attempt.error]
    assert {attempt.what for attempt in cut} <= {"blob"}
    assert len(cut) <= 8
    assert not cut or cut_off == "none, pulls cut off"
    assert min(load.count("blob", "198.18.57.22"), load.count("blob", "198.18.57.23")) > 20
    assert load.count("pull") > 5
    # No account was touched at any time, so none has dangled.
    assert lab.control.journal() == []
    after = lab.snapshot()["asia-1"]
    assert list(after["services"]) == ["msr-cache_cache"]
    assert {name.partition("_")[0] for name in (*after["configs"], *after["secrets"])} == {"msr-cache"}
    assert labels_of(lab, "asia-1") == {node: {"msr.cache": "true"} for node in NODES}
    lab.inside("asia-1", "sh", "-c", "docker stack rm msr-cache || true")
    lab.clean()
    lab.wait_until_gone("msr-cache", "asia-1", ["asia-1", *NODES])


def names_of(lab: Lab, kind: str) -> list[str]:
    """The configs or secrets, without the marks of their contents."""
    return sorted({name.rpartition("_")[0] or name for name in lab.snapshot()["europe-1"][kind]})


def refused(play: Play, lab: Lab, sentence: str, **variables: t.Any) -> None:
    before = lab.snapshot()
    run = play("dtr.cache.deploy", "--limit", "region-europe", **variables)
    assert run.code != 0
    assert sentence in " ".join(run.output.split()), run.output
    assert lab.snapshot() == before


OWN = [f"dtr-cache_{file}" for file in ("cache.cert.pem", "cache.key.pem", "dtr.cert.pem")]


def test_one_replica_under_names_of_its_own(lab: Lab, play: Play) -> None:
    lab.clean()
    by_hand = {"config.yml": "cache-config", "cache.key.pem": "key-2024"}
    hand_made.deploy(lab, EUROPE, ["europe-1"], manager="europe-1", service="registry", names=by_hand)
    second = ["--name", "dtr-cache_cache", "--label", "com.docker.stack.namespace=dtr-cache", "--replicas", "0"]
    port = ["--publish", "mode=host,published=443,target=443"]
    lab.inside("europe-1", "docker", "service", "create", "--detach", *second, *port, hand_made.DTR.image)
    sentence = (
        "two services of stack dtr-cache cannot both have port 443: dtr-cache_cache is the cache, and dtr-cache_reg"
    )
    refused(play, lab, sentence)
    lab.inside("europe-1", "docker", "service", "rm", "dtr-cache_cache")

    taken = deploy(play, "europe", **KEEP)
    assert float(taken.regions()["region-europe"]["gap"].partition(" s")[0]) > 0
    assert list(lab.snapshot()["europe-1"]["services"]) == ["dtr-cache_registry"]
    # Swarm could still go back to them.
    assert "key-2024" in lab.snapshot()["europe-1"]["secrets"]
    assert deploy(play, "europe", **KEEP).total("changed") == 0
    rotated = play("dtr.cache.rotate", "--limit", "region-europe", **KEEP, dtr_cache_blob_ttl="48h")
    assert rotated.code == 0, rotated.output
    assert names_of(lab, "secrets") == OWN
    assert names_of(lab, "configs") == ["dtr-cache_config.yml"]


RENAMED: dict[str, t.Any] = {**KEEP, "dtr_cache_blob_ttl": "48h", "dtr_cache_stack_name": "europe"}
MOVED_STACK = {**RENAMED, "dtr_cache_former_stack_names": ["dtr-cache"]}


def test_one_replica_goes_to_another_stack_though_the_run_is_killed(lab: Lab, play: Play) -> None:
    sentence = "or let the deployment replace it with dtr_cache_former_stack_names: [dtr-cache]"
    refused(play, lab, sentence, **RENAMED)

    # What only the registry finds wrong: the former stack serves all the time.
    wrong: dict[str, t.Any] = {"dtr_cache_config_extra": {"middleware": {"storage": [{"name": "none"}]}}}
    failed = play("dtr.cache.deploy", "--limit", "region-europe", **MOVED_STACK, **wrong)
    assert failed.code != 0
    assert "The cache was not changed, as a trial replica" in " ".join(failed.output.split())
    assert answers(EUROPE)
    assert list(lab.snapshot()["europe-1"]["services"]) == ["dtr-cache_registry"]

    killed(play, "dtr.cache.deploy", ("TASK [dtr.cache.stack : End a replica", 1.0), "-e", json.dumps(MOVED_STACK))
    moved = deploy(play, "europe", **MOVED_STACK)
    assert float(moved.regions()["region-europe"]["gap"].partition(" s")[0]) >= 0
    assert deploy(play, "europe", "--check", **MOVED_STACK).total("changed") == 0
    after = lab.snapshot()["europe-1"]
    assert list(after["services"]) == ["europe_cache"]
    assert names_of(lab, "secrets") == [name.replace("dtr-cache", "europe") for name in OWN]
    assert after["labels"] == {"europe-1": {"dtr.cache": "true"}}


PARIS: dict[str, t.Any] = {**RENAMED, "dtr_cache_name": "region-paris"}
FORMER = {**PARIS, "dtr_cache_former_names": ["region-europe"]}


def test_a_new_name_is_told_and_moves_the_accounts_alone(lab: Lab, play: Play) -> None:
    before = lab.snapshot()
    for playbook in ("dtr.cache.status", "dtr.cache.diagnose"):
        told = play(playbook, "--limit", "region-europe", **PARIS)
        assert told.code != 0
        sentence = "DTR has this cache under the name region-europe as well, and 1 account is assigned to that."
        assert sentence in " ".join(told.output.split()), told.output
    done = deploy(play, "europe", **FORMER)
    assert done.regions()["region-europe"]["changed"] == "re-registered, 1 account moved"
    after = lab.snapshot()
    assert after["europe-1"] == before["europe-1"]
    (entry,) = after["registry"]["content_caches"]
    assert (entry["name"], after["registry"]["settings"]) == ("region-paris", {"bob": entry["id"]})
    healthy = play("dtr.cache.status", "--limit", "region-europe", **FORMER)
    assert healthy.code == 0, healthy.output


def test_another_dtr_where_a_certificate_takes_the_place_of_the_password(lab: Lab, play: Play, tmp_path: Path) -> None:
    authority = harness.issue(tmp_path, "ca")
    admin = harness.issue(tmp_path, "admin", authority)
    with (
        harness.docker_registry(tmp_path) as upstream,
        harness.running(
            tmp_path, upstream, accounts=5, ca=authority, client_ca=authority, listen=f"{CONTROL_ADDRESS}:8443"
        ) as new,
    ):
        push(upstream, IMAGE, CONTENT)
        there: dict[str, t.Any] = {
            **PARIS,
            "dtr_cache_registry_url": new.url,
            "dtr_cache_registry_ca": authority.certificate_file.read_text(),
            **dict.fromkeys(("dtr_cache_registry_username", "dtr_cache_registry_password"), ""),
            "dtr_cache_registry_ca_fingerprint": "",
            "dtr_cache_registry_client_cert": str(admin.certificate_file),
            "dtr_cache_registry_client_key": admin.key_file.read_text(),
        }
        before = lab.snapshot()
        lab.control.forget_requests()
        announced = deploy(play, "europe", "--check", "--diff", **there)
        assert lab.snapshot() == before
        done = deploy(play, "europe", "--diff", "-vvvv", **there)
        assert admin.key_file.read_text().splitlines()[1] not in done.output
        assert announced.regions()["region-europe"]["changed"] == done.regions()["region-europe"]["changed"]
        for run in (announced, done):
            told = " ".join(run.output.split())
            assert "region-paris was a cache of the DTR https://dtr.lab.test and is now one of" in told, told
            assert "Its entry region-paris and the accounts that are assigned to it stay there." in told
        # It has the accounts, and the image came through the cache; the old one was asked nothing.
        state = new.control.state()
        assert state["settings"] == {"bob": state["content_caches"][0]["id"]}
        assert lab.control.requests()["counts"] == []
        assert lab.snapshot()["registry"] == before["registry"]
        assert deploy(play, "europe", **there).total("changed") == 0

        removed = play(
            "dtr.cache.remove", "--limit", "region-europe", dtr_cache_confirm_removal="region-paris", **there
        )
        assert removed.code == 0, removed.output
        assert new.control.state() == {"content_caches": [], "settings": {}}
    after = lab.snapshot()["europe-1"]
    assert after == {"labels": {"europe-1": {}}, "configs": [], "secrets": [], "services": {}}
    lab.clean()


def test_a_stack_made_by_hand_is_removed_with_all_that_it_used(lab: Lab, play: Play) -> None:
    lab.clean()
    by_hand = {"config.yml": "cache-config", "cache.key.pem": "key-2024"}
    hand_made.deploy(lab, EUROPE, ["europe-1"], manager="europe-1", service="registry", names=by_hand)
    confirmed: dict[str, t.Any] = {"dtr_cache_confirm_removal": "region-europe"}
    removed = play("dtr.cache.remove", "--limit", "region-europe", **confirmed)
    assert removed.code == 0, removed.output
    after = lab.snapshot()["europe-1"]
    assert after == {"labels": {"europe-1": {}}, "configs": [], "secrets": [], "services": {}}
    assert play("dtr.cache.remove", "--limit", "region-europe", **confirmed).total("changed") == 0


def add_to_stack(lab: Lab, name: str, *options: str, image: str = "web:1") -> None:
    """A service without replicas, which says of itself that it belongs to the cache's stack."""
    label = "com.docker.stack.namespace=dtr-cache"
    command = ("docker", "service", "create", "--detach", "--no-resolve-image", "--replicas", "0", "--label", label)
    lab.inside("europe-1", *command, "--name", f"dtr-cache_{name}", *options, image)


def test_of_a_stack_with_other_services_only_the_cache_is_removed(lab: Lab, play: Play) -> None:
    lab.clean()
    hand_made.deploy(lab, EUROPE, ["europe-1"], manager="europe-1", names={"cache.key.pem": "key-2024"})
    add_to_stack(lab, "web", "--secret", "dtr-cache_cache.cert.pem")
    other = yaml.safe_dump(hand_made.config_of(f"{EUROPE}:8443", hand_made.DTR))
    lab.inside("europe-1", "docker", "config", "create", "other", "-", stdin=other)
    of_other = ("--config", "source=other,target=/config.yml", "--publish", "published=8443,target=443,mode=host")
    add_to_stack(lab, "other", *of_other, image=hand_made.DTR.image)
    only: dict[str, t.Any] = {"dtr_cache_confirm_removal": "region-europe"}
    announced = play("dtr.cache.remove", "--limit", "region-europe", "--check", **only)
    removed = play("dtr.cache.remove", "--limit", "region-europe", **only)
    assert removed.code == 0, removed.output
    row = "1 service removed, 1 network removed, 1 config removed, 2 secrets removed, 1 node label removed"
    for run in (announced, removed):
        assert run.regions()["region-europe"]["changed"] == row, run.output
        assert "left as they are: dtr-cache_other, dtr-cache_web." in " ".join(run.output.split())
    left = lab.snapshot()["europe-1"]
    assert sorted(left["services"]) == ["dtr-cache_other", "dtr-cache_web"]
    assert left == left | {"labels": {"europe-1": {}}, "configs": ["other"], "secrets": ["dtr-cache_cache.cert.pem"]}
    # Nothing of the stack is this cache any more.
    again = play("dtr.cache.remove", "--limit", "region-europe", **only)
    assert "dtr-cache_other is the cache of https://cache-europe.lab.test:8443. This cache has" in again.output
    assert (again.code != 0, lab.snapshot()["europe-1"]) == (True, left)
    lab.inside("europe-1", "docker", "service", "rm", "dtr-cache_other")
    assert play("dtr.cache.remove", "--limit", "region-europe", **only).total("changed") == 0
    lab.clean()


def test_a_port_of_the_mesh_goes_from_stack_to_stack(lab: Lab, play: Play) -> None:
    """What the Engine has of it: the lab's kernel forwards no traffic of the mesh."""
    lab.clean()
    hand_made.deploy(lab, EUROPE, ["europe-1"], manager="europe-1", service="registry", mode="ingress")
    roles = ["dtr.cache.config_secrets", "dtr.cache.stack"]
    playbook = [{"hosts": "region-europe", "gather_facts": False, "roles": roles}]
    moved: dict[str, t.Any] = {"dtr_cache_publish_mode": "ingress", "dtr_cache_stack_name": "europe"}
    moved["dtr_cache_former_stack_names"] = "dtr-cache"
    # A trial has an empty volume: only the cache itself meets one that cannot be mounted.
    wrong: dict[str, t.Any] = {"dtr_cache_volume": {"driver_opts": {"type": "ext4", "device": "/dev/none"}}}

    def ports() -> dict[str, list[int]]:
        """The services with the ports that they publish."""
        lines = lab.inside("europe-1", "docker", "service", "ls", "--format", "{{.Name}} {{.Ports}}").splitlines()
        return {line.partition(" ")[0]: [443] if ":443->443" in line else [] for line in lines}

    failed = play(playbook, **moved, **wrong)
    assert "the former services (dtr-cache_registry) were brought back" in " ".join(failed.output.split())
    assert ports() == {"dtr-cache_registry": [443]}
    run = play(playbook, **moved)
    assert run.code == 0, run.output
    assert ports() == {"europe_cache": [443]}
    assert play(playbook, **moved).total("changed") == 0
    lab.inside("europe-1", "sh", "-c", "docker stack rm europe || true")
    lab.clean()
    lab.wait_until_gone("europe", "europe-1", ["europe-1"])


def test_a_service_on_each_labelled_node_is_refused(lab: Lab, play: Play) -> None:
    """Swarm cannot change its mode. The command of the refusal is the way on."""
    lab.clean()
    hand_made.deploy(lab, EUROPE, ["europe-1"], manager="europe-1", everywhere=True)
    sentence = "dtr-cache_cache runs in mode global, which Swarm cannot change: remove it right before the deployment"
    refused(play, lab, sentence)
    moved: dict[str, t.Any] = {"dtr_cache_stack_name": "europe", "dtr_cache_former_stack_names": ["dtr-cache"]}
    refused(play, lab, sentence, **moved)
    # As a region would that still names a stack which is another cache's by now.
    another: dict[str, t.Any] = {"dtr_cache_host": ASIA, "dtr_cache_confirm_removal": "region-europe"}
    another.update(dtr_cache_stack_name="asia", dtr_cache_former_stack_names=["dtr-cache"])
    before = lab.snapshot()
    refusal = play("dtr.cache.remove", "--limit", "region-europe", **another)
    assert "dtr-cache_cache is the cache of https://cache-europe.lab.test" in refusal.output
    assert (refusal.code != 0, lab.snapshot()) == (True, before)
    lab.inside("europe-1", "docker", "service", "rm", "dtr-cache_cache")
    lab.wait_until_idle("europe-1")
    deploy(play, "europe")
    lab.clean()
    lab.wait_until_gone("dtr-cache", "europe-1", ["europe-1"])
