# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployment, or a removal, would change in a live Swarm, from options to the result."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import ipaddress
import json
import posixpath
import typing as t

from ..common.failure import Failure
from ..common.redaction import comparable, redacted
from ..common.urls import without_secrets
from .engine import Engine
from .former import move, with_former
from .live_cache import (
    SERVICE,
    cache_service,
    config_file,
    downstream_options,
    is_content_cache,
    live_cache,
    parsed_config,
    with_service,
)
from .model import Moment, Raw, Swarm
from .objects import CERTIFICATES_LABEL, CONFIG_FILE, CONTENT_LABEL, NAME_LABEL, REGISTRY_LABEL, URL_LABEL
from .plan import Plan, WantedStack, plan, plan_removal
from .prerequisites import WantedService, preflight_problems
from .trial import (
    apart_from_trial,
    empties_cache,
    exchanges_replica,
    is_taken,
    removal_steps,
    sources_of,
    trial_definition,
    trial_stack,
)
from .verdict import CONVERGED, judge, nodes_that_meet, published_ports, running_services, runs, stalled_services
from .views import external_names, files, mounts, ports

OBJECTS = ("config", "secret")


def prevented_by(engine: Engine, options: t.Mapping[str, t.Any], warn: t.Callable[[str], None]) -> list[str]:
    """What the option C(preflight) asks and finds wrong, as sentences. The Docker SDK need not be there."""
    if not options["preflight"]:
        return []
    service = _declared(options)
    deploy = service.get("deploy") or {}
    wanted = WantedService(
        **options["preflight"],
        stack_name=options["name"],
        image=service.get("image") or "",
        replicas=deploy.get("replicas") or 1,
        reservations=(deploy.get("resources") or {}).get("reservations") or {},
        former_stacks=options["former_stacks"],
        volume_driver=next(map(_driver_of, (options["definition"].get("volumes") or {}).values()), ""),
    )
    try:
        return preflight_problems(engine, wanted, warn)
    except Failure as failure:
        return [f"the Swarm cannot be read: {failure.as_result()['msg']}"]


def _driver_of(volume: t.Mapping[str, t.Any] | None) -> str:
    return str((volume or {}).get("driver") or "")


def planned(
    engine: Engine,
    options: t.Mapping[str, t.Any],
    warn: t.Callable[[str], None],
    *,
    check_mode: bool,
    diff: bool = False,
) -> dict[str, t.Any]:
    """The plan for the stack that the options describe, and what its services do now.

    Args:
        engine: The manager's Engine.
        options: The module's options.
        warn: Takes a sentence about what the steps do to what nobody named.
        check_mode: Whether nothing is going to be changed.
        diff: Whether somebody wants to see what changes in the files of the services.

    Raises:
        Failure: The Swarm cannot be read, or there is no plan for what is wanted.
    """
    info = engine.require_manager()
    make_plan = plan if options["state"] == "present" else plan_removal
    stack = options["name"]
    moment = engine.observe(stack)
    read = engine.read_swarm(stack, [*options["former_stacks"], trial_stack(stack)])
    swarm, left_trial = apart_from_trial(dataclasses.replace(read, tasks=moment.tasks), stack)
    wanted = _wanted(options, swarm)
    live = {
        "service": wanted.service,
        "services": running_services(moment),
        "published_ports": published_ports(moment, wanted.service),
        "node_addresses": _node_addresses(moment),
    }
    try:
        made = with_former(make_plan(swarm, wanted), swarm, wanted)
    except Failure as failure:
        failure.result.update(live)
        raise
    declared = wanted.definition.get("services") or {}
    exchanges = wanted.service in declared and exchanges_replica(made, swarm, moment, wanted)
    made.steps.extend(removal_steps(left_trial, stack))
    tried = exchanges and not is_taken(read, stack)
    if exchanges and not tried:
        warn(f"What is planned is not tried first, as stack {trial_stack(stack)} is another one.")
    for sentence in _notes(made, moment, wanted):
        warn(sentence)
    judgement = judge(moment, definition=wanted.definition)
    return {
        "caches": _touched(made, swarm, wanted, removes=options["state"] == "absent"),
        "changed": check_mode and bool(made.steps),
        "steps": made.steps,
        "definition": wanted.definition,
        "trial": {
            "stack": trial_stack(stack),
            "is_left_over": bool(left_trial.services),
            "definition": trial_definition(made, swarm, wanted) if tried else {},
        },
        "empties_cache": exchanges and empties_cache(swarm, wanted),
        "left_volumes": _left_volumes(made, swarm, wanted),
        "manager": str(info.get("Name") or ""),
        "move": _moved(swarm, wanted) if options["state"] == "present" else {},
        "kept_images": made.kept_images,
        "settled": judgement.verdict == CONVERGED,
        "reason": judgement.reason,
        "fix": judgement.fix,
        "stalled": stalled_services(moment),
        "known_tasks": {task["ID"]: runs(task, moment) for task in moment.tasks},
        "replaced_config": replaced_config(swarm, wanted.service, wanted.definition) if wanted.definition else None,
        "swarm": ((info["Swarm"].get("Cluster") or {}).get("ID")) or "",
        **live,
        "diff": {**made.diff(), **({"files": _files(swarm, wanted, options)} if diff else {})},
    }


