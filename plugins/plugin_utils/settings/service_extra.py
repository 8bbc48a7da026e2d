# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of the compose service that no variable of their own sets: C(dtr_cache_service_extra).

Each has one form in the end, so that spellings of the same are the same deployment.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ...module_utils.common.credentials import holds_credential
from ...module_utils.common.failure import Failure
from ...module_utils.swarm.compose import NANOSECONDS, duration
from ...module_utils.swarm.masking import carries_secret
from . import values
from .addresses import is_host
from .folders import normal
from .reader import Reader
from .structures import entries, is_structure, parsed

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
# UnsupportedProperties of docker/cli.
_IGNORED = (
    *("build", "cgroupns_mode", "cgroup_parent", "container_name", "devices", "domainname", "external_links", "ipc"),
    *("links", "mac_address", "network_mode", "pid", "privileged", "security_opt", "shm_size", "userns_mode"),
)
_LABEL = re.compile(r"[!-<>-~]{1,253}")
_DOMAIN = re.compile(r"\.|[A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9_.])?")
_WRITTEN_HOST_NAME = values.matching(r"[A-Za-z0-9{][A-Za-z0-9._{}-]{0,252}", "a host name")
_CAPABILITY = re.compile(r"(CAP_)?[A-Z][A-Z_]{1,30}")
# What a container may have for itself (validateSysctls of docker/cli, and the Engine).
_SYSCTL = re.compile(r"net\.[a-z0-9_./-]+|fs\.mqueue\.[a-z0-9_]+|kernel\.(msgmax|msgmnb|msgmni|sem|shm[a-z_]+)")
_LIMITS = (
    *("core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio"),
    *("rttime", "sigpending", "stack"),
)
_NUMBER = re.compile(r"-1|0|[1-9][0-9]{0,17}")
_TESTS = ("NONE", "CMD", "CMD-SHELL")
_SHORTEST_TIME_OF_CHECK = NANOSECONDS["ms"]
_TAKEN = ("/run/secrets", "/config.yml", "/start.sh", "/proc", "/sys", "/dev")


def read_service_extra(reader: Reader, drain: t.Any, layers_in_volume: str) -> dict[str, t.Any]:
    """The keys in the form in which they stand in C(docker-stack.yml).

    Args:
        drain: How long the registry finishes its requests, as C(config.yml) has it.
        layers_in_volume: The folder at which C(dtr_cache_volume) is mounted; empty where none is.
    """
    given = reader.mapping(NAME)
    deploy = given.get("deploy")
    if isinstance(deploy, str):
        deploy = reader.checked(NAME, parsed, deploy, {}, "deploy: ")
    if isinstance(deploy, dict):
        given = {**given, "deploy": _without(reader, deploy, "deploy.", _OWN_OF_DEPLOY)}
    given = _without(
        reader, given, "", {**_OWN, **dict.fromkeys(_IGNORED, "docker stack deploy ignores it; leave it out")}
    )
    kinds: dict[str, values.Kind] = {
        "logging": reader.part(NAME, "logging.", {"driver": values.line, "options": _texts}),
        "extra_hosts": _extra_hosts,
        "dns": _addresses,
        "dns_search": _domains,
        "labels": _labels,
        "deploy": reader.part(NAME, "deploy.", {"labels": _labels}),
        "healthcheck": reader.part(
            NAME,
            "healthcheck.",
            {
                "test": _test,
                **dict.fromkeys(("interval", "timeout", "start_period"), _time_of_check),
                "retries": values.whole(1, 1000),
                "disable": values.switch,
            },
        ),
        "hostname": _host_name,
        "sysctls": _sysctls,
        "ulimits": _ulimits,
        "cap_add": _capabilities,
        "cap_drop": _capabilities,
        "init": values.switch,
        "stop_grace_period": values.time,
        "tmpfs": _folders,
    }
    read = reader.known(NAME, given, kinds)
    for problem in _contradictions(read, drain, layers_in_volume):
        reader.problem(NAME, problem)
    return {key: value for key, value in read.items() if value not in ({}, [])}


def _without(
    reader: Reader, given: t.Mapping[str, t.Any], prefix: str, instead: t.Mapping[str, str]
) -> dict[str, t.Any]:
    for key in sorted(set(given) & set(instead)):
        reader.problem(NAME, f"{prefix}{key} cannot be set here: {instead[key]}")
    return {key: value for key, value in given.items() if key not in instead}


def _contradictions(read: t.Mapping[str, t.Any], drain: t.Any, layers_in_volume: str) -> t.Iterator[str]:
    if "logging" in read and "driver" not in read["logging"]:
        yield "logging.driver is required"
    healthcheck = read.get("healthcheck", {})
    if healthcheck.get("disable") and len(healthcheck) > 1:
        yield "healthcheck.disable leaves nothing else to set; take out the other keys, or disable"
    both = sorted(set(read.get("cap_add", [])) & set(read.get("cap_drop", [])))
    if both:
        yield f"cap_add and cap_drop both name {', '.join(both)}"
    period = read.get("stop_grace_period")
    try:
        least = duration(drain) or 0
    except Failure:
        least = 0  # reported where it is set
    if period and (duration(period) or 0) <= least:
        yield (
            f"stop_grace_period: {period} is not longer than http.draintimeout ({drain}), so the Engine would cut off "
            "requests that the cache still finishes"
        )
    if layers_in_volume and layers_in_volume in read.get("tmpfs", []):
        yield f"tmpfs: {layers_in_volume} is where dtr_cache_volume is mounted"


def _given(value: t.Any) -> t.Any:
    return parsed(value) if isinstance(value, str) and is_structure(value.strip()) else value


