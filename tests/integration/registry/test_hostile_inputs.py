# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostile inputs by each door: one is refused with its variable's name, or the registry and Docker take it.

Of what is accepted, Docker's own command reads the stack, and the compiled registry serves a layer with the very
C(config.yml), certificates and environment to a client in Go, as Docker is one.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.dtr.cache.plugins.plugin_utils.deployment.definition import (
    config_text,
    for_docker,
    stack_definition,
    swarm_objects,
)
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.model import Settings
from ansible_collections.dtr.cache.tests.unit.plugins.module_utils.x509 import test_judge as made
from ansible_collections.dtr.cache.tests.unit.support.settings import CA, CACHE, control_node, read
from ansible_collections.dtr.cache.tests.unit.support.web import Identity, make_identity
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

sys.path.insert(0, str(Path(__file__).parents[2] / "lab" / "cache-image"))
from harness import BUILD, Authority, Upstream, free_port, wait_for

HOST = "cache.example.org"
LAYER = b"a layer\n" * 9000
PEM, KEY = CACHE.pem, CACHE.key_pem
FIRST, *_BODY, LAST = PEM.splitlines()
Row = tuple[dict[str, t.Any], str]


def each(name: str, given: t.Mapping[str, tuple[t.Any, str]]) -> dict[str, Row]:
    """Rows of one variable: what it is given, and the verdict."""
    return {f"{name}: {what}": ({name: value}, verdict) for what, (value, verdict) in given.items()}


def written(text: str, verdict: str = "") -> dict[str, Row]:
    """A row as an inventory has it."""
    return {text: (yaml.safe_load(text), verdict)}


def chain(*chain: Identity, ca: Identity = made.ROOT, host: str = HOST, **more: t.Any) -> dict[str, t.Any]:
    """What a certificate is deployed with."""
    pem = "".join(each.pem for each in chain)
    return {"certificate": pem, "private_key": chain[0].key_pem, "ca_certificate": ca.pem, "host": host, **more}


def named(*names: str, issuer: Identity = made.ROOT, **options: t.Any) -> Identity:
    return make_identity("cache", issuer, addresses=names, **options)


def constrained(permitted: t.Sequence[str] | None, excluded: t.Sequence[str] | None = None) -> Identity:
    names = [[x509.DNSName(name) for name in given] if given else None for given in (permitted, excluded)]
    return made.ca("constrained", more=[x509.NameConstraints(*names)])


DAMAGED = "cannot be read: it is not base64"
CUT = "is cut off or damaged"
NO_PEM = "is neither PEM text nor a file"
PEMS = {
    **each(
        "certificate",
        {
            "a byte order mark between two": (PEM + "\ufeff" + CA.pem, ""),
            "line separators": (PEM.replace("\n", "\u2028"), ""),
            "form feeds": (PEM.replace("\n", "\f"), ""),
            "a value of JSON": (json.dumps({"cert": PEM}), ""),
            "bytes of Python": (repr(PEM.encode()), ""),
            "a block of YAML": ("tls.crt: |\n  " + PEM.replace("\n", "\n  "), ""),
            "a here-document": (f"cat <<EOF\n{PEM}EOF\n", ""),
            "twice": (PEM + PEM + CA.pem, ""),
            "zero-width spaces": (PEM.replace("\n", "\u200b\n"), DAMAGED),
            "a list of Python": (repr(PEM.splitlines()), DAMAGED),
            "breaks of HTML": (PEM.replace("\n", "<br>"), DAMAGED),
            "a comment with BEGIN": (f"# the {FIRST} block\n{PEM}", DAMAGED),
            "a comment with END": (f"{PEM}# after {LAST}\n", CUT),
            "typographic dashes": (PEM.replace("-----", "\u2014-"), NO_PEM),
            "a list of lines": (PEM.splitlines(), "must be text"),
            "a key of Kubernetes": ({"tls.crt": PEM}, "must be text"),
            "a block in itself": (f"{FIRST}\n{PEM}{LAST}", CUT),
            "a message": (f"-----BEGIN PGP MESSAGE-----\nAAAA\n-----END PGP MESSAGE-----\n{PEM}", "a PGP MESSAGE"),
            "the key": (KEY, "holds a PRIVATE KEY and no CERTIFICATE"),
        },
    ),
    **each(
        "private_key",
        {
            "attributes of a bag": (f"Bag Attributes\n  localKeyID: 01\nKey Attributes: <None>\n{KEY}", ""),
            "folded": (" ".join(KEY.splitlines()), ""),
            "another label": (KEY.replace("PRIVATE KEY", "EC PRIVATE KEY"), ""),
            "twice": (KEY + KEY, "holds several private keys"),
            "encrypted, on one line": (CACHE.encrypted_key_pem("x").replace("\n", " "), "is encrypted, and nothing"),
            "vaulted text": ("$ANSIBLE_VAULT;1.1;AES256\n6162\n", "is vaulted text as it is; write it behind !vault |"),
        },
    ),
}
LARGE = [made.ca(f"unrelated {number}") for number in range(220)]
LONG = [made.ca("first", made.ROOT)]
for _number in range(4):
    LONG.insert(0, made.ca(f"below {_number}", LONG[0]))
