# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reports of the playbooks: rows for programs, a table for people, and the hosts that fail. Pure functions.

The keys of all rows are public.
"""

from __future__ import annotations

import collections
import dataclasses
import typing as t

from ...module_utils.common.names import counted
from ...module_utils.common.urls import canonical_host
from .diagnosis import verdict_of
from .facts import HostFacts, Result
from .observation import HEALTHY, reported_row
from .problems import MISPLACED, differs, misplaced, registry_url, step_words
from .table import Table, shared, wrapped
from .traffic import traffic_sentences

Hosts = t.Sequence[HostFacts]
Row = dict[str, t.Any]
# Each row for programs with the hosts that it is of.
Rows = list[tuple[Row, Hosts]]

_MEGABYTE = 10**6
_SHORTEST = 100
# Of a host that left the play at a task that leaves no reason.
_NOT_FINISHED = "did not finish"
_LOCAL = "local"
# The exit code of a replica that did not end within its stop_grace_period.
_KILLED = 137
_REGISTRATION_WORDS = {"created": "registered", "replaced": "re-registered", "deleted": "unregistered"}
_ELSEWHERE = (
    "Accounts elsewhere are those that a region claims and that pull from another cache or from DTR, such as new "
    "members of a team. dtr.cache.assign assigns them; dtr.cache.assign --check --diff names them."
)


@dataclasses.dataclass(frozen=True)
class Report:
    """The report of a run that does something.

    Args:
        statistic: The name of its statistics, which are public.
        rows: Make the rows for programs.
        shown: Put a row into the words of the table.
        notes: Return what a host's row needs to say beside why the host failed.
        headings: Headings of columns, instead of their keys.
        planned: Those in check mode.
        detail: The column that comes into lines of its own where the table is too wide.
        other_name: The column that is left out where it says nothing new.
    """

    statistic: str
    rows: t.Callable[[Hosts], Rows]
    shown: t.Callable[[Row, Hosts, bool], Row] = lambda row, _hosts, _check_mode: row
    notes: t.Callable[[HostFacts, Hosts, bool], list[str]] = lambda _host, _hosts, _check_mode: []
    headings: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    planned: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    detail: str = "changed"
    other_name: str = "cache"

    key: t.ClassVar[str] = "rows"
    """The name of the content in the task's result."""
    observes: t.ClassVar[bool] = False
    """Whether the playbook only observes, and so goes on after a batch that is not well."""

    def content(self, hosts: Hosts, _time: str) -> t.Any:
        """Return what programs get."""
        return [row for row, _own in self.rows(hosts)]

    def table(self, hosts: Hosts, check_mode: bool = False) -> Table:
        """Return what people see."""
        found = self.rows(hosts)
        notes = [
            [text for host in own for text in (*self._reasons(host), *self.notes(host, hosts, check_mode))]
            for _row, own in found
        ]
        return Table(
            [self.shown(row, own, check_mode) for row, own in found],
            [list(dict.fromkeys(texts)) for texts in notes],
            detail=self.detail,
            headings=self.planned if check_mode else self.headings,
            other_name=self.other_name,
        )

    def lines(self, hosts: Hosts, width: int, check_mode: bool = False) -> list[str]:
        """Return what people see as lines of a terminal."""
        return self.table(hosts, check_mode).lines(width)

    def troubles(self, host: HostFacts, _hosts: Hosts) -> list[str]:
        """Return why the host is to fail, in short sentences without the reason."""
        if host.failure:
            return [f"{host.host} failed at: {host.failure.task}."]
        # Hosts that left the play before the report did so at a task that leaves no fact.
        return [] if host.is_reached else [f"{host.host} did not finish."]

    def _reasons(self, host: HostFacts) -> list[str]:
        """Return why the host failed: a sentence, and each problem that it lists."""
        return host.failure.reason.replace("\n  - ", "\n- ").splitlines() if host.failure else []


