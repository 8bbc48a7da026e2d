# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom a playbook runs on, and how many of them at a time.

Ansible asks for both before it reads the variables of any host, so only an extra variable or one of the play counts.
"""

from __future__ import annotations

import fnmatch
import re
import typing as t

from ansible.inventory.manager import split_host_pattern

from . import values
from .reader import PREFIX, Reader
from .structures import entries

GROUP = "dtr_caches"
HOSTS = f"{PREFIX}hosts"
VARIABLES = (HOSTS, f"{PREFIX}serial")

_BATCH = re.compile(r"[1-9][0-9]{0,5}|([1-9]|[1-9][0-9]|100)%")
# What else than a name a pattern for hosts may be: a regular expression, or a range.
_PATTERN = re.compile(r"[\[~]")


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
        unknown = [values.shown(name) for name in names if not (_PATTERN.search(name) or fnmatch.filter(known, name))]
        if unknown:
            reader.problem("hosts", f"the inventory has no group and no host of the name {', '.join(unknown)}")
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