OLD_AND_NEW = made.ca("renewed", days=(-30, -2)), made.ca("renewed")
CERTIFICATES: dict[str, Row] = {
    "a wildcard": (chain(named("*.example.org")), ""),
    "a wildcard for a punycode": (chain(named("*.example.org"), host="bücher.example.org"), ""),
    "capitals": (chain(named("CACHE.EXAMPLE.ORG")), ""),
    "an IPv6 address": (chain(named("2001:db8::7"), host="2001:0DB8:0::7"), ""),
    "a single label": (chain(named("cache"), host="cache"), ""),
    "a name that is none beside it": (chain(named(HOST, "my_cache.example.org", "a..b")), ""),
    "900 names": (chain(named(HOST, *(f"n{number}.example.org" for number in range(900)))), ""),
    "five intermediates": (chain(made.leaf(LONG[0]), *LONG), ""),
    "must staple": (chain(made.leaf(made.ROOT, more=[x509.TLSFeature([x509.TLSFeatureType.status_request])])), ""),
    "critical names and purpose": (chain(made.odd(made.ROOT, critical=[made.SERVER])), ""),
    "P-521": (chain(made.leaf(made.ROOT, key=ec.generate_private_key(ec.SECP521R1()))), ""),
    "exponent 3": (chain(made.leaf(made.ROOT, key=rsa.generate_private_key(3, 2048))), ""),
    "an authority": (chain(made.leaf(made.ROOT), made.ROOT), ""),
    "valid until 9999": (chain(made.leaf(made.ROOT, days=(-1, 2_900_000))), ""),
    "constrained to the very host": (chain(made.leaf(found := constrained([HOST])), ca=found), ""),
    "constrained in capitals": (chain(made.leaf(found := constrained(["EXAMPLE.org"])), ca=found), ""),
    "a wildcard and an excluded name": (
        chain(named("*.example.org", issuer=(found := constrained(None, ["a.example.org"]))), ca=found),
        "",
    ),
    "an end soon, and min_days": (chain(made.leaf(found := made.ca("soon", days=(-9, 4))), ca=found, min_days=3), ""),
    "a wildcard of a domain": (chain(named("*.org")), "certificate: does not cover cache.example.org"),
    "a wildcard in the middle": (chain(named("cache.*.org")), "certificate: does not cover"),
    "a part of a wildcard": (chain(named("c*.example.org")), "certificate: does not cover"),
    "a wildcard of punycode": (chain(named("xn--*.example.org"), host="bücher.example.org"), "certificate: does not"),
    "a dot at the end": (chain(named(f"{HOST}.")), "certificate: does not cover"),
    "constrained to names below": (
        chain(made.leaf(found := constrained([f".{HOST}"])), ca=found),
        "certificate: is refused by clients (permitted subtree violation)",
    ),
    "one of two names is outside": (
        chain(named(HOST, "cache.example.com", issuer=(found := constrained(["example.org"]))), ca=found),
        "certificate: is refused by clients (permitted subtree violation)",
    ),
    "every name is excluded": (
        chain(made.leaf(found := constrained(None, [""])), ca=found),
        "certificate: is refused by clients (excluded subtree violation)",
    ),
    "a critical key identifier": (
        chain(made.odd(made.ROOT, critical=[x509.SubjectKeyIdentifier(b"a")])),
        "certificate: CN=odd has the critical extension subjectKeyIdentifier",
    ),
    "2040 bits": (chain(made.leaf(made.ROOT, key=rsa.generate_private_key(65537, 2040))), "private_key: is an RSA key"),
    "beside a weak one": (chain(made.leaf(made.ROOT), made.WEAK), "certificate: CN=weak has an RSA key of 1024 bits"),
    "an expired root": (
        chain(made.leaf(OLD_AND_NEW[0]), ca=OLD_AND_NEW[0]),
        "ca_certificate: CN=renewed has expired on ",
    ),
    "a reversed chain": (chain(made.leaf(LONG[0]), *reversed(LONG)), "certificate: is out of order"),
    "a whole bundle": (chain(made.leaf(made.ROOT), *LARGE), "certificate: has 221 certificates of "),
}
TIME = "has no unit; write for example"
ROOTDIRECTORY = "storage.filesystem.rootdirectory: "
DOORS: dict[str, Row] = {
    **written("config_extra: {http: {draintimeout: 0s}}"),
    **written("config_extra: {http: {draintimeout: }}"),
    **written("config_extra: {http: {headers: {Content-Length: ['5'], Content-Range: [bytes 0-1/2], Trailer: [X]}}}"),
    **written("config_extra: {http: {headers: {A Name: [b], X: ['a\\nb']}}}"),
    **written("config_extra: {http: {tls: {ciphersuites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]}}}"),
    **written("config_extra: {HTTP: {draintimeout: 5}, Storage: {s3: {}}}"),
    **written("config_extra: {health: {storagedriver: {enabled: true, interval: 0s, threshold: 0}}}"),
    **written("config_extra: {notifications: {endpoints: [{}]}, catalog: {maxentries: 0}, middleware: {storage: }}"),
    **written("config_extra: {storage: {filesystem: , maintenance: {readonly: {enabled: true}}}}"),
    **written(
        "config_extra: {redis: {addr: '127.0.0.1:1', dialtimeout: 1s}, storage: {cache: {blobdescriptor: redis}}}"
    ),
    **written("storage: {inmemory: }"),
    **written("storage: {filesystem: {rootdirectory: /layers//a/, maxthreads: '1'}}\nvolume: data"),
    **written("storage: {maintenance: {uploadpurging: {enabled: true, age: 1s, interval: 1s, dryrun: false}}}"),
    **written("blob_ttl: 1us"),
    **written("environment: {REGISTRY_HTTP_DRAINTIMEOUT: ' 30s # a comment'}"),
    **written("environment: {REGISTRY_HTTP_DRAINTIMEOUT: ''}"),
    **written("environment: {REGISTRY_HTTP_HEADERS_Access-Control-Allow-Origin: '[\"*\"]'}"),
    **written("environment: {REGISTRY_LOG_FIELDS_site: asia, REGISTRY_LOGLEVEL: debug, REGISTRY_: x}"),
    **written("environment: {REGISTRY_STORAGE: '{filesystem: , delete: {enabled: on}}'}"),
    **written("environment: {REGISTRY_STORAGE_FILESYSTEM: ''}\nvolume: /srv/layers"),
    **written("environment: {REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: '\"/a\"'}\nvolume: {name: '007'}"),
    **written("environment: {REGISTRY_CONFIGURATION_PATH: /none, GODEBUG: tls13=0, HTTPS_PROXY: 'http://127.0.0.1:1'}"),
    **written("service_extra: {extra_hosts: ['a:10.0.0.1', 'a=10.0.0.2', 'b:[::1]', 'c:host-gateway']}"),
    **written(
        "service_extra: {extra_hosts: {a: 10.0.0.1, b: '::1'}, labels: {a: 1e3, b: 'y', c: '0x1'}, hostname: '0123'}"
    ),
    **written("config_extra: {http: {draintimeout: '30s '}}", "config_extra: http.draintimeout: '30s' has blanks at"),
    **written("config_extra: {http: {draintimeout: 1:30}}", f"config_extra: http.draintimeout: '90' {TIME}"),
    **written(
        "config_extra: {http: {draintimeout: +30s}}", "config_extra: http.draintimeout: '+30s' is not a duration"
    ),
    **written(
        "config_extra: {http: {headers: {content-encoding: [gzip]}}}",
        "config_extra: http.headers.content-encoding would have clients decode layers",
    ),
    **written(
        "environment: {REGISTRY_HTTP_HEADERS_Content-Encoding: '[gzip]'}",
        "environment: REGISTRY_HTTP_HEADERS_Content-Encoding: http.headers.content-encoding would",
    ),
    **written("config_extra: {http: {headers: {X: a}}}", "config_extra: http.headers.X must be a list, such as"),
    **written(
        "config_extra: {notifications: {endpoints: [{headers: {Authorization: hunter2}}]}}",
        "config_extra: notifications.endpoints.0.headers.Authorization must be a list",
    ),
    **written(
        "config_extra: {http: {tls: {ciphersuites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]}}}",
        "config_extra: http.tls.ciphersuites: none is for the ECDSA key",
    ),
    **written(
        "environment: {REGISTRY_HTTP_TLS_CIPHERSUITES: '[TLS_RSA_WITH_AES_128_CBC_SHA]'}",
        "environment: http.tls.ciphersuites: none is for the ECDSA key",
    ),
    **written(
        "config_extra: {storage: {filesystem: {rootdirectory: }}}",
        f"config_extra: {ROOTDIRECTORY}'' is not an absolute path",
    ),
    **written(
        "environment: {REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: ''}",
        f"environment: REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: {ROOTDIRECTORY}'' is not an absolute path",
    ),
    **written(
        "storage: {filesystem: {rootdirectory: '/layers:ro'}}",
        "storage: filesystem.rootdirectory: '/layers:ro' has a letter that no mount of Docker can have",
    ),
    **written(
        "storage: {maintenance: {uploadpurging: {age: 0s, interval: 24h}}}",
        "storage: maintenance.uploadpurging.age: 0s is less than 1s",
    ),
    **written("storage: {s3: {bucket: 0123, region: r}}", "storage: s3.bucket is a number to YAML"),
    **written("storage: {gcs: {bucket: yes}}", "storage: gcs.bucket is a truth value to YAML"),
    **written("storage: {s3: {}, Filesystem: {}}", "storage: s3 is a second backend beside Filesystem"),
    **written(
        "environment: {registry_storage_filesystem_rootdirectory: /layers}\nvolume: data",
        "environment: registry_storage_filesystem_rootdirectory: the registry reads such a name in capitals only",
    ),
    **written(
        "environment: {REGISTRY_HTTP_draintimeout: 5m}",
        "environment: REGISTRY_HTTP_draintimeout: the registry reads such a name in capitals only",
    ),
    **written(
        "environment: {REGISTRY_STORAGE_S3_BUCKET: '0123'}",
        "environment: REGISTRY_STORAGE_S3_BUCKET: line 1, column 1 is a number in a form that YAML changes",
    ),
    **written("environment: {REGISTRY_LOG: '{level: [}'}", "environment: REGISTRY_LOG: is neither JSON nor YAML"),
    **written("environment: {REGISTRY_STORAGE: s3}", "environment: REGISTRY_STORAGE: storage.delete.enabled must stay"),
    **written(
        "environment: {REGISTRY_HTTP_TLS: '{}'}", "environment: REGISTRY_HTTP_TLS: http.tls would take the place"
    ),
    **written(
        "service_extra: {healthcheck: {disable: true, test: x}}",
        "service_extra: healthcheck: has a test and disable, and Docker takes only one",
    ),
    **written("service_extra: {extra_hosts: [a]}", "service_extra: extra_hosts: 'a' has no address"),
    **written("service_extra: {extra_hosts: {a: b}}", "service_extra: extra_hosts: 'a' has no address"),
    **written("service_extra: {healthcheck: {interval: 30}}", f"service_extra: healthcheck.interval: '30' {TIME}"),
}
NUMBER, DATE = "number to YAML", "holds a value of the kind date"
NAMES: dict[str, Row] = {
    **written("nodes: [1e3, 0o17, y, 'null', '0123']"),
    **written("name: '1.10'\nstack_name: 1e3\nnode_label: 'yes'\nvolume: '0x1F'"),
    **written("name: None\nstack_name: '2026-12-04'\nvolume: nan"),
    **written("assignments: {accounts: ['1:30', 'yes', 1e3], teams: [1/2], orgs: ['0x10']}\nformer_names: ['0123']"),
    **written("http_secret: '0123456789012345678901234567890123456789'"),
    **written("http_secret: 1e11111111111111111111111111111111111111111"),
    **written("nodes: [1:30]", f"nodes: 90 is a {NUMBER}"),
    **written("nodes: [2026-12-04]", f"nodes: {DATE}"),
    **written("nodes: [.inf]", "nodes: holds a number that is none"),
    **written("nodes: '[0123]'", "nodes: line 1, column 2 is a number in a form that YAML changes"),
    **written("name: 0b11", f"name: is a {NUMBER}"),
    **written("name: '~'", "name: is the text null"),
    **written("name: ' Local'", "name: 'local' is what DTR calls pulling without a cache"),
    **written("host: 1:2", f"host: is a {NUMBER}"),
    **written("host: '010.0.0.1'", "host: '010.0.0.1' is not a host name"),
    **written("port: '0x1bb'", "port: '0x1bb' is not a whole number"),
    **written("volume: 08", "volume: '08' as a name would be a number"),
    **written("volume: {name: yes}", "volume: name: is a truth value to YAML"),
    **written("volume: {driver_opts: {1: a}}", "volume: has the key 1, which is not text"),
    **written("assignments: {accounts: [12:30]}", f"assignments: accounts: 750 is a {NUMBER}"),
    **written("assignments: 'accounts: [12:30]'", "assignments: line 1, column 12 is a number in a form"),
    **written("assignments: {except: {accounts: [1.10]}}", f"assignments: except.accounts: 1.1 is a {NUMBER}"),
    **written("warm_images: [{repository: a/b, tags: [1.10]}]", f"warm_images: tags: 1.1 is a {NUMBER}"),
    **written("client_hosts: [0x10]", f"client_hosts: 16 is a {NUMBER}"),
    **written("registry_password: 12:34:56", f"registry_password: is a {NUMBER}"),
    **written("service_extra: {labels: {yes: a}}", "service_extra: has the key True, which is not text"),
    **written("timeout: 300.0", "timeout: '300.0' is not a whole number"),
}
TABLE = {**PEMS, **CERTIFICATES, **DOORS, **NAMES}


