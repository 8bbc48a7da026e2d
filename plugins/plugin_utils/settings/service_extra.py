# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of the compose service that no variable of their own sets: C(dtr_cache_service_extra).

Docker judges their values. The keys are those that a plan compares, so that none is accepted and then forgotten.
"""

from __future__ import annotations

import typing as t

from ...module_utils.common.failure import Failure
from ...module_utils.common.redaction import holds_credential
from ...module_utils.swarm.compose import duration
from ...module_utils.swarm.masking import carries_secret
from . import values
from .config import DRAIN_TIMEOUT, at
from .reader import Reader
from .structures import entries, is_structure, parsed
from .volume import normal

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
    return [f"{host}:{address.strip('[]')}" for host, address in _pairs(value, ":").items()]


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
