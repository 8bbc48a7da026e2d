# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""M(dtr.cache.fleet_info): observes the DTRs of a fleet and all caches of them, one DTR after the other."""

from __future__ import annotations

import typing as t

from ..module_utils.common.failure import Failure
from ..module_utils.module.of_dtr import DtrModule
from ..modules import cache_assignments_info, cache_health, content_caches_info, registry_info
from ..plugin_utils.actions.of_dtr import DtrAction
from ..plugin_utils.actions.plays import as_fact, play_of
from ..plugin_utils.actions.words import speak_as_called
from ..plugin_utils.fleet.facts import HostFacts
from ..plugin_utils.fleet.observation import (
    Ask,
    Fleet,
    Limits,
    fleets_of,
    observe,
    region_rows,
    registry_rows,
    without_names,
)
from ..plugin_utils.fleet.regions import claims_outside, regions_of
from ..plugin_utils.settings import variables as settings_variables

ARGUMENT_SPEC = {
    "timeout": {"type": "float", "default": 10},
    "retries": {"type": "int", "default": 1},
    "probe_timeout": {"type": "float", "default": 60},
    "names": {"type": "bool", "default": False},
}
MODULES: dict[str, DtrModule] = {
    "registry_info": registry_info.MODULE,
    "content_caches_info": content_caches_info.MODULE,
    "cache_health": cache_health.MODULE,
    "cache_assignments_info": cache_assignments_info.MODULE,
}


class ActionModule(DtrAction):
    """Runs modules for all hosts of the batch. Whatever is down becomes a problem of a row."""

    _supports_async = False

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        speak_as_called(self._task)
        result: dict[str, t.Any] = super(DtrAction, self).run(tmp, variables)
        _validation, options = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        names = options.pop("names")
        limits = Limits(**options)
        play = play_of(self._task)
        hosts = [HostFacts(variables["hostvars"][name], play) for name in variables["ansible_play_batch"]]
        warnings: list[str] = []
        found = [
            (fleet, observe(fleet, self._ask(fleet, variables, warnings), limits, self._others(fleet, variables)))
            for fleet in fleets_of(hosts)
        ]
        regions = region_rows(found, hosts)
        registries = registry_rows(found, regions)
        result.update(
            changed=False,
            regions=without_names(regions, names=names),
            registries=without_names(registries, names=names),
        )
        if warnings:
            result["warnings"] = list(dict.fromkeys(warnings))
        return as_fact(result, self._task, variables)

    @property
    def _verbosity(self) -> int:
        return 1

    def _others(self, fleet: Fleet, variables: dict[str, t.Any]) -> list[dict[str, t.Any]]:
        """Whom regions claim that are not observed, where that matters: C(everyone) is whom nobody else claims."""
        if not any(claims.get("everyone") for claims in fleet.claims):
            return []
        hosts = {host.host for host in fleet.hosts}
        regions = regions_of(variables, self._templar, self._loader, self._task)
        return claims_outside(regions, fleet.dtr, hosts)

    def _ask(self, fleet: Fleet, variables: dict[str, t.Any], warnings: list[str]) -> Ask:
        """Questions to the DTR of hosts, with the credentials of the first of them."""
        options, failed = self._connection_options(fleet, variables)

        def ask(module: str, arguments: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
            # Caches can be probed without DTR.
            if failed and module != "cache_health":
                return failed.as_result()
            answer = self._run_module(module, MODULES[module], {**options, **arguments}, variables)
            warnings.extend(answer.get("warnings") or [])
            return answer

        return ask

    def _connection_options(
        self, fleet: Fleet, variables: t.Mapping[str, t.Any]
    ) -> tuple[dict[str, t.Any], Failure | None]:
        head = fleet.head
        own = variables["inventory_hostname"]
        hostvars = variables["hostvars"]
        # What stands at a task or an include is known of this host alone. Of others, all is to be templated here.
        raw = getattr(hostvars, "raw_get", hostvars.__getitem__)
        of_host = variables if own in {host.host for host in fleet.hosts} else raw(head.host)
        try:
            options = settings_variables.dtr_connection(of_host, self._templar, self._loader)
            if of_host is not variables and settings_variables.connection_mark(options) != head.connection:
                raise Failure(
                    "OF_ONE_HOST_ALONE",
                    f"what the inventory says of {head.host} leads to another DTR than this play, or with other "
                    "credentials, and what stands at a play, a task or an include is known of one host alone; set "
                    "dtr_cache_registry_* in the inventory, or observe the host in a play of its own",
                )
        except Failure as failure:
            # Not those of the environment either: they may be of another DTR.
            return dict.fromkeys(("url", "username", "password", "client_cert", "client_key"), ""), failure
        return {**options, **({"ca_certificate": head.dtr_ca} if head.dtr_ca else {})}, None
