# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installing what modules need on a manager, by Ansible's own action for the manager's kind of system."""

from __future__ import annotations

import contextlib
import typing as t

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ...module_utils.common.failure import Failure
from .deadline import TooLate, within

# A package manager may have to fetch its lists first, and to wait for another one.
SECONDS = 900


def installed(action: ActionBase, packages: t.Sequence[str], variables: dict[str, t.Any]) -> bool:
    """Whether packages were installed on the action's host; those that are there already are left alone.

    Raises:
        Failure: C(NOT_INSTALLED).
    """
    task = action._task.copy()
    task.args = {"name": list(packages), "state": "present"}
    package = action._shared_loader_obj.action_loader.get(
        "ansible.builtin.package",
        task=task,
        connection=action._connection,
        play_context=action._play_context,
        loader=action._loader,
        templar=action._templar,
        shared_loader_obj=action._shared_loader_obj,
    )
    # That the manager cannot be reached, the question to its Swarm reports.
    with contextlib.suppress(AnsibleConnectionFailure):
        try:
            with within(SECONDS):
                result = package.run(task_vars=variables)
        except TooLate:
            raise Failure(
                "NOT_INSTALLED",
                f"dtr_cache_install_requirements: the packages were not installed within {SECONDS} seconds; install "
                f"{', '.join(packages)} on the manager, or find out what its package manager waits for",
            ) from None
        if result.get("failed"):
            reason = result.get("msg", "no reason given")
            raise Failure("NOT_INSTALLED", f"dtr_cache_install_requirements: {reason}")
        return bool(result.get("changed"))
    return False
