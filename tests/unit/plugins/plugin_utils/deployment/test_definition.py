# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Swarm gets: the documented files, and objects whose names follow their content."""

from __future__ import annotations

import json
import typing as t

import pytest
import yaml
from ansible_collections.dtr.cache.plugins.module_utils.x509 import certificates
from ansible_collections.dtr.cache.plugins.plugin_utils.deployment import definition as deployment
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.model import Settings
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.values import is_misread
from ansible_collections.dtr.cache.tests.unit.support.settings import CA, CACHE, read
from ansible_collections.dtr.cache.tests.unit.support.web import make_identity

IPV6 = make_identity("ipv6", CA, addresses=["2001:db8::1"])


def settings_with(**changes: t.Any) -> Settings:
    settings, problems = read(**changes)
    assert problems == []
    return settings


def deployed(**changes: t.Any) -> dict[str, t.Any]:
    settings = settings_with(**changes)
    return deployment.stack_definition(settings, deployment.swarm_objects(settings, CA.pem))


def names(**changes: t.Any) -> dict[str, str]:
    return {item.file: item.name for item in deployment.swarm_objects(settings_with(**changes), CA.pem)}


def test_config_yml_is_the_documented_one() -> None:
    config = yaml.safe_load(deployment.config_text(settings_with(http_secret="s" * 32)))
    assert config == {
        "version": 0.1,
        "log": {"level": "info"},
        "storage": {"delete": {"enabled": True}, "filesystem": {"rootdirectory": "/var/lib/registry"}},
        "http": {
            "addr": "0.0.0.0:443",
            "secret": "s" * 32,
            "host": "https://cache.example.org",
            "draintimeout": "30s",
            "tls": {"certificate": "/run/secrets/cache.cert.pem", "key": "/run/secrets/cache.key.pem"},
        },
        "middleware": {
            "registry": [
                {
                    "name": "downstream",
                    "options": {
                        "blobttl": "24h",
                        "upstreams": ["https://dtr.example.org:443"],
                        "cas": ["/run/secrets/dtr.cert.pem"],
                    },
                }
            ]
        },
    }


@pytest.mark.parametrize(
    ("ports", "published", "listens", "host"),
    [
        ({"port": 8443}, "8443:8443", "0.0.0.0:8443", "https://cache.example.org:8443"),
        ({"port": 8443, "public_port": 443}, "8443:8443", "0.0.0.0:8443", "https://cache.example.org"),
        ({"public_port": 7443}, "443:443", "0.0.0.0:443", "https://cache.example.org:7443"),
        ({"port": 443, "public_port": " "}, "443:443", "0.0.0.0:443", "https://cache.example.org"),
    ],
)
def test_the_port_before_the_cache_is_that_of_its_address(
    ports: dict[str, t.Any], published: str, listens: str, host: str
) -> None:
    settings, problems = read(**ports)
    assert problems == []
    assert settings.url == f"https://cache.example.org:{settings.public_port}"
    http = deployment.registry_config(settings)["http"]
    assert (http["addr"], http["host"]) == (listens, host)
    assert deployment.stack_definition(settings, [])["services"]["cache"]["ports"] == [published]


def test_docker_stack_yml_is_the_documented_one_but_for_external_names() -> None:
    definition = deployed(nodes=["worker-1"], update_config={})
    assert definition["version"] == "3.3"
    service = definition["services"]["cache"]
    assert service["image"] == "docker/dtr-content-cache:2.7.6"
    assert service["entrypoint"] == ["/start.sh", "/config.yml"]
    assert service["ports"] == ["443:443"]
    assert service["stop_grace_period"] == "40s"
    assert service["deploy"] == {
        "replicas": 1,
        "placement": {"constraints": ["node.labels.dtr.cache == true"]},
        "restart_policy": {"condition": "any"},
    }
    assert [item["target"] for item in service["configs"]] == ["/config.yml"]
    assert [item["target"] for item in service["secrets"]] == ["dtr.cert.pem", "cache.cert.pem", "cache.key.pem"]
    assert set(definition["secrets"]) == {"dtr.cert.pem", "cache.cert.pem", "cache.key.pem"}


