# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts that travel between the steps of a run. No other Python file reads variables of these names.

Each one is the registered result of one task, or set where the table says so:

========================== ========================================= ==================================================
fact                       registered by                             content
========================== ========================================= ==================================================
__dtr_cache                the first task of each role and playbook  result of M(dtr.cache.preflight)
__dtr_cache_plan           node_label, removal, observation          result of M(dtr.cache.stack_plan)
__dtr_cache_steps          set by stack and removal                  C(steps) that were done, or would be in check mode
__dtr_cache_trial          stack                                     result of the task that starts the trial
__dtr_cache_tried          stack                                     result of M(dtr.cache.stack_converged) for it
__dtr_cache_converged      stack                                     result of M(dtr.cache.stack_converged)
__dtr_cache_planned        set by stack and registration             names of caches that check mode only announces
__dtr_cache_in_use         registration, assignments, verification   result of M(dtr.cache.put_in_use)
__dtr_cache_registration   removal                                   result of M(dtr.cache.content_caches)
__dtr_cache_assigned       assignments, of all regions at once       result of M(dtr.cache.cache_assignments)
__dtr_cache_warmed         warming                                   result of M(dtr.cache.cache_pull)
__dtr_cache_backup         assignments                               what M(dtr.cache.cache_assignments_info) read
__dtr_cache_restored       assignments                               result of M(dtr.cache.cache_assignments)
__dtr_cache_adopted        playbook dtr.cache.adopt                  result of M(dtr.cache.adopt)
__dtr_cache_logs           observation                               result of M(dtr.cache.cache_logs_info)
__dtr_cache_observed       observation                               result of M(dtr.cache.fleet_info)
__dtr_cache_cleaned        cleanup                                   result of the task that removes source files
__dtr_cache_failure        set by the rescue of a playbook           C(task) that failed, and the C(reason)
__dtr_cache_report         the last task of a playbook               result of M(dtr.cache.report)
========================== ========================================= ==================================================

