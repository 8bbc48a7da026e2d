# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Caches and accounts of DTR to a file, and back, as the options of a module say."""

from __future__ import annotations

import collections
import datetime
import json
import os
import stat
import typing as t

from ..common.failure import Failure
from ..common.files import foreign_words, write_whole
from ..common.names import named
from ..common.progress import Progress
from ..common.urls import canonical_server
from ..common.vocabulary import word
from ..dtr.api import DtrApi
from ..dtr.assignments_apply import apply_changes, read_all_account_settings
from ..dtr.assignments_plan import cache_label, name_problems, partial_failure, plan_assignments
from ..dtr.assignments_plan import report as assignments_report
from ..dtr.assignments_plan import ways as given_ways
from ..dtr.caches_apply import CacheChanger
from ..dtr.caches_plan import (
    CacheStep,
    Done,
    Move,
    WantedCache,
    caches_after,
    duplicate_names,
    foreseen,
    plan_caches,
    plan_moves,
)
from ..dtr.caches_plan import report as caches_report
from ..dtr.caches_plan import ways as moved_ways
from ..dtr.model import LOCAL, ContentCache, is_local
from ..dtr.shown_changes import Diff, Way, accounts_diff, caches_diff, numbers
from .base import Module
from .of_dtr import DtrSession

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


# A file of ten thousand accounts has half a megabyte.
_LARGEST_FILE = 256 * 1024 * 1024


def back_up(module: Module) -> dict[str, t.Any]:
    """Write the file, unless it says the same already."""
    params = module.params
    path = params["path"]
    _require_own(path)
    with DtrSession(module) as dtr, Progress(params["progress_path"]) as progress:
        caches = dtr.content_caches()
        settings = read_all_account_settings(dtr, params["concurrency"], progress, so="no backup was made")
    backup, dangling = backup_of(params["url"], caches, settings)
    if dangling:
        module.warn(f"Left out, as their cache is gone: {named(dangling)}.")
    before = _content(path) if os.path.lexists(path) else None
    known = None if before is None else _replaceable(before, path, params["url"])
    changed = known is None or known._replace(dtr=backup.dtr) != backup
    moment = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = as_text(backup, moment)
    if changed and not module.check_mode:
        _write(path, text)
    result: dict[str, t.Any] = {
        "changed": changed,
        "path": path,
        "content_caches": [{"name": cache.name, "host": cache.host} for cache in backup.caches],
        "accounts": len(backup.accounts),
        "dangling": dangling,
    }
    if changed and module.is_verbose:
        result["diff"] = {"before_header": path, "after_header": path, "before": before or "", "after": text}
    elif changed:
        result["diff"] = difference(known, backup)
    return result


def restore(module: Module) -> dict[str, t.Any]:
    """Plan, and unless in check mode do it: first the caches, then the accounts."""
    params = module.params
    concurrency = params["concurrency"]
    _require_own(params["path"])
    backup = read_backup(_content(params["path"]), params["path"])
    _require_of_this_dtr(backup, params["path"], params["url"])
    with DtrSession(module) as dtr, Progress(params["progress_path"]) as progress:
        current = dtr.content_caches()
        settings = read_all_account_settings(dtr, concurrency, progress)
        missing = sorted(backup.accounts.keys() - settings.keys())
        if missing:
            module.warn(f"Left out, as DTR has no such account: {named(missing)}.")
        steps = plan_caches(current, backup.caches)
        moves = plan_moves(steps, settings)
        done = foreseen(steps, moves) if module.check_mode else _changed(dtr, params, current, steps, moves, progress)
        after = [
            cache if cache.id else cache._replace(id=f"planned:{cache.name}") for cache in caches_after(current, done)
        ]
        wanted = backup.wanted(after, settings)
        ids = {cache.name: cache.id for cache in after}
        held = {**settings, **{account: ids.get(move.step.name) for account, move in done.moved.items()}}
        changes = plan_assignments(wanted, held)
        failed = {} if module.check_mode else apply_changes(dtr, changes, concurrency, progress)
    of_caches = caches_report(current, steps, done)
    changes = [change for change in changes if change.account not in failed]
    of_accounts = assignments_report(changes, failed, after, len(wanted), diff=False)
    ways = _joined(moved_ways(done), given_ways(of_accounts["changed_accounts"]))
    result = {
        **of_caches,
        **of_accounts,
        "changed": of_caches["changed"] or of_accounts["changed"],
        "missing_accounts": missing,
        "ways": numbers(ways),
        "diff": [
            *caches_diff(current, caches_after(current, done)),
            *accounts_diff(ways, whole=module.is_verbose),
        ],
    }
    if failed:
        raise partial_failure(failed, "restored", result)
    return result


