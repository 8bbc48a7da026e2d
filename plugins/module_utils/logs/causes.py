# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue of known causes: what a message of a cache's log, or Swarm's words about a task, points to."""

from __future__ import annotations

import functools
import re
import typing as t

from ..common.vocabulary import CACHE_TO_DTR, CLIENT_TO_CACHE

# Places where something goes wrong, besides the trust edges.
START = "start"  # the container does not get as far as serving
STORAGE = "storage"
# The ends of hints.
DEPLOY = "and run dtr.cache.deploy again"
ROTATE = "and run dtr.cache.rotate"


class Cause(t.NamedTuple):
    """A known cause.

    C(place) is a trust edge, or one of the places here. C(summary) is a clause that follows the cache's name and a
    colon; C(hint) says what to do.
    """

    code: str
    place: str
    summary: str
    hint: str
    pattern: re.Pattern[str]


def _cause(place: str, code: str, summary: str, hint: str, pattern: str = "") -> Cause:
    return Cause(code, place, summary, hint, re.compile(pattern))


_start, _storage = functools.partial(_cause, START), functools.partial(_cause, STORAGE)
_upstream, _client = functools.partial(_cause, CACHE_TO_DTR), functools.partial(_cause, CLIENT_TO_CACHE)

# Errors that keep a cache from starting, in the words of its registry's log. The first pattern that fits a line is its
# cause, so the more precise ones come first.
STARTING: tuple[Cause, ...] = (
    _start(
        "key_mismatch",
        "its private key is not the one of the first certificate in its file",
        "Put the cache's own certificate first in dtr_cache_certificate, then each one's issuer, and give the "
        f"dtr_cache_private_key that belongs to the first, {ROTATE}.",
        r"private key (?:type )?does not match public key",
    ),
    _start(
        "key_unreadable",
        "its private key cannot be read",
        f"The key has to be PEM and not encrypted: give such a dtr_cache_private_key, {ROTATE}.",
        r"failed to parse private key|PEM (?:data|block) in key input|in key input",
    ),
    _start(
        "certificate_unreadable",
        "its certificate cannot be read",
        f"dtr_cache_certificate has to be PEM, beginning with the cache's own certificate: correct it, {ROTATE}.",
        r"in certificate input|x509: malformed|failed to parse certificate",
    ),
    _start(
        "ca_unreadable",
        "a CA file of its configuration holds no certificate",
        f"dtr_cache_registry_ca or dtr_cache_upstream_cas has to hold PEM certificates: correct it, {DEPLOY}.",
        r"holds no PEM certificate|[Cc]ould not add CA to pool|failed to append certificates?",
    ),
    _start(
        "configuration_missing",
        "it finds no config.yml",
        f"Mount the Docker config where the entry point expects it (/config.yml), {DEPLOY}.",
        r"configuration error: open \S+: no such file or directory|no configuration file named"
        r"|configuration path unspecified",
    ),
    _start(
        "secret_missing",
        "a secret that its configuration names is not mounted",
        f"Let the service have that secret under that name, or take the file out of config.yml, {DEPLOY}.",
        r"(?:open|stat) /run/secrets/\S+: no such file or directory",
    ),
    _start(
        "file_missing",
        "a file that its configuration names is not in the container",
        f"Mount the file, or name the right one (certificates and keys are in /run/secrets), {DEPLOY}.",
        r"(?:open|stat) \S+: no such file or directory",
    ),
    _start(
        "file_denied",
        "it may not read a file that its configuration names",
        f"Let the user of the container read the file (mode of the secret or of the mount), {DEPLOY}.",
        r"(?:open|stat) \S+: permission denied",
    ),
    _start(
        "storage_driver_unknown",
        "it does not know the storage driver of its configuration",
        f"Name a driver that this image has (such as filesystem, s3, swift) in dtr_cache_storage, {DEPLOY}.",
        r"StorageDriver not registered",
    ),
    _start(
        "storage_credentials",
        "its storage does not accept its credentials",
        f"Correct user, key and addresses of the storage in dtr_cache_storage, {DEPLOY}.",
        r"swift authentication failed",
    ),
    _start(
        "storage_configuration",
        "the storage of its configuration is not complete",
        f"Give exactly one storage with all that its driver needs in dtr_cache_storage, {DEPLOY}.",
        r"must provide exactly one storage type|no storage configuration provided|[Nn]o \w+ parameter provided"
        r"|invalid region provided",
    ),
    _start(
        "configuration_syntax",
        "its config.yml is not what the registry can read",
        f"Correct the key or value that the log names (dtr_cache_config_extra, dtr_cache_storage), {DEPLOY}.",
        r"yaml: |unsupported version: ",
    ),
    _start(
        "middleware_configuration",
        "the section of the content cache in its config.yml is wrong",
        f"Correct what the log names (dtr_cache_upstreams, dtr_cache_upstream_cas, dtr_cache_blob_ttl), {DEPLOY}.",
        r"unable to configure \w+ middleware",
    ),
    _start(
        "port_in_use",
        "its port is taken by something else",
        f"Stop what listens there (ss -ltnp on the node), or take another dtr_cache_port, {DEPLOY}.",
        r"bind: address already in use",
    ),
    _start(
        "port_denied",
        "it may not listen on its port",
        f"Let the container listen on a port above 1023, or run as root, {DEPLOY}.",
        r"bind: permission denied",
    ),
    _start(
        "configuration_error",
        "its configuration is wrong",
        f"Correct what the log names in config.yml (dtr_cache_config_extra), {DEPLOY}.",
        r"configuration error: |error configuring logger|unable to configure |http\.tls\.\w+|missing port in address",
    ),
)

