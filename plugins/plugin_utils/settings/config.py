# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one C(config.yml) that C(dtr_cache_storage), C(dtr_cache_config_extra) and C(REGISTRY_*) in
C(dtr_cache_environment) make together.

It is judged as a whole. The registry judges its keys and values itself, in a trial or as it starts. Refused here is
what the registry would take and a cache cannot have, and what means something else than it seems.
"""

from __future__ import annotations

import posixpath
import re
import typing as t

from ...module_utils.common.failure import Failure
from ...module_utils.common.names import why_no_name
from ...module_utils.swarm.compose import duration
from . import credentials, values
from .reader import Reader
from .structures import parsed

# Swarm puts the stack's name in front of it, and the Engine makes a folder of both.
DEFAULT_VOLUME = "cache-data"
_VOLUME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")
# What the driver "local" knows, and which of them need others. A trial leaves the volume out, and a node would refuse
# it only when a replica is to start there.
_LOCAL_OPTIONS = {"type": ("device",), "o": ("type", "device"), "device": ("type",), "size": ()}
# Others belong in folders below these.
_TMP = ("/tmp", "/var/tmp")  # noqa: S108 (refused)
_SYSTEM = (
    *("/", "/home", "/lib", "/opt", "/root", "/run", "/usr", "/var", "/var/cache", "/var/lib", "/var/log", "/var/run"),
    *("/var/spool", "/usr/local", *_TMP),
)
# Nothing of these is free.
_TAKEN = (
    *("/bin", "/boot", "/dev", "/etc", "/lib32", "/lib64", "/proc", "/sbin", "/sys", "/usr/bin", "/usr/lib"),
    *("/usr/sbin", "/usr/share", "/lib/systemd", "/lib/modules"),
    *("/var/lib/docker", "/var/lib/containerd", "/var/lib/kubelet"),
    *(f"{run}/{name}" for run in ("/run", "/var/run") for name in ("docker", "docker.sock", "containerd", "systemd")),
    *("/run/secrets", "/var/run/secrets", "/config.yml", "/start.sh"),
)


def normal(path: str) -> str:
    """The path in one form: without C(..), doubled slashes and one at its end."""
    return posixpath.normpath(f"/{path.lstrip('/')}")


def folder_problem(value: t.Any) -> str:
    """What is wrong with a folder for layers; empty where nothing is."""
    path = value if isinstance(value, str) else ""
    if not path.startswith("/"):
        return f"{values.quoted(value)} is not an absolute path"
    folder = normal(path)
    if folder in _SYSTEM or any(f"{folder}/".startswith(f"{taken}/") for taken in _TAKEN):
        return f"{values.quoted(value)} is a folder of the system or the Engine; name another one, such as /srv/cache"
    return ""


def read_volume(reader: Reader, backends: t.Collection[str]) -> str | dict[str, t.Any] | None:
    volume = reader.structure("volume")
    if volume is None:
        return None
    if "filesystem" not in backends:
        reader.problem("volume", "is of use only with the storage backend filesystem")
    if not isinstance(volume, dict):
        return t.cast("str | None", reader.checked("volume", _volume_name, volume, None))
    kinds: dict[str, values.Kind] = {"name": _name_of_described, "driver": values.line, "driver_opts": _driver_options}
    read = reader.known("volume", volume, kinds)
    if read.get("driver", "local") == "local":
        for problem in _local_problems(read.get("driver_opts", {})):
            reader.problem("volume", f"driver_opts: {problem}")
    return read


def volume_in_swarm(stack: str, volume: str | t.Mapping[str, t.Any] | None) -> str:
    """The name of the volume on the nodes; empty where there is none, or a folder of the nodes."""
    name = volume.get("name", DEFAULT_VOLUME) if isinstance(volume, t.Mapping) else volume or ""
    return f"{stack}_{name}" if name and not name.startswith("/") else ""


def _volume_name(value: t.Any) -> str:
    """Swarm's short form of a mount knows both, parted from what follows by a colon."""
    text = values.line(value)
    if text.startswith("/") and ":" not in text:
        if problem := folder_problem(text):
            raise values.invalid(problem)
        return normal(text)
    if _VOLUME.fullmatch(text):
        return values.key_of_docker(text)
    raise values.invalid(f"{values.quoted(text)} is neither a volume's name nor an absolute path on the nodes")


