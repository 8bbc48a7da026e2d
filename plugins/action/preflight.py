# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The half of M(dtr.cache.preflight) that runs on the control node: variables, certificates, keys, and DTR's CA."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import os
import typing as t
from pathlib import Path

from ansible import constants

from ..module_utils.common.failure import Failure
from ..module_utils.common.urls import canonical_server
from ..module_utils.module.authority import given_authority
from ..module_utils.module.of_dtr import DtrModule
from ..module_utils.module.options import PREFLIGHT_ARGUMENT_SPEC
from ..module_utils.module.prerequisites import PREREQUISITES
from ..modules.registry_ca_info import MODULE as REGISTRY_CA_INFO
from ..plugin_utils.actions import play_problems
from ..plugin_utils.actions.ansible_internals import unique_id
from ..plugin_utils.actions.forks import SharedByForks
from ..plugin_utils.actions.in_process import Task, run_here
from ..plugin_utils.actions.keep_alive import keep_alive
from ..plugin_utils.actions.packages import installed
from ..plugin_utils.actions.paths import control_path_of_host, not_kept, vanishes_with_job
from ..plugin_utils.actions.plays import FACT, as_fact, play_of
from ..plugin_utils.actions.problems import problems_as_result
from ..plugin_utils.actions.shared import gathered, made_once
from ..plugin_utils.actions.words import speak_of_variables
from ..plugin_utils.deployment.client_bundle import open_bundle
from ..plugin_utils.deployment.definition import describe_deployment
from ..plugin_utils.fleet.asks_swarm import AsksSwarm
from ..plugin_utils.fleet.plan_result import CHECKED, not_as_checked, plan_fingerprint
from ..plugin_utils.fleet.regions import (
    claims_of_others,
    collisions,
    collisions_in_swarm,
    files_with_users,
    others_of,
    regions_of,
    undoing,
)
from ..plugin_utils.settings.cache import with_image_of_dtr, with_running_image
from ..plugin_utils.settings.model import NEEDS, Settings, public_settings
from ..plugin_utils.settings.region import Region, region_as_read
from ..plugin_utils.settings.run import given_too_late, missing_for_awx
from ..plugin_utils.settings.variables import (
    Reading,
    connection_mark,
    connection_of,
    read_host,
    vocabulary,
)

MODULE = "dtr.cache.preflight"
# What is judged here, and no part of the variables' reading.
STEP_NEEDS = {*PREFLIGHT_ARGUMENT_SPEC["needs"]["choices"]} - {*NEEDS, "trust"}
# The first two keys of a backup.
BACKUP = ("dtr.cache backup", 1)
# Steps that other regions can get in the way of.
SHARED_NEEDS = ("registration", "assignment", "swarm")
# What a plan is made of.
PLANNED_WITH = {"registry", "certificate", "swarm"}
_NO_PLAN = f"ask_swarm=to_plan needs fail=true, and {', '.join(sorted(PLANNED_WITH))} among its needs."
# What an answer consists of, besides warnings.
ANSWER = (
    "settings",
    "deployment",
    "engine",
    "dtr_ca",
    "dtr_ca_problem",
    "others",
    "undo",
    "source_files",
    "registered",
    "connection",
    "problems",
    "checked",
    "judged",
    "fingerprint",
)


