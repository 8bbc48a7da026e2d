# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files with variables on the control node: where Ansible reads them, and how they are written."""

from __future__ import annotations

import os
import typing as t

from ...module_utils.common.failure import Failure
from ...module_utils.common.files import foreign_words, write_whole
from ...module_utils.common.vocabulary import word
from .former_file import shown_former

# The order in which Ansible looks, and takes the first alone.
_EXTENSIONS = ("", ".yml", ".yaml", ".json")


class Written(t.NamedTuple):
    """What became of a file.

    Args:
        path: Its place.
        changed: Whether it says something else now, or would without check mode.
        diff: Both sides, in Ansible's form.
    """

    path: str
    changed: bool
    diff: dict[str, str]


def place_of(folder: str, host: str) -> str:
    """Where the variables of a host belong: in the file or folder that Ansible reads for it, where there is one."""
    for extension in _EXTENSIONS:
        path = os.path.join(folder, host + extension)
        if os.path.isdir(path):
            return os.path.join(path, "dtr_cache.yml")
        if os.path.lexists(path):
            return path
    return os.path.join(folder, f"{host}.yml")


def write(path: str, text: str, *, overwrite: bool, check_mode: bool) -> Written:
    """Write a file, unless it says the same already.

    Raises:
        Failure: C(FILE_EXISTS) where there is another file and it is not to be replaced; C(FOREIGN_FILE) where another
            user has laid it; C(UNREADABLE_FILE) or C(UNWRITABLE_FILE).
    """
    problem = foreign_words(os.path.abspath(path))
    if problem:
        raise Failure("FOREIGN_FILE", f"{path} is not written: {problem}.", hint="Nothing was written.")
    before = _content(path)
    changed = before != text
    if before is not None and changed and not overwrite:
        raise Failure(
            "FILE_EXISTS",
            f"{path} is there already and says something else, which would be lost.",
            hint=f"Set {word('adopt to')} to another folder, or {word('overwrite')} to replace it; with "
            "--check --diff that shows the difference first.",
        )
    if changed and not check_mode:
        _write(path, text)
    diff = {"before_header": path, "after_header": path, "before": shown_former(before or "", text), "after": text}
    return Written(path, changed, diff)


def _content(path: str) -> str | None:
    if not os.path.lexists(path):
        return None
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise Failure("UNREADABLE_FILE", f"{path} cannot be read: {reason}.", hint="Nothing was written.") from None


def _write(path: str, text: str) -> None:
    place = os.path.realpath(path)
    try:
        os.makedirs(os.path.dirname(place), exist_ok=True)
        write_whole(place, text, os.stat(place).st_mode & 0o777 if os.path.exists(place) else 0o644)
    except OSError as error:
        raise _not_written(path, error) from None


def _not_written(path: str, error: OSError) -> Failure:
    return Failure(
        "UNWRITABLE_FILE",
        f"{path} cannot be written: {error.strerror}.",
        hint="Set dtr_cache_adopt_to to a folder that this user may write to.",
    )
