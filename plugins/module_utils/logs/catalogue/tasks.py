# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Swarm's own words about a task that it cannot start, or that has ended."""

from __future__ import annotations

from .cause import DEPLOY, START, Cause, cause

NODE_LOST = cause(
    "node_lost",
    START,
    "its node is lost to the Swarm",
    "Bring the node back, or name another one in dtr_cache_nodes.",
    r"heartbeat failure",
    r"node (?:is )?(?:down|unreachable)",
)

# Swarm's words about a task that it cannot start, or that has ended.
OF_TASKS: tuple[Cause, ...] = (
    cause(
        "port_in_use",
        START,
        "its port is taken by something else",
        f"Stop what listens there (docker service ls; ss -ltnp on the node) or take another dtr_cache_port, {DEPLOY}.",
        r"host-mode port already in use",
        r"address already in use",
        r"port is already allocated",
    ),
    cause(
        "no_node",
        START,
        "no node of the Swarm takes it",
        "Check labels, states and resources of the nodes in dtr_cache_nodes: docker node ls. dtr.cache.deploy sets "
        "the label.",
        r"no suitable node",
    ),
    cause(
        "image_missing",
        START,
        "its node cannot get its image",
        "Load the image there, or let the node pull it (dtr_cache_image, dtr_cache_with_registry_auth).",
        r"[Nn]o such image",
        r"pull access denied",
        r"manifest (?:unknown|for )",
        r"repository does not exist",
    ),
    cause(
        "volume_missing",
        START,
        "the folder or volume for its storage is not on the node",
        f"Create the folder, or correct dtr_cache_volume, {DEPLOY}.",
        r"bind source path does not exist",
        r"invalid mount config",
        r"error while mounting volume",
        r"failed to mount",
    ),
    cause(
        "secret_missing",
        START,
        "a secret or config of its service does not exist any more",
        "Run dtr.cache.deploy again, which creates them.",
        r"(?:secret|config)\b.*(?:not found|does not exist|could not be|unavailable)",
    ),
    cause(
        "entrypoint_missing",
        START,
        "its image does not have the program that the service starts",
        f"Use the image of the DTR content cache (dtr_cache_image, dtr_cache_product), {DEPLOY}.",
        r"(?:exec|stat|unable to start container process).*"
        r"(?:no such file or directory|executable file not found|permission denied|exec format error)",
    ),
    cause(
        "killed",
        START,
        "its container was killed",
        "Mostly for lack of memory: check dmesg on the node, and raise the limit in dtr_cache_resources.",
        r"non-zero exit \(137\)",
        r"\bOOM\b",
    ),
    cause(
        "unhealthy",
        START,
        "its container's own health check fails",
        "docker service inspect shows the check; the cache's log shows why it fails.",
        r"unhealthy container",
    ),
    NODE_LOST,
    cause(
        "container_ended",
        START,
        "its container ends",
        "Its log says why; without one, check the entry point of the service.",
        r"non-zero exit",
    ),
    cause(
        "task_failed",
        START,
        "Swarm cannot run it",
        "The sample is what the Engine says: docker stack ps --no-trunc",
        r".",
    ),
)

NO_SERVICE = cause(
    "no_service",
    START,
    "its stack has no service in this Swarm",
    "Deploy it: dtr.cache.deploy. If it should not be there any more, dtr.cache.remove also unregisters it.",
    r"no service",
)
