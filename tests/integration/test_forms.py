# Copyright: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documented forms of a deployment: how the Swarm is reached, whose CA is trusted, what is rendered."""

from __future__ import annotations

import json
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml

from .authority import Authority
from .conftest import INVENTORY, Lab, Play

DEPLOY = "dtr.cache.deploy"
ONLY = ("--limit", "region-asia")
# The region's host is the control node.
HERE: dict[str, t.Any] = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}


@pytest.fixture(scope="module")
def deployed(lab: Lab, play: Play) -> dict[str, t.Any]:
    """A cache that was deployed over SSH."""
    lab.clean()
    run = play(DEPLOY, *ONLY)
    assert run.code == 0, run.output
    return lab.snapshot()


def unpacked_bundles(folder: Path) -> list[Path]:
    return list(folder.glob("*/dtr-cache-bundle-*/key.pem"))


@pytest.mark.parametrize("form", ["folder", "archive"])
def test_a_client_bundle_reaches_the_same_swarm(
    deployed: dict[str, t.Any], lab: Lab, play: Play, form: str, tmp_path: Path
) -> None:
    bundles = lab.status["client_bundles"]["asia-1"]
    run = play(
        DEPLOY,
        *ONLY,
        # A temporary folder that no other run on the machine shares.
        env={"ANSIBLE_LOCAL_TEMP": str(tmp_path)},
        **HERE,
        dtr_cache_client_bundle=bundles[form],
    )
    assert run.code == 0, run.output
    assert run.total("changed") == 0, run.changed_tasks()
    assert lab.snapshot() == deployed
    assert unpacked_bundles(tmp_path) == []