class StatusReport(Report):
    """The regions with what is wrong and what to do, and the DTRs that are not well."""

    key = "report"
    observes = True

    def content(self, hosts: Hosts, time: str) -> t.Any:
        """Return all rows with the verdict."""
        regions = super().content(hosts, time)
        registries = _registries_of(hosts)
        well = all(row["state"] == HEALTHY for row in regions) and not any(row["cause"] for row in registries)
        return {"time": time, "well": well, "regions": regions, "registries": registries}

    def lines(self, hosts: Hosts, width: int, check_mode: bool = False) -> list[str]:
        """Return the table with the DTRs below it."""
        shown = super().lines(hosts, width, check_mode)
        if any(row.get("elsewhere") for row, _own in self.rows(hosts)):
            shown += wrapped(_ELSEWHERE, width)
        for row in _registries_of(hosts):
            if row["cause"]:
                shown += wrapped(f"The DTR {row['url']}: {_advice(row)}", width)
        return shown

    def troubles(self, host: HostFacts, hosts: Hosts) -> list[str]:
        """Return that the region is not healthy, or the DTR that it is the first host of."""
        found = _unhealthy(reported_row(host))
        for registry in _registries_of([host]):
            dtr = registry["url"]
            first = next((each.host for each in hosts if registry_url(each.settings) == dtr), None)
            if registry["cause"] and first == host.host:
                found.append(f"The DTR {dtr} is not well.")
        return found

    def _reasons(self, host: HostFacts) -> list[str]:
        """Return what is wrong, of which the reason of a failure is the first."""
        row = reported_row(host)
        return [*([_advice(row)] if row["cause"] else []), *traffic_sentences(row.get("traffic"))]


class DiagnosisReport(Report):
    """What is wrong with each region and how to fix it, and below it the regions at a glance."""

    observes = True

    def lines(self, hosts: Hosts, width: int, check_mode: bool = False) -> list[str]:
        """Return the verdicts in full, and the table."""
        details = [line for text in details_of(self.content(hosts, "")) for line in wrapped(text, width)]
        return [*details, "", *super().lines(hosts, width, check_mode)]

    def troubles(self, host: HostFacts, _hosts: Hosts) -> list[str]:
        """Return that the region is not healthy."""
        return _unhealthy(verdict_of(host))

    def _reasons(self, _host: HostFacts) -> list[str]:
        return []


def _of_each(row_of: t.Callable[[HostFacts], Row]) -> t.Callable[[Hosts], Rows]:
    """Return the function that makes a row of each host."""
    return lambda hosts: [(row_of(host), [host]) for host in hosts]


def _fleets(hosts: Hosts) -> dict[str, list[HostFacts]]:
    """Return the hosts by their DTR; a host whose DTR is not known is by its name."""
    fleets: dict[str, list[HostFacts]] = {}
    for host in hosts:
        fleets.setdefault(registry_url(host.settings) or host.host, []).append(host)
    return fleets


def _named(host: HostFacts) -> Row:
    """Return how most rows begin: the region by its name in the inventory, and the cache by its name in DTR."""
    return {"region": host.host, "cache": host.settings.get("name") or None}


def _failure_of(host: HostFacts) -> str | None:
    return f"failed at: {host.failure.task}" if host.failure else None


def _result_of(host: HostFacts) -> str:
    return _failure_of(host) or ("ok" if host.settings and host.is_reached else _NOT_FINISHED)


def _first(found: t.Iterable[t.Any]) -> t.Any:
    return next(filter(None, found), None)


# Deployment and removal


