# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the log explains is worked out on the control node."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.plugin_utils.actions.of_manager import OnManager
from ansible_collections.dtr.cache.tests.unit.support.actions import make_action

FAILED = {"msg": "It fails.", "failure": {"http_status": 503}}
FULL = {
    "cause": "disk_full",
    "edge": "storage",
    "summary": "its disk is full",
    "hint": "Make room.",
    "current": True,
    "count": 1,
    "last_seen": "2026-01-31T12:00:00Z",
    "nodes": ["worker-1"],
}


@pytest.mark.parametrize(
    ("answer", "explanation"),
    [
        (
            {"findings": [FULL]},
            "The cache's log, once, at 2026-01-31T12:00:00Z on worker-1: its disk is full. Make room.",
        ),
        ({"findings": []}, None),
        ({"failed": True, "msg": "The Engine is away."}, None),
    ],
)
def test_a_failure_is_explained_and_not_sent(
    monkeypatch: pytest.MonkeyPatch, answer: dict[str, t.Any], explanation: str | None
) -> None:
    sent: list[dict[str, t.Any]] = []

    def run(action: t.Any, _tmp: t.Any, _variables: t.Any) -> dict[str, t.Any]:
        sent.append(dict(action._task.args))
        return dict(answer)

    monkeypatch.setattr(OnManager, "run", run)
    action = make_action("cache_logs_info", {"name": "dtr-cache", "explains": FAILED})
    # The second time as for a task with until.
    for _time in range(2):
        assert action.run(task_vars={}) == {**answer, "explanation": explanation}
    assert sent == [{"name": "dtr-cache"}] * 2
    assert "explanation" not in make_action("cache_logs_info", {"name": "dtr-cache"}).run(task_vars={})
