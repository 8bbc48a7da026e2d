# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""One cache through a fleet's life: another version, another manager, another product, a private registry.

The tests are a story and run in their order: each begins with what the one before has left.
"""

from __future__ import annotations

import re
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Lab, Play, Run

DEPLOY = "dtr.cache.deploy"
ASSIGN = "dtr.cache.assign"
ONLY = ("--limit", "region-asia")
MANAGER, SECOND, OTHER = "asia-1", "asia-2", "asia-3"
CACHE_IMAGE = "docker/dtr-content-cache:2.7.4"
UPGRADED_IMAGE = "docker/dtr-content-cache:2.7.6"
MSR2_IMAGE = "mirantis/dtr-content-cache:2.8.2"
MSR3_IMAGE = "registry.mirantis.com/msr/msr-content-cache:3.0.7"
REGISTRY = "dtr.lab.test"
PRIVATE_IMAGE = f"{REGISTRY}/engineering/content-cache:1"
# The Engine pauses where it would roll back by default; the rest of the policy is the collection's.
MSR2: dict[str, t.Any] = {"dtr_cache_product": "msr2"}
MSR2_VERSION, MSR3_VERSION = "2.8.2", "3.0.7"


@pytest.fixture(scope="module")
def fleet(lab: Lab, play: Play) -> Iterator[Lab]:
    lab.clean()
    run = play(DEPLOY, *ONLY)
    assert run.code == 0, run.output
    yield lab
    lab.inside(MANAGER, "docker", "node", "demote", SECOND)
    lab.inside(MANAGER, "docker", "logout", REGISTRY)
    lab.clean()
    for node in (MANAGER, SECOND, OTHER):
        for image in (MSR2_IMAGE, MSR3_IMAGE, PRIVATE_IMAGE):
            lab.inside(node, "sh", "-c", f"docker image rm --force {image} >/dev/null 2>&1 || true")


def service_spec(lab: Lab, name: str = "dtr-cache_cache") -> dict[str, t.Any]:
    client = lab.engine(MANAGER)
    spec: dict[str, t.Any] = client.services.get(name).attrs["Spec"]
    client.close()
    return spec


def running_images(lab: Lab, service: str) -> list[str]:
    """The images of the containers that the Engines of the region run for a service."""
    images = []
    for node in (MANAGER, SECOND, OTHER):
        listed = lab.inside(node, "docker", "ps", "--filter", f"name={service}", "--format", "{{.Image}}")
        images += listed.splitlines()
    return images


def manager_status(lab: Lab) -> str:
    """C(Leader) or C(Reachable); empty for a worker."""
    return lab.inside(MANAGER, "docker", "node", "ls", "--filter", f"name={SECOND}", "--format", "{{.ManagerStatus}}")


def diff_lines(run: Run) -> list[str]:
    """The lines that a diff takes away or adds."""
    return [line for line in run.output.splitlines() if re.match(r"[-+](?![-+]{2})", line)]


def test_an_upgraded_dtr_takes_its_cache_along(fleet: Lab, play: Play) -> None:
    fleet.control.behave(version="2.7.6")
    status = play("dtr.cache.status", *ONLY).output
    assert "2.7.4 (DTR 2.7.6)" in status
    assert "update service (image)" in status
    # It is the only thing that the diff shows.
    run = play(DEPLOY, *ONLY, "--check", "--diff")
    assert run.code == 0, run.output
    removed, added = diff_lines(run)
    assert (removed[0], added[0]) == ("-", "+")
    assert "docker/dtr-content-cache:2.7.4" in removed
    assert removed[1:].replace("2.7.4", "2.7.6") == added[1:]
    assert service_spec(fleet)["TaskTemplate"]["ContainerSpec"]["Image"] == CACHE_IMAGE
    run = play(DEPLOY, *ONLY)
    assert run.code == 0, run.output
    assert run.regions()["region-asia"]["changed"] == "1 service"
    assert running_images(fleet, "dtr-cache_cache") == [UPGRADED_IMAGE]
    assert play(DEPLOY, *ONLY).total("changed") == 0


BY_ADDRESS = "198.18.57.21"
FROM_HERE = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}


@pytest.mark.parametrize("way", ["address", "alias", "tcp", "bundle", "other port"])
def test_a_second_region_does_not_take_over_the_cache(way: str, fleet: Lab, play: Play, tmp_path: Path) -> None:
    """Another spelling of the manager hides from no run that its stack is that of region-asia."""
    config = tmp_path / "config"
    config.write_text("Host the-manager\n  HostName asia-1.lab.test\n")
    managers = {"region-asia": "asia-1.lab.test", "region-europe": "the-manager" if way == "alias" else BY_ADDRESS}
    wrong: dict[str, t.Any] = {
        "ansible_host": f"{{{{ {managers} [inventory_hostname] }}}}",
        "ansible_ssh_common_args": f"-F {config} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null",
        "dtr_cache_nodes": [SECOND],
    }
    if way == "tcp":
        wrong.update(FROM_HERE, dtr_cache_docker_host=f"tcp://{BY_ADDRESS}:2376")
    if way == "bundle":
        wrong.update(FROM_HERE, dtr_cache_client_bundle=fleet.status["client_bundles"][MANAGER]["archive"])
    if way == "other port":
        wrong.update(dtr_cache_host="cache-asia.lab.test", dtr_cache_port=8443)
    only = () if way in ("address", "alias") else ("--limit", "region-europe")
    certificates = {"DOCKER_CERT_PATH": fleet.status["client_bundles"][MANAGER]["folder"]}
    before = fleet.snapshot()
    for options in ((*only, "--check"), only):
        run = play(DEPLOY, *options, env=certificates, **wrong)
        whose = "service dtr-cache_cache is cache region-asia (https://cache-asia.lab.test), and not region-europe"
        assert whose in " ".join(run.output.split()), run.output
        assert {host: counts["failed"] for host, counts in run.recap.items()} == {
            **({} if only else {"region-asia": 0}),
            "region-europe": 1,
        }
        assert fleet.snapshot() == before
    for playbook in ("dtr.cache.status", "dtr.cache.verify") if way == "address" else ():
        run = play(playbook, "--limit", "region-europe", **wrong)
        assert run.code != 0
        assert whose in " ".join(run.output.split()), run.output


def test_a_dtr_that_does_not_say_its_version_stops_deployments_alone(fleet: Lab, play: Play) -> None:
    fleet.control.behave(states_version=False)
    run = play(DEPLOY, *ONLY, "--check")
    assert run.code != 0
    assert "dtr_cache_version: the DTR does not say which version it has" in run.output
    run = play("dtr.cache.rotate", *ONLY, "--check")
    assert (run.code, run.total("changed")) == (0, 0), run.output
    assert f"the cache keeps {UPGRADED_IMAGE}" in run.output
    fleet.control.behave(states_version=True)


def test_a_second_cache_in_the_same_swarm_leaves_the_first_alone(fleet: Lab, play: Play) -> None:
    second: dict[str, t.Any] = {
        "dtr_cache_name": "region-asia-2",
        "dtr_cache_stack_name": "second-cache",
        "dtr_cache_nodes": [OTHER],
        "dtr_cache_port": 8443,
        "dtr_cache_assignments": {},
        "dtr_cache_verify_image": "",
    }
    run = play(DEPLOY, *ONLY, **second)
    assert run.code == 0, run.output
    shared = f"Swarm may put the cache on {SECOND} as well: label dtr.cache is there, and dtr-cache_cache needs it."
    assert shared in " ".join(run.output.split())
    dedicated = {"dtr.cache": "true"}
    both = fleet.snapshot()["asia-1"]
    assert both["labels"] == {MANAGER: {}, SECOND: dedicated, OTHER: dedicated}
    assert play(DEPLOY, *ONLY, "--check").total("changed") == 0
    assert play(DEPLOY, *ONLY, "--check", **second).total("changed") == 0

    run = play("dtr.cache.remove", *ONLY, dtr_cache_confirm_removal="region-asia-2", **second)
    assert run.code == 0, run.output
    left = fleet.snapshot()["asia-1"]
    assert left["services"] == {"dtr-cache_cache": both["services"]["dtr-cache_cache"]}, "the first still runs"
    assert not [name for name in (*left["configs"], *left["secrets"]) if name.startswith("second-cache")]
    # The first cache is placed by the label as well. It takes it from what is no node of its own.
    assert left["labels"] == both["labels"]
    run = play(DEPLOY, *ONLY)
    assert run.regions()["region-asia"]["changed"] == "1 node label removed"
    assert fleet.snapshot()["asia-1"] == {**left, "labels": {MANAGER: {}, SECOND: dedicated, OTHER: {}}}


def test_assignments_of_the_fleet_are_announced_made_and_left_alone(fleet: Lab, play: Play) -> None:
    assignments = {"accounts": ["alice", "carol"]}
    before = fleet.control.state()
    announced = play(ASSIGN, *ONLY, "--check", "--diff", dtr_cache_assignments=assignments)
    assert announced.code == 0, announced.output
    assert "carol" in announced.output
    assert fleet.control.state() == before
    done = play(ASSIGN, *ONLY, dtr_cache_assignments=assignments)
    assert done.code == 0, done.output
    assert announced.changed_tasks() == done.changed_tasks() != set()
    (cache,) = fleet.control.state()["content_caches"]
    assert fleet.control.state()["settings"] == {"alice": cache["id"], "carol": cache["id"]}
    writes = fleet.control.count("PATCH")
    for options in ((), ("--check",)):
        again = play(ASSIGN, *ONLY, *options, dtr_cache_assignments=assignments)
        assert again.code == 0, again.output
        assert again.total("changed") == 0, again.changed_tasks()
    assert fleet.control.count("PATCH") == writes


def test_a_manager_that_does_not_lead_deploys_the_second_product(fleet: Lab, play: Play) -> None:
    fleet.control.behave(version=MSR2_VERSION)
    fleet.inside(SECOND, "docker", "tag", CACHE_IMAGE, MSR2_IMAGE)
    fleet.inside(MANAGER, "docker", "node", "promote", SECOND)
    deadline = time.monotonic() + 30
    while manager_status(fleet) != "Reachable":
        assert time.monotonic() < deadline, manager_status(fleet)
        time.sleep(0.5)
    run = play(DEPLOY, *ONLY, ansible_host=f"{SECOND}.{REGISTRY.partition('.')[2]}", **MSR2)
    assert run.code == 0, run.output
    assert run.regions()["region-asia"]["changed"] == "1 service"
    assert manager_status(fleet) == "Reachable"
    spec = service_spec(fleet)
    assert spec["TaskTemplate"]["ContainerSpec"]["Image"] == MSR2_IMAGE
    assert spec["TaskTemplate"]["Placement"]["Constraints"] == ["node.labels.dtr.cache == true"]
    assert "dtr.cert.pem" in [item["File"]["Name"] for item in spec["TaskTemplate"]["ContainerSpec"]["Secrets"]]
    assert running_images(fleet, "dtr-cache_cache") == [MSR2_IMAGE]
    fleet.inside(MANAGER, "docker", "node", "demote", SECOND)


def test_an_image_that_the_node_may_not_pull_is_refused_until_it_may(fleet: Lab, play: Play) -> None:
    password = fleet.passwords["alice"]
    asked: dict[str, t.Any]
    fleet.inside(OTHER, "docker", "login", "-u", "admin", "--password-stdin", REGISTRY, stdin=fleet.passwords["admin"])
    fleet.inside(OTHER, "docker", "tag", CACHE_IMAGE, PRIVATE_IMAGE)
    fleet.inside(OTHER, "docker", "push", "--quiet", PRIVATE_IMAGE)
    fleet.inside(OTHER, "docker", "logout", REGISTRY)
    asked = {"dtr_cache_image": PRIVATE_IMAGE, "dtr_cache_resolve_image": "always"}
    run = play(DEPLOY, *ONLY, "--check", **asked)
    assert f"dtr_cache_image: the manager gets no {PRIVATE_IMAGE} from its registry, which says: " in run.output
    assert "set dtr_cache_with_registry_auth" in run.output
    # The manager may pull it; the node that is to run it has neither the image nor a password.
    fleet.inside(MANAGER, "docker", "login", "-u", "alice", "--password-stdin", REGISTRY, stdin=password)
    asked["dtr_cache_with_registry_auth"] = True
    run = play(DEPLOY, *ONLY, "--check", **{**asked, "dtr_cache_image": f"{PRIVATE_IMAGE}.9"})
    assert re.search(r"gets no \S+:1\.9 from its registry, which says: .*manifest unknown", run.output)
    run = play(DEPLOY, *ONLY, "--check", **asked)
    assert (run.code, "from its registry" in run.output) == (0, False), run.output
    before = running_images(fleet, "dtr-cache_cache")
    refused = play(DEPLOY, *ONLY, dtr_cache_image=PRIVATE_IMAGE)
    assert refused.code != 0
    assert "The cache was not changed, as a trial replica" in refused.output, refused.output
    assert running_images(fleet, "dtr-cache_cache") == before

    run = play(DEPLOY, *ONLY, dtr_cache_with_registry_auth=True, dtr_cache_image=PRIVATE_IMAGE)
    assert run.code == 0, run.output
    assert running_images(fleet, "dtr-cache_cache") == [PRIVATE_IMAGE]
    assert password not in run.output


def test_the_third_product_has_names_of_its_own(fleet: Lab, play: Play) -> None:
    fleet.control.behave(version=MSR3_VERSION)
    fleet.inside(OTHER, "docker", "tag", CACHE_IMAGE, MSR3_IMAGE)
    run = play(
        DEPLOY,
        *ONLY,
        dtr_cache_product="msr3",
        dtr_cache_nodes=[OTHER],
        dtr_cache_port=8443,
        dtr_cache_verify_image="",
        dtr_cache_host="cache-asia.lab.test",
    )
    assert run.code == 0, run.output
    spec = service_spec(fleet, "msr-cache_cache")
    assert spec["TaskTemplate"]["ContainerSpec"]["Image"] == MSR3_IMAGE
    assert spec["TaskTemplate"]["Placement"]["Constraints"] == ["node.labels.msr.cache == true"]
    assert "msr.cert.pem" in [item["File"]["Name"] for item in spec["TaskTemplate"]["ContainerSpec"]["Secrets"]]
    assert running_images(fleet, "msr-cache_cache") == [MSR3_IMAGE]
    assert fleet.snapshot()["asia-1"]["labels"][OTHER] == {"msr.cache": "true"}
