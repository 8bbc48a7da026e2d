# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be added to C(config.yml), by C(dtr_cache_config_extra) or by the environment (C(REGISTRY_HTTP_ADDR)).

What the cache consists of has variables of its own; overriding it here would bring the cache down. Pure functions.
"""

from __future__ import annotations

import difflib
import typing as t

from ...module_utils.common.failure import Failure
from ...module_utils.common.names import why_no_name
from . import values
from .folders import folder_problem
from .storage import BACKENDS, OPTIONS
from .structures import as_text, parsed

Path = tuple[str, ...]

# How long a replica that is asked to stop may finish the requests it has. It takes no new ones meanwhile: more time
# helps those who pull large layers over slow lines, and makes the gap longer where there is one replica only.
DRAIN_TIMEOUT = "30s"

# The sections of the registry's configuration; a newer registry may have more.
_SECTIONS = (
    *("version", "log", "loglevel", "storage", "auth", "middleware", "reporting", "http", "notifications", "redis"),
    *("health", "proxy", "compatibility", "policy", "validation", "catalog"),
)
_UPSTREAMS = "dtr_cache_upstreams, dtr_cache_upstream_cas and dtr_cache_blob_ttl"
# What the cache consists of, and what to do instead.
_OWN: dict[Path, str] = {
    ("http", "addr"): "set dtr_cache_port instead",
    ("http", "net"): "the cache has to listen on its port; leave it out",
    ("http", "prefix"): "the DTR sends its clients to /v2/; leave it out",
    ("http", "host"): "set dtr_cache_host and dtr_cache_public_port instead",
    ("http", "secret"): "set dtr_cache_http_secret instead",
    ("http", "tls", "certificate"): "set dtr_cache_certificate instead",
    ("http", "tls", "key"): "set dtr_cache_private_key instead",
    ("http", "tls", "letsencrypt"): "set dtr_cache_certificate and dtr_cache_private_key instead",
    ("http", "tls", "clientcas"): "clients that the DTR sends have no certificate; leave it out",
    ("middleware", "registry"): f"set {_UPSTREAMS} instead",
    ("auth",): "a cache has none: it serves whom the DTR sends; leave it out",
    ("proxy",): f"set {_UPSTREAMS} instead",
}
# Sections that config.yml always has, and those that it has only by this.
_WRITTEN: tuple[Path, ...] = (("http",), ("http", "tls"), ("storage",), ("log",), ("middleware",))
_OTHERS: tuple[Path, ...] = (
    *(("http", name) for name in ("debug", "headers", "http2")),
    *((name,) for name in ("redis", "health", "notifications", "reporting", "compatibility", "validation")),
)
# What the deployment follows as config.yml has it, beside the storage: how long a replica may take to end.
_FOLLOWED: dict[Path, str] = {("http", "draintimeout"): "set it in dtr_cache_config_extra"}
_LEVELS = ("error", "warn", "info", "debug")
_WORDS: dict[Path, tuple[str, ...]] = {
    ("log", "level"): _LEVELS,
    ("loglevel",): _LEVELS,
    ("log", "formatter"): ("text", "json", "logstash"),
}
# What the registry reads as a time, in any section of it. A number there would be nanoseconds.
_TIMES = (
    *("draintimeout", "age", "interval", "timeout", "backoff", "ttl", "duration", "updatefrequency"),
    *("dialtimeout", "readtimeout", "writetimeout", "idletimeout", "pooltimeout", "conn_max_idle_time"),
)
_FREE: tuple[Path, ...] = (("log", "fields"), ("http", "headers"))
_PREFIX = "REGISTRY_"


# What dtr_cache_metrics_port sets where it is given.
OF_METRICS: tuple[Path, ...] = (("http", "debug", "addr"), ("http", "debug", "prometheus", "enabled"))


def config_problems(
    extra: t.Mapping[str, t.Any],
    storage: t.Mapping[str, t.Any],
    port: int | None,
    metrics_port: int | None = None,
) -> t.Iterator[str]:
    """What of it would bring the cache down.

    Args:
        extra: What is merged into C(config.yml).
        storage: The section C(storage) that is merged with it.
        port: The port that the cache listens on.
        metrics_port: The port at which it gives its metrics, if any.
    """
    misplaced = list(_misplaced(extra))
    yield from misplaced
    if misplaced:
        return
    if as_text(extra.get("version", "0.1")) != "0.1":
        yield "version must stay 0.1, the only one that registries know; leave it out"
    for path, instead in _OWN.items():
        if _has(extra, path):
            yield f"{'.'.join(path)} belongs to the cache itself; {instead}"
    for path in OF_METRICS if metrics_port else ():
        if _has(extra, path):
            yield f"{'.'.join(path)} is set by dtr_cache_metrics_port; leave it out"
    for path, words in _WORDS.items():
        if _has(extra, path) and as_text(_at(extra, path)).lower() not in words:
            yield f"{'.'.join(path)}: {values.quoted(_at(extra, path))} is none of {', '.join(words)}"
    yield from _storage_problems(extra.get("storage", {}), storage)
    yield from _time_problems(extra)
    folder = _at(extra, ("storage", "filesystem", "rootdirectory"))
    if folder is not None and (problem := folder_problem(folder)):
        yield f"storage.filesystem.rootdirectory: {problem}"
    yield from _http_problems(extra.get("http", {}), port)
    fields = _at(extra, ("log", "fields"))
    for name, value in fields.items() if isinstance(fields, dict) else ():
        if isinstance(value, float):
            yield f"log.fields.{values.shown(name)} {why_no_name(1.1)}"
    for key in sorted(set(extra) - set(_SECTIONS)):
        similar = difflib.get_close_matches(key.lower(), _SECTIONS, n=1, cutoff=0.75)
        if similar:
            yield f"{values.shown(key)} is no section of the registry's configuration; did you mean {similar[0]}?"


def of_environment(name: str, value: str) -> dict[str, t.Any] | None:
    """The part of C(config.yml) that a variable of the environment sets; C(None) where it sets none."""
    if not name.upper().startswith(_PREFIX):
        return None
    try:
        found = parsed(value)
    except Failure:
        found = value
    for key in reversed(name[len(_PREFIX) :].lower().split("_")):
        found = {key: found}
    return t.cast("dict[str, t.Any]", found)


def environment_problems(
    name: str, value: str, storage: t.Mapping[str, t.Any], port: int | None, metrics_port: int | None = None
) -> t.Iterator[str]:
    """The same for an environment variable that the registry reads as a part of its configuration."""
    extra = of_environment(name, value)
    if extra is None:
        return
    followed = dict(_FOLLOWED)
    followed.update({("storage", backend): "set dtr_cache_storage" for backend in storage if backend in BACKENDS})
    problems = [
        f"the deployment follows {'.'.join(path)} of config.yml, which this would override; {instead} instead"
        for path, instead in followed.items()
        if _has(extra, path)
    ]
    for problem in problems or config_problems(extra, storage, port, metrics_port):
        yield f"{name}: {problem}"


def _misplaced(extra: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    for path in (*_WRITTEN, *_OTHERS):
        if _has(extra, path):
            section = _at(extra, path)
            is_empty = section is None and path in _OTHERS
            if not is_empty and not isinstance(section, dict):
                yield f"{'.'.join(path)} must be a mapping of keys to values"


def _time_problems(value: t.Any, path: Path = ()) -> t.Iterator[str]:
    """Times without a unit, or in none that the registry takes, wherever they are."""
    if path in _FREE or value is None:
        return
    if path and path[-1].lower() in _TIMES:
        try:
            values.time(value)
        except Failure as failure:
            yield f"{'.'.join(map(values.shown, path))}: {failure.message.rstrip('.')}"
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _time_problems(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _time_problems(item, (*path, str(number)))


def _storage_problems(extra: t.Mapping[str, t.Any], storage: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    for name in sorted(set(extra) - set(OPTIONS)):
        if name in storage:
            if not isinstance(extra[name] or {}, dict):
                yield f"storage.{name} must be a mapping of keys to values"
        elif name in BACKENDS:
            yield f"storage.{name} would be a second backend; set dtr_cache_storage instead"
        else:
            yield f"storage.{values.shown(name)} would be taken for a second backend; leave it out"
    delete = extra.get("delete", {"enabled": True})
    if not (isinstance(delete, dict) and delete.get("enabled", True) is True):
        yield "storage.delete.enabled must stay true: without it a layer could never expire"


def _http_problems(extra: t.Mapping[str, t.Any], port: int | None) -> t.Iterator[str]:
    address = as_text((extra.get("debug") or {}).get("addr", ""))
    if port and address.rpartition(":")[2] == str(port):
        yield f"http.debug.addr must have another port than dtr_cache_port, {port}"
    for name, lines in (extra.get("headers") or {}).items():
        if not isinstance(lines, list):
            yield f"http.headers.{values.shown(name)} must be a list of texts"
        elif any(isinstance(line, float) for line in lines):
            yield f"http.headers.{values.shown(name)}: an entry {why_no_name(1.1)}"


def _has(extra: t.Mapping[str, t.Any], path: Path) -> bool:
    """Whether something stands at these keys, be it nothing."""
    above = _at(extra, path[:-1])
    return isinstance(above, dict) and path[-1] in above


def _at(extra: t.Any, path: Path) -> t.Any:
    for key in path:
        extra = extra.get(key) if isinstance(extra, dict) else None
    return extra
