# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Durations, sizes and image references as Docker's command reads them. Pure functions."""

from __future__ import annotations

import re

from ..common.failure import Failure

NANOSECONDS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
BYTES = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}


def duration(value: str | int | None) -> int | None:
    """Return the nanoseconds of a Go duration such as C(1m30s); a number is nanoseconds already.

    Raises:
        Failure: C(INVALID_INPUT) for anything else.
    """
    if value is None or isinstance(value, int):
        return value
    parts = re.findall(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)", value)
    if not parts or "".join(number + unit for number, unit in parts) != value:
        raise Failure("INVALID_INPUT", f"{value!r} is not a duration such as 10s or 1m30s.")
    return int(sum(float(number) * NANOSECONDS[unit] for number, unit in parts))


def byte_size(value: str | int | None) -> int | None:
    """Return the bytes of a size such as C(512M) or C(512MiB), which are the same for Docker.

    Raises:
        Failure: C(INVALID_INPUT) for anything else.
    """
    if value is None or isinstance(value, int):
        return value
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([kmgtp]?)i?b?", value.strip().lower())
    if not match:
        raise Failure("INVALID_INPUT", f"{value!r} is not a size such as 512M.")
    return int(float(match[1]) * BYTES[match[2]])


def image(reference: str, *, with_digest: bool) -> str:
    """Return an image reference as Docker shows it: without C(docker.io/) and C(library/), with its tag."""
    name, _at, digest = reference.partition("@")
    host, _slash, rest = name.partition("/")
    if rest and host in ("docker.io", "index.docker.io"):
        name = rest
    if name.count("/") == 1:
        name = name.removeprefix("library/")
    if not digest and ":" not in name.rpartition("/")[2]:
        name += ":latest"
    return f"{name}@{digest}" if digest and with_digest else name


def repository(reference: str) -> str:
    """Return the name of an image without tag and digest."""
    folder, slash, last = image(reference, with_digest=False).rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}" if reference else ""
