# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: what is asked, what differs, and what stands against it."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.plugin_utils.awx.definitions import Definition
from ansible_collections.dtr.cache.plugins.plugin_utils.awx.installed import collection_for, missing_for_awx
from ansible_collections.dtr.cache.plugins.plugin_utils.awx.plan import plan, reason_of

PROJECT = Definition("project", "p", {"name": "p"})
TEMPLATE = Definition("job_template", "t", {"name": "t", "project": "p"}, (PROJECT.key,), {"credentials": ["c"]})
SCHEDULE = Definition("schedule", "s", {"name": "s"}, (TEMPLATE.key,))
ALL = [PROJECT, TEMPLATE, SCHEDULE]


def planned(answers: t.Mapping[str, dict[str, t.Any]]) -> tuple[list[str], list[str], list[t.Mapping[str, t.Any]]]:
    asked = []

    def ask(definition: Definition) -> dict[str, t.Any]:
        asked.append(definition.options)
        return answers.get(definition.kind, {"changed": False, "id": 1})

    found = plan(ALL, ask)
    return [state for _definition, state in found.states], found.problems, asked


def test_what_is_as_wanted_is_unchanged() -> None:
    assert planned({}) == (["unchanged"] * 3, [], [each.options for each in ALL])


def test_what_differs_is_updated_and_what_is_not_there_created() -> None:
    states, _problems, _asked = planned(
        {"schedule": {"changed": True, "id": 3}, "job_template": {"changed": True, "id": 2}}
    )
    assert states == ["unchanged", "updated", "updated"]
    states, _problems, _asked = planned({"schedule": {"changed": True}})
    assert states == ["unchanged", "unchanged", "created"]


def test_what_refers_to_something_missing_is_asked_only_about_what_others_have_made() -> None:
    states, problems, asked = planned({"project": {"changed": True}, "job_template": {"changed": True}})
    assert (states, problems) == (["created"] * 3, [])
    assert asked == [{"name": "p"}, {"credentials": ["c"]}]


def test_all_problems_are_named_each_once() -> None:
    absent = "Request to /api/v2/credentials/?name=a+b returned 0 items, expected 1"
    failed = {"failed": True, "msg": absent}
    _states, problems, _asked = planned({"job_template": failed, "schedule": failed})
    assert problems == ["job template t and 1 more: there is no credential a b"]


def test_without_a_controller_nothing_more_is_asked() -> None:
    _states, problems, asked = planned({"project": {"failed": True, "msg": "Invalid authentication credentials"}})
    assert problems == ["project p: Invalid authentication credentials"]
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Request to /api/v2/organizations/?name=Ops returned 0 items, expected 1", "there is no organization Ops"),
        ("Request to /x/api/v2/credentials/?name=a returned 2 items, expected 1", "2 credentials are called a"),
        ("any other", "any other"),
        ("", "no reason was given"),
    ],
)
def test_a_reason_is_in_words(message: str, reason: str) -> None:
    assert reason_of({"failed": True, "msg": message}) == reason


def test_the_collection_that_is_installed_is_taken() -> None:
    assert collection_for("", lambda name: name == "awx.awx.job_template") == "awx.awx"
    assert collection_for("", lambda _name: True) == "ansible.controller"
    assert collection_for("awx.awx", lambda _name: True) == "awx.awx"
    with pytest.raises(
        Failure, match=r"ansible.controller is not installed; install it: ansible-galaxy collection install"
    ):
        collection_for("ansible.controller", lambda name: "awx.awx" in name)
    with pytest.raises(Failure, match=r"are both not installed; install one of them: .* install awx.awx"):
        collection_for("", lambda _name: False)


def test_what_is_missing_is_named_together() -> None:
    missing = list(missing_for_awx({"project_url": "", "collection": "ansible.controller"}))
    assert [each.partition(":")[0] for each in missing] == ["dtr_cache_awx_project_url", "dtr_cache_awx_collection"]


def test_a_credential_type_that_awx_keeps_is_explained() -> None:
    refused = "You don't have permission to PATCH to /api/v2/credential_types/3/ (HTTP 403)."
    assert "dtr_cache_awx_prefix" in reason_of({"failed": True, "msg": refused})
    other = refused.replace("credential_types", "teams")
    assert "dtr_cache_awx_prefix" not in reason_of({"failed": True, "msg": other})
