# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configs and secrets of a stack: which ones belong to it, which ones are used, which ones are superseded."""

from __future__ import annotations

import typing as t

from .model import NAMESPACE_LABEL, Raw, Swarm

# The labels by which configs and secrets of a stack are known, and which file of the deployment each one is.
STACK_LABEL = "dtr.cache.stack"
FILE_LABEL = "dtr.cache.file"
# What Docker does not give of a secret afterwards, as far as everybody may know it: what certificates say, and a
# configuration without its credentials.
CERTIFICATES_LABEL = "dtr.cache.certificates"
CONTENT_LABEL = "dtr.cache.content"

CONFIG_FILE = "config.yml"


def used_objects(service: Raw, *, previous: bool = True) -> set[str]:
    """The names of the configs and secrets that a service uses, or would after going back to its previous version."""
    used = set()
    for spec in (service["Spec"], (service.get("PreviousSpec") or {}) if previous else {}):
        container = (spec.get("TaskTemplate") or {}).get("ContainerSpec") or {}
        used |= {item["ConfigName"] for item in container.get("Configs") or []}
        used |= {item["SecretName"] for item in container.get("Secrets") or []}
    return used


def used_by_others(swarm: Swarm) -> set[str]:
    """The names of the configs and secrets that services outside of the stack use."""
    return {name for service in swarm.other_services for name in used_objects(service)}


def is_of_stack(item: Raw, stack: str) -> bool:
    """Whether a config or secret belongs to a stack: made for it by role config_secrets, or by Docker's command."""
    labels = item["Spec"].get("Labels") or {}
    return stack in (labels.get(STACK_LABEL), labels.get(NAMESPACE_LABEL))


def superseded(
    existing: t.Mapping[str, Raw], stack: str, wanted: t.Collection[str], keep: int, in_use: t.Container[str]
) -> list[str]:
    """The superseded objects of a stack that nothing uses, without the newest few of each file."""
    by_file: dict[str, list[tuple[str, str]]] = {}
    for name, item in existing.items():
        labels = item["Spec"].get("Labels") or {}
        if labels.get(STACK_LABEL) == stack and name not in wanted:
            by_file.setdefault(labels.get(FILE_LABEL, ""), []).append((item["CreatedAt"], name))
    old = [name for versions in by_file.values() for _created, name in sorted(versions, reverse=True)[keep:]]
    return sorted(name for name in old if name not in in_use)


def stale_objects(swarm: Swarm, stack: str) -> list[str]:
    """The names of this stack's configs and secrets that no service of the Swarm uses, oldest first."""
    used = {name for service in (*swarm.services.values(), *swarm.other_services) for name in used_objects(service)}
    objects = [*swarm.configs.items(), *swarm.secrets.items()]
    own = [(item["CreatedAt"], name) for name, item in objects if is_of_stack(item, stack) and name not in used]
    return [name for _created, name in sorted(own)]
