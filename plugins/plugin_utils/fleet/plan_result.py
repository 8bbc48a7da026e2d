# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the control node adds to the answer of M(dtr.cache.stack_plan)."""

from __future__ import annotations

import hashlib
import json
import shlex
import typing as t

from ...module_utils.common.failure import Failure
from ...module_utils.common.urls import canonical_server
from ...module_utils.swarm.objects import is_named_by_content
from ...module_utils.swarm.plan import OTHER_CACHE
from ..actions.problems import problems_as_result
from ..actions.progress_lines import read_by_people
from ..actions.shown_diffs import as_ansible_shows
from ..deployment.definition import for_docker
from ..deployment.stack_plan import changed_authorities, readable
from .regions import not_ours

Result = t.Mapping[str, t.Any]

EMPTIED = (
    "The cache is empty when its replica is exchanged, as the new one does not have the volume of the old one. Each "
    "layer is fetched from DTR again. Set dtr_cache_volume to keep the layers from then on, and fill the cache with "
    "dtr.cache.warm."
)
# What check mode leaves for the deployment that somebody approves.
CHECKED = "dtr_cache_checked"
_ANEW = "start the workflow anew, so that what is deployed is checked and approved first"
# What a deployment does in DTR.
_IN_USE = ("name", "url", "former_names", "registry_url", "assignments", "assignments_exclusive")


def plan_fingerprint(plan: Result, settings: Result) -> str:
    """A mark of all that a deployment is going to change. Names of configs and secrets stand for their contents."""
    in_use = {name: settings[name] for name in _IN_USE}
    parts = {"steps": plan.get("steps"), "definition": plan.get("definition"), **in_use}
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def project_revision(variables: Result) -> str:
    """The revision of the project that a job of AWX or Controller runs; empty elsewhere."""
    return str(variables.get("awx_project_revision") or variables.get("tower_project_revision") or "")


def not_as_checked(checked: t.Any, host: str, fingerprint: str, variables: Result) -> list[str]:
    """Why a plan is none that somebody has approved.

    Args:
        checked: What the check has left (C(dtr_cache_checked)).
        host: The host in the inventory.
        fingerprint: The mark of its plan.
        variables: All variables of the host.
    """
    known = checked if isinstance(checked, dict) else {}
    plans, revision = known.get("plans"), project_revision(variables)
    if not isinstance(plans, dict) or not isinstance(known.get("revision"), str):
        return [f"{CHECKED}: is not what dtr.cache.deploy leaves in check mode; leave it out, or {_ANEW}"]
    if known["revision"] != revision:
        names = [f"revision {name}" if name else "no revision" for name in (known["revision"], revision)]
        return [f"{CHECKED}: the check had {names[0]} of the project and this job has {names[1]}; {_ANEW}"]
    if missing := sorted(set(plans) - set(variables.get("ansible_play_hosts_all") or plans)):
        return [f"{CHECKED}: the check also planned {', '.join(missing)}, which this job leaves out; {_ANEW}"]
    if host not in plans:
        return [f"{CHECKED}: the check did not plan {host}; {_ANEW}"]
    if plans[host] != fingerprint:
        return [f"{CHECKED}: the plan is another one than the check had, as the Swarm or a setting changed; {_ANEW}"]
    return []


