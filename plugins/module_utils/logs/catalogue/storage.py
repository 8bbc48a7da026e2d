# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trouble with a cache's own storage: disk, network file system, object store."""

from __future__ import annotations

from .cause import DEPLOY, STORAGE, Cause, cause

AT_STORAGE: tuple[Cause, ...] = (
    cause(
        "disk_full",
        STORAGE,
        "its disk is full",
        "Make room on the cache's volume, or give it a larger one (by another name in dtr_cache_volume, as Docker "
        "changes no volume that exists); a shorter dtr_cache_blob_ttl keeps less.",
        r"no space left on device",
        r"disk quota exceeded",
    ),
    cause(
        "disk_read_only",
        STORAGE,
        "its storage is read-only",
        "Mount the cache's volume writable; a disk that had errors may have become read-only (dmesg on the node).",
        r"read-only file system",
    ),
    cause(
        "disk_denied",
        STORAGE,
        "it may not write to its storage",
        "Let the user of the container own the cache's volume (with NFS: root_squash and the export's owner).",
        r"(?:/\S+|filesystem): (?:.*: )?(?:permission denied|operation not permitted)",
    ),
    cause(
        "disk_broken",
        STORAGE,
        "its disk or network file system has errors",
        "Check the disk or NFS server of the cache's volume (dmesg on the node), then restart the cache.",
        r"input/output error",
        r"stale (?:NFS )?file handle",
        r"transport endpoint is not connected",
        r"structure needs cleaning",
    ),
    cause(
        "clock_off",
        STORAGE,
        "the clock of its node is off",
        "Set the node's clock right (chronyc tracking, timedatectl): the storage refuses requests of another time.",
        r"RequestTimeTooSkewed",
        r"RequestExpired",
    ),
    cause(
        "storage_credentials",
        STORAGE,
        "its storage does not accept its credentials",
        f"Give valid keys that may read, write and list the bucket in dtr_cache_storage, {DEPLOY}.",
        r"\b(?:AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|NoCredentialProviders)\b",
        r"\b(?:AuthenticationFailed|AuthorizationFailure|AuthorizationPermissionMismatch|invalid_grant)\b",
        r"swift authentication failed",
    ),
    cause(
        "storage_bucket_missing",
        STORAGE,
        "the bucket or container of its storage does not exist",
        f"Create the bucket, or correct its name and region in dtr_cache_storage, {DEPLOY}.",
        r"\b(?:NoSuchBucket|ContainerNotFound|PermanentRedirect|AuthorizationHeaderMalformed)\b",
        r"bucket does not exist",
    ),
    cause(
        "storage_throttled",
        STORAGE,
        "its storage refuses requests that come too fast",
        "Check the limits of the object store; fewer concurrent pulls help for the moment.",
        r"\b(?:SlowDown|ServerBusy|TooManyRequestsException|RequestLimitExceeded)\b",
    ),
    cause(
        "storage_unreachable",
        STORAGE,
        "its storage does not answer",
        "Check address, network and certificate of the object store from the cache's node.",
        r"\b(?:s3aws|swift|gcs|oss|azure): .*(?:RequestError|dial tcp|timeout|refused|no such host|x509: |EOF)",
    ),
)
