# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A region that fails is told with its reason, leaves the others alone, and is finished by the next run."""

from __future__ import annotations

import subprocess
import tempfile
import time
import typing as t
from pathlib import Path

import pytest

from .conftest import INVENTORY, Lab, Play, Run

DEPLOY = "dtr.cache.deploy"


@pytest.fixture
def sensitive(tmp_path: Path) -> list[str]:
    """A file and a folder with files, as an operator leaves them behind."""
    folder = tmp_path / "certs"
    folder.mkdir()
    for name in ("cache.key.pem", "other.pem"):
        (folder / name).write_text("sensitive")
    single = tmp_path / "key.pem"
    single.write_text("sensitive")
    return [str(single), *map(str, folder.iterdir())]


@pytest.mark.parametrize(
    "mistake",
    [
        {"dtr_cache_port": 0},
        # What Ansible itself would stop at in its own words.
        {"dtr_cache_storage": ["filesystem"]},
        {"dtr_cache_private_key": "{{ vault_that_is_not_there }}"},
    ],
    ids=["refused", "type", "undefined"],
)
def test_a_refused_run_removes_nothing(
    clean_lab: Lab, play: Play, sensitive: list[str], mistake: dict[str, t.Any]
) -> None:
    run = play(DEPLOY, "--limit", "region-europe", dtr_cache_source_files=",".join(sensitive), **mistake)
    assert run.code != 0
    assert all(Path(path).exists() for path in sensitive)
    assert run.regions()["region-europe"]["result"].startswith("failed at: ")


def test_a_removal_that_was_not_meant_leaves_them(clean_lab: Lab, play: Play, sensitive: list[str]) -> None:
    run = play(
        *("dtr.cache.remove", "--limit", "region-europe"),
        dtr_cache_source_files=sensitive,
        dtr_cache_confirm_removal="region-asia",
    )
    assert run.code != 0
    assert "nothing has been changed" in run.output
    assert all(Path(path).exists() for path in sensitive)
    assert run.regions()["region-europe"]["result"] == "failed at: Check the settings"


# The manager refuses connections, and ends those that there are; or nothing at all comes through any more.
REFUSED = [["INPUT", "-p", "tcp", "--dport", "22", "-j", "REJECT", "--reject-with", "tcp-reset"]]
SILENT = [["INPUT", "-p", "tcp", "--dport", "22", "-j", "DROP"], ["OUTPUT", "-p", "tcp", "--sport", "22", "-j", "DROP"]]


