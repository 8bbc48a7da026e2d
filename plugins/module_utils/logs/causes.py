# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue of what a cache's log, or Swarm's own words about its tasks, tell of a cause.

The texts are those of the Docker registry, of Go's network and TLS libraries, and of the Docker Engine.
"""

from __future__ import annotations

import re
import typing as t

# Where something goes wrong.
START = "start"  # the container does not get as far as serving
STORAGE = "storage"
TO_DTR = "cache->DTR"
FROM_CLIENT = "client->cache"


class Cause(t.NamedTuple):
    """A known cause.

    C(summary) is one clause that stands after the cache's name and a colon; C(hint) says what to do.
    """

    code: str
    edge: str
    summary: str
    hint: str
    pattern: re.Pattern[str]


def _cause(code: str, edge: str, summary: str, hint: str, *patterns: str) -> Cause:
    return Cause(code, edge, summary, hint, re.compile("|".join(patterns)))


_DEPLOY = "and run dtr.cache.deploy again"
_ROTATE = "and run dtr.cache.rotate"

# Words of the registry's own log, the more precise ones first: the first that fits a line is what it tells.
STARTING: tuple[Cause, ...] = (
    _cause(
        "key_mismatch",
        START,
        "its private key is not the one of the first certificate in its file",
        "Put the cache's own certificate first in dtr_cache_certificate, then each one's issuer, and give the "
        f"dtr_cache_private_key that belongs to the first, {_ROTATE}.",
        r"private key (?:type )?does not match public key",
    ),
    _cause(
        "key_unreadable",
        START,
        "its private key cannot be read",
        f"The key has to be PEM and not encrypted: give such a dtr_cache_private_key, {_ROTATE}.",
        r"failed to parse private key",
        r"PEM (?:data|block) in key input",
        r"in key input",
    ),
    _cause(
        "certificate_unreadable",
        START,
        "its certificate cannot be read",
        f"dtr_cache_certificate has to be PEM, beginning with the cache's own certificate: correct it, {_ROTATE}.",
        r"in certificate input",
        r"x509: malformed",
        r"failed to parse certificate",
    ),
    _cause(
        "ca_unreadable",
        START,
        "a CA file of its configuration holds no certificate",
        f"dtr_cache_registry_ca or dtr_cache_upstream_cas has to hold PEM certificates: correct it, {_DEPLOY}.",
        r"holds no PEM certificate",
        r"[Cc]ould not add CA to pool",
        r"failed to append certificates?",
    ),
    _cause(
        "configuration_missing",
        START,
        "it finds no config.yml",
        f"Mount the Docker config where the entry point looks for it (/config.yml), {_DEPLOY}.",
        r"configuration error: open \S+: no such file or directory",
        r"no configuration file named",
        r"configuration path unspecified",
    ),
    _cause(
        "secret_missing",
        START,
        "a secret that its configuration names is not mounted",
        f"Let the service have that secret under that name, or take the file out of config.yml, {_DEPLOY}.",
        r"(?:open|stat) /run/secrets/\S+: no such file or directory",
    ),
    _cause(
        "file_missing",
        START,
        "a file that its configuration names is not in the container",
        f"Mount the file, or name the right one (certificates and keys are in /run/secrets), {_DEPLOY}.",
        r"(?:open|stat) \S+: no such file or directory",
    ),
    _cause(
        "file_denied",
        START,
        "it may not read a file that its configuration names",
        f"Let the user of the container read the file (mode of the secret or of the mount), {_DEPLOY}.",
        r"(?:open|stat) \S+: permission denied",
    ),
    _cause(
        "storage_driver_unknown",
        START,
        "it does not know the storage driver of its configuration",
        f"Name a driver that this image has (such as filesystem, s3, swift) in dtr_cache_storage, {_DEPLOY}.",
        r"StorageDriver not registered",
    ),
    _cause(
        "storage_credentials",
        START,
        "its storage does not accept its credentials",
        f"Correct user, key and addresses of the storage in dtr_cache_storage, {_DEPLOY}.",
        r"swift authentication failed",
    ),
    _cause(
        "storage_configuration",
        START,
        "the storage of its configuration is not complete",
        f"Give exactly one storage with all that its driver needs in dtr_cache_storage, {_DEPLOY}.",
        r"must provide exactly one storage type",
        r"no storage configuration provided",
        r"[Nn]o \w+ parameter provided",
        r"invalid region provided",
    ),
    _cause(
        "configuration_syntax",
        START,
        "its config.yml is not what the registry can read",
        f"Correct the key or value that the log names (dtr_cache_config_extra, dtr_cache_storage), {_DEPLOY}.",
        r"yaml: ",
        r"unsupported version: ",
    ),
    _cause(
        "middleware_configuration",
        START,
        "the section of the content cache in its config.yml is wrong",
        f"Correct what the log names (dtr_cache_upstreams, dtr_cache_upstream_cas, dtr_cache_blob_ttl), {_DEPLOY}.",
        r"unable to configure \w+ middleware",
    ),
    _cause(
        "port_in_use",
        START,
        "its port is taken by something else",
        f"Stop what listens there (ss -ltnp on the node), or take another dtr_cache_port, {_DEPLOY}.",
        r"bind: address already in use",
    ),
    _cause(
        "port_denied",
        START,
        "it may not listen on its port",
        f"Let the container listen on a port above 1023, or run as root, {_DEPLOY}.",
        r"bind: permission denied",
    ),
    _cause(
        "configuration_error",
        START,
        "its configuration is wrong",
        f"Correct what the log names in config.yml (dtr_cache_config_extra), {_DEPLOY}.",
        r"configuration error: ",
        r"error configuring logger",
        r"unable to configure ",
        r"http\.tls\.\w+",
        r"missing port in address",
    ),
)
_FATAL = Cause(
    "start_failed",
    START,
    "it ends with an error",
    "The sample is what it said last; the whole log: docker service logs",
    re.compile(""),
)

AT_STORAGE: tuple[Cause, ...] = (
    _cause(
        "disk_full",
        STORAGE,
        "its disk is full",
        "Make room on the cache's volume or give it a larger one; a shorter dtr_cache_blob_ttl keeps less.",
        r"no space left on device",
        r"disk quota exceeded",
    ),
    _cause(
        "disk_read_only",
        STORAGE,
        "its storage is read-only",
        "Mount the cache's volume writable; a disk that had errors may have become read-only (dmesg on the node).",
        r"read-only file system",
    ),
    _cause(
        "disk_denied",
        STORAGE,
        "it may not write to its storage",
        "Let the user of the container own the cache's volume (with NFS: root_squash and the export's owner).",
        r"(?:/\S+|filesystem): (?:.*: )?(?:permission denied|operation not permitted)",
    ),
    _cause(
        "disk_broken",
        STORAGE,
        "its disk or network file system has errors",
        "Look at the disk or NFS server of the cache's volume (dmesg on the node), then restart the cache.",
        r"input/output error",
        r"stale (?:NFS )?file handle",
        r"transport endpoint is not connected",
        r"structure needs cleaning",
    ),
    _cause(
        "clock_off",
        STORAGE,
        "the clock of its node is off",
        "Set the node's clock right (chronyc tracking, timedatectl): the storage refuses requests of another time.",
        r"RequestTimeTooSkewed",
        r"RequestExpired",
    ),
    _cause(
        "storage_credentials",
        STORAGE,
        "its storage does not accept its credentials",
        f"Give valid keys that may read, write and list the bucket in dtr_cache_storage, {_DEPLOY}.",
        r"\b(?:AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|NoCredentialProviders)\b",
        r"\b(?:AuthenticationFailed|AuthorizationFailure|AuthorizationPermissionMismatch|invalid_grant)\b",
        r"swift authentication failed",
    ),
    _cause(
        "storage_bucket_missing",
        STORAGE,
        "the bucket or container of its storage does not exist",
        f"Create the bucket, or correct its name and region in dtr_cache_storage, {_DEPLOY}.",
        r"\b(?:NoSuchBucket|ContainerNotFound|PermanentRedirect|AuthorizationHeaderMalformed)\b",
        r"bucket does not exist",
    ),
    _cause(
        "storage_throttled",
        STORAGE,
        "its storage refuses requests that come too fast",
        "Look at the limits of the object store; fewer or smaller concurrent pulls help for the moment.",
        r"\b(?:SlowDown|ServerBusy|TooManyRequestsException|RequestLimitExceeded)\b",
    ),
    _cause(
        "storage_unreachable",
        STORAGE,
        "its storage does not answer",
        "Check address, network and certificate of the object store from the cache's node.",
        r"\b(?:s3aws|swift|gcs|oss|azure): .*(?:RequestError|dial tcp|timeout|refused|no such host|x509: |EOF)",
    ),
)

AT_DTR: tuple[Cause, ...] = (
    _cause(
        "upstream_ca_unknown",
        TO_DTR,
        "it does not trust the CA of DTR's certificate",
        "Give it the CA that signs DTR's certificate now (dtr_cache_registry_ca: fetch, or dtr_cache_upstream_cas for "
        f"another upstream), {_ROTATE}.",
        r"x509: certificate signed by unknown authority",
    ),
    _cause(
        "upstream_name_mismatch",
        TO_DTR,
        "DTR's certificate is not for the name that the cache uses",
        "Use a name that the certificate covers in dtr_cache_registry_url or dtr_cache_upstreams, or have DTR's "
        "certificate issued for this one.",
        r"x509: certificate is (?:not )?valid for ",
        r"x509: certificate is not valid for any names",
        r"x509: cannot validate certificate for \S+ because it doesn't contain any IP SANs",
        r"x509: certificate relies on legacy Common Name",
    ),
    _cause(
        "upstream_not_yet_valid",
        TO_DTR,
        "DTR's certificate is not valid yet by the clock of the cache's node",
        "Set the node's clock right if it is off (chronyc tracking); otherwise renew DTR's certificate.",
        r"x509: certificate has expired or is not yet valid: current time \S+ is before",
    ),
    _cause(
        "upstream_expired",
        TO_DTR,
        "DTR's certificate has expired by the clock of the cache's node",
        "Renew DTR's certificate in the settings of DTR; if it has not expired, set the node's clock right.",
        r"x509: certificate has expired or is not yet valid",
    ),
    _cause(
        "upstream_certificate",
        TO_DTR,
        "it refuses DTR's certificate",
        "The sample says what is wrong with it; correct DTR's certificate in the settings of DTR.",
        r"x509: ",
    ),
    _cause(
        "upstream_plain_http",
        TO_DTR,
        "its upstream speaks plain HTTP where HTTPS is expected",
        f"Correct scheme or port in dtr_cache_registry_url or dtr_cache_upstreams, {_DEPLOY}.",
        r"first record does not look like a TLS handshake",
        r"server gave HTTP response to HTTPS client",
    ),
    _cause(
        "upstream_wants_certificate",
        TO_DTR,
        "DTR wants a client certificate, which a cache has not",
        "Switch client certificates off in DTR or in the proxy before it, at least for the caches.",
        r"remote error: tls: (?:certificate required|bad certificate|handshake failure)",
    ),
    _cause(
        "upstream_tls",
        TO_DTR,
        "it cannot agree on a TLS connection with DTR",
        "Let DTR, or the proxy before it, offer TLS 1.2 or newer.",
        r"remote error: tls: ",
        r"tls: (?:server selected|no supported|unsupported|protocol version|handshake)",
    ),
    _cause(
        "upstream_dns",
        TO_DTR,
        "it cannot resolve DTR's name",
        "Make the name known to the name servers of the cache's node (its containers use the same), or correct it in "
        "dtr_cache_registry_url or dtr_cache_upstreams.",
        r"no such host",
        r"lookup \S+(?: on \S+)?: ",
        r"[Tt]emporary failure in name resolution",
        r"server misbehaving",
    ),
    _cause(
        "upstream_refused",
        TO_DTR,
        "DTR's address refuses its connection",
        "See that DTR runs and listens on the port of dtr_cache_registry_url (or of dtr_cache_upstreams), and that no "
        "firewall rejects the cache's node.",
        r"connect: connection refused",
    ),
    _cause(
        "upstream_no_route",
        TO_DTR,
        "there is no network route from it to DTR",
        "Mend routing or firewall between the cache's node and DTR: ip route get, on the node, with DTR's address.",
        r"connect: (?:no route to host|network is unreachable|host is down)",
    ),
    _cause(
        "upstream_timeout",
        TO_DTR,
        "DTR does not answer it in time",
        "Let firewalls pass the cache's node to DTR; if DTR is only slow, look at its load.",
        r"i/o timeout",
        r"TLS handshake timeout",
        r"timeout awaiting response headers",
        r"Client\.Timeout exceeded",
        r"context deadline exceeded",
        r"connect: connection timed out",
        r"sent nothing for ",
    ),
    _cause(
        "upstream_throttled",
        TO_DTR,
        "DTR refuses requests that come too fast",
        "Look at the rate limits of the proxy before DTR.",
        r"answered 429\b",
        r"unexpected (?:HTTP )?status(?: code)?:? 429\b",
        r"toomanyrequests",
    ),
    _cause(
        "upstream_unavailable",
        TO_DTR,
        "DTR answers it with an error",
        "Mend DTR first: its log, and dtr.cache.registry_info, tell its state.",
        r"answered 5\d\d\b",
        r"unexpected (?:HTTP )?status(?: code)?:? 5\d\d\b",
    ),
    _cause(
        "upstream_redirects",
        TO_DTR,
        "DTR redirects it where it does not go",
        "DTR's storage has to redirect to HTTPS, and the upstream must not redirect to itself or to this cache.",
        r"more than \d+ redirects",
        r"stopped after \d+ redirects",
        r"redirected from https to ",
    ),
    _cause(
        "upstream_wrong_content",
        TO_DTR,
        "what it gets from DTR is not what was asked for",
        "Look at proxies between the cache and DTR that answer in DTR's place, then at DTR's storage.",
        r"bytes that are not sha\d+:",
        r"content does not match digest",
        r"digest (?:did not match|mismatch)",
    ),
    _cause(
        "upstream_interrupted",
        TO_DTR,
        "DTR, or something before it, cuts its connections",
        "Look at proxies and firewalls between the cache and DTR, and at DTR's log. A server that speaks TLS answers "
        "plain HTTP so.",
        r"(?:upstream=|https?://).*(?:connection reset by peer|unexpected EOF|: EOF\b|broken pipe)",
    ),
    _cause(
        "upstream_token_rejected",
        TO_DTR,
        "DTR rejects the token that clients' requests carry",
        "Compare the clocks of DTR and of this region; a proxy between them must hand on query strings unchanged. "
        "Who asks the cache without having been sent by DTR is rejected, too.",
        r"answered 40[13]\b",
        r"unexpected (?:HTTP )?status(?: code)?:? 40[13]\b",
        r"unauthorized: authentication required",
        r"denied: requested access to the resource is denied",
    ),
)

AT_CLIENTS: tuple[Cause, ...] = (
    _cause(
        "client_sees_expired",
        FROM_CLIENT,
        "clients find its certificate expired",
        f"Renew dtr_cache_certificate, {_ROTATE}; otherwise look at the client's clock.",
        r"remote error: tls: (?:expired certificate|certificate expired)",
    ),
    _cause(
        "client_distrusts_cache",
        FROM_CLIENT,
        "clients do not accept its certificate",
        "Give these clients the CA of the cache in the folder of DTR (role dtr.cache.client_trust), and check the "
        "certificate's host names. The sample names a client.",
        r"remote error: tls: (?:bad certificate|unknown certificate(?: authority)?|unsupported certificate)",
    ),
    _cause(
        "client_wants_no_certificate",
        FROM_CLIENT,
        "it asks clients for certificates, which Docker clients do not have for it",
        f"Take clientcas out of http.tls in dtr_cache_config_extra, {_DEPLOY}.",
        r"client didn't provide a certificate",
    ),
    _cause(
        "client_plain_http",
        FROM_CLIENT,
        "somebody speaks plain HTTP to it",
        "Check that the cache is registered with https://, and the checks of load balancers before it.",
        r"client sent an HTTP request to an HTTPS server",
    ),
    _cause(
        "client_tls_old",
        FROM_CLIENT,
        "somebody uses a TLS version that it refuses",
        "Update the client, or the TLS settings of the load balancer before the cache.",
        r"client offered only unsupported versions",
        r"no cipher suite supported by both client and server",
    ),
)

NODE_LOST = _cause(
    "node_lost",
    START,
    "its node is lost to the Swarm",
    "Bring the node back, or name another one in dtr_cache_nodes.",
    r"heartbeat failure",
    r"node (?:is )?(?:down|unreachable)",
)
# Swarm's words about a task that it cannot start, or that has ended.
OF_TASKS: tuple[Cause, ...] = (
    _cause(
        "port_in_use",
        START,
        "its port is taken by something else",
        f"Stop what listens there (docker service ls; ss -ltnp on the node) or take another dtr_cache_port, {_DEPLOY}.",
        r"host-mode port already in use",
        r"address already in use",
        r"port is already allocated",
    ),
    _cause(
        "no_node",
        START,
        "no node of the Swarm takes it",
        "Look at labels, states and resources of the nodes in dtr_cache_nodes: docker node ls. dtr.cache.deploy sets "
        "the label.",
        r"no suitable node",
    ),
    _cause(
        "image_missing",
        START,
        "its node cannot get its image",
        "Load the image there, or let the node pull it (dtr_cache_image, dtr_cache_with_registry_auth).",
        r"[Nn]o such image",
        r"pull access denied",
        r"manifest (?:unknown|for )",
        r"repository does not exist",
    ),
    _cause(
        "volume_missing",
        START,
        "the folder or volume for its storage is not on the node",
        f"Create the folder, or correct dtr_cache_volume, {_DEPLOY}.",
        r"bind source path does not exist",
        r"invalid mount config",
        r"error while mounting volume",
        r"failed to mount",
    ),
    _cause(
        "secret_missing",
        START,
        "a secret or config of its service does not exist any more",
        "Run dtr.cache.deploy again, which creates them.",
        r"(?:secret|config)\b.*(?:not found|does not exist|could not be|unavailable)",
    ),
    _cause(
        "entrypoint_missing",
        START,
        "its image has not the program that the service starts",
        f"Use the image of the DTR content cache (dtr_cache_image, dtr_cache_product), {_DEPLOY}.",
        r"(?:exec|stat|unable to start container process).*"
        r"(?:no such file or directory|executable file not found|permission denied|exec format error)",
    ),
    _cause(
        "killed",
        START,
        "its container was killed",
        "Mostly for lack of memory: look at dmesg on the node, and raise the limit in dtr_cache_resources.",
        r"non-zero exit \(137\)",
        r"\bOOM\b",
    ),
    _cause(
        "unhealthy",
        START,
        "its container's own health check fails",
        "docker service inspect shows the check; the cache's log tells what it met.",
        r"unhealthy container",
    ),
    NODE_LOST,
    _cause(
        "container_ended",
        START,
        "its container ends",
        "Its log tells why; without one, look at the entry point of the service.",
        r"non-zero exit",
    ),
    _cause(
        "task_failed",
        START,
        "Swarm cannot run it",
        "The sample is what the Engine says: docker stack ps --no-trunc",
        r".",
    ),
)
NO_SERVICE = _cause(
    "no_service",
    START,
    "its stack has no service in this Swarm",
    "Deploy it: dtr.cache.deploy. If it should not be there any more, dtr.cache.remove also unregisters it.",
    r"no service",
)

# What explains more stands before what may only follow from it.
CATALOGUE: tuple[Cause, ...] = (
    NO_SERVICE,
    *STARTING,
    *OF_TASKS[:-2],
    _FATAL,
    *OF_TASKS[-2:],
    *AT_STORAGE,
    *AT_DTR,
    *AT_CLIENTS,
)
RANK: dict[str, int] = {code: rank for rank, code in enumerate(dict.fromkeys(cause.code for cause in CATALOGUE))}
# Says no more than that something went wrong.
VAGUE = frozenset({"start_failed", "container_ended", "task_failed"})
# Not every program says that it ends with a message; these need no such word.
_PRECISE_STARTING = tuple(cause for cause in STARTING if cause.code not in ("file_missing", "file_denied"))
_HANDSHAKE = "TLS handshake error from"


def of_task(error: str) -> Cause:
    """What Swarm's reason for the end of a task, or for its not beginning, tells."""
    return next((cause for cause in OF_TASKS if cause.pattern.search(error)), OF_TASKS[-1])


def of_line(text: str, *, fatal: bool) -> Cause | None:
    """What one message of the log tells; C(None) when it is about nothing that is known.

    Args:
        text: The message and its error, without the fields that come from a client's request.
        fatal: Whether the program ended with it.
    """
    if _HANDSHAKE in text:
        return _first(AT_CLIENTS, text)
    if fatal:
        return _first((*STARTING, *AT_STORAGE), text) or _FATAL
    return _first(AT_STORAGE, text) or _first(AT_DTR, text) or _first(_PRECISE_STARTING, text)


def _first(causes: t.Sequence[Cause], text: str) -> Cause | None:
    return next((cause for cause in causes if cause.pattern.search(text)), None)
