# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with each region and how to fix it. Pure functions."""

from __future__ import annotations

import typing as t

from ..diagnosis import verdicts
from ..facts import HostFacts, Result
from ..observing.regions import HEALTHY
from .status import state_sentence
from .table import Table, shared, wrapped
from .words import shortened


def rows(hosts: t.Sequence[HostFacts]) -> list[dict[str, t.Any]]:
    """The verdicts, in the order of the hosts."""
    return verdicts(hosts)


def lines(hosts: t.Sequence[HostFacts], width: int) -> list[str]:
    """What is wrong and what to do, and below it the regions at a glance."""
    found = verdicts(hosts)
    details = [line for text in details_of(found) for line in wrapped(text, width)]
    return [*details, "", *Table(summary(found), detail="most likely cause").lines(width)]


def summary(found: t.Iterable[Result]) -> list[dict[str, t.Any]]:
    """The verdicts in the words of a table."""
    return [
        {
            "region": each["region"],
            "cache": each["cache"],
            "url": each["url"] or None,
            "state": each["state"],
            "most likely cause": shortened(each["verdict"] or ""),
            "more": max(0, len(each["causes"]) - 1) or None,
        }
        for each in found
    ]


def details_of(found: t.Iterable[Result]) -> list[str]:
    """The verdicts as lines: what is wrong, what to do, and the evidence; what several regions have is told once."""
    texts: list[str] = []
    told: dict[tuple[str, str | None], str] = {}
    found = list(found)
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


def unhealthy(host: HostFacts) -> list[str]:
    """That this region is not healthy, without the reason."""
    (verdict,) = verdicts([host])
    return [] if verdict["state"] == HEALTHY else [state_sentence(verdict)]
