# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of a run: its hosts and batches, folders to write to, files to remove, how far to look back, AWX."""

from __future__ import annotations

import datetime
import fnmatch
import functools
import re
import typing as t

from ansible.inventory.manager import split_host_pattern
from ansible.plugins.loader import module_loader

from ...module_utils.common.failure import Failure
from ...module_utils.logs.findings import since
from . import values
from .image import reference
from .reader import FILE, FOLDER, MISSING, PREFIX, Reader
from .structures import entries

GROUP = "dtr_caches"
HOSTS = f"{PREFIX}hosts"
VARIABLES = (HOSTS, f"{PREFIX}serial")

_BATCH = re.compile(r"[1-9][0-9]{0,5}|([1-9]|[1-9][0-9]|100)%")
# What else than a name a pattern for hosts may be: a regular expression, or a range.
_NOT_A_NAME = re.compile(r"[\[~]")


def read_hosts(reader: Reader, groups: t.Mapping[str, t.Sequence[str]] | None = None) -> list[str]:
    """The patterns for hosts, as Ansible takes them.

    Args:
        reader: The variables.
        groups: The groups of the inventory, where it is known. With a name that it does not have Ansible would run on
            nobody, and succeed.
    """
    patterns = reader.items("hosts")
    if not patterns and not reader.is_reported("hosts"):
        reader.problem("hosts", f"an empty list: write for example {GROUP}")
    if groups is not None and patterns != [GROUP]:
        known = {"all", "localhost", *groups, *groups.get("all", ())}
        # A mistyped name that is to be left out would be one that takes part.
        names = [name.lstrip("!&") for pattern in patterns for name in split_host_pattern(pattern) or [pattern]]
        unknown = [
            values.shown(name) for name in names if not (_NOT_A_NAME.search(name) or fnmatch.filter(known, name))
        ]
        if unknown:
            reader.problem(
                "hosts", f"the inventory has no group and no host of the name {', '.join(map(values.shown, unknown))}"
            )
    return patterns


def read_serial(reader: Reader) -> list[int | str]:
    """The sizes of the batches, of which the last one is that of all further ones."""
    sizes = [size for size in reader.value("serial", entries, []) if values.is_set(size)]
    if not sizes and not reader.is_reported("serial"):
        reader.problem("serial", "an empty list: write for example 1, 100%")
    return [reader.checked("serial", _batch, size, "100%") for size in sizes]


def given_too_late(
    given: t.Mapping[str, t.Any], of_play: t.Mapping[str, t.Any], defaults: t.Mapping[str, t.Any]
) -> list[str]:
    """One sentence for each of them that a host has and Ansible could not know when it chose the hosts.

    Args:
        given: The variables of a host, as they are written.
        of_play: The extra variables and those of the play, in the same way.
        defaults: What a host has of them where role C(settings) is in the play, without anybody's doing.
    """
    return [
        f"{name}: Ansible chooses the hosts before it reads the inventory, where this has no effect; give it as an "
        f"extra variable (-e {name}=...), or under vars of import_playbook"
        for name in VARIABLES
        if values.is_set(given.get(name)) and given[name] not in (of_play.get(name), defaults[name])
    ]


def _batch(value: t.Any) -> int | str:
    size = values.scalar(value)
    if not _BATCH.fullmatch(size):
        raise values.invalid(
            f"{values.quoted(size)} is neither a number of regions from 1 nor a share of them from 1% to 100%"
        )
    return size if size.endswith("%") else int(size)


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


# Those with the modules that write there.
COLLECTIONS = ("ansible.controller", "awx.awx")

_NAME = values.matching(
    "[A-Za-z0-9][A-Za-z0-9 ._-]{0,59}", "a beginning of names: up to 60 letters, digits, blanks, dots, - and _"
)
_IN_ADDRESS = re.compile(r"://[^/\s@]*:[^/\s@]*@")


def read_awx(reader: Reader) -> dict[str, t.Any]:
    """Return what C(dtr_cache_awx_*) says; of the collections, the first that is installed where none is named."""
    return {
        "organization": reader.text("awx_organization"),
        "prefix": reader.value("awx_prefix", _NAME, ""),
        "project_url": reader.value("awx_project_url", _project, ""),
        "project_branch": reader.text("awx_project_branch"),
        "project_credential": reader.text("awx_project_credential"),
        "inventory": reader.value("awx_inventory", _path, ""),
        "image": reader.value("awx_image", reference, ""),
        "credentials": reader.items("awx_credentials"),
        "certificate": reader.switch("awx_certificate"),
        "schedules": reader.switch("awx_schedules"),
        "collection": reader.value("awx_collection", values.one_of(*COLLECTIONS), "") or _first_installed(),
        "state": reader.choice("awx_state", ("present", "absent")),
    }


def missing_for_awx(settings: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    """Yield what C(dtr.cache.awx) cannot do without."""
    if not settings["project_url"] and settings["state"] == "present":
        yield "dtr_cache_awx_project_url: is required: the git repository with your inventory and playbooks"
    name = settings["collection"]
    if not name:
        yield (
            f"dtr_cache_awx_collection: {' and '.join(COLLECTIONS)} are both not installed; install one of them: "
            "ansible-galaxy collection install awx.awx (of Controller, ansible.controller from Automation Hub)"
        )
    elif not is_installed(name):
        yield (
            f"dtr_cache_awx_collection: {name} is not installed; install it: ansible-galaxy collection install {name}"
        )


@functools.cache
def is_installed(collection: str) -> bool:
    """Whether Ansible finds a module of the collection."""
    return bool(module_loader.find_plugin_with_context(f"{collection}.job_template").resolved)


def _first_installed() -> str:
    return next(filter(is_installed, COLLECTIONS), "")


def _project(value: t.Any) -> str:
    text = values.line(value)
    if _IN_ADDRESS.search(text):
        raise values.invalid(
            "has a password in it, which AWX would show to everybody; put it into a credential of the type Source "
            "Control, and name that in dtr_cache_awx_project_credential"
        )
    if re.search(r"\s", text):
        raise values.invalid(f"{values.quoted(text)} is not the address of a git repository: it has a blank")
    return text


def _path(value: t.Any) -> str:
    text = values.line(value)
    if text.startswith("/") or ".." in text.split("/"):
        raise values.invalid(f"{values.quoted(text)} is not a path inside of the project")
    return text
