# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that leave out a part of a playbook of the collection, as the command line asks for them."""

from __future__ import annotations

import os
import typing as t

_PLAYBOOKS = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", "..", "..", "playbooks"))
#: What a task without tags, which all of the collection are, goes by.
_ANY = {"all", "untagged"}


def partial_run_problem(command_line: t.Mapping[str, t.Any]) -> str | None:
    """Why a run would leave out a part of a playbook, where the command line has playbooks of the collection alone.

    In a wider playbook it may be another part that was left out, and that is right.
    """
    playbooks = [str(name) for name in command_line.get("args") or ()]
    if not playbooks or not all(map(_is_own, playbooks)):
        return None
    if command_line.get("start_at_task"):
        return (
            "--start-at-task would leave out the check of the settings; the playbooks of dtr.cache run from the start"
        )
    if not _ANY & set(command_line.get("tags") or _ANY):
        return "--tags would leave out everything; the playbooks of dtr.cache have no tags"
    if _ANY & set(command_line.get("skip_tags") or ()):
        return "--skip-tags would leave out everything; the playbooks of dtr.cache have no tags"
    return None


def _is_own(playbook: str) -> bool:
    return playbook.startswith("dtr.cache.") or os.path.dirname(os.path.realpath(playbook)) == _PLAYBOOKS
