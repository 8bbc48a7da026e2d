# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documented forms of a deployment: how the Swarm is reached, whose CA is trusted, what is rendered."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ansible_collections.dtr.cache.tests.unit.support.pages import commands

from .authority import Authority
from .conftest import INVENTORY, Lab, Play, until

EXAMPLE = Path(__file__).resolve().parents[2] / "inventory" / "example"
DEPLOY = "dtr.cache.deploy"
ONLY = ("--limit", "region-asia")


def from_here(lab: Lab, form: str) -> dict[str, t.Any]:
    """The variables by which the Swarm is reached from the control node: by a client bundle, or an Engine's address."""
    local = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    if form == "address":
        address = next(manager["docker_host"] for manager in lab.status["managers"] if manager["name"] == "asia-1")
        return {**local, "dtr_cache_docker_host": address}
    return {**local, "dtr_cache_client_bundle": lab.status["client_bundles"]["asia-1"][form]}


@pytest.fixture(scope="module")
def deployed(lab: Lab, play: Play, tmp_path_factory: pytest.TempPathFactory) -> dict[str, t.Any]:
    """A cache that was deployed from an empty Swarm on with a client bundle as it is downloaded."""
    lab.clean()
    folder = tmp_path_factory.mktemp("temporary")
    run = play(
        DEPLOY, *ONLY, env={"TMPDIR": str(folder), "ANSIBLE_LOCAL_TEMP": str(folder)}, **from_here(lab, "archive")
    )
    assert run.code == 0, run.output
    assert list(folder.rglob("*.pem")) == [], "the unpacked bundle is gone"
    return lab.snapshot()


def unpacked_bundles(folder: Path) -> list[Path]:
    return list(folder.glob("*/dtr-cache-bundle-*/key.pem"))


