# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The diff of M(dtr.cache.stack_plan) as people read it: YAML, and each file with its own. Pure functions."""

from __future__ import annotations

import typing as t

import yaml

Diff = dict[str, str]


def readable(diff: t.Mapping[str, t.Any], stack: str) -> list[Diff]:
    """The diffs in Ansible's form; none where nothing differs.

    Args:
        diff: What the module returns.
        stack: The stack's name.
    """
    before, after = (_text(diff.get(side) or {}) for side in ("before", "after"))
    found = [_diff(f"stack {stack}", f"stack {stack}", before, after)] if before != after else []
    for each in diff.get("files") or []:
        old, new = (f"{each['file']} ({name})" for name in (each["before_name"] or "none", each["after_name"]))
        found.append(_diff(old, new, each["before"], each["after"]))
    return found


def _diff(before_header: str, after_header: str, before: str, after: str) -> Diff:
    return {"before_header": before_header, "after_header": after_header, "before": before, "after": after}


def _text(side: t.Any) -> str:
    known = _without_nothing(side)
    return str(yaml.safe_dump(known, sort_keys=False, default_flow_style=False, width=160)) if known else ""


def _without_nothing(value: t.Any) -> t.Any:
    """The value without keys that have none: a label that is not there, a part that a service does not have."""
    if isinstance(value, t.Mapping):
        return {str(key): _without_nothing(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_without_nothing(item) for item in value]
    return str(value) if isinstance(value, str) else value