class Machine(t.NamedTuple):
    """The compiled registry and client, and what the cache pulls from."""

    folder: Path
    authority: Authority
    upstream: Upstream
    layer: str


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Machine]:
    folder = tmp_path_factory.mktemp("hostile")
    subprocess.run([BUILD, "--binary", folder / "registry"], check=True)
    source = Path(__file__).with_name("pull.go")
    environment = {**os.environ, "GO111MODULE": "off", "CGO_ENABLED": "0"}
    subprocess.run(["go", "build", "-o", folder / "pull", source], check=True, env=environment)
    authority = Authority("DTR's CA", folder / "dtr")
    upstream = Upstream(authority)
    yield Machine(folder, authority, upstream, upstream.add(LAYER))
    upstream.stop()


def read_row(row: t.Mapping[str, t.Any], machine: Machine | None = None) -> tuple[Settings, list[str]]:
    ca = machine.authority.ca.read_text() if machine else CA.pem
    upstreams = {"upstreams": [machine.upstream.url], "port": free_port()} if machine else {}
    return read(**{**upstreams, "registry_ca": ca, "upstream_cas": ca, **row})


@pytest.mark.parametrize("name", [name for name, (_row, verdict) in TABLE.items() if verdict])
def test_what_is_refused_names_its_variable(name: str) -> None:
    row, verdict = TABLE[name]
    variable = verdict if re.match("[a-z_]+: ", verdict) else f"{next(iter(row))}: "
    _settings, problems = read_row(row)
    assert problems
    assert all(each.startswith(f"dtr_cache_{variable.partition(':')[0]}: ") for each in problems), problems
    assert any(verdict in each for each in problems), problems
    assert "Traceback" not in str(problems)
    assert _BODY[0] not in str(problems)


