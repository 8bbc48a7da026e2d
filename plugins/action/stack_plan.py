# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The half of M(dtr.cache.stack_plan) that runs on the control node."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleConnectionFailure

from ..plugin_utils.actions.of_manager import OnManager
from ..plugin_utils.actions.problems import manager_out_of_reach
from ..plugin_utils.fleet.plan_result import AskedPlan


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

    def _out_of_reach(self, variables: t.Mapping[str, t.Any], error: AnsibleConnectionFailure) -> dict[str, t.Any]:
        if not self._task.args.get("preflight"):
            return super()._out_of_reach(variables, error)
        return {"problems": [manager_out_of_reach(variables, error)], "changed": False}
