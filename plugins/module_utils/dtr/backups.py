# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup: which content caches DTR knows and which account pulls from which, by names. Pure functions.

DTR gives each cache an id of its own, and another one when the cache is registered anew. So a backup holds none.
"""

from __future__ import annotations

import collections
import json
import typing as t

from ..common.failure import Failure
from .assignments_plan import cache_label, name_problems
from .caches_plan import WantedCache, duplicate_names
from .model import LOCAL, ContentCache, is_local
from .shown_changes import Diff, Way, accounts_diff, caches_diff

_ABSENT = "not in the file"
FORMAT = 1
_KIND = "dtr.cache backup"
_SHOWN_PROBLEMS = 10
_KEYS = ("kind", "format", "dtr", "made", "content_caches", "accounts")


class Backup(t.NamedTuple):
    """What a backup holds.

    Args:
        dtr: The address of the DTR that it is of.
        caches: The caches with their hosts.
        accounts: The name of each account's cache, C(local) for none.
    """

    dtr: str
    caches: tuple[WantedCache, ...]
    accounts: dict[str, str]

    def wanted(self, caches: t.Iterable[ContentCache], known: t.Collection[str]) -> dict[str, str | None]:
        """The id of each account's cache, or C(None), for the accounts that are known.

        Args:
            caches: All caches of the backup, as DTR has them now.
            known: The accounts that DTR has now, active or not: inactive ones may come back.
        """
        ids: dict[str, str | None] = {cache.name: cache.id for cache in caches}
        ids[LOCAL] = None
        return {account: ids[cache] for account, cache in self.accounts.items() if account in known}


def backup_of(
    dtr: str, caches: t.Sequence[ContentCache], settings: t.Mapping[str, str | None]
) -> tuple[Backup, list[str]]:
    """What is there, and the accounts whose cache is gone, which have nothing that could be restored.

    Args:
        dtr: The address of the DTR.
        caches: The caches.
        settings: The id of each account's cache.

    Raises:
        Failure: C(DUPLICATE_CACHES) or C(NOT_RESTORABLE): what a file with this could not give back.
    """
    duplicates = duplicate_names(caches)
    if duplicates:
        raise Failure(
            "DUPLICATE_CACHES",
            f"DTR has several content caches named {', '.join(duplicates)}, and a backup knows them by name only.",
            hint="Declare each of these names with its host (dtr.cache.deploy, or dtr.cache.content_caches), which "
            "leaves one of them; then make the backup.",
        )
    if problems := [problem for cache in caches for problem in _cache_problems(cache.name, cache.shown_host)]:
        raise Failure(
            "NOT_RESTORABLE",
            f"DTR has content caches that could not be restored: {'; '.join(problems)}.",
            hint="Remove these entries, or declare them anew (dtr.cache.content_caches); then make the backup.",
        )
    names = {cache.id: cache.name for cache in caches}
    dangling = sorted(account for account, held in settings.items() if held is not None and held not in names)
    accounts = {
        account: cache_label(held, names) for account, held in sorted(settings.items()) if held is None or held in names
    }
    wanted = sorted(WantedCache(cache.name, cache.shown_host) for cache in caches)
    return Backup(dtr, tuple(wanted), accounts), dangling


def as_text(backup: Backup, moment: str) -> str:
    """The backup as JSON, one line an account, so that versions of it can be compared.

    Args:
        moment: When it was made, ISO 8601 in UTC.
    """
    document = {
        "kind": _KIND,
        "format": FORMAT,
        "dtr": backup.dtr,
        "made": moment,
        "content_caches": [{"name": cache.name, "host": cache.host} for cache in backup.caches],
        "accounts": backup.accounts,
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def difference(before: Backup | None, after: Backup) -> list[Diff]:
    """The diff of two backups, of which the first may not be there: one that names no account but a few."""
    held = before.accounts if before else {}
    ways = {
        account: Way(held.get(account, _ABSENT), after.accounts.get(account, _ABSENT))
        for account in held.keys() | after.accounts.keys()
    }
    changed = {account: way for account, way in ways.items() if way.before != way.after}
    return [*caches_diff(before.caches if before else (), after.caches), *accounts_diff(changed, whole=False)]


def read_backup(text: str, path: str) -> Backup:
    """What a file says.

    Raises:
        Failure: C(INVALID_BACKUP) with everything that is wrong with it.
    """
    twice: list[str] = []
    try:
        document = json.loads(text, object_pairs_hook=lambda pairs: _once(pairs, twice))
    except (ValueError, RecursionError):
        raise _invalid(path, ["it is not JSON"]) from None
    if not isinstance(document, dict) or document.get("kind") != _KIND:
        raise _invalid(path, ["it is no backup of dtr.cache"])
    if document.get("format") != FORMAT:
        raise _invalid(path, [f"its format is {document.get('format')!r}, and this version reads {FORMAT}"])
    entries, accounts = document.get("content_caches"), document.get("accounts")
    problems = [f"{key} stands there twice" for key in twice]
    problems += [f"{key} is no part of a backup" for key in document if key not in _KEYS]
    if not isinstance(document.get("dtr"), str):
        problems.append("dtr is no address")
    if not _is_list_of_caches(entries):
        problems.append("content_caches is no list of names and hosts, and of nothing else")
        entries = []
    if not isinstance(accounts, dict) or not all(isinstance(cache, str) for cache in accounts.values()):
        problems.append("accounts does not give the name of a cache to each account")
        accounts = {}
    caches = [WantedCache(entry["name"], entry["host"]) for entry in t.cast("list[dict[str, str]]", entries)]
    problems += [problem for cache in caches for problem in _cache_problems(cache.name, cache.host or "")]
    counts = collections.Counter(cache.name for cache in caches)
    problems += [f"{name} is there {count} times" for name, count in counts.items() if count > 1]
    problems += name_problems(accounts)
    known = {cache.name for cache in caches} | {LOCAL}
    if not problems:
        unknown = sorted({cache for cache in accounts.values() if cache not in known})
        problems += [f"accounts pull from {cache}, which is not among its content_caches" for cache in unknown]
    if problems:
        raise _invalid(path, problems)
    return Backup(
        document["dtr"],
        tuple(caches),
        {account: LOCAL if is_local(cache) else cache for account, cache in accounts.items()},
    )


def _once(pairs: list[tuple[str, t.Any]], twice: list[str]) -> dict[str, t.Any]:
    """An object of the file; of a key that stands there twice Python would keep the last one."""
    made = dict(pairs)
    if len(made) < len(pairs):
        twice += [key for key, count in collections.Counter(key for key, _value in pairs).items() if count > 1]
    return made


def _is_list_of_caches(entries: t.Any) -> bool:
    return isinstance(entries, list) and all(
        isinstance(entry, dict)
        and entry.keys() == {"name", "host"}
        and all(isinstance(value, str) for value in entry.values())
        for entry in entries
    )


def _cache_problems(name: str, host: str) -> list[str]:
    """Why DTR could not be given this entry again. Name and host are not held to more, as DTR has them already."""
    if not name.strip():
        return ["a cache has no name"]
    if is_local(name.strip()):
        return [f"'{name}' means no cache in DTR and cannot be a cache's name"]
    if not host.strip():
        return [f"{name} has no host"]
    return [f"{name}: the host must not carry credentials"] if "@" in host else []


def _invalid(path: str, problems: t.Sequence[str]) -> Failure:
    more = len(problems) - _SHOWN_PROBLEMS
    text = "; ".join(problems[:_SHOWN_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")
    return Failure(
        "INVALID_BACKUP",
        f"{path} cannot be restored: {text}.",
        hint="Name a file that dtr.cache.backup has made. Nothing was changed.",
        problems=list(problems),
    )
