# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing the lab up: whatever is missing or differs, side by side, and nothing else."""

from __future__ import annotations

import typing as t
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait

from . import (
    bundles,
    cache_image,
    certificates,
    engines,
    images,
    inventory,
    mount_points,
    names,
    network,
    nodes,
    registry,
    specs,
    ssh,
    swarm,
)
from .errors import NodeEnded
from .folders import Folders
from .progress import Progress, wait_until
from .topology import NODES, REGIONS, REGISTRY, SWARM_NODES, Node, Region

Outcome = t.TypeVar("Outcome")


class Up:
    """One run of C(up). Each step says when it is done; a step that had nothing to do says nothing.

    The slow steps are futures that wait for those they need.
    """

    def __init__(self, folders: Folders, progress: Progress) -> None:
        self._folders = folders
        self._progress = progress

    def run(self) -> bool:
        """Bring the lab up. Returns whether anything had to be done.

        Raises:
            LabError: A step failed. What was done stays, and another C(up) goes on from there.
        """
        self._folders.make()
        changed = self._foundation()
        with ThreadPoolExecutor(max_workers=32) as pool:
            built = pool.submit(self._build_image)
            started = {node: pool.submit(self._start, node) for node in NODES}
            formed = [pool.submit(self._form, region, started) for region in REGIONS]
            loaded = [pool.submit(self._load_image, node, started[node], built) for node in SWARM_NODES]
            pushed = pool.submit(self._push_images, started[REGISTRY])
            steps: list[Future[bool]] = [built, *started.values(), *formed, *loaded, pushed]
            wait(steps, return_when=FIRST_EXCEPTION)
            for step in steps:
                if step.done() and (error := step.exception()):
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise error
            changed |= any(step.result() for step in steps)
        if inventory.write(self._folders):
            self._progress.say("inventory/lab written")
            changed = True
        return changed

    def _say_if(self, changed: bool, message: str) -> bool:
        if changed:
            self._progress.say(message)
        return changed

    def _foundation(self) -> bool:
        """What everything else needs and takes no time."""
        changed = [
            self._say_if(certificates.make_all(self._folders), "certificates made"),
            self._say_if(bundles.make_all(self._folders), "client bundles made"),
            self._say_if(ssh.make_keys(self._folders), "SSH keys made"),
            self._say_if(network.add_bridge(), "bridge made"),
            self._say_if(network.allow_forwarding(), "firewall rule for the bridge added"),
            self._say_if(mount_points.make(self._folders), "mount points made"),
            self._say_if(names.add_to_machine(), "names added to /etc/hosts"),
        ]
        return any(changed)

    def _start(self, node: Node) -> bool:
        """Let the node run, from its present specification, and wait until it can be used."""
        spec = specs.prepare(self._folders, node)
        mark = nodes.fingerprint(spec, specs.sources(self._folders, node))
        if nodes.runs(node, mark):
            try:
                self._wait_for(node, alive=lambda: nodes.first_process(node) is not None)
                return False
            except NodeEnded:
                self._progress.say(f"{node.name} has just ended: starting it again")
        if node == REGISTRY:
            registry.ready_file(self._folders).unlink(missing_ok=True)
        process = nodes.launch(node, spec, mark, self._folders)
        self._wait_for(node, alive=lambda: process.poll() is None)
        return self._say_if(True, f"{node.name} started")

    def _wait_for(self, node: Node, alive: t.Callable[[], bool]) -> None:
        """Wait until the node can be used.

        Raises:
            NodeEnded: It is no longer alive.
            LabError: It took too long.
        """
        logs = self._folders.node_logs(node)

        def is_ready() -> bool:
            if not alive():
                raise NodeEnded(f"{node.name} ended instead of getting ready (see {logs})")
            if node == REGISTRY:
                return registry.is_ready(self._folders)
            return engines.answers(self._folders, node) and ssh.answers(node)

        wait_until(is_ready, what=f"{node.name} should be ready (see {logs})")

    def _form(self, region: Region, started: t.Mapping[Node, Future[bool]]) -> bool:
        for node in region.nodes:
            started[node].result()
        formed = swarm.form(self._folders, region)
        return self._say_if(formed, f"Swarm of {region.name} formed: {', '.join(node.name for node in region.nodes)}")

    def _build_image(self) -> bool:
        if not cache_image.archive(self._folders).exists():
            self._progress.say("building the cache's image, about a minute on two cores")
        return self._say_if(cache_image.build(self._folders), "cache's image built")

    def _load_image(self, node: Node, started: Future[bool], built: Future[bool]) -> bool:
        built.result()
        started.result()
        return self._say_if(cache_image.load(self._folders, node), f"{node.name}: cache's image loaded")

    def _push_images(self, started: Future[bool]) -> bool:
        started.result()
        return self._say_if(images.push_all(self._folders), "images for pulls pushed")
