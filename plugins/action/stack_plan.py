# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The half of M(dtr.cache.stack_plan) that runs on the control node."""

from __future__ import annotations

import json
import typing as t

from ansible.errors import AnsibleConnectionFailure

from ..module_utils.common.failure import Failure
from ..module_utils.module.options import ENGINE_ARGUMENT_SPEC
from ..plugin_utils.actions.of_manager import OnManager, is_end_of_time
from ..plugin_utils.actions.plays import play_of
from ..plugin_utils.actions.problems import manager_out_of_reach
from ..plugin_utils.actions.shared import made_once
from ..plugin_utils.deployment.swarm_questions import of_drift
from ..plugin_utils.fleet.facts import HostFacts
from ..plugin_utils.fleet.plan_result import AskedPlan

Options = dict[str, t.Any]
_OF_ENGINE = {
    *ENGINE_ARGUMENT_SPEC,
    *(alias for each in ENGINE_ARGUMENT_SPEC.values() for alias in each.get("aliases", [])),
}
# What the module's result has for the task itself.
_OF_TASK = ("invocation", "warnings", "deprecations")


class ActionModule(OnManager):
    """Read the Swarm from its manager. What O(preflight) finds wrong fails as M(dtr.cache.preflight) does."""

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        answer = super().run(tmp, task_vars)
        variables = task_vars or {}
        asked = AskedPlan(
            options=self._task.args,
            preflight=variables.get("__dtr_cache") or {},
            host=variables["inventory_hostname"],
            diff=bool(self._task.diff),
            check_mode=bool(self._task.check_mode),
        )
        return asked.result(answer, self._display)

    def _answer(self, tmp: t.Any, variables: dict[str, t.Any]) -> dict[str, t.Any]:
        hosts = self._task.args.get("for_hosts")
        if not hosts:
            return super()._answer(tmp, variables)
        own = HostFacts(variables, play_of(self._task))
        wrong = self._wrong_for_hosts(hosts, own)
        if wrong:
            return {**Failure("INVALID_INPUT", f"for_hosts: {wrong}").as_result(), "failed": True, "changed": False}
        return self._answer_for(hosts, own, tmp, variables)

    def _wrong_for_hosts(self, hosts: t.Any, own: HostFacts) -> str:
        own_options = sorted(set(self._task.args) - _OF_ENGINE - {"for_hosts"})
        if own_options:
            return f"goes with nothing but how the Engine is reached; leave out {', '.join(own_options)}."
        if not isinstance(hosts, list):
            return "must be a list of hosts, such as ansible_play_batch."
        if not own.settings:
            return f"nothing is known of {own.host}; register the result of dtr.cache.preflight as __dtr_cache first."
        return ""

    def _answer_for(
        self, hosts: list[str], own: HostFacts, tmp: t.Any, variables: dict[str, t.Any]
    ) -> dict[str, t.Any]:
        """The answer for this host's stack: the first of the hosts with the same manager asks for all of them."""
        engine = {name: value for name, value in self._task.args.items() if name != "for_hosts"}
        stack = of_drift(own.settings, own.deployment)
        of_task: dict[str, t.Any] = {}

        def ask(stacks: list[Options]) -> dict[str, t.Any]:
            self._task.args = {**engine, "stacks": stacks}
            answer = super(ActionModule, self)._answer(tmp, variables)
            of_task.update({name: answer[name] for name in _OF_TASK if name in answer})
            return {name: answer[name] for name in ("failed", "msg", "failure", "plans") if name in answer}

        def ask_for_all() -> dict[str, t.Any]:
            alike = [own, *self._with_same_manager(hosts, own, variables)]
            stacks = [of_drift(facts.settings, facts.deployment) for facts in alike]
            try:
                answer = ask(stacks)
            except AnsibleConnectionFailure as error:
                return {"unreachable": str(error)}
            except BaseException as error:
                if not is_end_of_time(error):
                    raise
                return {"silent": True}
            plans = zip((facts.host for facts in alike), zip(stacks, answer.pop("plans", [])))
            return {**answer, "plans": dict(plans)}

        made = made_once(json.dumps([str(self._task._uuid), own.manager_mark or own.host, hosts]), ask_for_all)
        if "unreachable" in made:
            raise AnsibleConnectionFailure(made["unreachable"])
        if "silent" in made:
            return self._silent(variables)
        asked, plan = made.pop("plans").get(own.host, (None, None))
        if not made.get("failed") and asked != stack:
            # The first host saw it with other settings.
            made = ask([stack])
            plan = next(iter(made.pop("plans", [])), {})
        # As if it had asked alone.
        self._task.args = {**engine, **stack}
        return {**of_task, "changed": False, **made, **(plan or {})}

    def _with_same_manager(
        self, hosts: list[str], own: HostFacts, variables: t.Mapping[str, t.Any]
    ) -> t.Iterator[HostFacts]:
        for name in hosts if own.manager_mark else []:
            facts = HostFacts(variables["hostvars"][name], play_of(self._task))
            if name != own.host and facts.manager_mark == own.manager_mark:
                yield facts

    def _out_of_reach(self, variables: t.Mapping[str, t.Any], error: AnsibleConnectionFailure) -> dict[str, t.Any]:
        if not self._task.args.get("preflight"):
            return super()._out_of_reach(variables, error)
        return {"problems": [manager_out_of_reach(variables, error)], "changed": False}
