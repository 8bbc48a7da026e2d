# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One cache as it is wanted: what the reading of the variables gives, and all that anything else knows of them."""

from __future__ import annotations

import dataclasses
import ipaddress
import typing as t

from .presets import Product

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
