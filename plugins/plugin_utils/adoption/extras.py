# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what a service has besides to C(dtr_cache_service_extra). Pure functions."""

from __future__ import annotations

import typing as t

from ...module_utils.common.credentials import HIDDEN
from .draft import Draft, Live

# What UCP and MKE give to services by themselves, and the one of these that people set.
_OF_PLATFORM = "com.docker."
_ACCESS = "com.docker.ucp.access.label"
_AS_THEY_ARE = ("logging", "dns", "dns_search", "hostname", "sysctls", "cap_add", "cap_drop", "init")


def describe_service_extra(draft: Draft, live: Live, acceptable: t.Callable[[str, t.Any], list[str]]) -> None:
    """The keys of the compose service that no other variable sets, as far as the comparison of services knows them."""
    kept = {}
    for key, value in _compose_keys(live["view"]).items():
        if HIDDEN in str(value):
            draft.note(f"{key} of its service holds a credential, which everybody who may inspect the service reads")
        elif not draft.is_known("service_extra"):
            draft.note(f"{key} of its service is not kept: no variable sets it")
        elif problems := acceptable("service_extra", {key: value}):
            draft.note(f"{key} of its service is not kept: {'; '.join(problems)}")
        else:
            kept[key] = value
    if draft.is_known("service_extra"):
        draft.set_unless_default("service_extra", kept)


def _compose_keys(view: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What of a view has such a key, in the form of the compose file."""
    found = {key: view.get(key) for key in _AS_THEY_ARE}
    found["extra_hosts"] = [":".join(reversed(each.split(" ", 1))) for each in view.get("extra_hosts", [])]
    found["labels"] = own_labels(view.get("labels", {}))
    labels = own_labels(view.get("service_labels", {}))
    found["deploy"] = {"labels": labels} if labels else {}
    found["ulimits"] = {
        name: dict(zip(("soft", "hard"), map(int, limits.split(":"))))
        for name, limits in view.get("ulimits", {}).items()
    }
    check = view.get("healthcheck", {})
    found["healthcheck"] = {"disable": True} if check.get("test") == ["NONE"] else check
    return {key: value for key, value in found.items() if value not in (None, "", [], {})}


def own_labels(labels: t.Mapping[str, str]) -> dict[str, str]:
    """Those that somebody gave it, and no platform by itself."""
    return {key: value for key, value in labels.items() if key == _ACCESS or not key.startswith(_OF_PLATFORM)}