@pytest.mark.parametrize(
    ("changes", "limit", "version"),
    [
        ({}, 1, "3.8"),
        ({"replicas": 1}, None, "3.3"),
        ({"replicas": 3}, None, "3.3"),
        ({"publish_mode": "host"}, None, "3.3"),
        ({"update_config": {"order": "start-first"}}, None, "3.4"),
        ({"update_config": {"order": "stop-first"}}, 1, "3.8"),
    ],
)
def test_two_replicas_behind_the_mesh_are_kept_on_nodes_of_their_own(
    changes: dict[str, t.Any], limit: int | None, version: str
) -> None:
    definition = deployed(**{"nodes": ["worker-1", "worker-2"], "update_config": {}, **changes})
    placement = definition["services"]["cache"]["deploy"]["placement"]
    assert (placement.get("max_replicas_per_node"), definition["version"]) == (limit, version)


def test_a_label_of_its_own_places_the_cache() -> None:
    settings, problems = read(node_label="asia", nodes=["worker-1"])
    assert (problems, settings.node_labels) == ([], {"worker-1": {"asia": "true"}})
    definition = deployed(node_label="asia")
    assert definition["services"]["cache"]["deploy"]["placement"]["constraints"] == ["node.labels.asia == true"]


@pytest.mark.parametrize(
    ("http", "grace"),
    [({"draintimeout": "2m"}, "130s"), ({"draintimeout": "1s"}, "11s"), ({"draintimeout": "0s"}, "10s")],
)
def test_a_replica_has_longer_to_end_than_for_its_last_requests(http: dict[str, t.Any], grace: str) -> None:
    by_environment = {"REGISTRY_HTTP_DRAINTIMEOUT": http["draintimeout"]}
    for changes in ({"config_extra": {"http": http}}, {"environment": by_environment}):
        assert deployed(**changes)["services"]["cache"]["stop_grace_period"] == grace


def test_another_port_stands_in_both_files() -> None:
    settings = settings_with(port=9443, publish_mode="host")
    config = deployment.registry_config(settings)
    assert (config["http"]["addr"], config["http"]["host"]) == ("0.0.0.0:9443", "https://cache.example.org:9443")
    assert deployed(port=9443, publish_mode="host")["services"]["cache"]["ports"] == [
        {"mode": "host", "protocol": "tcp", "published": 9443, "target": 9443}
    ]


@pytest.mark.parametrize("mode", ["ingress", "host"])
def test_metrics_are_published_by_each_node(mode: str) -> None:
    changes = {
        "metrics_port": 5001,
        "publish_mode": mode,
        "config_extra": {"http": {"debug": {"prometheus": {"path": "/m"}}}},
    }
    http = deployment.registry_config(settings_with(**changes))["http"]
    assert http["debug"] == {"addr": "0.0.0.0:5001", "prometheus": {"enabled": True, "path": "/m"}}
    of_node = {"mode": "host", "protocol": "tcp", "published": 5001, "target": 5001}
    ports = deployed(**changes)["services"]["cache"]["ports"]
    assert ports[1:] == [of_node]
    assert ports[0] == ("443:443" if mode == "ingress" else {**of_node, "published": 443, "target": 443})
    assert "debug" not in deployment.registry_config(settings_with())["http"]
    assert len(deployed()["services"]["cache"]["ports"]) == 1


def test_a_trusted_dtr_needs_no_ca() -> None:
    settings = settings_with(registry_ca="system")
    assert "cas" not in deployment.registry_config(settings)["middleware"]["registry"][0]["options"]
    assert {item.file for item in deployment.swarm_objects(settings, None)} == {
        "config.yml",
        "cache.cert.pem",
        "cache.key.pem",
    }