def test_what_a_killed_run_has_unpacked_goes_with_the_next_that_may_be_of_one_role(
    deployed: dict[str, t.Any], lab: Lab, play: Play, tmp_path: Path
) -> None:
    variables = {**HERE, "dtr_cache_client_bundle": lab.status["client_bundles"]["asia-1"]["archive"]}
    environment = {"ANSIBLE_LOCAL_TEMP": str(tmp_path)}
    process = subprocess.Popen(
        ["ansible-playbook", "-i", INVENTORY, DEPLOY, *ONLY, "-e", json.dumps(variables)],
        env={**play.environment, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("TASK [dtr.cache.stack : Compare"):
            process.kill()
            break
    # Its workers end by themselves.
    process.stdout.read()
    process.wait()
    assert len(unpacked_bundles(tmp_path)) == 1
    role: list[dict[str, t.Any]] = [{"hosts": "region-asia", "gather_facts": False, "roles": ["dtr.cache.node_label"]}]
    run = play(role, env=environment, **variables)
    assert (run.code, run.total("changed")) == (0, 0), run.output
    assert unpacked_bundles(tmp_path) == []


def test_an_engine_by_its_address_reaches_the_same_swarm(deployed: dict[str, t.Any], lab: Lab, play: Play) -> None:
    address = next(manager["docker_host"] for manager in lab.status["managers"] if manager["name"] == "asia-1")
    run = play(
        DEPLOY,
        *ONLY,
        **HERE,
        dtr_cache_docker_host=address,
    )
    assert run.code == 0, run.output
    assert run.total("changed") == 0
    assert lab.snapshot() == deployed


def test_the_rendered_tree_is_what_runs_and_can_be_deployed_by_hand(
    deployed: dict[str, t.Any], lab: Lab, play: Play, tmp_path: Path
) -> None:
    run = play(DEPLOY, *ONLY, dtr_cache_render_to=str(tmp_path))
    assert run.code == 0, run.output
    tree = tmp_path / "region-asia"
    files = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()}
    assert files == {"docker-stack.yml", "config.yml", "certs/dtr.cert.pem", "certs/cache.cert.pem"}
    config = yaml.safe_load((tree / "config.yml").read_text())
    assert config["http"]["secret"] == "(secret)"
    assert config["middleware"]["registry"][0]["name"] == "downstream"
    lab.inside(
        *("asia-1", "docker", "stack", "deploy", "--resolve-image", "never", "--compose-file", "-", "dtr-cache"),
        stdin=(tree / "docker-stack.yml").read_text(),
    )
    after = lab.snapshot()
    assert after["asia-1"]["services"]["dtr-cache_cache"][1] == deployed["asia-1"]["services"]["dtr-cache_cache"][1]
    assert play(DEPLOY, *ONLY, "--check", dtr_cache_render_to=str(tmp_path)).total("changed") == 0


def test_a_registry_that_is_trusted_everywhere_needs_no_ca_in_the_cache(clean_lab: Lab, play: Play) -> None:
    run = play(
        DEPLOY,
        *ONLY,
        env={"SSL_CERT_FILE": clean_lab.status["registry"]["ca_path"]},
        dtr_cache_registry_ca="system",
        dtr_cache_registry_ca_fingerprint="",
        dtr_cache_verify_image="",
        dtr_cache_config_extra={"log": {"level": "debug"}},
    )
    # The lab's cache does not trust the registry by itself, and the health check has to say so.
    assert run.code != 0
    assert run.regions()["region-asia"]["result"].startswith("failed at: Probe the cache")
    assert clean_lab.control.state() == {"content_caches": [], "settings": {}}, "nobody is sent to a cache that is ill"
    client = clean_lab.engine("asia-1")
    (service,) = client.services.list()
    secrets = service.attrs["Spec"]["TaskTemplate"]["ContainerSpec"]["Secrets"]
    assert {item["File"]["Name"] for item in secrets} == {"cache.cert.pem", "cache.key.pem"}


def test_a_given_ca_is_used_and_another_one_fetched_later_is_warned_of(clean_lab: Lab, play: Play) -> None:
    registry = clean_lab.status["registry"]
    # As before a change of DTR's: the old and the new one, of which the pin names one.
    both = Path(registry["ca_path"]).read_text() + Authority().root
    run = play(DEPLOY, *ONLY, dtr_cache_registry_ca=both)
    assert run.code == 0, run.output
    assert clean_lab.control.count("GET", "/ca") == 0

    run = play(DEPLOY, *ONLY, "--check", dtr_cache_registry_ca_fingerprint="")
    said = " ".join(run.output.split())
    assert "DTR gives another CA than the cache of region-asia has: dtr-cache_dtr.cert.pem_" in said
    pin = registry["ca_fingerprint"].replace(":", "").lower()
    assert said.count(f"dtr_cache_registry_ca_fingerprint: {pin}") == 2, "where it was fetched, and here"


def test_the_requirements_are_installed_when_asked_for(clean_lab: Lab, play: Play) -> None:
    run = play(
        [{"hosts": "region-asia", "gather_facts": False, "roles": ["dtr.cache.node_label"]}],
        dtr_cache_install_requirements=True,
    )
    assert run.code == 0, run.output
    assert "dtr.cache.settings : Install what community.docker needs on the manager" in run.output
    assert clean_lab.snapshot()["asia-1"]["labels"]["asia-2"] == {"dtr.cache": "true"}


def test_a_config_with_credentials_becomes_a_secret(clean_lab: Lab, play: Play) -> None:
    password = "a-password-of-redis-that-nobody-has"
    variables: dict[str, t.Any] = {
        "dtr_cache_config_extra": {"redis": {"addr": "127.0.0.1:6379", "password": password}},
        # What Docker would fill in from its own environment.
        "dtr_cache_environment": {"PRICE": "5$HOME ${HOME}"},
    }
    run = play(DEPLOY, *ONLY, "-vvv", **variables)
    assert run.code == 0, run.output
    assert password not in run.output
    state = clean_lab.snapshot()["asia-1"]
    assert state["configs"] == []
    assert any(name.startswith("dtr-cache_config.yml_") for name in state["secrets"])
    (service,) = clean_lab.engine("asia-1").services.list()
    assert service.attrs["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"] == ["PRICE=5$HOME ${HOME}"]
    assert play(DEPLOY, *ONLY, "--check", **variables).total("changed") == 0
