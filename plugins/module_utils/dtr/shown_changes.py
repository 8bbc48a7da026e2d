# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The diffs of what changes in DTR, in Ansible's form and of a length that people read. Pure functions."""

from __future__ import annotations

import typing as t

from ..common.names import LISTED
from ..common.redaction import printable
from .model import shown_host

Diff = dict[str, str]

# So many accounts that go the same way are named.
_NAMED = 5


class Cache(t.Protocol):
    """A cache, registered or to be."""

    @property
    def name(self) -> str: ...

    @property
    def host(self) -> str | None: ...


class Way(t.NamedTuple):
    """From where an account pulled, and from where it does now."""

    before: str
    after: str


def caches_diff(before: t.Iterable[Cache], after: t.Iterable[Cache]) -> list[Diff]:
    """Names and hosts of the caches that differ. Ids are left out: those of new caches are not known before the run."""
    sides = [
        [_line(f"{cache.name}: {shown_host(cache.host or '')}") for cache in _ordered(caches)]
        for caches in (before, after)
    ]
    texts = ["".join(_without(side, other)) for side, other in (sides, reversed(sides))]
    if not any(texts):
        return []
    title = "content caches"
    return [{"before_header": title, "after_header": title, "before": texts[0], "after": texts[1]}]


def accounts_diff(ways: t.Mapping[str, Way], *, whole: bool) -> list[Diff]:
    """How many accounts go which way, who if it is a few, and with C(whole) each single one as well."""
    if not ways:
        return []
    ordered = _by_way(ways)
    shown = "; ".join(f"{way.before} -> {way.after}: {_who(accounts)}" for way, accounts in ordered[:LISTED])
    more = f"; and {len(ordered) - LISTED:,} more ways" if len(ordered) > LISTED else ""
    diffs = [{"prepared": _line(f"accounts: {shown}{more}")}]
    if whole:
        sides = ("".join(_line(f"{account}: {way[side]}") for account, way in sorted(ways.items())) for side in (0, 1))
        before, after = sides
        diffs.append({"before_header": "accounts", "after_header": "accounts", "before": before, "after": after})
    return diffs


def numbers(ways: t.Mapping[str, Way]) -> list[dict[str, t.Any]]:
    """How many accounts go which way, the most first."""
    return [{"before": way.before, "after": way.after, "count": len(accounts)} for way, accounts in _by_way(ways)]


def _by_way(ways: t.Mapping[str, Way]) -> list[tuple[Way, list[str]]]:
    going: dict[Way, list[str]] = {}
    for account, way in sorted(ways.items()):
        going.setdefault(way, []).append(account)
    return sorted(going.items(), key=lambda item: (-len(item[1]), item[0]))


def _line(text: str) -> str:
    """A line of a diff, which goes to the terminal as it is. What things are called, other people chose."""
    return f"{printable(text)}\n"


def _who(accounts: t.Sequence[str]) -> str:
    return ", ".join(accounts) if len(accounts) <= _NAMED else f"{len(accounts):,}"


def _ordered(caches: t.Iterable[Cache]) -> list[Cache]:
    return sorted(caches, key=lambda cache: (cache.name, cache.host or ""))


def _without(lines: t.Sequence[str], others: t.Sequence[str]) -> list[str]:
    """The lines that the other side does not have as often."""
    left = list(others)
    found = []
    for line in lines:
        if line in left:
            left.remove(line)
        else:
            found.append(line)
    return found