def _pairs(value: t.Any, separator: str) -> list[tuple[str, str]]:
    """The pairs of a mapping, or of a list of texts with a separator."""
    value = _given(value)
    if isinstance(value, dict):
        return list(values.texts(value).items())
    pairs = []
    for item in values.items(value):
        key, found, text = item.partition(separator)
        if not found:
            raise values.invalid(f"{values.quoted(item)} is not of the form KEY{separator}VALUE")
        pairs.append((key.strip(), text.strip()))
    return pairs


def _texts(value: t.Any) -> dict[str, str]:
    """A mapping of texts. Everybody who may inspect the service reads them."""
    found: dict[str, str] = {}
    for key, text in sorted(_pairs(value, "=")):
        if not _LABEL.fullmatch(key):
            raise values.invalid(f"{values.quoted(key)} is not a key: printable letters without blanks and =")
        values.key_of_docker(key)
        if key in found:
            raise values.invalid(f"names {values.shown(key)} twice")
        if holds_credential((key,), text):
            raise values.invalid(
                f"{values.shown(key)} holds a credential, which everybody who may inspect the service would read; "
                "leave it out, or give that of a log driver to the Engines of the nodes (daemon.json)"
            )
        found[key] = text
    return found


def _labels(value: t.Any) -> dict[str, str]:
    found = _texts(value)
    for key in found:
        if key.startswith("com.docker.stack."):
            raise values.invalid(f"{key} belongs to Docker; leave it out")
    return found


def _extra_hosts(value: t.Any) -> list[str]:
    found = []
    for host, address in _pairs(value, ":"):
        if not is_host(host):
            raise values.invalid(f"{values.quoted(host)} is not a host name")
        found.append(f"{host}:{_address(address)}")
    return sorted(set(found))


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        raise values.invalid(f"{values.quoted(text)} is not an IP address") from None


def _addresses(value: t.Any) -> list[str]:
    return list(dict.fromkeys(_address(item) for item in values.items(value)))


def _domains(value: t.Any) -> list[str]:
    found = values.items(value)
    for item in found:
        if not _DOMAIN.fullmatch(item):
            raise values.invalid(f"{values.quoted(item)} is not a domain")
    return list(dict.fromkeys(found))


def _host_name(value: t.Any) -> str:
    return values.without_template(str(_WRITTEN_HOST_NAME(value)))


def _test(value: t.Any) -> list[str]:
    """A list; a text is a line for a shell."""
    value = _given(value)
    if not isinstance(value, list):
        return _without_secret(["CMD-SHELL", values.line(value)])
    found = [values.line(item) for item in entries(value)]
    if not found or found[0] not in _TESTS:
        raise values.invalid(f"a list begins with one of {', '.join(_TESTS)}")
    if found[0] == "NONE" and len(found) > 1:
        raise values.invalid("nothing goes with NONE, which switches the check off")
    # The Engine of a node crashes where the command is missing.
    if found[0] != "NONE" and not (found[1:] and found[1].strip()):
        raise values.invalid(f"{found[0]} needs a command after it; write disable: true for no check")
    return _without_secret(found)


def _time_of_check(value: t.Any) -> str:
    text = values.time(value)
    if 0 < (duration(text) or 0) < _SHORTEST_TIME_OF_CHECK:
        raise values.invalid(f"{values.quoted(text)} is less than 1ms, the least that Docker takes")
    return text


def _without_secret(command: list[str]) -> list[str]:
    if carries_secret(command) or any(holds_credential(("",), word) for word in command):
        raise values.invalid("holds a credential, which everybody who may inspect the service would read")
    return command


def _sysctls(value: t.Any) -> dict[str, str]:
    found = _texts(value)
    for key in found:
        if not _SYSCTL.fullmatch(key):
            raise values.invalid(f"{values.quoted(key)} is none that a container may have for itself (net.*)")
    return found


def _ulimits(value: t.Any) -> dict[str, dict[str, int]]:
    found = {}
    for name, given in sorted(values.mapping(_given(value)).items()):
        if name not in _LIMITS:
            raise values.invalid(f"{values.quoted(name)} is none of {', '.join(_LIMITS)}")
        limits = given if isinstance(given, dict) else {"soft": given, "hard": given}
        if set(limits) != {"soft", "hard"}:
            raise values.invalid(f"{name} must be a number, or soft and hard")
        soft, hard = (_limit(name, limits[each]) for each in ("soft", "hard"))
        if hard != -1 and (soft == -1 or soft > hard):
            raise values.invalid(f"{name}: soft is more than hard")
        found[name] = {"soft": soft, "hard": hard}
    return found


def _limit(name: str, value: t.Any) -> int:
    text = values.scalar(value)
    if not _NUMBER.fullmatch(text):
        raise values.invalid(f"{name}: {values.quoted(text)} is neither a whole number nor -1 (no limit)")
    return int(text)


def _capabilities(value: t.Any) -> list[str]:
    found = []
    for item in values.items(value):
        name = item.upper()
        if name != "ALL" and not _CAPABILITY.fullmatch(name):
            raise values.invalid(f"{values.quoted(item)} is not a capability such as NET_BIND_SERVICE")
        found.append(name if name == "ALL" or name.startswith("CAP_") else f"CAP_{name}")
    return ["ALL"] if "ALL" in found else sorted(set(found))


def _folders(value: t.Any) -> list[str]:
    found = values.items(value)
    for item in found:
        if not item.startswith("/") or normal(item) == "/" or ":" in item:
            raise values.invalid(f"{values.quoted(item)} is not a folder in the container, from the root on")
        if any(f"{normal(item)}/".startswith(f"{taken}/") for taken in _TAKEN):
            raise values.invalid(f"{values.quoted(item)} is not free in the container")
    return sorted({normal(item) for item in found})
