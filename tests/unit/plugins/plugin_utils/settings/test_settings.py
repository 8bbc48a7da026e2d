# Copyright: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The vocabulary: what is accepted, what is normalised, and the one sentence for each mistake."""

from __future__ import annotations

import importlib.util
import typing as t
from pathlib import Path

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.x509 import certificates
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.model import NEEDS
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.structures import as_items
from ansible_collections.dtr.cache.tests.unit.support import web
from ansible_collections.dtr.cache.tests.unit.support.settings import CA, CACHE, DEFAULTS, OPTIONS, read
from ansible_collections.dtr.cache.tests.unit.support.web import make_identity

CA_FINGERPRINT = certificates.fingerprint(certificates.load_certificates(CA.pem)[0])
# Its list of names is no list.
ODD = make_identity("odd", CA, names=b"\x04\x00")


def test_the_defaults_and_the_argument_specs_name_the_same_variables() -> None:
    assert set(DEFAULTS) == set(OPTIONS)


def test_each_default_that_the_argument_specs_tell_is_the_real_one() -> None:
    for name, option in OPTIONS.items():
        if "default" in option:
            assert option["default"] == DEFAULTS[name], name


def test_good_settings_have_no_problem_and_take_the_preset() -> None:
    settings, problems = read()
    assert problems == []
    assert settings.url == "https://cache.example.org:443"
    assert settings.registry_url == "https://dtr.example.org"
    assert settings.image == "docker/dtr-content-cache:2.7.6"
    assert (settings.stack_name, settings.product.node_label) == ("dtr-cache", "dtr.cache")
    assert settings.replicas == 2


@pytest.mark.parametrize(
    ("product", "image", "label", "stack"),
    [
        ("msr2", "mirantis/dtr-content-cache:2.8.2", "dtr.cache", "dtr-cache"),
        ("msr3", "registry.mirantis.com/msr/msr-content-cache:3.0.7", "msr.cache", "msr-cache"),
    ],
)
def test_each_product_has_the_names_of_its_documents(product: str, image: str, label: str, stack: str) -> None:
    settings, problems = read(product=product)
    assert problems == []
    assert (settings.image, settings.product.node_label, settings.stack_name) == (image, label, stack)


