# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Swarm service of the cache, and how its Swarm is reached."""

from __future__ import annotations

import re
import typing as t
from decimal import Decimal

from ...module_utils.common.failure import Failure
from ...module_utils.common.redaction import holds_credential
from ...module_utils.swarm.compose import byte_size, duration
from ...module_utils.swarm.views import carries_secret
from . import credentials, values
from .addresses import is_address, read_engine
from .config import DRAIN_TIMEOUT, at, normal, of_environment, together
from .image import Product
from .model import SWARM
from .reader import Reader
from .structures import entries, is_structure, parsed, parsed_texts

# Together with upstream.10.cert.pem and the mark of its content: the 64 letters that Swarm allows.
_STACK_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,29}"
_FORMER_STACK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
# What Swarm's constraints can have.
_NODE_LABEL = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_NODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
# Whoever reads it finds no other name.
_ENVIRONMENT = re.compile(r"[!-<>-~]+")
_MIB = 2**20
# With less the Engine ends it as it starts, or nobody gets an answer in time; Docker itself would take 6M and 0.01.
_OF_CACHE = "a cache can serve with"
_OF_DOCKER = "Docker takes"
_LIMITS: dict[str, values.Kind] = {
    "cpus": values.processors("0.1", _OF_CACHE),
    "memory": values.memory(32 * _MIB, _OF_CACHE),
}
_RESERVATIONS: dict[str, values.Kind] = {
    "cpus": values.processors("0.001", _OF_DOCKER),
    "memory": values.memory(4 * _MIB, _OF_DOCKER),
}
_UPDATE: dict[str, values.Kind] = {
    "parallelism": values.count,
    "delay": values.time,
    "failure_action": values.one_of("continue", "pause", "rollback"),
    "monitor": values.time,
    "max_failure_ratio": values.ratio,
    "order": values.one_of("start-first", "stop-first"),
}


def read_service(
    reader: Reader, product: Product, needs: t.Collection[str], metrics_port: int | None
) -> dict[str, t.Any]:
    nodes = read_nodes(reader, required=SWARM in needs)
    publish_mode = read_publish_mode(reader)
    replicas = _read_replicas(reader, nodes, publish_mode, metrics_port)
    update_config = reader.known("update_config", reader.mapping("update_config"), _UPDATE)
    if metrics_port and update_config.get("order") == "start-first" and nodes and replicas >= len(nodes):
        reader.problem(
            "metrics_port",
            f"with dtr_cache_update_config.order start-first a new replica needs a node whose port {metrics_port} is "
            f"free, and {replicas} replicas have all {len(nodes)} node(s)",
        )
    stack_name = read_stack_name(reader, product)
    return {
        "nodes": nodes,
        "publish_mode": publish_mode,
        "replicas": replicas,
        "stack_name": stack_name,
        "node_label": read_node_label(reader, product),
        "former_stack_names": read_former_stacks(reader, stack_name),
        "resources": _read_resources(reader),
        "update_config": update_config,
        "with_registry_auth": reader.switch("with_registry_auth"),
        "resolve_image": reader.choice("resolve_image", ("always", "changed", "never")),
    }


def read_manager(reader: Reader) -> dict[str, t.Any]:
    """How the Swarm is reached, and what is installed and waited for there."""
    bundle = reader.text("client_bundle")
    return {
        "engine": read_engine(reader),
        "client_bundle": reader.control_node.locate(bundle) if bundle else "",
        "install_requirements": reader.switch("install_requirements"),
        "requirements": tuple(reader.items("requirements")),
        "timeout": reader.whole("timeout", 1, 86400),
        "keep_versions": reader.whole("keep_versions", 0, 100),
    }


def read_stack_name(reader: Reader, product: Product) -> str:
    stack_name = values.matching(_STACK_NAME, "a stack's name: up to 30 letters, digits, - and _")
    return str(reader.value("stack_name", stack_name, product.stack_name))


def read_node_label(reader: Reader, product: Product) -> str:
    label = values.matching(_NODE_LABEL, "a node's label: up to 63 letters, digits, ., - and _")
    return str(reader.value("node_label", label, product.node_label))


def read_former_stacks(reader: Reader, stack_name: str) -> tuple[str, ...]:
    """Stacks that somebody made, perhaps with a longer name than this collection would give."""
    names = reader.items("former_stack_names")
    for name in names:
        if not _FORMER_STACK.fullmatch(name):
            reader.problem("former_stack_names", f"{values.quoted(name)} is not a stack's name")
        elif name == stack_name:
            reader.problem(
                "former_stack_names", f"{name} is the stack of dtr_cache_stack_name itself, which is updated in place"
            )
    return tuple(dict.fromkeys(names))


def read_publish_mode(reader: Reader) -> str:
    return reader.choice("publish_mode", ("ingress", "host"))


