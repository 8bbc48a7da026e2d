# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much a run prints and does: few tasks and lines where nothing is to be done, and a reason once."""

from __future__ import annotations

import json
import re
import typing as t

import pytest

from .conftest import Lab, Play, Run

DEPLOY = "dtr.cache.deploy"
REGIONS = ("region-asia", "region-europe")
MOST_TASKS, MOST_LINES = 9, 50


@pytest.fixture(scope="module")
def again(lab: Lab, play: Play) -> Run:
    """A deployment of two regions in which nothing is to be done."""
    lab.clean()
    first = play(DEPLOY)
    assert first.code == 0, first.output
    run = play(DEPLOY)
    assert (run.code, run.total("changed")) == (0, 0), run.output
    return run


def test_a_run_with_nothing_to_do_has_few_tasks(again: Run) -> None:
    tasks = {host: sum(counts[each] for each in ("ok", "skipped")) for host, counts in again.recap.items()}
    assert set(tasks) == set(REGIONS)
    assert max(tasks.values()) <= MOST_TASKS, again.output


def test_a_run_with_nothing_to_do_prints_few_lines(again: Run) -> None:
    assert len(again.output.splitlines()) <= MOST_LINES, again.output


def table_of(run: Run) -> list[str]:
    """What the report shows, from its task to the recap."""
    return run.output.rpartition("TASK [Report")[2].partition("PLAY RECAP")[0].splitlines()[1:]


@pytest.mark.parametrize(
    "environment",
    [
        {"ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.minimal"},
        {"ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml"},
        {"ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_DISPLAY_OK_HOSTS": "no"},
    ],
    ids=["minimal", "yaml", "json"],
)
def test_the_table_is_shown_by_every_callback_that_people_read(
    again: Run, play: Play, environment: dict[str, str]
) -> None:
    run = play(DEPLOY, env={**environment, "COLUMNS": "100"})
    assert run.code == 0, run.output
    for region in REGIONS:
        assert re.search(rf"^{region}\s{{2,}}.*\bok$", run.output, re.MULTILINE), run.output


def test_the_rows_are_in_what_programs_read(again: Run, play: Play) -> None:
    run = play(DEPLOY, env={"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", "ANSIBLE_SHOW_CUSTOM_STATS": "1"})
    assert run.code == 0, run.output
    # After what came by the standard error.
    result = json.loads(run.output[run.output.index("{\n") :].rpartition("}\n")[0] + "}")
    rows = result["global_custom_stats"]["dtr_cache_regions"]
    assert [row["region"] for row in rows] == list(REGIONS)
    assert [row["result"] for row in rows] == ["ok", "ok"]


def test_the_table_fits_the_terminal(again: Run, play: Play) -> None:
    for width in (50, 70, 120):
        run = play(DEPLOY, env={"COLUMNS": str(width)})
        shown = table_of(run)
        assert max(map(len, shown)) <= width, run.output
        assert [line.split()[0] for line in shown if re.match("region-", line)] == list(REGIONS), run.output


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"dtr_cache_blob_ttl": "24"}, "dtr_cache_blob_ttl: 24 has no unit"),
        ({"dtr_cache_verify_image": "engineering/no-such-image:1.0"}, "DTR has no image engineering/no-such-image:1.0"),
        ({"dtr_cache_image": "docker/not-there:1"}, "No such image: docker/not-there:1"),
    ],
    ids=["value", "image of the proof", "trial"],
)
def test_a_reason_is_given_by_the_task_that_failed_and_by_the_report(
    again: Run, play: Play, variables: dict[str, t.Any], reason: str
) -> None:
    run = play(DEPLOY, "--limit", "region-asia", **variables)
    assert run.code != 0
    by_task = {part.partition("]")[0]: " ".join(part.split()).count(reason) for part in run.output.split("\nTASK [")}
    assert [times for times in by_task.values() if times] == [1, 1], run.output
    assert by_task["Report what was done"] == 1, run.output


def test_a_check_says_that_nothing_has_been_done_yet(again: Run, play: Play) -> None:
    run = play(DEPLOY, "--check", "--limit", "region-asia", dtr_cache_blob_ttl="48h")
    assert run.code == 0, run.output
    assert "would change" in run.output
    real = play(DEPLOY, "--check", "--limit", "region-asia")
    assert real.total("changed") == 0, real.output
