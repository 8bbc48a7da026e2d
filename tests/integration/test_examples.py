# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive of the collection on a machine that has nothing else of it: the demo, and what is in C(docs/examples).

The examples are checked, run, and run again without a change, and no warning may show. Those that need no Swarm are in
C(registry/test_examples.py).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from .conftest import INVENTORY, MANAGERS, PROJECT, Lab, Play, Run
from .nodes import add_hosts

PLAYBOOKS = ("roles", "delegate", "engine_defaults", "site")
#: One region, of whose service the first of the examples changes something.
CHANGED = ["--limit", "localhost,region-europe", "--extra-vars", json.dumps({"dtr_cache_blob_ttl": "36h"})]


class Installed:
    """The collection in an empty folder, which is all that commands find of the project."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        build = ["ansible-galaxy", "collection", "build", "--output-path", str(folder), str(PROJECT)]
        subprocess.run(build, check=True, capture_output=True)
        (self.archive,) = folder.glob("dtr-cache-*.tar.gz")
        self.folder = folder / "site"
        self.environment = {**environment, "ANSIBLE_COLLECTIONS_PATH": str(self.folder)}
        install = ["install", "--force", "--no-deps", "--collections-path", str(self.folder), str(self.archive)]
        subprocess.run(
            ["ansible-galaxy", "collection", *install], env=self.environment, check=True, capture_output=True
        )
        self.examples = self.folder / "ansible_collections" / "dtr" / "cache" / "docs" / "examples"
        shutil.copytree(INVENTORY, self.folder / "inventory")

    def run(self, *command: str, **more: str) -> Run:
        """A command in the folder, without the checkout."""
        hide = 'mount -t tmpfs none "$0" && exec "$@"'
        result = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", hide, str(PROJECT), *command],
            cwd=self.folder,
            env={**self.environment, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Run(result.returncode, result.stdout)

    def pipeline(self, job: str) -> list[Run]:
        """The commands of a job of the pipeline, as its runner gives them to a shell; the ends of Ansible's own."""
        workflow = yaml.safe_load((self.examples / "gitops" / "caches.yml").read_text())
        runs = []
        for step in workflow["jobs"][job]["steps"]:
            # Neither a repository to check out is there, nor a server to install from.
            if "run" not in step or step["run"].startswith("ansible-galaxy "):
                continue
            given = dict.fromkeys(step.get("env", {}), "password-of-the-test")
            shell = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"])
            run = self.run(*shell, **workflow["env"], **given)
            assert run.code == 0, run.output
            if step["run"].startswith("ansible-playbook "):
                runs.append(run)
        assert runs
        assert not (self.folder / ".vault-password").exists()
        return runs


@pytest.fixture(scope="module")
def installed(lab: Lab, play: Play, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    lab.clean()
    yield Installed(tmp_path_factory.mktemp("archive"), play.environment)
    lab.clean()


def test_the_pipeline_checks_what_was_not_merged_yet(lab: Lab, installed: Installed) -> None:
    before = lab.snapshot()
    (check,) = installed.pipeline("check")
    assert_quiet(check)
    assert check.total("changed") > 0
    assert lab.snapshot() == before


def test_the_demo_runs_from_the_archive(lab: Lab, installed: Installed) -> None:
    """It deploys both regions, and pulls through one of them by a Docker Engine."""
    demo = subprocess.run(
        [str(PROJECT / "tests" / "demo"), str(installed.archive)],
        env={**os.environ, **installed.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert demo.returncode == 0, demo.stdout
    assert "\n6 passed, 0 failed\n" in demo.stdout, demo.stdout
    state = lab.snapshot()
    assert [len(state[manager]["services"]) for manager in MANAGERS] == [1, 1]


def test_the_pipeline_deploys_what_was_merged(lab: Lab, installed: Installed) -> None:
    """All of which is there already."""
    before = lab.snapshot()
    runs = installed.pipeline("deploy")
    assert_quiet(*runs)
    assert [run.total("changed") for run in runs] == [0, 0]
    assert lab.snapshot() == before


def test_the_pipeline_installs_what_the_project_of_awx_does(installed: Installed) -> None:
    jobs = yaml.safe_load((installed.examples / "gitops" / "caches.yml").read_text())["jobs"]
    commands = {
        step["run"] for job in jobs.values() for step in job["steps"] if "ansible-galaxy" in step.get("run", "")
    }
    (file,) = (command.rpartition(" ")[2] for command in commands)
    assert (installed.examples / "awx-project" / file).exists()


def test_the_playbooks(lab: Lab, installed: Installed, tmp_path: Path) -> None:
    examples = [str(installed.examples / "playbooks" / f"{name}.yml") for name in PLAYBOOKS]
    hosts = [*add_hosts(lab, tmp_path, "managers", MANAGERS), *by_managers(tmp_path)]
    command = ["ansible-playbook", "-i", "inventory", *hosts, *CHANGED, *examples]
    before = lab.snapshot()
    # The lab's caches keep their layers in the container.
    emptied = "[WARNING]: region-europe: The cache is empty when its replica is exchanged"
    check = installed.run(*command, "--check", "--diff")
    assert_quiet(check, told=emptied)
    assert lab.snapshot() == before
    run = installed.run(*command)
    assert_quiet(run, told=emptied)
    done = lab.snapshot()
    assert done["asia-1"] == before["asia-1"], "a region that was left out"
    assert done["europe-1"]["services"] != before["europe-1"]["services"]
    again = installed.run(*command)
    assert_quiet(again)
    assert again.total("changed") == 0, again.output
    assert lab.snapshot() == done


def by_managers(folder: Path) -> list[str]:
    """The options that let each region's host have its work done by a manager."""
    hosts = {f"region-{manager.partition('-')[0]}": {"manager": manager} for manager in MANAGERS}
    path = folder / "by_managers.yml"
    path.write_text(yaml.safe_dump({"dtr_caches": {"hosts": hosts}}))
    return ["-i", str(path)]


def assert_quiet(*runs: Run, told: str = "") -> None:
    """They succeeded, and Ansible has nothing to warn of but what has to be told."""
    for run in runs:
        assert run.code == 0, run.output
        warnings = re.findall(r".*(?:WARNING|DEPRECAT).*", run.output)
        assert [each for each in warnings if not told or told not in each] == [], run.output