def test_a_chained_cache_trusts_the_next_hop_and_dtr() -> None:
    other = make_identity("other", ca=True)
    settings = settings_with(upstreams=["https://asia.example.org"], upstream_cas=[other.pem])
    options = deployment.registry_config(settings)["middleware"]["registry"][0]["options"]
    assert options["upstreams"] == ["https://asia.example.org:443"]
    assert options["cas"] == ["/run/secrets/upstream.1.cert.pem", "/run/secrets/dtr.cert.pem"]
    objects = {item.file: item.data for item in deployment.swarm_objects(settings, CA.pem)}
    assert objects["upstream.1.cert.pem"] == other.pem
    assert objects["dtr.cert.pem"] == CA.pem
    settings = settings_with(upstreams=["https://asia.example.org"], upstream_cas=[other.pem], registry_ca="system")
    options = deployment.registry_config(settings)["middleware"]["registry"][0]["options"]
    assert options["cas"] == ["/run/secrets/upstream.1.cert.pem"]


def test_layers_may_stay_for_ever() -> None:
    options = deployment.registry_config(settings_with(blob_ttl="never"))["middleware"]["registry"][0]["options"]
    assert "blobttl" not in options


@pytest.mark.parametrize(
    ("given", "same"),
    [
        ({"host": "CACHE.Example.org."}, {}),
        ({"registry_url": "https://DTR.example.org./"}, {}),
        ({"registry_url": "HTTPS://dtr.example.org:443"}, {}),
        ({"upstreams": ["https://ASIA.example.org:443/"]}, {"upstreams": ["https://asia.example.org"]}),
    ],
)
def test_another_spelling_of_an_address_is_the_same_deployment(given: dict[str, t.Any], same: dict[str, t.Any]) -> None:
    def everything(**changes: t.Any) -> t.Any:
        settings = settings_with(**changes)
        return deployment.config_text(settings), deployment.swarm_objects(settings, CA.pem), settings.url

    assert everything(**given) == everything(**same)


def test_a_config_with_credentials_is_a_secret_and_the_entrypoint_follows_it() -> None:
    definition = deployed(storage={"s3": {"bucket": "b", "region": "r", "accesskey": "a", "secretkey": "x"}})
    service = definition["services"]["cache"]
    assert service["configs"] == []
    assert "configs" not in definition
    assert "config.yml" in definition["secrets"]
    assert service["entrypoint"] == ["/start.sh", "/run/secrets/config.yml"]


def test_extra_configuration_is_merged_at_every_depth() -> None:
    config = deployment.registry_config(
        settings_with(config_extra={"log": {"level": "debug"}, "http": {"relativeurls": True}})
    )
    assert config["log"] == {"level": "debug"}
    assert config["http"]["relativeurls"] is True
    assert config["http"]["addr"] == "0.0.0.0:443"


@pytest.mark.parametrize(
    ("volume", "mount", "volumes"),
    [
        ("/srv/cache", "/srv/cache:/var/lib/registry", None),
        ("layers", "layers:/var/lib/registry", {"layers": {}}),
        (
            {"driver": "local", "driver_opts": {"type": "tmpfs", "device": "tmpfs"}},
            "cache-data:/var/lib/registry",
            {"cache-data": {"driver": "local", "driver_opts": {"type": "tmpfs", "device": "tmpfs"}}},
        ),
        ({"name": "larger", "driver": "x"}, "larger:/var/lib/registry", {"larger": {"driver": "x"}}),
    ],
)
def test_layers_can_be_kept_outside_of_the_container(volume: t.Any, mount: str, volumes: t.Any) -> None:
    definition = deployed(volume=volume)
    assert definition["services"]["cache"]["volumes"] == [mount]
    assert definition.get("volumes") == volumes


@pytest.mark.parametrize(
    "changes",
    [
        {"storage": {"filesystem": {"rootdirectory": "/layers"}}},
        {"config_extra": {"storage": {"filesystem": {"rootdirectory": "/layers"}}}},
        {"environment": {"REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": "/layers/"}},
    ],
)
def test_a_volume_is_mounted_where_the_registry_keeps_its_layers(changes: dict[str, t.Any]) -> None:
    for volume, source in (("/srv/cache", "/srv/cache"), ("data", "data"), ({"driver": "local"}, "cache-data")):
        assert deployed(volume=volume, **changes)["services"]["cache"]["volumes"] == [f"{source}:/layers"]


