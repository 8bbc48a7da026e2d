# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action that puts the definitions into AWX: all of them are planned before any of them is applied."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.action import awx_content
from ansible_collections.dtr.cache.plugins.plugin_utils.awx.definitions import definitions
from ansible_collections.dtr.cache.tests.unit.plugins.plugin_utils.awx.test_awx_definitions import ALL
from ansible_collections.dtr.cache.tests.unit.support.actions import make_action

Result = dict[str, t.Any]


class Modules:
    """The modules of C(awx.awx), which find nothing there and remember how they were called."""

    def __init__(self, **answers: Result) -> None:
        self.answers = answers
        self.called: list[tuple[str, bool]] = []
        self.action: t.Any = None

    def __call__(self, module_name: str, **_given: t.Any) -> Result:
        check_mode = self.action._task.check_mode
        kind = module_name.removeprefix("awx.awx.")
        self.called.append((kind, check_mode))
        real = self.answers.get(f"real_{kind}") if not check_mode else None
        return real or self.answers.get(kind, {"changed": True})

    def real(self) -> int:
        return sum(not check_mode for _kind, check_mode in self.called)


def run(monkeypatch: pytest.MonkeyPatch, modules: Modules, *, check_mode: bool = False) -> Result:
    monkeypatch.setattr(awx_content, "finds_module", lambda name: name.startswith("awx.awx."))
    action = modules.action = make_action("awx_content", dict(ALL), check_mode=check_mode)
    action._execute_module = modules
    return t.cast("Result", action.run(task_vars={}))


def test_check_mode_says_what_would_be_done_and_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    modules = Modules()
    planned = run(monkeypatch, modules, check_mode=True)
    assert planned["changed"] is True
    assert modules.real() == 0
    assert run(monkeypatch, modules)["changes"] == planned["changes"]
    assert modules.real() == len(definitions(ALL)) == len(planned["objects"])


def test_what_is_as_described_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {definition.kind for definition in definitions(ALL)}
    modules = Modules(**{kind: {"changed": False, "id": 1} for kind in kinds})
    result = run(monkeypatch, modules)
    assert (result["changed"], result["changes"], modules.real()) == (False, [], 0)
    assert result["collection"] == "awx.awx"


def test_nothing_is_changed_when_something_stands_against_it(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = "Request to /api/v2/credentials/?name=managers returned 0 items, expected 1"
    modules = Modules(job_template={"failed": True, "msg": absent})
    result = run(monkeypatch, modules)
    assert result["failed"] is True
    assert modules.real() == 0
    assert "nothing has been changed" in result["msg"]
    assert "job template dtr-cache adopt: there is no credential managers" in result["msg"]
    assert "CONTROLLER_HOST" not in result["msg"]


def test_without_a_controller_it_says_how_to_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    modules = Modules(credential_type={"failed": True, "msg": "Invalid authentication credentials (HTTP 401)."})
    result = run(monkeypatch, modules)
    assert len(modules.called) == 1
    assert "credential type dtr-cache DTR: Invalid authentication credentials" in result["msg"]
    assert "CONTROLLER_HOST is the address" in result["msg"]


def test_a_failure_on_the_way_says_what_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, Modules(real_project={"failed": True, "msg": "Project update failed"}))
    assert result["failed"] is True
    assert result["changed"] is True
    assert result["msg"].startswith(
        "project dtr-cache project: Project update failed. 5 objects were changed before it"
    )
