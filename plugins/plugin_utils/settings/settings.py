# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of one cache, read once: checked, normalised and typed.

C(read_settings) takes the C(dtr_cache_*) variables as Ansible has them and gives a C(Settings) and the list of
everything that is wrong with them. Nothing is raised for a wrong variable: an operator gets all problems at once.
"""

from __future__ import annotations

import dataclasses
import datetime
import difflib
import hashlib
import hmac
import ipaddress
import re
import typing as t
from urllib.parse import urlsplit

from ...module_utils.common.failure import Failure
from ...module_utils.dtr import images
from ...module_utils.swarm.compose import byte_size, duration
from ...module_utils.x509 import certificates
from ...module_utils.x509 import chains as leaf
from . import credentials

PREFIX = "dtr_cache_"


@dataclasses.dataclass(frozen=True)
class Product:
    """What the vendor's documents call things in one line of products."""

    image: str
    version: str
    node_label: str
    ca_secret: str
    stack_name: str


PRODUCTS = {
    "dtr": Product("docker/dtr-content-cache", "2.7.6", "dtr.cache", "dtr.cert.pem", "dtr-cache"),
    "msr2": Product("mirantis/dtr-content-cache", "2.8.2", "dtr.cache", "dtr.cert.pem", "dtr-cache"),
    "msr3": Product("registry.mirantis.com/msr/msr-content-cache", "3.0.7", "msr.cache", "msr.cert.pem", "msr-cache"),
}

# The parts of a deployment that a role can need; what a role does not need may be left unset.
CACHE = "cache"
REGISTRY = "registry"
CERTIFICATE = "certificate"
SWARM = "swarm"
MANAGER = "manager"
ADDRESS = "address"
PORT = "port"
NEEDS = (CACHE, REGISTRY, CERTIFICATE, SWARM, MANAGER, ADDRESS, PORT)

CLIENT_RUNTIMES = ("docker", "containerd")


@dataclasses.dataclass(frozen=True)
class Backend:
    """The keys of one of the registry's storage backends."""

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    # Of each group all or none: without them the registry takes the credentials of its environment.
    together: tuple[str, ...] = ()


STORAGE_BACKENDS = {
    "filesystem": Backend(optional=("rootdirectory", "maxthreads")),
    "s3": Backend(
        required=("region", "bucket"),
        together=("accesskey", "secretkey"),
        optional=(
            *("regionendpoint", "sessiontoken", "rootdirectory", "encrypt", "keyid", "secure", "skipverify", "v4auth"),
            *("chunksize", "multipartcopychunksize", "multipartcopymaxconcurrency", "multipartcopythresholdsize"),
            *("storageclass", "objectacl", "useragent", "usedualstack", "accelerate", "loglevel", "forcepathstyle"),
        ),
    ),
    "azure": Backend(required=("accountname", "accountkey", "container"), optional=("realm", "rootdirectory")),
    "gcs": Backend(
        required=("bucket",), optional=("keyfile", "credentials", "rootdirectory", "chunksize", "maxconcurrency")
    ),
    "swift": Backend(
        required=("username", "password", "authurl", "container"),
        optional=(
            *("tenant", "tenantid", "tenantdomain", "tenantdomainid", "domain", "domainid", "trustid", "region"),
            *("accesskey", "secretkey", "tempurlcontainerkey", "tempurlmethods", "authversion", "endpointtype"),
            *("insecureskipverify", "chunksize", "prefix", "rootdirectory"),
        ),
    ),
    "oss": Backend(
        required=("accesskeyid", "accesskeysecret", "region", "bucket"),
        optional=("endpoint", "internal", "encrypt", "encryptionkeyid", "secure", "chunksize", "rootdirectory"),
    ),
    "inmemory": Backend(),
}
STORAGE_OPTIONS = {
    "cache": ("blobdescriptor", "blobdescriptorsize"),
    "delete": ("enabled",),
    "maintenance": ("uploadpurging", "readonly"),
    "redirect": ("disable",),
}

_HOST_LABEL = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
_HOST = re.compile(rf"{_HOST_LABEL}(\.{_HOST_LABEL})*\.?")
# The first part of an image's reference, and a folder below /etc/docker/certs.d.
_REFERENCE_HOST = re.compile(rf"({_HOST_LABEL}(\.{_HOST_LABEL})*|\[[0-9A-Fa-f:]+\])(:[0-9]{{1,5}})?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_DURATION = re.compile(r"[1-9][0-9]*(ns|us|ms|s|m|h)")
# The registry counts nanoseconds in 64 bits.
_LONGEST_DURATION = 2**63 - 1
# Together with upstream.10.cert.pem and the mark of its content: the 64 letters that Swarm allows.
_STACK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,29}")
_IMAGE_IN_REGISTRY = re.compile(r"[a-z0-9][a-z0-9._-]*/[a-z0-9][a-z0-9._/-]*(:[\w][\w.-]{0,127}|@sha256:[0-9a-f]{64})")


