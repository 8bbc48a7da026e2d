# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a live cache is, and of which DTR, by its C(config.yml). Pure functions."""

from __future__ import annotations

import typing as t

from ..common.urls import without_secrets
from .described_caches import config_file
from .live_cache import downstream_options, is_content_cache, live_cache, parsed_config
from .model import Raw, Swarm
from .objects import NAME_LABEL, REGISTRY_LABEL, URL_LABEL
from .views import external_names


def replaced_config(swarm: Swarm, service: str, definition: t.Mapping[str, t.Any]) -> dict[str, t.Any] | None:
    """What the live C(config.yml) says of DTR: by its label C(registry), and the C(upstreams) that it pulls from.

    It may be called anything, and be that of a stack which this one replaces. C(None) where there is none, or it stays.
    Docker gives no content of a secret, so then only the label is known.
    """
    live = swarm.services.get(service) or _former_cache(swarm)
    name = config_file(live, swarm).name if live else ""
    wanted = {each for kind in ("configs", "secrets") for each in external_names(definition, kind)}
    found = swarm.configs.get(name) or swarm.secrets.get(name)
    if not found or name in wanted:
        return None
    labels = found["Spec"].get("Labels") or {}
    return {"registry": labels.get(REGISTRY_LABEL) or "", "upstreams": _upstreams(found["Spec"].get("Data") or "")}


def identity(service: Raw, swarm: Swarm) -> dict[str, str]:
    """Return what tells whose cache a service is: C(http.host) and the labels of its C(config.yml)."""
    name = config_file(service, swarm).name
    found: Raw = swarm.configs.get(name) or swarm.secrets.get(name) or {}
    labels = (found.get("Spec") or {}).get("Labels") or {}
    return {
        "service": str(service["Spec"]["Name"]),
        "url": without_secrets(live_cache(service, swarm.configs).url) or labels.get(URL_LABEL) or "",
        "name": labels.get(NAME_LABEL) or "",
        "registry": labels.get(REGISTRY_LABEL) or "",
    }


def _former_cache(swarm: Swarm) -> Raw | None:
    services = (service for former in swarm.former.values() for service in former.services.values())
    return next((service for service in services if is_content_cache(service, swarm.configs)), None)


def _upstreams(data: str) -> list[str]:
    found = downstream_options(parsed_config(data)).get("upstreams")
    return [without_secrets(each) for each in found if isinstance(each, str)] if isinstance(found, list) else []
