# Copyright: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much a run prints and does: few tasks and lines where nothing is to be done, and a reason once."""

from __future__ import annotations

import re

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


@pytest.mark.parametrize("callback", ["ansible.builtin.default", "ansible.builtin.minimal", "ansible.posix.json"])
def test_the_table_is_shown_by_every_callback(again: Run, play: Play, callback: str) -> None:
    """As columns that people read, never as a list in JSON."""
    run = play(DEPLOY, env={"ANSIBLE_STDOUT_CALLBACK": callback, "COLUMNS": "100"})
    assert run.code == 0, run.output
    for region in REGIONS:
        assert re.search(rf"^\s*{region}\s{{2,}}.*\bok\b", run.output, re.MULTILINE), run.output


def test_the_table_fits_the_terminal(again: Run, play: Play) -> None:
    for width in (60, 80, 120):
        run = play(DEPLOY, env={"COLUMNS": str(width)})
        rows = [line for line in run.output.splitlines() if re.match(r"\s*region(-\S+)?\s{2,}", line)]
        assert len(rows) == 3, run.output
        assert max(map(len, rows)) <= width, rows


def test_a_region_that_fails_prints_its_reason_once_and_once_in_the_table(again: Run, play: Play) -> None:
    """Also where the other one is well, and with the JSON of a failed result taken for what it is: one place."""
    run = play(DEPLOY, "-e", '{"dtr_cache_verify_image": "engineering/no-such-image:1.0"}', "--limit", "region-asia")
    assert run.code != 0
    reason = "no-such-image"
    tasks = run.output.split("\nTASK [")
    # Ansible shows a failure's message above its result, too.
    with_reason = [part for part in tasks if reason in part]
    assert len(with_reason) == 2, run.output
    assert "region-asia" in with_reason[0]
    table = [line for line in run.output.splitlines() if re.match(r"\s*region-asia\s{2,}", line)]
    assert len(table) == 1, run.output
    # The row's own line, or what follows it where the terminal is narrow.
    assert with_reason[-1].count(reason) == 1, run.output


def test_a_refused_setting_prints_its_reason_once_and_once_in_the_table(again: Run, play: Play) -> None:
    run = play(DEPLOY, dtr_cache_blob_ttl="24")
    assert run.code != 0
    assert run.output.count("dtr_cache_blob_ttl: 24 has no unit") <= 2 * 2 + len(REGIONS), run.output
    parts = [part for part in run.output.split("\nTASK [") if "dtr_cache_blob_ttl: 24 has no unit" in part]
    assert len(parts) == 2, run.output


def test_a_check_says_that_nothing_has_been_done_yet(again: Run, play: Play) -> None:
    run = play(DEPLOY, "--check", "--limit", "region-asia", dtr_cache_blob_ttl="48h")
    assert run.code == 0, run.output
    assert "would change" in run.output
    real = play(DEPLOY, "--check", "--limit", "region-asia")
    assert real.total("changed") == 0, real.output
