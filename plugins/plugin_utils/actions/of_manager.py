# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions of the modules that read a Swarm."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action.normal import ActionModule as NormalAction

from .forks import SharedByForks
from .keep_alive import keep_alive
from .plays import as_fact
from .reasons import explained, out_of_reach, too_late
from .words import speak_as_called


class OnManager(SharedByForks, NormalAction):
    """Run the module; a manager that cannot be reached is a failure like any other.

    An unreachable host would drop out of the play, past the clean-up and the summary. Who sets C(ignore_unreachable)
    handles that. So is one that says nothing until the task's C(timeout) is over, and a module that crashes there.
    """

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        return as_fact(self._run(tmp, task_vars), self._task, task_vars or {})

    def _run(self, tmp: t.Any, task_vars: dict[str, t.Any] | None) -> dict[str, t.Any]:
        speak_as_called(self._task)
        keep_alive(self._connection)
        variables = task_vars or {}
        try:
            return self._answer(tmp, variables)
        except AnsibleConnectionFailure as error:
            if self._task.ignore_unreachable:
                raise
            return self._out_of_reach(variables, error)
        except BaseException as error:
            # Ansible's own end of a task; its class has no public place, and another one in each version.
            if type(error).__name__ != "TaskTimeoutError":
                raise
            return self._silent(variables)

    def _answer(self, tmp: t.Any, variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """The module's result."""
        return explained(NormalAction.run(self, tmp, variables), self._task.action, variables["inventory_hostname"])

    def _silent(self, variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        failure = too_late(variables["inventory_hostname"], self._task.timeout)
        return {**failure.as_result(), "failed": True, "changed": False}

    def _out_of_reach(self, variables: t.Mapping[str, t.Any], error: AnsibleConnectionFailure) -> dict[str, t.Any]:
        failure = out_of_reach(variables["inventory_hostname"], error)
        return {**failure.as_result(), "failed": True, "changed": False}
