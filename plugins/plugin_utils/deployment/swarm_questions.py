# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules that read a Swarm are asked of a region, as their options. Pure functions."""

from __future__ import annotations

import typing as t

from ..settings.model import Settings
from .definition import config_text


def of_prerequisites(settings: Settings) -> dict[str, t.Any]:
    """What has to be there or free for the region, as M(dtr.cache.preflight) takes it on a manager."""
    return {
        **_wanted(settings),
        "former_stacks": list(settings.former_stack_names),
        "stack_name": settings.stack_name,
        "image": settings.image,
        "replicas": settings.replicas,
        "reservations": dict(settings.resources.get("reservations") or {}),
        "volume_driver": str(settings.volume.get("driver", "")) if isinstance(settings.volume, dict) else "",
    }


def of_plan(settings: Settings, deployment: t.Mapping[str, t.Any], *, diff: bool) -> dict[str, t.Any]:
    """What a deployment of the region would change, as M(dtr.cache.stack_plan) takes it.

    Args:
        settings: The region's settings, all of which are sound.
        deployment: What is deployed, as C(describe_deployment) gives it.
        diff: Whether the plan is to show what changes in files. C(config), which is only of use then, can be a secret.
    """
    return {
        "name": settings.stack_name,
        "node_labels": settings.node_labels,
        "definition": deployment["definition"],
        "objects": [*deployment["configs"], *deployment["secrets"]],
        "keep_versions": settings.keep_versions,
        "former_stacks": list(settings.former_stack_names),
        "host": settings.host,
        "preflight": _wanted(settings),
        **({"config": config_text(settings)} if diff else {}),
    }


def of_drift(settings: t.Mapping[str, t.Any], deployment: t.Mapping[str, t.Any] | None) -> dict[str, t.Any]:
    """How the region's stack differs, as one of O(dtr.cache.stack_plan#module:stacks).

    Args:
        settings: The region's public settings, as far as they could be read.
        deployment: What a deployment is made of; nothing where the settings do not say all of it, and then the plan has
            no steps but says what runs.
    """
    return {
        "name": settings["stack_name"],
        "node_labels": settings["node_labels"] if deployment else {},
        "definition": deployment["definition"] if deployment else {},
        "keep_versions": settings["keep_versions"],
        "former_stacks": settings["former_stack_names"],
        "host": settings["host"],
    }


def _wanted(settings: Settings) -> dict[str, t.Any]:
    return {
        "nodes": list(settings.nodes),
        "port": settings.port,
        **({"metrics_port": settings.metrics_port} if settings.metrics_port else {}),
        "publish_mode": settings.publish_mode,
        "node_label": settings.node_label,
        "host": settings.host,
        "resolve_image": settings.resolve_image,
        "with_registry_auth": settings.with_registry_auth,
    }