def planned_for_each(engine: Engine, options: t.Mapping[str, t.Any], *, check_mode: bool) -> dict[str, t.Any]:
    """The plan for each of the option C(stacks), or why there is none, with the warnings of each."""
    # Where the Engine gives no answer, it is not asked again for each of them.
    engine.require_manager()
    plans = [_planned_or_not(engine, {**options, **stack}, check_mode=check_mode) for stack in options["stacks"]]
    return {"changed": any(each["changed"] for each in plans), "plans": plans}


def _planned_or_not(engine: Engine, options: t.Mapping[str, t.Any], *, check_mode: bool) -> dict[str, t.Any]:
    warnings: list[str] = []
    try:
        result = planned(engine, options, warnings.append, check_mode=check_mode)
    except Failure as failure:
        result = {"changed": False, "failed": True, **failure.as_result()}
    return {**result, "warnings": warnings} if warnings else result


def _touched(made: Plan, swarm: Swarm, wanted: WantedStack, *, removes: bool) -> list[dict[str, str]]:
    """Return whose the caches are that a deployment updates, or a removal removes."""
    removed = {step["name"] for step in made.steps if (step["kind"], step["action"]) == ("service", "remove")}
    touched = removed if removes else {wanted.full_name}
    return [identity(each, swarm) for each in swarm.services.values() if each["Spec"]["Name"] in touched]


def _files(swarm: Swarm, wanted: WantedStack, options: t.Mapping[str, t.Any]) -> list[dict[str, str]]:
    objects = {
        given["name"]: WantedObject(given["labels"], options["config"] if given["file"] == CONFIG_FILE else None)
        for given in options["objects"]
    }
    return [each._asdict() for each in file_diffs(swarm, wanted.definition, objects)]


def _moved(swarm: Swarm, wanted: WantedStack) -> dict[str, t.Any]:
    found = move(swarm, wanted)
    return found._asdict() if found else {}


def _notes(made: Plan, moment: Moment, wanted: WantedStack) -> t.Iterator[str]:
    """What an operator should read before it is done."""
    for service in made.taken_over:
        removed = [step["name"] for step in made.steps if step["action"] == "remove" and step["kind"] in OBJECTS]
        yield (
            f"Service {service} was not deployed by dtr.cache: it is taken over and updated in place. Its own configs "
            "and secrets are removed as soon as Swarm cannot roll back to them"
            + (f"; now: {', '.join(removed)}." if removed else ".")
        )
    for volume in made.kept_volumes:
        yield (
            f"dtr_cache_volume: a node that has volume {volume} already keeps its driver and options. For other ones, "
            "set another name there (name); the layers are then fetched again. The old one can be removed on each node "
            f"when no ended container has it any more: docker container prune; docker volume rm {volume}"
        )
    if made.left:
        yield (
            f"Of the cache's stack only what belongs to the cache alone is removed. No part of it, and left as "
            f"{'it is' if len(made.left) == 1 else 'they are'}: {', '.join(made.left)}."
        )
    running = {node for row in running_services(moment) if row["name"] == wanted.service for node in row["nodes"]}
    for node in dict.fromkeys(made.unlabelled):
        ends = ", and the replica of the cache there ends" if node in running else ""
        yield (
            f"Node {node} has the label of the cache's nodes, and dtr_cache_nodes does not name it: a deployment takes "
            f"the label away{ends}. To keep the node, name it in dtr_cache_nodes."
        )


def _left_volumes(made: Plan, swarm: Swarm, wanted: WantedStack) -> list[dict[str, t.Any]]:
    """Where the layers of services that go stay: Swarm removes no volume of a node."""
    removed = {step["name"] for step in made.steps if (step["kind"], step["action"]) == ("service", "remove")}
    services = [*swarm.services.values(), *(each for old in swarm.former.values() for each in old.services.values())]
    left: dict[str, set[str]] = {}
    for task in (each["Spec"]["TaskTemplate"] for each in services if each["Spec"]["Name"] in removed):
        nodes = nodes_that_meet((task.get("Placement") or {}).get("Constraints") or [], swarm.nodes.values())
        for mount in task["ContainerSpec"].get("Mounts") or ():
            if mount.get("Type") == "volume" and mount.get("Source"):
                left.setdefault(mount["Source"], set()).update(each["Description"]["Hostname"] for each in nodes)
    declared = (wanted.definition.get("services") or {}).values()
    kept = {mount.source for service in declared for mount in mounts(wanted.name, service, wanted.definition)}
    # One that another service has as well is not left.
    kept |= sources_of(swarm.other_services)
    return [{"name": name, "nodes": sorted(nodes)} for name, nodes in sorted(left.items()) if name not in kept]


