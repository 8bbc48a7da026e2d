# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An action that asks a Swarm by the modules that are sent to its manager, each with a deadline of its own."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ..actions.deadline import TooLate, within
from ..actions.paths import control_path_of_host
from ..actions.problems import manager_out_of_reach, manager_silent
from ..actions.reasons import explained, reason_of
from ..deployment.stack_plan import of_plan, of_prerequisites
from ..settings.model import Settings
from ..settings.variables import connection_mark
from .plan_result import AskedPlan

PREFLIGHT = "dtr.cache.preflight"
PLAN = "dtr.cache.stack_plan"
# The Engine may ask a registry for the image meanwhile.
SECONDS_FOR_SWARM = 60
# What the task that the plan is made in has as well, and has it of the plan.
OF_TASK = ("changed", "diff", "warnings", "deprecations")

Variables = dict[str, t.Any]


class AsksSwarm(ActionBase):
    """Asks the Swarm whose manager the task's host is."""

    def _manager_mark(self, settings: Settings, variables: Variables) -> str | None:
        """What hosts have in common that reach the same manager in the same way; nothing where it cannot be told."""
        if self._task.delegate_to:
            return None
        become = self._connection.become
        environment: dict[str, t.Any] = {}
        self._compute_environment_string(environment)
        way = {
            "connection": (self._connection.transport, self._connection.get_options()),
            "address": (self._play_context.remote_addr, self._play_context.port, self._play_context.remote_user),
            "become": (become.name, become.get_options()) if become else None,
            "python": self._templar.template(variables.get("ansible_python_interpreter")),
            "environment": environment,
            # It is unpacked for each host anew.
            "bundle": settings.client_bundle and control_path_of_host(settings.client_bundle, variables),
        }
        return connection_mark({**({} if settings.client_bundle else settings.engine), **way})

    def _running(self, settings: Settings, engine: t.Mapping[str, t.Any], variables: Variables) -> dict[str, t.Any]:
        """What the Swarm has of the cache, as M(dtr.cache.stack_plan) says it; nothing where it cannot be asked."""
        answer = self._answer(PLAN, {**engine, "name": settings.stack_name}, variables)
        return {} if "problems" in answer else answer

    def _swarm_problems(
        self, settings: Settings, engine: t.Mapping[str, t.Any], variables: Variables, warnings: list[str]
    ) -> list[str]:
        """What of the Swarm stands against the settings."""
        # Not what a play says of the Engine for tasks of its own.
        options = {"needs": self._task.args["needs"], **engine, **of_prerequisites(settings)}
        answer = self._answer(PREFLIGHT, options, variables)
        warnings.extend(answer.get("warnings") or [])
        if "problems" in answer:
            return list(answer["problems"])
        return [f"the Swarm cannot be asked: {reason_of(answer, variables['inventory_hostname'])}"]

    def _planned(
        self, settings: Settings, preflight: t.Mapping[str, t.Any], variables: Variables
    ) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
        """What a deployment would change, and what of it is the task's; a plan that failed has a C(msg)."""
        diff = bool(self._task.diff)
        options = {**preflight["engine"], **of_plan(settings, preflight["deployment"], diff=diff)}
        host = variables["inventory_hostname"]
        asked = AskedPlan(options, preflight, host, diff, bool(self._task.check_mode))
        plan = asked.result(explained(self._answer(PLAN, options, variables), PLAN, host), self._display)
        of_task = {name: plan.pop(name) for name in OF_TASK if name in plan}
        kept = {
            name: value for name, value in plan.items() if name != "invocation" and not name.startswith("_ansible_")
        }
        return kept, of_task

    def _answer(self, module: str, options: t.Mapping[str, t.Any], variables: Variables) -> dict[str, t.Any]:
        """The module's result; that the manager gives none is one of its C(problems)."""
        try:
            with within(SECONDS_FOR_SWARM):
                return dict(self._execute_module(module_name=module, module_args=dict(options), task_vars=variables))
        except TooLate:
            return {"problems": [manager_silent(variables, SECONDS_FOR_SWARM)]}
        except AnsibleConnectionFailure as error:
            return {"problems": [manager_out_of_reach(variables, error)]}