# One mistake each, and what the operator reads.
MISTAKES: list[tuple[dict[str, t.Any], str]] = [
    ({"name": None}, "dtr_cache_name: is required"),
    ({"name": "LOCAL"}, "dtr_cache_name: 'local' is what DTR calls pulling without a cache"),
    ({"name": "region asia"}, "dtr_cache_name: 'region asia' is not a cache's name"),
    ({"name": ["a"]}, "dtr_cache_name: must be text"),
    ({"host": None}, "dtr_cache_host: is required"),
    ({"host": "https://cache.example.org"}, "must be a host name alone"),
    ({"host": "cache.example.org:444"}, "its port belongs in dtr_cache_port"),
    ({"host": "-cache.example.org"}, "'-cache.example.org' is not a host name"),
    ({"port": 0}, "dtr_cache_port: '0' is not a whole number from 1 to 65535"),
    ({"port": "https"}, "dtr_cache_port: 'https' is not a whole number"),
    ({"product": "harbor"}, "dtr_cache_product: 'harbor' is none of dtr, msr2, msr3"),
    ({"registry_url": None}, "dtr_cache_registry_url: is required"),
    ({"registry_url": "http://dtr.example.org"}, "is not an address of the form https://host[:port]"),
    ({"registry_url": "https://admin:pw@dtr.example.org"}, "dtr_cache_registry_url: must not carry credentials"),
    ({"registry_url": "https://admin:s3cr/et@dtr.example.org"}, "dtr_cache_registry_url: must not carry credentials"),
    ({"registry_url": "https://dtr.example.org:port"}, "is not an address of the form"),
    ({"registry_url": "https://dtr.example.org/api"}, "must end after the host and its port"),
    ({"registry_password": ""}, "dtr_cache_registry_password: is required"),
    ({"registry_ca": "missing.pem"}, "dtr_cache_registry_ca: missing.pem cannot be read"),
    ({"registry_ca": "-----BEGIN NOTHING-----"}, "dtr_cache_registry_ca: "),
    ({"registry_ca_fingerprint": "ab:cd"}, "dtr_cache_registry_ca_fingerprint: "),
    (
        {"registry_ca": CA.pem, "registry_ca_fingerprint": "00" * 32},
        "dtr_cache_registry_ca_fingerprint: none of the certificates of dtr_cache_registry_ca has it",
    ),
    (
        {"registry_ca": "system", "registry_ca_fingerprint": "00" * 32},
        "dtr_cache_registry_ca_fingerprint: pins nothing with dtr_cache_registry_ca system",
    ),
    ({"docker_host": "http://manager:2375"}, "dtr_cache_docker_host: 'http://manager:2375' is not an Engine's address"),
    ({"registry_validate_certs": "perhaps"}, "dtr_cache_registry_validate_certs: 'perhaps' is neither true nor false"),
    ({"nodes": []}, "dtr_cache_nodes: is required"),
    ({"nodes": {"a": 1}}, "dtr_cache_nodes: must be a list"),
    ({"nodes": "worker-1,worker-1"}, "dtr_cache_nodes: worker-1 is named more than once"),
    ({"replicas": "many"}, "dtr_cache_replicas: 'many' is not a whole number"),
    ({"replicas": 3, "publish_mode": "host"}, "dtr_cache_replicas: 3 replicas cannot run on 2 node(s)"),
    ({"publish_mode": "mesh"}, "dtr_cache_publish_mode: 'mesh' is none of ingress, host"),
    ({"certificate": None}, "dtr_cache_certificate: is required"),
    ({"certificate": "missing.pem"}, "dtr_cache_certificate: missing.pem cannot be read"),
    ({"private_key": None}, "dtr_cache_private_key: is required"),
    ({"private_key": "missing.pem"}, "dtr_cache_private_key: is neither PEM text nor a file of the control node"),
    ({"private_key": CACHE.encrypted_key_pem("x")}, "dtr_cache_private_key: is encrypted"),
    ({"private_key": make_identity("b").key_pem}, "dtr_cache_certificate: the private key belongs to another"),
    ({"certificate": CA.pem + CACHE.pem}, "dtr_cache_certificate: is out of order"),
    ({"host": "other.example.org"}, "dtr_cache_certificate: does not cover other.example.org"),
    ({"ca_certificate": make_identity("x", ca=True).pem}, "dtr_cache_ca_certificate: did not sign"),
    (
        {"certificate": ODD.pem, "private_key": ODD.key_pem},
        "dtr_cache_certificate: CN=odd has extensions that cannot be read: ",
    ),
    (
        {"certificate": CACHE.malformed_pem(web.KEY_TYPE, web.UNKNOWN_KEY_TYPE)},
        "dtr_cache_certificate: CN=cache has a public key that cannot be read: Unknown key type: ",
    ),
    (
        {"certificate": CACHE.malformed_pem(web.VERSION, web.UNKNOWN_VERSION)},
        "dtr_cache_certificate: Certificate 1 of the PEM text cannot be read: 9 is not a valid X509 version",
    ),
    (
        {"ca_certificate": CA.malformed_pem(web.KEY_TYPE, web.UNKNOWN_KEY_TYPE)},
        "dtr_cache_ca_certificate: CN=ca has a public key that cannot be read: Unknown key type: ",
    ),
    ({"blob_ttl": 24}, "24 has no unit and would mean nanoseconds; write 24h"),
    ({"blob_ttl": "1h30m"}, "dtr_cache_blob_ttl: '1h30m' is not a positive whole number with a unit"),
    ({"blob_ttl": "0h"}, "dtr_cache_blob_ttl: '0h' is not"),
    (
        {"blob_ttl": "24µs"},
        "dtr_cache_blob_ttl: '24µs' is not a positive whole number with a unit (ns, us, ms, s, m, h)",
    ),
    ({"blob_ttl": "9999999h"}, "dtr_cache_blob_ttl: 9999999h is longer than the cache can count"),
    ({"upstreams": "dtr.example.org"}, "dtr_cache_upstreams: 'dtr.example.org' is not an address"),
    ({"upstream_cas": ["missing.pem"]}, "dtr_cache_upstream_cas: missing.pem cannot be read"),
    ({"storage": {"floppy": {}}}, "dtr_cache_storage: floppy is no storage backend"),
    ({"storage": {"filesystem": {}, "inmemory": {}}}, "dtr_cache_storage: names filesystem and inmemory"),
    ({"storage": {"s3": "bucket"}}, "dtr_cache_storage: s3 must be a mapping of keys to values"),
    ({"storage": {"s3": {"region": "r"}}}, "dtr_cache_storage: s3 needs bucket"),
    ({"storage": {"s3": {"region": "r", "bucket": ""}}}, "dtr_cache_storage: s3 needs bucket"),
    ({"storage": {"s3": {"bucket": "b", "regoin": "r"}}}, "s3.regoin is unknown; did you mean region?"),
    ({"storage": {"s3": {"region": "r", "bucket": "b", "accesskey": "a"}}}, "s3 has no secretkey; accesskey and"),
    ({"storage": {"azure": {"container": "c"}}}, "dtr_cache_storage: azure needs accountname, accountkey"),
    ({"storage": {"azure": {"bucket": "b"}}}, "azure.bucket is unknown; there are accountname, accountkey, container"),
    ({"storage": {"gcs": {"keyfile": "k"}}}, "dtr_cache_storage: gcs needs bucket"),
    ({"storage": {"gcs": {"buckets": "k"}}}, "dtr_cache_storage: gcs.buckets is unknown; did you mean bucket?"),
    ({"storage": {"swift": {"container": "c"}}}, "dtr_cache_storage: swift needs username, password, authurl"),
    ({"storage": {"swift": {"auth_url": "u"}}}, "dtr_cache_storage: swift.auth_url is unknown; did you mean authurl?"),
    ({"storage": {"oss": {"region": "r"}}}, "dtr_cache_storage: oss needs accesskeyid, accesskeysecret, bucket"),
    ({"storage": {"oss": {"accesskey": "r"}}}, "oss.accesskey is unknown; did you mean accesskeyid?"),
    ({"storage": {"filesystem": {"root": "/x"}}}, "dtr_cache_storage: filesystem.root is unknown"),
    ({"storage": {"redirect": {"disabled": True}}}, "redirect.disabled is unknown; did you mean disable?"),
    ({"storage": {"delete": {"enabled": False}}}, "dtr_cache_storage: delete.enabled must stay true"),
    ({"storage": {"inmemory": {}}, "volume": "data"}, "dtr_cache_volume: is of use only with"),
    ({"volume": {"driver": "local", "size": 1}}, "dtr_cache_volume: size is unknown"),
    ({"volume": {"driver_opts": "type=nfs"}}, "dtr_cache_volume: driver_opts: must be a mapping"),
    (
        {"volume": {"driver_opts": {"type": "cifs", "o": "username=u,password=hush,rw"}}},
        "dtr_cache_volume: driver_opts: hold a credential",
    ),
    ({"volume": {"driver_opts": {"secretkey": "hush"}}}, "dtr_cache_volume: driver_opts: hold a credential"),
    ({"environment": ["A=b"]}, "dtr_cache_environment: must be a mapping"),
    (
        {"environment": {"AWS_SECRET_ACCESS_KEY": "hush"}},
        "dtr_cache_environment: AWS_SECRET_ACCESS_KEY holds a credential",
    ),
    ({"environment": {"REGISTRY_STORAGE_S3_SECRETKEY": "hush"}}, "REGISTRY_STORAGE_S3_SECRETKEY holds a credential"),
    ({"environment": {"HTTPS_PROXY": "http://u:hush@proxy:3128"}}, "dtr_cache_environment: HTTPS_PROXY holds a"),
    ({"resources": {"limit": {}}}, "dtr_cache_resources: limit is unknown; did you mean limits?"),
    ({"resources": {"limits": "512M"}}, "dtr_cache_resources: limits must be a mapping of keys to values"),
    ({"resources": {"limits": {"cpus": "half"}}}, "dtr_cache_resources: limits.cpus: 'half' is not a number of"),
    (
        {"resources": {"reservations": {"memory": "lots"}}},
        "dtr_cache_resources: reservations.memory: 'lots' is not a size",
    ),
    ({"resources": {"limits": {"disk": "1G"}}}, "limits.disk is unknown; there are cpus, memory"),
    ({"update_config": {"paralelism": 1}}, "dtr_cache_update_config: paralelism is unknown; did you mean parallelism?"),
    ({"update_config": {"parallelism": "all"}}, "dtr_cache_update_config: parallelism: 'all' is not a whole number"),
    ({"update_config": {"delay": 5}}, "dtr_cache_update_config: delay: 5 has no unit; write for example 5s"),
    ({"update_config": {"monitor": ["1s"]}}, "dtr_cache_update_config: monitor: "),
    ({"update_config": {"failure_action": "stop"}}, "failure_action: 'stop' is none of continue, pause, rollback"),
    ({"update_config": {"max_failure_ratio": 2}}, "max_failure_ratio: '2' is not a number from 0 to 1"),
    (
        {"update_config": {"order": "first"}},
        "dtr_cache_update_config: order: 'first' is none of start-first, stop-first",
    ),
    ({"http_secret": "short"}, "dtr_cache_http_secret: must have at least 32 characters"),
    ({"config_extra": "log"}, "dtr_cache_config_extra: must be a mapping"),
    ({"config_extra": {"http": "x"}}, "dtr_cache_config_extra: http must be a mapping"),
    (
        {"config_extra": {"http": {"draintimeout": "soon"}}},
        "dtr_cache_config_extra: http.draintimeout: 'soon' is not a",
    ),
    ({"stack_name": "my stack"}, "dtr_cache_stack_name: 'my stack' is not a stack's name"),
    ({"resolve_image": "sometimes"}, "dtr_cache_resolve_image: 'sometimes' is none of"),
    ({"status_to": ["a", "b"]}, "dtr_cache_status_to: must be text"),
    ({"logs_since": ["1h"]}, "dtr_cache_logs_since: must be text"),
    ({"min_days": "soon"}, "dtr_cache_min_days: 'soon' is not a whole number from 0 to 3650"),
    ({"keep_versions": "-1"}, "dtr_cache_keep_versions: '-1' is not a whole number from 0 to 100"),
    ({"timeout": "5m"}, "dtr_cache_timeout: '5m' is not a whole number"),
    ({"assignments": {"users": ["alice"]}}, "dtr_cache_assignments: users is unknown"),
    ({"assignments": {"teams": ["backend"]}}, "team 'backend' must be written organisation/team"),
    (
        {"assignments_exclusive": "some"},
        "dtr_cache_assignments_exclusive: 'some' is neither true nor false",
    ),
    ({"verify_image": "dtr.example.org/a/b"}, "dtr_cache_verify_image: "),
    ({"verify_repository": "dtr.example.org/a/b"}, "dtr_cache_verify_repository: 'dtr.example.org/a/b' is not"),
    ({"warm_images": ["app"]}, "dtr_cache_warm_images: 'app' is not an image in the DTR"),
    ({"warm_images": [{"repository": "app"}]}, "dtr_cache_warm_images: 'app' is not a repository in the DTR"),
    ({"warm_images": [{"tags": "1.*"}]}, "dtr_cache_warm_images: an entry has no repository; write"),
    ({"warm_images": {"repository": "a/b", "tag": 1}}, "dtr_cache_warm_images: an entry has tag; write"),
    ({"warm_platforms": "amd64"}, "dtr_cache_warm_platforms: amd64: write for example linux/amd64"),
    ({"warm_concurrency": 0}, "dtr_cache_warm_concurrency: '0' is not a whole number from 1 to 128"),
    ({"allowed_networks": ["not-a-network"]}, "dtr_cache_allowed_networks: 'not-a-network' is not a network such as"),
    (
        {"allowed_networks": "10.1.2.3/8"},
        "'10.1.2.3/8' is not a network such as 198.51.100.0/24; did you mean 10.0.0.0/8?",
    ),
    (
        {"client_registries": ["https://dtr.example.org"]},
        "dtr_cache_client_registries: 'https://dtr.example.org' is not",
    ),
    ({"client_registries": ["../docker"]}, "dtr_cache_client_registries: '../docker' is not the host[:port]"),
    ({"client_runtimes": ["podman"]}, "dtr_cache_client_runtimes: 'podman' is none of docker, containerd"),
    ({"client_cas": ["missing.pem"]}, "dtr_cache_client_cas: missing.pem cannot be read"),
    ({"client_trust_state": "gone"}, "dtr_cache_client_trust_state: 'gone' is none of present, absent"),
    ({"blob_til": "24h"}, "dtr_cache_blob_til: is no variable of dtr.cache; did you mean dtr_cache_blob_ttl?"),
]


