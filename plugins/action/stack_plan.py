# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The half of M(dtr.cache.stack_plan) that runs on the control node."""

from __future__ import annotations

import contextlib
import json
import typing as t

from ansible.errors import AnsibleConnectionFailure

from ..module_utils.common.failure import Failure
from ..module_utils.module.options import ENGINE_ARGUMENT_SPEC
from ..plugin_utils.actions.ansible_internals import unique_id
from ..plugin_utils.actions.deadline import TooLate, within
from ..plugin_utils.actions.of_manager import OnManager
from ..plugin_utils.actions.plays import play_of
from ..plugin_utils.actions.problems import manager_out_of_reach
from ..plugin_utils.actions.shared import made_once
from ..plugin_utils.deployment.stack_plan import of_drift
from ..plugin_utils.fleet.facts import HostFacts
from ..plugin_utils.fleet.plan_result import AskedPlan

Options = dict[str, t.Any]
_OF_ENGINE = {
    *ENGINE_ARGUMENT_SPEC,
    *(alias for each in ENGINE_ARGUMENT_SPEC.values() for alias in each.get("aliases", [])),
}
# What of the module's result is that of all hosts.
_SHARED = ("failed", "msg", "failure", "plans", "ansible_facts")
_SECONDS_BEFORE = 10


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
        own = HostFacts(variables, play_of(self._task))
        wrong = self._wrong_options(own, variables)
        if wrong:
            return {**Failure("INVALID_INPUT", wrong).as_result(), "failed": True, "changed": False}
        if "for_hosts" in self._task.args:
            return self._answer_for(own, tmp, variables)
        return super()._answer(tmp, variables)

    def _wrong_options(self, own: HostFacts, variables: t.Mapping[str, t.Any]) -> str:
        """What Ansible cannot find itself, as it does not know which options have only their defaults."""
        given = self._task.args
        for option, content in (("for_hosts", "hosts, such as ansible_play_batch"), ("stacks", "stacks")):
            if option not in given:
                continue
            others = sorted(set(given) - _OF_ENGINE - {option})
            if others:
                return f"{option}: goes with nothing but how the Engine is reached; leave out {', '.join(others)}."
            if not isinstance(given[option], list) or not given[option]:
                return f"{option}: must be a list of {content}."
        if "for_hosts" in given:
            known = variables["hostvars"]
            unknown = [str(name) for name in given["for_hosts"] if not (isinstance(name, str) and name in known)]
            if unknown:
                return f"for_hosts: the inventory has no host {', '.join(unknown)}."
            if not own.settings:
                return (
                    f"for_hosts: nothing is known of {own.host}; register the result of dtr.cache.preflight as "
                    "__dtr_cache first."
                )
        return ""

    def _answer_for(self, own: HostFacts, tmp: t.Any, variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """The answer for this host's stack: the first of the hosts with the same manager asks for all of them."""
        engine = {name: value for name, value in self._task.args.items() if name != "for_hosts"}
        hosts = self._task.args["for_hosts"]
        stack = of_drift(own.settings, own.deployment)
        of_task: dict[str, t.Any] = {}

        def ask(stacks: list[Options]) -> dict[str, t.Any]:
            self._task.args = {**engine, "stacks": stacks}
            answer = super(ActionModule, self)._answer(tmp, variables)
            of_task.update({name: value for name, value in answer.items() if name not in _SHARED})
            return {name: answer[name] for name in _SHARED if name in answer}

        def ask_for_all() -> dict[str, t.Any]:
            alike = [own, *self._with_same_manager(hosts, own, variables)]
            stacks = [of_drift(facts.settings, facts.deployment) for facts in alike]
            try:
                # Before the time of those is over that wait for it.
                limit = self._task.timeout
                with within(max(1, limit - _SECONDS_BEFORE)) if limit else contextlib.nullcontext():
                    answer = ask(stacks)
            except AnsibleConnectionFailure as error:
                return {"unreachable": str(error)}
            except TooLate:
                return {"silent": True}
            plans = zip((facts.host for facts in alike), zip(stacks, answer.pop("plans", [])))
            return {**answer, "plans": dict(plans)}

        made = made_once(json.dumps([unique_id(self._task), own.manager_mark or own.host, hosts]), ask_for_all)
        if "unreachable" in made:
            raise AnsibleConnectionFailure(made["unreachable"])
        if "silent" in made:
            return self._silent(variables)
        asked, plan = made.pop("plans").get(own.host, (None, None))
        is_crash_of_another = not of_task and (made.get("failure") or {}).get("code") == "MODULE_CRASHED"
        # A crash names its host; and the first host may have seen other settings of this one.
        if is_crash_of_another or (asked != stack and not made.get("failed")):
            made = ask([stack])
            plan = next(iter(made.pop("plans", [])), None)
        # As if it had asked alone.
        self._task.args = {**engine, **stack}
        warnings = [*of_task.pop("warnings", []), *(plan or {}).pop("warnings", [])]
        return {**of_task, "changed": False, **made, **(plan or {}), **({"warnings": warnings} if warnings else {})}

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
