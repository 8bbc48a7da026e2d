# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""M(dtr.cache.report): makes the report of a playbook of the facts that its steps left, and shows it."""

from __future__ import annotations

import datetime
import typing as t

from ansible.plugins.action import ActionBase

from ..module_utils.common.redaction import printable
from ..plugin_utils.actions.forks import SharedByForks
from ..plugin_utils.actions.plays import play_of
from ..plugin_utils.actions.progress_lines import read_by_people
from ..plugin_utils.actions.terminal import terminal_width
from ..plugin_utils.fleet.facts import HostFacts, Observed
from ..plugin_utils.fleet.plan_result import CHECKED, project_revision
from ..plugin_utils.fleet.reports import REPORTS, Part, Report, part_of, troubles_of

ARGUMENT_SPEC = {"of": {"type": "str", "required": True, "choices": list(REPORTS)}}
# Ansible loads the action before it makes the processes of the tasks, which have no terminal.
WIDTH = terminal_width()
_FOR_EACH_HOST = "One task reports all hosts of the play: set run_once: true for it."
_LEFT_OUT = (
    "There is nothing to report: the first task of the play, which checks the settings, was left out. Run it without "
    "--start-at-task. In a playbook of your own, begin with dtr.cache.preflight, and register its result as "
    "__dtr_cache."
)


class ActionModule(SharedByForks, ActionBase):
    """Runs once for all hosts of the play."""

    _supports_check_mode = True
    _supports_async = False
    _requires_connection = False

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        _validation, options = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        if not self._task.run_once:
            return {**result, "changed": False, "failed": True, "msg": _FOR_EACH_HOST}
        report = REPORTS[options["of"]]
        play = play_of(self._task)
        reached = set(variables["ansible_play_hosts"])
        observed: dict[str, Observed] = {}
        hosts = [
            HostFacts(variables["hostvars"][name], play, is_reached=name in reached, observed=observed)
            for name in variables["ansible_play_hosts_all"]
        ]
        if not any(host.was_checked for host in hosts):
            return {**result, "changed": False, "failed": True, "msg": _LEFT_OUT}
        batch = variables["ansible_play_batch"]
        part = part_of(hosts, reached, batch, play)
        troubles = troubles_of(report, part, batch, is_last=len(part.all) == len(hosts))
        reported = self._reported(report, part)
        if self._task.check_mode and options["of"] == "deployment":
            plans = {host.host: host.plan["fingerprint"] for host in part.all if "fingerprint" in host.plan}
            checked = {"revision": project_revision(variables), "plans": plans}
            reported["ansible_stats"]["data"][CHECKED] = checked
        return {**result, "changed": False, "play": play, "troubles": troubles, **reported}

    def _reported(self, report: Report, part: Part) -> dict[str, t.Any]:
        moment = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        content = report.content(part.all, moment)
        if read_by_people():
            lines = report.lines(part.new, WIDTH, bool(self._task.check_mode))
            # What caches and certificates are called, other people chose. Display itself ends a text that does not end
            # by a line break.
            shown = [printable(part) for line in lines for part in line.split("\n")]
            self._display.display("\n".join([*shown, "", ""]))
        return {
            report.key: content,
            "hosts": [host.host for host in part.new],
            # A later batch has what earlier ones have reported among its own, so it replaces theirs.
            "ansible_stats": {"data": {report.statistic: content}, "per_host": False, "aggregate": False},
        }
