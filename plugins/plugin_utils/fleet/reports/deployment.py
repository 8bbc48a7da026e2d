# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployment, a rotation or a removal did at each region. Pure functions."""

from __future__ import annotations

import collections
import typing as t

from ....module_utils.common.names import counted
from ....module_utils.common.urls import canonical_host
from ..facts import HostFacts, Result
from ..misplaced import HINT, misplaced
from ..observing.problems import cache_service
from .table import Table
from .words import named, pulled, pulled_words, reasons, result_of

# The exit code of a replica that did not end within its stop_grace_period.
_KILLED = 137
_REGISTRATION_WORDS = {"created": "registered", "replaced": "re-registered", "deleted": "unregistered"}


def rows(hosts: t.Sequence[HostFacts]) -> list[dict[str, t.Any]]:
    """The rows for programs, in the order of the hosts."""
    return [
        {
            **_beginning(host),
            "pulled": pulled(_pulls(host)),
            "gap_seconds": host.gap_seconds,
            "cut_off": [dict(each) for each in host.cut_off],
            "changed": _changed_parts(host),
            "result": result_of(host),
        }
        for host in hosts
    ]


def table(hosts: t.Sequence[HostFacts], check_mode: bool) -> Table:
    """The rows for people, with why regions failed and what they left at another DTR.

    They have the gap only where replicas were exchanged anywhere.
    """
    gaps = any(host.gap_seconds is not None for host in hosts)
    shown = [
        {
            **_beginning(host),
            "pulled": pulled_words(pulled(_pulls(host))),
            **({"gap": _gap(host)} if gaps else {}),
            "changed": _changed(host),
            "result": result_of(host),
        }
        for host in hosts
    ]
    headings = {"changed": "would change"} if check_mode else {}
    notes = [
        [
            *reason,
            *_kept_files(host, hosts),
            *_tried(host, check_mode),
            *_left_behind(host),
            *_lost_or_left(host),
            *_elsewhere(host),
        ]
        for host, reason in zip(hosts, reasons(hosts))
    ]
    return Table(shown, notes, headings=headings)


def _kept_files(host: HostFacts, hosts: t.Sequence[HostFacts]) -> list[str]:
    """The source files that stay, and for whom."""
    removed = {file for each in hosts for file in each.removed_files}
    kept = [file for file in host.source_files if file not in removed]
    if not kept:
        return []
    users = sorted({user for file in kept for user in host.source_files[file]})
    whom = "another run of this region" if host.failure else f"{', '.join(users)}, which failed or is still to be run"
    return [f"Not removed, for {whom}: {', '.join(kept)}."]


def _tried(host: HostFacts, check_mode: bool) -> list[str]:
    if not check_mode or not (host.plan.get("trial") or {}).get("definition"):
        return []
    return [f"A trial replica of it (stack {host.plan['trial']['stack']}) would run first, on a node of the cache."]


def _lost_or_left(host: HostFacts) -> list[str]:
    """What becomes of the layers; where the run failed, that may not have happened."""
    return [] if host.failure else list(host.plan.get("lost_or_left") or [])


def _left_behind(host: HostFacts) -> list[str]:
    behind = host.plan.get("left_behind")
    return [str(behind)] if behind else []


def _elsewhere(host: HostFacts) -> list[str]:
    found = misplaced(host.running_services, cache_service(host.plan), host.settings)
    return [f"{found[0].upper()}{found[1:]} {HINT}"] if found else []


def _beginning(host: HostFacts) -> dict[str, t.Any]:
    settings = host.settings
    return {
        **named(host),
        "url": settings.get("url"),
        "nodes": sorted(settings.get("node_labels") or []),
        "days left": (settings.get("certificate") or {}).get("days_left"),
        "accounts": _accounts(host.assigned),
    }


def _pulls(host: HostFacts) -> list[Result]:
    """Those of the image that were whole, or else of the proof: each of these brought all bytes of its image."""
    proof = host.proof
    if not host.pulls and proof:
        return [{"bytes": proof["bytes"], "seconds": proof[name]["seconds"]} for name in ("cold", "warm")]
    return [pull for pull in host.pulls if pull["via_cache"]]


def _accounts(assigned: Result) -> int | None:
    if "unchanged" not in assigned:
        return None
    return counted(assigned, "changed_accounts") + int(assigned["unchanged"])


def _gap(host: HostFacts) -> str | None:
    """How long no replica took requests while this run exchanged them; None when it exchanged none.

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


def _changed_parts(host: HostFacts) -> list[str]:
    """What was changed, each kind once: the kinds of the steps in the Swarm, C(registration) and C(accounts).

    Of a run that failed in the Swarm it is what it may have changed.
    """
    parts = [step["kind"] for step in host.unfinished_steps or host.steps]
    parts += ["registration"] if any(host.registration.get(key) for key in _REGISTRATION_WORDS) else []
    moved = host.assigned.get("changed_accounts") or host.registration.get("reassigned")
    return list(dict.fromkeys([*parts, *(["accounts"] if moved else [])]))


def _changed(host: HostFacts) -> str:
    if host.unfinished_steps:
        # Which of them were done is not known: a manager may do what it can no longer say.
        return f"unfinished: {', '.join(_of_steps(host.unfinished_steps))}"
    parts = _of_steps(host.steps)
    registration = host.registration
    parts += [word for key, word in _REGISTRATION_WORDS.items() if registration.get(key)]
    for result, key, word in ((host.assigned, "changed_accounts", "assigned"), (registration, "reassigned", "moved")):
        count = counted(result, key)
        parts += [f"{count} account{'s' if count > 1 else ''} {word}"] if count else []
    return ", ".join(parts) or "nothing"


def _of_steps(steps: t.Sequence[t.Mapping[str, str]]) -> list[str]:
    parts = _counted(step["kind"] for step in steps if step["action"] != "remove")
    return parts + [
        f"{part} removed" for part in _counted(step["kind"] for step in steps if step["action"] == "remove")
    ]


def _counted(kinds: t.Iterable[str]) -> list[str]:
    """Such as C(1 node label) and C(3 secrets), in the order of their first appearance."""
    counts = collections.Counter(kind.replace("_", " ") for kind in kinds)
    return [f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in counts.items()]
