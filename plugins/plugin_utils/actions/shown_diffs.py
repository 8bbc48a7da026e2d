# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Diffs of a task that changes nothing itself, which Ansible would not show."""

from __future__ import annotations

import difflib
import typing as t

from ansible import constants
from ansible.utils.color import stringc

Diff = t.Mapping[str, str]


def as_ansible_shows(diffs: t.Iterable[Diff]) -> str:
    """The diffs in the form and the colours of Ansible's own callbacks."""
    return "\n".join("".join(_lines(diff)) for diff in diffs)


def _lines(diff: Diff) -> t.Iterator[str]:
    before, after = (diff[side].splitlines(keepends=True) for side in ("before", "after"))
    of_before, of_after = (f"{side}: {diff[f'{side}_header']}" for side in ("before", "after"))
    for line in difflib.unified_diff(before, after, of_before, of_after, n=constants.DIFF_CONTEXT):
        text = line.rstrip("\n")
        colour = next((found for mark, found in _colours().items() if text.startswith(mark)), None)
        yield (stringc(text, colour) if colour else text) + "\n"


def _colours() -> dict[str, str]:
    return {"+": constants.COLOR_DIFF_ADD, "-": constants.COLOR_DIFF_REMOVE, "@@": constants.COLOR_DIFF_LINES}
