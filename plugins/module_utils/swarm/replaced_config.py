# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of which DTR a live cache is, where its C(config.yml) is about to be replaced. Pure functions."""

from __future__ import annotations

import base64
import binascii
import posixpath
import typing as t

from ..common.urls import without_secrets
from .compose import external_names
from .model import Raw, Swarm
from .objects import CONFIG_FILE, REGISTRY_LABEL

yaml: t.Any
try:
    import yaml
except ImportError:  # a label says it as well
    yaml = None


def replaced_config(swarm: Swarm, service: str, definition: t.Mapping[str, t.Any]) -> dict[str, t.Any] | None:
    """What the live C(config.yml) says of DTR: by its label C(registry), and the C(upstreams) that it pulls from.

    C(None) where there is none, or it stays. Docker gives no content of a secret, so then only the label is known.
    """
    live = swarm.services.get(service)
    name = _live_name(live["Spec"]) if live else None
    wanted = {each for kind in ("configs", "secrets") for each in external_names(definition, kind)}
    found = swarm.configs.get(name or "") or swarm.secrets.get(name or "")
    if not found or name in wanted:
        return None
    labels = found["Spec"].get("Labels") or {}
    return {"registry": labels.get(REGISTRY_LABEL) or "", "upstreams": _upstreams(found["Spec"].get("Data") or "")}


def _live_name(spec: Raw) -> str | None:
    container = spec["TaskTemplate"]["ContainerSpec"]
    for kind, key in (("Configs", "ConfigName"), ("Secrets", "SecretName")):
        for item in container.get(kind) or []:
            if posixpath.basename((item.get("File") or {}).get("Name") or "") == CONFIG_FILE:
                return str(item[key])
    return None


def _upstreams(data: str) -> list[str]:
    if yaml is None:
        return []
    try:
        config = yaml.safe_load(base64.b64decode(data).decode())
        parts = config["middleware"]["registry"]
        found = [each for part in parts if part["name"] == "downstream" for each in part["options"]["upstreams"]]
    except (yaml.YAMLError, binascii.Error, ValueError, LookupError, TypeError, RecursionError):
        return []
    return [without_secrets(each) for each in found if isinstance(each, str)]
