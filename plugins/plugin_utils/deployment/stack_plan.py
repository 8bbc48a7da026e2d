# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a region in its Swarm: the options of the modules that make it, and its diff. Pure functions."""

from __future__ import annotations

import typing as t

import yaml

from ..settings.image import PRODUCTS
from ..settings.model import Settings
from .definition import config_text

Diff = dict[str, str]


def of_prerequisites(settings: Settings) -> dict[str, t.Any]:
    """Return the options of M(dtr.cache.preflight) on a manager: what must be there, and what must be free."""
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
    """Return the options of M(dtr.cache.stack_plan) for a deployment.

    Args:
        settings: The region's settings, which are valid.
        deployment: The deployment, as C(describe_deployment) returns it.
        diff: Whether the plan shows changes in files. C(config), which can be a secret, is sent only then.
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
    """Return one of O(dtr.cache.stack_plan#module:stacks) for the drift of a region.

    Args:
        settings: The region's public settings, as far as they could be read.
        deployment: Its deployment; C(None) where the settings are incomplete: the plan then only says what runs.
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


def changed_authorities(diff: t.Mapping[str, t.Any]) -> list[tuple[str, str]]:
    """Return the names of the secrets with DTR's CA, before and after, where a plan exchanges it in a service."""
    before, after = ((diff.get(side) or {}).get("services") or {} for side in ("before", "after"))
    found = []
    for service, live in before.items():
        wanted = after.get(service)
        if isinstance(live, dict) and isinstance(wanted, dict):
            for file in sorted({product.ca_secret for product in PRODUCTS.values()}):
                old, new = ((side.get("secrets") or {}).get(file) for side in (live, wanted))
                if old and new and old != new:
                    found.append((old, new))
    return found


def readable(diff: t.Mapping[str, t.Any], stack: str) -> list[Diff]:
    """Return the diff of a plan in Ansible's form, one for the stack and one for each file; empty without differences.

    Args:
        diff: The diff that M(dtr.cache.stack_plan) returns.
        stack: The stack's name.
    """
    sides = [(f"stack {stack}", f"stack {stack}", *(_as_yaml(diff.get(side) or {}) for side in ("before", "after")))]
    for each in diff.get("files") or []:
        old, new = (f"{each['file']} ({name})" for name in (each["before_name"] or "none", each["after_name"]))
        sides.append((old, new, each["before"], each["after"]))
    names = ("before_header", "after_header", "before", "after")
    return [dict(zip(names, each)) for each in sides if each[2] != each[3]]


def _as_yaml(side: t.Any) -> str:
    known = _without_none(side)
    return str(yaml.safe_dump(known, sort_keys=False, default_flow_style=False, width=160)) if known else ""


def _without_none(value: t.Any) -> t.Any:
    """Return the value without keys that have none, such as a missing label."""
    if isinstance(value, t.Mapping):
        return {str(key): _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_without_none(item) for item in value]
    return str(value) if isinstance(value, str) else value
