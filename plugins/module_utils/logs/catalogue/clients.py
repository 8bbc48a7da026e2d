# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trouble between clients and a cache, as the cache sees it."""

from __future__ import annotations

from ...common.edges import CLIENT_TO_CACHE
from .cause import DEPLOY, ROTATE, Cause, cause

AT_CLIENTS: tuple[Cause, ...] = (
    cause(
        "client_sees_expired",
        CLIENT_TO_CACHE,
        "clients find its certificate expired",
        f"Renew dtr_cache_certificate, {ROTATE}; otherwise check the client's clock.",
        r"remote error: tls: (?:expired certificate|certificate expired)",
    ),
    cause(
        "client_distrusts_cache",
        CLIENT_TO_CACHE,
        "clients do not accept its certificate",
        "Give these clients the CA of the cache where they keep that of DTR, with DTR's host name as images have it: "
        "docker /etc/docker/certs.d/DTR/*.crt, containerd /etc/containerd/certs.d/DTR/hosts.toml (ca = [...], and "
        "config_path in its config.toml), podman and CRI-O /etc/containers/certs.d/DTR/*.crt. Role "
        "dtr.cache.client_trust does it (dtr_cache_client_runtimes). Check the certificate's host names as well. The "
        "sample names a client.",
        r"remote error: tls: (?:bad certificate|unknown certificate(?: authority)?|unsupported certificate)",
    ),
    cause(
        "client_wants_no_certificate",
        CLIENT_TO_CACHE,
        "it asks clients for certificates, which Docker clients do not have for it",
        f"Take clientcas out of http.tls in dtr_cache_config_extra, {DEPLOY}.",
        r"client didn't provide a certificate",
    ),
    cause(
        "client_plain_http",
        CLIENT_TO_CACHE,
        "somebody speaks plain HTTP to it",
        "Check that the cache is registered with https://, and the checks of load balancers before it.",
        r"client sent an HTTP request to an HTTPS server",
    ),
    cause(
        "client_tls_old",
        CLIENT_TO_CACHE,
        "somebody uses a TLS version that it refuses",
        "Update the client, or the TLS settings of the load balancer before the cache.",
        r"client offered only unsupported versions",
        r"no cipher suite supported by both client and server",
    ),
)
