# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The half of M(dtr.cache.preflight) that runs on the control node: variables, certificates and keys."""

from __future__ import annotations

import datetime
import shutil
import typing as t
from pathlib import Path

from ansible import constants
from ansible.errors import AnsibleConnectionFailure
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ..module_utils.common.failure import Failure
from ..plugin_utils.actions.paths import control_path_of_host
from ..plugin_utils.actions.problems import manager_out_of_reach, problems_as_result
from ..plugin_utils.deployment.client_bundle import Bundle, open_bundle
from ..plugin_utils.settings.model import CERTIFICATE, MANAGER, REGISTRY, SWARM, Settings
from ..plugin_utils.settings.public import public_settings
from ..plugin_utils.settings.variables import read_host

MODULE = "dtr.cache.preflight"


class ActionModule(ActionBase):
    """Check the variables here and, when the Swarm is needed, the Swarm there; report all problems together."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        needs = self._task.args["needs"]
        settings, problems, _fingerprint = read_host(variables, self._templar, self._loader, needs)
        problems += self._disk_problems(needs, variables)
        bundle = Bundle({}, None)
        checked = list(needs)
        if SWARM in needs or MANAGER in needs:
            try:
                bundle = self._open_bundle(settings, variables)
                ask = self._task.args.get("ask_swarm", "always")
                if ask == "always" or (ask == "to_complete" and problems):
                    problems += self._swarm_problems(settings, variables, bundle)
                else:
                    checked = [need for need in needs if need not in (MANAGER, SWARM)]
            except Failure as failure:
                problems.append(f"dtr_cache_client_bundle: {failure.message}")
        if problems and boolean(self._task.args.get("fail", True)):
            result.update(problems_as_result(settings.name or variables["inventory_hostname"], problems))
            if bundle.unpacked:
                shutil.rmtree(bundle.unpacked, ignore_errors=True)
        else:
            result["settings"] = public_settings(settings, datetime.datetime.now(datetime.timezone.utc))
            result["bundle"] = bundle._asdict()
            result["checked"] = checked
        return {**result, "changed": False, "problems": problems}

    def _open_bundle(self, settings: Settings, variables: t.Mapping[str, t.Any]) -> Bundle:
        if not settings.client_bundle:
            return Bundle({}, None)
        if self._connection.transport != "local":
            raise Failure(
                "INVALID_BUNDLE",
                f"is on the control node, but {variables['inventory_hostname']} is reached by "
                f"{self._connection.transport}; set ansible_connection=local for it",
            )
        path = control_path_of_host(settings.client_bundle, variables)
        return open_bundle(path, Path(constants.DEFAULT_LOCAL_TMP))

    def _disk_problems(self, needs: t.Collection[str], variables: t.Mapping[str, t.Any]) -> list[str]:
        """Why a secret would be written to a disk, as part of the module that it is sent with."""
        if constants.DEFAULT_KEEP_REMOTE_FILES and (CERTIFICATE in needs or REGISTRY in needs):
            return ["ANSIBLE_KEEP_REMOTE_FILES would leave modules with their secrets on the disk; switch it off"]
        if CERTIFICATE in needs and not self._is_pipelining_enabled("new"):
            return [
                f"the private key would be written to the disk of {variables['inventory_hostname']}, as its connection "
                "does not pipeline; leave out ansible_pipelining and ansible_ssh_pipelining, and use no become method "
                "that cannot (su) nor a terminal (RequestTTY)"
            ]
        return []

    def _swarm_problems(self, settings: Settings, variables: dict[str, t.Any], bundle: Bundle) -> list[str]:
        arguments = {
            **self._task.args,
            **bundle.engine,
            "nodes": list(settings.nodes),
            "port": settings.port,
            "publish_mode": settings.publish_mode,
            "stack_name": settings.stack_name,
        }
        try:
            answer = self._execute_module(module_name=MODULE, module_args=arguments, task_vars=variables)
        except AnsibleConnectionFailure as error:
            return [manager_out_of_reach(variables, error)]
        if "problems" in answer:
            return list(answer["problems"])
        return [f"the Swarm cannot be asked: {answer.get('msg', 'the module gave no reason')}"]
