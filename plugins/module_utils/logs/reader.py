# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a stack's service fails: from its logs and tasks, as the Engine gives them, to findings."""

from __future__ import annotations

import typing as t

from ..common.failure import Failure
from ..swarm.engine import Engine
from ..swarm.log_stream import moment_of
from ..swarm.task_logs import logs_of, read_logs
from .findings import Collector
from .since import since


def findings_of(engine: Engine, options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What the logs and tasks of the stack that the options name point to.

    Raises:
        Failure: The Engine cannot be read, or an option makes no sense.
    """
    stack, lines, seconds = options["name"], options["lines"], options["timeout"]
    if lines < 1 or seconds <= 0:
        raise Failure("INVALID_INPUT", "lines and timeout have to be greater than zero.")
    now = moment_of(engine.require_manager()["SystemTime"])
    begin = since(options["since"], now)
    moment = engine.observe(stack)
    collector = Collector()
    if not moment.services:
        collector.take_absence(stack, now)
    for task in moment.tasks:
        collector.take_task(task, begin)
    for node in moment.nodes.values():
        collector.take_node(node, moment.tasks, now)

    def read(task_id: str) -> int:
        log = engine.task_log(
            task_id, lines=lines, seconds=seconds, since=max(0, int(begin.timestamp())), described=True
        )
        return collector.read(log)

    counts, unread = read_logs(logs_of(moment.tasks, moment), moment, read, seconds)
    for task_id, count in counts.items():
        if count >= lines:
            unread.append(f"task {task_id}: only its newest {lines} lines were read; raise lines for more")
    return {
        "changed": False,
        "findings": collector.rows(moment.tasks, moment.nodes),
        "since": begin.astimezone(now.tzinfo).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lines_read": collector.lines,
        "unread": [_with_names(text, moment.nodes) for text in dict.fromkeys([*unread, *list(collector.unread)])],
    }


def _with_names(text: str, nodes: t.Mapping[str, t.Mapping[str, t.Any]]) -> str:
    """The Engine's words with host names in the place of ids."""
    for node_id, node in nodes.items():
        text = text.replace(node_id, node["Description"]["Hostname"])
    return text
