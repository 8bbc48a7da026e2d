# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs an action in this process as a strategy would run it for one host."""

from __future__ import annotations

import importlib
import typing as t
from unittest import mock

from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play import Play
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins.loader import connection_loader
from ansible.template import Templar


def make_action(
    name: str,
    args: dict[str, t.Any],
    *,
    play: Play | None = None,
    check_mode: bool = False,
    display: t.Any = None,
    transport: str = "local",
) -> t.Any:
    """The action C(dtr.cache.NAME) of a task."""
    module = importlib.import_module(f"ansible_collections.dtr.cache.plugins.action.{name}")
    loader = DataLoader()
    task = Task()
    task.args = args
    task.check_mode = check_mode
    task.async_val = 0
    connection = connection_loader.get(transport, PlayContext(), "/dev/null")
    action = module.ActionModule(
        task=task,
        connection=connection,
        play_context=PlayContext(),
        loader=loader,
        templar=Templar(loader=loader),
        shared_loader_obj=None,
    )
    # As Ansible's loader of plugins does.
    action._load_name = f"dtr.cache.{name}"
    task.get_play = lambda: play or Play()
    action._display = display or mock.Mock()
    return action