@dataclasses.dataclass(frozen=True)
class Settings:
    """One cache as it is wanted. PEM texts end with exactly one newline."""

    name: str
    host: str
    port: int
    product: Product
    image: str
    registry_url: str
    registry_ca: str  # PEM, "fetch" or "system"
    registry_ca_fingerprint: str | None
    nodes: tuple[str, ...]
    replicas: int
    publish_mode: str
    chain: tuple[t.Any, ...]  # x509.Certificate, the cache's own first
    certificate: str
    private_key: str
    ca_certificate: str
    blob_ttl: str
    upstreams: tuple[str, ...]
    upstream_cas: tuple[str, ...]
    storage: dict[str, t.Any]
    volume: str | dict[str, t.Any] | None
    http_secret: str
    config_extra: dict[str, t.Any]
    stack_name: str
    environment: dict[str, str]
    resources: dict[str, t.Any]
    update_config: dict[str, t.Any]
    assignments: dict[str, t.Any]
    assignments_exclusive: bool
    verify_image: str | None
    min_days: int
    verify_repository: str | None
    warm_images: tuple[str, ...]
    warm_repositories: tuple[dict[str, str], ...]
    warm_platforms: tuple[str, ...]
    warm_concurrency: int
    client_bundle: str
    confirm_removal: str
    allowed_networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
    client_registries: tuple[str, ...]
    client_runtimes: tuple[str, ...]
    client_cas: tuple[str, ...]

    @property
    def url(self) -> str:
        """The cache's address as it is registered in DTR: always with its port, as the documents show it."""
        return f"{self.origin}:{self.port}"

    @property
    def origin(self) -> str:
        """The cache's address without its port."""
        return f"https://[{self.host}]" if ":" in self.host else f"https://{self.host}"


