# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the settings the steps of a run and its summary need. Nothing in it is a secret."""

from __future__ import annotations

import datetime
import hashlib
import typing as t

from ...module_utils.common.urls import canonical_server
from ...module_utils.x509 import certificates, chains
from .config import at, backends, given_config
from .model import Settings
from .volume import volume_in_swarm

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
    days = min(chains.days_left(certificate, now) for certificate in settings.chain)
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
