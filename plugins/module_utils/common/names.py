# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names as YAML gives them, and long lists of them as far as somebody reads them. Pure functions.

YAML changes what is not in quotes: C(004711) is the number 2505.
"""

from __future__ import annotations

import re
import typing as t


def why_no_name(value: t.Any) -> str:
    """Why a value is no name, nor any other text, as a sentence goes on after it; empty where it is one."""
    if isinstance(value, str):
        return ""
    if isinstance(value, (dict, list)):
        return "must be text"
    if value is None:
        return "is nothing to YAML; take it out, or put it in quotes where it is a name"
    if isinstance(value, bool):
        return "is a truth value to YAML; put yes, no, on, off, true or false in quotes where that is meant"
    example = "0010 becomes 8" if isinstance(value, int) else "1.10 becomes 1.1"
    return f"is a number to YAML, which changes some ({example}); put it in quotes to make it text"


def shown_with_why(value: t.Any) -> str:
    """The same with the value in front of it."""
    why = why_no_name(value)
    shown = "" if isinstance(value, (dict, list)) else "null " if value is None else f"{str(value).lower()} "
    return why and f"{shown}{why}"


def names_in(value: t.Any) -> tuple[str, ...]:
    """The names of a list, of which each element may hold several, separated by commas or line breaks."""
    values = value if isinstance(value, (list, tuple)) else [value or ""]
    parts = (part.strip() for each in values for part in re.split(r"[,\n]", str(each)))
    return tuple(dict.fromkeys(part for part in parts if part))


NAMED = 10
"""So many names stand in a sentence."""
LISTED = 50
"""So many accounts stand in each list in the result of a task that failed, of which Ansible shows all."""

_LISTS = (
    *("accounts", "changed_accounts", "failed_accounts", "missing_accounts"),
    *("dangling", "inactive", "problems", "reassigned"),
)


def named(names: t.Collection[str], shown: int = NAMED) -> str:
    """Such as C(alice, bob and 9,880 more)."""
    first = list(names)[:shown]
    more = len(names) - len(first)
    return ", ".join(first) + (f" and {more:,} more" if more else "")


def bounded(result: t.Mapping[str, t.Any], listed: int = LISTED) -> dict[str, t.Any]:
    """A result without what is too much to read; C(left_out) has how many entries of which lists are missing.

    An entry with a C(host) stays: it is an account of which no later run could know where it belongs.

    Args:
        result: Of a module, perhaps with lists that were cut already.
        listed: How many entries a list keeps.
    """
    found = dict(result)
    left_out = dict(result.get("left_out") or {})
    for key in _LISTS:
        value = result.get(key)
        if isinstance(value, list) and len(value) > listed:
            needed = [entry for entry in value if isinstance(entry, dict) and "host" in entry]
            others = [entry for entry in value if entry not in needed] if needed else value
            found[key] = [*needed, *others[:listed]]
            if len(found[key]) < len(value):
                left_out[key] = left_out.get(key, 0) + len(value) - len(found[key])
    return {**found, "left_out": left_out} if left_out else found


def counted(result: t.Mapping[str, t.Any], key: str) -> int:
    """How many entries a list of a result has, with those that were left out."""
    return len(result.get(key) or []) + int((result.get("left_out") or {}).get(key, 0))
