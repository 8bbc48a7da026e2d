# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking the lab down: nothing of it is left but what makes the next start fast, and the logs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from . import images, mount_points, names, network, nodes, registry
from .folders import Folders
from .progress import Progress
from .topology import BRIDGE


def down(folders: Folders, progress: Progress) -> None:
    """End and remove every part of the lab, also what an earlier or killed run left behind.

    Parts are found by their names on the machine, not by notes that a kill could have kept from being written.

    Raises:
        LabError: Something could not be ended or removed.
    """
    running = network.namespaces()
    with ThreadPoolExecutor() as pool:
        list(pool.map(nodes.stop, running))
    if running:
        progress.say(f"{len(running)} nodes ended")
    for link in (*network.node_links(), BRIDGE):
        network.remove_link(link)
    network.forget_forwarding()
    if names.remove_from_machine():
        progress.say("names removed from /etc/hosts")
    nodes.remove_cgroups(folders)
    nodes.keep_logs(folders)
    nodes.remove_disks(folders)
    registry.forget(folders)
    images.forget_scratch(folders)
    mount_points.remove(folders)
