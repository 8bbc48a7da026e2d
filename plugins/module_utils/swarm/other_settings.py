# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service has beyond its view, under the names of the Engine API.

No definition of a stack declares it, so an update takes it away, and whoever set it has to see that before. It is no
reason for an update: what an Engine or a platform of a later version writes by itself would never settle.
"""

from __future__ import annotations

import typing as t

from .model import Raw

KEY = "other_settings"

_CONTAINER = "TaskTemplate.ContainerSpec"
_MOUNTS, _NETWORKS = f"{_CONTAINER}.Mounts", "TaskTemplate.Networks"
# What the view has, or what says nothing of how the service runs.
_IN_VIEW = frozenset(
    (
        *("Name", "Labels", "UpdateConfig", "RollbackConfig", "Networks", "Mode.Replicated", "Mode.Global"),
        *(f"EndpointSpec.{name}" for name in ("Mode", "Ports")),
        *(f"TaskTemplate.{name}" for name in ("ForceUpdate", "Runtime", "LogDriver", "RestartPolicy")),
        *(f"TaskTemplate.Placement.{name}" for name in ("Constraints", "Preferences", "MaxReplicas", "Platforms")),
        *(
            f"TaskTemplate.Resources.{part}.{name}"
            for part in ("Limits", "Reservations")
            for name in ("NanoCPUs", "MemoryBytes", "Pids", "GenericResources")
        ),
        *(
            f"{_CONTAINER}.{name}"
            for name in (
                *(
                    "Image",
                    "Command",
                    "Args",
                    "Env",
                    "Labels",
                    "Hostname",
                    "Hosts",
                    "Configs",
                    "Secrets",
                    "Healthcheck",
                ),
                *("Dir", "User", "Groups", "TTY", "OpenStdin", "ReadOnly", "StopSignal", "StopGracePeriod", "Init"),
                *("DNSConfig.Nameservers", "DNSConfig.Search", "DNSConfig.Options"),
                *("Sysctls", "Ulimits", "CapabilityAdd", "CapabilityDrop"),
                # A definition may declare these; they are for Windows.
                *("Isolation", "Privileges.CredentialSpec"),
            )
        ),
        *(f"{_MOUNTS}.{name}" for name in ("Type", "Source", "Target", "ReadOnly", "BindOptions.Propagation")),
        # The labels of a volume are given when it is made.
        *(f"{_MOUNTS}.VolumeOptions.{name}" for name in ("NoCopy", "Labels", "DriverConfig")),
        *(f"{_MOUNTS}.TmpfsOptions.{name}" for name in ("SizeBytes", "Mode")),
        *(f"{_NETWORKS}.{name}" for name in ("Target", "Aliases")),
    )
)
_DEFAULTS = {f"{_MOUNTS}.Consistency": "default"}
# Lists of parts, and what each part is known by.
_LISTS = {_MOUNTS: "Target", _NETWORKS: "Target"}


def other_settings(spec: Raw) -> dict[str, t.Any]:
    """What of a service is neither in its view nor as the Engine has it anyway, such as its C(OomScoreAdj)."""
    return {shown.replace("TaskTemplate.", "", 1): value for shown, value in _beyond(spec, "", "")}


def _beyond(value: t.Any, path: str, shown: str) -> t.Iterator[tuple[str, t.Any]]:
    """What is beyond the view at a path and below, each with the path as it is shown."""
    if path in _IN_VIEW or not value or value == _DEFAULTS.get(path):
        return
    if isinstance(value, t.Mapping):
        for key, item in sorted(value.items()):
            yield from _beyond(item, *(f"{above}.{key}" if above else str(key) for above in (path, shown)))
    elif path in _LISTS:
        for part in value:
            yield from _beyond(part, path, f"{shown}[{part.get(_LISTS[path])}]")
    else:
        yield shown, value
