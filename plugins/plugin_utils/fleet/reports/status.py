# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of each region and of each DTR, for people and for programs. Pure functions."""

from __future__ import annotations

import typing as t

from ..facts import HostFacts, Result
from ..observing.problems import registry_url, step_words
from ..observing.regions import HEALTHY, reported_row
from ..observing.versions import differs
from ..traffic import traffic_sentences
from .table import Table, wrapped

_ELSEWHERE = (
    "Accounts elsewhere are those that a region claims and that pull from another cache or from DTR, such as new "
    "members of a team. dtr.cache.assign assigns them; dtr.cache.assign --check --diff names them."
)


def report(hosts: t.Sequence[HostFacts], time: str) -> dict[str, t.Any]:
    """The report for programs. Its keys are public."""
    regions = [reported_row(host) for host in hosts]
    registries = registries_of(hosts)
    return {
        "time": time,
        "well": all(row["state"] == HEALTHY for row in regions) and not any(row["cause"] for row in registries),
        "regions": regions,
        "registries": registries,
    }


def registries_of(hosts: t.Iterable[HostFacts]) -> list[dict[str, t.Any]]:
    """The rows of all DTRs. All hosts that were observed together have the same ones."""
    found: list[dict[str, t.Any]] = []
    for host in hosts:
        found += [dict(row) for row in host.observed_registries if row not in found]
    return found


def lines(hosts: t.Sequence[HostFacts], width: int) -> list[str]:
    """The table of the regions with what is wrong and what to do, and below it the DTRs that are not well."""
    regions = [reported_row(host) for host in hosts]
    notes = [[*([_advice(row)] if row["cause"] else []), *traffic_sentences(row.get("traffic"))] for row in regions]
    shown = Table(summary(regions), notes, detail="drift").lines(width)
    if any(row.get("elsewhere") for row in regions):
        shown += wrapped(_ELSEWHERE, width)
    for row in registries_of(hosts):
        if row["cause"]:
            shown += wrapped(f"The DTR {row['url']}: {_advice(row)}", width)
    return shown


def summary(regions: t.Iterable[Result]) -> list[dict[str, t.Any]]:
    """The rows in the words of a table."""
    return [
        {
            "region": row["region"],
            "cache": row["cache"],
            "url": row["url"] or None,
            "state": row["state"],
            "version": f"{row['version']} (DTR {row['registry_version']})" if differs(row) else row["version"],
            "replicas": f"{row['replicas']['running']}/{row['replicas']['wanted']}" if row["replicas"] else None,
            "days left": row["days_left"],
            "accounts": _accounts(row),
            "registered": {True: "yes", False: "no", None: "?"}[row["registered"]],
            "drift": None if row["drift"] is None else ", ".join(step_words(row["drift"])) or "none",
        }
        for row in regions
    ]


def unhealthy(host: HostFacts, hosts: t.Sequence[HostFacts]) -> list[str]:
    """That this region is not healthy, or the DTR that it is the first host of, without the reason."""
    row = reported_row(host)
    found = [] if row["state"] == HEALTHY else [state_sentence(row)]
    for registry in registries_of([host]):
        if registry["cause"] and _first_of(registry["url"], hosts) == host.host:
            found.append(f"The DTR {registry['url']} is not well.")
    return found


def state_sentence(row: Result) -> str:
    """Such as C(region-asia is unhealthy)."""
    return (
        f"The state of {row['region']} is unknown." if row["state"] == "unknown" else f"{row['region']} is unhealthy."
    )


def _first_of(dtr: str, hosts: t.Sequence[HostFacts]) -> str | None:
    return next((host.host for host in hosts if registry_url(host.settings) == dtr), None)


def _accounts(row: Result) -> t.Any:
    """How many pull from the cache, and how many of those it claims do not."""
    elsewhere = row.get("elsewhere")
    accounts = "?" if row["accounts"] is None else row["accounts"]
    return f"{accounts} ({elsewhere} elsewhere)" if elsewhere else accounts


def _advice(row: Result) -> str:
    return " ".join(text for text in (row["cause"], row["hint"]) if text)
