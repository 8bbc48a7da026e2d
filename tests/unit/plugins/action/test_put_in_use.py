# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps run in their order until one fails, and a failure of the cache is explained by its log."""

from __future__ import annotations

import typing as t
from unittest import mock

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.dtr.cache.plugins.action import put_in_use
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.common.names import counted
from ansible_collections.dtr.cache.tests.unit.plugins.action.test_cache_logs_action import FULL
from ansible_collections.dtr.cache.tests.unit.plugins.plugin_utils.fleet.test_in_use import SETTINGS
from ansible_collections.dtr.cache.tests.unit.support.actions import make_action

CONNECTION = {"url": "https://dtr", "username": "admin", "password": "s3cret"}
CHECKED = {"settings": SETTINGS, "judged": ["cache", "registry"], "host": "manager-asia"}
STEPS = ["pull", "assign", "register", "probe"]
FAILED = {"failed": True, "msg": "It fails.", "failure": {"code": "SERVER_ERROR", "http_status": 503}}
Answers = dict[str, dict[str, t.Any]]


class Run(t.NamedTuple):
    """What a task did: its result, the modules that ran with their options, and whether the manager was asked."""

    result: dict[str, t.Any]
    ran: list[tuple[str, dict[str, t.Any]]]
    logs: mock.Mock


def run(
    steps: list[str],
    answers: Answers,
    *,
    logs: t.Any = None,
    connection: t.Any = None,
    facts: dict[str, t.Any] | None = None,
    check_mode: bool = False,
    verbosity: int = 0,
) -> Run:
    display = mock.Mock(verbosity=verbosity)
    action = make_action("put_in_use", {"steps": steps}, check_mode=check_mode, transport="ssh", display=display)
    ran: list[tuple[str, dict[str, t.Any]]] = []

    def run_module(name: str, _module: t.Any, options: dict[str, t.Any], _variables: t.Any) -> dict[str, t.Any]:
        ran.append((name, options))
        return {"changed": False, **answers.get(name, {})}

    known = {
        **CHECKED,
        "settings": {**SETTINGS, "stack_name": "dtr-cache", "logs_since": "1h"},
        "dtr_ca": {"pem": "CA"},
        "engine": {"docker_host": "unix:///var/run/docker.sock"},
    }
    variables = {"inventory_hostname": "manager-asia", "__dtr_cache": known, **(facts or {})}
    asked = mock.Mock(side_effect=logs if isinstance(logs, Exception) else None, return_value=logs or {})
    read = connection or mock.Mock(return_value=dict(CONNECTION))
    with (
        mock.patch.object(action, "_run_module", run_module),
        mock.patch.object(action, "_execute_module", asked),
        mock.patch.object(put_in_use, "dtr_connection", read),
    ):
        return Run(action.run(task_vars=variables), ran, asked)


def test_the_steps_run_in_their_order_with_one_connection() -> None:
    done = run(STEPS, {})
    assert [name for name, _options in done.ran] == [
        "cache_health",
        "content_caches",
        "cache_assignments",
        "cache_pull",
    ]
    for _name, options in done.ran:
        assert {**CONNECTION, "ca_certificate": "CA"}.items() <= options.items()
    assert set(done.result) >= {"probe", "register", "assign", "pull", "cache", "play"}
    assert done.result["changed"] is False
    done.logs.assert_not_called()


def test_what_the_modules_changed_showed_and_warned_of_is_the_tasks() -> None:
    answers: Answers = {
        "content_caches": {"changed": True, "diff": {"after": "a"}, "warnings": ["w"], "created": [{"name": "asia"}]},
        "cache_assignments": {"diff": [{"after": "b"}], "warnings": ["w", "v"]},
        "cache_pull": {"changed": True, "deprecations": [{"msg": "d"}]},
    }
    result = run(STEPS, answers).result
    assert (result["changed"], result["diff"]) == (True, [{"after": "a"}, {"after": "b"}])
    assert (result["warnings"], result["deprecations"]) == (["w", "v"], [{"msg": "d"}])
    assert result["register"] == {"created": [{"name": "asia"}]}


def test_a_pull_alone_changes_nothing() -> None:
    assert run(["pull"], {"cache_pull": {"changed": True}}).result["changed"] is False


@pytest.mark.parametrize(
    ("module", "step", "logs", "words"),
    [
        (
            "cache_health",
            "probe",
            {"findings": [FULL]},
            "It fails. The cache's log, once, at 2026-01-31T12:00:00Z on worker-1: its disk is full. Make room.",
        ),
        ("cache_pull", "pull", {"findings": []}, "It fails. The log of the cache does not explain it."),
        ("cache_pull", "pull", {"failed": True, "msg": "x"}, "It fails. The log of the cache could not be read."),
        ("cache_pull", "pull", AnsibleConnectionFailure("x"), "It fails. The log of the cache could not be read."),
        ("content_caches", "register", {"findings": [FULL]}, "It fails."),
        ("cache_assignments", "assign", {"findings": [FULL]}, "It fails."),
    ],
)
def test_the_first_failure_is_the_last_step(module: str, step: str, logs: t.Any, words: str) -> None:
    done = run(STEPS, {"content_caches": {"changed": True}, module: FAILED}, logs=logs)
    assert done.ran[-1][0] == module
    assert (done.result["failed"], done.result["step"], done.result["msg"]) == (True, step, words)
    assert done.result["failure"]["code"] == "SERVER_ERROR"
    assert done.result["title"] == put_in_use.TITLES[step]
    # What was done before it failed is reported all the same.
    assert done.result["changed"] is (step not in ("probe", "register"))
    assert step in done.result