def lose_the_manager(
    play: Play,
    lab: Lab,
    playbook: str,
    line: str,
    *options: str,
    rules: list[list[str]] = REFUSED,
    env: dict[str, str] | None = None,
) -> Run:
    """Run a playbook for the only region of a play, and cut the way to its manager when a line appears."""
    process = subprocess.Popen(
        ["ansible-playbook", "-i", INVENTORY, playbook, "--limit", "region-europe", *options],
        env={**play.environment, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    seen = []
    try:
        for text in process.stdout:
            if text.startswith(line):
                for rule in rules:
                    lab.inside("europe-1", "iptables", "-I", *rule)
            seen.append(text)
        process.wait()
    finally:
        for rule in rules:
            lab.inside("europe-1", "iptables", "-D", *rule)
    assert any(text.startswith(line) for text in seen), "".join(seen)
    return Run(process.returncode, "".join(seen))


def test_a_manager_that_is_lost_on_the_way_is_told_and_its_files_stay(
    clean_lab: Lab, play: Play, sensitive: list[str]
) -> None:
    files = ("-e", f"dtr_cache_source_files={','.join(sensitive)}")
    run = lose_the_manager(
        play, clean_lab, DEPLOY, "TASK [dtr.cache.config_secrets : Create the Docker secrets", *files
    )
    assert run.code != 0
    assert all(Path(path).exists() for path in sensitive)
    assert "Not removed, for another run of this region:" in run.output
    assert run.regions()["region-europe"]["result"] == "failed at: Wait until the stack has settled"
    assert "The manager region-europe cannot be reached" in run.output
    assert clean_lab.control.state() == {"content_caches": [], "settings": {}}
    before = play(DEPLOY, "--limit", "region-europe")
    assert before.code == 0, before.output

    confirmed = ("-e", "dtr_cache_confirm_removal=region-europe")
    run = lose_the_manager(
        play, clean_lab, "dtr.cache.remove", "TASK [dtr.cache.removal : Reset the accounts", *files, *confirmed
    )
    assert run.code != 0
    assert all(Path(path).exists() for path in sensitive)
    assert run.regions()["region-europe"]["result"].startswith("failed at: Go on only with a manager")
    finished = play("dtr.cache.remove", "--limit", "region-europe", *files, *confirmed)
    assert finished.code == 0, finished.output
    assert not any(Path(path).exists() for path in sensitive)
    assert clean_lab.snapshot()["europe-1"]["services"] == {}


@pytest.mark.parametrize(
    ("line", "ssh", "seconds", "words"),
    [
        # The link is watched: it ends long before the time for the stack, which is 5 minutes.
        ("Wait until the stack has settled", "", 100, "The manager region-europe cannot be reached"),
        # It is not, and the task is one of community.docker: its own time ends it, 30 seconds after that for the stack.
        (
            "Deploy the stack",
            "-o ServerAliveInterval=0",
            80,
            "The manager region-europe did not answer within 50 seconds",
        ),
    ],
    ids=["keep-alive", "time of the task"],
)
def test_a_manager_that_says_nothing_any_more_does_not_hold_the_run(
    clean_lab: Lab, play: Play, sensitive: list[str], line: str, ssh: str, seconds: int, words: str
) -> None:
    with tempfile.TemporaryDirectory(prefix="ssh-") as short:
        began = time.monotonic()
        run = lose_the_manager(
            play,
            clean_lab,
            DEPLOY,
            f"TASK [dtr.cache.stack : {line}]",
            *("-e", f"dtr_cache_source_files={','.join(sensitive)}"),
            *(("-e", "dtr_cache_timeout=20") if ssh else ()),
            rules=SILENT,
            # No connection that an earlier run has left.
            env={"ANSIBLE_SSH_CONTROL_PATH_DIR": short, "ANSIBLE_SSH_EXTRA_ARGS": ssh},
        )
    assert time.monotonic() - began < seconds + 60, "up to that task it takes less than a minute"
    assert run.code != 0
    assert run.regions()["region-europe"]["result"] == f"failed at: {line}"
    assert words in run.output
    assert all(Path(path).exists() for path in sensitive)
    assert clean_lab.control.state() == {"content_caches": [], "settings": {}}


def test_two_runs_at_once_are_told_as_such(clean_lab: Lab, play: Play) -> None:
    """A deployment and a rotation beside each other: the last one stays, and whoever lost says to whom."""
    first = play(DEPLOY, "--limit", "region-europe")
    assert first.code == 0, first.output
    processes = [
        subprocess.Popen(
            [
                "ansible-playbook",
                "-i",
                INVENTORY,
                playbook,
                "--limit",
                "region-europe",
                "-e",
                f"dtr_cache_blob_ttl={ttl}",
            ],
            env=play.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for playbook, ttl in ((DEPLOY, "36h"), ("dtr.cache.rotate", "48h"))
    ]
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    lost = [output for output, process in zip(outputs, processes, strict=True) if process.returncode]
    assert len(lost) < len(processes), "\n".join(outputs)
    for output in lost:
        assert "another deployment" in output or "Another run" in output, output
    again = play(DEPLOY, "--limit", "region-europe", dtr_cache_blob_ttl="48h")
    assert again.code == 0, again.output
    assert len(clean_lab.control.state()["content_caches"]) == 1


def test_check_mode_leaves_them(clean_lab: Lab, play: Play, sensitive: list[str]) -> None:
    run = play(DEPLOY, "--check", "--limit", "region-europe", dtr_cache_source_files=sensitive)
    assert run.code == 0, run.output
    assert all(Path(path).exists() for path in sensitive)
    assert "dtr.cache.cleanup : Remove the sensitive files" in run.changed_tasks()


def test_one_bad_region_does_not_keep_the_other_from_its_cache(clean_lab: Lab, play: Play) -> None:
    nodes = "{{ ['europe-1' if inventory_hostname == 'region-europe' else 'not-there'] }}"
    run = play(DEPLOY, dtr_cache_nodes=nodes)
    assert run.code != 0
    assert (run.recap["region-asia"]["failed"], run.recap["region-europe"]["failed"]) == (1, 0)
    regions = run.regions()
    assert regions["region-asia"]["result"] == "failed at: Check the settings and the Swarm"
    assert regions["region-europe"]["result"] == "ok"
    assert clean_lab.snapshot()["europe-1"]["services"]


def test_a_file_goes_when_no_region_needs_it_any_more(clean_lab: Lab, play: Play, tmp_path: Path) -> None:
    """Of two regions one after the other, the second has its key in the file that both name."""
    certificates = Path(clean_lab.status["certificates"]["ca"]).parent
    key = tmp_path / "shared.key"
    key.write_text((certificates / "cache-europe.lab.test.key.pem").read_text())
    of_asia = certificates / "cache-asia.lab.test.key.pem"
    variables: dict[str, t.Any] = {
        "dtr_cache_source_files": [str(key)],
        "dtr_cache_private_key": f"{{{{ '{key}' if inventory_hostname == 'region-europe' else '{of_asia}' }}}}",
        "dtr_cache_serial": 1,
    }
    wrong = "{{ ['asia-2'] if inventory_hostname == 'region-asia' else ['not-there'] }}"
    failed = play(DEPLOY, **variables, dtr_cache_nodes=wrong)
    assert (failed.recap["region-asia"]["failed"], failed.recap["region-europe"]["failed"]) == (0, 1)
    assert f"Not removed, for region-europe, which failed or is still to be run: {key}." in " ".join(
        failed.output.split()
    )
    assert key.exists()
    done = play(DEPLOY, **variables)
    assert done.code == 0, done.output
    assert not key.exists()


ONLY = ("--limit", "region-europe")


def test_what_would_fail_at_dtr_or_in_the_swarm_leaves_a_running_cache_alone(
    clean_lab: Lab, play: Play, sensitive: list[str]
) -> None:
    deployed = play(DEPLOY, *ONLY, dtr_cache_source_files=sensitive)
    assert deployed.code == 0, deployed.output
    assert not any(Path(path).exists() for path in sensitive)
    before = clean_lab.snapshot()

    # With a change that would replace the service.
    run = play(DEPLOY, *ONLY, dtr_cache_registry_password="wrong-password", dtr_cache_blob_ttl="48h")
    assert run.regions()["region-europe"]["result"] == "failed at: Check the settings and the Swarm"
    assert "dtr_cache_registry_password: GET https://dtr.lab.test/api/v0/meta/settings answered 401" in run.output
    assert "have 1 problem;" in run.output
    assert "wrong-password" not in run.output

    # The same in another stack, on the port of this one.
    run = play(DEPLOY, *ONLY, "--check", dtr_cache_stack_name="second", dtr_cache_name="region-second")
    assert "443 is published by service dtr-cache_cache of stack dtr-cache already. It is this cache" in run.output
    assert "is in use on node" not in run.output
    assert clean_lab.snapshot() == before, "the service has its version, its tasks have their ids"


def test_the_role_of_the_stack_alone_says_what_comes_before_it(clean_lab: Lab, play: Play) -> None:
    before = clean_lab.snapshot()
    run = play([{"hosts": "region-europe", "gather_facts": False, "roles": ["dtr.cache.stack"]}])
    assert run.code != 0
    assert "does not have. Use role dtr.cache.config_secrets before this one." in " ".join(run.output.split())
    assert clean_lab.snapshot() == before


def test_the_report_has_what_docker_said(clean_lab: Lab, play: Play) -> None:
    clean_lab.inside("europe-1", "docker", "network", "create", "dtr-cache_default")
    try:
        run = play(DEPLOY, *ONLY)
    finally:
        clean_lab.inside("europe-1", "docker", "network", "rm", "dtr-cache_default")
    report = run.output.partition("\nregion ")[2].partition("PLAY RECAP")[0]
    assert run.regions()["region-europe"]["result"] == "failed at: Deploy the stack"
    assert "network with name dtr-cache_default already exists" in " ".join(report.split())


def test_an_image_that_is_missing_gets_a_verdict_with_node_and_reason(clean_lab: Lab, play: Play) -> None:
    run = play(DEPLOY, "--limit", "region-europe", dtr_cache_version="0.0.0", dtr_cache_timeout=60)
    assert run.code != 0
    assert "Stack dtr-cache did not settle" in run.output
    assert "europe-1" in run.output
    assert "No such image: docker/dtr-content-cache:0.0.0" in run.output
    assert clean_lab.control.state() == {"content_caches": [], "settings": {}}, (
        "nothing is registered that does not run"
    )


def test_an_unknown_account_is_named_and_nobody_is_moved(clean_lab: Lab, play: Play) -> None:
    run = play(DEPLOY, "--limit", "region-europe", dtr_cache_assignments={"accounts": ["bob", "nobody-here"]})
    assert run.code != 0
    assert "nobody-here" in run.output
    assert clean_lab.control.state()["settings"] == {}
