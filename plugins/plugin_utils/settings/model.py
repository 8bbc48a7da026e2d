# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The typed settings of one cache, and the public part of them that the fact C(__dtr_cache.settings) has."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import ipaddress
import typing as t

from ...module_utils.common.urls import canonical_server
from ...module_utils.x509 import certificates
from .config import at, backends, given_config, volume_in_swarm
from .image import Product

Network = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

# The parts of a deployment that a role can need; what a role does not need may be left unset.
CACHE = "cache"
REGISTRY = "registry"
CERTIFICATE = "certificate"
SWARM = "swarm"
MANAGER = "manager"
ADDRESS = "address"
PORT = "port"
# The DTR and an administrator of it, whatever the cache is called there.
DTR = "dtr"
NEEDS = (CACHE, REGISTRY, CERTIFICATE, SWARM, MANAGER, ADDRESS, PORT, DTR)


@dataclasses.dataclass(frozen=True)
class Settings:
    """One cache as it is wanted. PEM texts end with exactly one newline; what is not set is empty."""

    # The cache
    name: str
    former_names: tuple[str, ...]
    host: str
    port: int  # that the stack publishes
    public_port: int  # that clients are sent to
    metrics_port: int | None
    product: Product
    image: str  # empty: that of the DTR's own version
    # The DTR
    registry_url: str
    registry_username: str
    registry_password: str = dataclasses.field(repr=False)
    registry_client_certificate: str = dataclasses.field(repr=False)  # PEM, with its key
    validate_certs: bool
    registry_ca: str  # PEM, "fetch" or "system"
    registry_ca_fingerprint: str | None
    # What the cache presents to its clients
    chain: tuple[t.Any, ...]  # x509.Certificate, the cache's own first
    certificate: str
    private_key: str = dataclasses.field(repr=False)
    ca_certificate: str
    min_days: int
    # Its configuration
    blob_ttl: str
    upstreams: tuple[str, ...]
    upstream_cas: tuple[str, ...]
    storage: dict[str, t.Any] = dataclasses.field(repr=False)
    volume: str | dict[str, t.Any] | None
    http_secret: str = dataclasses.field(repr=False)
    config_extra: dict[str, t.Any] = dataclasses.field(repr=False)
    # Its service
    nodes: tuple[str, ...]
    replicas: int
    publish_mode: str
    stack_name: str
    node_label: str
    former_stack_names: tuple[str, ...]
    environment: dict[str, str]
    resources: dict[str, t.Any]
    update_config: dict[str, t.Any]
    service_extra: dict[str, t.Any] = dataclasses.field(repr=False)
    with_registry_auth: bool
    resolve_image: str
    # How its Swarm is reached
    engine: dict[str, t.Any]  # connection options of modules that use the Engine; empty when the address is wrong
    client_bundle: str
    install_requirements: bool
    requirements: tuple[str, ...]
    timeout: int
    keep_versions: int
    # Who pulls from it, and how that is shown
    assignments: dict[str, t.Any]
    assignments_exclusive: bool
    max_resets: int
    verify_image: str | None
    verify_repository: str | None
    verify_account: str
    warm_images: tuple[str, ...]
    warm_repositories: tuple[dict[str, str], ...]
    warm_platforms: tuple[str, ...]
    warm_concurrency: int
    # Its clients
    allowed_networks: tuple[Network, ...]
    client_registries: tuple[str, ...]
    client_runtimes: tuple[str, ...]
    client_cas: tuple[str, ...]
    client_trust_state: str
    client_hosts: tuple[str, ...]
    firewall_hosts: tuple[str, ...]
    # The run; paths are absolute ones of the control node
    source_files: tuple[str, ...]
    render_to: str
    status_to: str
    backup_file: str
    adopt_to: str
    adopt_overwrite: bool
    logs_since: str
    traffic_since: str
    confirm_removal: str
    remove_volume: bool
    # What AWX or Controller is to have
    awx: dict[str, t.Any]

    @property
    def url(self) -> str:
        """The cache's address as it is registered in DTR: always with its port, as the documents show it."""
        return f"{self.origin}:{self.public_port}"

    @property
    def node_labels(self) -> dict[str, dict[str, str]]:
        """The labels of the nodes that its replicas are placed on, by node."""
        return {node: {self.node_label: "true"} for node in self.nodes}

    @property
    def origin(self) -> str:
        """The cache's address without its port."""
        return f"https://[{self.host}]" if ":" in self.host else f"https://{self.host}"