@pytest.mark.parametrize(("changes", "sentence"), MISTAKES, ids=[sentence[:60] for _changes, sentence in MISTAKES])
def test_one_mistake_gives_one_clear_sentence(changes: dict[str, t.Any], sentence: str) -> None:
    _settings, problems = read(**changes)
    assert len(problems) == 1, problems
    assert sentence in problems[0]
    assert "Traceback" not in problems[0]


def test_all_mistakes_are_told_at_once() -> None:
    _settings, problems = read(name="local", port=0, blob_ttl=24, nodes=[], certificate=None)
    assert [problem.partition(":")[0] for problem in problems] == [
        "dtr_cache_name",
        "dtr_cache_port",
        "dtr_cache_nodes",
        "dtr_cache_certificate",
        "dtr_cache_blob_ttl",
    ]


def test_a_problem_never_shows_a_secret() -> None:
    secret = "hunter2-and-more"
    _settings, problems = read(
        registry_url=f"https://admin:{secret}@dtr.example.org",
        private_key=f"-----BEGIN X-----\n{secret}",
        http_secret=secret,
    )
    assert len(problems) == 3
    assert not any(secret in problem for problem in problems)


BARE_KEY = "".join(CACHE.key_pem.splitlines()[1:-1])


@pytest.mark.parametrize(
    "changes",
    [
        {"private_key": BARE_KEY},
        {"private_key": "certs/" + BARE_KEY},
        {"certificate": BARE_KEY},
        {"registry_ca": CACHE.key_pem.replace("-----BEGIN", "----BEGIN")},
        {"ca_certificate": "https://admin:hunter2@store/ca.pem"},
        {"client_cas": [BARE_KEY]},
        {"host": "admin:hunter2@cache.example.org"},
        {"host": "https://admin:hunter2@cache.example.org"},
        {"upstreams": ["https://admin:hun#ter2@asia.example.org"]},
        {"verify_image": "https://admin:hunter2@dtr/a/b:1"},
        {"verify_repository": "admin:hunter2@dtr/a"},
        {"warm_images": ["admin:hunter2@dtr"]},
        {"client_registries": ["admin:hunter2@dtr"]},
        *(
            {"registry_url": f"https://admin:{password}@dtr"}
            for password in ("hunter2", "hun/ter2", "hun#ter2", "hu]ter2")
        ),
    ],
)
def test_what_may_be_a_credential_is_neither_told_nor_kept(changes: dict[str, t.Any]) -> None:
    settings, problems = read(**changes)
    assert problems
    said = "\n".join([*problems, settings.url, settings.registry_url, *settings.upstreams])
    assert not any(part in said for part in (BARE_KEY[:40], BARE_KEY[-40:], "hun", "hu]"))