def test_what_a_killed_run_has_unpacked_goes_with_the_next_that_may_be_of_one_role(
    deployed: dict[str, t.Any], lab: Lab, play: Play, tmp_path: Path
) -> None:
    variables = from_here(lab, "archive")
    environment = {"ANSIBLE_LOCAL_TEMP": str(tmp_path)}
    process = subprocess.Popen(
        ["ansible-playbook", "-i", INVENTORY, DEPLOY, *ONLY, "-e", json.dumps(variables)],
        env={**play.environment, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    until(lambda: bool(unpacked_bundles(tmp_path)), "the bundle is unpacked", seconds=30)
    process.kill()
    # Its workers end by themselves.
    process.communicate()
    assert len(unpacked_bundles(tmp_path)) == 1
    role: list[dict[str, t.Any]] = [{"hosts": "region-asia", "gather_facts": False, "roles": ["dtr.cache.node_label"]}]
    run = play(role, env=environment, **variables)
    assert (run.code, run.total("changed")) == (0, 0), run.output
    assert unpacked_bundles(tmp_path) == []


def test_a_diagnosis_opens_a_client_bundle_for_all_of_its_questions(
    deployed: dict[str, t.Any], lab: Lab, play: Play, tmp_path: Path
) -> None:
    run = play("dtr.cache.diagnose", *ONLY, env={"ANSIBLE_LOCAL_TEMP": str(tmp_path)}, **from_here(lab, "archive"))
    assert run.code == 0, run.output
    assert "cannot be read" not in run.output, "neither the Swarm nor its logs"
    assert unpacked_bundles(tmp_path) == []


def test_what_a_client_bundle_deployed_is_complete_and_rendered_is_what_can_be_deployed_by_hand(
    deployed: dict[str, t.Any], lab: Lab, play: Play, tmp_path: Path
) -> None:
    run = play(DEPLOY, *ONLY, dtr_cache_render_to=str(tmp_path))
    assert run.code == 0, run.output
    assert run.changed_tasks() == {
        "dtr.cache.stack : Make the folders for the review",
        "dtr.cache.stack : Write the documented files for the review",
    }
    assert lab.snapshot() == deployed
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
    again = play(DEPLOY, *ONLY, dtr_cache_render_to=str(tmp_path), **from_here(lab, "archive"))
    assert again.code == 0, again.output
    assert again.total("changed") == 0, again.changed_tasks()


def test_a_rotation_goes_by_an_unpacked_bundle_and_by_an_address(
    deployed: dict[str, t.Any], lab: Lab, play: Play
) -> None:
    for form, ttl, changed in (("folder", "48h", "1 config, 1 service"), ("address", "24h", "1 service")):
        run = play("dtr.cache.rotate", *ONLY, **from_here(lab, form), dtr_cache_blob_ttl=ttl)
        assert run.code == 0, run.output
        # The first config is still there, for a rollback.
        assert run.regions()["region-asia"]["changed"] == changed
    with contextlib.closing(lab.engine("asia-1")) as client:
        (service,) = client.services.list()
        (config,) = service.attrs["Spec"]["TaskTemplate"]["ContainerSpec"]["Configs"]
    assert [config["ConfigName"]] == deployed["asia-1"]["configs"]


def test_a_client_bundle_removes_the_cache(deployed: dict[str, t.Any], lab: Lab, play: Play) -> None:
    confirmed: dict[str, t.Any] = {"dtr_cache_confirm_removal": "region-asia"}
    run = play("dtr.cache.remove", *ONLY, **from_here(lab, "archive"), **confirmed)
    assert run.code == 0, run.output
    nothing = {
        "labels": {"asia-1": {}, "asia-2": {}, "asia-3": {}},
        "configs": [],
        "secrets": [],
        "services": {},
    }
    assert lab.snapshot()["asia-1"] == nothing


@pytest.fixture
def volume_folder(clean_lab: Lab) -> Iterator[str]:
    """A folder of both nodes, for a volume that a driver mounts, as it does with NFS."""
    folder = Path("/srv/dtr-cache-volume")
    # Of a run that was killed.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    yield str(folder)
    clean_lab.clean()
    for node in ("asia-2", "asia-3"):
        # The Engine remembers what a volume of this name is, and containers that have ended count as its users.
        clean_lab.inside(node, "docker", "container", "prune", "--force")
        clean_lab.inside(node, "docker", "volume", "rm", "--force", "dtr-cache_cache-data", "dtr-cache_layers")
    shutil.rmtree(folder)


def test_the_routing_mesh_has_each_replica_on_a_node_of_its_own(volume_folder: str, lab: Lab, play: Play) -> None:
    """What the Engine has of it: the lab's kernel forwards no traffic of the mesh."""
    roles = ["dtr.cache.node_label", "dtr.cache.config_secrets", "dtr.cache.stack"]
    playbook = [{"hosts": "region-asia", "gather_facts": False, "roles": roles}]
    variables: dict[str, t.Any] = {
        "dtr_cache_publish_mode": "ingress",
        "dtr_cache_nodes": ["asia-2", "asia-3"],
        "dtr_cache_environment": {"REGISTRY_LOG_LEVEL": "info", "WAIT": "2.10", "VERBOSE": True},
        # Docker would read most of these as numbers, some as truth values.
        "dtr_cache_service_extra": {
            "labels": {"sha": "0812345", "a": "y"},
            "deploy": {"labels": {"sha": "12e03"}},
            "logging": {"driver": "json-file", "options": {"tag": "7e2"}},
            "hostname": "8e1",
        },
        "dtr_cache_resources": {
            "limits": {"cpus": "0.5", "memory": "512MiB"},
            "reservations": {"memory": "16M"},
        },
        "dtr_cache_volume": {"driver_opts": {"type": "none", "o": "bind", "device": volume_folder}},
    }
    run = play(playbook, **variables)
    assert run.code == 0, run.output
    with contextlib.closing(lab.engine("asia-1")) as client:
        (service,) = client.services.list()
        spec = service.attrs["Spec"]

        def placed() -> list[str]:
            tasks = service.tasks(filters={"desired-state": "running"})
            running = [task for task in tasks if task["Status"]["State"] == "running"]
            return sorted(client.nodes.get(task["NodeID"]).attrs["Description"]["Hostname"] for task in running)

        assert placed() == ["asia-2", "asia-3"]
        # A node that goes leaves its replica without one, and has it again when it is back.
        lab.inside("asia-1", "docker", "node", "update", "--availability", "drain", "asia-3")
        until(lambda: placed() == ["asia-2"], "the replica of the other node alone")
        lab.inside("asia-1", "docker", "node", "update", "--availability", "active", "asia-3")
        until(lambda: placed() == ["asia-2", "asia-3"], "a replica on each node")
    assert spec["EndpointSpec"]["Ports"] == [
        {"Protocol": "tcp", "TargetPort": 443, "PublishedPort": 443, "PublishMode": "ingress"}
    ]
    task = spec["TaskTemplate"]
    assert task["ContainerSpec"]["Env"] == ["REGISTRY_LOG_LEVEL=info", "VERBOSE=true", "WAIT=2.10"]
    assert task["ContainerSpec"]["Hostname"] == "8e1"
    assert task["LogDriver"] == {"Name": "json-file", "Options": {"tag": "7e2"}}
    labels = {**task["ContainerSpec"]["Labels"], "service": spec["Labels"]["sha"]}
    assert (labels["sha"], labels["a"], labels["service"]) == ("0812345", "y", "12e03")
    assert task["Resources"] == {
        "Limits": {"NanoCPUs": 500000000, "MemoryBytes": 512 * 2**20},
        "Reservations": {"MemoryBytes": 16 * 2**20},
    }
    (mount,) = task["ContainerSpec"]["Mounts"]
    assert mount["VolumeOptions"]["DriverConfig"]["Options"]["device"] == volume_folder
    again = play(playbook, **variables)
    assert again.code == 0, again.output
    assert again.total("changed") == 0, again.changed_tasks()


# An image whose store has the registry's CA, as that of the vendor has those of public CAs.
STORE = "/etc/ssl/certs/ca-certificates.crt"
TRUSTING = "docker/trusting-content-cache:2.7.6"
MAKE_TRUSTING = f"""
container=$(docker create docker/dtr-content-cache:2.7.6 /start.sh)
docker cp "$container:{STORE}" /run/store.crt
cat >> /run/store.crt
docker cp /run/store.crt "$container:{STORE}"
docker commit "$container" {TRUSTING}
docker rm "$container"
"""


def test_a_registry_that_is_trusted_everywhere_needs_no_ca_in_the_cache(clean_lab: Lab, play: Play) -> None:
    authority = clean_lab.status["registry"]["ca_path"]
    system: dict[str, t.Any] = {"dtr_cache_registry_ca": "system", "dtr_cache_registry_ca_fingerprint": ""}
    run = play(DEPLOY, *ONLY, env={"SSL_CERT_FILE": authority}, **system, dtr_cache_verify_image="")
    # The store of the lab's image does not have the CA of the lab's registry.
    assert run.code != 0
    assert run.regions()["region-asia"]["result"].startswith("failed at: Probe the cache")
    assert clean_lab.control.state() == {"content_caches": [], "settings": {}}, "nobody is sent to a cache that is ill"

    clean_lab.inside("asia-2", "sh", "-ec", MAKE_TRUSTING, stdin=Path(authority).read_text())
    run = play(DEPLOY, *ONLY, env={"SSL_CERT_FILE": authority}, **system, dtr_cache_image=TRUSTING)
    assert run.code == 0, run.output
    assert re.fullmatch(r"[\d.]+ MB in [\d.]+ s", run.regions()["region-asia"]["pulled"])
    with contextlib.closing(clean_lab.engine("asia-1")) as client:
        (service,) = client.services.list()
        secrets = service.attrs["Spec"]["TaskTemplate"]["ContainerSpec"]["Secrets"]
    assert {item["File"]["Name"] for item in secrets} == {"cache.cert.pem", "cache.key.pem"}
    clean_lab.clean()
    clean_lab.inside("asia-2", "docker", "image", "rm", "--force", TRUSTING)


def test_a_given_ca_is_used_and_another_one_fetched_later_is_warned_of(
    volume_folder: str, lab: Lab, play: Play
) -> None:
    registry = lab.status["registry"]
    # As before a change of DTR's: the old and the new one, of which the pin names one.
    both = Path(registry["ca_path"]).read_text() + Authority().root
    run = play(DEPLOY, *ONLY, dtr_cache_registry_ca=both, dtr_cache_volume="layers")
    assert run.code == 0, run.output
    assert lab.control.count("GET", "/ca") == 0
    with contextlib.closing(lab.engine("asia-1")) as client:
        (mount,) = client.services.get("dtr-cache_cache").attrs["Spec"]["TaskTemplate"]["ContainerSpec"]["Mounts"]
    assert (mount["Type"], mount["Source"], mount["Target"]) == ("volume", "dtr-cache_layers", "/var/lib/registry")
    # The folder of the registry's own files is in it, and what was pulled.
    assert lab.inside("asia-2", "ls", "/var/lib/docker/volumes/dtr-cache_layers/_data/docker/registry/v2") != ""

    run = play(DEPLOY, *ONLY, "--check", dtr_cache_registry_ca_fingerprint="")
    said = " ".join(run.output.split())
    assert "DTR gives another CA than the cache of region-asia has: dtr-cache_dtr.cert.pem_" in said
    pin = registry["ca_fingerprint"].replace(":", "").lower()
    assert said.count(f"dtr_cache_registry_ca_fingerprint: {pin}") == 2, "where it was fetched, and here"


def test_the_requirements_are_installed_when_asked_for(clean_lab: Lab, play: Play) -> None:
    role: list[dict[str, t.Any]] = [{"hosts": "region-asia", "gather_facts": False, "roles": ["dtr.cache.node_label"]}]
    unknown = play(role, dtr_cache_install_requirements=True, dtr_cache_requirements=["no-such-package-of-the-test"])
    assert unknown.code != 0
    assert "dtr_cache_install_requirements: " in unknown.output
    assert "no-such-package-of-the-test" in unknown.output
    assert clean_lab.snapshot()["asia-1"]["labels"]["asia-2"] == {}
    run = play(role, dtr_cache_install_requirements=True)
    assert run.code == 0, run.output
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


# What the examples name, and what the lab has in its place.
IN_THE_LAB = {
    "swarm-manager.asia.example.org": "asia-1.lab.test",
    "manager-asia.example.org": "asia-1.lab.test",
    "swarm-manager.brazil.example.org": "europe-1.lab.test",
    "cache-asia.example.org": "cache-asia.lab.test",
    "cache-brazil.example.org": "cache-europe.lab.test",
    "dtr.example.org": "dtr.lab.test",
    "worker-3": "asia-2",
    "edge-1": "europe-1",
    # Of engineering, and of no team or organisation that other regions claim.
    "gabriela": "user00190",
    "joao": "user00191",
}


def in_the_lab(text: str) -> str:
    for name, ours in IN_THE_LAB.items():
        text = text.replace(name, ours)
    return text


def lay_out(lab: Lab, folder: Path) -> dict[str, t.Any]:
    """The inventories of the documentation and their certificates, in a folder. Returns what is vaulted elsewhere."""
    for path in EXAMPLE.rglob("*.yml"):
        place = folder / "example" / path.relative_to(EXAMPLE)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(in_the_lab(path.read_text()))
    readme = (EXAMPLE.parents[1] / "README.md").read_text()
    (folder / "inventory.yml").write_text(in_the_lab(readme.partition("```yaml\n")[2].partition("```")[0]))
    certificates = folder / "certs"
    certificates.mkdir()
    hosts = {"region-asia": "cache-asia.lab.test", "region-brazil": "cache-europe.lab.test"}
    for name, host in hosts.items():
        (certificates / f"{name}.pem").write_text(lab.certificate(host))
    (certificates / "cache-asia.pem").write_text(lab.certificate(hosts["region-asia"]))
    (certificates / "ca.pem").write_text(Path(lab.status["certificates"]["ca"]).read_text())
    keys = {name: lab.certificate(host, "key") for name, host in hosts.items()}
    return {
        "vault_dtr_cache_private_keys": keys,
        "vault_cache_asia_key": keys["region-asia"],
        "vault_dtr_token": lab.passwords["admin"],
        "vault_dtr_password": lab.passwords["admin"],
    }


def test_the_inventories_of_the_documentation_deploy_as_they_stand(
    lab: Lab, play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.clean()
    secrets = lay_out(lab, tmp_path)
    hosts = yaml.safe_load((Path(INVENTORY) / "hosts.yml").read_text())["dtr_caches"]["vars"]
    # How the lab is reached, whose nodes have the image, and whose kernels may lack the routing mesh.
    given = {**hosts, **secrets, "dtr_cache_resolve_image": "never", "dtr_cache_publish_mode": "host"}
    # region-europe has its layers on NFS, of which the lab has none.
    monkeypatch.chdir(tmp_path)
    for inventory, limit in (("example", "!region-europe"), ("inventory.yml", "all")):
        run = play(DEPLOY, "--limit", limit, inventory=str(tmp_path / inventory), **given)
        assert run.code == 0, run.output
        assert {row["result"] for row in run.regions().values()} == {"ok"}
        assert not re.search(r"WARNING.*(parse|inventory)", run.output), run.output
    names = [cache["name"] for cache in lab.control.state()["content_caches"]]
    assert sorted(names) == ["region-asia", "region-brazil"]
    of_swarm = ("node", "stack", "service")
    typed = [command for command in commands() if command[0] == "docker" and command[1] in of_swarm]
    assert typed
    for command in typed:
        assert lab.inside("asia-1", *command), command