def read_settings(
    variables: t.Mapping[str, t.Any],
    *,
    known: t.Collection[str],
    needs: t.Collection[str],
    read_file: t.Callable[[str], str],
    now: datetime.datetime,
) -> tuple[Settings, list[str]]:
    """Read the variables of one cache.

    Args:
        variables: C(dtr_cache_*) variables with their defaults, templated.
        known: The names of the vocabulary.
        needs: The parts of the deployment (C(NEEDS)) that must be complete.
        read_file: Reads a text file of the control node; raises C(Failure) whose message tells why that failed.
        now: The moment for which certificates are judged, with its time zone.

    Returns:
        The settings, of use only when nothing is wrong, and one sentence a problem, in the order of the vocabulary.
    """
    reader = _Reader(variables, read_file)
    for name in sorted(set(variables) - set(known)):
        similar = difflib.get_close_matches(name, known, n=1)
        reader.problem(name, f"is no variable of dtr.cache; did you mean {similar[0]}?" if similar else "is unknown")

    product = PRODUCTS[reader.choice("product", PRODUCTS) or "dtr"]
    name = _read_name(reader, CACHE in needs or REGISTRY in needs)
    host = _read_host(reader, CACHE in needs)
    port = reader.integer("port", 1, 65535) or 443
    registry_url = _read_registry_url(reader, needs)
    registry_ca, fingerprint = _read_registry_ca(reader)
    nodes = tuple(reader.items("nodes", SWARM in needs, "the host names of the Swarm nodes to dedicate to the cache"))
    _check_unique(reader, "nodes", nodes)
    publish_mode = reader.choice("publish_mode", ("ingress", "host")) or "ingress"
    replicas = _read_replicas(reader, nodes, publish_mode)
    chain, certificate, private_key, ca_certificate = _read_certificate(reader, host, CERTIFICATE in needs, now)
    upstreams, upstream_cas = _read_upstreams(reader)
    storage = _read_storage(reader)
    stack_name = reader.text("stack_name") or product.stack_name
    if not _STACK_NAME.fullmatch(stack_name):
        reader.problem("stack_name", f"{stack_name!r} is not a stack's name: up to 30 letters, digits, - and _")
    min_days = reader.integer("min_days", 0, 3650)
    warm_images, warm_repositories = _read_warm_images(reader)
    settings = Settings(
        name=name,
        host=host,
        port=port,
        product=product,
        image=reader.text("image") or f"{product.image}:{reader.text('version') or product.version}",
        registry_url=registry_url,
        registry_ca=registry_ca,
        registry_ca_fingerprint=fingerprint,
        nodes=nodes,
        replicas=replicas,
        publish_mode=publish_mode,
        chain=chain,
        certificate=certificate,
        private_key=private_key,
        ca_certificate=ca_certificate,
        blob_ttl=_read_blob_ttl(reader),
        upstreams=upstreams,
        upstream_cas=upstream_cas,
        storage=storage,
        volume=_read_volume(reader, storage),
        http_secret=_read_http_secret(reader, name, private_key),
        config_extra=_read_config_extra(reader),
        stack_name=stack_name,
        environment=_read_environment(reader),
        resources=_read_resources(reader),
        update_config=_read_update_config(reader),
        assignments=_read_assignments(reader),
        assignments_exclusive=reader.boolean("assignments_exclusive"),
        verify_image=_read_verify_image(reader),
        min_days=14 if min_days is None else min_days,
        verify_repository=_read_verify_repository(reader),
        warm_images=warm_images,
        warm_repositories=warm_repositories,
        warm_platforms=_read_warm_platforms(reader),
        warm_concurrency=reader.integer("warm_concurrency", 1, 128) or 4,
        allowed_networks=_read_allowed_networks(reader),
        client_registries=_read_client_registries(reader, registry_url),
        client_runtimes=_read_client_runtimes(reader),
        client_cas=_read_authorities(reader, "client_cas"),
        client_bundle=reader.text("client_bundle"),
        confirm_removal=reader.text("confirm_removal"),
    )
    reader.boolean("registry_validate_certs")
    reader.boolean("with_registry_auth")
    reader.boolean("install_requirements")
    _check_docker_host(reader)
    for name in ("render_to", "status_to", "logs_since"):
        reader.text(name)
    reader.choice("resolve_image", ("always", "changed", "never"))
    reader.integer("timeout", 1, 86400)
    reader.choice("client_trust_state", ("present", "absent"))
    reader.integer("keep_versions", 0, 100)
    return settings, reader.problems