@pytest.mark.parametrize("name", [name for name, (_row, verdict) in TABLE.items() if not verdict])
def test_what_is_accepted_serves(name: str, machine: Machine, tmp_path: Path) -> None:
    settings, problems = read_row(TABLE[name][0], machine)
    assert problems == []
    objects = swarm_objects(settings, settings.registry_ca)
    definition = stack_definition(settings, objects)
    assert docker_reads(definition)["services"]["cache"]["image"] == settings.image
    for folder in ("run/secrets", "tmp"):
        (tmp_path / folder).mkdir(parents=True)
    for each in objects:
        (tmp_path / "run" / "secrets" / each.file).write_text(each.data)
    (tmp_path / "config.yml").write_text(config_text(settings))
    (tmp_path / "roots.pem").write_text(settings.ca_certificate)
    os.link(machine.folder / "registry", tmp_path / "registry")
    with (tmp_path / "log").open("wb") as log:
        command = ["chroot", str(tmp_path), "/registry", "serve", "/config.yml"]
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **settings.environment})
    try:
        wait_for(lambda: listens(settings.port, process), "the registry listens", 20)
        path = f"/v2/team/app/blobs/{machine.layer}"
        pull = [machine.folder / "pull", str(settings.port), settings.host, tmp_path / "roots.pem", path]
        pulled = subprocess.run(pull, capture_output=True, text=True, timeout=60, check=False).stdout
        assert pulled.splitlines() == [f"200 {machine.layer}"] * 2, (tmp_path / "log").read_text()
    finally:
        process.kill()
        process.wait()
    mounted = [str(each).partition(":")[2] for each in definition["services"]["cache"].get("volumes", [])]
    # What is mounted is where the layers are.
    stored = [f"/{data.relative_to(tmp_path)}" for data in tmp_path.glob("**/blobs/sha256/*/*/data")]
    assert all(each.startswith(f"{folder.rstrip('/')}/docker/") for folder in mounted for each in stored)
    assert stored or not mounted


def listens(port: int, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def docker_reads(definition: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The stack as Docker's command understands it, without an Engine."""
    text = yaml.safe_dump(for_docker(definition))
    command = ["docker", "stack", "config", "--compose-file", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(yaml.safe_load(done.stdout))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_a_file_in_any_encoding_is_understood(encoding: str) -> None:
    node = control_node({"a.pem": f"# Köln\n{KEY}{PEM}".encode(encoding)})
    settings, problems = read(node=node, certificate="a.pem", private_key="a.pem")
    assert problems == []
    assert (settings.certificate, settings.private_key) == (PEM, KEY)