def test_an_ipv6_address_is_written_as_one_in_the_registrys_own_address() -> None:
    ipv6: dict[str, t.Any] = {"host": "2001:db8::1", "certificate": IPV6.pem, "private_key": IPV6.key_pem}
    for port, host in ((443, "https://[2001:db8::1]"), (9443, "https://[2001:db8::1]:9443")):
        assert deployment.registry_config(settings_with(**ipv6, port=port))["http"]["host"] == host


def test_docker_reads_a_dollar_where_one_was_meant() -> None:
    changes: dict[str, t.Any] = {"environment": {"X": "a$b ${c}"}, "volume": "/srv/$x", "image": "r/i:1"}
    definition = deployed(**changes)
    assert definition["services"]["cache"]["environment"] == {"X": "a$b ${c}"}, "what the plan compares with"
    settings = settings_with(**changes)
    written = yaml.safe_load(deployment.stack_text(settings, deployment.swarm_objects(settings, CA.pem)))
    assert written["services"]["cache"]["environment"] == ["X=a$$b $${c}"]
    assert written["services"]["cache"]["volumes"] == ["/srv/$$x:/var/lib/registry"]
    assert written == deployment.for_docker(definition)


def test_docker_reads_the_texts_that_were_meant() -> None:
    """Docker puts variables in after it has read the YAML, which community.docker writes without the needed quotes."""
    changes: dict[str, t.Any] = {
        "service_extra": {
            "labels": {"sha": "0812345", "a": "y", "plain": "1.5"},
            "deploy": {"labels": {"sha": "12e03"}},
            "logging": {"driver": "json-file", "options": {"tag": "7e2"}},
            "hostname": "8e1",
            "healthcheck": {"test": ["CMD", "n"]},
        },
        "environment": {"N": "1e3"},
        "volume": {"driver": "n", "driver_opts": {"size": "1e9"}},
    }
    definition = deployed(**changes)
    assert definition["services"]["cache"]["labels"]["sha"] == "0812345", "what the plan compares with"
    written = yaml.safe_load(yaml.dump(deployment.for_docker(definition)))
    found = written["services"]["cache"]
    kept = "${{DTR_CACHE_IS_NEVER_SET:-{}}}".format
    assert found["labels"] == {"sha": kept("0812345"), "a": kept("y"), "plain": "1.5"}
    assert found["deploy"]["labels"] == {"sha": kept("12e03")}
    assert found["logging"]["options"] == {"tag": kept("7e2")}
    assert (found["hostname"], found["healthcheck"]["test"]) == (kept("8e1"), ["CMD", kept("n")])
    assert found["environment"] == ["N=1e3"]
    assert written["volumes"]["cache-data"] == {"driver": kept("n"), "driver_opts": {"size": kept("1e9")}}
    settings = settings_with(**changes)
    assert "sha: '0812345'" in deployment.stack_text(settings, deployment.swarm_objects(settings, CA.pem))


def test_names_change_exactly_when_the_content_does() -> None:
    before = names()
    assert names() == before
    assert names(blob_ttl="48h") == {**before, "config.yml": names(blob_ttl="48h")["config.yml"]}
    assert names(blob_ttl="48h")["config.yml"] != before["config.yml"]
    assert names(replicas=1) == before
    other = make_identity("cache", CA, addresses=["cache.example.org"])
    renewed = names(certificate=other.pem, private_key=other.key_pem)
    assert renewed["dtr.cert.pem"] == before["dtr.cert.pem"]
    assert {file for file in before if renewed[file] != before[file]} == {
        "cache.cert.pem",
        "cache.key.pem",
        "config.yml",
    }


