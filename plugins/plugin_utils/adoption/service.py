# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the Swarm service of a cache to variables. Pure functions."""

from __future__ import annotations

import re
import typing as t
from decimal import Decimal

from ...module_utils.common.redaction import HIDDEN
from ...module_utils.swarm.compose import BYTES, repository
from ...module_utils.swarm.live_cache import downstream_options
from ...module_utils.swarm.views import wanted_service
from ..settings.config import DEFAULT_VOLUME, backends, folder_of_layers
from ..settings.credentials import way_without
from ..settings.image import PRODUCTS, VERSIONS
from ..settings.structures import parsed
from .choice import main_port, metrics_port
from .draft import Draft, Live
from .extras import describe_service_extra, is_kept

_ON_A_LABEL = "node.labels."
_PLACED_BY = re.compile(r"node\.labels\.([A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?) *== *true")

Acceptable = t.Callable[[str, t.Any], list[str]]
"""What is wrong with a value of a variable, by its name."""


def product_of(live: Live) -> str:
    """The line of products, which decides the names of the CA's secret and of the node label, and the default image."""
    options = downstream_options(live["config"]["content"])
    cas = options.get("cas")
    files = {str(path).rpartition("/")[2] for path in cas} if isinstance(cas, list) else set()
    files |= set(live["view"].get("secrets", {}))
    labels = {constraint.partition("==")[0].strip() for constraint in live["constraints"]}
    running = repository(live["image"])
    documented = {(versions.product, versions.repository) for versions in VERSIONS}
    left = dict(PRODUCTS)
    for is_so in (
        lambda product: product.ca_secret in files,
        lambda product: _ON_A_LABEL + product.node_label in labels,
        lambda product: (product.name, running) in documented,
        lambda product: product.stack_name == live["stack"],
    ):
        left = {name: product for name, product in left.items() if is_so(product)} or left
    return next(iter(left))


def describe_software(draft: Draft, live: Live) -> None:
    """The line of products, and the image."""
    draft.set("product", product_of(live))
    draft.set(
        "image",
        live["image"],
        "As it runs. Without the variable, a deployment takes DTR's own version.",
    )


def describe_service(draft: Draft, live: Live, acceptable: Acceptable, beside: t.Sequence[str]) -> None:
    """Everything else of the service, which may have other caches beside it in its stack."""
    _describe_nodes(draft, live)
    _describe_port(draft, live)
    _describe_stack(draft, live, beside)
    _describe_environment(draft, live, acceptable)
    _describe_resources(draft, live)
    _describe_updates(draft, live)
    _describe_volume(draft, live)
    describe_service_extra(draft, live, acceptable)


def _describe_nodes(draft: Draft, live: Live) -> None:
    label = PRODUCTS[draft.values["product"]].node_label
    placed = [constraint for constraint in live["constraints"] if constraint.startswith(_ON_A_LABEL)]
    dedicated = live["nodes"] if placed else []
    nodes = list(dedicated or live["running_on"] or live["nodes"])
    shown = ", ".join(live["constraints"]) or "none"
    own = [match[1] for match in map(_PLACED_BY.fullmatch, live["constraints"]) if match]
    comment = [f"Its placement now: {shown}. A deployment gives these nodes the label {label}."]
    if any(constraint.partition("==")[0].strip() == _ON_A_LABEL + label for constraint in placed):
        comment = []
    elif len(own) == len(live["constraints"]) == 1:
        comment = []
        draft.set("node_label", own[0])
    if nodes:
        draft.set("nodes", nodes, *comment)
    else:
        draft.ask("nodes", "[worker-1]", f"No node of the Swarm meets its placement ({shown}), and no replica runs.")
    if live["replicas"] is None:
        draft.set("replicas", max(1, len(nodes)), "It runs one replica on each node that its placement allows.")
        draft.note(
            "its service runs in mode global, which Swarm cannot change: remove it right before the deployment, with "
            f"docker service rm {live['service']}"
        )
    elif live["replicas"] == 0:
        draft.ask("replicas", "1", "It is scaled to no replica. The number of nodes is the default.")
    else:
        draft.set("replicas", live["replicas"])


def _describe_port(draft: Draft, live: Live) -> None:
    port = main_port(live, draft.values["port"])
    draft.set("publish_mode", port["mode"] if port else "ingress")
    metrics = metrics_port(live)
    draft.set_unless_default("metrics_port", metrics)
    for other in live["ports"]:
        if other != port and other["published"] != metrics:
            draft.note(
                f"its service also publishes port {other['published']}, which no variable keeps: a deployment takes it "
                "away"
            )


def _describe_stack(draft: Draft, live: Live, beside: t.Sequence[str]) -> None:
    if live["stack"]:
        draft.set("stack_name", live["stack"])
    if beside:
        draft.note(
            f"stack {live['stack']} also has the cache {', '.join(beside)}, and dtr.cache keeps one cache in a stack. "
            "Let one of them keep the stack. For each other one, set dtr_cache_stack_name to a name of its own, and "
            f"remove its service right before its first deployment (here: docker service rm {live['service']}). Its "
            "accounts stay, and cannot pull in between"
        )
    if not live["stack"]:
        draft.note(
            f"service {live['service']} belongs to no stack; a deployment makes one, so remove the service before it "
            "(docker service rm), which ends its pulls"
        )