@pytest.mark.parametrize(
    "why",
    [
        {"failure": {"code": "NOT_THROUGH_CACHE", "http_status": None}},
        {"caches": [{"checks": [{"edge": "client->DTR", "check": "pull", "ok": False, "detail": "x", "hint": None}]}]},
    ],
)
def test_the_log_is_not_asked_for_what_it_cannot_explain(why: dict[str, t.Any]) -> None:
    done = run(["probe"], {"cache_health": {**FAILED, **why}}, logs={"findings": [FULL]})
    assert done.result["msg"] == "It fails."
    done.logs.assert_not_called()


@pytest.mark.parametrize("verbosity", [0, 1])
def test_a_failure_repeats_nothing_that_hides_its_sentence(verbosity: int) -> None:
    accounts = [{"name": f"user{number}"} for number in range(10_000)]
    answers = {"cache_assignments": {"changed_accounts": accounts, "unchanged": 1}, "cache_pull": FAILED}
    result = run(STEPS, answers, logs={"findings": []}, verbosity=verbosity).result
    assert (len(result["assign"]["changed_accounts"]) == 10_000) is (verbosity > 0)
    assert (result["failure"], counted(result["assign"], "changed_accounts")) == (FAILED["failure"], 10_000)


@pytest.mark.parametrize(
    "plan", [{"unreachable": True}, {"failed": True, "failure": {"code": "MANAGER_SILENT"}}, {"no": "engine"}]
)
def test_a_manager_that_is_lost_is_not_waited_for_again(plan: dict[str, t.Any]) -> None:
    facts: dict[str, t.Any] = {"__dtr_cache_plan": plan}
    if "no" in plan:
        facts = {"__dtr_cache": {**CHECKED, "engine": {}}}
    done = run(["probe"], {"cache_health": FAILED}, facts=facts)
    assert done.result["msg"] == "It fails."
    done.logs.assert_not_called()


def test_a_step_of_an_earlier_task_stays_known_as_long_as_it_is_of_this_cache() -> None:
    earlier = {"register": {"created": []}, "pull": {"pulls": ["an old one"]}}
    facts = {"__dtr_cache_in_use": {**earlier, "cache": "asia"}}
    result = run(["pull"], {"cache_pull": {"pulls": []}}, facts=facts).result
    assert (result["register"], result["pull"]) == ({"created": []}, {"pulls": []})
    facts = {"__dtr_cache_in_use": {**earlier, "cache": "europe"}}
    assert "register" not in run(["pull"], {}, facts=facts).result


def test_where_there_is_nothing_to_do_the_task_is_skipped() -> None:
    facts = {"__dtr_cache_planned": ["asia"]}
    done = run(["probe", "pull"], {}, facts=facts, check_mode=True)
    assert (done.ran, done.result["skipped"], done.result["changed"]) == ([], True, False)


def test_a_connection_that_is_not_described_is_the_failure() -> None:
    read = mock.Mock(side_effect=Failure("INVALID_SETTINGS", "The DTR cannot be reached: x"))
    done = run(STEPS, {}, connection=read)
    assert (done.ran, done.result["failed"]) == ([], True)
    assert done.result["msg"] == "The DTR cannot be reached: x"


def test_without_the_first_task_of_its_play_it_says_so() -> None:
    # As a role has it until the task has run.
    done = run(STEPS, {}, facts={"__dtr_cache": "{{ undef(hint='x') }}"})
    assert (done.ran, done.result["failed"]) == ([], True)
    assert "was left out; run it without --start-at-task" in done.result["msg"]
    assert "register its result as __dtr_cache" in done.result["msg"]


@pytest.mark.parametrize(
    ("checked", "sentence"),
    [
        ({"failed": True, "msg": "No."}, "were not checked: dtr.cache.preflight failed, was skipped, or ran in a loop"),
        ({"skipped": True}, "were not checked: dtr.cache.preflight failed, was skipped, or ran in a loop"),
        ({"results": [{"settings": SETTINGS}]}, "were not checked: dtr.cache.preflight failed, was skipped"),
        (
            {**CHECKED, "problems": ["a is wrong", "b too"]},
            "have 2 problems; nothing has been changed.\n  - a is wrong",
        ),
        ({**CHECKED, "judged": ["registry"]}, "has not checked: cache. Add that to its needs"),
        ({**CHECKED, "host": "oz"}, "are those of oz"),
    ],
)
def test_nothing_is_done_with_settings_that_were_not_found_right(checked: dict[str, t.Any], sentence: str) -> None:
    done = run(STEPS, {}, facts={"__dtr_cache": checked})
    assert (done.ran, done.result["failed"]) == ([], True)
    assert sentence in done.result["msg"]


def test_accounts_are_assigned_where_the_cache_itself_is_not_described() -> None:
    known = {**CHECKED, "judged": ["registry"], "dtr_ca": None}
    assert not run(["assign"], {}, facts={"__dtr_cache": known}).result.get("failed")
