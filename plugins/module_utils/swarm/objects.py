# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configs and secrets of a stack: which ones belong to it, which ones are used, which ones are superseded."""

from __future__ import annotations

import re
import typing as t

from .model import NAMESPACE_LABEL, Raw, Swarm

# The labels by which configs and secrets of a stack are known, and which file of the deployment each one is.
STACK_LABEL = "dtr.cache.stack"
FILE_LABEL = "dtr.cache.file"
# What Docker does not give of a secret afterwards, as far as everybody may know it: what certificates say, and a
# configuration without its credentials.
CERTIFICATES_LABEL = "dtr.cache.certificates"
CONTENT_LABEL = "dtr.cache.content"
# The cache whose config.yml it is: its name in DTR, its address, and the DTR.
NAME_LABEL = "dtr.cache.name"
URL_LABEL = "dtr.cache.url"
REGISTRY_LABEL = "dtr.cache.registry"

CONFIG_FILE = "config.yml"
# How the names end that this collection gives: see "Configs and secrets are external and named by content".
_MARK = re.compile(r"_[0-9a-f]{12}")


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
    existing: t.Mapping[str, Raw],
    stack: str,
    wanted: t.Collection[str],
    keep: int,
    in_use: t.Container[str],
    hand_made: HandMade | None = None,
) -> list[str]:
    """The superseded objects of a stack that nothing uses, without the newest few of each file.

    What somebody made by hand counts as a version of the file that it was in the container. Nothing but the service's
    own past says of an object without Docker's label of the stack that it was the cache's, and nothing newer comes of a
    file that the deployment does not have: such ones go as soon as nothing uses them.
    """
    by_hand = hand_made or HandMade()
    by_file: dict[str, list[tuple[str, str]]] = {}
    old = []
    for name, item in existing.items():
        labels = item["Spec"].get("Labels") or {}
        if name in wanted:
            continue
        if labels.get(STACK_LABEL) == stack:
            by_file.setdefault(labels.get(FILE_LABEL, ""), []).append((item["CreatedAt"], name))
        elif name in by_hand.objects:
            file = by_hand.objects[name]
            if file in by_hand.files and labels.get(NAMESPACE_LABEL) == stack:
                by_file.setdefault(file, []).append((item["CreatedAt"], name))
            else:
                old.append(name)
    old += [name for versions in by_file.values() for _created, name in sorted(versions, reverse=True)[keep:]]
    return sorted(name for name in old if name not in in_use)


class HandMade(t.NamedTuple):
    """Configs or secrets of a cache that somebody made by hand, and how they compare with the deployment's.

    Args:
        objects: The file that each one is in the container, by the object's name.
        files: The files that the deployment has versions of.
    """

    objects: t.Mapping[str, str] = {}
    files: t.Collection[str] = ()


def hand_made_objects(swarm: Swarm, stack: str, caches: t.Collection[str], kind: str) -> dict[str, str]:
    """The configs or secrets (C(kind)) that somebody made by hand for a stack's cache, each with its file.

    C(caches) are the services that are the cache, mostly one. The objects have Docker's own label of the stack, where
    it has no other service, or a version of such a service uses them that this collection did not deploy: the one that
    runs, the one before, or one that Swarm remembers.
    """
    existing = swarm.configs if kind == "configs" else swarm.secrets
    found = {}
    if not set(swarm.services) - set(caches):
        for name, item in existing.items():
            labels = item["Spec"].get("Labels") or {}
            if labels.get(NAMESPACE_LABEL) == stack and STACK_LABEL not in labels:
                found[name] = name.removeprefix(f"{stack}_")
    lives = [swarm.services[name] for name in caches if name in swarm.services]
    versions = [(live.get(spec) or {}).get("TaskTemplate") for live in lives for spec in ("Spec", "PreviousSpec")]
    ids = {live.get("ID") for live in lives}
    versions += [task.get("Spec") for task in swarm.tasks if task.get("ServiceID") in ids]
    for version in versions:
        if version and not is_of_collection(stack, version):
            found.update({name: place.rpartition("/")[2] for place, name in _mounted(version, kind)})
    return {name: file for name, file in found.items() if name in existing and not is_named_by_content(stack, name)}


def is_of_collection(stack: str, template: Raw) -> bool:
    """Whether this collection deployed a version of a stack's service, by the names of its configs and secrets."""
    names = [name for kind in ("configs", "secrets") for _place, name in _mounted(template, kind)]
    return any(is_named_by_content(stack, name) for name in names)


def is_named_by_content(stack: str, name: str) -> bool:
    """Whether a config or secret has a name such as this collection gives."""
    return name.startswith(f"{stack}_") and _MARK.fullmatch(name[-13:]) is not None


def _mounted(template: Raw, kind: str) -> list[tuple[str, str]]:
    """The places in a container, and the names of the configs or secrets (C(kind)) that are there."""
    items = ((template.get("ContainerSpec") or {}).get(kind.capitalize())) or []
    name = "ConfigName" if kind == "configs" else "SecretName"
    return [(str((item.get("File") or {}).get("Name") or ""), item[name]) for item in items]


def stale_objects(swarm: Swarm, stack: str) -> list[str]:
    """The names of this stack's configs and secrets that no service of the Swarm uses, oldest first."""
    used = {name for service in (*swarm.services.values(), *swarm.other_services) for name in used_objects(service)}
    objects = [*swarm.configs.items(), *swarm.secrets.items()]
    own = [(item["CreatedAt"], name) for name, item in objects if is_of_stack(item, stack) and name not in used]
    return [name for _created, name in sorted(own)]
