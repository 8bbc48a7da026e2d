# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""M(dtr.cache.awx_content): runs the modules of C(awx.awx) or C(ansible.controller), one for each definition.

The name of a module cannot be a template in a task, so that with tasks each definition would stand there twice.
"""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ..module_utils.common.failure import Failure
from ..module_utils.module.options import AWX_ARGUMENT_SPEC
from ..plugin_utils.awx.definitions import Definition, definitions
from ..plugin_utils.awx.installed import collection_for, finds_module
from ..plugin_utils.awx.plan import UNCHANGED, Plan, plan, reason_of

_LOGIN = (
    "CONTROLLER_HOST is the address of AWX or Controller, and CONTROLLER_OAUTH_TOKEN, or CONTROLLER_USERNAME and "
    "CONTROLLER_PASSWORD, an account that may write there."
)


class ActionModule(ActionBase):
    """Plans first, and changes only when nothing stands against any of it."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        _validation, options = self.validate_argument_spec(argument_spec=AWX_ARGUMENT_SPEC)
        self._variables = task_vars or {}
        self._warnings: dict[str, None] = {}
        done: list[str] = []
        try:
            self._collection = collection_for(options["collection"] or "", finds_module)
            given = {name: "" if value is None else value for name, value in options.items()}
            self._apply(definitions(given), result, done)
        except Failure as failure:
            result.update(failure.as_result(), failed=True)
        return {**result, "changed": bool(done), "changes": done, "warnings": list(self._warnings)}

    def _apply(self, wanted: t.Sequence[Definition], result: dict[str, t.Any], done: list[str]) -> None:
        found = plan(wanted, lambda definition: self._module(definition, check_mode=True))
        if found.problems:
            result.update(_refused(found))
            return
        result["collection"] = self._collection
        result["objects"] = [
            {"kind": definition.kind, "name": definition.name, "state": state} for definition, state in found.states
        ]
        for definition, state in found.states:
            if state == UNCHANGED:
                continue
            if not self._task.check_mode:
                answer = self._module(definition, check_mode=False)
                if answer.get("failed"):
                    raise Failure(
                        "NOT_APPLIED",
                        f"{definition.title}: {reason_of(answer).rstrip('.')}.",
                        hint=f"{len(done)} objects were changed before it; run the playbook again to go on.",
                    )
            done.append(f"{definition.title}: {state}")

    def _module(self, definition: Definition, *, check_mode: bool) -> dict[str, t.Any]:
        """The result of the definition's module. What an action gives to a module is templated no more."""
        of_task = self._task.check_mode
        self._task.check_mode = check_mode
        try:
            answer: dict[str, t.Any] = self._execute_module(
                module_name=f"{self._collection}.{definition.kind}",
                module_args=definition.options,
                task_vars=self._variables,
            )
        finally:
            self._task.check_mode = of_task
        self._warnings.update(dict.fromkeys(answer.get("warnings") or []))
        return answer


def _refused(found: Plan) -> dict[str, t.Any]:
    count = "1 problem" if len(found.problems) == 1 else f"{len(found.problems)} problems"
    failure = Failure(
        "NOT_PLANNED",
        f"AWX or Controller has {count} with this; nothing has been changed.",
        hint=None if found.is_reached else _LOGIN,
    )
    lines = [failure.message, *(f"  - {problem}" for problem in found.problems), failure.hint or ""]
    return {**failure.as_result(), "msg": "\n".join(filter(None, lines)), "failed": True}
