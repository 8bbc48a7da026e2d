# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names as YAML gives them. YAML changes what is not in quotes: C(004711) is the number 2505. Pure functions."""

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
