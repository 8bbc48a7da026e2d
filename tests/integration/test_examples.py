# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in C(docs/examples) and needs a Swarm: checked, run, and run again without a change. No warning may show.

The pipeline's own commands come before and after. The other examples are in C(registry/test_examples.py).
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from .conftest import INVENTORY, MANAGERS, PROJECT, Lab, Play, Run
from .nodes import add_hosts

EXAMPLES = PROJECT / "docs" / "examples"
NAMES = ("roles", "delegate", "engine_defaults", "site")
PLAYBOOKS = [{"import_playbook": str(EXAMPLES / "playbooks" / f"{name}.yml")} for name in NAMES]
TRUSTED = "/etc/docker/certs.d/dtr.lab.test"


@pytest.fixture(scope="module")
def client(lab: Lab) -> Iterator[Lab]:
    """A Docker host that trusts nobody yet."""
    lab.clean()
    lab.inside("client", "mv", TRUSTED, "/root/trusted")
    yield lab
    lab.inside("client", "sh", "-c", f"rm -rf {TRUSTED} && mv /root/trusted {TRUSTED}")
    lab.clean()


def test_the_pipeline_and_the_playbooks(client: Lab, play: Play, tmp_path: Path) -> None:
    lab = client
    hosts = [
        *add_hosts(lab, tmp_path, "managers", MANAGERS),
        *add_hosts(
            *(lab, tmp_path, "docker_hosts", ["client"]),
            dtr_cache_registry_url="https://dtr.lab.test",
            dtr_cache_registry_ca_fingerprint=lab.status["registry"]["ca_fingerprint"],
            dtr_cache_ca_certificate=lab.status["certificates"]["ca"],
        ),
        *by_managers(tmp_path),
    ]
    empty = lab.snapshot()
    assert_quiet(*pipeline("check", play, tmp_path))
    assert_quiet(play(PLAYBOOKS, *hosts, "--check", "--diff"))
    assert lab.snapshot() == empty
    run = play(PLAYBOOKS, *hosts)
    assert_quiet(run)
    done = lab.snapshot()
    assert [len(done[manager]["services"]) for manager in MANAGERS] == [1, 1]
    assert len(done["registry"]["content_caches"]) == 2
    assert "dtr-cache." in lab.inside("client", "ls", TRUSTED)
    again = play(PLAYBOOKS, *hosts)
    deployed = pipeline("deploy", play, tmp_path)
    assert_quiet(again, *deployed)
    assert lab.snapshot() == done
    assert [each.total("changed") for each in (again, *deployed)] == [0, 0, 0], again.output


def by_managers(folder: Path) -> list[str]:
    """The options that let each region's host have its work done by a manager."""
    hosts = {f"region-{manager.partition('-')[0]}": {"manager": manager} for manager in MANAGERS}
    path = folder / "by_managers.yml"
    path.write_text(yaml.safe_dump({"dtr_caches": {"hosts": hosts}}))
    return ["-i", str(path)]


def pipeline(job: str, play: Play, folder: Path) -> list[Run]:
    """The commands of a job of the pipeline, as its runner gives them to a shell; those of Ansible with their ends."""
    workflow = yaml.safe_load((EXAMPLES / "gitops" / "caches.yml").read_text())
    work = folder / job
    work.mkdir()
    (work / "inventory").symlink_to(INVENTORY)
    runs = []
    for step in workflow["jobs"][job]["steps"]:
        # Neither a repository to check out is there, nor a server to install from.
        if "run" not in step or step["run"].startswith("ansible-galaxy "):
            continue
        given = dict.fromkeys(step.get("env", {}), "password-of-the-test")
        result = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=work,
            env={**play.environment, **workflow["env"], **given},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if step["run"].startswith("ansible-playbook "):
            runs.append(Run(result.returncode, result.stdout))
        else:
            assert result.returncode == 0, result.stdout
    assert runs
    assert [path.name for path in work.iterdir()] == ["inventory"], "the password is removed at the end"
    return runs


def test_the_pipeline_installs_what_the_project_of_awx_does() -> None:
    jobs = yaml.safe_load((EXAMPLES / "gitops" / "caches.yml").read_text())["jobs"]
    commands = {
        step["run"] for job in jobs.values() for step in job["steps"] if "ansible-galaxy" in step.get("run", "")
    }
    (file,) = (command.rpartition(" ")[2] for command in commands)
    assert (EXAMPLES / "awx-project" / file).exists()


def assert_quiet(*runs: Run) -> None:
    """They succeeded, and Ansible has nothing to warn of."""
    for run in runs:
        assert run.code == 0, run.output
        assert not re.search(r"WARNING|DEPRECAT", run.output), run.output
