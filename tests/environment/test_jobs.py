# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks in the execution environment, on the lab: by C(ansible-runner) as AWX runs them, and C(ansible-navigator).

Start by C(tests/run environment), which builds the image and names its folder in C(DTR_CACHE_ENVIRONMENT).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from integration.awx_jobs import Awx, Job, Json
from integration.conftest import Lab

from .engine import Engine
from .image import EXAMPLE, TAG

REGION, HOST, MANAGER = "region-asia", "cache-asia.lab.test", "asia-1"
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def region(lab: Lab, way: str) -> tuple[Json, dict[str, bytes], str]:
    """How the region is reached: its variables, the project's files for that, and the key of SSH."""
    shared = {
        "dtr_cache_name": REGION,
        "dtr_cache_host": HOST,
        "dtr_cache_nodes": ["asia-2"],
        "dtr_cache_resolve_image": "never",
        "dtr_cache_publish_mode": "host",
        "dtr_cache_ca_certificate": Path(lab.status["certificates"]["ca"]).read_text(),
        "dtr_cache_verify_image": "engineering/app:1.0",
        "dtr_cache_assignments": {"accounts": ["alice"]},
    }
    if way == "bundle":
        bundle = Path(lab.status["client_bundles"][MANAGER]["archive"]).read_bytes()
        reached = {
            "ansible_connection": "local",
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "dtr_cache_client_bundle": "bundle.zip",
        }
        return {**shared, **reached}, {"bundle.zip": bundle}, ""
    reached = {
        "ansible_host": f"{MANAGER}.lab.test",
        "ansible_ssh_common_args": "-o UserKnownHostsFile=/runner/project/known_hosts -o StrictHostKeyChecking=yes",
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    ssh = next(item["ssh"] for item in lab.status["managers"] if item["name"] == MANAGER)
    return (
        {**shared, **reached},
        {"known_hosts": Path(lab.status["known_hosts"]).read_bytes()},
        Path(ssh["key"]).read_text(),
    )


def inventory(variables: Json) -> Json:
    return {"dtr_caches": {"hosts": [REGION]}, "_meta": {"hostvars": {REGION: variables}}}


def dtr(lab: Lab) -> Json:
    return {
        "url": lab.status["registry"]["url"],
        "username": "admin",
        "password": lab.passwords["admin"],
        "ca": Path(lab.status["registry"]["ca_path"]).read_text(),
    }


def test_the_image_has_what_the_playbooks_need(engine: Engine) -> None:
    asked = """
    for command in ssh docker ansible-playbook ansible-runner; do command -v $command >/dev/null; done
    python3 -c 'import cryptography, docker, jsondiff, requests, yaml'
    ansible-doc --type module --list dtr.cache | grep -c ^dtr.cache.
    """
    modules = len(list((EXAMPLE.parents[2] / "plugins" / "modules").glob("[a-z]*.py")))
    assert engine.in_image(TAG, "bash", "-ec", asked) == str(modules)


@pytest.mark.parametrize("way", ["ssh", "bundle"])
def test_a_job_deploys(engine: Engine, lab: Lab, tmp_path: Path, way: str) -> None:
    lab.clean()
    variables, files, key = region(lab, way)
    container = {
        "process_isolation": True,
        "process_isolation_executable": "docker",
        "container_image": TAG,
        # The lab's network, and its names.
        "container_options": ["--network=host"],
    }
    certificate = {"certificate": lab.certificate(HOST), "private_key": lab.certificate(HOST, "key")}
    awx = Awx(
        tmp_path,
        inventory(variables),
        "",
        {"DTR": dtr(lab), "DTR cache certificate": certificate},
        container=container,
        environment={"DOCKER_HOST": engine.environment["DOCKER_HOST"]},
    )

    def run(*, check: bool = False) -> tuple[Job, str]:
        job = awx.start("deploy", {}, check=check, key=key, files=files)
        output = ANSI.sub("", job.output)
        assert job.code == 0, output
        assert "WARNING" not in output, output
        return job, output

    deployed, _output = run()
    assert [row["result"] for row in deployed.artifacts["dtr_cache_regions"]] == ["ok"]
    state = lab.snapshot()
    assert list(state[MANAGER]["services"]) == ["dtr-cache_cache"]
    assert [cache["name"] for cache in state["registry"]["content_caches"]] == [REGION]
    assert list(state["registry"]["settings"]) == ["alice"]
    assert "changed=0 " in run(check=True)[1]
    kept = json.dumps(deployed.artifacts) + "".join(deployed.files.values())
    for secret in (lab.passwords["admin"], certificate["private_key"].splitlines()[1]):
        assert secret not in kept


def test_navigator_shows_what_a_deployment_would_change(engine: Engine, lab: Lab, tmp_path: Path) -> None:
    """With the example's settings, which it reads from the working directory."""
    lab.clean()
    before = lab.snapshot()
    shutil.copy(EXAMPLE / "ansible-navigator.yml", tmp_path)
    variables, files, _key = region(lab, "bundle")
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    variables["dtr_cache_registry_ca"] = dtr(lab)["ca"]
    variables["dtr_cache_certificate"] = lab.certificate(HOST)
    variables["dtr_cache_private_key"] = lab.certificate(HOST, "key")
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump({"dtr_caches": {"hosts": {REGION: variables}}}))
    # It would give the container those of Ansible.
    kept = {name: value for name, value in engine.environment.items() if not name.startswith("ANSIBLE_")}
    given = {f"DTR_{name.upper()}": value for name, value in dtr(lab).items() if name != "ca"}
    command = [os.environ["DTR_CACHE_NAVIGATOR"], "run", "dtr.cache.deploy", "-i", "inventory.yml", "--check"]
    done = subprocess.run(
        [*command, "--container-engine", "docker", "--container-options=--network=host"],
        cwd=tmp_path,
        env={**kept, **given, "COLUMNS": "400"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    output = ANSI.sub("", done.stdout)
    assert done.returncode == 0, output + done.stderr
    assert "1 service, registered, 1 account assigned" in output
    assert lab.snapshot() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ansible-navigator.yml", "bundle.zip", "inventory.yml"]
