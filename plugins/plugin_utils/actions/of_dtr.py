# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions of the modules that talk to DTR: they run in Ansible's own process where that is possible."""

from __future__ import annotations

import contextlib
import sys
import typing as t

from ansible import constants
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.vars import merge_hash

from ...module_utils.module.of_dtr import DtrModule
from .forks import SharedByForks
from .in_process import Task, run_here
from .plays import as_fact
from .progress_lines import progress_shown, read_by_people
from .words import speak_as_called


class DtrAction(SharedByForks, ActionBase):
    """Runs the module of the action's name: where the task is one for the control node in this process, or else there.

    One with C(reports_progress) takes C(progress_path), and how far it got is shown from time to time. A task with
    C(async) runs without, since Ansible waits for it elsewhere.
    """

    # Loaded with the action, which Ansible does before it makes the processes of the tasks.
    module: t.ClassVar[DtrModule]
    reports_progress: t.ClassVar[bool] = False

    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        speak_as_called(self._task)
        result: dict[str, t.Any] = super().run(tmp, variables)
        with self._progress_path(self._name, variables, long=self.reports_progress) as path:
            arguments = {**self._task.args, **({"progress_path": path} if path else {})}
            answer = self._run_module(self._name, self.module, arguments, variables)
        return as_fact(merge_hash(result, answer), self._task, variables)

    @property
    def _name(self) -> str:
        return type(self).__module__.rpartition(".")[2]

    @property
    def _verbosity(self) -> int:
        """How much to show; results that are read on in this process are whole."""
        return int(self._display.verbosity)

    def _progress_path(
        self, module: str, variables: t.Mapping[str, t.Any], *, long: bool
    ) -> contextlib.AbstractContextManager[str | None]:
        title = f"{module} ({variables.get('inventory_hostname', '')})"
        return progress_shown(title, long and read_by_people() and not self._task.async_val)

    def _run_module(
        self, module: str, declaration: DtrModule, arguments: dict[str, t.Any], variables: dict[str, t.Any]
    ) -> dict[str, t.Any]:
        name = f"dtr.cache.{module}"
        if not self._is_for_this_process(variables):
            answer = self._execute_module(
                module_name=name, module_args=arguments, task_vars=variables, wrap_async=self._task.async_val
            )
            return t.cast("dict[str, t.Any]", answer)
        self._display.vvv(f"{name} runs in Ansible's own process", host=variables.get("inventory_hostname"))
        environment: dict[str, t.Any] = {}
        self._compute_environment_string(environment)
        task = Task(
            name,
            arguments,
            check_mode=bool(self._task.check_mode),
            diff=bool(self._task.diff),
            invocation=_shows_invocation(variables),
            verbosity=self._verbosity,
            environment={name: str(value) for name, value in environment.items()},
        )
        return run_here(declaration, task)

    def _is_for_this_process(self, variables: t.Mapping[str, t.Any]) -> bool:
        """Whether Ansible would run the module on this machine, as this user, with this Python."""
        of_host = (variables.get("ansible_delegated_vars") or {}).get(self._task.delegate_to, variables)
        python = self._templar.template(of_host.get("ansible_python_interpreter") or "auto")
        return (
            self._connection.transport == "local"
            and not self._connection.become
            and not self._task.async_val
            # There, what asks for proxies and addresses does not bear to run after a fork.
            and sys.platform != "darwin"
            and (python == sys.executable or python.startswith("auto"))
        )


def _shows_invocation(variables: t.Mapping[str, t.Any]) -> bool:
    """Whether results say how the module was called. Before there was the setting all did, and callbacks hid it."""
    try:
        return bool(constants.config.get_config_value("INJECT_INVOCATION", variables=variables))
    except AnsibleError:
        return True