FATAL = _start(
    "start_failed",
    "it ends with an error",
    "The sample is what it said last; the whole log: docker service logs",
)

NODE_LOST = _start(
    "node_lost",
    "its node is lost to the Swarm",
    f"Start the Engine of the node, or name another one in dtr_cache_nodes, {DEPLOY}.",
    r"heartbeat failure|node (?:is )?(?:down|unreachable)",
)

# Swarm's words about a task that it cannot start, or that has ended.
OF_TASKS: tuple[Cause, ...] = (
    _start(
        "port_in_use",
        "its port is taken by something else",
        f"Stop what listens there (docker service ls; ss -ltnp on the node) or take another dtr_cache_port, {DEPLOY}.",
        r"host-mode port already in use|address already in use|port is already allocated",
    ),
    _start(
        "no_node",
        "no node of the Swarm takes it",
        "Check labels, states and resources of the nodes in dtr_cache_nodes: docker node ls. dtr.cache.deploy sets "
        "the label.",
        r"no suitable node",
    ),
    _start(
        "image_missing",
        "its node cannot get its image",
        "Correct dtr_cache_version or dtr_cache_image, load the image on the node (docker pull, docker load), or "
        f"let the node pull it (dtr_cache_with_registry_auth), {DEPLOY}.",
        r"[Nn]o such image|pull access denied|manifest (?:unknown|for )|repository does not exist",
    ),
    _start(
        "volume_missing",
        "the folder or volume for its storage is not on the node",
        f"Create the folder, or correct dtr_cache_volume, {DEPLOY}.",
        r"bind source path does not exist|invalid mount config|error while mounting volume|failed to mount",
    ),
    _start(
        "secret_missing",
        "a secret or config of its service does not exist any more",
        "Run dtr.cache.deploy again, which creates them.",
        r"(?:secret|config)\b.*(?:not found|does not exist|could not be|unavailable)",
    ),
    _start(
        "entrypoint_missing",
        "its image does not have the program that the service starts",
        f"Use the image of the DTR content cache (dtr_cache_image, dtr_cache_product), {DEPLOY}.",
        r"(?:exec|stat|unable to start container process).*"
        r"(?:no such file or directory|executable file not found|permission denied|exec format error)",
    ),
    _start(
        "killed",
        "its container was killed",
        "Mostly for lack of memory: check dmesg on the node, and raise the limit in dtr_cache_resources.",
        r"non-zero exit \(137\)|\bOOM\b",
    ),
    _start(
        "unhealthy",
        "its container's own health check fails",
        "docker service inspect shows the check; the cache's log shows why it fails.",
        r"unhealthy container",
    ),
    NODE_LOST,
    _start(
        "container_ended",
        "its container ends",
        "Its log says why; without one, check the entry point of the service.",
        r"non-zero exit",
    ),
    _start(
        "task_failed",
        "Swarm cannot run it",
        "The sample is what the Engine says: docker stack ps --no-trunc",
        r".",
    ),
)