A task that failed or was skipped has registered a result as well. What has a C(play) is a fact of that play only: in a
later play of the run, a failure that was rescued or a step that was done is none any more. Nothing here is a secret.
"""

from __future__ import annotations

import typing as t

from ..actions.reasons import reason_of

Result = t.Mapping[str, t.Any]

# The facts of which each step of a run leaves one, and what the step is called where its result does not say.
_STEPS = {
    "__dtr_cache": "Check the settings",
    "__dtr_cache_plan": "Compare the Swarm with what is wanted",
    "__dtr_cache_converged": "Wait until the stack has settled",
    "__dtr_cache_in_use": "Put the cache in use",
    "__dtr_cache_registration": "Reset the accounts of the cache and remove its registration",
    "__dtr_cache_assigned": "Let the accounts of all regions pull from their caches",
    "__dtr_cache_warmed": "Pull the images through the cache",
    "__dtr_cache_backup": "Read which account pulls from which cache",
    "__dtr_cache_restored": "Let the accounts of the file pull from its caches",
}


class RunFailure(t.NamedTuple):
    """Where the run failed at a host, and why."""

    task: str
    reason: str


class Observed(t.NamedTuple):
    """What M(dtr.cache.fleet_info) says of one host: its row, and those of the DTRs."""

    region: Result | None
    registries: t.Sequence[Result]


class HostFacts:
    """What the steps of the run left in the variables of one host.

    Args:
        variables: All variables of the host.
        play: The play that the facts have to be of. Those of an earlier one in the same run say what was true then.
        is_reached: Whether the host is still in the play, so that the run came to the end there.
        observed: What was observed of hosts, filled and read by all that share it: hosts that were observed together
            have the same result.
    """

    def __init__(
        self,
        variables: t.Mapping[str, t.Any],
        play: str = "",
        *,
        is_reached: bool = True,
        observed: dict[str, Observed] | None = None,
    ) -> None:
        self._variables = variables
        self._play = play
        # Ansible makes a copy of all of a fact whenever it is asked for one of another host.
        self._known: dict[str, Result] = {}
        self._observed = {} if observed is None else observed
        self.is_reached = is_reached

    @property
    def host(self) -> str:
        """The host's name in the inventory."""
        return str(self._variables["inventory_hostname"])

    @property
    def settings(self) -> Result:
        """The settings without secrets; empty where they were never read, or refused."""
        return self._result("__dtr_cache").get("settings") or {}

    @property
    def was_checked(self) -> bool:
        """Whether the play has read its settings, and perhaps refused them."""
        return bool(self._result("__dtr_cache"))

    @property
    def settings_problems(self) -> t.Sequence[str]:
        """What is wrong with the settings of a host that is only observed."""
        return self._result("__dtr_cache").get("problems") or []

    @property
    def checked_host(self) -> str | None:
        """The host that the settings were read of."""
        return self._result("__dtr_cache").get("host")

    @property
    def judged(self) -> t.Sequence[str]:
        """The parts of the settings that were found complete."""
        return self._result("__dtr_cache").get("judged") or []

    @property
    def deployment(self) -> Result | None:
        """What a deployment is made of; nothing where the settings do not say all of it."""
        return self._result("__dtr_cache").get("deployment")

    @property
    def manager_mark(self) -> str | None:
        """What hosts have in common that reach the same manager in the same way."""
        return self._result("__dtr_cache").get("manager_mark")

    @property
    def dtr_ca(self) -> str:
        """The CA of DTR in PEM; empty where the system's CAs are trusted, or where there is none."""
        return str((self._result("__dtr_cache").get("dtr_ca") or {}).get("pem") or "")

    @property
    def source_files(self) -> t.Mapping[str, t.Sequence[str]]:
        """The files to remove, each with the other hosts that name or use it."""
        return self._result("__dtr_cache").get("source_files") or {}

    @property
    def removed_files(self) -> t.Sequence[str]:
        """The source files that this host removed."""
        return [each["__dtr_cache_file"] for each in self._result("__dtr_cache_cleaned").get("results") or []]

    @property
    def connection(self) -> str | None:
        """The mark of the connection to DTR that the settings describe."""
        return self._result("__dtr_cache").get("connection")

    @property
    def dtr_ca_problem(self) -> str | None:
        """Why the CA of DTR could not be fetched."""
        return self._result("__dtr_cache").get("dtr_ca_problem") or None

    @property
    def others(self) -> t.Sequence[Result]:
        """The other regions of the DTR that claim accounts, each with its C(claims)."""
        return self._result("__dtr_cache").get("others") or []

    @property
    def engine(self) -> Result:
        """How modules reach the Engine of the manager."""
        return self._result("__dtr_cache").get("engine") or {}

    @property
    def manager_is_lost(self) -> bool:
        """Whether the manager did not answer before; to wait for it once is enough."""
        code = (self.plan.get("failure") or {}).get("code")
        return bool(self.plan.get("unreachable")) or code == "MANAGER_SILENT"

    @property
    def planned_caches(self) -> t.Sequence[str]:
        """The caches that check mode only announces."""
        return self._variables.get("__dtr_cache_planned") or []

    @property
    def steps_of_use(self) -> Result:
        """The results of the steps that were done to put this cache in use, by step."""
        found = self._result("__dtr_cache_in_use")
        return found if found.get("cache") == self.settings.get("name") else {}

    @property
    def plan(self) -> Result:
        """What the Swarm has and what a deployment would change."""
        return self._result("__dtr_cache").get("plan") or self._result("__dtr_cache_plan")

    @property
    def steps(self) -> t.Sequence[t.Mapping[str, str]]:
        """The steps that were done in the Swarm."""
        return self._result("__dtr_cache_steps").get("steps") or []

    @property
    def unfinished_steps(self) -> t.Sequence[t.Mapping[str, str]]:
        """The steps that a run was to do in the Swarm that failed before it had done all of them."""
        if self.failure is None or self._result("__dtr_cache_steps"):
            return []
        steps = self.plan.get("steps") or []
        if self._result("__dtr_cache_tried").get("failed") or self._result("__dtr_cache_trial").get("failed"):
            # Before the trial only labels were set: what was created for it is removed.
            return [step for step in steps if (step["kind"], step["action"]) == ("node_label", "set")]
        return steps

    @property
    def running_services(self) -> t.Sequence[Result]:
        """What runs in the stack; nothing where the steps of this run change it and nobody has seen it since."""
        seen = self._result("__dtr_cache_converged").get("services")
        changed = any(step["kind"] in ("node_label", "service") for step in self.steps)
        return seen or ([] if changed else self.plan.get("services") or [])

    @property
    def gap_seconds(self) -> float | None:
        """How long no replica took requests while they were replaced."""
        return self._result("__dtr_cache_converged").get("gap_seconds")

    @property
    def cut_off(self) -> t.Sequence[Result]:
        """The replicas that were replaced and did not end by themselves."""
        return self._result("__dtr_cache_converged").get("cut_off") or []

    @property
    def health(self) -> Result:
        """What the last probe found at the cache."""
        return next(iter(self._of_use("probe").get("caches") or []), {})

    @property
    def registration(self) -> Result:
        """What was changed of the caches that DTR knows."""
        return self._of_use("register") or self._result("__dtr_cache_registration")

    @property
    def assigned(self) -> Result:
        """What was changed of the accounts' caches."""
        return self._of_use("assign") or self._result("__dtr_cache_assigned")

    @property
    def pulls(self) -> t.Sequence[Result]:
        """The pulls of the verification."""
        return self._of_use("pull").get("pulls") or []

    @property
    def proof(self) -> Result | None:
        """The proof by an image of its own."""
        return self._of_use("pull").get("proof") or None

    @property
    def warmed(self) -> Result:
        """What was pulled to fill the cache."""
        return self._result("__dtr_cache_warmed")

    @property
    def backup(self) -> Result:
        """Return what was read for the backup."""
        return self._result("__dtr_cache_backup")

    @property
    def restored(self) -> Result:
        """Return the accounts that were changed to be as in the file of the backup."""
        return self._result("__dtr_cache_restored")

    @property
    def restored_caches(self) -> Result:
        """Return the caches that were registered as in the file of the backup."""
        return self._result("__dtr_cache_restored_caches")

    @property
    def adopted(self) -> Result:
        """What was written of a cache that somebody else made."""
        return self._result("__dtr_cache_adopted")

    @property
    def logs(self) -> Result:
        """What the cache's logs have."""
        return self._result("__dtr_cache_logs")

    @property
    def observed_region(self) -> Result | None:
        """This host's row of what was observed."""
        return self._observation.region

    @property
    def observed_registries(self) -> t.Sequence[Result]:
        """The rows of the DTRs that were observed together with this host."""
        return self._observation.registries

    @property
    def failure(self) -> RunFailure | None:
        """Where the run failed at this host, if it did: as a rescue kept it, or else the first step that failed."""
        return self.kept_failure or next(self._failed_steps(), None)

    @property
    def kept_failure(self) -> RunFailure | None:
        """The failure that the rescue of a playbook kept."""
        failure = self._result("__dtr_cache_failure")
        return RunFailure(str(failure["task"]), str(failure["reason"])) if failure else None

    def reported_hosts(self, play: str) -> t.Sequence[str]:
        """The hosts that an earlier batch of the same play has reported, as far as this host knows."""
        report = self._variables.get("__dtr_cache_report") or {}
        return report.get("hosts") or [] if report.get("play") == play else []

    def _failed_steps(self) -> t.Iterator[RunFailure]:
        """Those of this play. In a playbook of somebody else's no rescue keeps their failures."""
        for name, title in _STEPS.items():
            result = self._result(name)
            # One that Ansible ended itself has none; each play begins with the first step anew.
            if result.get("failed") and ("play" in result or name == "__dtr_cache"):
                yield RunFailure(str(result.get("title") or title), reason_of(result, self.host))

    @property
    def _observation(self) -> Observed:
        if self.host not in self._observed:
            found = self._result("__dtr_cache_observed")
            registries = found.get("registries") or []
            rows = {row["region"]: Observed(row, registries) for row in found.get("regions") or []}
            self._observed.update({self.host: Observed(None, registries), **rows})
        return self._observed[self.host]

    def _of_use(self, step: str) -> Result:
        return self._result("__dtr_cache_in_use").get(step) or {}

    def _result(self, name: str) -> Result:
        if name not in self._known:
            self._known[name] = self._read(name)
        return self._known[name]

    def _read(self, name: str) -> Result:
        found = self._variables.get(name)
        # Until its task has run, a template of a role stands there.
        if not isinstance(found, t.Mapping):
            return {}
        # A task that Ansible ended before it knew its play is of this one.
        return found if (found.get("play") or self._play) == self._play else {}
