# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Engine says of the tasks of a stack's services: which ones run, which ones ended badly, and where.

C(docker service ls) counts a task of a node that is down as running; here only a task on a node that is ready runs.
"""

from __future__ import annotations

import datetime
import re
import typing as t

from .model import Moment, Raw
from .views import live_ports, live_service

ENDED_BADLY = ("failed", "rejected", "orphaned")
ENDED = ("complete", "shutdown", "remove", *ENDED_BADLY)
_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z")


def task_rows(moment: Moment) -> list[dict[str, t.Any]]:
    """The newest task of each replica and each task that ended badly, as the result shows them."""
    rows = []
    for task in sorted(moment.tasks, key=created, reverse=True):
        if is_to_run(task) or task["Status"]["State"] in ENDED_BADLY:
            rows.append(
                {
                    "node": node_name(task, moment),
                    "state": task["Status"]["State"],
                    "error": task["Status"].get("Err", ""),
                    "exit_code": _exit_code(task),
                    "image": task["Spec"]["ContainerSpec"]["Image"],
                }
            )
    return rows


def running_services(moment: Moment) -> list[dict[str, t.Any]]:
    """What each service declares, and how many replicas it has that really run, whatever they were made from."""
    rows = []
    for name, service in sorted(moment.services.items()):
        view = live_service(service["Spec"])
        running = [task for task in tasks_of(service, moment) if runs(task, moment)]
        rows.append(
            {
                "name": name,
                "image": view.get("image"),
                "replicas": {"wanted": view.get("replicas", 0), "running": len(running)},
                "ports": view.get("ports", []),
                "nodes": sorted(node_name(task, moment) for task in running),
            }
        )
    return rows


def published_ports(moment: Moment, name: str) -> list[int]:
    """The host ports that a service publishes; none where the stack has no such service."""
    service = moment.services.get(name)
    return sorted({port.published for port in live_ports(service["Spec"])}) if service else []


def stalled_services(moment: Moment) -> list[str]:
    """The services whose replicas have all ended and for which Swarm makes no new one, although it should.

    Swarm can lose a replica when its node loses the label while the service is updated. It schedules again at the
    next update, also at one that changes nothing.
    """
    names = []
    for name, service in sorted(moment.services.items()):
        tasks = tasks_of(service, moment)
        if tasks and replicas_of(service) and not any(map(is_to_run, tasks)):
            names.append(name)
    return names


def tasks_of(service: Raw, moment: Moment) -> list[Raw]:
    """The tasks of one service."""
    return [task for task in moment.tasks if task["ServiceID"] == service["ID"]]


def is_current(task: Raw, service: Raw) -> bool:
    """Whether a task was made from what the service declares now: same image, files, command and places."""
    wanted = service["Spec"]["TaskTemplate"]
    parts = ("ContainerSpec", "Placement", "Resources", "ForceUpdate")
    return all((task["Spec"].get(part) or None) == (wanted.get(part) or None) for part in parts)


def replicas_of(service: Raw) -> int:
    """How many replicas a service declares."""
    return int(((service["Spec"].get("Mode") or {}).get("Replicated") or {}).get("Replicas", 0))


def is_to_run(task: Raw) -> bool:
    """Whether Swarm wants the task to run."""
    return task["DesiredState"] in ("ready", "running")


def runs(task: Raw, moment: Moment) -> bool:
    """Whether the task really runs, on a node that is ready."""
    return task["Status"]["State"] == "running" and task["DesiredState"] == "running" and is_ready(task, moment)


def is_ready(task: Raw, moment: Moment) -> bool:
    """Whether the task's node is ready."""
    node = moment.nodes.get(task.get("NodeID", ""))
    return node is not None and node["Status"]["State"] == "ready"


def node_name(task: Raw, moment: Moment) -> str:
    """The host name of the task's node; empty where it has none."""
    node = moment.nodes.get(task.get("NodeID", ""))
    return str(node["Description"]["Hostname"]) if node else ""


def _exit_code(task: Raw) -> int | None:
    """The exit code of a container that has ended; the Engine reports 0 for those that never ran or still do."""
    code: int | None = (task["Status"].get("ContainerStatus") or {}).get("ExitCode")
    return code if task["Status"]["State"] in ("complete", "failed") else None


def created(task: Raw) -> float:
    """When the task was made, in seconds since 1970."""
    return since_1970(task["CreatedAt"])


def since_1970(timestamp: str) -> float:
    """Seconds since 1970 of one of the Engine's timestamps, which have up to nine digits after the point."""
    match = _TIMESTAMP.fullmatch(timestamp)
    if not match:
        return 0.0
    whole = datetime.datetime.strptime(match[1], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=datetime.timezone.utc)
    return whole.timestamp() + float(match[2] or 0)
