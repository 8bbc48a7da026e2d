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


def result_of(host: Variables, last: str = "__dtr_cache") -> str:
    """How the run ended at this host. It came to its end when the variable is there that its C(last) task registers."""
    if "__dtr_cache" not in host:
        return failure_of(host) or "not reached"
    return failure_of(host) or ("ok" if last in host else "did not finish")


def megabytes(size: int) -> str:
    return f"{size / _MEGABYTE:.1f} MB"


def pulled(pulls: t.Sequence[Variables]) -> str | None:
    """Size and time of all pulls together."""
    if not pulls:
        return None
    size = sum(pull["bytes"] for pull in pulls)
    # The image of a proof is smaller than a tenth of a megabyte.
    shown = megabytes(size) if size >= _MEGABYTE / 10 else f"{size / 1000:.1f} kB"
    return f"{shown} in {sum(pull['seconds'] for pull in pulls):.1f} s"
