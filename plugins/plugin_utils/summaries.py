# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tables at the end of the playbooks have in common: a region's name, its result, sizes. Pure functions."""

from __future__ import annotations

import typing as t

Variables = t.Mapping[str, t.Any]

_MEGABYTE = 10**6


def region_of(host: Variables) -> str:
    """The cache's name; the host's where the settings were never read."""
    return str((host.get("__dtr_cache") or {}).get("name") or host["inventory_hostname"])


def failure_of(host: Variables) -> str | None:
    """Where the run failed at this host."""
    return f"failed at: {host['__dtr_cache_failed_task']}" if "__dtr_cache_failure" in host else None


def result_of(host: Variables) -> str:
    return failure_of(host) or ("ok" if "__dtr_cache" in host else "not reached")


def megabytes(size: int) -> str:
    return f"{size / _MEGABYTE:.1f} MB"


def pulled(pulls: t.Sequence[Variables]) -> str | None:
    """Size and time of all pulls together."""
    if not pulls:
        return None
    size = sum(pull["bytes"] for pull in pulls)
    return f"{megabytes(size)} in {sum(pull['seconds'] for pull in pulls):.1f} s"