# What is as public as it is useful, under the same name.
_AS_THEY_ARE = (
    *("name", "former_names", "url", "host", "port", "public_port", "publish_mode", "image", "stack_name", "replicas"),
    "node_label",
    *("registry_url", "upstreams"),
    "former_stack_names",
    *("registry_ca_fingerprint", "validate_certs", "ca_certificate", "assignments", "assignments_exclusive"),
    "max_resets",
    *("verify_image", "verify_repository", "verify_account", "min_days", "client_registries", "client_runtimes"),
    *("client_trust_state", "confirm_removal", "remove_volume", "install_requirements", "requirements", "timeout"),
    "keep_versions",
    *("resolve_image", "with_registry_auth", "render_to", "status_to", "backup_file", "logs_since", "source_files"),
    *("traffic_since", "metrics_port"),
    *("adopt_to", "adopt_overwrite"),
    "awx",
)


def public_settings(settings: Settings, now: datetime.datetime) -> dict[str, t.Any]:
    """The settings as the fact C(__dtr_cache.settings) has them.

    Args:
        settings: The settings; wrong ones may be incomplete.
        now: The moment from which the days of the certificate are counted, with its time zone.
    """
    given = {name: _as_data(getattr(settings, name)) for name in _AS_THEY_ARE}
    certificate = _certificate(settings, now)
    config = given_config(settings.storage, settings.config_extra, settings.environment)
    return {
        **given,
        "product": settings.product.name,
        "node_labels": settings.node_labels,
        "volume": volume_in_swarm(settings.stack_name, settings.volume),
        "stores_on_node": "filesystem" in backends(config),
        "dtr": canonical_server(settings.registry_url) if settings.registry_url else "",
        "registry_ca": settings.registry_ca if settings.registry_ca in ("fetch", "system") else "given",
        "certificate": certificate,
        "claims": _claims(settings),
        "warm": {
            "images": list(settings.warm_images),
            "repositories": list(settings.warm_repositories),
            "platforms": list(settings.warm_platforms),
            "concurrency": settings.warm_concurrency,
        },
        "allowed_networks": {
            f"ipv{version}": [str(network) for network in settings.allowed_networks if network.version == version]
            for version in (4, 6)
        },
        "client_authorities": _named_authorities(settings),
        "probe": _probe(settings, certificate),
        "logs_answers": _logs_answers(config),
    }


def _logs_answers(config: t.Mapping[str, t.Any]) -> bool:
    """Whether the cache logs what it serves: in its access log, or in its own, which has it at level info."""
    is_off = at(config, ("log", "accesslog", "disabled"))
    level = at(config, ("log", "level")) or "info"
    return str(is_off).lower() != "true" or str(level).lower() in ("info", "debug")


def _as_data(value: t.Any) -> t.Any:
    return list(value) if isinstance(value, tuple) else value


def _claims(settings: Settings) -> dict[str, t.Any]:
    """The accounts of the cache as M(dtr.cache.cache_assignments) takes them; empty where it claims none."""
    return {**settings.assignments, "cache": settings.name} if any(settings.assignments.values()) else {}


def _certificate(settings: Settings, now: datetime.datetime) -> dict[str, t.Any] | None:
    if not settings.chain:
        return None
    days = min(certificates.days_left(certificate, now) for certificate in settings.chain)
    return {**certificates.describe(settings.chain[0]), "days_left": days}


def _named_authorities(settings: Settings) -> dict[str, str]:
    """The CAs of caches by the name of the file that a client keeps each in; their order does not matter."""
    return {authority_file(pem): pem for pem in (settings.ca_certificate, *settings.client_cas) if pem}


def authority_file(pem: str) -> str:
    """The name of the file in which a Docker host keeps the CA of a cache."""
    return f"dtr-cache.cache-ca.{hashlib.sha256(pem.encode()).hexdigest()[:12]}.crt"


def _probe(settings: Settings, certificate: dict[str, t.Any] | None) -> dict[str, t.Any]:
    """One of the C(caches) that M(dtr.cache.cache_health) takes; without a name there is nothing to probe."""
    return {
        "name": settings.name if settings.host else "",
        "url": settings.url,
        "port": settings.port,
        "ca_certificate": settings.ca_certificate,
        "min_days": settings.min_days,
        # Replicas that still run with another secret are not what was deployed.
        "certificate": certificate["fingerprint"] if certificate else "",
        "publish_mode": settings.publish_mode,
        "replicas": settings.replicas or None,
        "image": settings.verify_image or "",
        "account": settings.verify_account,
        "account_of": settings.assignments,
    }
