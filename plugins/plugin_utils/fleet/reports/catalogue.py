# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reports by their names: what programs get, what people see, and which regions are to fail. Pure functions."""

from __future__ import annotations

import importlib
import typing as t

from ..facts import HostFacts
from . import deployment
from .table import Table

Hosts = t.Sequence[HostFacts]


class Screen(t.NamedTuple):
    """Where a report is shown."""

    width: int
    check_mode: bool


class Report(t.NamedTuple):
    """One kind of report.

    Args:
        statistic: The name of its statistics, which are public.
        key: The name of its content in the task's result.
        content: What programs get. It takes the time of the report.
        lines: What people see.
        troubles: Why the region is to fail, in short sentences without the reason. It takes one of the hosts, and all.
        observes: Whether the playbook only observes, and so goes on after a batch that is not well.
    """

    statistic: str
    key: str
    content: t.Callable[[Hosts, str], t.Any]
    lines: t.Callable[[Hosts, Screen], list[str]]
    troubles: t.Callable[[HostFacts, Hosts], list[str]]
    observes: bool = False


class _Late:
    """A kind of report that is loaded when it is made. Most runs deploy, and pay for no other."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, function: str) -> t.Callable[..., t.Any]:
        def call(*arguments: t.Any) -> t.Any:
            return getattr(importlib.import_module(f".{self._name}", __package__), function)(*arguments)

        return call


def _of_run(statistic: str, rows: t.Callable[[Hosts], t.Any], table: t.Callable[[Hosts, bool], Table]) -> Report:
    return Report(
        statistic,
        "rows",
        lambda hosts, _time: rows(hosts),
        lambda hosts, screen: table(hosts, screen.check_mode).lines(screen.width),
        _run_troubles,
    )


def _run_troubles(host: HostFacts, _hosts: Hosts) -> list[str]:
    if host.failure:
        return [f"{host.host} failed at: {host.failure.task}."]
    # Whoever left the play before the report did so at a task that leaves no fact.
    return [] if host.is_reached else [f"{host.host} did not finish."]


adoption, assignment, backups, status, verdicts, verification, warming = map(
    _Late, ("adoption", "assignment", "backups", "status", "verdicts", "verification", "warming")
)

REPORTS = {
    "deployment": _of_run("dtr_cache_regions", deployment.rows, deployment.table),
    "removal": _of_run("dtr_cache_regions", deployment.rows, deployment.table),
    "verification": _of_run("dtr_cache_verified", verification.rows, verification.table),
    "assignment": _of_run("dtr_cache_assigned", assignment.rows, assignment.table),
    "warming": _of_run("dtr_cache_warmed", warming.rows, warming.table),
    "backup": _of_run("dtr_cache_backups", backups.rows, backups.table),
    "restore": _of_run("dtr_cache_restored", backups.restored_rows, backups.restored_table),
    "adoption": _of_run("dtr_cache_adopted", adoption.rows, adoption.table),
    "status": Report(
        "dtr_cache_status",
        "report",
        status.report,
        lambda hosts, screen: status.lines(hosts, screen.width),
        status.unhealthy,
        observes=True,
    ),
    "diagnosis": Report(
        "dtr_cache_verdicts",
        "rows",
        lambda hosts, _time: verdicts.rows(hosts),
        lambda hosts, screen: verdicts.lines(hosts, screen.width),
        lambda host, _hosts: verdicts.unhealthy(host),
        observes=True,
    ),
}
"""All kinds of reports."""


class Part(t.NamedTuple):
    """The hosts that one batch of a play reports."""

    all: Hosts  # those of the whole play up to now
    new: Hosts  # those that no batch has reported before


def part_of(hosts: Hosts, play_hosts: t.Collection[str], batch: t.Collection[str], play: str) -> Part:
    """Who is reported where a batch has come to its end.

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
    """Why hosts are to fail. Where all of a batch failed, Ansible would leave out those after it.

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