@pytest.mark.parametrize(
    "changes",
    [
        {"environment": {"GODEBUG": "x509=1", "AWS_WEB_IDENTITY_TOKEN_FILE": "/srv/token", "OTHER": "a:b@c"}},
        {"environment": {"GOOGLE_APPLICATION_CREDENTIALS": "/run/secrets/gcs.json", "AWS_SESSION_TOKEN": ""}},
        {
            "volume": {
                "driver": "local",
                "driver_opts": {"type": "nfs", "o": "addr=nfs.example.org,rw", "device": ":/x"},
            }
        },
        {"registry_ca": CA.pem + make_identity("new", ca=True).pem, "registry_ca_fingerprint": CA_FINGERPRINT},
        {"blob_ttl": "2562047h"},
        {"docker_host": "tcp://manager:2376"},
    ],
)
def test_what_is_no_mistake_is_taken(changes: dict[str, t.Any]) -> None:
    assert read(**changes)[1] == []


def test_service_details_have_the_form_that_docker_takes() -> None:
    settings, problems = read(
        resources={"limits": {"cpus": 2, "memory": 536870912}, "reservations": {"cpus": ".5", "memory": None}},
        update_config={"parallelism": "2", "delay": "1m30s", "max_failure_ratio": "0.5", "order": "start-first"},
    )
    assert problems == []
    assert settings.resources == {"limits": {"cpus": "2", "memory": "536870912"}, "reservations": {"cpus": ".5"}}
    assert settings.update_config == {
        "parallelism": 2,
        "delay": "1m30s",
        "max_failure_ratio": 0.5,
        "order": "start-first",
    }