def _deployed(host: HostFacts) -> Row:
    """Return the row of a host; C(changed) has each kind of change once, of a failed run what it may have changed."""
    settings, assigned, registration = host.settings, host.assigned, host.registration
    changed = [step["kind"] for step in host.unfinished_steps or host.steps]
    changed += ["registration"] if any(registration.get(key) for key in _REGISTRATION_WORDS) else []
    changed += ["accounts"] if assigned.get("changed_accounts") or registration.get("reassigned") else []
    known = "unchanged" in assigned
    return {
        **_named(host),
        "url": settings.get("url"),
        "nodes": sorted(settings.get("node_labels") or []),
        "days left": (settings.get("certificate") or {}).get("days_left"),
        "accounts": counted(assigned, "changed_accounts") + int(assigned["unchanged"]) if known else None,
        "pulled": _sum_of(_deployment_pulls(host)),
        "gap_seconds": host.gap_seconds,
        "cut_off": [dict(each) for each in host.cut_off],
        "changed": list(dict.fromkeys(changed)),
        "result": _result_of(host),
    }


def _deployed_in_words(row: Row, hosts: Hosts, _check_mode: bool) -> Row:
    (host,) = hosts
    words = {"pulled": _pulled_words(row["pulled"]), "gap": _gap(host), "changed": _changed(host)}
    same = {name: value for name, value in row.items() if name not in ("gap_seconds", "cut_off", "result", *words)}
    return {**same, **words, "result": row["result"]}


def _deployment_notes(host: HostFacts, hosts: Hosts, check_mode: bool) -> list[str]:
    """Return what stays, at another DTR, on nodes, or in files, and what is not where the settings say."""
    removed = {file for each in hosts for file in each.removed_files}
    kept = [file for file in host.source_files if file not in removed]
    notes = []
    if kept:
        users = ", ".join(sorted({user for file in kept for user in host.source_files[file]}))
        whom = "another run of this region" if host.failure else f"{users}, which failed or is still to be run"
        notes.append(f"Not removed, for {whom}: {', '.join(kept)}.")
    trial = host.plan.get("trial") or {}
    if check_mode and trial.get("definition"):
        notes.append(f"A trial replica of it (stack {trial['stack']}) would run first, on a node of the cache.")
    notes += filter(None, [host.plan.get("left_behind")])
    # Where the run failed, that may not have happened.
    notes += [] if host.failure else host.plan.get("lost_or_left") or []
    elsewhere = misplaced(host)
    return [*notes, *([f"{elsewhere[0].upper()}{elsewhere[1:]} {MISPLACED}"] if elsewhere else [])]


def _deployment_pulls(host: HostFacts) -> list[Result]:
    """Return the pulls of the image that were whole, or else of the proof, each of which brought all of its image."""
    proof = host.proof
    if not host.pulls and proof:
        return [{"bytes": proof["bytes"], "seconds": proof[name]["seconds"]} for name in ("cold", "warm")]
    return [pull for pull in host.pulls if pull["via_cache"]]


def _gap(host: HostFacts) -> str | None:
    """Return how long no replica took requests while this run exchanged them; None when it exchanged none.

    A replica that had to be killed may have taken requests until then. With another address, DTR sends users to the
    former one until the cache is registered anew, whatever the replicas do.
    """
    seconds = host.gap_seconds
    if seconds is None:
        return None
    hosts = ((entry["before"]["host"], entry["after"]["host"]) for entry in host.registration.get("replaced") or ())
    if any(canonical_host(before) != canonical_host(after) for before, after in hosts):
        return "until re-registered"
    codes = [each["exit_code"] for each in host.cut_off]
    gap = f"{'at most ' if _KILLED in codes else ''}{seconds:g} s" if seconds else "none"
    return f"{gap}, pulls cut off" if codes else gap


def _changed(host: HostFacts) -> str:
    if host.unfinished_steps:
        # It is not known which of them were done: a manager may do what it can no longer say.
        return f"unfinished: {', '.join(_of_steps(host.unfinished_steps))}"
    parts = _of_steps(host.steps)
    registration = host.registration
    parts += [word for key, word in _REGISTRATION_WORDS.items() if registration.get(key)]
    for result, key, word in ((host.assigned, "changed_accounts", "assigned"), (registration, "reassigned", "moved")):
        count = counted(result, key)
        parts += [f"{count} account{'s' if count > 1 else ''} {word}"] if count else []
    return ", ".join(parts) or "nothing"