def read_nodes(reader: Reader, *, required: bool) -> tuple[str, ...]:
    meaning = "the host names of the Swarm nodes to dedicate to the cache"
    nodes = reader.items("nodes", meaning if required else "")
    for node in sorted({node for node in nodes if nodes.count(node) > 1}):
        reader.problem("nodes", f"{values.shown(node)} is named more than once")
    for node in nodes:
        if not _NODE.fullmatch(node):
            reader.problem("nodes", f"{values.quoted(node)} is not a node's host name; part several by commas")
    return tuple(nodes)


def _read_replicas(reader: Reader, nodes: t.Sequence[str], publish_mode: str, metrics_port: int | None) -> int:
    replicas = reader.whole("replicas", 1, 1000) or len(nodes)
    if (publish_mode == "host" or metrics_port) and nodes and replicas > len(nodes):
        reason = "dtr_cache_publish_mode host" if publish_mode == "host" else "dtr_cache_metrics_port"
        reader.problem(
            "replicas",
            f"{replicas} replicas cannot run on {len(nodes)} node(s): with {reason} each needs the "
            "port of a node for itself",
        )
    return replicas


def read_environment(reader: Reader) -> dict[str, str]:
    """Everybody who may inspect the service reads its environment, and so does the plan of each run."""
    environment: dict[str, str] = reader.checked(
        "environment", values.texts, reader.mapping("environment", parsed_texts), {}
    )
    for key, value in environment.items():
        if not _ENVIRONMENT.fullmatch(key):
            what = "a name of a variable must not be empty, nor have a = in it, a blank or a letter beyond ASCII"
            reader.problem("environment", what)
        reader.checked("environment", values.without_template, value, "", f"{values.shown(key)}: ")
    secret = [key for key, value in environment.items() if _holds_credential(key, value)]
    for key in secret:
        reader.problem(
            "environment",
            f"{values.shown(key)} holds a credential, which everybody who may inspect the service would read; "
            f"{credentials.way_without(key)}",
        )
    return {key: value for key, value in environment.items() if key not in secret}


def _holds_credential(key: str, value: str) -> bool:
    """Whether a variable of the environment holds a credential itself, and not the name of a file with one."""
    if key.endswith("_FILE") or value.startswith("/run/secrets/"):
        return credentials.holds_credential(("",), value)
    of_config = together({}, of_environment({key: value}))
    return credentials.holds_credential((key,), value) or credentials.carries_credentials(of_config)


def _read_resources(reader: Reader) -> dict[str, t.Any]:
    """What a service may use of its node, in the form that Docker takes: numbers as text."""
    kinds = {"limits": _LIMITS, "reservations": _RESERVATIONS}
    parts = {name: reader.part("resources", f"{name}.", amounts) for name, amounts in kinds.items()}
    read = reader.known("resources", reader.mapping("resources"), parts)
    most, least = read.get("limits", {}), read.get("reservations", {})
    for name, number in (("cpus", Decimal), ("memory", byte_size)):
        if name in most and name in least and number(least[name]) > number(most[name]):  # type: ignore[operator]
            reader.problem("resources", f"reservations.{name}: {least[name]} is more than limits.{name}, {most[name]}")
    return read


NAME = "service_extra"
# What the collection sets, and how it is set.
_OWN = {
    "image": "set dtr_cache_image or dtr_cache_version instead",
    **dict.fromkeys(("ports", "expose"), "set dtr_cache_port and dtr_cache_publish_mode instead"),
    **dict.fromkeys(("environment", "env_file"), "set dtr_cache_environment instead"),
    "volumes": "set dtr_cache_volume instead",
    **dict.fromkeys(("configs", "secrets"), "set dtr_cache_config_extra or dtr_cache_storage instead"),
    **dict.fromkeys(("entrypoint", "command", "restart"), "the cache starts as its documents say; leave it out"),
}
_OWN_OF_DEPLOY = {
    **dict.fromkeys(("replicas", "mode"), "set dtr_cache_replicas instead"),
    "placement": "set dtr_cache_nodes instead",
    "resources": "set dtr_cache_resources instead",
    "update_config": "set dtr_cache_update_config instead",
    "restart_policy": "the cache is started again whatever ended it; leave it out",
}


