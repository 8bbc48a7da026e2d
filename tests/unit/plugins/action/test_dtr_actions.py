# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each module that talks to DTR has an action that runs that very module."""

from __future__ import annotations

import importlib
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.plugin_utils.actions.of_dtr import DtrAction

PLUGINS = "ansible_collections.dtr.cache.plugins"
WITH_PROGRESS = {"adopt", "cache_assignments", "cache_pull", "content_caches"}
WITHOUT = {
    "cache_assignments_info",
    "cache_health",
    "cache_proof",
    "content_caches_info",
    "registry_ca_info",
    "registry_info",
}


def action_of(name: str) -> t.Any:
    return importlib.import_module(f"{PLUGINS}.action.{name}").ActionModule


@pytest.mark.parametrize("name", sorted(WITH_PROGRESS | WITHOUT))
def test_it_runs_the_module_of_its_name(name: str) -> None:
    action = action_of(name)
    assert issubclass(action, DtrAction)
    assert action.module is importlib.import_module(f"{PLUGINS}.modules.{name}").MODULE


@pytest.mark.parametrize("name", sorted(WITH_PROGRESS | WITHOUT))
def test_progress_is_reported_by_the_modules_that_take_a_path_for_it(name: str) -> None:
    takes_path = "progress_path" in action_of(name).module._argument_spec
    assert action_of(name).reports_progress is takes_path is (name in WITH_PROGRESS)
