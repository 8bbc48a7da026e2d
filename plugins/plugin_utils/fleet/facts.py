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
_Value = t.TypeVar("_Value")

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
    """The task at which the run failed at a host, and the reason."""

    task: str
    reason: str


class Observed(t.NamedTuple):
    """The result of M(dtr.cache.fleet_info) for one host: its row, and those of the DTRs."""

    region: Result | None
    registries: t.Sequence[Result]


class _Part(t.Generic[_Value]):
    """A part of a fact; the default where it is missing.

    Args:
        fact: The end of the fact's name, empty for the result of the preflight.
        part: The key, empty for all of the fact.
        default: What it is where it is missing.
    """

    def __init__(self, fact: str, part: str, default: _Value) -> None:
        self._fact = f"__dtr_cache_{fact}" if fact else "__dtr_cache"
        self._part = part
        self._default = default

    def __get__(self, facts: HostFacts, _type: object = None) -> _Value:
        result = facts.result(self._fact)
        found = result.get(self._part) if self._part else result
        return t.cast("_Value", self._default if found is None else found)


_NONE: Result = {}


class HostFacts:
    """The facts of one host.

    Args:
        variables: All variables of the host.
        play: The play that the facts have to be of. Those of an earlier one in the same run say what was true then.
        is_reached: Whether the host is still in the play, so that the run came to the end there.
        observed: What was observed of hosts, filled and read by all that share it: hosts that were observed together
            have the same result.
    """

    # The settings without secrets; empty where they were never read, or refused.
    settings = _Part[Result]("", "settings", _NONE)
    # What is wrong with the settings of a host that is only observed.
    settings_problems = _Part[t.Sequence[str]]("", "problems", ())
    # The host that the settings were read of.
    checked_host = _Part[t.Optional[str]]("", "host", None)
    # The parts of the settings that were found complete.
    judged = _Part[t.Sequence[str]]("", "judged", ())
    # What a deployment is made of, so that planned steps mean something; None where the settings do not say all of it.
    deployment = _Part[t.Optional[Result]]("", "deployment", None)
    # What hosts have in common that reach the same manager in the same way.
    manager_mark = _Part[t.Optional[str]]("", "manager_mark", None)
    # The files to remove, each with the other hosts that name or use it.
    source_files = _Part[t.Mapping[str, t.Sequence[str]]]("", "source_files", _NONE)
    # The mark of the connection to DTR that the settings describe.
    connection = _Part[t.Optional[str]]("", "connection", None)
    # Why the CA of DTR could not be fetched.
    dtr_ca_problem = _Part[t.Optional[str]]("", "dtr_ca_problem", None)
    # The other regions of the DTR that claim accounts, each with its C(claims).
    others = _Part[t.Sequence[Result]]("", "others", ())
    # How modules reach the Engine of the manager.
    engine = _Part[Result]("", "engine", _NONE)
    # The steps that were done in the Swarm.
    steps = _Part[t.Sequence[t.Mapping[str, str]]]("steps", "steps", ())
    # How long no replica took requests while they were replaced.
    gap_seconds = _Part[t.Optional[float]]("converged", "gap_seconds", None)
    # The replicas that were replaced and did not end by themselves.
    cut_off = _Part[t.Sequence[Result]]("converged", "cut_off", ())
    warmed = _Part[Result]("warmed", "", _NONE)
    backup = _Part[Result]("backup", "", _NONE)
    restored = _Part[Result]("restored", "", _NONE)
    restored_caches = _Part[Result]("restored_caches", "", _NONE)
    adopted = _Part[Result]("adopted", "", _NONE)
    logs = _Part[Result]("logs", "", _NONE)

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
        self.host = str(variables["inventory_hostname"])

    def result(self, name: str) -> Result:
        """Return a fact of the play; empty where there is none."""
        if name not in self._known:
            found = self._variables.get(name)
            # Until its task has run, a template of a role is in its place. A result without a play is of this one.
            result = found if isinstance(found, t.Mapping) else {}
            self._known[name] = result if (result.get("play") or self._play) == self._play else {}
        return self._known[name]

    @property
    def was_checked(self) -> bool:
        """Check whether the play has read its settings, and perhaps refused them."""
        return bool(self.result("__dtr_cache"))

    @property
    def dtr_ca(self) -> str:
        """Return the CA of DTR in PEM; empty where the system's CAs are trusted, or where there is none."""
        return str((self.result("__dtr_cache").get("dtr_ca") or {}).get("pem") or "")

    @property
    def removed_files(self) -> t.Sequence[str]:
        """Return the source files that this host removed."""
        return [each["__dtr_cache_file"] for each in self.result("__dtr_cache_cleaned").get("results") or []]

    @property
    def planned_caches(self) -> t.Sequence[str]:
        """Return the caches that check mode only announces."""
        return self._variables.get("__dtr_cache_planned") or []

    @property
    def plan(self) -> Result:
        """Return what the Swarm has and what a deployment would change."""
        return self.result("__dtr_cache").get("plan") or self.result("__dtr_cache_plan")

    @property
    def manager_is_lost(self) -> bool:
        """Check whether the manager did not answer before; to wait for it once is enough."""
        code = (self.plan.get("failure") or {}).get("code")
        return bool(self.plan.get("unreachable")) or code == "MANAGER_SILENT"

    @property
    def unfinished_steps(self) -> t.Sequence[t.Mapping[str, str]]:
        """Return the steps that a run was to do in the Swarm that failed before it had done all of them."""
        if self.failure is None or self.result("__dtr_cache_steps"):
            return []
        steps = self.plan.get("steps") or []
        if any(self.result(f"__dtr_cache_{name}").get("failed") for name in ("tried", "trial")):
            # Before the trial only labels were set: what was created for it is removed.
            return [step for step in steps if (step["kind"], step["action"]) == ("node_label", "set")]
        return steps

    @property
    def running_services(self) -> t.Sequence[Result]:
        """Return what runs in the stack; nothing where the steps of this run change it and it was not read since."""
        seen = self.result("__dtr_cache_converged").get("services")
        changed = any(step["kind"] in ("node_label", "service") for step in self.steps)
        return seen or ([] if changed else self.plan.get("services") or [])

    @property
    def steps_of_use(self) -> Result:
        """Return the results of the steps that were done to put this cache in use, by step."""
        found = self.result("__dtr_cache_in_use")
        return found if found.get("cache") == self.settings.get("name") else {}

    def _of_use(self, step: str) -> Result:
        return self.result("__dtr_cache_in_use").get(step) or {}

    @property
    def health(self) -> Result:
        """Return what the last probe found at the cache."""
        return next(iter(self._of_use("probe").get("caches") or []), {})

    @property
    def registration(self) -> Result:
        """Return what was changed of the caches that DTR knows."""
        return self._of_use("register") or self.result("__dtr_cache_registration")

    @property
    def assigned(self) -> Result:
        """Return what was changed of the accounts' caches."""
        return self._of_use("assign") or self.result("__dtr_cache_assigned")

    @property
    def pulls(self) -> t.Sequence[Result]:
        """Return the pulls of the verification."""
        return self._of_use("pull").get("pulls") or []

    @property
    def proof(self) -> Result | None:
        """Return the proof by an image of its own."""
        return self._of_use("pull").get("proof") or None

    @property
    def observed(self) -> Observed:
        """Return the row of the host and those of the DTRs that were observed together with it."""
        if self.host not in self._observed:
            found = self.result("__dtr_cache_observed")
            registries = found.get("registries") or []
            rows = {row["region"]: Observed(row, registries) for row in found.get("regions") or []}
            self._observed.update({self.host: Observed(None, registries), **rows})
        return self._observed[self.host]

    @property
    def failure(self) -> RunFailure | None:
        """Return where the run failed at this host: as a rescue kept it, or else the first step that failed."""
        if self.kept_failure:
            return self.kept_failure
        # Those of this play. In a playbook of the user no rescue keeps their failures.
        for name, title in _STEPS.items():
            result = self.result(name)
            # A step that Ansible ended itself has no play; each play begins with the first step anew.
            if result.get("failed") and ("play" in result or name == "__dtr_cache"):
                return RunFailure(str(result.get("title") or title), reason_of(result, self.host))
        return None

    @property
    def kept_failure(self) -> RunFailure | None:
        """Return the failure that the rescue of a playbook kept."""
        failure = self.result("__dtr_cache_failure")
        return RunFailure(str(failure["task"]), str(failure["reason"])) if failure else None

    def reported_hosts(self, play: str) -> t.Sequence[str]:
        """Return the hosts that an earlier batch of the same play has reported, as far as this host knows."""
        report = self._variables.get("__dtr_cache_report") or {}
        return report.get("hosts") or [] if report.get("play") == play else []
