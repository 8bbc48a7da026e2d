# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which known cause a message of a cache's log, or Swarm's own words about its tasks, points to."""

from __future__ import annotations

import typing as t

from .catalogue.cause import Cause
from .catalogue.clients import AT_CLIENTS
from .catalogue.starting import FATAL, STARTING
from .catalogue.storage import AT_STORAGE
from .catalogue.tasks import NO_SERVICE, OF_TASKS
from .catalogue.upstream import AT_DTR

# What explains more stands before what may only follow from it.
CATALOGUE: tuple[Cause, ...] = (
    NO_SERVICE,
    *STARTING,
    *OF_TASKS[:-2],
    FATAL,
    *OF_TASKS[-2:],
    *AT_STORAGE,
    *AT_DTR,
    *AT_CLIENTS,
)

RANK: dict[str, int] = {code: rank for rank, code in enumerate(dict.fromkeys(cause.code for cause in CATALOGUE))}

# Says no more than that something went wrong.
VAGUE = frozenset({"start_failed", "container_ended", "task_failed"})
# Not every program says that it ends with a message; these need no such word.
_PRECISE_STARTING = tuple(cause for cause in STARTING if cause.code not in ("file_missing", "file_denied"))
_HANDSHAKE = "TLS handshake error from"


def of_task(error: str) -> Cause:
    """The cause that Swarm's reason for the end of a task, or for its not beginning, points to."""
    return next((cause for cause in OF_TASKS if cause.pattern.search(error)), OF_TASKS[-1])


def of_line(text: str, *, fatal: bool) -> Cause | None:
    """The cause that one message of the log points to; C(None) when none is known.

    Args:
        text: The message and its error, without the fields that come from a client's request.
        fatal: Whether the program ended with it.
    """
    if _HANDSHAKE in text:
        return _first(AT_CLIENTS, text)
    if fatal:
        return _first((*STARTING, *AT_STORAGE), text) or FATAL
    return _first(AT_STORAGE, text) or _first(AT_DTR, text) or _first(_PRECISE_STARTING, text)


def _first(causes: t.Sequence[Cause], text: str) -> Cause | None:
    return next((cause for cause in causes if cause.pattern.search(text)), None)