def _of_steps(steps: t.Sequence[t.Mapping[str, str]]) -> list[str]:
    """Return such as C(1 node label) and C(3 secrets removed), in the order of their first appearance."""
    words = []
    for removes, end in ((False, ""), (True, " removed")):
        kinds = [step["kind"].replace("_", " ") for step in steps if (step["action"] == "remove") is removes]
        words += [f"{n} {kind}{'s' if n > 1 else ''}{end}" for kind, n in collections.Counter(kinds).items()]
    return words


def _sum_of(pulls: t.Sequence[Result]) -> Row | None:
    size = sum(pull["bytes"] for pull in pulls)
    return {"bytes": size, "seconds": round(sum(pull["seconds"] for pull in pulls), 3)} if size else None


def _pulled_words(found: Result | None) -> str | None:
    if not found:
        return None
    size = found["bytes"]
    # The image of a proof is smaller than a tenth of a megabyte.
    shown = _megabytes(size) if size >= _MEGABYTE / 10 else f"{size / 1000:.1f} kB"
    return f"{shown} in {found['seconds']:.1f} s"


def _megabytes(size: int | None) -> str | None:
    return None if size is None else f"{size / _MEGABYTE:.1f} MB"


# Verification


def _verified(host: HostFacts) -> Row:
    checks = host.health.get("checks") or []
    proof = host.proof
    return {
        **_named(host),
        "url": host.settings.get("url"),
        "healthy": host.health.get("healthy"),
        "wrong": [f"{check['edge']} {check['check']}" for check in checks if check["ok"] is False],
        "registered": next((check["ok"] for check in checks if check["check"] == "registration"), None),
        "days left": host.health.get("days_left"),
        # A pull that failed has brought nothing that proves anything.
        "pulled": _sum_of([pull for pull in host.pulls if pull["via_cache"]]),
        "proof": proof
        and {
            "cold_seconds": proof["cold"]["seconds"],
            "warm_seconds": proof["warm"]["seconds"],
            "hit": proof["warm"]["hit"],
        },
        "result": _result_of(host),
    }


def _verified_in_words(row: Row, hosts: Hosts, _check_mode: bool) -> Row:
    asked = any(check["check"] == "registration" for check in hosts[0].health.get("checks") or [])
    proof = row["proof"]
    if proof:
        cold, warm = (f"{proof[f'{name}_seconds'] * 1000:.0f} ms" for name in ("cold", "warm"))
        proof = f"miss in {cold}, {'hit' if proof['hit'] else 'again'} in {warm}"
    words = {
        "healthy": ", ".join(row["wrong"]) or _yes_or_no(row["healthy"]),
        # DTR was asked and did not say.
        "registered": _yes_or_no(row["registered"]) or ("?" if asked else None),
        "pulled": _pulled_words(row["pulled"]),
        "proof": proof,
    }
    return {name: words.get(name, value) for name, value in row.items() if name != "wrong"}


def _yes_or_no(value: bool | None) -> str | None:
    return None if value is None else "yes" if value else "no"


# Assignment


def _assigned(hosts: Hosts) -> Rows:
    """Return the rows grouped by DTR.

    One host of each DTR has the result for all hosts with the same DTR. A row C(local) follows for each DTR where
    accounts were reset to no cache or came from there.
    """
    found: Rows = []
    for fleet in _fleets(hosts).values():
        done: Result = next((host.assigned for host in fleet if "covered" in host.assigned), {})
        failed = counted(done, "failed_accounts")
        result = f"{failed} account{'s' if failed > 1 else ''} failed" if failed else _first(map(_failure_of, fleet))
        result = result or ("ok" if done else "no result")
        rows: Rows = [(_named(host), [host]) for host in fleet]
        if any(_LOCAL in (way["before"], way["after"]) for way in done.get("ways") or []):
            rows.append(({"region": _LOCAL, "cache": _LOCAL}, []))
        found += [({**row, **_moves(row["cache"], done), "result": result}, own) for row, own in rows]
    return found