def read_service_extra(reader: Reader, config: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The keys in the form in which they stand in C(docker-stack.yml).

    Args:
        reader: The variables of the cache.
        config: What variables give of C(config.yml).
    """
    given = reader.mapping(NAME)
    if isinstance(given.get("deploy"), str):
        given["deploy"] = reader.checked(NAME, parsed, given["deploy"], {}, "deploy: ")
    if isinstance(given.get("deploy"), dict):
        given["deploy"] = _without(reader, given["deploy"], "deploy.", _OWN_OF_DEPLOY)
    check = {
        "test": _test,
        **dict.fromkeys(("interval", "timeout", "start_period"), values.time),
        "retries": values.count,
        "disable": values.switch,
    }
    kinds: dict[str, values.Kind] = {
        "logging": reader.part(NAME, "logging.", {"driver": values.line, "options": _texts}),
        **dict.fromkeys(("dns", "dns_search", "cap_add", "cap_drop"), values.items),
        "extra_hosts": _extra_hosts,
        "labels": _labels,
        "deploy": reader.part(NAME, "deploy.", {"labels": _labels}),
        "healthcheck": reader.part(NAME, "healthcheck.", check),
        "hostname": lambda value: values.without_template(values.line(value)),
        "sysctls": _texts,
        "ulimits": _ulimits,
        "init": values.switch,
        "stop_grace_period": values.time,
        "tmpfs": _folders,
    }
    read = reader.known(NAME, _without(reader, given, "", _OWN), kinds)
    if {"test", "disable"} <= {key for key, value in read.get("healthcheck", {}).items() if value}:
        reader.problem(NAME, "healthcheck: has a test and disable, and Docker takes only one of them")
    _check_grace_period(reader, read.get("stop_grace_period"), at(config, ("http", "draintimeout")) or DRAIN_TIMEOUT)
    return {key: value for key, value in read.items() if value not in ({}, [])}


def _without(
    reader: Reader, given: t.Mapping[str, t.Any], prefix: str, instead: t.Mapping[str, str]
) -> dict[str, t.Any]:
    for key in sorted(set(given) & set(instead)):
        reader.problem(NAME, f"{prefix}{key} cannot be set here: {instead[key]}")
    return {key: value for key, value in given.items() if key not in instead}


def _check_grace_period(reader: Reader, period: str | None, drain: t.Any) -> None:
    try:
        is_short = period and (duration(period) or 0) <= (duration(str(drain)) or 0)
    except Failure:
        return  # reported where it is set
    if is_short:
        reader.problem(
            NAME,
            f"stop_grace_period: {period} is not longer than http.draintimeout ({drain}), so the Engine would cut off "
            "requests that the cache still finishes",
        )


def _given(value: t.Any) -> t.Any:
    return parsed(value) if isinstance(value, str) and is_structure(value.strip()) else value


def _pairs(value: t.Any, separator: str) -> dict[str, str]:
    """The pairs of a mapping, or of a list of texts with a separator, in one order."""
    value = _given(value)
    if not isinstance(value, dict):
        parts = [item.partition(separator) for item in values.items(value)]
        value = {key.strip(): text.strip() for key, _separator, text in parts}
    return dict(sorted(values.texts(value).items()))


def _texts(value: t.Any) -> dict[str, str]:
    """A mapping of texts. Everybody who may inspect the service reads them."""
    found = _pairs(value, "=")
    for key, text in found.items():
        values.key_of_docker(key)
        if holds_credential((key,), text):
            raise values.invalid(
                f"{values.shown(key)} holds a credential, which everybody who may inspect the service would read; "
                "leave it out, or give that of a log driver to the Engines of the nodes (daemon.json)"
            )
    return found


def _labels(value: t.Any) -> dict[str, str]:
    found = _texts(value)
    for key in found:
        if key.startswith("com.docker.stack."):
            raise values.invalid(f"{key} belongs to Docker; leave it out")
    return found


def _extra_hosts(value: t.Any) -> list[str]:
    """A host may have several addresses, as entries of a list."""
    value = _given(value)
    if isinstance(value, dict):
        pairs = [[host, address] for host, address in values.texts(value).items()]
    else:
        pairs = [re.split("[:=]", item, maxsplit=1) for item in values.items(value)]
    found = []
    for host, *rest in pairs:
        address = "".join(rest).strip().strip("[]")
        if not host.strip() or not (is_address(address) or address == "host-gateway"):
            raise values.invalid(f"{values.quoted(host)} has no address; write HOST:ADDRESS, such as dtr:10.0.0.1")
        found.append(f"{host.strip()}:{address}")
    return sorted(found)


def _test(value: t.Any) -> list[str]:
    """A list; a text is a line for a shell."""
    value = _given(value)
    command = list(map(values.line, entries(value))) if isinstance(value, list) else ["CMD-SHELL", values.line(value)]
    # The Engine of a node crashes where the command is missing.
    if command[:1] != ["NONE"] and not (command[1:] and command[1].strip()):
        raise values.invalid("needs a command after CMD or CMD-SHELL; write disable: true for no check")
    if carries_secret(command) or any(holds_credential(("",), word) for word in command):
        raise values.invalid("holds a credential, which everybody who may inspect the service would read")
    return command


def _ulimits(value: t.Any) -> dict[str, dict[str, int]]:
    found = {}
    for name, given in sorted(values.mapping(_given(value)).items()):
        limits = given if isinstance(given, dict) else {"soft": given, "hard": given}
        if set(limits) != {"soft", "hard"}:
            raise values.invalid(f"{values.shown(name)} must be a number, or soft and hard")
        found[name] = {each: _limit(limits[each]) for each in ("soft", "hard")}
    return found


def _limit(value: t.Any) -> int:
    return -1 if values.scalar(value) == "-1" else int(values.count(value))


def _folders(value: t.Any) -> list[str]:
    found = values.items(value)
    for item in found:
        if not item.startswith("/") or ":" in item:
            raise values.invalid(f"{values.quoted(item)} is not a folder in the container, from the root on")
    return sorted({normal(item) for item in found})