def _describe_environment(draft: Draft, live: Live, acceptable: Acceptable) -> None:
    kept = {}
    for key, value in live["environment"].items():
        if value == HIDDEN:
            draft.note(f"the environment variable {key} holds a credential and is not kept; {way_without(key)}")
        elif problems := acceptable("environment", {key: value}):
            draft.note(f"the environment variable {key} is not kept: {'; '.join(problems)}")
        else:
            kept[key] = value
    draft.set_unless_default("environment", kept)


def _describe_resources(draft: Draft, live: Live) -> None:
    resources = {}
    for part in ("limits", "reservations"):
        amounts = live[part]
        kept = {"cpus": _processors(amounts.get("cpus")), "memory": _memory(amounts.get("memory"))}
        if any(kept.values()):
            resources[part] = {key: value for key, value in kept.items() if value}
        if amounts.get("pids"):
            draft.note(f"its service limits processes to {amounts['pids']}, which no variable keeps")
        if amounts.get("generic"):
            draft.note(f"its service reserves {', '.join(amounts['generic'])}, which no variable keeps")
    draft.set_unless_default("resources", resources)


def _describe_updates(draft: Draft, live: Live) -> None:
    """What Docker does where nobody has chosen is left out: a failed update would pause, and end the pulls."""
    now = live["update_config"]
    default = parsed(draft.defaults["dtr_cache_update_config"])
    if now in (_update_view(default), _update_view({})) and draft.given("update_config") is None:
        return
    policy = {key: now[key] for key in ("parallelism", "delay", "failure_action", "monitor")}
    if now["max_failure_ratio"] != "0":
        policy["max_failure_ratio"] = float(now["max_failure_ratio"])
    if now["order"] != "stop-first":
        policy["order"] = now["order"]
    better = ", ".join(f"{key} {value}" for key, value in default.items())
    draft.set("update_config", policy, *([f"Without the variable, {better}."] if policy != default else []))


def _update_view(policy: t.Mapping[str, t.Any]) -> t.Any:
    definition = {"services": {"cache": {"image": "x", "deploy": {"update_config": policy}}}}
    return wanted_service("x", "cache", definition)["update_config"]


def _describe_volume(draft: Draft, live: Live) -> None:
    config = live["config"]["content"]
    is_of_use = backends(config) in ([], ["filesystem"])
    folder = folder_of_layers(config)
    volume: str | dict[str, t.Any] | None = None
    comment: list[str] = []
    for mount in live["mounts"]:
        manner = ", ".join(mount["manner"])
        if is_kept(mount):
            if manner:
                draft.note(f"the tmpfs at {mount['target']} has {manner}, which no variable keeps")
            continue
        if mount["target"].rstrip("/") != folder.rstrip("/") or not is_of_use:
            draft.note(f"the {mount['kind']} {mount['source']} at {mount['target']} is not kept: no variable mounts it")
            continue
        volume, comment = _volume(draft, live, mount)
        if manner:
            draft.note(
                f"the {mount['kind']} {mount['source']} at {mount['target']} is mounted so: {manner}. No variable "
                "keeps that, and a deployment mounts it without"
            )
    if volume is None:
        draft.set_unless_default("volume", None)
    else:
        draft.set("volume", volume, *comment)


def _volume(draft: Draft, live: Live, mount: t.Mapping[str, t.Any]) -> tuple[str | dict[str, t.Any] | None, list[str]]:
    source, options = mount["source"], dict(mount["options"])
    if mount["kind"] == "bind":
        return source, []
    if mount["kind"] != "volume" or not source:
        draft.note(f"the {mount['kind']} at {mount['target']} is not kept: it has no name")
        return None, []
    if HIDDEN in options.values():
        draft.note(
            f"the options of volume {source} hold a credential, which everybody who may inspect it reads; mount the "
            "storage on the nodes and set dtr_cache_volume to its path"
        )
        return None, []
    name = source.removeprefix(f"{live['stack']}_")
    driver = {"driver": mount["driver"]} if mount["driver"] not in ("", "local") else {}
    described = {**driver, **({"driver_opts": options} if options else {})}
    if described and name != DEFAULT_VOLUME:
        described = {"name": name, **described}
    kept = f"{live['stack']}_{name}"
    comment = [] if source == kept else [f"The layers are in volume {source} now; a deployment begins an empty {kept}."]
    return (described or name), comment


def _processors(amount: t.Any) -> str:
    if not amount:
        return ""
    text = f"{Decimal(str(amount)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _memory(amount: t.Any) -> str:
    if not amount:
        return ""
    sizes = sorted(((size, unit) for unit, size in BYTES.items()), reverse=True)
    size, unit = next((size, unit) for size, unit in sizes if amount % size == 0)
    return f"{amount // size}{unit.upper()}"
