# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stays at another DTR when a cache moves to a new one. Pure functions.

Nothing is asked of the old one: its credentials are not known, and those of the new one are none of its business.
"""

from __future__ import annotations

import json
import shlex
import typing as t

from ...module_utils.common.urls import canonical_server

Result = t.Mapping[str, t.Any]


def left_behind(replaced: Result | None, settings: Result) -> str | None:
    """What a region leaves at the DTR that it was of, and how to clean up there; C(None) where there is no other.

    Args:
        replaced: What the C(config.yml) that is about to be replaced says, as M(dtr.cache.stack_plan) returns it.
        settings: The public settings of the region.
    """
    dtr = settings.get("dtr")
    if not replaced or not dtr:
        return None
    # Caches that it pulled from may be no DTR, which nobody wrote down before there was a label.
    certain = bool(replaced["registry"])
    known = {dtr, *map(canonical_server, settings.get("upstreams") or [])}
    servers = map(canonical_server, [replaced["registry"]] if certain else replaced["upstreams"])
    former = sorted({server for server in servers if server not in known})
    return _told(former[0], dtr, settings, certain=certain) if former else None


def _told(old: str, new: str, settings: Result, *, certain: bool) -> str:
    name = settings["name"]
    entry: dict[str, t.Any] = {"name": name, "state": "absent"}
    if settings.get("former_names"):
        entry["former_names"] = list(settings["former_names"])
    was = f"was a cache of the DTR {old}" if certain else f"has pulled from {old}"
    arguments = shlex.quote(json.dumps({"caches": [entry]}))
    # One that is renamed in the same run has its former name there.
    names = " or ".join([name, *entry.get("former_names", [])])
    return (
        f"{name} {was} and is now one of {new}. If that is another DTR, and not the same one under another address: "
        f"Its entry {names} and the accounts that are assigned to it stay there. Their pulls are still sent to this "
        "cache, which gets nothing from there any more. That DTR was sent nothing. To "
        "clean up there, set DTR_URL, DTR_USERNAME, DTR_PASSWORD and DTR_CA_PATH to its own: "
        f"ansible localhost -m dtr.cache.content_caches -a {arguments} resets these accounts and removes the entry. "
        "dtr.cache.backup, with the dtr_cache_registry_ variables of that DTR, writes down first who they are."
    )