def _changed(
    dtr: DtrApi,
    params: t.Mapping[str, t.Any],
    current: list[ContentCache],
    steps: list[CacheStep],
    moves: list[Move],
    progress: Progress,
) -> Done:
    """Register what is missing, and replace what has another host."""
    changer = CacheChanger(dtr, current, params["concurrency"], reassign=True, progress=progress)
    try:
        changer.run(steps, moves)
    except Failure as failure:
        failure.result.update(caches_report(current, steps, changer.done))
        raise
    return changer.done


def _joined(moved: t.Mapping[str, Way], given: t.Mapping[str, Way]) -> dict[str, Way]:
    """An account's move to the new entry of its cache, and its assignment after that, are one way."""
    ways = {**given, **moved}
    both = moved.keys() & given.keys()
    return {**ways, **{account: Way(moved[account].before, given[account].after) for account in both}}


def _require_own(path: str) -> None:
    """Accounts go where the file says, so nobody else may have laid it.

    Raises:
        Failure: C(FOREIGN_FILE).
    """
    problem = foreign_words(os.path.abspath(path))
    if problem:
        raise Failure("FOREIGN_FILE", f"{word('backup file')}: {problem}.", hint="Nothing was changed.")


def _content(path: str) -> str:
    try:
        # A pipe would be waited for.
        with open(path, encoding="utf-8", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _unreadable(path, "it is not a regular file")
            text = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise _unreadable(path, str(error.strerror)) from None
    except UnicodeDecodeError:
        raise _unreadable(path, "it is not text in UTF-8") from None
    if len(text) > _LARGEST_FILE:
        raise Failure(
            "UNREADABLE_FILE", f"{word('backup file')}: {path} is larger than any backup.", hint="Nothing was changed."
        )
    return text


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _unreadable(path: str, reason: str) -> Failure:
    return Failure(
        "UNREADABLE_FILE", f"{word('backup file')}: {path} cannot be read: {reason}.", hint="Nothing was changed."
    )


def _replaceable(text: str, path: str, url: str) -> Backup:
    """What a file says that may be replaced: nothing else than a backup of the same DTR.

    Raises:
        Failure: C(NOT_A_BACKUP) or C(ANOTHER_DTR).
    """
    try:
        known = read_backup(text, path)
    except Failure as failure:
        raise Failure(
            "NOT_A_BACKUP",
            f"{word('backup file')}: {path} holds something else than a backup, which would be lost.",
            hint="Name another file, or remove this one.",
        ) from failure
    if canonical_server(known.dtr) != canonical_server(url):
        raise Failure(
            "ANOTHER_DTR",
            f"{word('backup file')}: {path} holds the backup of another DTR, {known.dtr}, which would be lost.",
            hint="Name a file of its own for each DTR.",
        )
    return known


def _require_of_this_dtr(backup: Backup, path: str, url: str) -> None:
    """Restoring it elsewhere would send the users of one DTR to the caches of another.

    Raises:
        Failure: C(ANOTHER_DTR).
    """
    if canonical_server(backup.dtr) != canonical_server(url):
        raise Failure(
            "ANOTHER_DTR",
            f"{word('backup file')}: {path} is the backup of another DTR, {backup.dtr}, and not of {url}.",
            hint=f'Nothing was changed. If {url} has taken its place, write "dtr": "{url}" into the file.',
        )


def _write(path: str, text: str) -> None:
    # Again: somebody may have been quicker.
    _require_own(path)
    try:
        write_whole(path, text)
    except OSError as error:
        raise _not_written(path, error) from None


def _not_written(path: str, error: OSError) -> Failure:
    return Failure(
        "UNWRITABLE_FILE",
        f"{word('backup file')}: {path} cannot be written: {error.strerror}.",
        hint="Make the folder, or name another.",
    )