class ActionModule(SharedByForks, AsksSwarm):
    """Read the variables once for each set of them, and ask DTR and the Swarm what only they know.

    Whoever asks again with the same inputs gets the same answer without another question; a plan is made anew.
    """

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        # Of check mode Ansible's own variable knows only what the command line says.
        host = (task_vars or {}).get("inventory_hostname")
        of_task = {"play": play_of(self._task), "host": host, "check_mode": bool(self._task.check_mode)}
        return as_fact({**self._run(tmp, task_vars), **of_task}, self._task, task_vars or {})

    def _run(self, tmp: t.Any, task_vars: dict[str, t.Any] | None) -> dict[str, t.Any]:
        speak_of_variables(self._task)
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        keep_alive(self._connection)
        variables = task_vars or {}
        _validation, options = self.validate_argument_spec(argument_spec=PREFLIGHT_ARGUMENT_SPEC)
        plans = options["ask_swarm"] == "to_plan"
        if plans and not (options["fail"] and set(options["needs"]) >= PLANNED_WITH):
            return {**result, **Failure("INVALID_INPUT", _NO_PLAN).as_result(), "failed": True, "changed": False}
        result["together"] = options["together"]
        reading = read_host(variables, self._templar, self._loader, _read_as(options["needs"]))
        fingerprint = self._fingerprint(reading, variables)
        if of_play := self._play_problems(options, variables):
            return {**result, **problems_as_result(variables["inventory_hostname"], of_play), "changed": False}
        parts = _missing_parts(reading.settings, options["needs"], self._task.check_mode)
        # What is wrong is not also missing.
        missing = [part for part in parts if not _mentions(reading.problems, part.partition(" ")[0])]
        # In a loop, the results of the items before stand there in another form.
        given = variables.get(FACT)
        known: t.Mapping[str, t.Any] = given if isinstance(given, t.Mapping) else {}
        if known.get("fingerprint") == fingerprint and not missing and _answers(known, options):
            answer = {key: known[key] for key in ANSWER}
        else:
            answer = {"fingerprint": fingerprint, **self._checked(reading, missing, options, variables)}
        if plans and not answer.get("failed"):
            answer = self._with_plan(reading, answer, variables)
        swarm = ((answer if plans else known).get("plan") or {}).get("swarm")
        if swarm and not answer.get("failed") and "swarm" in options["needs"]:
            answer = self._beside_others(reading, answer, swarm, variables)
        if options["together"] and answer.get("engine"):
            answer["manager_mark"] = self._manager_mark(reading.settings, variables)
        if answer.get("failed"):
            answer.pop("fingerprint", None)
        return {"changed": False, **result, **answer}

    def _with_plan(self, reading: Reading, answer: dict[str, t.Any], variables: dict[str, t.Any]) -> dict[str, t.Any]:
        """The answer with what a deployment would change; alone why that is not known, where it is not."""
        # It may be that of DTR's version.
        settings = dataclasses.replace(reading.settings, image=answer["settings"]["image"])
        plan, of_task = self._planned(settings, answer, variables)
        both = {name: [*answer.get(name, []), *of_task.get(name, [])] for name in ("warnings", "deprecations")}
        task = {**of_task, **both, "changed": answer.get("changed", False) or of_task.get("changed", False)}
        if plan.get("failed"):
            return {**plan, **task}
        plan["fingerprint"] = plan_fingerprint(plan, answer["settings"])
        checked = self._templar.template(variables.get(CHECKED))
        if checked and not self._task.check_mode:
            problems = not_as_checked(checked, variables["inventory_hostname"], plan["fingerprint"], variables)
            if problems:
                return {**problems_as_result(settings.name, problems), **task}
        return {**answer, **task, "plan": plan, "checked": sorted({*answer["checked"], "manager", "swarm"})}

    def _beside_others(
        self, reading: Reading, answer: dict[str, t.Any], swarm: str, variables: dict[str, t.Any]
    ) -> dict[str, t.Any]:
        """Return the answer, or why other regions of the play that have the same Swarm stand against a deployment.

        A Swarm is known by its id, whatever its managers are called and however they are reached.
        """
        host = variables["inventory_hostname"]
        own = region_as_read(reading.settings, reading.problems, host)
        name = f"{host} {own.name}"
        regions = gathered(f"regions of {swarm} in {play_of(self._task)}", name, list(own))
        others = (Region(*row) for key, row in regions.items() if key != name)
        problems = collisions_in_swarm(own, others)
        kept: dict[str, t.Any] = {key: answer[key] for key in ("changed", "warnings") if key in answer}
        return {**problems_as_result(own.name or host, problems), **kept} if problems else answer

    def _play_problems(self, options: t.Mapping[str, t.Any], variables: dict[str, t.Any]) -> list[str]:
        """What of the play stands against this step."""
        problems = given_too_late(variables, play_problems.variables_of_play(self._task, self._loader), vocabulary())
        problems += play_problems.reached_by_defaults(self._task) + play_problems.facts_given(self._loader)
        # Also of those who only observe: without the others' results they would report what is not so.
        if options["together"]:
            problems += play_problems.apart_problems(self._task)
        if options["together"] and options["fail"] and not problems:
            problems += play_problems.failed_before(self._task, variables, FACT)
        return problems

    def _fingerprint(self, reading: Reading, variables: t.Mapping[str, t.Any]) -> str:
        """Of all that decides the answer: the variables, and where the Swarm is asked."""
        asked = self._task.delegate_to or variables["inventory_hostname"]
        return hashlib.sha256(f"{reading.fingerprint} {asked}".encode()).hexdigest()

    def _checked(
        self, reading: Reading, missing: list[str], options: t.Mapping[str, t.Any], variables: dict[str, t.Any]
    ) -> dict[str, t.Any]:
        needs, settings = options["needs"], reading.settings
        problems = [*reading.problems, *self._disk_problems(needs, variables), *missing]
        answer: dict[str, t.Any] = {"warnings": _missing_files(settings)}
        answer["dtr_ca"], trouble = self._authority(reading, needs, answer)
        # An observation reports it beside what else DTR says.
        answer["dtr_ca_problem"] = trouble
        answer.update(others=[], undo={}, registered=None)
        answer["source_files"] = self._source_files(settings, options, variables)
        without_image: list[str] = []
        if options["fail"]:
            problems += self._collisions(reading, needs, answer, variables)
            found, version = ([trouble], None) if trouble else self._asked_of_dtr(reading, needs, answer)
            problems += found
            settings, without_image = with_image_of_dtr(settings, version, problems)
            problems += without_image if "rotation" not in needs else []
        # Nobody is to ask another Engine than the one that was meant.
        answer["engine"] = {} if settings.client_bundle else dict(settings.engine)
        checked = list(needs)
        if {"swarm", "manager"} & set(needs):
            try:
                answer["engine"] = self._engine(settings, variables)
                if without_image and "rotation" in needs:
                    running = self._running(settings, answer["engine"], variables)
                    settings = with_running_image(settings, running, answer["warnings"].append)
                    problems += [] if settings.image else without_image
                if not problems and options["ask_swarm"] != "never":
                    answer["changed"] = self._packages_installed(settings, variables)
                if options["ask_swarm"] == "always" or (options["ask_swarm"] != "never" and problems):
                    problems += self._swarm_problems(settings, answer["engine"], variables, answer["warnings"])
                else:
                    checked = [need for need in needs if need not in ("swarm", "manager")]
            except Failure as failure:
                problems.append(failure.message)
        if problems and options["fail"]:
            changed = answer.get("changed", False)
            failed = problems_as_result(settings.name or variables["inventory_hostname"], problems, installed=changed)
            return {**failed, "changed": changed, "warnings": answer["warnings"]}
        answer["connection"] = connection_mark(connection_of(settings))
        answer["settings"] = public_settings(settings, datetime.datetime.now(datetime.timezone.utc))
        answer["deployment"] = _deployment(settings, answer["dtr_ca"]) if not reading.problems else None
        judged = {*needs, *(["address", "trust", "dtr"] if "registry" in needs else [])}
        return {**answer, "problems": problems, "checked": checked, "judged": sorted(judged)}

    def _authority(
        self, reading: Reading, needs: t.Collection[str], answer: dict[str, t.Any]
    ) -> tuple[dict[str, t.Any] | None, str | None]:
        """DTR's CA with what it is trusted by, and why it could not be had."""
        settings = reading.settings
        # With a pin that is not understood, no CA is the right one, and so nobody is sent a password.
        if any(problem.startswith("dtr_cache_registry_ca") for problem in reading.problems):
            return None, None
        if settings.registry_ca == "system":
            return {"pem": "", "trusted_by": "system", "certificates": []}, None
        if settings.registry_ca != "fetch":
            return given_authority(settings.registry_ca), None
        forgets = "trust" in needs and settings.client_trust_state == "absent"
        if not settings.registry_url or forgets or not {"registry", "dtr", "address", "trust"} & set(needs):
            return None, None
        options: dict[str, t.Any] = {"url": settings.registry_url, "validate_certs": settings.validate_certs}
        if settings.registry_ca_fingerprint:
            options["fingerprint"] = settings.registry_ca_fingerprint
        if not self._task.args.get("fail", True):
            options.update(timeout=10, retries=1)
        fetched = self._asked(REGISTRY_CA_INFO, options, answer, once=True)
        if fetched.get("failed"):
            return None, f"dtr_cache_registry_url: {fetched['msg']}"
        return {key: fetched[key] for key in ("pem", "trusted_by", "certificates")}, None

    def _asked_of_dtr(
        self, reading: Reading, needs: t.Collection[str], answer: dict[str, t.Any]
    ) -> tuple[list[str], str | None]:
        """Problems that only DTR knows, and its version; empty where it does not say, C(None) where it is not asked."""
        settings, authority = reading.settings, answer["dtr_ca"]
        asks = bool({"registry", "dtr"} & set(needs))
        if not asks or authority is None or _mentions(reading.problems, "dtr_cache_registry_"):
            return [], None
        options = {
            **_connection(settings, authority),
            "registers": bool({"registration", "dtr"} & set(needs)),
            "asks_version": "certificate" in needs,
            "removes": "confirmation" in needs,
            "cache": settings.name,
            "cache_url": settings.url if settings.host else "",
            "former_names": list(settings.former_names),
            "cache_image": settings.image if "certificate" in needs else "",
        }
        assignments = {} if _mentions(reading.problems, "dtr_cache_assignments") else settings.assignments
        if "assignment" in needs:
            claims = [other["claims"] for other in answer["others"]]
            options.update(assignments=assignments, others=claims)
        if {"pull", "verification", "warming"} & set(needs):
            options.update(pulls_of=assignments, pull_account=settings.verify_account, warms="warming" in needs)
        if {"pull", "verification"} & set(needs):
            options.update(image=settings.verify_image or "", repository=settings.verify_repository or "")
        asked = self._asked(PREREQUISITES, options, answer)
        if asked.get("failed"):
            return [f"dtr_cache_registry_url: {asked['msg']}"], None
        answer["registered"] = asked.get("registered")
        return list(asked["problems"]), asked.get("version")

    def _asked(
        self, module: DtrModule, options: t.Mapping[str, t.Any], answer: t.Mapping[str, t.Any], *, once: bool = False
    ) -> dict[str, t.Any]:
        """The result of a module that talks to DTR; its warnings are this task's.

        Args:
            once: Whether it is the result of all hosts of the task that ask the same.
        """
        environment: dict[str, t.Any] = {}
        self._compute_environment_string(environment)
        texts = {name: str(value) for name, value in environment.items()}

        def ask() -> dict[str, t.Any]:
            return run_here(module, Task(MODULE, options, environment=texts))

        key = json.dumps([unique_id(self._task), dict(options), texts], sort_keys=True)
        result: dict[str, t.Any] = made_once(key, ask) if once else ask()
        answer["warnings"].extend(result.get("warnings") or [])
        return result

    def _collisions(
        self, reading: Reading, needs: t.Collection[str], answer: dict[str, t.Any], variables: t.Mapping[str, t.Any]
    ) -> list[str]:
        """What of the other regions of the inventory stands against this one."""
        if not set(SHARED_NEEDS) & set(needs):
            return []
        regions = regions_of(variables, self._templar, self._loader, self._task)
        own = region_as_read(reading.settings, reading.problems, variables["inventory_hostname"])
        others = others_of(own, regions)
        if "assignment" in needs:
            answer["others"] = claims_of_others(own, others)
        if "confirmation" not in needs:
            return collisions(own, others, needs)
        # Whoever is removed cannot get in the way any more, but must not take along what is others'.
        undo = undoing(reading.settings, own, others, variables.get("groups") or {})
        answer["undo"] = undo.fact()
        answer["warnings"].extend(undo.warnings)
        return undo.problems

    def _source_files(
        self, settings: Settings, options: t.Mapping[str, t.Any], variables: t.Mapping[str, t.Any]
    ) -> dict[str, list[str]]:
        """Return the files to remove in the end, each with the other hosts that need it."""
        regions = regions_of(variables, self._templar, self._loader, self._task) if options["together"] else []
        return files_with_users(variables["inventory_hostname"], settings.source_files, regions)

    def _engine(self, settings: Settings, variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """How modules reach the Engine: by the client bundle, or as the variables say."""
        if not settings.client_bundle:
            return dict(settings.engine)
        if self._connection.transport != "local":
            raise Failure(
                "INVALID_BUNDLE",
                f"dtr_cache_client_bundle: is on the control node, but {variables['inventory_hostname']} is reached by "
                f"{self._connection.transport}; set ansible_connection=local for it",
            )
        path = control_path_of_host(settings.client_bundle, variables)
        try:
            return open_bundle(path, Path(constants.DEFAULT_LOCAL_TMP)).engine
        except Failure as failure:
            raise Failure(failure.code, f"dtr_cache_client_bundle: {failure.message}") from failure

    def _disk_problems(self, needs: t.Collection[str], variables: t.Mapping[str, t.Any]) -> list[str]:
        """Why a secret would be written to a disk, as part of the module that it is sent with."""
        if constants.DEFAULT_KEEP_REMOTE_FILES and {"certificate", "registry", "dtr"} & set(needs):
            return ["ANSIBLE_KEEP_REMOTE_FILES would leave modules with their secrets on the disk; switch it off"]
        if "certificate" in needs and not self._is_pipelining_enabled("new"):
            return [
                f"the private key would be written to the disk of {variables['inventory_hostname']}, as its connection "
                "does not pipeline; set ansible_pipelining and ansible_ssh_pipelining to true (the roles do), and "
                "use no become method that cannot (su) nor a terminal (RequestTTY)"
            ]
        return []

    def _packages_installed(self, settings: Settings, variables: dict[str, t.Any]) -> bool:
        return settings.install_requirements and installed(self, settings.requirements, variables)


def _answers(known: t.Mapping[str, t.Any], options: t.Mapping[str, t.Any]) -> bool:
    """Whether an earlier answer with the same inputs is one to these needs as well."""
    needs = set(options["needs"])
    asked = options["ask_swarm"] != "always" or needs & {"manager", "swarm"} <= set(known["checked"])
    return not known["problems"] and not known["dtr_ca_problem"] and asked and needs <= set(known["judged"])


def _missing_parts(settings: Settings, needs: t.Collection[str], check_mode: bool) -> t.Iterator[str]:
    """What the step that follows needs, and no single variable can say."""
    name = settings.name
    # What is not confirmed at all can be previewed; what is confirmed wrongly is a mistake in check mode as well.
    previewed = check_mode and not settings.confirm_removal
    if "confirmation" in needs and name and settings.confirm_removal != name and not previewed:
        yield (
            f"dtr_cache_confirm_removal: cache {name} would be removed with all that belongs to it; if that is meant, "
            f"set dtr_cache_confirm_removal={name}"
        )
    if "verification" in needs and not settings.verify_image and not settings.verify_repository:
        yield (
            "dtr_cache_verify_image: no pull can prove that the cache serves; set dtr_cache_verify_image, an image in "
            "the DTR, or dtr_cache_verify_repository, a repository to which a tiny image can be pushed"
        )
    if "warming" in needs and not settings.warm_images and not settings.warm_repositories:
        yield (
            "dtr_cache_warm_images: there is nothing to warm; set a list of images (namespace/repository:tag) and of "
            "repositories with a pattern of tags"
        )
    if {"backup", "restore"} & set(needs) and not settings.backup_file:
        yield "dtr_cache_backup_file: is required: the file of the backup on the control node"
    elif problem := _backup_problem(settings, needs):
        yield f"dtr_cache_backup_file: {problem}"
    if "awx" in needs:
        yield from missing_for_awx(settings.awx)


def _backup_problem(settings: Settings, needs: t.Collection[str]) -> str:
    """Return why a file cannot be replaced by a backup of the DTR, or restored there; empty where it can."""
    path = settings.backup_file
    if "backup" in needs and vanishes_with_job(path, os.environ):
        return not_kept(path)
    if "backup" in needs and not os.path.exists(path):
        folder = os.path.dirname(path)
        return "" if os.path.isdir(folder) else f"there is no folder {folder}; make it, or name another one"
    if not {"backup", "restore"} & set(needs):
        return ""
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
        of_dtr = str(document["dtr"]) if (document["kind"], document["format"]) == BACKUP else ""
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    except (KeyError, TypeError, ValueError):
        of_dtr = ""
    loss = ", which would be lost; name another file, or remove this one" if "backup" in needs else ""
    if not of_dtr:
        return f"{path} holds something else than a backup{loss}"
    if settings.registry_url and canonical_server(of_dtr) != canonical_server(settings.registry_url):
        moved = loss or f'; if this DTR has taken its place, write "dtr": "{settings.registry_url}" into the file'
        return f"{path} holds the backup of another DTR, {of_dtr}{moved}"
    return ""


def _missing_files(settings: Settings) -> list[str]:
    """A mistyped path would leave the file that was meant where it is."""
    return [
        f"dtr_cache_source_files: {path} does not exist, so there is nothing to remove."
        for path in settings.source_files
        if not os.path.exists(path)
    ]


def _read_as(needs: t.Iterable[str]) -> list[str]:
    """The parts that the variables must describe: trust is put into the DTR at an address."""
    return ["address" if need == "trust" else need for need in needs if need not in STEP_NEEDS]


def _mentions(problems: t.Iterable[str], variables: str) -> bool:
    return any(problem.startswith(variables) for problem in problems)


def _connection(settings: Settings, authority: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """How DTR is reached, in the options of the modules that talk to it."""
    return {**connection_of(settings), **({"ca_certificate": authority["pem"]} if authority["pem"] else {})}


def _deployment(settings: Settings, authority: t.Mapping[str, t.Any] | None) -> dict[str, t.Any] | None:
    """The stack with the names of its configs and secrets, where all that they are made of is known."""
    if not settings.chain or not settings.private_key or authority is None:
        return None
    return describe_deployment(settings, authority["pem"])