def _moves(cache: str, done: Result) -> Row:
    if not done:
        return dict.fromkeys(("accounts", "arrived", "left"))
    ways = done.get("ways") or []
    return {
        "accounts": done["covered"].get(cache, 0),
        "arrived": sum(way["count"] for way in ways if way["after"] == cache),
        "left": sum(way["count"] for way in ways if way["before"] == cache),
    }


# Warming


def _warmed(host: HostFacts) -> Row:
    """Return sizes in bytes; in check mode C(brought) is what a real run would bring."""
    pulls = host.warmed.get("pulls") or []
    transferred = host.warmed.get("transferred") or {}
    failed = sum(pull["failure"] is not None for pull in pulls)
    result = f"{failed} of {len(pulls)} images failed" if failed else _failure_of(host)
    return {
        **_named(host),
        "images": len(pulls) or None,
        "size": transferred.get("wanted_bytes"),
        "already there": transferred.get("cached_bytes"),
        "brought": transferred.get("brought_bytes"),
        "seconds": transferred.get("seconds"),
        "result": result or ("ok" if pulls else _NOT_FINISHED),
    }


def _warmed_in_words(row: Row, _hosts: Hosts, _check_mode: bool) -> Row:
    sizes = {name: _megabytes(row[name]) for name in ("size", "already there", "brought")}
    if row["images"] and row["already there"] is None:
        sizes.update(dict.fromkeys(("already there", "brought"), "unknown"))
    return {**row, **sizes}


# Backup and restore


def _of_each_dtr(counts: t.Callable[[HostFacts], tuple[int, int] | None]) -> t.Callable[[Hosts], Rows]:
    """Return the function that makes a row of each DTR, by the one host that did it for all.

    Args:
        counts: Return caches and accounts; C(None) for a host that did nothing.
    """

    def rows(hosts: Hosts) -> Rows:
        found: Rows = []
        for dtr, fleet in _fleets(hosts).items():
            done = _first(map(counts, fleet))
            caches, accounts = done or (None, None)
            row = {
                "dtr": dtr,
                "caches": caches,
                "accounts": accounts,
                "file": _first(host.settings.get("backup_file") for host in fleet),
                "result": _first(map(_failure_of, fleet)) or ("ok" if done else "no result"),
            }
            found.append((row, fleet))
        return found

    return rows


def _backed_up(host: HostFacts) -> tuple[int, int] | None:
    done = host.backup
    return (len(done["counts"]) - 1, done["total"] - done["dangling_count"]) if "counts" in done else None


def _restored(host: HostFacts) -> tuple[int, int] | None:
    caches = host.restored_caches
    if "content_caches" not in caches:
        return None
    moved = len(caches.get("reassigned") or []) + sum(way["count"] for way in host.restored.get("ways") or [])
    return len(caches.get("created") or []) + len(caches.get("replaced") or []), moved


# Adoption


def _adopted(host: HostFacts) -> Row:
    adopted = host.adopted
    nodes = adopted.get("nodes")
    done = {None: _NOT_FINISHED, True: "written", False: "as it was"}[adopted.get("changed")]
    return {
        "region": host.host,
        "cache": adopted.get("name"),
        "url": adopted.get("url"),
        "stack": adopted.get("stack"),
        "nodes": len(nodes) if nodes is not None else None,
        "accounts": adopted.get("accounts"),
        "to set": [*(adopted.get("to_set") or []), *(adopted.get("vaulted") or [])],
        "file": adopted.get("path"),
        "result": _failure_of(host) or done,
    }


