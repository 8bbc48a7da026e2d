# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a stack's service fails: from its logs and tasks, as the Engine gives them, to findings."""

from __future__ import annotations

import time
import typing as t

from ..common.failure import Failure
from ..swarm.engine import Engine
from .findings import Collector
from .since import since
from .stream import moment_of


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
    end = time.monotonic() + seconds
    if not moment.services:
        collector.take_absence(stack, now)
    for task in moment.tasks:
        collector.take_task(task, begin)
    for node in moment.nodes.values():
        collector.take_node(node, moment.tasks, now)
    for name, service in moment.services.items():
        log = engine.stream_log(
            service["ID"], since=int(begin.timestamp()), lines=lines, seconds=max(0.1, end - time.monotonic())
        )
        try:
            collector.read(log)
        except Failure as failure:
            collector.unread[f"service {name}: {failure.message}"] = None
    for task_id, count in collector.lines_by_task.items():
        if count >= lines:
            collector.unread[f"task {task_id}: only its newest {lines} lines were read; raise lines for more"] = None
    return {
        "changed": False,
        "findings": collector.rows(moment.tasks, moment.nodes),
        "since": begin.astimezone(now.tzinfo).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lines_read": collector.lines,
        "unread": [_with_names(text, moment.nodes) for text in collector.unread],
    }


def _with_names(text: str, nodes: t.Mapping[str, t.Mapping[str, t.Any]]) -> str:
    """The Engine's words with host names in the place of ids."""
    for node_id, node in nodes.items():
        text = text.replace(node_id, node["Description"]["Hostname"])
    return text