NO_SERVICE = _start(
    "no_service",
    "its stack has no service in this Swarm",
    "Deploy it: dtr.cache.deploy. If it should not be there any more, dtr.cache.remove also unregisters it.",
    r"no service",
)

# Errors of the cache's storage: disk, network file system, object store.
AT_STORAGE: tuple[Cause, ...] = (
    _storage(
        "disk_full",
        "its disk is full",
        "Make room on the cache's volume, or give it a larger one (by another name in dtr_cache_volume, as Docker "
        "changes no volume that exists); a shorter dtr_cache_blob_ttl keeps less.",
        r"no space left on device|disk quota exceeded",
    ),
    _storage(
        "disk_read_only",
        "its storage is read-only",
        "Mount the cache's volume writable; a disk that had errors may have become read-only (dmesg on the node).",
        r"read-only file system",
    ),
    _storage(
        "disk_denied",
        "it may not write to its storage",
        "Let the user of the container own the cache's volume (with NFS: root_squash and the export's owner).",
        r"(?:/\S+|filesystem): (?:.*: )?(?:permission denied|operation not permitted)",
    ),
    _storage(
        "disk_broken",
        "its disk or network file system has errors",
        "Check the disk or NFS server of the cache's volume (dmesg on the node), then restart the cache.",
        r"input/output error|stale (?:NFS )?file handle|transport endpoint is not connected|structure needs cleaning",
    ),
    _storage(
        "clock_off",
        "the clock of its node is off",
        "Set the node's clock right (chronyc tracking, timedatectl): the storage refuses requests of another time.",
        r"RequestTimeTooSkewed|RequestExpired",
    ),
    _storage(
        "storage_credentials",
        "its storage does not accept its credentials",
        f"Give valid keys that may read, write and list the bucket in dtr_cache_storage, {DEPLOY}.",
        r"\b(?:AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|NoCredentialProviders)\b"
        r"|\b(?:AuthenticationFailed|AuthorizationFailure|AuthorizationPermissionMismatch|invalid_grant)\b"
        r"|swift authentication failed",
    ),
    _storage(
        "storage_bucket_missing",
        "the bucket or container of its storage does not exist",
        f"Create the bucket, or correct its name and region in dtr_cache_storage, {DEPLOY}.",
        r"\b(?:NoSuchBucket|ContainerNotFound|PermanentRedirect|AuthorizationHeaderMalformed)\b|bucket does not exist",
    ),
    _storage(
        "storage_throttled",
        "its storage refuses requests that come too fast",
        "Check the limits of the object store; fewer concurrent pulls help for the moment.",
        r"\b(?:SlowDown|ServerBusy|TooManyRequestsException|RequestLimitExceeded)\b",
    ),
    _storage(
        "storage_unreachable",
        "its storage does not answer",
        "Check address, network and certificate of the object store from the cache's node.",
        r"\b(?:s3aws|swift|gcs|oss|azure): .*(?:RequestError|dial tcp|timeout|refused|no such host|x509: |EOF)",
    ),
)

