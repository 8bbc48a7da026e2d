# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry's node: a real Docker registry, DTR's stand-in before it, and the lab's name server."""

from __future__ import annotations

import json
import shutil
import ssl
import sys
import typing as t
import urllib.error
import urllib.request
from pathlib import Path

import yaml

from . import certificates, names
from .errors import LabError
from .files import write_file
from .folders import LAB_SOURCE, Folders
from .node_init import Service
from .topology import CONTROL_PORT, REGISTRY, REGISTRY_URL

STANDIN = LAB_SOURCE / "registry"
UPSTREAM = "127.0.0.1:5000"
CONTROL_URL = f"http://{REGISTRY.address}:{CONTROL_PORT}"
ADMIN = "admin"


def sources() -> list[Path]:
    """The stand-in's program: when it changes, the node is started anew."""
    return sorted(path for path in STANDIN.rglob("*.py") if "tests" not in path.relative_to(STANDIN).parts)


def install(folders: Folders, state: str) -> None:
    """Put the registry's configuration on the node's disk; the node sees its disk as C(state)."""
    configuration: dict[str, t.Any] = {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": f"{state}/storage"},
            "delete": {"enabled": True},
            "maintenance": {"uploadpurging": {"enabled": False}},
        },
        # The stand-in follows no redirect and knows its clients, so no secret has to be shared with anybody.
        "http": {"addr": UPSTREAM, "secret": "one instance only"},
    }
    write_file(folders.node(REGISTRY) / "registry.yml", yaml.safe_dump(configuration, sort_keys=False))


def services(folders: Folders, state: str) -> list[Service]:
    """What runs on the node."""
    files = certificates.registry(folders)
    standin = [
        *(sys.executable, str(STANDIN)),
        *("--listen", f"{REGISTRY.address}:443"),
        *("--control", f"{REGISTRY.address}:{CONTROL_PORT}"),
        *("--cert", str(files.certificate), "--key", str(files.private_key)),
        *("--ca", str(certificates.dtr_ca(folders))),
        *("--upstream", f"http://{UPSTREAM}"),
        *("--state", str(folders.registry)),
    ]
    return [
        Service("docker-registry", ["docker-registry", "serve", f"{state}/registry.yml"], {}),
        Service("registry", standin, {"PYTHONDONTWRITEBYTECODE": "1"}),
        Service("names", names.name_server_command(Path(state) / "hosts"), {}),
    ]


def ready_file(folders: Folders) -> Path:
    """What the stand-in writes when it listens."""
    return folders.registry / "ready"


def passwords_file(folders: Folders) -> Path:
    """A JSON object with each named account's password."""
    return folders.registry / "passwords.json"


def control_secret_file(folders: Folders) -> Path:
    """The secret that the stand-in's control interface asks for."""
    return folders.registry / "control.secret"


def password(folders: Folders, account: str = ADMIN) -> str:
    """An account's password.

    Raises:
        LabError: The registry has not made any yet, or has no such account.
    """
    try:
        return t.cast(str, json.loads(passwords_file(folders).read_text())[account])
    except (OSError, ValueError, KeyError) as error:
        raise LabError(f"no password of {account} in {passwords_file(folders)}") from error


def health(folders: Folders) -> str | None:
    """None when DTR says that it is healthy, else what is wrong with it."""
    context = ssl.create_default_context(cafile=str(certificates.dtr_ca(folders)))
    # No proxy of the environment: the lab's addresses are on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(f"{REGISTRY_URL}/_ping", timeout=5) as answer:
            said = json.load(answer)
    except (urllib.error.URLError, OSError, ValueError) as error:
        return f"{REGISTRY_URL}/_ping: {error}"
    return None if said.get("Healthy") is True else f"{REGISTRY_URL}/_ping: {said}"


def is_ready(folders: Folders) -> bool:
    """Whether the registry and the name server can be used."""
    return ready_file(folders).exists() and health(folders) is None and names.name_server_answers()


def forget(folders: Folders) -> None:
    """Remove what the registry knows: accounts, passwords, caches."""
    shutil.rmtree(folders.registry, ignore_errors=True)
