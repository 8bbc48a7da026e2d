# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders for layers, on nodes and in the container, and the volume in which the filesystem backend keeps them."""

from __future__ import annotations

import posixpath
import re
import typing as t

from . import credentials, values
from .reader import Reader

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
