# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a cache that runs to the variables that describe it, and what a deployment with them would change.

Pure functions: what is written is read back by the one reading of the variables before anybody gets it.
"""

from __future__ import annotations

import datetime
import json
import re
import typing as t

from ...module_utils.common.failure import Failure
from ...module_utils.dtr.model import ContentCache
from ...module_utils.swarm.views import View, wanted_service
from ..deployment.definition import registry_config, stack_definition, swarm_objects
from ..settings.model import CACHE, SWARM, Settings
from ..settings.read import read_settings
from ..settings.reader import MISSING, PREFIX, ControlNode
from .choice import Wish
from .config import STORAGE, changed_keys, describe_config, describe_config_extra
from .document import document, vaulted_names
from .draft import Draft, Live, Vaulted
from .extras import describe_grace_period, own_labels
from .registration import Holders, describe_accounts, describe_registration
from .service import describe_service, describe_software

# What stands for a secret while the variables are read back.
_SECRET = "x" * 40
_CREDENTIALS = '{"type": "service_account"}'
# The files that the environment names are no part of what is written, and are not read here.
_OF_THE_ENVIRONMENT = {f"{PREFIX}registry_{name}": None for name in ("ca", "client_cert", "client_key")}
_NAMES = tuple(f"{PREFIX}{name}: " for name in ("name", "stack_name"))
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_NAME = 128
_PARTS = ("configs", "secrets")
_LABELS = ("labels", "service_labels")


class Adopted(t.NamedTuple):
    """What describes a cache.

    Args:
        text: The file.
        name: The cache's name in DTR.
        url: Its address.
        stack: Its stack.
        nodes: Its nodes.
        accounts: How many accounts pull from it.
        to_set: The variables that only the user knows and a deployment needs.
        vaulted: The user's variables that are to hold the secrets of C(config.yml).
        notes: What is not kept, or needs a decision.
        changes: What the first deployment changes.
    """

    text: str
    name: str
    url: str
    stack: str
    nodes: list[str]
    accounts: int
    to_set: list[str]
    vaulted: list[str]
    notes: list[str]
    changes: list[str]


class Place(t.NamedTuple):
    """Where a cache is described.

    Args:
        defaults: The vocabulary with its defaults.
        given: What the host has of it already.
        wish: What of that chooses the cache.
        registry_url: The DTR.
        others: The entries of DTR that lead to no cache of the host's Swarm.
        beside: The services of the other caches of its stack.
    """

    defaults: t.Mapping[str, t.Any]
    given: t.Mapping[str, t.Any]
    wish: Wish
    registry_url: str
    others: t.Sequence[ContentCache] = ()
    beside: t.Sequence[str] = ()


def adopt(live: Live, entries: t.Sequence[ContentCache], holders: Holders, place: Place) -> Adopted:
    """The variables of a cache, from what its Swarm and its DTR say.

    Args:
        live: The cache.
        entries: Its entries in DTR.
        holders: Who pulls from the caches of DTR.
        place: Where it is described.
    """
    draft = Draft(place.defaults, place.given)
    describe_registration(draft, live, entries, place.wish, place.registry_url, place.others)
    describe_software(draft, live)
    _describe_dtr(draft, place)
    describe_config(draft, live, place.registry_url)

    def acceptable(name: str, value: t.Any) -> list[str]:
        _settings, problems = _read(draft, {name: value})
        start = f"{PREFIX}{name}: "
        return [problem.removeprefix(start) for problem in problems if problem.startswith(start)]

    describe_service(draft, live, acceptable, place.beside)
    settings, _problems = _read(draft)
    if live["config"]["content"]:
        rendered = registry_config(settings)
        describe_config_extra(draft, live, rendered, settings.metrics_port)
    _ask_for_identity(draft)
    accounts = describe_accounts(draft, entries, holders)
    settings, _problems = _read(draft)
    describe_grace_period(draft, live, _wanted(settings)["stop_grace_period"])
    settings, problems = _read(draft)
    # A name changes nothing of the service and of config.yml.
    changes = _changes(live, settings) if all(map(_is_of_a_name, problems)) else []
    problems = [_with_way_on(problem, draft, settings) for problem in problems]
    vaulted = vaulted_names(draft.values)
    return Adopted(
        document(draft, _about(draft, live, place, problems, changes, vaulted)),
        settings.name,
        settings.url if settings.host else "",
        settings.stack_name,
        list(settings.nodes),
        accounts,
        _to_set(draft, place.given),
        vaulted,
        [*draft.notes, *problems],
        changes,
    )


def _describe_dtr(draft: Draft, place: Place) -> None:
    # In host_vars it would win over the group's, which moves all caches to another DTR.
    draft.know("registry_url", place.registry_url)
    draft.ask(
        "registry_username",
        "admin",
        "An administrator of the DTR and the password or access token, where neither group_vars nor the environment "
        "(DTR_USERNAME, DTR_PASSWORD) gives them.",
    )
    draft.ask("registry_password", '"{{ vault_dtr_cache_registry_password }}"')


def _ask_for_identity(draft: Draft) -> None:
    name = draft.values.get("host", "cache.example.org")
    draft.ask(
        "certificate",
        f"files/{name}.cert.pem",
        "To set: the certificate that the cache has now, or a new one, with its intermediates. Nobody can read the "
        "secrets in which the Swarm has it and its key.",
    )
    draft.ask("private_key", '"{{ vault_dtr_cache_private_key }}"')
    draft.ask(
        "ca_certificate", "files/cache-ca.pem", "The CA that signed it, unless the control node trusts the CA already."
    )


def _read(draft: Draft, more: t.Mapping[str, t.Any] | None = None) -> tuple[Settings, list[str]]:
    """The variables as a deployment reads them, but for what only the user knows."""
    values = {PREFIX + name: _filled(value) for name, value in {**draft.known, **draft.values, **(more or {})}.items()}
    known = {name: value for name, value in values.items() if name in draft.defaults}
    settings, problems = read_settings(
        known,
        defaults={**draft.defaults, **_OF_THE_ENVIRONMENT},
        needs=(CACHE, SWARM),
        control_node=ControlNode(_no_file, lambda path: path, lambda _path: MISSING, lambda _path: ""),
        now=datetime.datetime.now(datetime.timezone.utc),
    )
    asked = tuple(f"{PREFIX}{name}: is required" for name in draft.asked)
    return settings, [problem for problem in problems if not problem.startswith(asked)]


def _is_of_a_name(problem: str) -> bool:
    return problem.startswith(_NAMES)


def _with_way_on(problem: str, draft: Draft, settings: Settings) -> str:
    """A problem with what to set, where a name that somebody gave is none that a deployment gives."""
    if not _is_of_a_name(problem):
        return problem
    name = problem.partition(":")[0].removeprefix(PREFIX)
    former = [draft.values[name], *draft.values.get(f"former_{name}s", [])]
    new = settings.stack_name if name == "stack_name" else _NOT_IN_A_NAME.sub("-", str(draft.values[name])).strip("-._")
    what = "replaces the stack" if name == "stack_name" else "renames the cache in DTR, and its accounts stay"
    return (
        f"{problem}. Set it to another name{f' such as {new[:_LONGEST_NAME]}' if new else ''}, and "
        f"{PREFIX}former_{name}s to {json.dumps(former, ensure_ascii=False)}: a deployment then {what}"
    )


def _no_file(path: str) -> bytes:
    raise Failure("UNREADABLE_FILE", f"{path} is not read")


def _filled(value: t.Any) -> t.Any:
    """The value with something in the place of each secret."""
    if isinstance(value, Vaulted):
        return {STORAGE: "{}"}.get(value) or (_CREDENTIALS if value.endswith("credentials") else _SECRET)
    if isinstance(value, dict):
        return {key: _filled(item) for key, item in value.items()}
    return [_filled(item) for item in value] if isinstance(value, list) else value


def _changes(live: Live, settings: Settings) -> list[str]:
    """What of the service and of C(config.yml) is not as a deployment makes it."""
    before = {key: value for key, value in live["view"].items() if key != "image"}
    after = _wanted(settings, with_networks="networks" in before)
    changes = []
    for key in sorted({*before, *after} - {"image", "environment", "mounts"}):
        old, new = before.get(key), after.get(key)
        if key in _PARTS:
            old, new = _without_names(old or {}), _without_names(new or {})
        elif key in _LABELS:
            old, new = own_labels(old or {}), new or {}
        if old != new:
            changes.append(f"service: {key}: {_difference(old, new)}")
    keys = changed_keys(live, registry_config(settings))
    return [*changes, *([f"config.yml: {', '.join(keys)}"] if keys else [])]


def _wanted(settings: Settings, *, with_networks: bool = False) -> View:
    """The service as a deployment makes it."""
    definition = stack_definition(settings, swarm_objects(settings, "DTR's CA"))
    view = wanted_service(settings.stack_name, "cache", definition)
    return {**view, **({"networks": [f"{settings.stack_name}_default"]} if with_networks else {})}


def _without_names(files: t.Mapping[str, str]) -> dict[str, str]:
    """The configs or secrets by their places, with their owners and modes; their names follow their content."""
    return {place: shown.partition(" ")[2].strip("()") or "mounted" for place, shown in files.items()}


def _difference(old: t.Any, new: t.Any) -> str:
    if isinstance(old, dict) or isinstance(new, dict):
        old, new = old or {}, new or {}
        keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
        return ", ".join(f"{key} {_shown(old.get(key))} -> {_shown(new.get(key))}" for key in keys)
    return f"{_shown(old)} -> {_shown(new)}"


def _shown(value: t.Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def _to_set(draft: Draft, given: t.Mapping[str, t.Any]) -> list[str]:
    """What a deployment needs and nobody has set yet."""
    needed = ("host", "nodes", "upstream_cas", "certificate", "private_key")
    return [
        f"{PREFIX}{name}"
        for name in draft.ordered()
        if name in needed and name in draft.asked and given.get(PREFIX + name) in (None, "", [])
    ]


def _about(
    draft: Draft,
    live: Live,
    place: Place,
    problems: t.Sequence[str],
    changes: t.Sequence[str],
    vaulted: t.Sequence[str],
) -> list[str]:
    """What stands at the top of the file."""
    where = f"stack {live['stack']}" if live["stack"] else "no stack"
    lines = [
        f"The content cache of {place.wish.inventory_host} as it runs: service {live['service']} of {where}.",
        "Written by playbook dtr.cache.adopt. Set what is missing, then see what a deployment would change:",
        f"  ansible-playbook -i INVENTORY dtr.cache.deploy --limit {place.wish.inventory_host} --check --diff",
    ]
    lists = (
        ("Put these secrets of config.yml into a vault:", vaulted),
        ("A deployment refuses, until it is decided:", problems),
        ("Not kept, or to be decided:", draft.notes),
        ("The first deployment changes, besides the names and labels of configs and secrets:", changes),
    )
    for heading, items in lists:
        if items:
            lines += ["", heading, *(f"- {item}" for item in items)]
    if not changes and not problems and live["config"]["content"]:
        lines += ["", "A deployment changes nothing else of the service and of config.yml."]
    return lines
