# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Transports of tests, and behaviours of the servers that they talk to."""

from __future__ import annotations

import threading
import typing as t

from ansible_collections.dtr.cache.plugins.module_utils.http.retries import Backoff
from ansible_collections.dtr.cache.plugins.module_utils.http.transport import Transport
from ansible_collections.dtr.cache.tests.unit.support.web import Reply, Request

FAST = Backoff(base=0.001, cap=0.002, budget=5)
JSON = {"Content-Type": "application/json"}
PASSWORD = "s3cret-of-the-test"


def connect(url: str, **options: t.Any) -> Transport:
    return Transport(url, **{"username": "admin", "password": PASSWORD, "backoff": FAST, "timeout": 5, **options})


def always(reply: Reply) -> t.Callable[[Request], Reply]:
    return lambda _request: reply


def in_turn(*replies: Reply) -> t.Callable[[Request], Reply]:
    """The replies one after the other, the last one for ever."""
    left = list(replies)
    lock = threading.Lock()

    def behaviour(_request: Request) -> Reply:
        with lock:
            return left.pop(0) if len(left) > 1 else left[0]

    return behaviour
