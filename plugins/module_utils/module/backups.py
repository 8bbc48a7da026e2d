# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Caches and accounts of DTR to a file, and back, as the options of a module say."""

from __future__ import annotations

import datetime
import os
import stat
import typing as t

from ..common.amounts import named
from ..common.failure import Failure
from ..common.foreign import foreign_words
from ..common.progress import Progress
from ..common.urls import canonical_server
from ..common.vocabulary import word
from ..common.whole_file import write_whole
from ..dtr import backups
from ..dtr.account_reads import read_all_account_settings
from ..dtr.api import DtrApi
from ..dtr.assignments_apply import apply_changes
from ..dtr.assignments_plan import partial_failure, plan_assignments
from ..dtr.assignments_plan import report as assignments_report
from ..dtr.assignments_plan import ways as given_ways
from ..dtr.caches_apply import CacheChanger
from ..dtr.caches_plan import CacheStep, Done, Move, caches_after, foreseen, plan_caches, plan_moves
from ..dtr.caches_plan import report as caches_report
from ..dtr.caches_plan import ways as moved_ways
from ..dtr.model import ContentCache
from ..dtr.shown_changes import Way, accounts_diff, caches_diff, numbers
from .base import Module
from .of_dtr import DtrSession

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
    backup, dangling = backups.backup_of(params["url"], caches, settings)
    if dangling:
        module.warn(f"Left out, as their cache is gone: {named(dangling)}.")
    before = _content(path) if os.path.lexists(path) else None
    known = None if before is None else _replaceable(before, path, params["url"])
    changed = known is None or known._replace(dtr=backup.dtr) != backup
    moment = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = backups.as_text(backup, moment)
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
        result["diff"] = backups.difference(known, backup)
    return result


def restore(module: Module) -> dict[str, t.Any]:
    """Plan, and unless in check mode do it: first the caches, then the accounts."""
    params = module.params
    concurrency = params["concurrency"]
    _require_own(params["path"])
    backup = backups.read_backup(_content(params["path"]), params["path"])
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


def _replaceable(text: str, path: str, url: str) -> backups.Backup:
    """What a file says that may be replaced: nothing else than a backup of the same DTR.

    Raises:
        Failure: C(NOT_A_BACKUP) or C(ANOTHER_DTR).
    """
    try:
        known = backups.read_backup(text, path)
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


def _require_of_this_dtr(backup: backups.Backup, path: str, url: str) -> None:
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
