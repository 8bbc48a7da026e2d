# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rows of all reports have in common: how the run ended, and sizes. Pure functions."""

from __future__ import annotations

import typing as t

from ..facts import HostFacts, Result

_MEGABYTE = 10**6
_SHORTEST = 100
# Of a host that left the play at a task that leaves no reason.
NOT_FINISHED = "did not finish"


def named(host: HostFacts) -> dict[str, t.Any]:
    """How each row begins: the region by its name in the inventory, and the cache by its name in DTR."""
    return {"region": host.host, "cache": host.settings.get("name") or None}


def failure_of(host: HostFacts) -> str | None:
    """Where the run failed at this host."""
    return f"failed at: {host.failure.task}" if host.failure else None


def result_of(host: HostFacts) -> str:
    """How the run ended at this host."""
    return failure_of(host) or ("ok" if host.settings and host.is_reached else NOT_FINISHED)


def reasons(hosts: t.Iterable[HostFacts]) -> list[list[str]]:
    """For each host why it failed, if it did: a sentence, and each problem that it lists."""
    found = (host.failure.reason if host.failure else "" for host in hosts)
    return [reason.replace("\n  - ", "\n- ").splitlines() for reason in found]


def megabytes(size: int) -> str:
    return f"{size / _MEGABYTE:.1f} MB"


def pulled(pulls: t.Sequence[Result]) -> dict[str, t.Any] | None:
    """Size and time of all pulls together."""
    size = sum(pull["bytes"] for pull in pulls)
    return {"bytes": size, "seconds": round(sum(pull["seconds"] for pull in pulls), 3)} if size else None


def pulled_words(found: Result | None) -> str | None:
    """The same for people."""
    if not found:
        return None
    size = found["bytes"]
    # The image of a proof is smaller than a tenth of a megabyte.
    shown = megabytes(size) if size >= _MEGABYTE / 10 else f"{size / 1000:.1f} kB"
    return f"{shown} in {found['seconds']:.1f} s"


def shortened(text: str) -> str:
    """The beginning of a long sentence."""
    return text if len(text) <= _SHORTEST else f"{text[: _SHORTEST - 1]}…"
