# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which collection writes to AWX or Controller."""

from __future__ import annotations

import typing as t

from ansible.plugins.loader import module_loader

from ...module_utils.common.failure import Failure
from ..settings.awx import COLLECTIONS


def collection_for(wanted: str, finds: t.Callable[[str], bool]) -> str:
    """The collection that is wanted, or the first one that is installed.

    Args:
        wanted: Its name; with none, either will do.
        finds: Whether Ansible finds a module.

    Raises:
        Failure: It is not installed.
    """
    candidates = [wanted] if wanted else COLLECTIONS
    for name in candidates:
        if finds(f"{name}.job_template"):
            return name
    raise Failure(
        "NOT_INSTALLED",
        f"dtr_cache_awx_collection: {' and '.join(candidates)} {'is' if wanted else 'are both'} not installed; install "
        f"{'it' if wanted else 'one of them'}: ansible-galaxy collection install {wanted or 'awx.awx'}"
        + ("" if wanted else " (of Controller, ansible.controller from Automation Hub)"),
    )


def finds_module(name: str) -> bool:
    """Whether Ansible finds a module."""
    return bool(module_loader.find_plugin_with_context(name).resolved)


def missing_for_awx(settings: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    """What C(dtr.cache.awx) cannot do without."""
    if not settings["project_url"]:
        yield "dtr_cache_awx_project_url: is required: the git repository with your inventory and playbooks"
    try:
        collection_for(settings["collection"], finds_module)
    except Failure as failure:
        yield failure.message