@pytest.mark.parametrize("host", ["2001:db8::1", "[2001:db8::1]"])
def test_an_ipv6_address_stands_in_brackets_in_the_address(host: str) -> None:
    settings, problems = read(needs=["cache"], host=host, certificate=None, private_key=None)
    assert problems == []
    assert (settings.host, settings.url) == ("2001:db8::1", "https://[2001:db8::1]:443")


def test_what_a_role_does_not_need_may_be_left_out() -> None:
    unset = dict.fromkeys(("nodes", "certificate", "private_key"))
    assert read(needs=["cache", "registry"], **unset)[1] == []
    assert len(read(needs=NEEDS, **unset)[1]) == 3


def test_text_serves_as_a_list() -> None:
    settings, problems = read(nodes="worker-1, worker-2\nworker-3,")
    assert problems == []
    assert settings.nodes == ("worker-1", "worker-2", "worker-3")
    assert as_items(None) == []


def test_images_to_warm_come_by_name_and_by_pattern() -> None:
    by_pattern: list[t.Any] = [{"repository": "a/b", "tags": ["1.*", 2.0]}, {"repository": "a/c"}]
    settings, problems = read(warm_images=["a/b:1", *by_pattern, "a/b:1"], warm_platforms="linux/arm64, linux/amd64")
    assert problems == []
    assert settings.warm_images == ("a/b:1",)
    assert [tuple(each.values()) for each in settings.warm_repositories] == [
        ("a/b", "1.*"),
        ("a/b", "2.0"),
        ("a/c", "*"),
    ]
    assert settings.warm_platforms == ("linux/arm64", "linux/amd64")


