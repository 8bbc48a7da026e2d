# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The play that a fact comes from. Facts outlive it, and in a later play of the run they may be true no more."""

from __future__ import annotations

import typing as t

from .words import is_of_collection


def play_of(task: t.Any) -> str:
    """What tells this play from others of the run. All batches of a play have the same."""
    return str(task.get_play()._uuid)


def with_play(result: dict[str, t.Any], task: t.Any) -> dict[str, t.Any]:
    """The result with the play, where the task is one whose result is a fact for later steps."""
    return {**result, "play": play_of(task)} if is_of_collection(task) else result