def _adopted_in_words(row: Row, _hosts: Hosts, check_mode: bool) -> Row:
    result = "would be written" if check_mode and row["result"] == "written" else row["result"]
    return {**row, "to set": len(row["to set"]) or None, "result": result}


def _adoption_notes(host: HostFacts, _hosts: Hosts, _check_mode: bool) -> list[str]:
    to_set = _adopted(host)["to set"]
    notes = [f"To set: {', '.join(to_set)}"] if to_set else []
    # A sentence begins with a capital letter, unless with a name, such as that of a variable.
    notes += [
        f"{note[:1].upper()}{note[1:]}" if note.partition(" ")[0].isalpha() else note
        for note in host.adopted.get("notes") or []
    ]
    return [f"{note}." for note in notes]


# Status and diagnosis


def _registries_of(hosts: t.Iterable[HostFacts]) -> list[Row]:
    """Return the rows of all DTRs. All hosts that were observed together have the same ones."""
    found: list[Row] = []
    for host in hosts:
        found += [dict(row) for row in host.observed.registries if row not in found]
    return found


def _status_in_words(row: Row, _hosts: Hosts = (), _check_mode: bool = False) -> Row:
    accounts = "?" if row["accounts"] is None else row["accounts"]
    return {
        "region": row["region"],
        "cache": row["cache"],
        "url": row["url"] or None,
        "state": row["state"],
        "version": f"{row['version']} (DTR {row['registry_version']})" if differs(row) else row["version"],
        "replicas": f"{row['replicas']['running']}/{row['replicas']['wanted']}" if row["replicas"] else None,
        "days left": row["days_left"],
        # How many pull from the cache, and how many of those it claims do not.
        "accounts": f"{accounts} ({row['elsewhere']} elsewhere)" if row.get("elsewhere") else accounts,
        "registered": _yes_or_no(row["registered"]) or "?",
        "drift": None if row["drift"] is None else ", ".join(step_words(row["drift"])) or "none",
    }


def _advice(row: Result) -> str:
    return " ".join(text for text in (row["cause"], row["hint"]) if text)


def _unhealthy(row: Result) -> list[str]:
    if row["state"] == "unknown":
        return [f"The state of {row['region']} is unknown."]
    return [] if row["state"] == HEALTHY else [f"{row['region']} is unhealthy."]


def _verdict_in_words(row: Row, _hosts: Hosts = (), _check_mode: bool = False) -> Row:
    cause = row["verdict"] or ""
    return {
        "region": row["region"],
        "cache": row["cache"],
        "url": row["url"] or None,
        "state": row["state"],
        "most likely cause": cause if len(cause) <= _SHORTEST else f"{cause[: _SHORTEST - 1]}…",
        "more": max(0, len(row["causes"]) - 1) or None,
    }


def details_of(found: t.Sequence[Result]) -> list[str]:
    """Return the verdicts as lines: what is wrong, what to do, and the evidence; what several regions have once."""
    texts: list[str] = []
    told: dict[tuple[str, str | None], str] = {}
    common = shared([each["region"] for each in found], [each["notes"] for each in found])
    for each in found:
        if not each["causes"] and not each["notes"]:
            continue
        texts += [
            *([""] if texts else []),
            f"{each['region']} ({each['cache'] or 'without a name'}) is {each['state']}.",
        ]
        for number, cause in enumerate(each["causes"], start=1):
            known = told.setdefault((cause["told"], cause["fix"]), f"{each['region']}, {number}")
            if known != f"{each['region']}, {number}":
                texts.append(f"  {number}. The same as {known}.")
            else:
                texts += [f"  {number}. {cause['told']}", *([f"     Do: {cause['fix']}"] if cause["fix"] else [])]
            texts += [f"     {text}" for text in cause["evidence"]]
        texts += [f"  {text}" for text in each["notes"] if text not in common]
    texts += [f"{', '.join(regions)}: {text}" for text, regions in common.items()]
    return texts or ["Nothing is wrong, and the logs show no trouble."]


