# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The half of M(dtr.cache.stack_plan) that runs on the control node."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleConnectionFailure

from ..module_utils.swarm.objects import is_named_by_content
from ..plugin_utils.actions.of_manager import OnManager
from ..plugin_utils.actions.problems import manager_out_of_reach, problems_as_result
from ..plugin_utils.actions.progress_lines import read_by_people
from ..plugin_utils.actions.shared import first_claim
from ..plugin_utils.actions.shown_diffs import as_ansible_shows
from ..plugin_utils.deployment.definition import changed_authorities, for_docker
from ..plugin_utils.deployment.plan_diff import readable
from ..plugin_utils.fleet.collisions import one_stack
from ..plugin_utils.fleet.left_behind import left_behind


class ActionModule(OnManager):
    """Read the Swarm from its manager, and compare the CA that the cache has with the one that DTR just gave.

    What the preflight has left to this task fails as the preflight does.
    """

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        preflight = variables.get("__dtr_cache") or {}
        problems = result.get("problems") or self._taken_stack(result, preflight, variables["inventory_hostname"])
        if problems:
            region = (preflight.get("settings") or {}).get("name") or variables["inventory_hostname"]
            return {**problems_as_result(region, problems), "changed": False}
        if "definition" in result:
            result["compose"] = for_docker(result["definition"])
        behind = left_behind(result.get("replaced_config"), preflight.get("settings") or {})
        if behind:
            result["left_behind"] = behind
            self._display.warning(behind)
        self._warn_of_authorities(result, preflight, variables)
        return self._with_readable_diff(result, variables)

    def _with_readable_diff(self, result: dict[str, t.Any], variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """The result with its diff as people read it; Ansible shows it only of tasks that change something."""
        diff = result.get("diff")
        if not self._task.diff or not isinstance(diff, dict):
            return result
        diffs = readable(diff, str(self._task.args.get("name") or ""))
        if diffs and not result.get("changed") and not self._task.check_mode and read_by_people():
            title = f"What differs in the Swarm of {variables['inventory_hostname']}:"
            self._display.display(f"{title}\n{as_ansible_shows(diffs)}\n")
        return {**result, "diff": diffs}

    def _warn_of_authorities(
        self, result: t.Mapping[str, t.Any], preflight: t.Mapping[str, t.Any], variables: t.Mapping[str, t.Any]
    ) -> None:
        fetched = preflight.get("dtr_ca") or {}
        if fetched.get("trusted_by") == "first_use":
            stack = str(self._task.args.get("name") or "")
            for old, new in changed_authorities(result.get("diff") or {}):
                # What somebody made by hand is named by nothing: whether it is the same CA, nobody knows.
                if not is_named_by_content(stack, old):
                    continue
                self._display.warning(
                    f"DTR gives another CA than the cache of {variables['inventory_hostname']} has: {new} instead of "
                    f"{old}, and nothing confirms it. Unless DTR's CA was changed, somebody else answers in its "
                    "place and gets the administrator's password next: stop, and ask who runs DTR. Pin the right one "
                    f"with dtr_cache_registry_ca_fingerprint: {fetched['certificates'][0]['fingerprint']}"
                )

    def _taken_stack(self, result: t.Mapping[str, t.Any], preflight: t.Mapping[str, t.Any], host: str) -> list[str]:
        """That another region of this run has the same stack in the same Swarm, whatever its manager is called."""
        swarm, stack_name = result.get("swarm"), self._task.args.get("name")
        if not swarm or not stack_name or not self._task.args.get("preflight"):
            return []
        own = {"host": host, "cache": (preflight.get("settings") or {}).get("name")}
        first = first_claim(f"stack {stack_name} in {swarm}", own)
        return [] if first == own else [one_stack(first["host"], host, stack_name, swarm)]

    def _out_of_reach(self, variables: t.Mapping[str, t.Any], error: AnsibleConnectionFailure) -> dict[str, t.Any]:
        if not self._task.args.get("preflight"):
            return super()._out_of_reach(variables, error)
        return {"problems": [manager_out_of_reach(variables, error)], "changed": False}