def test_names_fit_and_tell_nothing_of_the_content() -> None:
    chained = settings_with(stack_name="s" * 30, upstreams=["https://asia.example.org"], upstream_cas=[CA.pem] * 10)
    for item in deployment.swarm_objects(chained, CA.pem):
        assert len(item.name) <= 64, "the limit of Swarm"
    assert any("upstream.10.cert.pem" in item.name for item in deployment.swarm_objects(chained, CA.pem))
    _settings, (problem,) = read(stack_name="s" * 31)
    assert problem.startswith("dtr_cache_stack_name: ")
    marks = {name.rpartition("_")[2] for name in names().values()}
    assert all(len(mark) == 12 for mark in marks)
    assert not any(mark in CACHE.key_pem for mark in marks)


def test_what_is_rendered_for_review_holds_no_secret() -> None:
    settings = settings_with(
        http_secret="s" * 32,
        storage={"s3": {"bucket": "b", "region": "r", "accesskey": "a", "secretkey": "hush"}},
        config_extra={"redis": {"password": "p4ss"}},
    )
    text = deployment.config_for_review(settings)
    assert not any(secret in text for secret in ("s" * 32, "hush", "p4ss"))
    review, real = yaml.safe_load(text), deployment.registry_config(settings)
    assert review["http"]["secret"] == "(secret)"
    assert review["middleware"] == real["middleware"]
    assert review["http"]["tls"] == real["http"]["tls"]


class Marked(str):
    """Text as ansible-core hands it over."""


def test_marked_text_becomes_plain_yaml() -> None:
    extra = {Marked("log"): {Marked("level"): Marked("debug"), "hooks": [Marked("a")]}}
    config = yaml.safe_load(deployment.config_text(settings_with(config_extra=extra)))
    assert config["log"] == {"level": "debug", "hooks": ["a"]}


def test_an_object_does_not_show_its_data() -> None:
    for item in deployment.swarm_objects(settings_with(), CA.pem):
        assert item.data not in repr(item)
        assert "PRIVATE" not in repr(item)


@pytest.mark.parametrize(
    ("backend", "public", "credentials"),
    [
        (
            "s3",
            {"bucket": "b", "region": "r"},
            {"accesskey": "hush-1", "secretkey": "hush-2", "sessiontoken": "hush-3"},
        ),
        ("azure", {"accountname": "a", "container": "c"}, {"accountkey": "hush-1"}),
        ("gcs", {"bucket": "b"}, {"credentials": {"private_key": "hush-1"}}),
        ("swift", {"username": "u", "authurl": "a", "container": "c"}, {"password": "hush-1"}),
        ("oss", {"bucket": "b", "region": "r"}, {"accesskeyid": "hush-1", "accesskeysecret": "hush-2"}),
    ],
)
def test_credentials_of_a_storage_backend_stay_out_of_configs(
    backend: str, public: dict[str, t.Any], credentials: dict[str, t.Any]
) -> None:
    settings = settings_with(storage={backend: {**public, **credentials}, "redirect": {"disable": True}})
    objects = deployment.swarm_objects(settings, "ca")
    (config,) = [item for item in objects if item.file == "config.yml"]
    assert config.kind == "secret"
    written = yaml.safe_load(config.data)["storage"]
    assert written == {backend: {**public, **credentials}, "redirect": {"disable": True}, "delete": {"enabled": True}}
    shown = deployment.config_for_review(settings) + deployment.stack_text(settings, objects) + repr(objects)
    assert "hush" not in shown


def test_storage_that_needs_no_credential_is_a_config() -> None:
    settings = settings_with(storage={"s3": {"bucket": "b", "region": "r"}})
    assert deployment.swarm_objects(settings, "ca")[0].kind == "config"


