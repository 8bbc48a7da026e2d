# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the definitions differs from what the controller has, as its modules say in check mode."""

from __future__ import annotations

import re
import typing as t
import urllib.parse

from ...module_utils.common.redaction import redacted
from .definitions import Definition, Key

# Runs the module of a definition in check mode.
Ask = t.Callable[[Definition], t.Mapping[str, t.Any]]

CREATED, UPDATED, UNCHANGED = "created", "updated", "unchanged"

# How the modules say that a name is not the one of exactly one object.
_NOT_ONE = re.compile(
    r"Request to \S*/api/v2/(?P<kinds>\w+)/\?(?P<query>\S+) returned (?P<count>\d+) items, expected 1"
)


_TYPE_REFUSED = re.compile(r"PATCH to \S*/credential_types/\S* \(HTTP 403\)")
_TYPE_HINT = (
    "Only a system administrator changes a credential type, and AWX refuses to change the inputs of one that a "
    "credential uses. Set dtr_cache_awx_prefix to another value to make new objects beside the old ones."
)


class Plan(t.NamedTuple):
    """What each definition comes to, in their order, and one sentence for each that cannot be.

    Args:
        states: The definitions with what is to be done.
        problems: What stands against them.
        is_reached: Whether the controller has answered, and let the account in.
    """

    states: list[tuple[Definition, str]]
    problems: list[str]
    is_reached: bool


def plan(definitions: t.Sequence[Definition], ask: Ask) -> Plan:
    """Ask about each definition, but for those of which something is missing that this run makes."""
    states: list[tuple[Definition, str]] = []
    missing: set[Key] = set()
    problems: dict[str, list[str]] = {}
    for definition in definitions:
        # In check mode, nothing is made that a module could refer to. What others have made it can.
        is_incomplete = bool(missing & set(definition.refers))
        asked = definition._replace(options=definition.outside) if is_incomplete else definition
        answer = ask(asked) if asked.options else {}
        state = CREATED if is_incomplete else _state(answer)
        if answer.get("failed"):
            problems.setdefault(reason_of(answer), []).append(definition.title)
            if not states:
                # The first one refers to nothing.
                return Plan([], _listed(problems), is_reached=False)
        if state == CREATED:
            missing.add(definition.key)
        states.append((definition, state))
    return Plan(states, _listed(problems), is_reached=True)


def reason_of(answer: t.Mapping[str, t.Any]) -> str:
    """Why a module failed, in words."""
    text = str(answer.get("msg") or "no reason was given")
    match = _NOT_ONE.search(text)
    if match is None:
        return f"{redacted(text)} {_TYPE_HINT}" if _TYPE_REFUSED.search(text) else redacted(text)
    name = urllib.parse.parse_qs(match["query"]).get("name", ["that is meant"])[0]
    kind = match["kinds"].removesuffix("s").replace("_", " ")
    return redacted(
        f"there is no {kind} {name}" if match["count"] == "0" else f"{match['count']} {kind}s are called {name}"
    )


def _state(answer: t.Mapping[str, t.Any]) -> str:
    if not answer.get("changed"):
        return UNCHANGED
    # The modules name the id of what is there already.
    return UPDATED if "id" in answer else CREATED


def _listed(problems: t.Mapping[str, t.Sequence[str]]) -> list[str]:
    return [
        f"{titles[0]}{f' and {len(titles) - 1} more' if titles[1:] else ''}: {reason}"
        for reason, titles in problems.items()
    ]