class _Reader:
    """Reads single variables and collects what is wrong with them."""

    def __init__(self, variables: t.Mapping[str, t.Any], read_file: t.Callable[[str], str]) -> None:
        self._variables = variables
        self._read_file = read_file
        self.problems: list[str] = []

    def problem(self, name: str, sentence: str) -> None:
        name = name if name.startswith(PREFIX) else PREFIX + name
        self.problems.append(f"{name}: {sentence}")

    def raw(self, name: str) -> t.Any:
        value = _plain(self._variables.get(PREFIX + name))
        return None if value is None or value == "" else value

    def text(self, name: str, required: bool = False, meaning: str = "") -> str:
        value = self.raw(name)
        if value is None:
            if required:
                self.problem(name, f"is required: {meaning}")
            return ""
        if isinstance(value, (dict, list)):
            self.problem(name, "must be text")
            return ""
        return _as_text(value).strip()

    def integer(self, name: str, low: int, high: int) -> int | None:
        value = self.text(name)
        if not value:
            return None
        if re.fullmatch(r"[0-9]+", value) and low <= int(value) <= high:
            return int(value)
        self.problem(name, f"{_quoted(value)} is not a whole number from {low} to {high}")
        return None

    def boolean(self, name: str) -> bool:
        value = self.text(name).lower()
        if value not in ("true", "false", "yes", "no", "on", "off", "1", "0", ""):
            self.problem(name, f"{_quoted(value)} is neither true nor false")
        return value in ("true", "yes", "on", "1")

    def choice(self, name: str, choices: t.Iterable[str]) -> str | None:
        value = self.text(name)
        if value and value not in choices:
            self.problem(name, f"{_quoted(value)} is none of {', '.join(choices)}")
            return None
        return value or None

    def items(self, name: str, required: bool = False, meaning: str = "") -> list[str]:
        """A list, also given as text with commas or line breaks (surveys know no lists)."""
        value = self.raw(name)
        if isinstance(value, dict):
            self.problem(name, "must be a list")
            return []
        found = as_items(value)
        if required and not found:
            self.problem(name, f"is required: {meaning}")
        return found

    def mapping(self, name: str) -> dict[str, t.Any]:
        value = self.raw(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.problem(name, "must be a mapping of keys to values")
            return {}
        return dict(value)

    def pem(self, name: str, value: str) -> str:
        """A PEM text, given itself or as a path on the control node."""
        if "-----BEGIN" not in value:
            try:
                value = self._read_file(value)
            except Failure as failure:
                # What is no path may be the key itself in another notation, such as base64.
                if name == "private_key" or not credentials.may_be_shown(value):
                    self.problem(name, "is neither PEM text nor a file of the control node that can be read")
                else:
                    self.problem(name, f"{value} cannot be read on the control node: {failure.message}")
                return ""
        return "\n".join(line.rstrip() for line in value.strip().splitlines()) + "\n"


def as_items(value: t.Any) -> list[str]:
    """A list of texts from a list, from text with commas or line breaks, or from nothing."""
    if value is None:
        return []
    values = value if isinstance(value, (list, tuple)) else re.split(r"[,\n]", str(value))
    return [text for text in (str(item).strip() for item in values) if text]


def _plain(value: t.Any) -> t.Any:
    """The same without the types by which ansible-core marks where a value came from: YAML cannot represent them."""
    if isinstance(value, t.Mapping):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value


def _as_text(value: t.Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _quoted(value: str) -> str:
    """A wrong value as a problem shows it, if it may be shown."""
    return repr(value) if credentials.may_be_shown(value) else "what is given"


def _check_unique(reader: _Reader, name: str, values: t.Sequence[str]) -> None:
    for value in sorted({value for value in values if values.count(value) > 1}):
        reader.problem(name, f"{value} is named more than once")


def _read_name(reader: _Reader, required: bool) -> str:
    name = reader.text("name", required, "the cache's name in DTR, such as region-asia")
    if name.lower() == "local":
        reader.problem("name", "'local' is what DTR calls pulling without a cache; choose another name")
    elif name and not _NAME.fullmatch(name):
        reader.problem("name", f"{_quoted(name)} is not a cache's name: up to 128 letters, digits, dots, - and _")
    return name


def _read_host(reader: _Reader, required: bool) -> str:
    host = reader.text("host", required, "the cache's public host name, such as cache-asia.example.org")
    if host.startswith("[") and host.endswith("]"):  # an IPv6 address as an URL has it
        host = host[1:-1]
    if not host or _is_host(host):
        return host
    if "/" in host:
        reader.problem("host", f"{_quoted(host)} must be a host name alone, without scheme and path")
    else:
        hint = "; its port belongs in dtr_cache_port" if ":" in host else ""
        reader.problem("host", f"{_quoted(host)} is not a host name{hint}")
    return ""


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return len(host) <= 253 and _HOST.fullmatch(host) is not None
    return True


def _read_url(reader: _Reader, name: str, url: str) -> str:
    """The address without a slash at its end. One that may hold somebody's credentials is told of, and forgotten."""
    if "@" in url:
        reader.problem(name, "must not carry credentials, nor any other @; use the variables for them")
        return ""
    try:
        parts = urlsplit(url)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        parts, port_is_valid = urlsplit(""), False
    if parts.scheme != "https" or not parts.hostname or not port_is_valid:
        reader.problem(name, f"{_quoted(url)} is not an address of the form https://host[:port]")
    elif parts.path not in ("", "/") or parts.query or parts.fragment:
        reader.problem(name, f"{_quoted(url)} must end after the host and its port")
    return url.rstrip("/")


def _read_registry_url(reader: _Reader, needs: t.Collection[str]) -> str:
    required = REGISTRY in needs or ADDRESS in needs
    url = reader.text("registry_url", required, "the address of the DTR, such as https://dtr.example.org")
    url = url and _read_url(reader, "registry_url", url)
    if REGISTRY in needs:
        reader.text("registry_username", True, "an administrator of the DTR (or the environment's DTR_USERNAME)")
        reader.text("registry_password", True, "its password or an access token (or the environment's DTR_PASSWORD)")
    return url


def _read_registry_ca(reader: _Reader) -> tuple[str, str | None]:
    authority = reader.text("registry_ca") or "fetch"
    bundle = []
    if authority not in ("fetch", "system"):
        authority = reader.pem("registry_ca", authority)
        bundle = _load_certificates(reader, "registry_ca", authority)
    fingerprint = reader.text("registry_ca_fingerprint")
    if fingerprint and authority == "system":
        reader.problem(
            "registry_ca_fingerprint",
            "pins nothing with dtr_cache_registry_ca system, where any CA of the system's may vouch for the DTR; leave "
            "one of them out",
        )
    elif fingerprint:
        try:
            fingerprint = certificates.normalise_fingerprint(fingerprint)
            # Whoever gives the CA vouches for all of it, such as an old and a new one together.
            if bundle and fingerprint not in map(certificates.fingerprint, bundle):
                reader.problem("registry_ca_fingerprint", "none of the certificates of dtr_cache_registry_ca has it")
        except Failure as failure:
            reader.problem("registry_ca_fingerprint", failure.message)
    return authority, fingerprint or None


def _load_certificates(reader: _Reader, name: str, pem: str) -> list[t.Any]:
    if not pem:
        return []
    try:
        return list(certificates.load_certificates(pem))
    except Failure as failure:
        reader.problem(name, failure.message)
        return []


def _check_docker_host(reader: _Reader) -> None:
    address = reader.text("docker_host")
    if address and not re.match(r"(unix|npipe|ssh|tcp|https)://.", address):
        reader.problem(
            "docker_host",
            f"{_quoted(address)} is not an Engine's address such as unix:///var/run/docker.sock or "
            "tcp://manager:2376; http:// would carry the private key in the clear",
        )


def _read_replicas(reader: _Reader, nodes: t.Sequence[str], publish_mode: str) -> int:
    replicas = reader.integer("replicas", 1, 1000) or len(nodes)
    if publish_mode == "host" and nodes and replicas > len(nodes):
        reader.problem(
            "replicas",
            f"{replicas} replicas cannot run on {len(nodes)} node(s): with dtr_cache_publish_mode host each needs the "
            "port of a node for itself",
        )
    return replicas


def _read_certificate(
    reader: _Reader, host: str, required: bool, now: datetime.datetime
) -> tuple[tuple[t.Any, ...], str, str, str]:
    certificate = reader.text("certificate", required, "the cache's certificate, PEM text or a path")
    private_key = reader.text("private_key", required, "the private key of the certificate, PEM text or a path")
    authority = reader.text("ca_certificate")
    certificate = certificate and reader.pem("certificate", certificate)
    private_key = private_key and reader.pem("private_key", private_key)
    authority = authority and reader.pem("ca_certificate", authority)
    chain = tuple(_load_certificates(reader, "certificate", certificate))
    authorities = _load_certificates(reader, "ca_certificate", authority)
    key_is_sound = False
    if private_key:
        problem = leaf.key_problem(private_key)
        key_is_sound = problem is None
        if problem:
            reader.problem("private_key", problem)
    if chain:
        try:
            for problem in leaf.chain_problems(chain, host, private_key if key_is_sound else None, now):
                reader.problem("certificate", problem)
        except Failure as failure:
            reader.problem("certificate", f"{failure.message} {failure.hint}")
        try:
            if authorities and not leaf.signed_by(chain, authorities):
                reader.problem(
                    "ca_certificate", "did not sign the cache's certificate, nor an intermediate that stands behind it"
                )
        except Failure as failure:
            reader.problem("ca_certificate", f"{failure.message} {failure.hint}")
    return chain, certificate, private_key, authority


def _read_blob_ttl(reader: _Reader) -> str:
    ttl = reader.text("blob_ttl") or "24h"
    if re.fullmatch(r"[0-9]+", ttl):
        reader.problem("blob_ttl", f"{ttl} has no unit and would mean nanoseconds; write {ttl}h, {ttl}m or {ttl}s")
    elif not _DURATION.fullmatch(ttl):
        reader.problem("blob_ttl", f"{_quoted(ttl)} is not a positive whole number with a unit (ns, us, ms, s, m, h)")
    elif (duration(ttl) or 0) > _LONGEST_DURATION:
        reader.problem("blob_ttl", f"{ttl} is longer than the cache can count, 292 years")
    return ttl


def _read_upstreams(reader: _Reader) -> tuple[tuple[str, ...], tuple[str, ...]]:
    upstreams = [_read_url(reader, "upstreams", url) for url in reader.items("upstreams")]
    return tuple(upstreams), _read_authorities(reader, "upstream_cas")


def _read_authorities(reader: _Reader, name: str) -> tuple[str, ...]:
    """A list of CAs, each a PEM text or a path; one alone may be given as text."""
    authorities = reader.raw(name) or []
    if isinstance(authorities, str):
        authorities = [authorities] if "-----BEGIN" in authorities else as_items(authorities)
    pems = []
    for authority in authorities:
        pems.append(reader.pem(name, str(authority)))
        _load_certificates(reader, name, pems[-1])
    return tuple(pems)


def _read_storage(reader: _Reader) -> dict[str, t.Any]:
    storage = reader.mapping("storage")
    unknown = sorted(set(storage) - set(STORAGE_BACKENDS) - set(STORAGE_OPTIONS))
    if unknown:
        reader.problem(
            "storage", f"{', '.join(unknown)} is no storage backend; there are {', '.join(STORAGE_BACKENDS)}"
        )
    chosen = [backend for backend in STORAGE_BACKENDS if backend in storage]
    if len(chosen) > 1:
        reader.problem("storage", f"names {' and '.join(chosen)}; the registry takes exactly one backend")
    for backend in chosen:
        _check_backend(reader, backend, storage[backend])
    for option in sorted(set(storage) & set(STORAGE_OPTIONS)):
        _check_keys(reader, option, storage[option], STORAGE_OPTIONS[option])
    delete = storage.get("delete")
    if delete is not None and not (isinstance(delete, dict) and delete.get("enabled") is True):
        reader.problem("storage", "delete.enabled must stay true: without it a layer could never expire")
    return storage if chosen else {"filesystem": {"rootdirectory": "/var/lib/registry"}, **storage}


def _check_backend(reader: _Reader, name: str, given: t.Any) -> None:
    """The registry would end at once without a key that it needs, and not notice one that it does not know."""
    backend = STORAGE_BACKENDS[name]
    if not _check_keys(reader, name, given, (*backend.required, *backend.together, *backend.optional)):
        return
    present = {key for key, value in (given or {}).items() if value not in (None, "")}
    missing = [key for key in backend.required if key not in present]
    if missing:
        reader.problem("storage", f"{name} needs {', '.join(missing)}")
    lonely = [key for key in backend.together if key not in present]
    if lonely and len(lonely) < len(backend.together):
        reader.problem("storage", f"{name} has no {', '.join(lonely)}; {' and '.join(backend.together)} go together")


def _check_keys(reader: _Reader, name: str, given: t.Any, known: t.Sequence[str]) -> bool:
    """Whether a part of C(storage) is a mapping of known keys."""
    if given is not None and not isinstance(given, dict):
        reader.problem("storage", f"{name} must be a mapping of keys to values")
        return False
    unknown = sorted(str(key) for key in set(given or {}) - set(known))
    for key in unknown:
        similar = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {similar[0]}?" if similar else f"there are {', '.join(known) or 'none'}"
        reader.problem("storage", f"{name} has no key {key}; {hint}")
    return not unknown


def _read_volume(reader: _Reader, storage: t.Mapping[str, t.Any]) -> str | dict[str, t.Any] | None:
    volume = reader.raw("volume")
    if volume is None:
        return None
    if "filesystem" not in storage:
        reader.problem("volume", "is of use only with the storage backend filesystem")
    if isinstance(volume, dict):
        unknown = sorted(set(volume) - {"driver", "driver_opts"})
        if unknown:
            reader.problem("volume", f"{', '.join(unknown)} is unknown; a volume has driver and driver_opts")
        options = volume.get("driver_opts") or {}
        if not isinstance(options, dict):
            reader.problem("volume", "driver_opts must be a mapping of keys to values")
        elif credentials.options_carry_credentials(options):
            reader.problem(
                "volume",
                "driver_opts carry a credential, which everybody who may inspect the volume or the service would read; "
                "mount the storage on the nodes themselves and give its path",
            )
        return dict(volume)
    return _as_text(volume)


def _read_environment(reader: _Reader) -> dict[str, str]:
    """Everybody who may inspect the service reads its environment, and so does the plan of each run."""
    environment = {str(key): _as_text(value) for key, value in reader.mapping("environment").items()}
    for key, value in environment.items():
        names_a_file = key.endswith("_FILE") or value.startswith("/run/secrets/")
        if credentials.is_credential((key,), value) and not names_a_file:
            reader.problem(
                "environment",
                f"{key} holds a credential, which everybody who may inspect the service would read; give it in "
                "dtr_cache_storage or dtr_cache_config_extra, which makes config.yml a Docker secret",
            )
    return environment


def _read_config_extra(reader: _Reader) -> dict[str, t.Any]:
    extra = reader.mapping("config_extra")
    for section in ("http", "storage"):
        if not isinstance(extra.get(section) or {}, dict):
            reader.problem("config_extra", f"{section} must be a mapping of keys to values")
            return {}
    drain = (extra.get("http") or {}).get("draintimeout")
    if drain is not None and not (isinstance(drain, int) and drain >= 0):
        _read_known(reader, "config_extra", "http.", {"draintimeout": drain}, {"draintimeout": _time})
    return extra


def _read_resources(reader: _Reader) -> dict[str, t.Any]:
    """What a service may use of its node, in the form that Docker takes: numbers as text."""

    def part(name: str) -> t.Callable[[t.Any], dict[str, t.Any]]:
        return lambda given: _read_known(
            reader, "resources", f"{name}.", given, {"cpus": _processors, "memory": _memory}
        )

    parts = {name: part(name) for name in ("limits", "reservations")}
    return _read_known(reader, "resources", "", reader.mapping("resources"), parts)


def _read_update_config(reader: _Reader) -> dict[str, t.Any]:
    known: dict[str, t.Callable[[t.Any], t.Any]] = {
        "parallelism": _count,
        "delay": _time,
        "failure_action": _one_of("continue", "pause", "rollback"),
        "monitor": _time,
        "max_failure_ratio": _ratio,
        "order": _one_of("start-first", "stop-first"),
    }
    return _read_known(reader, "update_config", "", reader.mapping("update_config"), known)


def _read_known(
    reader: _Reader, name: str, prefix: str, given: t.Any, known: t.Mapping[str, t.Callable[[t.Any], t.Any]]
) -> dict[str, t.Any]:
    """The known keys of a mapping, each as its own reader gives it.

    Docker would refuse the others, and values of another kind, when half of the deployment is done.
    """
    if not isinstance(given, dict):
        reader.problem(name, f"{prefix.rstrip('.')} must be a mapping of keys to values")
        return {}
    result = {}
    for key, value in given.items():
        if key not in known:
            similar = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {similar[0]}?" if similar else f"there are {', '.join(known)}"
            reader.problem(name, f"{prefix}{key} is unknown; {hint}")
        elif value is not None:
            try:
                result[key] = known[key](value)
            except Failure as failure:
                reader.problem(name, f"{prefix}{key}: {failure.message.rstrip('.')}")
    return result


def _processors(value: t.Any) -> str:
    text = _as_text(value)
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?|\.[0-9]+", text) or not float(text):
        raise Failure("INVALID_INPUT", f"{_quoted(text)} is not a number of processors such as 0.5")
    return text


def _memory(value: t.Any) -> str:
    text = _as_text(value)
    byte_size(text)
    return text


def _time(value: t.Any) -> str:
    text = _as_text(value)
    if re.fullmatch(r"[0-9]+", text):
        raise Failure("INVALID_INPUT", f"{text} has no unit; write for example {text}s")
    duration(text)
    return text


def _count(value: t.Any) -> int:
    text = _as_text(value)
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise Failure("INVALID_INPUT", f"{_quoted(text)} is not a whole number")
    return int(text)


def _ratio(value: t.Any) -> float:
    text = _as_text(value)
    if not re.fullmatch(r"0?\.[0-9]+|[01](\.0+)?", text):
        raise Failure("INVALID_INPUT", f"{_quoted(text)} is not a number from 0 to 1")
    return float(text)


def _one_of(*choices: str) -> t.Callable[[t.Any], str]:
    def read(value: t.Any) -> str:
        if value not in choices:
            raise Failure("INVALID_INPUT", f"{_quoted(_as_text(value))} is none of {', '.join(choices)}")
        return str(value)

    return read


def _read_http_secret(reader: _Reader, name: str, private_key: str) -> str:
    """The registry's C(http.secret): the given one, or one that only the holder of the private key can compute.

    Deriving it keeps it the same on each run and on each replica without storing it anywhere.
    """
    secret = reader.text("http_secret")
    if secret and len(secret) < 32:
        reader.problem("http_secret", "must have at least 32 characters; leave it out to have one derived")
    derived = hmac.new(private_key.encode(), f"dtr.cache http.secret {name}".encode(), hashlib.sha256).hexdigest()
    return secret or derived


def _read_assignments(reader: _Reader) -> dict[str, t.Any]:
    given = reader.mapping("assignments")
    kinds = ("accounts", "teams", "orgs")
    unknown = sorted(set(given) - {*kinds, "everyone"})
    if unknown:
        reader.problem("assignments", f"{', '.join(unknown)} is unknown; there are accounts, teams, orgs and everyone")
    wanted: dict[str, t.Any] = {kind: as_items(given.get(kind)) for kind in kinds}
    for team in wanted["teams"]:
        if not re.fullmatch(r"[^/]+/[^/]+", team):
            reader.problem("assignments", f"team {_quoted(team)} must be written organisation/team")
    wanted["everyone"] = _as_text(given.get("everyone") or False).lower() in ("true", "yes", "on", "1")
    return wanted


def _read_verify_image(reader: _Reader) -> str | None:
    image = reader.text("verify_image")
    if image and not _IMAGE_IN_REGISTRY.fullmatch(image):
        reader.problem(
            "verify_image",
            f"{_quoted(image)} is not an image in the DTR, written namespace/repository:tag without the host",
        )
    return image or None


def _read_verify_repository(reader: _Reader) -> str | None:
    repository = reader.text("verify_repository")
    return _repository(reader, "verify_repository", repository) if repository else None


def _repository(reader: _Reader, name: str, repository: str) -> str:
    try:
        return images.parse_repository(repository, name)
    except Failure:
        reader.problem(name, f"{_quoted(repository)} is not a repository in the DTR, written namespace/repository")
        return ""


def _read_warm_images(reader: _Reader) -> tuple[tuple[str, ...], tuple[dict[str, str], ...]]:
    """Images by their names, and repositories with a pattern of tags."""
    given = reader.raw("warm_images")
    entries = given if isinstance(given, list) else [given] if isinstance(given, dict) else as_items(given)
    names: dict[str, None] = {}
    repositories: list[dict[str, str]] = []
    for entry in entries:
        if isinstance(entry, dict):
            repositories += _warm_repository(reader, entry)
            continue
        name = _as_text(entry).strip()
        try:
            images.parse_name(name)
        except Failure:
            reader.problem(
                "warm_images",
                f"{_quoted(name)} is not an image in the DTR, written namespace/repository:tag without the host",
            )
        names[name] = None
    return tuple(names), tuple(repositories)


def _warm_repository(reader: _Reader, entry: dict[str, t.Any]) -> list[dict[str, str]]:
    unknown = sorted(set(map(str, entry)) - {"repository", "tags"})
    if unknown or not entry.get("repository"):
        wrong = f"has {', '.join(unknown)}" if unknown else "has no repository"
        reader.problem("warm_images", f"an entry {wrong}; write {{repository: namespace/repository, tags: '1.*'}}")
        return []
    repository = _repository(reader, "warm_images", _as_text(entry["repository"]))
    return [{"repository": repository, "tags": pattern} for pattern in as_items(entry.get("tags")) or ["*"]]


def _read_warm_platforms(reader: _Reader) -> tuple[str, ...]:
    platforms = reader.items("warm_platforms") or ["linux/amd64"]
    try:
        return images.parse_platforms(platforms)
    except Failure:
        reader.problem("warm_platforms", f"{', '.join(platforms)}: write for example linux/amd64, or all")
        return ()


def _read_allowed_networks(reader: _Reader) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    networks = []
    for text in reader.items("allowed_networks"):
        try:
            networks.append(ipaddress.ip_network(text))
        except ValueError as error:
            meant = ipaddress.ip_network(text, strict=False) if "host bits" in str(error) else None
            hint = f"; did you mean {meant}?" if meant else ""
            reader.problem("allowed_networks", f"{_quoted(text)} is not a network such as 198.51.100.0/24{hint}")
    return tuple(dict.fromkeys(networks))


def _read_client_registries(reader: _Reader, registry_url: str) -> tuple[str, ...]:
    """What stands before the first slash of an image's reference, by which Docker looks for the CAs to trust."""
    names = reader.items("client_registries")
    for name in names:
        if not _REFERENCE_HOST.fullmatch(name):
            reader.problem("client_registries", f"{_quoted(name)} is not the host[:port] of an image's reference")
    host = registry_url.partition("://")[2]
    if names or not host:
        return tuple(dict.fromkeys(names))
    # Who writes the usual port in the address may leave it out in a reference.
    return (host, host[: -len(":443")]) if host.endswith(":443") else (host,)


def _read_client_runtimes(reader: _Reader) -> tuple[str, ...]:
    runtimes = reader.items("client_runtimes")
    for unknown in sorted(set(runtimes) - set(CLIENT_RUNTIMES)):
        reader.problem("client_runtimes", f"{_quoted(unknown)} is none of {', '.join(CLIENT_RUNTIMES)}")
    return tuple(runtimes)
