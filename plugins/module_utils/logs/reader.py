# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a stack's service fails and what it has served: from its logs and tasks, as the Engine gives them."""

from __future__ import annotations

import datetime
import typing as t

from ..common.failure import Failure
from ..swarm.engine import Engine
from ..swarm.log_stream import moment_of
from ..swarm.model import Moment, Raw
from ..swarm.task_logs import logs_of, read_logs
from .findings import Collector
from .since import since
from .traffic import MOST_PAIRS, TaskTraffic, summary

# A service is made a moment before its first tasks.
_SECONDS_TO_BEGIN = 60


def findings_of(engine: Engine, options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What the logs and tasks of the stack that the options name point to, and what it has served if that is asked.

    Raises:
        Failure: The Engine cannot be read, or an option makes no sense.
    """
    stack, lines, seconds = options["name"], options["lines"], options["timeout"]
    if lines < 1 or seconds <= 0:
        raise Failure("INVALID_INPUT", "lines and timeout have to be greater than zero.")
    now = moment_of(engine.require_manager()["SystemTime"])
    begin = since(options["since"], now)
    served_since = since(options["traffic_since"], now) if options.get("traffic_since") else None
    earliest = min(begin, served_since or begin)
    moment = engine.observe(stack)
    collector = Collector(_text_of(begin))
    served: dict[str, TaskTraffic] = {}
    if not moment.services:
        collector.take_absence(stack, now)
    for task in moment.tasks:
        collector.take_task(task, begin)
    for node in moment.nodes.values():
        collector.take_node(node, moment.tasks, now)

    def read(task_id: str) -> int:
        log = engine.task_log(
            task_id, lines=lines, seconds=seconds, since=max(0, int(earliest.timestamp())), described=True
        )
        if served_since is None:
            return collector.read(log)
        traffic = served[task_id] = TaskTraffic(_text_of(served_since))
        return collector.read(log, traffic.take)

    counts, unread = read_logs(logs_of(moment.tasks, moment), moment, read, seconds)
    cut = [task_id for task_id, count in counts.items() if count >= lines]
    unread += [f"task {task_id}: only its newest {lines} lines were read; raise lines for more" for task_id in cut]
    unread = [_with_names(text, moment.nodes) for text in dict.fromkeys([*unread, *list(collector.unread)])]
    return {
        "changed": False,
        "findings": collector.rows(moment.tasks, moment.nodes),
        "since": _text_of(begin),
        "lines_read": collector.lines,
        "unread": unread,
        "traffic": None if served_since is None else _traffic(dict(served), served_since, moment, cut, unread),
    }


def _traffic(
    served: t.Mapping[str, TaskTraffic],
    begin: datetime.datetime,
    moment: Moment,
    cut: t.Collection[str],
    unread: t.Sequence[str],
) -> dict[str, t.Any]:
    """What was served, with what of it is missing: a log that was cut, and the logs of replicas that are gone."""
    asked = _text_of(begin)
    missing = list(unread)
    starts = [asked, *(traffic.first_time for task_id, traffic in served.items() if task_id in cut)]
    oldest = min((moment_of(task["CreatedAt"]) for task in moment.tasks), default=None)
    made = min((moment_of(each["CreatedAt"]) for each in moment.services.values() if "CreatedAt" in each), default=None)
    if oldest and made and oldest > begin and (oldest - made).total_seconds() > _SECONDS_TO_BEGIN:
        starts.append(_text_of(oldest))
        missing.append(f"the replicas before {_text_of(oldest)} are gone with their logs: Swarm keeps few of them")
    if made and made > begin:
        # What another stack served before is in no log that is left.
        starts.append(_text_of(made))
    if any(map(_has_no_log, moment.services.values())):
        missing.append("the logging driver of the service is none (dtr_cache_service_extra), so it has no log")
    if any(traffic.tally.is_full for traffic in served.values()):
        missing.append(
            f"a log has more than {MOST_PAIRS} pairs of an image and a client; the others are in the sums only"
        )
    sums = summary(served.values())
    return {"since": asked, "complete_since": max(starts), "missing": missing, **sums}


def _has_no_log(service: Raw) -> bool:
    driver = service["Spec"]["TaskTemplate"].get("LogDriver") or {}
    return bool(driver.get("Name") == "none")


def _text_of(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _with_names(text: str, nodes: t.Mapping[str, t.Mapping[str, t.Any]]) -> str:
    """The Engine's words with host names in the place of ids."""
    for node_id, node in nodes.items():
        text = text.replace(node_id, node["Description"]["Hostname"])
    return text
