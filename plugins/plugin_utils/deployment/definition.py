# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The deployment of a cache, from its settings: C(config.yml), C(docker-stack.yml), and the objects that they name.

Both files have the form of the vendor's deployment guide (DTR 2.5 to 2.7), with one difference: configs and secrets are
external and named by their content, since Swarm cannot change one in place.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
import typing as t
from urllib.parse import urlsplit

import yaml

from ...module_utils.common.failure import Failure
from ...module_utils.common.redaction import blanked, comparable
from ...module_utils.common.urls import canonical_server
from ...module_utils.swarm.compose import duration
from ...module_utils.swarm.objects import (
    CERTIFICATES_LABEL,
    CONFIG_FILE,
    CONTENT_LABEL,
    FILE_LABEL,
    NAME_LABEL,
    REGISTRY_LABEL,
    STACK_LABEL,
    URL_LABEL,
)
from ...module_utils.x509 import certificates
from ..settings.cache import NEVER
from ..settings.config import DEFAULT_VOLUME, DRAIN_TIMEOUT, at, folder_of_layers, merged, of_environment, together
from ..settings.credentials import carries_credentials
from ..settings.model import Settings
from ..settings.values import is_misread

CONFIG = "config"
SECRET = "secret"

CERTIFICATE_FILE = "cache.cert.pem"
KEY_FILE = "cache.key.pem"
SECRETS_FOLDER = "/run/secrets"

# The Engine kills a container that has not ended this long after the last request had to be finished.
SECONDS_TO_END = 10
_NEVER_SET = "DTR_CACHE_IS_NEVER_SET"  # in the environment of Docker's command
_DESCRIBED = 10  # certificates of a bundle


@dataclasses.dataclass(frozen=True)
class SwarmObject:
    """A Docker config or secret: its C(file) in the container, and its C(name) in Swarm."""

    kind: str
    file: str
    name: str
    data: str = dataclasses.field(repr=False)
    labels: dict[str, str]


def registry_config(settings: Settings) -> dict[str, t.Any]:
    """Return the cache's C(config.yml) as data."""
    options: dict[str, t.Any] = {
        **({} if settings.blob_ttl == NEVER else {"blobttl": settings.blob_ttl}),
        "upstreams": [
            url if urlsplit(url).port else f"{url}:443" for url in settings.upstreams or (settings.registry_url,)
        ],
    }
    authorities = [f"{SECRETS_FOLDER}/{file}" for file in _authority_files(settings)]
    if authorities:
        options["cas"] = authorities
    config: dict[str, t.Any] = {
        "version": 0.1,
        "log": {"level": "info"},
        "storage": merged({"delete": {"enabled": True}}, settings.storage),
        "http": {
            "addr": f"0.0.0.0:{settings.port}",
            "secret": settings.http_secret,
            "host": settings.url if settings.public_port != 443 else settings.origin,
            "draintimeout": DRAIN_TIMEOUT,
            "tls": {
                "certificate": f"{SECRETS_FOLDER}/{CERTIFICATE_FILE}",
                "key": f"{SECRETS_FOLDER}/{KEY_FILE}",
            },
        },
        "middleware": {"registry": [{"name": "downstream", "options": options}]},
    }
    if settings.metrics_port:
        config["http"]["debug"] = {"addr": f"0.0.0.0:{settings.metrics_port}", "prometheus": {"enabled": True}}
    return merged(config, settings.config_extra)


def config_text(settings: Settings) -> str:
    """Return the cache's C(config.yml) as text."""
    return as_yaml(registry_config(settings))


def config_for_review(settings: Settings) -> str:
    """Return the cache's C(config.yml) with a word in the place of each secret."""
    return as_yaml(blanked(registry_config(settings)))


def stack_text(settings: Settings, objects: t.Sequence[SwarmObject]) -> str:
    """Return the cache's C(docker-stack.yml) as text."""
    return as_yaml(_as_compose(stack_definition(settings, objects)))


