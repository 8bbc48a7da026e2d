# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions of the modules that talk to DTR: where the module runs, and what it is given."""

from __future__ import annotations

import sys
import typing as t
from unittest import mock

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.module.base import Module
from ansible_collections.dtr.cache.plugins.module_utils.module.of_dtr import DtrModule
from ansible_collections.dtr.cache.plugins.plugin_utils.actions import of_dtr

ARGUMENTS = {"url": "https://dtr.example.org", "username": "admin", "password": "s3cret-of-the-test"}


def work(module: Module) -> dict[str, t.Any]:
    return {"check": module.check_mode, "diff": {"after": "x"}, "path": module.params["progress_path"]}


class Action(of_dtr.DtrAction):
    module = DtrModule(work, {"progress_path": {"type": "path"}})
    reports_progress = True


def made(**task: t.Any) -> Action:
    """The action of a task on the control node."""
    connection = mock.MagicMock(transport="local", become=None)
    keywords = {
        "args": ARGUMENTS,
        "async_val": 0,
        "check_mode": False,
        "diff": False,
        "environment": [],
        "delegate_to": None,
        **task,
    }
    action = Action(
        task=mock.MagicMock(**{"_role": None, **keywords}),
        connection=connection,
        play_context=mock.MagicMock(),
        loader=mock.MagicMock(),
        templar=mock.MagicMock(template=lambda value: value),
        shared_loader_obj=mock.MagicMock(),
    )
    action._execute_module = mock.Mock(return_value={"sent": True})
    return action


@pytest.fixture(autouse=True)
def linux_and_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(of_dtr, "read_by_people", lambda: False)


def run(action: Action, **variables: t.Any) -> dict[str, t.Any]:
    return action.run(task_vars={"inventory_hostname": "asia", **variables})


def test_in_this_process_where_the_task_is_for_the_control_node() -> None:
    action = made(check_mode=True, diff=True)
    result = run(action)
    assert (result["check"], result["diff"]) == (True, {"after": "x"})
    assert not t.cast("mock.Mock", action._execute_module).called


@pytest.mark.parametrize(
    ("python", "here"),
    [(None, True), ("auto_silent", True), (sys.executable, True), ("/usr/bin/another-python", False)],
)
def test_the_interpreter_decides_as_well(python: str | None, here: bool) -> None:
    action = made()
    assert ("sent" not in run(action, ansible_python_interpreter=python)) is here


def test_that_of_the_host_a_task_is_delegated_to_counts() -> None:
    delegated = {"localhost": {"ansible_python_interpreter": sys.executable}}
    variables = {"ansible_python_interpreter": "/usr/bin/another-python", "ansible_delegated_vars": delegated}
    assert "sent" not in run(made(delegate_to="localhost"), **variables)


@pytest.mark.parametrize("difference", ["transport", "become", "async", "platform"])
def test_sent_everywhere_else(monkeypatch: pytest.MonkeyPatch, difference: str) -> None:
    if difference == "platform":
        monkeypatch.setattr(sys, "platform", "darwin")
    action = made(async_val=60 if difference == "async" else 0)
    if difference == "transport":
        action._connection.transport = "ssh"
    if difference == "become":
        action._connection.become = mock.MagicMock()
    assert run(action)["sent"]
    call = t.cast("mock.Mock", action._execute_module).call_args.kwargs
    assert call["module_name"] == f"dtr.cache.{__name__.rpartition('.')[2]}"
    assert call["module_args"] == ARGUMENTS
    assert call["wrap_async"] == action._task.async_val


def test_progress_has_a_path_only_where_people_read_and_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_dtr, "read_by_people", lambda: True)
    assert "dtr-cache-progress-" in run(made())["path"]
    later = made(async_val=60)
    assert run(later)["sent"]
    assert "progress_path" not in t.cast("mock.Mock", later._execute_module).call_args.kwargs["module_args"]


def test_no_progress_in_output_that_is_parsed() -> None:
    assert run(made())["path"] is None


def test_the_result_says_how_the_module_was_called_where_ansible_wants_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_dtr, "_shows_invocation", lambda _variables: True)
    assert run(made())["invocation"]["module_args"]["url"] == ARGUMENTS["url"]
