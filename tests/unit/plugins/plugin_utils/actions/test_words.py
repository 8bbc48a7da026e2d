# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""In whose words a task speaks."""

from __future__ import annotations

import os
import typing as t
from unittest import mock

import pytest
from ansible.playbook.task import Task
from ansible_collections.dtr.cache.plugins.module_utils.common.vocabulary import ROLES, VARIABLE, word
from ansible_collections.dtr.cache.plugins.plugin_utils.actions.words import speak_as_called


@pytest.fixture(autouse=True)
def _own_environment() -> t.Iterator[None]:
    with mock.patch.dict(os.environ):
        yield


def task_of(role: str | None, environment: t.Any = None) -> Task:
    task = Task()
    task._role = mock.Mock(get_name=lambda: role) if role else None
    task.environment = environment
    return task


def test_a_task_of_one_of_our_roles() -> None:
    own = {"HTTPS_PROXY": "http://proxy.example"}
    task = task_of("dtr.cache.registration", [own])
    speak_as_called(task)
    assert word("url") == "dtr_cache_registry_url"
    assert task.environment == [own, {VARIABLE: ROLES}], "a module that is sent gets it by the task's"


@pytest.mark.parametrize("role", [None, "registration", "somebody.else.registration", "dtr.cachet.registration"])
def test_any_other_task(role: str | None) -> None:
    os.environ[VARIABLE] = ROLES
    task = task_of(role)
    speak_as_called(task)
    assert (word("url"), task.environment) == ("url", None)