def for_docker(definition: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return a definition in the form that community.docker needs for C(docker stack deploy).

    It writes YAML in which Docker reads some texts as truth values or numbers. Docker reads YAML first and expands
    variables then, so the default of a variable stays a text.
    """

    def keep(text: str) -> str:
        return f"${{{_NEVER_SET}:-{text}}}" if is_misread(text) else text

    return t.cast("dict[str, t.Any]", _each_text(_as_compose(definition), keep))


def _as_compose(definition: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return a definition as C(docker-stack.yml) has it.

    A variable of the environment is one text, as Docker would read a name such as C(N) as a truth value, and C($$) is
    a dollar.
    """
    services = definition.get("services") or {}
    as_text = {
        name: {**service, "environment": [f"{key}={value}" for key, value in service["environment"].items()]}
        for name, service in services.items()
        if service.get("environment")
    }
    return t.cast(
        "dict[str, t.Any]",
        _each_text({**definition, "services": {**services, **as_text}}, lambda text: text.replace("$", "$$")),
    )


def _each_text(value: t.Any, change: t.Callable[[str], str]) -> t.Any:
    """Return a structure with all its texts changed, except names of keys."""
    if isinstance(value, dict):
        return {key: _each_text(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_each_text(item, change) for item in value]
    return change(value) if isinstance(value, str) else value


def swarm_objects(settings: Settings, registry_ca: str | None) -> list[SwarmObject]:
    """Return the configs and secrets of a deployment.

    Args:
        settings: The cache's settings.
        registry_ca: DTR's CA in PEM; None leaves its secret out: the cache needs none, or it is not known yet.
    """
    config = config_text(settings)
    config_kind = SECRET if carries_credentials(registry_config(settings)) else CONFIG
    contents = [(config_kind, CONFIG_FILE, config)]
    authorities = (*settings.upstream_cas, *((registry_ca,) if registry_ca else ()))
    contents += [(SECRET, file, pem) for file, pem in zip(_authority_files(settings), authorities)]
    contents += [(SECRET, CERTIFICATE_FILE, settings.certificate), (SECRET, KEY_FILE, settings.private_key)]
    return [
        SwarmObject(
            kind=kind,
            file=file,
            name=f"{settings.stack_name}_{file}_{content_mark(data)}",
            data=data,
            labels={STACK_LABEL: settings.stack_name, FILE_LABEL: file, **_labels(settings, kind, file, data)},
        )
        for kind, file, data in contents
    ]


def _labels(settings: Settings, kind: str, file: str, data: str) -> dict[str, str]:
    """Return the labels by which a later run knows the owner of a file, and shows changes of a secret."""
    if file == CONFIG_FILE:
        registry = canonical_server(settings.registry_url)
        labels = {NAME_LABEL: settings.name, URL_LABEL: settings.url, REGISTRY_LABEL: registry}
        shown = {CONTENT_LABEL: as_yaml(comparable(registry_config(settings)))} if kind == SECRET else {}
        return {**labels, **shown}
    if file == KEY_FILE:
        return {}
    try:
        described = [certificates.describe(each) for each in certificates.load_certificates(data)[:_DESCRIBED]]
    except Failure:  # of invalid settings
        return {}
    return {CERTIFICATES_LABEL: json.dumps(described)}


def describe_deployment(settings: Settings, registry_ca: str | None) -> dict[str, t.Any]:
    """Return the definition of the stack, its configs and its secrets, without any secret content.

    C(compose) is the definition in the form for C(docker stack deploy).
    """
    objects = swarm_objects(settings, registry_ca)
    definition = stack_definition(settings, objects)
    named: dict[str, list[dict[str, t.Any]]] = {CONFIG: [], SECRET: []}
    for item in objects:
        named[item.kind].append({"name": item.name, "file": item.file, "labels": item.labels})
    return {
        "configs": named[CONFIG],
        "secrets": named[SECRET],
        "definition": definition,
        "compose": for_docker(definition),
    }


def files_for_review(settings: Settings, objects: t.Sequence[SwarmObject]) -> dict[str, str]:
    """Return the documented files as text by path, without anything secret."""
    public = {f"certs/{item.file}": item.data for item in objects if item.file.endswith(".cert.pem")}
    return {"docker-stack.yml": stack_text(settings, objects), CONFIG_FILE: config_for_review(settings), **public}


def content_mark(data: str) -> str:
    """Return twelve hexadecimal digits that change exactly when the content does.

    The content itself is the key of the HMAC, and each file that is not public holds a value of 128 bits or more that
    cannot be guessed (the private key; C(http.secret)), so the mark reveals nothing about it.
    """
    return hmac.new(data.encode(), b"dtr.cache content", hashlib.sha256).hexdigest()[:12]


def stack_definition(settings: Settings, objects: t.Sequence[SwarmObject]) -> dict[str, t.Any]:
    """Return the cache's C(docker-stack.yml) as data."""
    config_is_secret = any(item.kind == SECRET and item.file == CONFIG_FILE for item in objects)
    deploy: dict[str, t.Any] = {
        "replicas": settings.replicas,
        "placement": {"constraints": [f"node.labels.{settings.node_label} == true"]},
        # A replica that finished its requests ends with 0, also when its node restarts: on-failure would leave it down.
        "restart_policy": {"condition": "any"},
    }
    if _needs_a_limit(settings):
        deploy["placement"]["max_replicas_per_node"] = 1
    if settings.update_config:
        deploy["update_config"] = settings.update_config
    if settings.resources:
        deploy["resources"] = settings.resources
    service: dict[str, t.Any] = {
        "image": settings.image,
        "entrypoint": ["/start.sh", f"{SECRETS_FOLDER}/{CONFIG_FILE}" if config_is_secret else f"/{CONFIG_FILE}"],
        "ports": _ports(settings),
        "stop_grace_period": _stop_grace_period(settings),
        "deploy": deploy,
        "configs": [{"source": item.file, "target": f"/{item.file}"} for item in objects if item.kind == CONFIG],
        "secrets": [{"source": item.file, "target": item.file} for item in objects if item.kind == SECRET],
    }
    if settings.environment:
        service["environment"] = settings.environment
    definition: dict[str, t.Any] = {"version": _format(settings), "services": {"cache": service}}
    if settings.volume is not None:
        _add_volume(definition, service, settings.volume, folder_of_layers(_as_read(settings)))
    _add_extra(service, settings.service_extra)
    for kind in (CONFIG, SECRET):
        named = {item.file: {"external": {"name": item.name}} for item in objects if item.kind == kind}
        if named:
            definition[f"{kind}s"] = named
    return definition


def _authority_files(settings: Settings) -> list[str]:
    """Return the files of the CAs that the cache trusts: DTR's own beside those of other upstreams, as documented."""
    others = [f"upstream.{index}.cert.pem" for index in range(1, len(settings.upstream_cas) + 1)]
    return others if settings.registry_ca == "system" else [*others, settings.product.ca_secret]


def _as_read(settings: Settings) -> dict[str, t.Any]:
    """Return C(config.yml) with the settings that the registry reads from its environment."""
    return together(registry_config(settings), of_environment(settings.environment))


def _stop_grace_period(settings: Settings) -> str:
    """Return a time longer than the registry's own for its last requests.

    Raises:
        Failure: C(INVALID_INPUT) when that is no duration.
    """
    drain = duration(at(_as_read(settings), ("http", "draintimeout"))) or 0
    return f"{drain // 10**9 + SECONDS_TO_END}s"


def _needs_a_limit(settings: Settings) -> bool:
    """Check whether only a limit keeps two replicas from one node while the other node restarts.

    A port of the node does the same. With C(start-first) the new replica needs the node of the old one.
    """
    return (
        settings.publish_mode == "ingress"
        and 1 < settings.replicas <= len(settings.nodes)
        and settings.update_config.get("order") != "start-first"
    )


def _ports(settings: Settings) -> list[str | dict[str, t.Any]]:
    mesh = settings.publish_mode == "ingress"
    ports: list[str | dict[str, t.Any]] = [f"{settings.port}:{settings.port}" if mesh else _port_of_node(settings.port)]
    # Through the mesh, Prometheus would meet another replica at each scrape.
    return [*ports, _port_of_node(settings.metrics_port)] if settings.metrics_port else ports


def _port_of_node(port: int) -> dict[str, t.Any]:
    return {"mode": "host", "protocol": "tcp", "published": port, "target": port}


def _format(settings: Settings) -> str:
    """Return the version of the format: the documented one, or the first that has all parts in use."""
    came_with = {
        "3.4": "order" in settings.update_config or "start_period" in settings.service_extra.get("healthcheck", {}),
        "3.6": "tmpfs" in settings.service_extra,
        "3.7": "init" in settings.service_extra,
        "3.8": _needs_a_limit(settings),
    }
    return max(["3.3", *(version for version, is_used in came_with.items() if is_used)])


def _add_extra(service: dict[str, t.Any], extra: t.Mapping[str, t.Any]) -> None:
    for key, value in extra.items():
        if key == "deploy":
            service["deploy"].update(value)
        elif key == "tmpfs":
            # docker stack deploy ignores the key of the same name.
            mounts = [{"type": "tmpfs", "target": folder} for folder in value]
            service["volumes"] = [*service.get("volumes", []), *mounts]
        else:
            service[key] = value


def _add_volume(
    definition: dict[str, t.Any], service: dict[str, t.Any], volume: str | dict[str, t.Any], folder: str
) -> None:
    """Mount a folder of the node (a path) or a named volume where the registry keeps its layers."""
    if isinstance(volume, str) and volume.startswith("/"):
        service["volumes"] = [f"{volume}:{folder}"]
        return
    described = dict(volume) if isinstance(volume, dict) else {"name": volume}
    name = described.pop("name", DEFAULT_VOLUME)
    service["volumes"] = [f"{name}:{folder}"]
    definition["volumes"] = {name: described}


class _Dumper(yaml.SafeDumper):
    """Quotes texts that Docker and the registry would misread."""


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="'" if is_misread(text) else None
    ),
)


def as_yaml(data: t.Any) -> str:
    """Return the data as text that is the same for the same data."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, default_flow_style=False)