def _name_of_described(value: t.Any) -> str:
    text = values.line(value)
    if _VOLUME.fullmatch(text):
        return values.key_of_docker(text)
    raise values.invalid(f"{values.quoted(text)} is no volume's name")


def _local_problems(options: t.Mapping[str, str]) -> t.Iterator[str]:
    """What a node would refuse only when a replica is to start there."""
    for name in sorted(set(options) - set(_LOCAL_OPTIONS)):
        yield f"{values.shown(name)} is unknown to the driver local; there are {', '.join(_LOCAL_OPTIONS)}"
    for name, others in _LOCAL_OPTIONS.items():
        missing = [other for other in others if not options.get(other)] if options.get(name) else []
        if missing:
            yield f"{name} needs {' and '.join(missing)} beside it"
    kinds = set(str(options.get("o", "")).split(","))
    if kinds & {"bind", "rbind"} and (problem := folder_problem(options.get("device"))):
        yield f"device: {problem}"


def _driver_options(value: t.Any) -> dict[str, str]:
    options = values.texts(value)
    for key, text in options.items():
        values.key_of_docker(key)
        values.without_template(text)
    if credentials.options_carry_credentials(options):
        raise values.invalid(
            "hold a credential, which everybody who may inspect the volume or the service would read; mount the "
            "storage on the nodes themselves and give its path"
        )
    return options


Path = tuple[str, ...]

# How long a replica that is asked to stop may finish the requests it has. It takes no new ones meanwhile: more time
# helps those who pull large layers over slow lines, and makes the gap longer where there is one replica only.
DRAIN_TIMEOUT = "30s"

