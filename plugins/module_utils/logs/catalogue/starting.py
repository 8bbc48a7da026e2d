# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a cache from starting, in the words of its registry's own log."""

from __future__ import annotations

from .cause import DEPLOY, ROTATE, START, Cause, cause

# Words of the registry's own log, the more precise ones first: the first that fits a line is its cause.
STARTING: tuple[Cause, ...] = (
    cause(
        "key_mismatch",
        START,
        "its private key is not the one of the first certificate in its file",
        "Put the cache's own certificate first in dtr_cache_certificate, then each one's issuer, and give the "
        f"dtr_cache_private_key that belongs to the first, {ROTATE}.",
        r"private key (?:type )?does not match public key",
    ),
    cause(
        "key_unreadable",
        START,
        "its private key cannot be read",
        f"The key has to be PEM and not encrypted: give such a dtr_cache_private_key, {ROTATE}.",
        r"failed to parse private key",
        r"PEM (?:data|block) in key input",
        r"in key input",
    ),
    cause(
        "certificate_unreadable",
        START,
        "its certificate cannot be read",
        f"dtr_cache_certificate has to be PEM, beginning with the cache's own certificate: correct it, {ROTATE}.",
        r"in certificate input",
        r"x509: malformed",
        r"failed to parse certificate",
    ),
    cause(
        "ca_unreadable",
        START,
        "a CA file of its configuration holds no certificate",
        f"dtr_cache_registry_ca or dtr_cache_upstream_cas has to hold PEM certificates: correct it, {DEPLOY}.",
        r"holds no PEM certificate",
        r"[Cc]ould not add CA to pool",
        r"failed to append certificates?",
    ),
    cause(
        "configuration_missing",
        START,
        "it finds no config.yml",
        f"Mount the Docker config where the entry point expects it (/config.yml), {DEPLOY}.",
        r"configuration error: open \S+: no such file or directory",
        r"no configuration file named",
        r"configuration path unspecified",
    ),
    cause(
        "secret_missing",
        START,
        "a secret that its configuration names is not mounted",
        f"Let the service have that secret under that name, or take the file out of config.yml, {DEPLOY}.",
        r"(?:open|stat) /run/secrets/\S+: no such file or directory",
    ),
    cause(
        "file_missing",
        START,
        "a file that its configuration names is not in the container",
        f"Mount the file, or name the right one (certificates and keys are in /run/secrets), {DEPLOY}.",
        r"(?:open|stat) \S+: no such file or directory",
    ),
    cause(
        "file_denied",
        START,
        "it may not read a file that its configuration names",
        f"Let the user of the container read the file (mode of the secret or of the mount), {DEPLOY}.",
        r"(?:open|stat) \S+: permission denied",
    ),
    cause(
        "storage_driver_unknown",
        START,
        "it does not know the storage driver of its configuration",
        f"Name a driver that this image has (such as filesystem, s3, swift) in dtr_cache_storage, {DEPLOY}.",
        r"StorageDriver not registered",
    ),
    cause(
        "storage_credentials",
        START,
        "its storage does not accept its credentials",
        f"Correct user, key and addresses of the storage in dtr_cache_storage, {DEPLOY}.",
        r"swift authentication failed",
    ),
    cause(
        "storage_configuration",
        START,
        "the storage of its configuration is not complete",
        f"Give exactly one storage with all that its driver needs in dtr_cache_storage, {DEPLOY}.",
        r"must provide exactly one storage type",
        r"no storage configuration provided",
        r"[Nn]o \w+ parameter provided",
        r"invalid region provided",
    ),
    cause(
        "configuration_syntax",
        START,
        "its config.yml is not what the registry can read",
        f"Correct the key or value that the log names (dtr_cache_config_extra, dtr_cache_storage), {DEPLOY}.",
        r"yaml: ",
        r"unsupported version: ",
    ),
    cause(
        "middleware_configuration",
        START,
        "the section of the content cache in its config.yml is wrong",
        f"Correct what the log names (dtr_cache_upstreams, dtr_cache_upstream_cas, dtr_cache_blob_ttl), {DEPLOY}.",
        r"unable to configure \w+ middleware",
    ),
    cause(
        "port_in_use",
        START,
        "its port is taken by something else",
        f"Stop what listens there (ss -ltnp on the node), or take another dtr_cache_port, {DEPLOY}.",
        r"bind: address already in use",
    ),
    cause(
        "port_denied",
        START,
        "it may not listen on its port",
        f"Let the container listen on a port above 1023, or run as root, {DEPLOY}.",
        r"bind: permission denied",
    ),
    cause(
        "configuration_error",
        START,
        "its configuration is wrong",
        f"Correct what the log names in config.yml (dtr_cache_config_extra), {DEPLOY}.",
        r"configuration error: ",
        r"error configuring logger",
        r"unable to configure ",
        r"http\.tls\.\w+",
        r"missing port in address",
    ),
)

FATAL = cause(
    "start_failed",
    START,
    "it ends with an error",
    "The sample is what it said last; the whole log: docker service logs",
)
