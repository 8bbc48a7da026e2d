# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""M(dtr.cache.put_in_use): probes, registers, assigns and pulls, each by its module, in one task."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleConnectionFailure

from ..module_utils.common.failure import Failure
from ..module_utils.module.of_dtr import DtrModule
from ..modules import cache_assignments, cache_health, cache_pull, content_caches
from ..plugin_utils.actions.deadline import TooLate, within
from ..plugin_utils.actions.keep_alive import keep_alive
from ..plugin_utils.actions.of_dtr import DtrAction
from ..plugin_utils.actions.plays import as_fact, play_of
from ..plugin_utils.actions.problems import problems_as_result
from ..plugin_utils.actions.words import speak_of_variables
from ..plugin_utils.fleet.facts import HostFacts
from ..plugin_utils.fleet.in_use import SHOWN_IN_LOG, STEPS, Use, in_brief, unusable
from ..plugin_utils.settings.variables import dtr_connection

ARGUMENT_SPEC = {
    "steps": {"type": "list", "elements": "str", "choices": list(STEPS), "required": True},
    "swarm": {"type": "dict", "default": {}},
    "wait": {"type": "bool", "default": True},
}
MODULES: dict[str, tuple[str, DtrModule]] = {
    "probe": ("cache_health", cache_health.MODULE),
    "register": ("content_caches", content_caches.MODULE),
    "assign": ("cache_assignments", cache_assignments.MODULE),
    "pull": ("cache_pull", cache_pull.MODULE),
}
TITLES = {
    "probe": "Probe the cache, DTR, and the ways between them",
    "register": "Register the cache in DTR",
    "assign": "Let accounts pull from the cache",
    "pull": "Pull through the cache",
}
LONG = ("register", "assign", "pull")
SECONDS_FOR_LOG = 90
# What of a step's result is the task's, and not only the step's.
_OF_TASK = ("warnings", "deprecations", "diff", "changed", "failed", "invocation")


class ActionModule(DtrAction):
    """Does the steps in their order; the first one that fails is the last.

    Where the cache's log may say why, it is read at once: later its reason may have left the log's newest lines.
    """

    _supports_async = False

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        speak_of_variables(self._task)
        keep_alive(self._connection)
        result: dict[str, t.Any] = super(DtrAction, self).run(tmp, variables)
        _validation, options = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        play = play_of(self._task)
        use = Use(HostFacts(variables, play), check_mode=bool(self._task.check_mode), **options)
        try:
            if reason := unusable(use.host, use.steps):
                raise Failure("NOT_CHECKED", reason)
            if use.host.settings_problems:
                refused = problems_as_result(use.host.settings["name"], use.host.settings_problems)
                return as_fact({**result, **refused, "changed": False}, self._task, variables)
            connection = dtr_connection(variables, self._templar, self._loader)
        except Failure as failure:
            return as_fact({**result, **failure.as_result(), "failed": True, "changed": False}, self._task, variables)
        if use.host.dtr_ca:
            connection["ca_certificate"] = use.host.dtr_ca
        return as_fact({**result, **self._done(use, connection, variables), "play": play}, self._task, variables)

    def _is_for_this_process(self, _variables: t.Mapping[str, t.Any]) -> bool:
        return True

    def _done(self, use: Use, connection: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """The result of the task: that of each step under its name, with those of earlier tasks for the cache."""
        earlier = use.host.steps_of_use
        results = {step: earlier[step] for step in STEPS if step in earlier and step not in use.steps}
        task: dict[str, t.Any] = {"changed": False, "diff": [], "warnings": [], "deprecations": []}
        done = 0
        for step in (step for step in STEPS if step in use.steps):
            options = use.options(step, results)
            if options is None:
                continue
            done += 1
            answer = self._step(step, {**connection, **options}, variables)
            results[step] = {name: value for name, value in answer.items() if name not in _OF_TASK}
            # What a pull brings into a cache is what the cache is for.
            task["changed"] = task["changed"] or (step != "pull" and bool(answer.get("changed")))
            for name in ("warnings", "deprecations"):
                task[name] += [each for each in answer.get(name) or [] if each not in task[name]]
            diff = answer.get("diff") or []
            task["diff"] += diff if isinstance(diff, list) else [diff]
            if answer.get("failed"):
                explanation = self._explanation(use.host, answer, variables) if step in SHOWN_IN_LOG else ""
                words = " ".join(part for part in (answer["msg"], explanation) if part)
                task.update(failed=True, step=step, title=TITLES[step], msg=words, failure=answer.get("failure"))
                if not self._display.verbosity:
                    results = {each: in_brief(known) for each, known in results.items()}
                break
        if not done:
            task.update(skipped=True, skip_reason="There is nothing to do.")
        kept = {name: value for name, value in task.items() if value or name == "changed"}
        return {**results, **kept, "cache": use.host.settings["name"]}

    def _step(self, step: str, options: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        name, module = MODULES[step]
        with self._progress_path(name, variables, long=step in LONG) as path:
            return self._run_module(name, module, {**options, **({"progress_path": path} if path else {})}, variables)

    def _explanation(self, host: HostFacts, answer: t.Mapping[str, t.Any], variables: dict[str, t.Any]) -> str:
        """What the cache's log says of the failure; nothing where it cannot, or its manager is not to be reached."""
        # Loaded only by a run that fails.
        from ..plugin_utils.fleet.diagnosis import explanation, may_be_explained

        if not host.engine or host.manager_is_lost or not may_be_explained(answer):
            return ""
        settings = host.settings
        arguments = {**host.engine, "name": settings["stack_name"], "since": settings["logs_since"]}
        try:
            with within(SECONDS_FOR_LOG):
                logs = self._execute_module("dtr.cache.cache_logs_info", module_args=arguments, task_vars=variables)
        except (AnsibleConnectionFailure, TooLate):
            logs = {"failed": True}
        if logs.get("failed"):
            return "The log of the cache could not be read."
        return explanation(answer, logs.get("findings") or []) or "The log of the cache does not explain it."