_LAYERS = "/var/lib/registry"
_PREFIX = "REGISTRY_"
# Below these, the registry reads the last part of a variable's name in any letters.
_FREE_NAMES = ("REGISTRY_HTTP_HEADERS_", "REGISTRY_LOG_FIELDS_")
# What the section C(storage) has beside its backend.
_NO_BACKENDS = ("cache", "delete", "maintenance", "redirect")
_ROOT: Path = ("storage", "filesystem", "rootdirectory")
_DELETE: Path = ("storage", "delete", "enabled")
_PURGING: Path = ("storage", "maintenance", "uploadpurging")
_WITH_HEADERS = ("http", "notifications", "health")
# What a backend takes as text.
_NAMES_OF_BACKEND = (
    *("bucket", "container", "region", "accesskey", "secretkey", "accesskeyid", "accesskeysecret"),
    *("accountname", "accountkey", "username", "password", "tenant", "domain"),
)
_UPSTREAMS = "dtr_cache_upstreams, dtr_cache_upstream_cas and dtr_cache_blob_ttl"
# What the cache consists of, and what to do instead.
_OWN: dict[Path, str] = {
    ("version",): "leave it out",
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
# What dtr_cache_metrics_port sets where it is given.
OF_METRICS: tuple[Path, ...] = (("http", "debug", "addr"), ("http", "debug", "prometheus", "enabled"))
# Where registries 2.x read a time. A number there would be nanoseconds, end the registry, or not count.
_TIMES = tuple(
    tuple(path.split("."))
    for path in (
        "http.draintimeout",
        *(f"redis.{name}timeout" for name in ("dial", "read", "write")),
        "redis.pool.idletimeout",
        *("notifications.endpoints.*.timeout", "notifications.endpoints.*.backoff"),
        *("health.storagedriver.interval", "health.file.*.interval"),
        *(f"health.{kind}.*.{name}" for kind in ("http", "tcp") for name in ("interval", "timeout")),
        *("storage.maintenance.uploadpurging.age", "storage.maintenance.uploadpurging.interval"),
        *("middleware.storage.*.options.duration", "middleware.storage.*.options.updatefrequency"),
    )
)


class Part(t.NamedTuple):
    """What one variable gives of the configuration.

    Args:
        variable: The variable, without its prefix.
        value: What it gives, which is merged into what is there.
        path: The keys at which it gives that.
        name: Of a variable of the environment, whose value takes the place of all that is there.
    """

    variable: str
    value: t.Any
    path: Path = ()
    name: str = ""

    def decides(self, path: Path) -> Path | None:
        """Where it gives what is at a path: there or at a key above; C(None) where it leaves that alone."""
        if self.path[: len(path)] == path:
            return path
        if path[: len(self.path)] != self.path:
            return None
        if self.name:
            return self.path
        value = self.value
        for depth, key in enumerate(path[len(self.path) :], start=len(self.path)):
            if not isinstance(value, dict):
                return path[:depth]
            if key not in value:
                return None
            value = value[key]
        return path

    def in_words(self, path: Path, sentence: str) -> str:
        """A problem of what it gives."""
        keys = path if self.name else path[len(self.path) :]
        return f"{f'{self.name}: ' if self.name else ''}{'.'.join(map(values.shown, keys))}{sentence}"


def merged(base: t.Mapping[str, t.Any], extra: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Two mappings in one, at every depth; lists and single values of C(extra) take the place of those in C(base)."""
    result = dict(base)
    for key, value in extra.items():
        known = result.get(key)
        result[key] = merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return result


def of_environment(environment: t.Mapping[str, str]) -> list[Part]:
    """The parts that the registry reads from its environment, in the order in which it does."""
    return [
        Part("environment", _read(value), tuple(name[len(_PREFIX) :].lower().split("_")), name)
        for name, value in sorted(environment.items())
        if name.upper().startswith(_PREFIX)
    ]


def given_config(storage: t.Any, config_extra: t.Any, environment: t.Mapping[str, str]) -> dict[str, t.Any]:
    """What these variables give of the configuration, as the registry reads it."""
    return together({}, _parts(storage, config_extra, environment))


def together(config: t.Mapping[str, t.Any], parts: t.Iterable[Part]) -> dict[str, t.Any]:
    """A configuration with parts that are given beside it."""
    for part in parts:
        there, value = at(config, part.path), part.value
        if not part.name and isinstance(there, dict) and isinstance(value, dict):
            value = merged(there, value)
        config = _with(config, part.path, value)
    return dict(config)


def at(config: t.Any, path: Path) -> t.Any:
    """What is at these keys; C(None) where nothing is."""
    for key in path:
        config = config.get(key) if isinstance(config, dict) else None
    return config


def backends(config: t.Mapping[str, t.Any]) -> list[str]:
    """The storage backends that a configuration names. The registry takes one."""
    storage = config.get("storage")
    return [name for name in storage if name not in _NO_BACKENDS] if isinstance(storage, dict) else []


def folder_of_layers(config: t.Mapping[str, t.Any]) -> str:
    """Where the registry keeps its layers in the container, with the filesystem backend."""
    return normal(str(at(config, _ROOT) or _LAYERS))


def config_problems(parts: t.Sequence[Part], metrics_port: int | None = None) -> t.Iterator[tuple[str, str]]:
    """What is wrong with the configuration that parts make together, each with the variable that gives it."""
    for part in parts:
        for sentence in _own_problems(part, metrics_port):
            yield part.variable, sentence
    config = together({"storage": {"delete": {"enabled": True}}}, parts)
    for path, sentence in (*_storage_problems(config), *_misread(config)):
        giver = next((part for part in reversed(parts) if part.decides(path) is not None), None)
        if giver:
            yield giver.variable, giver.in_words(path, sentence)


def read_config(reader: Reader, environment: t.Mapping[str, str], metrics_port: int | None) -> dict[str, t.Any]:
    """C(storage), with a backend where nothing else names one, and C(config_extra)."""
    storage, extra = _tidy(reader.mapping("storage")), reader.mapping("config_extra")
    for name, value in environment.items():
        _check_variable(reader, name, value)
    problems = list(config_problems(_parts(storage, extra, environment), metrics_port))
    for variable, problem in problems:
        reader.problem(variable, problem)
    named = backends(given_config(storage, extra, environment))
    default = {} if named else {"filesystem": {"rootdirectory": _LAYERS}}
    return {"storage": {**default, **storage}, "config_extra": {} if problems else extra}


def _parts(storage: t.Any, config_extra: t.Any, environment: t.Mapping[str, str]) -> list[Part]:
    parts = [Part("storage", storage, ("storage",)), Part("config_extra", config_extra)]
    return [*parts, *of_environment(environment)]


def _check_variable(reader: Reader, name: str, value: str) -> None:
    """Check a variable of the environment as the registry reads it: its name in capitals, and its value as YAML."""
    if not name.upper().startswith(_PREFIX):
        return
    if name != name.upper() and not name.startswith(_FREE_NAMES):
        reader.problem("environment", f"{values.shown(name)}: the registry reads such a name in capitals only")
    reader.checked("environment", parsed, value, None, f"{values.shown(name)}: ")


def _own_problems(part: Part, metrics_port: int | None) -> t.Iterator[str]:
    of_metrics = dict.fromkeys(OF_METRICS if metrics_port else (), "dtr_cache_metrics_port sets it; leave it out")
    told: set[Path] = set()
    for path, instead in {**_OWN, **of_metrics}.items():
        place = part.decides(path)
        if place is None or place in told:
            continue
        told.add(place)
        if place == path:
            sentence = f" belongs to the cache itself; {instead}"
        else:
            keys = "give only the keys below it that you need"
            sentence = f" would take the place of {'.'.join(path)}, which belongs to the cache itself; {keys}"
        yield part.in_words(place, sentence)


def _storage_problems(config: t.Mapping[str, t.Any]) -> t.Iterator[tuple[Path, str]]:
    named = backends(config)
    if len(named) > 1:
        others = " and ".join(map(values.shown, named[:-1]))
        yield ("storage", named[-1]), f" is a second backend beside {others}, and the registry takes exactly one"
    if at(config, _DELETE) is not True:
        yield _DELETE, " must stay true: without it a layer could never expire"
    filesystem = at(config, _ROOT[:-1])
    if isinstance(filesystem, dict) and _ROOT[-1] in filesystem:
        # Without a value the registry would make a folder <nil> of it.
        folder = filesystem[_ROOT[-1]] or ""
        problem = folder_problem(folder)
        if problem or re.search(r"[:\x00-\x1f]|\s$", str(folder)):
            yield _ROOT, f": {problem or f'{values.quoted(folder)} has a letter that no mount of Docker can have'}"


def _misread(value: t.Any, path: Path = ()) -> t.Iterator[tuple[Path, str]]:
    """Find times that the registry reads as others, numbers that YAML may have changed, and wrong headers."""
    if value is not None and any(_is_like(path, form) for form in _TIMES):
        if problem := _time_problem(value, path):
            yield path, f": {problem}"
    elif path[-2:-1] == ("headers",) and path[0] in _WITH_HEADERS and (problem := _header_problem(path, value)):
        yield path, f" {problem}"
    elif (isinstance(value, float) and path not in _OWN) or (isinstance(value, int) and _is_name(path)):
        yield path, f" {why_no_name(value)}"
    elif isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _misread(item, (*path, str(key)))


def _header_problem(path: Path, value: t.Any) -> str:
    if path[0] == "http" and path[-1].lower() == "content-encoding":
        return "would have clients decode layers that are not encoded; leave it out"
    # The registry would name the value, which may be a credential, and end.
    return "" if value is None or isinstance(value, list) else "must be a list, such as [nosniff]"


def _is_name(path: Path) -> bool:
    return path[:1] == ("storage",) and path[-1] in _NAMES_OF_BACKEND


def _time_problem(value: t.Any, path: Path) -> str:
    try:
        text = values.time(value)
    except Failure as failure:
        return failure.message.rstrip(".")
    if text != value:
        return f"{values.quoted(text)} has blanks at its ends, with which the registry does not read it"
    if path[:-1] == _PURGING and (duration(text) or 0) < 10**9:
        return f"{text} is less than 1s: the registry would purge uploads that are under way, without a pause"
    return ""


def _is_like(path: Path, form: Path) -> bool:
    return len(path) == len(form) and all(part in ("*", key) for key, part in zip(path, form))


def _read(value: str) -> t.Any:
    try:
        return parsed(value)
    except Failure:
        return value


def _with(config: t.Any, path: Path, value: t.Any) -> t.Any:
    """A configuration with another value at these keys."""
    if not path:
        return value
    there = config if isinstance(config, dict) else {}
    return {**there, path[0]: _with(there.get(path[0]), path[1:], value)}


def _tidy(section: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The section without keys that are given empty, as a survey does; a backend may have none at all."""
    return {name: _filled(given) if values.is_set(given) else {} for name, given in section.items()}


def _filled(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        return {key: _filled(item) for key, item in value.items() if values.is_set(item)}
    return value.strip() if isinstance(value, str) else value
