# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs of all templates of AWX on the lab, each with the artifacts of those before it, as in a workflow."""

from __future__ import annotations

import json
import re
import subprocess
import typing as t
from pathlib import Path

import pytest
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.read import STATISTICS

from .awx_jobs import CONTENT, Awx, Job, Json
from .conftest import INVENTORY, Lab, Play

REGION = "region-asia"
ANSI = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def awx(lab: Lab, play: Play, tmp_path: Path) -> Awx:
    """AWX with the lab's inventory, without what the credentials are for."""
    lab.clean()
    listed = subprocess.run(
        ["ansible-inventory", "-i", INVENTORY, "--list"],
        env=play.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    inventory = json.loads(listed.stdout)
    registry = ("url", "username", "password", "ca_fingerprint")
    hidden = {*(f"dtr_cache_registry_{name}" for name in registry), "dtr_cache_certificate", "dtr_cache_private_key"}
    for variables in inventory["_meta"]["hostvars"].values():
        assert hidden <= set(variables)
        for name in hidden:
            del variables[name]
    dtr = {
        "url": lab.status["registry"]["url"],
        "username": "admin",
        "password": lab.passwords["admin"],
        "ca": Path(lab.status["registry"]["ca_path"]).read_text(),
    }
    host = inventory["_meta"]["hostvars"][REGION]["dtr_cache_host"]
    certificate = {"certificate": lab.certificate(host), "private_key": lab.certificate(host, "key")}
    return Awx(
        tmp_path,
        inventory,
        play.environment["ANSIBLE_COLLECTIONS_PATH"],
        {"DTR": dtr, "DTR cache certificate": certificate},
    )


def answers(template: str, **given: t.Any) -> Json:
    """What the survey of a template gives: the default of each question that is not answered otherwise."""
    (asks,) = (each["asks"] for each in CONTENT["job_templates"] if each["name"] == template)
    by_default = {each["variable"]: each.get("default") for each in asks}
    answered = {f"dtr_cache_{name}": value for name, value in given.items()}
    assert set(answered) <= set(by_default)
    return {**by_default, **answered}


def refuses_what_was_not_checked(awx: Awx, lab: Lab, artifacts: Json) -> None:
    """A revision that came in between, and a Swarm that changed meanwhile."""

    def refused(**options: t.Any) -> str:
        job = awx.start("deploy", {**artifacts, **answers("deploy")}, limit=REGION, **options)
        output = " ".join(ANSI.sub("", job.output).split())
        assert job.code != 0 and "start the workflow anew" in output, output
        return output

    assert "the check had revision 0a1b2c of the project and this job has revision 3d4e5f" in refused(revision="3d4e5f")
    label = ["docker", "node", "update", "--label-add", "dtr.cache=true", "asia-2"]
    lab.inside("asia-1", *label)
    assert "the plan is another one than the check had" in refused()
    lab.inside("asia-1", *label[:3], "--label-rm", "dtr.cache", "asia-2")


def test_every_template(awx: Awx, lab: Lab, tmp_path: Path) -> None:
    jobs: list[Job] = []
    artifacts: Json = {}

    def run(template: str, *, check: bool = False, diff: bool = False, **given: t.Any) -> Job:
        job = awx.start(template, {**artifacts, **answers(template, **given)}, limit=REGION, check=check, diff=diff)
        output = ANSI.sub("", job.output)
        assert job.code == 0, output
        assert "WARNING" not in output.replace("[WARNING]: Inactive accounts are left out", ""), output
        jobs.append(job)
        artifacts.update(job.artifacts)
        return job

    # The workflow: its answers are those of all of its jobs.
    before = lab.snapshot()
    for node in CONTENT["workflow_job_template_nodes"]:
        if node.get("job_type") == "check":
            shown = ANSI.sub("", run(node["job_template"], check=True, diff=node["diff_mode"], serial="1, 100%").output)
            # Whoever approves sees the content.
            assert "would change" in shown and "+  addr: 0.0.0.0:443" in shown
            assert lab.snapshot() == before
            refuses_what_was_not_checked(awx, lab, artifacts)
            assert lab.snapshot() == before
        elif "job_template" in node:
            run(node["job_template"], serial="1, 100%")
    assert {"dtr_cache_regions", "dtr_cache_verified"} <= set(artifacts) <= STATISTICS
    assert [row["result"] for row in artifacts["dtr_cache_verified"]] == ["ok"]

    mounted = tmp_path / "mounted"
    mounted.mkdir()
    deployed = lab.snapshot()
    # As the schedules start them.
    for schedule in CONTENT["schedules"]:
        run(schedule["job_template"])
    assert artifacts["dtr_cache_status"]["well"] is True
    run("diagnose", logs_since="30m")
    run(
        "warm",
        warm_images="engineering/app:1.0\nengineering/app:2.0\n",
        warm_platforms=["linux/amd64"],
        warm_concurrency=2,
    )
    run("backup", backup_file=str(mounted / "caches.json"))
    run("restore", check=True, backup_file=str(mounted / "caches.json"))
    run("rotate", check=True)
    run("adopt", adopt_to=str(mounted / "host_vars"))
    assert (mounted / "host_vars" / f"{REGION}.yml").exists()
    assert lab.snapshot() == deployed
    run("remove", confirm_removal=REGION)
    assert lab.snapshot()["asia-1"]["services"] == {}

    # What is kept of the jobs, and what they give to each other, holds no secret.
    key = lab.certificate("cache-asia.lab.test", "key").splitlines()[1]
    kept = json.dumps(artifacts) + "".join(text for job in jobs for text in job.files.values())
    assert "dtr_cache_regions" in kept
    for secret in (lab.passwords["admin"], key):
        assert secret not in kept
