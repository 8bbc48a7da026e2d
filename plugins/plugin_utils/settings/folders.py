# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders for layers, on nodes and in the container: not those that the system or the Engine needs. Pure functions."""

from __future__ import annotations

import posixpath
import typing as t

from . import values

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
