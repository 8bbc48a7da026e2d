# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A manager that cannot be reached is a failure of the task, and no host that drops out."""

from __future__ import annotations

import time
import typing as t
from unittest import mock

import pytest
from ansible._internal._errors._task_timeout import TaskTimeoutError
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action.normal import ActionModule as NormalAction
from ansible_collections.dtr.cache.plugins.plugin_utils.actions.of_manager import OnManager

VARIABLES: dict[str, t.Any] = {"inventory_hostname": "asia"}


def made(*, ignore_unreachable: bool = False) -> OnManager:
    return OnManager(
        task=mock.MagicMock(ignore_unreachable=ignore_unreachable, _role=None),
        connection=mock.MagicMock(),
        play_context=mock.MagicMock(),
        loader=mock.MagicMock(),
        templar=mock.MagicMock(),
        shared_loader_obj=mock.MagicMock(),
    )


def test_the_modules_result_is_the_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NormalAction, "run", lambda _self, _tmp, _variables: {"changed": True})
    assert made().run(task_vars=VARIABLES) == {"changed": True}


def test_a_module_that_crashes_there_is_told_with_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    crashed = {
        "failed": True,
        "msg": "MODULE FAILURE",
        "module_stderr": "x\nMemoryError: token=abc\n",
        "module_stdout": "",
    }
    monkeypatch.setattr(NormalAction, "run", lambda _self, _tmp, _variables: crashed)
    action = made()
    action._task.action = "dtr.cache.stack_plan"
    result = action.run(task_vars=VARIABLES)
    assert result["failure"]["message"] == "The module dtr.cache.stack_plan crashed on asia: MemoryError: token=***."
    assert result["failed"]
    assert "abc" not in str(result)


def test_a_manager_that_says_nothing_is_a_failure_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(*_args: t.Any) -> t.NoReturn:
        with TaskTimeoutError.alarm_timeout(1):
            time.sleep(20)
        raise AssertionError("the alarm comes first")

    monkeypatch.setattr(NormalAction, "run", hangs)
    action = made(ignore_unreachable=True)
    action._task.timeout = 1
    result = action.run(task_vars=VARIABLES)
    assert (result["failed"], result["failure"]["code"]) == (True, "MANAGER_SILENT")
    assert result["failure"]["message"] == "The manager asia did not answer within 1 seconds."


def test_nothing_else_that_ends_a_task_is_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_args: t.Any) -> t.NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(NormalAction, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        made().run(task_vars=VARIABLES)


def unreachable(*_args: t.Any) -> t.NoReturn:
    raise AnsibleConnectionFailure("no route to host")


def test_an_unreachable_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NormalAction, "run", unreachable)
    result = made().run(task_vars=VARIABLES)
    assert (result["failed"], result["changed"], "unreachable" in result) == (True, False, False)
    assert result["failure"]["code"] == "MANAGER_UNREACHABLE"
    assert result["msg"].startswith("The manager asia cannot be reached: no route to host")


def test_who_ignores_unreachable_hosts_sees_them_as_ansible_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NormalAction, "run", unreachable)
    with pytest.raises(AnsibleConnectionFailure):
        made(ignore_unreachable=True).run(task_vars=VARIABLES)
