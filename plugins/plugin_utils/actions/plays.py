# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The play that a fact comes from. Facts outlive it, and in a later play of the run they may be true no more."""

from __future__ import annotations

import typing as t

from ansible.utils.display import Display

from .ansible_internals import unique_id
from .reasons import told_once
from .words import is_of_collection

FACT = "__dtr_cache"
"""What the first task of each role and playbook registers. The names of all other facts begin so."""


def play_of(task: t.Any) -> str:
    """What tells this play from others of the run. All batches of a play have the same."""
    return unique_id(task.get_play())


def as_fact(result: dict[str, t.Any], task: t.Any, variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the result as later steps and the report read it: with the play, and with the reason of a failure once.

    With C(-v) nothing of it is left out. Who sets C(failed_when) goes by the result as the module gave it.
    """
    if is_of_collection(task):
        result = {**result, "play": play_of(task)}
    registered = _registered(task)
    if not result.get("failed") or "failure" not in result or task.failed_when or not registered.startswith(FACT):
        return result
    checked = result if registered == FACT else variables.get(FACT)
    is_reported = isinstance(checked, t.Mapping) and bool(checked.get("together"))
    return told_once(result, is_reported=is_reported) if not Display().verbosity else result


def _registered(task: t.Any) -> str:
    """Return the name of what is registered; since ansible-core 2.21 a task has it as a key."""
    names = [task.register] if isinstance(task.register, str) else [*(task.register or ())]
    return str(names[0]) if names else ""