# Errors on the way from a cache to DTR, in the words of Go's network and TLS libraries.
AT_DTR: tuple[Cause, ...] = (
    _upstream(
        "upstream_ca_unknown",
        "it does not trust the CA of DTR's certificate",
        "Give it the CA that signs DTR's certificate now (dtr_cache_registry_ca: fetch, or dtr_cache_upstream_cas "
        f"for another upstream), {ROTATE}.",
        r"x509: certificate signed by unknown authority",
    ),
    _upstream(
        "upstream_name_mismatch",
        "DTR's certificate is not for the name that the cache uses",
        "Use a name that the certificate covers in dtr_cache_registry_url or dtr_cache_upstreams, or have DTR's "
        "certificate issued for this one.",
        r"x509: certificate is (?:not )?valid for |x509: certificate is not valid for any names"
        r"|x509: cannot validate certificate for \S+ because it doesn't contain any IP SANs"
        r"|x509: certificate relies on legacy Common Name",
    ),
    _upstream(
        "upstream_not_yet_valid",
        "DTR's certificate is not valid yet by the clock of the cache's node",
        "Set the node's clock right if it is off (chronyc tracking); otherwise renew DTR's certificate.",
        r"x509: certificate has expired or is not yet valid: current time \S+ is before",
    ),
    _upstream(
        "upstream_expired",
        "DTR's certificate has expired by the clock of the cache's node",
        "Renew DTR's certificate in the settings of DTR; if it has not expired, set the node's clock right.",
        r"x509: certificate has expired or is not yet valid",
    ),
    _upstream(
        "upstream_certificate",
        "it refuses DTR's certificate",
        "The sample says what is wrong with it; correct DTR's certificate in the settings of DTR.",
        r"x509: ",
    ),
    _upstream(
        "upstream_plain_http",
        "its upstream speaks plain HTTP where HTTPS is expected",
        f"Correct scheme or port in dtr_cache_registry_url or dtr_cache_upstreams, {DEPLOY}.",
        r"first record does not look like a TLS handshake|server gave HTTP response to HTTPS client",
    ),
    _upstream(
        "upstream_wants_certificate",
        "DTR requires a client certificate, which a cache does not have",
        "Switch client certificates off in DTR or in the proxy before it, at least for the caches.",
        r"remote error: tls: (?:certificate required|bad certificate|handshake failure)",
    ),
    _upstream(
        "upstream_tls",
        "it cannot agree on a TLS connection with DTR",
        "Let DTR, or the proxy before it, offer TLS 1.2 or newer.",
        r"remote error: tls: |tls: (?:server selected|no supported|unsupported|protocol version|handshake)",
    ),
    _upstream(
        "upstream_dns",
        "it cannot resolve DTR's name",
        "Make the name known to the name servers of the cache's node (its containers use the same), or correct it "
        "in dtr_cache_registry_url or dtr_cache_upstreams.",
        r"no such host|lookup \S+(?: on \S+)?: |[Tt]emporary failure in name resolution|server misbehaving",
    ),
    _upstream(
        "upstream_refused",
        "DTR's address refuses its connection",
        "See that DTR runs and listens on the port of dtr_cache_registry_url (or of dtr_cache_upstreams), and that "
        "no firewall rejects the cache's node.",
        r"connect: connection refused",
    ),
    _upstream(
        "upstream_no_route",
        "there is no network route from it to DTR",
        "Fix routing or firewall between the cache's node and DTR: ip route get, on the node, with DTR's address.",
        r"connect: (?:no route to host|network is unreachable|host is down)",
    ),
    _upstream(
        "upstream_timeout",
        "DTR does not answer it in time",
        "Let firewalls pass the cache's node to DTR; if DTR is only slow, check its load.",
        r"i/o timeout|TLS handshake timeout|timeout awaiting response headers|Client\.Timeout exceeded"
        r"|context deadline exceeded|connect: connection timed out|sent nothing for ",
    ),
    _upstream(
        "upstream_throttled",
        "DTR refuses requests that come too fast",
        "Check the rate limits of the proxy before DTR.",
        r"answered 429\b|unexpected (?:HTTP )?status(?: code)?:? 429\b|toomanyrequests",
    ),
    _upstream(
        "upstream_unavailable",
        "DTR answers it with an error",
        "Fix DTR first: its log, and playbook dtr.cache.status, show its state.",
        r"answered 5\d\d\b|unexpected (?:HTTP )?status(?: code)?:? 5\d\d\b",
    ),
    _upstream(
        "upstream_redirects",
        "DTR redirects it where it does not go",
        "DTR's storage has to redirect to HTTPS, and the upstream must not redirect to itself or to this cache.",
        r"more than \d+ redirects|stopped after \d+ redirects|redirected from https to ",
    ),
    _upstream(
        "upstream_wrong_content",
        "what it gets from DTR is not what was asked for",
        "Check proxies between the cache and DTR that answer in DTR's place, then at DTR's storage.",
        r"bytes that are not sha\d+:|content does not match digest|digest (?:did not match|mismatch)",
    ),
    _upstream(
        "upstream_interrupted",
        "DTR, or something before it, cuts its connections",
        "Check proxies and firewalls between the cache and DTR, and DTR's log. A server that speaks TLS answers "
        "plain HTTP so.",
        r"(?:upstream=|https?://).*(?:connection reset by peer|unexpected EOF|: EOF\b|broken pipe)",
    ),
    _upstream(
        "upstream_token_rejected",
        "DTR rejects the token that clients' requests carry",
        "Compare the clocks of DTR and of this region; a proxy between them must pass query strings unchanged. Who "
        "asks the cache without having been sent by DTR is rejected, too.",
        r"answered 40[13]\b|unexpected (?:HTTP )?status(?: code)?:? 40[13]\b|unauthorized: authentication required"
        r"|denied: requested access to the resource is denied",
    ),
)

