# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulling until each replica of a cache has everything."""

from __future__ import annotations

import typing as t

from ..common.failure import Failure
from .report import NOT_TRIED, SAID_BY_THE_CACHE, Report

# Nothing was said at that address.
_CLOSED = ("CONNECTION_FAILED", "TIMEOUT", NOT_TRIED)


def merged(reports: t.Sequence[Report]) -> Report:
    """What several pulls of the same images did together, such as one by each address: the rows are the first one's.

    What the cache had is what the replica with the least had.
    """
    first = reports[0]
    together: dict[str, t.Any] = {}
    for name in ("blobs", "bytes", "seconds", *SAID_BY_THE_CACHE):
        found = [report.transferred[name] for report in reports]
        combined = min if name.startswith("cached") else sum
        together[name] = None if None in found else round(combined(found), 3)
    return first._replace(
        transferred={**first.transferred, **together}, brought=any(report.brought for report in reports)
    )


def by_all_addresses(
    pull_by: t.Callable[[str | None], Report],
    cache: str,
    addresses: t.Sequence[str],
    replicas: int,
    passes: int,
    *,
    all_open: bool = False,
) -> tuple[Report, list[str]]:
    """Pull until each replica of a cache should have all: by each of its addresses, several times behind one.

    Args:
        pull_by: Pulls by one address of the cache, over new connections, or by its name with C(None).
        cache: Its name for messages.
        addresses: Those of its name, where they are known.
        replicas: How many there are, as far as they do not share their storage.
        passes: The most pulls behind one address, where there are fewer addresses than replicas.
        all_open: Whether every address has to take connections.

    Returns:
        What was done in all, and warnings about replicas that may lack something.
    """
    done: list[Report] = []
    closed: list[Report] = []
    warnings: list[str] = []
    again = passes if replicas > max(1, len(addresses)) else 1
    ways: list[str | None] = [*addresses] or [None]
    for address in ways:
        report: Report | None = None
        for _each in range(again):
            before, report = report, pull_by(address)
            if (
                address
                and not all_open
                and report.failures
                and all(each.code in _CLOSED for each in report.failures.values())
            ):
                closed.append(report)
                reason = next(iter(report.failures.values())).message
                warnings.append(f"{cache} was not reached at {address}, and what is there got nothing: {reason}")
                report = None
                break
            done.append(report)
            if report.failures:
                return merged([report, *done[:-1]]), warnings
            if before and not report.brought:
                break
        if again > 1 and report and (report.brought or report.transferred["cached_blobs"] is None):
            where = f"its address {address}" if address else "one address"
            warnings.append(
                f"{cache} has {replicas} replicas, and several behind {where}. Whether each of them has everything "
                f"is unknown after {again} pulls: pull again, or let the replicas share their storage."
            )
    report = merged(done or closed)
    told = [each.transferred["cached_blobs"] is not None for each in done]
    if all_open and any(told) and not all(told):
        failure = _not_kept(cache, ways[told.index(False)] if len(done) == len(ways) else None)
        report = report._replace(failures={row["image"]: failure for row in report.pulls})
    return report, warnings


def _not_kept(cache: str, address: str | None) -> Failure:
    where = f" at {address}" if address else ""
    return Failure(
        "NOT_KEPT",
        f"A replica of the cache {cache}{where} does not keep what comes through it, and another one does.",
        hint="Check its storage (full, or read-only?) and its blob TTL.",
    )
