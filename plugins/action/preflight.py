# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The half of M(dtr.cache.preflight) that runs on the control node: variables, certificates and keys."""

from __future__ import annotations

import datetime
import hashlib
import typing as t

from ansible.errors import AnsibleConnectionFailure
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible_collections.dtr.cache.plugins.module_utils import certificates
from ansible_collections.dtr.cache.plugins.module_utils.failure import Failure
from ansible_collections.dtr.cache.plugins.plugin_utils import leaf
from ansible_collections.dtr.cache.plugins.plugin_utils.settings import MANAGER, SWARM, Settings
from ansible_collections.dtr.cache.plugins.plugin_utils.variables import settings_of_host

MODULE = "dtr.cache.preflight"


class ActionModule(ActionBase):
    """Check the variables here and, when the Swarm is needed, the Swarm there; report all problems together."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        needs = self._task.args["needs"]
        settings, problems = settings_of_host(variables, self._templar, self._loader, needs)
        if SWARM in needs or MANAGER in needs:
            problems += self._swarm_problems(settings, variables)
        if problems and boolean(self._task.args.get("fail", True)):
            result.update(_failed(settings.name or variables["inventory_hostname"], problems))
        else:
            result["settings"] = public_settings(settings, datetime.datetime.now(datetime.timezone.utc))
        return {**result, "changed": False, "problems": problems}

    def _swarm_problems(self, settings: Settings, variables: dict[str, t.Any]) -> list[str]:
        arguments = {
            **self._task.args,
            "nodes": list(settings.nodes),
            "port": settings.port,
            "publish_mode": settings.publish_mode,
            "stack_name": settings.stack_name,
        }
        try:
            answer = self._execute_module(module_name=MODULE, module_args=arguments, task_vars=variables)
        except AnsibleConnectionFailure as error:
            # One problem among others: an unreachable host would skip the clean-up and drop out of the summary.
            return [f"the manager {variables['inventory_hostname']} cannot be reached: {error}"]
        if "problems" in answer:
            return list(answer["problems"])
        return [f"the Swarm cannot be asked: {answer.get('msg', 'the module gave no reason')}"]


def _failed(cache: str, problems: t.Sequence[str]) -> dict[str, t.Any]:
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    failure = Failure("INVALID_SETTINGS", f"The settings of {cache} have {count}; nothing has been changed.")
    listed = "".join(f"\n  - {problem}" for problem in problems)
    return {**failure.as_result(), "msg": failure.message + listed, "failed": True}


def _named_authorities(settings: Settings) -> dict[str, str]:
    """The CAs of caches by the name of the file that a client keeps each in; their order does not matter."""
    authorities = [pem for pem in (settings.ca_certificate, *settings.client_cas) if pem]
    return {f"dtr-cache.cache-ca.{hashlib.sha256(pem.encode()).hexdigest()[:12]}.crt": pem for pem in authorities}


def public_settings(settings: Settings, now: datetime.datetime) -> dict[str, t.Any]:
    """What later tasks and the summary need of the settings; nothing in it is a secret."""
    certificate = None
    if settings.chain:
        certificate = {
            **certificates.describe(settings.chain[0]),
            "days_left": min(leaf.days_left(certificate, now) for certificate in settings.chain),
        }
    return {
        "name": settings.name,
        "url": settings.url,
        "host": settings.host,
        "port": settings.port,
        "image": settings.image,
        "stack_name": settings.stack_name,
        "node_labels": {node: {settings.product.node_label: "true"} for node in settings.nodes},
        "replicas": settings.replicas,
        "registry_url": settings.registry_url,
        "registry_ca": settings.registry_ca,
        "registry_ca_fingerprint": settings.registry_ca_fingerprint,
        "certificate": certificate,
        "ca_certificate": settings.ca_certificate,
        "assignments": settings.assignments,
        "assignments_exclusive": settings.assignments_exclusive,
        "verify_image": settings.verify_image,
        "min_days": settings.min_days,
        "verify_repository": settings.verify_repository,
        "warm": {
            "images": list(settings.warm_images),
            "repositories": list(settings.warm_repositories),
            "platforms": list(settings.warm_platforms),
            "concurrency": settings.warm_concurrency,
        },
        "allowed_networks": {
            f"ipv{version}": [str(network) for network in settings.allowed_networks if network.version == version]
            for version in (4, 6)
        },
        "client_registries": list(settings.client_registries),
        "client_runtimes": list(settings.client_runtimes),
        "client_authorities": _named_authorities(settings),
        "confirm_removal": settings.confirm_removal,
    }
