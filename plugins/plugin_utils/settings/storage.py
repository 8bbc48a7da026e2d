# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the cache keeps its layers: the registry's storage section, and the volume of the filesystem backend."""

from __future__ import annotations

import re
import typing as t

from . import credentials, values
from .folders import folder_problem, normal
from .reader import Reader
from .structures import parsed

_LAYERS = "/var/lib/registry"
# Swarm puts the stack's name in front of it, and the Engine makes a folder of both.
DEFAULT_VOLUME = "cache-data"
_VOLUME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")
# What the driver "local" knows, and which of them need others.
_LOCAL_OPTIONS = {"type": ("device",), "o": ("type", "device"), "device": ("type",), "size": ()}

_KINDS: dict[str, values.Kind] = {
    "text": values.line,
    "number": values.whole(0, 2**53),
    "switch": values.switch,
}


class Backend(t.NamedTuple):
    """The keys of one of the registry's storage backends, and what each holds."""

    kinds: dict[str, values.Kind]
    required: tuple[str, ...] = ()
    # Of each group all or none: without them the registry takes the credentials of its environment.
    together: tuple[str, ...] = ()


def _keys(**names: str) -> dict[str, values.Kind]:
    return {name: _KINDS[kind] for kind, listed in names.items() for name in listed.split()}


def _given(value: t.Any) -> t.Any:
    """A mapping inside of another one, which a form may give as text."""
    return values.mapping(parsed(value) if isinstance(value, str) else value)


def _folder(value: t.Any) -> str:
    text = values.line(value)
    if problem := folder_problem(text):
        raise values.invalid(problem)
    return normal(text)


BACKENDS = {
    "filesystem": Backend({"rootdirectory": _folder, **_keys(number="maxthreads")}),
    "s3": Backend(
        _keys(
            text="region bucket accesskey secretkey regionendpoint sessiontoken rootdirectory keyid storageclass "
            "objectacl useragent loglevel",
            switch="encrypt secure skipverify v4auth usedualstack accelerate forcepathstyle",
            number="chunksize multipartcopychunksize multipartcopymaxconcurrency multipartcopythresholdsize",
        ),
        required=("region", "bucket"),
        together=("accesskey", "secretkey"),
    ),
    "azure": Backend(
        _keys(text="accountname accountkey container realm rootdirectory"),
        required=("accountname", "accountkey", "container"),
    ),
    "gcs": Backend(
        {**_keys(text="bucket keyfile rootdirectory", number="chunksize maxconcurrency"), "credentials": _given},
        required=("bucket",),
    ),
    "swift": Backend(
        {
            **_keys(
                text="username password authurl container tenant tenantid tenantdomain tenantdomainid domain domainid "
                "trustid region accesskey secretkey tempurlcontainerkey endpointtype prefix rootdirectory",
                switch="insecureskipverify",
                number="chunksize authversion",
            ),
            "tempurlmethods": values.items,
        },
        required=("username", "password", "authurl", "container"),
    ),
    "oss": Backend(
        _keys(
            text="accesskeyid accesskeysecret region bucket endpoint encryptionkeyid rootdirectory",
            switch="internal encrypt secure",
            number="chunksize",
        ),
        required=("accesskeyid", "accesskeysecret", "region", "bucket"),
    ),
    "inmemory": Backend({}),
}

OPTIONS = ("cache", "delete", "maintenance", "redirect")


def read_storage(reader: Reader) -> dict[str, t.Any]:
    storage = reader.mapping("storage")
    unknown = sorted(set(storage) - set(BACKENDS) - set(OPTIONS))
    if unknown:
        names = ", ".join(map(values.shown, unknown))
        reader.problem("storage", f"{names} is no storage backend; there are {', '.join(BACKENDS)}")
    chosen = [backend for backend in BACKENDS if backend in storage]
    if len(chosen) > 1:
        reader.problem("storage", f"names {' and '.join(chosen)}; the registry takes exactly one backend")
    read = {} if chosen else {"filesystem": {"rootdirectory": _LAYERS}}
    options = _options(reader)
    for name, given in storage.items():
        if name in BACKENDS:
            read[name] = _read_backend(reader, name, given)
        elif name in options and given is not None:
            read[name] = options[name](given)
    if read.get("delete", {}).get("enabled", True) is not True:
        reader.problem("storage", "delete.enabled must stay true: without it a layer could never expire")
    return {name: value for name, value in read.items() if value or name in BACKENDS}


def folder_of_layers(storage: t.Mapping[str, t.Any]) -> str:
    """Where the registry keeps its layers in the container, with the filesystem backend."""
    return str((storage.get("filesystem") or {}).get("rootdirectory") or _LAYERS)


def read_volume(reader: Reader, storage: t.Mapping[str, t.Any]) -> str | dict[str, t.Any] | None:
    volume = reader.structure("volume")
    if volume is None:
        return None
    if "filesystem" not in storage:
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


def _read_backend(reader: Reader, name: str, given: t.Any) -> dict[str, t.Any]:
    """The registry would end at once without a key that it needs, and not notice one that it does not know."""
    backend = BACKENDS[name]
    before = len(reader.problems)
    read = reader.known("storage", given, backend.kinds, f"{name}.")
    if len(reader.problems) > before:
        return read
    missing = [key for key in backend.required if key not in read]
    if missing:
        reader.problem("storage", f"{name} needs {', '.join(missing)}")
    lonely = [key for key in backend.together if key not in read]
    if lonely and len(lonely) < len(backend.together):
        reader.problem("storage", f"{name} has no {', '.join(lonely)}; {' and '.join(backend.together)} go together")
    return read


def _options(reader: Reader) -> dict[str, values.Kind]:
    """What stands beside the backend, each a mapping of its own."""
    purging = {**_keys(switch="enabled dryrun"), "age": values.time, "interval": values.time}
    kinds: dict[str, dict[str, values.Kind]] = {
        "cache": _keys(text="blobdescriptor", number="blobdescriptorsize"),
        "delete": _keys(switch="enabled"),
        "maintenance": {
            "uploadpurging": reader.part("storage", "maintenance.uploadpurging.", purging),
            "readonly": reader.part("storage", "maintenance.readonly.", _keys(switch="enabled")),
        },
        "redirect": _keys(switch="disable"),
    }
    return {name: reader.part("storage", f"{name}.", kinds[name]) for name in OPTIONS}
