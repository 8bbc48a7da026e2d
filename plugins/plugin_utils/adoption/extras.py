# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what a service has besides to C(dtr_cache_service_extra). Pure functions."""

from __future__ import annotations

import typing as t

from ...module_utils.common.redaction import HIDDEN
from ...module_utils.swarm.views import OTHER_SETTINGS
from .draft import Draft, Live

# What UCP and MKE give to services by themselves, and the one of these that people set.
_OF_PLATFORM = "com.docker."
_ACCESS = "com.docker.ucp.access.label"
_AS_THEY_ARE = ("logging", "dns", "dns_search", "hostname", "sysctls", "cap_add", "cap_drop", "init")
# What no variable sets, and mostly no stack can declare.
_NOWHERE = (
    *("dns_options", "groups", "user", "working_dir", "stop_signal", "read_only", "tty", "stdin_open", "endpoint_mode"),
    "placement_preferences",
)


def describe_service_extra(draft: Draft, live: Live, acceptable: t.Callable[[str, t.Any], list[str]]) -> None:
    """The keys of the compose service that no other variable sets, as far as the comparison of services knows them."""
    kept = {}
    for key, value in _compose_keys(live).items():
        if HIDDEN in str(value):
            draft.note(f"{key} of its service holds a credential, which everybody who may inspect the service reads")
        elif problems := acceptable("service_extra", {key: value}):
            draft.note(f"{key} of its service is not kept: {'; '.join(problems)}")
        else:
            kept[key] = value
    draft.set_unless_default("service_extra", kept)
    view: t.Mapping[str, t.Any] = live["view"]
    lost = {**{key: view[key] for key in _NOWHERE if view.get(key)}, **view.get(OTHER_SETTINGS, {})}
    for key, value in lost.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        draft.note(f"{key} {shown} of its service is not kept: no variable sets it, and a deployment takes it away")


def describe_grace_period(draft: Draft, live: Live, rendered: str) -> None:
    """A longer time for the last requests than a deployment gives; less would cut them off.

    Args:
        draft: The variables up to now.
        live: The cache.
        rendered: The time as those variables make it, in seconds.
    """
    period = str(live["view"]["stop_grace_period"])
    if float(period.rstrip("s")) > float(rendered.rstrip("s")):
        draft.set("service_extra", {**draft.values.get("service_extra", {}), "stop_grace_period": period})


def is_kept(mount: t.Mapping[str, t.Any]) -> bool:
    """Whether a mount is memory, as a key of the compose service can have it."""
    return mount["kind"] == "tmpfs" and not mount["options"]


def _compose_keys(live: Live) -> dict[str, t.Any]:
    """What of the service has such a key, in the form of the compose file."""
    view: t.Mapping[str, t.Any] = live["view"]
    found = {key: view.get(key) for key in _AS_THEY_ARE}
    found["extra_hosts"] = [":".join(reversed(each.split(" ", 1))) for each in view.get("extra_hosts", [])]
    found["labels"] = own_labels(view.get("labels", {}))
    labels = own_labels(view.get("service_labels", {}))
    found["deploy"] = {"labels": labels} if labels else {}
    found["ulimits"] = {
        name: dict(zip(("soft", "hard"), map(int, limits.split(":"))))
        for name, limits in view.get("ulimits", {}).items()
    }
    found["tmpfs"] = sorted(mount["target"] for mount in live["mounts"] if is_kept(mount))
    check = view.get("healthcheck", {})
    found["healthcheck"] = {"disable": True} if check.get("test") == ["NONE"] else check
    return {key: value for key, value in found.items() if value not in (None, "", [], {})}


def own_labels(labels: t.Mapping[str, str]) -> dict[str, str]:
    """Those that somebody gave it, and no platform by itself."""
    return {key: value for key, value in labels.items() if key == _ACCESS or not key.startswith(_OF_PLATFORM)}
