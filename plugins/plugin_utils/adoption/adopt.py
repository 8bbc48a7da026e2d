# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a running cache to the file of its variables, and to what a deployment with them would change.

The variables are read back as a deployment reads them, and what they make is compared with what runs. So everything
that no variable keeps is found by its path, without a rule for each key. Pure functions.
"""

from __future__ import annotations

import json
import re
import typing as t

from ...module_utils.common.redaction import blanked
from ...module_utils.dtr.model import ContentCache
from ...module_utils.swarm.views import OTHER_SETTINGS, View, wanted_service
from ..deployment.definition import registry_config, stack_definition, swarm_objects
from ..settings.model import Settings
from ..settings.reader import PREFIX
from .describe import (
    Accounts,
    Context,
    describe_accounts,
    describe_config,
    describe_config_extra,
    describe_grace_period,
    describe_registration,
    describe_service,
    describe_software,
    leaves,
    own_labels,
)
from .find import Live
from .host_vars import Draft

_NAMES = tuple(f"{PREFIX}{name}: " for name in ("name", "stack_name"))
_LONGEST_NAME = 128
# Variables without which there is no deployment.
_NEEDED = ("host", "nodes", "upstream_cas", "certificate", "private_key")
# Parts of the view whose differences are named in other words, or are no loss.
_NO_LOSS = ("configs", "secrets", "environment", "replicas", "constraints", "labels", "service_labels")


class Adoption(t.NamedTuple):
    """A described cache.

    Args:
        text: The file.
        name: The cache's name in DTR.
        url: Its address.
        stack: Its stack.
        nodes: Its nodes.
        accounts: The number of accounts that pull from it.
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


def adopt(live: Live, entries: t.Sequence[ContentCache], accounts: Accounts, context: Context) -> Adoption:
    """Describe a cache.

    Args:
        live: The cache.
        entries: Its entries in DTR, the one that keeps its name first.
        accounts: The accounts that pull from the caches of DTR.
        context: What is around it.
    """
    draft = Draft(context.defaults, context.given)
    describe_registration(draft, live, entries, context)
    describe_software(draft, live)
    # In host_vars it would override that of the group, which moves all caches to another DTR.
    draft.known["registry_url"] = context.registry_url
    describe_config(draft, live, context.registry_url)
    describe_service(draft, live, context.beside)
    settings, _problems = draft.read()
    if live["config"]["content"]:
        describe_config_extra(draft, live, registry_config(settings), settings.metrics_port)
    _ask_for_secrets(draft)
    number = describe_accounts(draft, entries, accounts)
    settings, _problems = draft.read()
    describe_grace_period(draft, live, _view(settings, live)["stop_grace_period"])
    settings, problems = draft.read()
    # A wrong name changes nothing else.
    changes = _compare(draft, live, settings) if all(problem.startswith(_NAMES) for problem in problems) else []
    problems = [_with_way_on(problem, draft, settings) for problem in problems]
    return Adoption(
        draft.text(_about(draft, live, context, problems, changes)),
        settings.name,
        settings.url if settings.host else "",
        settings.stack_name,
        list(settings.nodes),
        number,
        [
            f"{PREFIX}{name}"
            for name in draft.names()
            if name in _NEEDED and name in draft.asked and draft.given.get(name) in (None, "", [])
        ],
        draft.vault_variables(),
        [*draft.notes, *problems],
        changes,
    )


def _ask_for_secrets(draft: Draft) -> None:
    draft.ask(
        "registry_username",
        "admin",
        "An administrator of the DTR and the password or access token, where neither group_vars nor the environment "
        "(DTR_USERNAME, DTR_PASSWORD) gives them.",
    )
    draft.ask("registry_password", '"{{ vault_dtr_cache_registry_password }}"')
    draft.ask(
        "certificate",
        f"files/{draft.values.get('host', 'cache.example.org')}.cert.pem",
        "To set: the certificate that the cache has now, or a new one, with its intermediates. Nobody can read the "
        "secrets in which the Swarm has it and its key.",
    )
    draft.ask("private_key", '"{{ vault_dtr_cache_private_key }}"')
    draft.ask(
        "ca_certificate", "files/cache-ca.pem", "The CA that signed it, unless the control node trusts the CA already."
    )


def _with_way_on(problem: str, draft: Draft, settings: Settings) -> str:
    """Return a problem with what to set where the cache or its stack has a name that no deployment gives."""
    if not problem.startswith(_NAMES):
        return problem
    name = problem.partition(":")[0].removeprefix(PREFIX)
    former = [draft.values[name], *draft.values.get(f"former_{name}s", [])]
    if name == "stack_name":
        new, what = settings.stack_name, "replaces the stack"
    else:
        new = re.sub(r"[^A-Za-z0-9._-]+", "-", str(draft.values[name])).strip("-._")
        what = "renames the cache in DTR, and its accounts stay"
    return (
        f"{problem}. Set it to another name{f' such as {new[:_LONGEST_NAME]}' if new else ''}, and "
        f"{PREFIX}former_{name}s to {json.dumps(former, ensure_ascii=False)}: a deployment then {what}"
    )