# Errors between clients and a cache, as the cache sees them.
AT_CLIENTS: tuple[Cause, ...] = (
    _client(
        "client_sees_expired",
        "clients find its certificate expired",
        f"Renew dtr_cache_certificate, {ROTATE}; otherwise check the client's clock.",
        r"remote error: tls: (?:expired certificate|certificate expired)",
    ),
    _client(
        "client_distrusts_cache",
        "clients do not accept its certificate",
        "Give these clients the CA of the cache where they keep that of DTR, with DTR's host name as images have "
        "it: docker /etc/docker/certs.d/DTR/*.crt, containerd /etc/containerd/certs.d/DTR/hosts.toml (ca = [...], "
        "and config_path in its config.toml), podman and CRI-O /etc/containers/certs.d/DTR/*.crt. Role "
        "dtr.cache.client_trust does it (dtr_cache_client_runtimes). Check the certificate's host names as well. "
        "The sample names a client.",
        r"remote error: tls: (?:bad certificate|unknown certificate(?: authority)?|unsupported certificate)",
    ),
    _client(
        "client_wants_no_certificate",
        "it asks clients for certificates, which Docker clients do not have for it",
        f"Take clientcas out of http.tls in dtr_cache_config_extra, {DEPLOY}.",
        r"client didn't provide a certificate",
    ),
    _client(
        "client_plain_http",
        "somebody speaks plain HTTP to it",
        "Check that the cache is registered with https://, and the checks of load balancers before it.",
        r"client sent an HTTP request to an HTTPS server",
    ),
    _client(
        "client_tls_old",
        "somebody uses a TLS version that it refuses",
        "Update the client, or the TLS settings of the load balancer before the cache.",
        r"client offered only unsupported versions|no cipher suite supported by both client and server",
    ),
)

# A cause comes before those that may only follow from it.
CATALOGUE: tuple[Cause, ...] = (
    NO_SERVICE,
    *STARTING,
    *OF_TASKS[:-2],
    FATAL,
    *OF_TASKS[-2:],
    *AT_STORAGE,
    *AT_DTR,
    *AT_CLIENTS,
)

RANK: dict[str, int] = {code: rank for rank, code in enumerate(dict.fromkeys(cause.code for cause in CATALOGUE))}

# Causes that say no more than that something went wrong.
VAGUE = frozenset({"start_failed", "container_ended", "task_failed"})
# Not every program says that it ends with a message; these need no such word.
_PRECISE_STARTING = tuple(cause for cause in STARTING if cause.code not in ("file_missing", "file_denied"))
_HANDSHAKE = "TLS handshake error from"


def of_task(error: str) -> Cause:
    """Return the cause that Swarm's reason points to for which a task ended or does not begin."""
    return next((cause for cause in OF_TASKS if cause.pattern.search(error)), OF_TASKS[-1])


def of_line(text: str, *, fatal: bool) -> Cause | None:
    """Return the cause that one message of the log points to; C(None) when none is known.

    Args:
        text: The message and its error, without the fields that come from a client's request.
        fatal: Whether the program ended with it.
    """
    if _HANDSHAKE in text:
        return _first(AT_CLIENTS, text)
    if fatal:
        return _first((*STARTING, *AT_STORAGE), text) or FATAL
    return _first(AT_STORAGE, text) or _first(AT_DTR, text) or _first(_PRECISE_STARTING, text)


def _first(causes: t.Sequence[Cause], text: str) -> Cause | None:
    return next((cause for cause in causes if cause.pattern.search(text)), None)
