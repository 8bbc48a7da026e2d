# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cache has served, in the row of its region and in sentences. Pure functions."""

from __future__ import annotations

import typing as t

from .facts import HostFacts, Result
from .table import counted_words, size_words

_NAMED = 3


def traffic_of(host: HostFacts) -> Result | None:
    """What the log of a host's cache has of its answers; C(None) where nobody asked for it.

    Where it was asked for and the log could not be read, there is only what is C(missing).
    """
    logs = host.logs
    if logs.get("traffic") and host.settings.get("logs_answers") is False:
        return {"missing": ["dtr_cache_config_extra lets the cache log no answers (log.accesslog.disabled, log.level)"]}
    if logs.get("traffic"):
        return t.cast("Result", logs["traffic"])
    if not host.settings.get("traffic_since") or not logs or "findings" in logs:
        return None
    reason = (logs.get("failure") or {}).get("message") or ("" if logs.get("skipped") else logs.get("msg"))
    return {"missing": [" ".join(str(reason or "the log was not read").split()).rstrip(".")]}


def traffic_sentences(traffic: Result | None) -> list[str]:
    """The same for people: the sums, whom and what it was for, and what is missing."""
    if not traffic:
        return []
    missing = [f"Not counted: {text}." for text in traffic.get("missing") or []]
    if "pulls" not in traffic:
        return [f"What it has served is not known: {'; '.join(traffic['missing'])}."]
    slow = "slow ones not known" if traffic["slow"] is None else f"{traffic['slow']} slow"
    sums = (
        f"Served since {traffic['complete_since']}: {size_words(traffic['bytes'])} in "
        f"{counted_words(traffic['layers'], 'layer')}, {counted_words(traffic['pulls'], 'pull')} of "
        f"{counted_words(traffic['image_count'], 'image')} by {counted_words(traffic['client_count'], 'client')}; "
        f"{traffic['failed']} failed, {traffic['refused']} refused, {slow}."
    )
    return [
        sums,
        *_most("Most of it", traffic["images"], "image"),
        *_most("To", traffic["clients"], "client"),
        *_slowest(traffic),
        *missing,
    ]


def _most(beginning: str, rows: t.Sequence[Result], word: str) -> list[str]:
    named = ", ".join(
        f"{row[word]} ({size_words(row['bytes'])}, {counted_words(row['pulls'], 'pull')})" for row in rows[:_NAMED]
    )
    return [f"{beginning}: {named}."] if named else []


def _slowest(traffic: Result) -> list[str]:
    slowest = traffic.get("slowest")
    if not slowest:
        return []
    return [
        f"The slowest, at {slowest['time']}: {size_words(slowest['bytes'])} of {slowest['image']} to "
        f"{slowest['client']} took {slowest['seconds']:g} s."
    ]