def test_the_definition_of_a_default_deployment_is_complete() -> None:
    settings = settings_with(nodes=["worker-3"])
    objects = {item.file: item.name for item in deployment.swarm_objects(settings, CA.pem)}
    secrets = ("dtr.cert.pem", "cache.cert.pem", "cache.key.pem")
    assert deployed(nodes=["worker-3"]) == {
        "version": "3.3",
        "services": {
            "cache": {
                "image": "docker/dtr-content-cache:2.7.6",
                "entrypoint": ["/start.sh", "/config.yml"],
                "ports": ["443:443"],
                "stop_grace_period": "40s",
                "deploy": {
                    "replicas": 1,
                    "placement": {"constraints": ["node.labels.dtr.cache == true"]},
                    "restart_policy": {"condition": "any"},
                    "update_config": {
                        "parallelism": 1,
                        "delay": "5s",
                        "failure_action": "rollback",
                        "monitor": "10s",
                    },
                },
                "configs": [{"source": "config.yml", "target": "/config.yml"}],
                "secrets": [{"source": file, "target": file} for file in secrets],
            }
        },
        "configs": {"config.yml": {"external": {"name": objects["config.yml"]}}},
        "secrets": {file: {"external": {"name": objects[file]}} for file in secrets},
    }


def test_labels_say_what_everybody_may_know_of_a_secret() -> None:
    objects = {item.file: item for item in deployment.swarm_objects(settings_with(), CA.pem)}
    (described,) = json.loads(objects["cache.cert.pem"].labels["dtr.cache.certificates"])
    assert described == dict(certificates.describe(CACHE.certificate))
    assert json.loads(objects["dtr.cert.pem"].labels["dtr.cache.certificates"])[0]["subject"] == "CN=ca"
    assert set(objects["cache.key.pem"].labels) == {"dtr.cache.stack", "dtr.cache.file"}
    assert objects["config.yml"].labels == {
        "dtr.cache.stack": "dtr-cache",
        "dtr.cache.file": "config.yml",
        "dtr.cache.name": settings_with().name,
        "dtr.cache.url": settings_with().url,
        "dtr.cache.registry": "https://dtr.example.org",
    }


def test_so_they_do_of_a_config_that_is_a_secret() -> None:
    storage = {"s3": {"bucket": "layers", "region": "eu", "accesskey": "hush", "secretkey": "hush"}}
    objects = deployment.swarm_objects(settings_with(storage=storage, http_secret="hush" * 8), CA.pem)
    (config,) = [item for item in objects if item.file == "config.yml"]
    assert (config.kind, "hush" in config.data) == ("secret", True)
    shown = config.labels["dtr.cache.content"]
    assert "hush" not in shown and yaml.safe_load(shown)["storage"]["s3"]["bucket"] == "layers"


# As gopkg.in/yaml.v2 (resolve.go) has them.
MISREAD = [
    *("y", "Y", "n", "N", "1e3", "+1e3", "-1.5e3", ".5E2", "0o17", "0O17", "0X1F", "-0B1", "0_8", "1e_3", "+_1"),
    # Short names of commits, and a date.
    *("08", "0812345", "12e03", "2026-1-5", "2026-1-5 1:2:3"),
]


@pytest.mark.parametrize("text", MISREAD)
def test_what_only_go_takes_for_another_type_is_quoted(text: str) -> None:
    assert is_misread(text)
    written = deployment.as_yaml({text: text, "list": [text]})
    assert written == f"'{text}': '{text}'\nlist:\n- '{text}'\n"
    assert yaml.safe_load(written) == {text: text, "list": [text]}


@pytest.mark.parametrize("text", ["yes", "no", "5", "0.5", "null", "2026-01-01", "0x1F", "5.e-1", "1_000", "", "~"])
def test_what_both_do_is_quoted_anyway(text: str) -> None:
    assert deployment.as_yaml([text]) in (f"- '{text}'\n", f'- "{text}"\n')


@pytest.mark.parametrize(
    "text", ["nginx", "ny", "1e3x", "e3", "24h", "1.5.0", "a: b", "_1", "0xg", "e_3", "2026-1", "-", "."]
)
def test_texts_stay_texts(text: str) -> None:
    assert not is_misread(text)
    assert yaml.safe_load(deployment.as_yaml(text)) == text
