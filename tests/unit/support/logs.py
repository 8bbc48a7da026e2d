# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs and tasks of a stack as the Engine gives them, and what is found in them."""

from __future__ import annotations

import datetime
import json
import typing as t
from pathlib import Path

from ansible_collections.dtr.cache.plugins.module_utils.logs.findings import Collector

# Written by the lab's cache (the Docker registry 2.8.3) in the situation that the case names.
WRITTEN: list[dict[str, t.Any]] = json.loads(
    (Path(__file__).parents[1] / "data" / "registry-log.json").read_text(encoding="utf-8")
)
NOW = datetime.datetime(2026, 1, 31, 12, 0, tzinfo=datetime.timezone.utc)
NODES = {"n1": {"Description": {"Hostname": "worker-1"}}, "n2": {"Description": {"Hostname": "worker-2"}}}
UNTRUSTED = (
    'time="x" level=error msg="blob not served" error="https://dtr: x509: certificate signed by unknown authority"'
)


def message(text: str, task: str = "t1", node: str = "n1", at: str = "2026-01-31T11:30:00.123456789Z") -> str:
    return (
        f"{at} com.docker.swarm.node.id={node},com.docker.swarm.service.id=s1,com.docker.swarm.task.id={task} {text}\n"
    )


def framed(*texts: str, stream: int = 1) -> bytes:
    return b"".join(bytes([stream, 0, 0, 0]) + len(text.encode()).to_bytes(4, "big") + text.encode() for text in texts)


def task(
    name: str = "t1", state: str = "running", *, slot: int = 1, error: str = "", **more: t.Any
) -> dict[str, t.Any]:
    status = {"State": state, "Err": error, "Timestamp": "2026-01-31T11:00:00.5Z"}
    wanted = "running" if state in ("running", "pending") else "shutdown"
    return {
        "ID": name,
        "ServiceID": "s1",
        "Slot": slot,
        "NodeID": "n1",
        # The names that tests give count on as Swarm makes tasks.
        "CreatedAt": f"2026-01-31T11:00:00.{name}Z",
        "DesiredState": wanted,
        "Status": status,
        **more,
    }


def findings(*chunks: bytes, tasks: t.Sequence[dict[str, t.Any]] = ()) -> list[dict[str, t.Any]]:
    collector = Collector()
    collector.read(chunks)
    return collector.rows(tasks or [task()], NODES)


def read(text: str) -> list[str]:
    return [row["cause"] for row in findings(framed(message(text)))]
