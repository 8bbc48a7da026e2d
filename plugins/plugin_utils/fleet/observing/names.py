# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other names that DTR has for the cache of a region: former ones, and those at the same address. Pure functions."""

from __future__ import annotations

import typing as t

from ....module_utils.common.urls import canonical_host, without_secrets
from ....module_utils.common.vocabulary import CLIENT_TO_DTR
from ..facts import Result
from .problems import DtrResults, Problem, Row

_TOPIC = (CLIENT_TO_DTR, "names")
_REGISTRATION = (CLIENT_TO_DTR, "registration")


def other_names(settings: Result, dtr: DtrResults) -> list[Row] | None:
    """The entries of the cache that have another name, with how many accounts pull by each; C(None) if not known.

    A name that another observed region declares is that region's.
    """
    if "content_caches" not in dtr.registered or not settings.get("host"):
        return None
    former = settings.get("former_names") or []
    address = canonical_host(settings["url"])
    accounts = dtr.accounts.get("by_cache")
    return [
        {
            "name": each["name"],
            "url": without_secrets(each["host"]),
            "former": each["name"] in former,
            "accounts": None if accounts is None else len(accounts.get(each["name"], ())),
        }
        for each in dtr.caches
        if each["name"] not in (settings["name"], *dtr.declared)
        and (each["name"] in former or canonical_host(each["host"]) == address)
    ]


def name_problems(row: Row) -> t.Iterator[Problem]:
    """That accounts are left behind at another name."""
    cache = row["cache"]
    for each in row["other_names"] or []:
        name, count = each["name"], each["accounts"]
        pull = {None: "accounts may be", 1: "1 account is"}.get(count, f"{count} accounts are")
        if each["former"]:
            yield Problem(
                f"DTR still has {name}, a former name of {cache}, and {pull} assigned to it.",
                f"dtr.cache.deploy assigns them to {cache}, and then removes {name}.",
                _TOPIC,
            )
        else:
            yield Problem(
                f"DTR has this cache under the name {name} as well, and {pull} assigned to that.",
                f"If it is a former name of {cache}, set dtr_cache_former_names: [{name}] and run dtr.cache.deploy, "
                f"which assigns them to {cache} and then removes {name}.",
                _TOPIC,
            )


def with_names(problems: t.Sequence[Problem], of_names: t.Sequence[Problem]) -> list[Problem]:
    """All problems of a region in order: another name is why the cache is not registered under its own."""
    topics = [problem.topic for problem in problems]
    place = topics.index(_REGISTRATION) if _REGISTRATION in topics else len(problems)
    return [*problems[:place], *of_names, *problems[place:]]
