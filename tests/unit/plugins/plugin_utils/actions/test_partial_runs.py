# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which command lines would leave out a part of a playbook, and which are none of the collection's business."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.dtr.cache.plugins.plugin_utils.actions.module_defaults import MODULES
from ansible_collections.dtr.cache.plugins.plugin_utils.actions.partial_runs import partial_run_problem

PROJECT = Path(__file__).parents[5]
OWN = ("dtr.cache.deploy",)


@pytest.mark.parametrize(
    ("command_line", "beginning"),
    [
        ({"args": OWN, "tags": ("deploy",)}, "--tags would leave out everything"),
        ({"args": OWN, "tags": ("always",)}, "--tags would leave out everything"),
        ({"args": OWN, "skip_tags": ("untagged",)}, "--skip-tags would leave out everything"),
        ({"args": OWN, "start_at_task": "Deploy*"}, "--start-at-task would leave out the check of the settings"),
        ({"args": (str(PROJECT / "playbooks" / "verify.yml"), *OWN), "tags": ("x",)}, "--tags would leave out"),
    ],
)
def test_a_part_is_left_out(command_line: dict[str, t.Any], beginning: str) -> None:
    problem = partial_run_problem({"tags": ("all",), "skip_tags": (), **command_line})
    assert problem is not None
    assert problem.startswith(beginning)


@pytest.mark.parametrize(
    "command_line",
    [
        {},
        {"args": OWN, "tags": ("all",), "skip_tags": ("mine",), "start_at_task": None},
        {"args": OWN, "tags": ("mine", "untagged")},
        # Where others have tags, and tasks to start at.
        {"args": ("site.yml",), "tags": ("mine",), "start_at_task": "Mine"},
        {"args": (*OWN, "site.yml"), "tags": ("mine",)},
        {"args": ("playbooks/verify.yml",), "tags": ("mine",)},
    ],
)
def test_nothing_is_left_out_or_it_is_not_known(
    command_line: dict[str, t.Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert partial_run_problem(command_line) is None


def test_each_role_says_what_is_missing_where_its_first_task_was_left_out() -> None:
    said = set()
    for role in (name for name, modules in MODULES.items() if modules):
        variables = yaml.safe_load((PROJECT / "roles" / role / "vars" / "main.yml").read_text())
        said.add(variables["__dtr_cache"])
    (text,) = said
    assert "the first task, which checks the settings, was left out; run it without --start-at-task" in text
