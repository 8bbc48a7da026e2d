# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of C(dtr_cache_source_files): which regions need them, and which ones a run can remove. Pure functions."""

from __future__ import annotations

import typing as t

from ..settings.region import Region
from .facts import HostFacts


def files_with_users(host: str, named: t.Iterable[str], regions: t.Sequence[Region]) -> dict[str, list[str]]:
    """Return the files to remove that a host names or uses, each with the other hosts that name or use it.

    Args:
        host: The host.
        named: Its own source files.
        regions: All regions of inventory and play.
    """
    used = {file for region in regions if region.host == host for file in region.files}
    others = [region for region in regions if region.host != host]
    files = [*named, *(file for region in others for file in region.source_files if file in used)]
    return {
        file: [region.host for region in others if file in (*region.source_files, *region.files)]
        for file in dict.fromkeys(files)
    }


def unused_files(own: HostFacts, hosts: t.Mapping[str, HostFacts]) -> list[str]:
    """Return the files that this host removes: those that no region needs any more.

    A region that failed, that has still to be run, or that takes no part in the play needs its files again. The last
    one of those that share a file removes it.

    Args:
        own: The facts of the host.
        hosts: Those of the hosts that are still in the play, in its order.
    """
    finished = [name for name, each in hosts.items() if each.was_checked and not each.failure]
    return [
        file
        for file, users in own.source_files.items()
        if {own.host, *users} <= set(finished) and max({own.host, *users}, key=finished.index) == own.host
    ]