class AskedPlan(t.NamedTuple):
    """What a plan was asked for.

    Args:
        options: The module's options.
        preflight: What the preflight of the host has found; empty without one.
        host: The host in the inventory.
        diff: Whether the user wants to see what changes.
        check_mode: Whether nothing is going to be changed.
    """

    options: Result
    preflight: Result
    host: str
    diff: bool
    check_mode: bool

    def result(self, answer: Result, display: t.Any) -> dict[str, t.Any]:
        """The result of a task: the module's answer, or one failure with all that O(preflight) found wrong.

        The CA that the cache has is compared with the one that DTR just gave.

        Args:
            answer: The module's.
            display: Ansible's; it gets warnings, and a diff that Ansible would not show.
        """
        others = self._of_others(answer)
        if others and not self.options.get("preflight"):
            return {**Failure(OTHER_CACHE, " ".join(others)).as_result(), "failed": True, "changed": False}
        problems = answer.get("problems") or others
        if problems:
            region = self._settings.get("name") or self.host
            installed = bool(self.preflight.get("changed"))
            return {**problems_as_result(region, problems, installed=installed), "changed": False}
        result = dict(answer)
        if "definition" in result:
            result["compose"] = for_docker(result["definition"])
            trial = result.get("trial") or {}
            result["trial"] = {**trial, "compose": for_docker(trial.get("definition") or {})}
            result["lost_or_left"] = list(self._lost_or_left(result))
            result["volumes_to_remove"] = self._volumes_to_remove(result)
        for sentence in result.get("lost_or_left") or ():
            display.warning(f"{self.host}: {sentence}")
        behind = left_behind(result.get("replaced_config"), self._settings)
        if behind:
            result["left_behind"] = behind
            display.warning(behind)
        self._warn_of_authorities(result, display)
        return self._with_readable_diff(result, display)

    @property
    def _settings(self) -> Result:
        return self.preflight.get("settings") or {}

    @property
    def _stack(self) -> str:
        return str(self.options.get("name") or "")

    def _lost_or_left(self, result: Result) -> t.Iterator[str]:
        """What becomes of the layers that the cache has now."""
        if result.get("empties_cache") and self._settings.get("stores_on_node"):
            yield EMPTIED
        is_removal = self.options.get("state") == "absent"
        if is_removal and self._settings.get("remove_volume"):
            return
        way = ", or let dtr_cache_remove_volume: true do it" if is_removal else ""
        begins = "" if is_removal else "; the new stack begins without them"
        for volume in result.get("left_volumes") or ():
            yield (
                f"Volume {volume['name']} stays on {', '.join(volume['nodes']) or 'its nodes'} with the layers in it"
                f"{begins}. To free the room, run there when the replicas have ended: docker volume rm "
                f"{volume['name']}{way}"
            )

    def _volumes_to_remove(self, result: Result) -> list[dict[str, str]]:
        """The volumes that a removal takes along; that of the settings may be left of an interrupted one."""
        if self.options.get("state") != "absent" or not self._settings.get("remove_volume"):
            return []
        declared = {"name": self._settings["volume"], "nodes": list(self._settings["node_labels"])}
        volumes = [*(result.get("left_volumes") or ()), *([declared] if declared["name"] else [])]
        pairs = dict.fromkeys((volume["name"], node) for volume in volumes for node in volume["nodes"])
        return [{"name": name, "node": node} for name, node in pairs]

    def _of_others(self, answer: Result) -> list[str]:
        """Return the caches that the plan would change or remove, and that belong to other regions."""
        if not self._settings.get("name"):
            return []
        # An observation asks DTR only later.
        registered = self.preflight.get("registered") or []
        found = (not_ours(cache, self._settings, registered) for cache in answer.get("caches") or ())
        return [problem for problem in found if problem]

    def _warn_of_authorities(self, result: Result, display: t.Any) -> None:
        fetched = self.preflight.get("dtr_ca") or {}
        if fetched.get("trusted_by") != "first_use":
            return
        for old, new in changed_authorities(result.get("diff") or {}):
            # What somebody made by hand is named by nothing: whether it is the same CA, nobody knows.
            if not is_named_by_content(self._stack, old):
                continue
            display.warning(
                f"DTR gives another CA than the cache of {self.host} has: {new} instead of {old}, and nothing confirms "
                "it. Unless DTR's CA was changed, somebody else answers in its place and gets the administrator's "
                "password next: stop, and ask who runs DTR. Pin the right one with "
                f"dtr_cache_registry_ca_fingerprint: {fetched['certificates'][0]['fingerprint']}"
            )

    def _with_readable_diff(self, result: dict[str, t.Any], display: t.Any) -> dict[str, t.Any]:
        """The result with its diff as people read it; Ansible shows it only of tasks that change something."""
        diff = result.get("diff")
        if not self.diff or not isinstance(diff, dict):
            return result
        diffs = readable(diff, self._stack)
        if diffs and not result.get("changed") and not self.check_mode and read_by_people():
            display.display(f"What differs in the Swarm of {self.host}:\n{as_ansible_shows(diffs)}\n")
        return {**result, "diff": diffs}


def left_behind(replaced: Result | None, settings: Result) -> str | None:
    """What a region leaves at the DTR that it was of, and how to clean up there; C(None) where there is no other.

    Args:
        replaced: What the C(config.yml) that is about to be replaced says, as M(dtr.cache.stack_plan) returns it.
        settings: The public settings of the region.
    """
    dtr = settings.get("dtr")
    if not replaced or not dtr:
        return None
    # Caches that it pulled from may be no DTR, which nobody wrote down before there was a label.
    certain = bool(replaced["registry"])
    known = {dtr, *map(canonical_server, settings.get("upstreams") or [])}
    servers = map(canonical_server, [replaced["registry"]] if certain else replaced["upstreams"])
    former = sorted({server for server in servers if server not in known})
    return _told(former[0], dtr, settings, certain=certain) if former else None


def _told(old: str, new: str, settings: Result, *, certain: bool) -> str:
    name = settings["name"]
    entry: dict[str, t.Any] = {"name": name, "state": "absent"}
    if settings.get("former_names"):
        entry["former_names"] = list(settings["former_names"])
    was = f"was a cache of the DTR {old}" if certain else f"has pulled from {old}"
    arguments = shlex.quote(json.dumps({"caches": [entry]}))
    # One that is renamed in the same run has its former name there.
    names = " or ".join([name, *entry.get("former_names", [])])
    return (
        f"{name} {was} and is now one of {new}. If that is another DTR, and not the same one under another address: "
        f"Its entry {names} and the accounts that are assigned to it stay there. Their pulls are still sent to this "
        "cache, which gets nothing from there any more. That DTR was sent nothing. To "
        "clean up there, set DTR_URL, DTR_USERNAME, DTR_PASSWORD and DTR_CA_PATH to its own: "
        f"ansible localhost -m dtr.cache.content_caches -a {arguments} resets these accounts and removes the entry. "
        "dtr.cache.backup, with the dtr_cache_registry_ variables of that DTR, writes down first who they are."
    )