def _node_addresses(moment: Moment) -> dict[str, list[str]]:
    """The addresses at which the nodes of the Swarm know each other; a manager may call its own address 0.0.0.0."""
    found: dict[str, set[str]] = {}
    for node in moment.nodes.values():
        manager = str((node.get("ManagerStatus") or {}).get("Addr") or "").rpartition(":")[0].strip("[]")
        addresses = filter(_is_somewhere, (str((node.get("Status") or {}).get("Addr") or ""), manager))
        found.setdefault(str(node["Description"]["Hostname"]), set()).update(addresses)
    return {name: sorted(addresses) for name, addresses in sorted(found.items())}


def _is_somewhere(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not (parsed.is_unspecified or parsed.is_loopback)


def _wanted(options: t.Mapping[str, t.Any], swarm: Swarm) -> WantedStack:
    given = {field.name: options[field.name] for field in dataclasses.fields(WantedStack) if field.name in options}
    given.update({kind: external_names(options["definition"], kind) for kind in ("configs", "secrets")})
    declared = _declared(options)
    given["service"] = cache_service(
        options["name"],
        swarm.services,
        swarm.configs,
        str(declared.get("image") or ""),
        next((port.published for port in ports(declared)), options.get("port", 0)),
    )
    given["definition"] = with_service(given["definition"], given["service"])
    return WantedStack(**given)


def _declared(options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the service of the cache as the definition declares it."""
    return t.cast("dict[str, t.Any]", (options["definition"].get("services") or {}).get(SERVICE) or {})


yaml: t.Any
try:
    import yaml
except ImportError:  # only what is shown needs it
    yaml = None

UNKNOWN = "not known: Docker does not give the content of a secret\n"
UNREADABLE = "not shown: this is no YAML\n"
WITHOUT_YAML = "not shown: Python on this manager has no PyYAML\n"
SAME = "# What differs is secret.\n"
_CERTIFICATE = ("subject", "issuer", "not_before", "not_after", "fingerprint")


class WantedObject(t.NamedTuple):
    """A config or secret of a deployment; C(data) only where it is to be compared."""

    labels: t.Mapping[str, str]
    data: str | None = None


class FileDiff(t.NamedTuple):
    """A file of a service whose content changes; a name is empty where there is no such file."""

    file: str
    before_name: str
    after_name: str
    before: str
    after: str


def file_diffs(
    swarm: Swarm, definition: t.Mapping[str, t.Any], objects: t.Mapping[str, WantedObject]
) -> list[FileDiff]:
    """The files of a stack's services that are to have another content, as far as something can be shown of them.

    Args:
        swarm: What there is.
        definition: The stack's definition.
        objects: The wanted configs and secrets, by name.
    """
    found = []
    for name, service in (definition.get("services") or {}).items():
        live = swarm.services.get(name)
        before = _live_names(live["Spec"]) if live else {}
        for file, after_name in sorted(_wanted_names(service, definition).items()):
            before_name = before.get(file, "")
            if live and file == CONFIG_FILE and not before_name:
                # By hand it may be called anything.
                before_name = config_file(live, swarm).name
            wanted = objects.get(after_name)
            if wanted and before_name != after_name:
                texts = _texts(file, _object(swarm, before_name), wanted)
                found += [FileDiff(file, before_name, after_name, *texts)] if texts else []
    return found


def _wanted_names(service: Raw, definition: Raw) -> dict[str, str]:
    kinds = (files(service, definition, kind) for kind in ("configs", "secrets"))
    return {posixpath.basename(place): name for kind in kinds for place, name in kind.items()}


def _live_names(spec: Raw) -> dict[str, str]:
    container = spec["TaskTemplate"]["ContainerSpec"]
    names = {}
    for kind, name in (("Configs", "ConfigName"), ("Secrets", "SecretName")):
        for item in container.get(kind) or []:
            names[posixpath.basename((item.get("File") or {}).get("Name") or "")] = item[name]
    return names


def _object(swarm: Swarm, name: str) -> Raw | None:
    return swarm.configs.get(name) or swarm.secrets.get(name)


def _texts(file: str, live: Raw | None, wanted: WantedObject) -> tuple[str, str] | None:
    if CERTIFICATES_LABEL in wanted.labels:
        return _certificates_before(live), _certificates(wanted.labels)
    if file == CONFIG_FILE and wanted.data is not None:
        return _config_texts(live, wanted.data)
    return None


def _certificates_before(live: Raw | None) -> str:
    if live is None:
        return ""
    return _certificates(live["Spec"].get("Labels") or {}) or UNKNOWN


def _certificates(labels: t.Mapping[str, str]) -> str:
    """What certificates say, one line a fact; empty where the labels do not hold it."""
    try:
        described = json.loads(labels.get(CERTIFICATES_LABEL, "[]"))
        certificates = [[(name, redacted(str(each[name]))) for name in _CERTIFICATE] for each in described]
    except (ValueError, TypeError, KeyError):
        return ""
    return "\n".join("".join(f"{name}: {value}\n" for name, value in each) for each in certificates)


def _config_texts(live: Raw | None, wanted_text: str) -> tuple[str, str]:
    if yaml is None:
        return WITHOUT_YAML, ""
    wanted = _parsed(wanted_text)
    if live is None:
        return "", _dumped(comparable(wanted))
    labels = live["Spec"].get("Labels") or {}
    if live["Spec"].get("Data"):
        text = _decoded(live["Spec"]["Data"])
    elif CONTENT_LABEL in labels:
        # Its credentials are no longer there, so there is nothing to compare those that are wanted with.
        before, after = comparable(_parsed(labels[CONTENT_LABEL])), comparable(wanted)
        return _pair(before, after)
    else:
        return UNKNOWN, _dumped(comparable(wanted))
    current = _parsed(text)
    if not isinstance(current, dict):
        return UNREADABLE, _dumped(comparable(wanted))
    return _pair(comparable(current), comparable(wanted, current))


def _pair(before: t.Any, after: t.Any) -> tuple[str, str]:
    texts = _dumped(_in_order_of(after, before)), _dumped(after)
    return texts if texts[0] != texts[1] else (texts[0], texts[1] + SAME)


def _in_order_of(model: t.Any, value: t.Any) -> t.Any:
    """The value with its keys in the order of the model's, so that only differences differ."""
    if not isinstance(model, dict) or not isinstance(value, dict):
        return value
    order = [*(key for key in model if key in value), *(key for key in value if key not in model)]
    return {key: _in_order_of(model.get(key), value[key]) for key in order}


def _parsed(text: str) -> t.Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def _decoded(data: str) -> str:
    try:
        return base64.b64decode(data).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _dumped(value: t.Any) -> str:
    return str(yaml.safe_dump(value, sort_keys=False, default_flow_style=False, width=160))


def replaced_config(swarm: Swarm, service: str, definition: t.Mapping[str, t.Any]) -> dict[str, t.Any] | None:
    """What the live C(config.yml) says of DTR: by its label C(registry), and the C(upstreams) that it pulls from.

    It may be called anything, and be that of a stack which this one replaces. C(None) where there is none, or it stays.
    Docker gives no content of a secret, so then only the label is known.
    """
    live = swarm.services.get(service) or _former_cache(swarm)
    name = config_file(live, swarm).name if live else ""
    wanted = {each for kind in ("configs", "secrets") for each in external_names(definition, kind)}
    found = swarm.configs.get(name) or swarm.secrets.get(name)
    if not found or name in wanted:
        return None
    labels = found["Spec"].get("Labels") or {}
    return {"registry": labels.get(REGISTRY_LABEL) or "", "upstreams": _upstreams(found["Spec"].get("Data") or "")}


def identity(service: Raw, swarm: Swarm) -> dict[str, str]:
    """Return what tells whose cache a service is: C(http.host) and the labels of its C(config.yml)."""
    name = config_file(service, swarm).name
    found: Raw = swarm.configs.get(name) or swarm.secrets.get(name) or {}
    labels = (found.get("Spec") or {}).get("Labels") or {}
    return {
        "service": str(service["Spec"]["Name"]),
        "url": without_secrets(live_cache(service, swarm.configs).url) or labels.get(URL_LABEL) or "",
        "name": labels.get(NAME_LABEL) or "",
        "registry": labels.get(REGISTRY_LABEL) or "",
    }


def _former_cache(swarm: Swarm) -> Raw | None:
    services = (service for former in swarm.former.values() for service in former.services.values())
    return next((service for service in services if is_content_cache(service, swarm.configs)), None)


def _upstreams(data: str) -> list[str]:
    found = downstream_options(parsed_config(data)).get("upstreams")
    return [without_secrets(each) for each in found if isinstance(each, str)] if isinstance(found, list) else []
