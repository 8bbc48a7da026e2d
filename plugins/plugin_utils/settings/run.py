# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run is given besides the cache: sensitive files to remove, folders to write to, how far to look back."""

from __future__ import annotations

import datetime
import functools
import re
import typing as t

from ...module_utils.common.failure import Failure
from ...module_utils.logs.since import since
from . import values
from .reader import FILE, FOLDER, MISSING, Reader

# Some of what takes the path would put an environment variable in its place, and some would not.
_NO_VARIABLES = "has a $, and environment variables are not expanded; write the path itself"
_PATTERN = re.compile(r"[*?\[]")
# A key without its first and last line.
_BARE_KEY = re.compile(r"[A-Za-z0-9+/=]{64,}")


def read_run(reader: Reader) -> dict[str, t.Any]:
    return {
        "source_files": read_source_files(reader),
        "render_to": _read_folder(reader, "render_to"),
        "status_to": _read_folder(reader, "status_to"),
        "backup_file": _read_backup_file(reader),
        "adopt_to": _read_folder(reader, "adopt_to"),
        "adopt_overwrite": reader.switch("adopt_overwrite"),
        "logs_since": reader.value("logs_since", _since, ""),
        "traffic_since": reader.value("traffic_since", _since, ""),
        "confirm_removal": reader.text("confirm_removal"),
        "remove_volume": reader.switch("remove_volume"),
    }


def _read_folder(reader: Reader, name: str) -> str:
    path = reader.text(name)
    if not path:
        return ""
    if "$" in path:
        reader.problem(name, f"{values.quoted(path)} {_NO_VARIABLES}")
    place = reader.control_node.locate(path)
    if reader.control_node.kind(place) not in (FOLDER, MISSING):
        reader.problem(name, f"{values.quoted(path)} is a file; it must be a folder, which may be missing yet")
    elif foreign := reader.control_node.foreign(place):
        reader.problem(name, foreign)
    return place


def _read_backup_file(reader: Reader) -> str:
    path = reader.text("backup_file")
    if not path:
        return ""
    if "$" in path:
        reader.problem("backup_file", f"{values.quoted(path)} {_NO_VARIABLES}")
    place = reader.control_node.locate(path)
    kind = reader.control_node.kind(place)
    if foreign := reader.control_node.foreign(place):
        reader.problem("backup_file", foreign)
    elif path.endswith("/") or kind == FOLDER:
        reader.problem("backup_file", f"{values.quoted(path)} is a folder; name the file in it")
    elif kind not in (FILE, MISSING):
        reader.problem("backup_file", f"{values.quoted(path)} is not a regular file")
    return place


def read_source_files(reader: Reader) -> tuple[str, ...]:
    """Files to remove, which nobody gets back: only what is named, one by one."""
    given = reader.raw("source_files")
    listed = given if isinstance(given, list) else [given]
    if any(isinstance(item, str) and "-----" in item for item in listed):
        reader.problem("source_files", "holds the text of a key or a certificate; name the file that it is in")
        return ()
    if given is not None and not isinstance(given, (list, str)):
        reader.problem("source_files", "must be a list of texts, the paths of files")
        return ()
    kind: values.Kind = functools.partial(_source_file, reader)
    paths = reader.checked("source_files", values.items, given, [])
    files = [reader.checked("source_files", kind, path, "") for path in paths]
    return tuple(dict.fromkeys(file for file in files if file))


def _source_file(reader: Reader, path: str) -> str:
    place = reader.control_node.locate(path)
    kind = reader.control_node.kind(place)
    shown = values.quoted(path)
    if "$" in path:
        raise values.invalid(f"{shown} {_NO_VARIABLES}")
    # Before the rest, as a key may end like a folder.
    if kind == MISSING and _BARE_KEY.fullmatch(path):
        raise values.invalid("names no file, and may be a key itself; name the file that it is in")
    if kind == FOLDER or path.endswith("/"):
        raise values.invalid(f"{shown} is a folder; name the files in it that are to be removed")
    if kind == MISSING and _PATTERN.search(path):
        raise values.invalid(f"{shown} is a pattern, and no file has that name; name the files one by one")
    if kind not in (FILE, MISSING):
        raise values.invalid(f"{shown} is not a regular file; name the file itself, not a link to it")
    if foreign := reader.control_node.foreign(place):
        raise values.invalid(foreign)
    return place


def _since(value: t.Any) -> str:
    text = values.line(value)
    try:
        since(text, datetime.datetime.now(datetime.timezone.utc))
    except Failure:
        raise values.invalid(
            f"{values.quoted(text)} is neither a time such as 2h (s, m, h, d, w) nor a moment in the past such as "
            "2026-01-31T12:00:00Z"
        ) from None
    return text