_DEPLOYMENT = (_of_each(_deployed), _deployed_in_words, _deployment_notes)
_WOULD_CHANGE = {"changed": "would change"}

REPORTS = {
    "deployment": Report("dtr_cache_regions", *_DEPLOYMENT, planned=_WOULD_CHANGE),
    "removal": Report("dtr_cache_regions", *_DEPLOYMENT, planned=_WOULD_CHANGE),
    "verification": Report("dtr_cache_verified", _of_each(_verified), _verified_in_words, detail="proof"),
    "assignment": Report("dtr_cache_assigned", _assigned, planned={"arrived": "would arrive", "left": "would leave"}),
    "warming": Report(
        "dtr_cache_warmed",
        _of_each(_warmed),
        _warmed_in_words,
        planned={"already there": "said to be there", "brought": "would bring"},
    ),
    "backup": Report("dtr_cache_backups", _of_each_dtr(_backed_up)),
    "restore": Report(
        "dtr_cache_restored",
        _of_each_dtr(_restored),
        headings={"caches": "caches changed", "accounts": "accounts changed"},
        planned={"caches": "caches would change", "accounts": "accounts would change"},
    ),
    "adoption": Report(
        "dtr_cache_adopted",
        _of_each(_adopted),
        _adopted_in_words,
        _adoption_notes,
        planned={"file": "would write"},
        detail="file",
        # What a host calls its cache is what is found out.
        other_name="",
    ),
    "status": StatusReport("dtr_cache_status", _of_each(reported_row), _status_in_words, detail="drift"),
    "diagnosis": DiagnosisReport(
        "dtr_cache_verdicts",
        _of_each(verdict_of),
        _verdict_in_words,
        detail="most likely cause",
    ),
}
"""All kinds of reports."""


class Part(t.NamedTuple):
    """The hosts that one batch of a play reports."""

    all: Hosts  # those of the whole play up to now
    new: Hosts  # those that no batch has reported before


def part_of(hosts: Hosts, play_hosts: t.Collection[str], batch: t.Collection[str], play: str) -> Part:
    """Return the hosts to report where a batch has come to its end.

    Args:
        hosts: All hosts of the play, in its order.
        play_hosts: The names of those that are still in the play.
        batch: The names of those that are in this batch, and still in the play.
        play: What tells this play from others of the run.
    """
    reported = {name for host in hosts for name in host.reported_hosts(play)}
    # A host that failed or was lost has left the play; it is reported by the batch that lost it.
    lost = {host.host for host in hosts if host.host not in play_hosts}
    known = [host for host in hosts if host.host in reported or host.host in batch or host.host in lost]
    # A batch may have several reports of its own hosts.
    return Part(known, [host for host in known if host.host in batch or host.host not in reported])


def troubles_of(report: Report, part: Part, batch: t.Sequence[str], *, is_last: bool) -> dict[str, str]:
    """Return why hosts are to fail. Where all of a batch failed, Ansible would leave out those after it.

    So the last batch has what the ones before would have failed for, where the playbook only observes.

    Args:
        report: The report.
        part: The hosts of this batch, and of those before.
        batch: The names of those that are in this batch, and still in the play.
        is_last: Whether no batch comes after this one.
    """
    found = _found(report, part.new, part.new)
    if not report.observes:
        return found
    if not is_last:
        return {} if found.keys() >= set(batch) else found
    new = {host.host for host in part.new}
    before = [host for host in part.all if host.host not in new and host.is_reached]
    for sentences in _found(report, before, [*part.new, *before]).values():
        found[batch[0]] = f"{found.get(batch[0], '')} {sentences}".strip()
    return found


def _found(report: Report, hosts: Hosts, known: Hosts) -> dict[str, str]:
    troubles = {host.host: " ".join(report.troubles(host, known)) for host in hosts}
    return {name: sentences for name, sentences in troubles.items() if sentences}
