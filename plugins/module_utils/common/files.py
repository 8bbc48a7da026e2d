# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that other users of a host can reach, and files that are written whole or not at all.

Linux follows no link of another user in a folder such as C(/tmp) where C(fs.protected_symlinks) is set. Not every
system sets it, and it says nothing of folders.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import stat
import tempfile

# As many links as Linux follows on the way to one file.
_MOST_LINKS = 40


def foreign_part(path: str) -> str | None:
    """The first part of an absolute path that is another user's and lies in a folder that everybody may write to.

    Other folders are the business of whom they belong to. A part that does not exist is nobody's.

    Returns:
        That part, or C(None) where there is none.
    """
    own = {0, os.geteuid()}
    pending = [part for part in path.split("/") if part][::-1]
    place, everybodys, links = "/", False, 0
    while pending:
        name = pending.pop()
        if name == ".":
            continue
        place = os.path.join(place, name)
        try:
            there = os.lstat(place)
        except OSError:
            return None
        if everybodys and there.st_uid not in own:
            return place
        if stat.S_ISLNK(there.st_mode):
            links += 1
            if links > _MOST_LINKS:
                return None
            target = os.readlink(place)
            place, everybodys = ("/", False) if target.startswith("/") else (os.path.dirname(place), everybodys)
            pending += [part for part in target.split("/") if part][::-1]
        else:
            everybodys = bool(there.st_mode & stat.S_IWOTH)
    return None


def foreign_words(path: str) -> str:
    """Why a path is not written to or removed, in words that follow the name of an option; empty where nothing speaks
    against it.
    """
    part = foreign_part(path)
    if part is None:
        return ""
    try:
        uid = os.lstat(part).st_uid
    except OSError:
        return ""
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = f"number {uid}"
    return (
        f"{part} belongs to user {user} and lies in a folder where everybody may write; name a path in a folder of "
        "your own"
    )


def write_whole(path: str, text: str, mode: int = 0o600) -> None:
    """Write a file of this text and mode. Until it is complete, the one that was there before stays.

    Raises:
        OSError: It cannot be written, and nothing of it is left.
    """
    descriptor, name = tempfile.mkstemp(prefix=".dtr-cache-", dir=os.path.dirname(os.path.abspath(path)))
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