def test_networks_are_read_once_each_and_in_their_shortest_form() -> None:
    settings, problems = read(allowed_networks="198.51.100.7, 2001:DB8:0::/32\n198.51.100.7/32")
    assert problems == []
    assert [str(network) for network in settings.allowed_networks] == ["198.51.100.7/32", "2001:db8::/32"]


@pytest.mark.parametrize(
    ("url", "given", "names"),
    [
        ("https://dtr.example.org/", [], ("dtr.example.org",)),
        ("https://dtr.example.org:4443", [], ("dtr.example.org:4443",)),
        ("https://dtr.example.org:443", [], ("dtr.example.org:443", "dtr.example.org")),
        ("https://[2001:db8::1]:8443", [], ("[2001:db8::1]:8443",)),
        (
            "https://dtr.example.org",
            ["registry.example.org", "192.0.2.1:443"],
            ("registry.example.org", "192.0.2.1:443"),
        ),
    ],
)
def test_a_client_knows_the_registry_as_image_references_write_it(
    url: str, given: list[str], names: tuple[str, ...]
) -> None:
    settings, problems = read(registry_url=url, client_registries=given)
    assert problems == []
    assert settings.client_registries == names


def test_a_client_needs_nothing_of_the_cache_but_its_authority() -> None:
    unset = dict.fromkeys(("name", "host", "nodes", "certificate", "private_key", "registry_username"))
    settings, problems = read(needs=["address"], **unset, ca_certificate=CA.pem, client_cas=[CACHE.pem])
    assert problems == []
    assert (settings.ca_certificate, settings.client_cas) == (CA.pem, (CACHE.pem,))


def test_the_http_secret_is_stable_and_depends_on_key_and_cache() -> None:
    first = read()[0].http_secret
    assert read()[0].http_secret == first
    assert read(name="region-europe")[0].http_secret != first
    other = make_identity("cache", CA, addresses=["cache.example.org"])
    assert read(certificate=other.pem, private_key=other.key_pem)[0].http_secret != first
    assert CACHE.key_pem.split("\n")[1] not in first


def test_a_key_with_other_line_ends_is_the_same_key() -> None:
    settings = read()[0]
    windows = read(private_key=CACHE.key_pem.replace("\n", "\r\n") + "\n\n")[0]
    assert windows.private_key == settings.private_key


def test_the_pages_name_what_each_part_needs() -> None:
    path = Path(__file__).parents[4] / "lib" / "reference.py"
    spec = importlib.util.spec_from_file_location("reference", path)
    assert spec is not None
    assert spec.loader is not None
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    assert set(reference.REQUIRED) == set(NEEDS)
    for need, required in reference.REQUIRED.items():
        unset = dict.fromkeys(("name", "host", "registry_url", "registry_username", "registry_password", "nodes"))
        _settings, problems = read(needs=[need], **unset, certificate=None, private_key=None)
        missing = [problem.partition(":")[0] for problem in problems if "is required" in problem]
        assert missing == [f"dtr_cache_{name}" for name in required], need
