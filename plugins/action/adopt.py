# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""M(dtr.cache.adopt): from what a Swarm and its DTR say of a cache to a file of variables."""

from __future__ import annotations

import os
import typing as t

from ansible.plugins.action import ActionBase

from ..module_utils.common.failure import Failure
from ..module_utils.dtr.model import ContentCache
from ..module_utils.module.of_dtr import connection_argument_spec
from ..modules.adopt import ARGUMENT_SPEC, MODULE
from ..plugin_utils.actions.of_dtr import DtrAction
from ..plugin_utils.actions.paths import not_kept, vanishes_with_job
from ..plugin_utils.actions.plays import as_fact
from ..plugin_utils.actions.shared import first_claim, made_once
from ..plugin_utils.actions.words import speak_of_variables
from ..plugin_utils.adoption.adopt import Adoption, adopt
from ..plugin_utils.adoption.describe import Accounts, Context
from ..plugin_utils.adoption.find import Hints, choose, match, own_entries
from ..plugin_utils.adoption.host_vars import file_of_host, write_file
from ..plugin_utils.settings.structures import plain
from ..plugin_utils.settings.variables import connection_mark, given_variables

_PREFIX = "dtr_cache_"


class ActionModule(DtrAction):
    """Runs on the control node, whatever host it is for. The accounts of a DTR are read once for all hosts."""

    module = MODULE
    reports_progress = True

    _supports_async = False

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        speak_of_variables(self._task)
        # Not that of DtrAction, whose module only reads DTR.
        result: dict[str, t.Any] = ActionBase.run(self, tmp, variables)
        _validation, options = self.validate_argument_spec(
            argument_spec={**connection_argument_spec(), **ARGUMENT_SPEC}
        )
        try:
            result.update(self._adopted(options, variables))
        except Failure as failure:
            result.update(failed=True, changed=False, **failure.as_result())
        return as_fact(result, self._task, variables)

    def _adopted(self, options: t.Mapping[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        host = str(variables["inventory_hostname"])
        known = self._known_to_dtr(options, variables)
        registered = [ContentCache(**entry) for entry in known["content_caches"]]
        given, defaults = given_variables(variables, self._templar, self._loader)
        # Without Ansible's own types, which YAML cannot represent.
        caches = plain(options["caches"])
        found = match(caches, registered)
        taken = {entry.id for of_cache in found.values() for entry in of_cache}
        others = [entry for entry in registered if entry.id not in taken]
        hints = _hints(host, given)
        live = choose(caches, found, hints, options["services"])
        beside = [
            each["service"] for each in caches if each["stack"] and each["stack"] == live["stack"] and each != live
        ]
        context = Context(defaults, given, hints, str(options["url"]).rstrip("/"), others, beside)
        self._claim(live, options["swarm"], host)
        accounts = Accounts(known["accounts"], known["inactive"], known["active"])
        counts = {cache: len(names) for cache, names in accounts.by_cache.items()}
        adopted = adopt(live, own_entries(live, found, hints, registered, counts), accounts, context)
        retries = {"warnings": known["warnings"]} if known.get("warnings") else {}
        return {**self._written(adopted, options, variables), **retries}

    def _known_to_dtr(self, options: t.Mapping[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return the caches and accounts of DTR.

        Raises:
            Failure: It cannot be read.
        """
        connection = {name: self._task.args[name] for name in connection_argument_spec() if name in self._task.args}

        def ask() -> dict[str, t.Any]:
            with self._progress_path(self._name, variables, long=True) as path:
                arguments = {**connection, "caches": [], "concurrency": options["concurrency"]}
                arguments.update({"progress_path": path} if path else {})
                answer = self._run_module(self._name, MODULE, arguments, variables)
            if answer.get("failed"):
                failure = answer.get("failure") or {}
                raise Failure(
                    failure.get("code") or "DTR_UNREADABLE",
                    failure.get("message") or str(answer.get("msg")),
                    **{name: failure.get(name) for name in ("http_status", "url", "hint")},
                )
            return answer

        mark = connection_mark(connection)
        return t.cast("dict[str, t.Any]", made_once(f"accounts of {mark}", ask))

    def _claim(self, live: t.Mapping[str, t.Any], swarm: str, host: str) -> None:
        """Refuse two hosts of one Swarm that describe the same cache, which they would deploy twice."""
        if not swarm:
            return
        first = first_claim(f"cache {live['id']} in {swarm}", host)
        if first != host:
            raise Failure(
                "ADOPTED_TWICE",
                f"Service {live['service']} is already the cache of {first}, which is in the same Swarm.",
                hint="Leave one of the two hosts out of the inventory, or set dtr_cache_stack_name for both.",
            )

    def _written(
        self, adopted: Adoption, options: t.Mapping[str, t.Any], variables: t.Mapping[str, t.Any]
    ) -> dict[str, t.Any]:
        beside = os.path.join(variables.get("inventory_dir") or os.getcwd(), "host_vars")
        path = file_of_host(options["to"] or beside, str(variables["inventory_hostname"]))
        if vanishes_with_job(path, os.environ):
            raise Failure("NOT_KEPT", f"dtr_cache_adopt_to: {not_kept(path)}.")
        written = write_file(path, adopted.text, overwrite=options["overwrite"], check_mode=bool(self._task.check_mode))
        shown = {name: value for name, value in adopted._asdict().items() if name != "text"}
        return {
            **shown,
            "changed": written.changed,
            "path": written.path,
            **({"diff": written.diff} if written.changed and self._task.diff else {}),
        }


def _hints(host: str, given: t.Mapping[str, t.Any]) -> Hints:
    """Return the variables of the host that choose a cache."""
    port = str(given.get(f"{_PREFIX}port") or "")
    texts = {name: str(given.get(_PREFIX + name) or "").strip() for name in ("name", "host", "stack_name")}
    return Hints(host, port=int(port) if port.isdecimal() else None, **texts)