def _compare(draft: Draft, live: Live, settings: Settings) -> list[str]:
    """Return what a deployment changes, and note what it takes away because no variable keeps it."""
    before, after = _live_view(live), _view(settings, live)
    changes = []
    for key in sorted({*before, *after} - {"image", "environment"}):
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        changes.append(f"service: {key}: {_difference(old, new)}")
        for path, value in _lost(key, old, new) if key not in _NO_LOSS else ():
            draft.note(
                f"{path} {value} of its service is not kept: no variable sets it, and a deployment takes it away"
            )
    keys = _changed_keys(live, registry_config(settings))
    return [*changes, *([f"config.yml: {', '.join(keys)}"] if keys else [])]


def _live_view(live: Live) -> View:
    """Return the service as it runs, without names that follow a content and without labels of the platform."""
    view = {**live["view"], "mounts": sorted(map(_mount, live["mounts"]))}
    for kind in ("configs", "secrets"):
        view[kind] = _without_names(view.get(kind, {}))
    for kind in ("labels", "service_labels"):
        view[kind] = own_labels(view.get(kind, {}))
    return {key: value for key, value in view.items() if value not in (None, [], {}, "")}


def _view(settings: Settings, live: Live) -> View:
    """Return the service as a deployment makes it, in the same form."""
    definition = stack_definition(settings, swarm_objects(settings, "DTR's CA"))
    view = wanted_service(settings.stack_name, "cache", definition)
    if "networks" in live["view"]:
        view["networks"] = [f"{settings.stack_name}_default"]
    return {**view, **{kind: _without_names(view[kind]) for kind in ("configs", "secrets") if kind in view}}


def _without_names(files: t.Mapping[str, str]) -> dict[str, str]:
    """Return configs or secrets by their places, with owner and mode."""
    return {place: shown.partition(" ")[2].strip("()") or "mounted" for place, shown in files.items()}


def _mount(mount: t.Mapping[str, t.Any]) -> str:
    """Return a mount as the view of a service has it; credentials in its options are masked."""
    details = [*mount["manner"], *([f"driver {mount['driver']}"] if mount["driver"] not in ("", "local") else [])]
    details += [f"{key}={value}" for key, value in sorted(mount["options"].items())]
    return f"{mount['kind']} {mount['source']} at {mount['target']}" + (f" ({','.join(details)})" if details else "")


def _lost(key: str, old: t.Any, new: t.Any) -> t.Iterator[tuple[str, str]]:
    """Yield the parts of a value that a deployment takes away, with their paths."""
    if isinstance(old, dict):
        for name, value in old.items():
            if name not in (new or {}):
                yield (name if key == OTHER_SETTINGS else f"{key}.{name}"), _shown(value)
    elif isinstance(old, list):
        # A port is the same one in another mode.
        gone = [
            item for item in old if not (new and item.partition(":")[0] in {each.partition(":")[0] for each in new})
        ]
        if gone:
            yield key, ", ".join(gone)
    elif new is None:
        yield key, _shown(old)


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


def _changed_keys(live: Live, rendered: t.Mapping[str, t.Any]) -> list[str]:
    """Return the keys of C(config.yml) that a deployment adds, changes or leaves out. Secrets are not compared."""
    if not live["config"]["content"]:
        return []
    before, after = dict(leaves(live["config"]["content"])), dict(leaves(blanked(dict(rendered))))
    keys = [path for path in {**before, **after} if before.get(path) != after.get(path)]
    if ("http", "secret") in before and not live["own"]:
        keys.append(("http", "secret"))
    return sorted({".".join(path) for path in keys})


def _about(
    draft: Draft, live: Live, context: Context, problems: t.Sequence[str], changes: t.Sequence[str]
) -> list[str]:
    """Return the sentences at the top of the file."""
    where = f"stack {live['stack']}" if live["stack"] else "no stack"
    host = context.hints.inventory_host
    lines = [
        f"The content cache of {host} as it runs: service {live['service']} of {where}.",
        "Written by playbook dtr.cache.adopt. Set what is missing, then see what a deployment would change:",
        f"  ansible-playbook -i INVENTORY dtr.cache.deploy --limit {host} --check --diff",
    ]
    for heading, items in (
        ("Put these secrets of config.yml into a vault:", draft.vault_variables()),
        ("A deployment refuses, until it is decided:", problems),
        ("Not kept, or to be decided:", draft.notes),
        ("The first deployment changes, besides the names and labels of configs and secrets:", changes),
    ):
        if items:
            lines += ["", heading, *(f"- {item}" for item in items)]
    if not changes and not problems and live["config"]["content"]:
        lines += ["", "A deployment changes nothing else of the service and of config.yml."]
    return lines
