# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a cache that runs to the file that describes it."""

from __future__ import annotations

import re
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.dtr.model import ContentCache
from ansible_collections.dtr.cache.plugins.module_utils.swarm.views import wanted_service
from ansible_collections.dtr.cache.plugins.plugin_utils.adoption.describe import MOST_ACCOUNTS, Accounts
from ansible_collections.dtr.cache.plugins.plugin_utils.adoption.find import Hints
from ansible_collections.dtr.cache.plugins.plugin_utils.deployment.definition import registry_config, stack_definition
from ansible_collections.dtr.cache.tests.unit.support.adopted import ASIA, VOCABULARY, adopted, variables
from ansible_collections.dtr.cache.tests.unit.support.live import (
    CONFIG,
    IMAGE,
    config,
    deployed,
    found,
    service,
    vendors,
)
from ansible_collections.dtr.cache.tests.unit.support.settings import read

DOWNSTREAM = "middleware.registry.0.options"
# What a deployment changes of the vendor's stack: docs/decisions.md says so of each.
ALWAYS = [
    "service: restart_policy: condition on-failure -> any",
    "service: stop_grace_period: 10s -> 40s",
    "service: update_config: delay 0s -> 5s, failure_action pause -> rollback, monitor 5s -> 10s",
    "config.yml: http.draintimeout, http.secret",
]


def with_port(live: dict[str, t.Any], published: int, target: int) -> dict[str, t.Any]:
    """Return the cache with a second port, which is one of its nodes."""
    port = {"published": published, "target": target, "protocol": "tcp", "mode": "host"}
    ports = sorted([*live["view"]["ports"], f"{published}:{target}/tcp (host)"])
    return {**live, "ports": [*live["ports"], port], "view": {**live["view"], "ports": ports}}


def test_the_vendors_cache() -> None:
    written = adopted(vendors())
    assert variables(written) == {
        "name": "region-asia",
        "host": "cache-asia.example.org",
        "port": 443,
        "product": "dtr",
        "image": IMAGE,
        "nodes": ["worker-1"],
        "replicas": 1,
        "publish_mode": "ingress",
        "blob_ttl": "24h",
        "stack_name": "dtr-cache",
        "assignments": {"accounts": ["alice", "bob"]},
    }
    assert written.changes == ALWAYS and written.notes == []
    assert written.to_set == ["dtr_cache_certificate", "dtr_cache_private_key"]
    assert (written.name, written.accounts) == ("region-asia", 2)
    assert "generate-random-secret" not in written.text
    for sentence in ALWAYS:
        assert f"# - {sentence}\n" in written.text


def test_the_file_is_in_the_order_of_the_vocabulary_and_names_what_only_the_user_knows() -> None:
    text = adopted(vendors()).text
    names = re.findall(r"^(?:# )?(dtr_cache_\w+):", text, re.MULTILINE)
    assert names == [name for name in VOCABULARY if name in names]
    for name in ("registry_username", "registry_password", "certificate", "private_key", "ca_certificate"):
        assert f"\n# dtr_cache_{name}: " in text
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"metrics_port": 5001, "public_port": 8443},
        {"service_extra": {"logging": {"driver": "json-file", "options": {"max-size": "10m"}}, "init": True}},
        {"service_extra": {"extra_hosts": ["a.example.org:192.0.2.1"], "dns": "192.0.2.53", "hostname": "cache"}},
        {"service_extra": {"labels": {"a": "b"}, "deploy": {"labels": {"c": "d"}}, "tmpfs": ["/tmp"]}},
        {"service_extra": {"ulimits": {"nofile": 1024}, "healthcheck": {"disable": True}, "cap_drop": ["ALL"]}},
        {"service_extra": {"stop_grace_period": "2m", "healthcheck": {"test": "true", "interval": "30s"}}},
        {"config_extra": {"http": {"draintimeout": "90s"}}},
        {"nodes": ["worker-1"], "port": 8443, "publish_mode": "host", "upstreams": ["https://other.example.org:443"]},
        {"product": "msr3", "version": "3.0.7", "registry_ca": "system", "blob_ttl": "90m", "replicas": 1},
        {"update_config": {"parallelism": 2, "order": "start-first", "max_failure_ratio": 0.25}},
        {"resources": {"limits": {"cpus": "1.5", "memory": "512M"}, "reservations": {"memory": "4100K"}}},
        {"volume": "layers"},
        {"volume": "/srv/layers", "storage": {"filesystem": {"rootdirectory": "/layers", "maxthreads": 50}}},
        {"volume": {"name": "layers", "driver_opts": {"type": "nfs", "o": "addr=192.0.2.1", "device": ":/a"}}},
        {"volume": {"driver": "local", "driver_opts": {"type": "nfs", "o": "addr=192.0.2.1", "device": ":/a"}}},
        {"environment": {"GOGC": "50", "ODD": "a {{ .Node.Hostname }}"}, "stack_name": "pulls"},
        {"config_extra": {"log": {"level": "debug"}, "http": {"headers": {"X-Note": ["{% raw %}"]}}}},
        {"metrics_port": 5001},
        {
            "metrics_port": 5001,
            "publish_mode": "host",
            "config_extra": {"http": {"debug": {"prometheus": {"path": "/m"}}}},
        },
        {"config_extra": {"http": {"debug": {"addr": ":5001"}}, "storage": {"redirect": {"disable": True}}}},
    ],
    ids=str,
)
def test_what_dtr_cache_deployed_deploys_without_a_change(changes: dict[str, t.Any]) -> None:
    settings, problems = read(**changes)
    assert problems == []
    given = {"dtr_cache_registry_ca": changes["registry_ca"]} if "registry_ca" in changes else {}
    entry = ContentCache("a1", settings.name, settings.url)
    written = adopted(deployed(settings), entry, given=given)
    assert written.notes == [] and written.changes == []
    assert "A deployment changes nothing else" in written.text
    found = {name: _without_marks(value) for name, value in variables(written).items()}
    # What only the user knows is as it was.
    again, problems = read(**{"upstream_cas": changes.get("upstream_cas", []), **found})
    assert problems == []
    assert registry_config(again) == registry_config(settings)
    views = [wanted_service("x", "cache", stack_definition(each, [])) for each in (again, settings)]
    assert views[0] == views[1]


def _without_marks(value: t.Any) -> t.Any:
    """The value as Ansible gives it."""
    if isinstance(value, dict):
        return {key: _without_marks(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_marks(item) for item in value]
    return value.removeprefix("unsafe ") if isinstance(value, str) else value


@pytest.mark.parametrize(
    ("image", "label", "secret", "product"),
    [
        (f"mirantis/dtr-content-cache@sha256:{'0' * 64}", "x", "x", "msr2"),
        ("mirantis/dtr-content-cache:2.8.2", "dtr.cache", "dtr.cert.pem", "msr2"),
        ("docker.io/docker/dtr-content-cache:2.6.5", "dtr.cache", "dtr.cert.pem", "dtr"),
        ("registry.example.org/copy/msr-content-cache:3.1.0", "msr.cache", "msr.cert.pem", "msr3"),
        # The secret's name is a path in config.yml, so it says most.
        ("registry.mirantis.com/msr/msr-content-cache:3.0.7", "zone", "dtr.cert.pem", "dtr"),
        ("registry.mirantis.com/msr/msr-content-cache:3.0.7", "zone", "ca.pem", "msr3"),
        ("registry.example.org/cache:1", "zone", "ca.pem", "dtr"),
    ],
)
def test_the_line_of_products(image: str, label: str, secret: str, product: str) -> None:
    live = vendors(
        (f"{DOWNSTREAM}.cas", [f"/run/secrets/{secret}"]),
        container={"Image": image, "Secrets": []},
        task={"Placement": {"Constraints": [f"node.labels.{label} == true"]}},
    )
    assert variables(adopted(live))["product"] == product


def test_the_same_file_again_with_its_variables_given() -> None:
    live = vendors((f"{DOWNSTREAM}.blobttl", "48h"), container={"Env": ["A=b"]})
    once = adopted(live)
    given = {f"dtr_cache_{name}": value for name, value in variables(once).items()}
    assert adopted(live, given=given).text == once.text


def test_what_is_given_otherwise_and_is_not_so_is_undone() -> None:
    given = {"dtr_cache_environment": {"A": "b"}, "dtr_cache_volume": "layers", "dtr_cache_config_extra": {"log": {}}}
    found = variables(adopted(vendors(), given=given))
    assert (found["environment"], found["volume"], found["config_extra"]) == ({}, None, {})


def test_credentials_are_never_written() -> None:
    written = adopted(
        vendors(
            ("storage.filesystem", None),
            ("storage.s3", {"bucket": "b", "region": "r", "accesskey": "KEYID-1", "secretkey": "KEY-1"}),
            ("redis", {"addr": "redis:6379", "password": "PASSWORD-1"}),
            container={"Env": ["AWS_SECRET_ACCESS_KEY=KEY-1"]},
        )
    )
    assert not re.search("KEY-1|KEYID-1|PASSWORD-1", str(written))
    found = variables(written)
    assert found["storage"]["s3"]["secretkey"] == "{{ vault_dtr_cache_storage_s3_secretkey }}"
    assert found["config_extra"] == {
        "redis": {"addr": "redis:6379", "password": "{{ vault_dtr_cache_config_redis_password }}"}
    }
    assert "environment" not in found and "AWS_SECRET_ACCESS_KEY holds a credential" in " ".join(written.notes)
    assert written.vaulted == [
        "vault_dtr_cache_storage_s3_accesskey",
        "vault_dtr_cache_storage_s3_secretkey",
        "vault_dtr_cache_config_redis_password",
    ]


def test_a_config_yml_that_nobody_can_read() -> None:
    settings, _problems = read(storage={"s3": {"bucket": "b", "region": "r", "accesskey": "a", "secretkey": "s"}})
    written = adopted(deployed(settings), ContentCache("a1", settings.name, settings.url))
    for name in ("config_extra", "upstreams", "blob_ttl"):
        assert f"\n# dtr_cache_{name}: " in written.text
        assert name not in variables(written)
    # Nothing is deployed without it.
    assert variables(written)["storage"] == "{{ vault_dtr_cache_storage }}"
    assert written.vaulted == ["vault_dtr_cache_storage"]
    assert "it is a Docker secret, which nobody can read" in written.text
    # Without a host in config.yml, only a name says which of DTR's entries it is.
    assert "if it is one of region-asia (https://cache.example.org:443), set dtr_cache_name" in written.notes[0]
    entry = ContentCache("a1", settings.name, settings.url)
    named = adopted(deployed(settings), entry, hints=Hints("manager-asia", name=settings.name))
    assert variables(named)["host"] == settings.host
    assert named.to_set == ["dtr_cache_certificate", "dtr_cache_private_key"]


@pytest.mark.parametrize(
    ("changes", "name", "value"),
    [
        ([(f"{DOWNSTREAM}.blobttl", 3600 * 10**9)], "blob_ttl", "1h"),
        ([(f"{DOWNSTREAM}.blobttl", "1h30m")], "blob_ttl", "90m"),
        ([(f"{DOWNSTREAM}.blobttl", None)], "blob_ttl", "never"),
        ([(f"{DOWNSTREAM}.cas", None)], "registry_ca", "system"),
        ([(f"{DOWNSTREAM}.upstreams", ["https://a.example.org:443"])], "upstreams", ["https://a.example.org:443"]),
        ([("log.fields", {"zone": "asia"})], "config_extra", {"log": {"fields": {"zone": "asia"}}}),
        ([("log.level", "error")], "config_extra", {"log": {"level": "error"}}),
        ([("storage.maintenance", {"readonly": {"enabled": False}})], "storage", None),
    ],
)
def test_what_config_yml_says(changes: list[tuple[str, t.Any]], name: str, value: t.Any) -> None:
    found = variables(adopted(vendors(*changes)))[name]
    assert found == value if value is not None else found["maintenance"] == {"readonly": {"enabled": False}}


@pytest.mark.parametrize(
    ("live", "note"),
    [
        (vendors(("http.prefix", "/x/")), "config.yml: http.prefix belongs to the cache itself"),
        (vendors(("http.tls", None)), "the cache speaks plain http"),
        (vendors((f"{DOWNSTREAM}.upstreams", [{"originhost": "x"}])), "originhost, the form of DTR 2.2"),
        (vendors(container={"Env": ["REGISTRY_HTTP_ADDR=:80"]}), "REGISTRY_HTTP_ADDR is not kept"),
        (vendors(task={"Resources": {"Limits": {"Pids": 100}}}), "limits.pids 100 of its service is not kept"),
        (
            vendors(container={"Mounts": [{"Type": "bind", "Source": "/etc/x", "Target": "/x"}]}),
            "mounts bind /etc/x at /x of its service is not kept: no variable sets it",
        ),
    ],
)
def test_what_no_variable_keeps_is_named(live: dict[str, t.Any], note: str) -> None:
    written = adopted(live)
    assert any(note in each for each in written.notes), written.notes
    assert note in " ".join(written.text.replace("\n#", " ").split())


def test_what_a_deployment_would_refuse_stands_at_the_top() -> None:
    written = adopted(vendors(("storage.s3", {"bucket": "b", "region": "r", "shiny": 1})))
    assert "A deployment refuses, until it is decided:" in written.text
    assert any("s3 is a second backend beside filesystem" in note for note in written.notes)


def test_placement_and_port_of_another_kind() -> None:
    live = vendors(
        port={"PublishedPort": 9443, "PublishMode": "host"},
        task={"Placement": {"Constraints": ["node.hostname == worker-1"]}},
    )
    found = variables(adopted(live, ContentCache("a1", "region-asia", "https://192.0.2.10:9443")))
    assert (found["port"], found["publish_mode"], found["nodes"]) == (9443, "host", ["worker-1"])
    assert found["host"] == "192.0.2.10"


def test_the_names_that_dtr_has() -> None:
    others = [ContentCache("a2", "old-asia", "https://cache-asia.example.org"), ContentCache("e1", "x", "https://x")]
    accounts = Accounts({"a1": ["alice"], "a2": ["bob", "carol"]}, {"a1": 1}, 9)
    written = adopted(vendors(), ASIA, *others, accounts=accounts)
    # The name that most accounts have.
    assert variables(written)["name"] == "old-asia"
    assert variables(written)["assignments"] == {"accounts": ["alice", "bob", "carol"]}
    assert "1 inactive user pulls from it" in written.text and written.accounts == 4
    assert variables(written)["former_names"] == ["region-asia"]


def test_a_name_that_no_deployment_gives_is_named_with_the_way_on() -> None:
    entry = ContentCache("a1", "Asia Cache #1", "https://cache-asia.example.org")
    written = adopted(vendors(), entry, ContentCache("a2", "asia", entry.host), accounts=Accounts({"a1": ["x"]}, {}, 9))
    (problem,) = written.notes
    assert problem.endswith(
        "Set it to another name such as Asia-Cache-1, and dtr_cache_former_names to "
        '["Asia Cache #1", "asia"]: a deployment then renames the cache in DTR, and its accounts stay'
    )
    assert written.changes == ALWAYS and written.name == "Asia Cache #1"
    # It is so.
    named = {
        **variables(written),
        "host": "cache.example.org",
        "name": "Asia-Cache-1",
        "former_names": ["Asia Cache #1", "asia"],
    }
    assert read(**named)[1] == []


@pytest.mark.parametrize("stack", ["My.Stack", "a" * 31])
def test_a_stack_whose_name_no_deployment_gives(stack: str) -> None:
    (live,) = found([service(stack)], [config("dtr-cache_config.yml", CONFIG)])
    written = adopted(live)
    assert f'such as dtr-cache, and dtr_cache_former_stack_names to ["{stack}"]: a deployment then' in written.notes[0]
    assert written.changes == ALWAYS
    named = {
        **variables(written),
        "host": "cache.example.org",
        "stack_name": "dtr-cache",
        "former_stack_names": [stack],
    }
    assert read(**named)[1] == []


def test_the_password_of_a_proxy_has_no_other_place() -> None:
    written = adopted(vendors(container={"Env": ["HTTPS_PROXY=http://user:hush@proxy.example.org:3128"]}))
    assert written.notes == [
        "the environment variable HTTPS_PROXY holds a credential and is not kept; no other place holds the password of "
        "a proxy, so name a proxy that takes the nodes without one"
    ]
    assert "hush" not in str(written)


def test_a_cache_that_nobody_registered() -> None:
    written = adopted(vendors(), ContentCache("e1", "region-europe", "https://cache-europe.example.org:443"))
    found = variables(written)
    assert (found["name"], found["host"]) == ("manager-asia", "cache-asia.example.org")
    assert "assignments" not in found and "no cache registered" in " ".join(written.notes)


def test_a_load_balancer_in_front() -> None:
    entry = ContentCache("a1", "region-asia", "https://cache-asia.example.org:8443")
    found = variables(adopted(vendors(), entry))
    assert (found["port"], found["public_port"]) == (443, 8443)


@pytest.mark.parametrize(
    ("registered", "at", "given", "port", "public_port"),
    [
        # Where DTR sends its clients.
        ("https://cache-asia.example.org:8443", "https://cache-asia.example.org", None, 8443, None),
        ("https://cache-asia.example.org", "https://cache-asia.example.org:8443", None, 443, None),
        # Neither is that of the load balancer.
        ("https://cache-asia.example.org:9443", "https://cache-asia.example.org", None, 443, 9443),
        # DTR knows none of them.
        (None, "https://cache-asia.example.org:8443", None, 8443, None),
        (None, None, 8443, 8443, None),
    ],
)
def test_of_several_ports_the_one_that_clients_use(
    registered: str | None, at: str | None, given: int | None, port: int, public_port: int | None
) -> None:
    live = vendors(("http.host", at))
    entry = ContentCache("a1", "region-asia", registered or "https://cache-europe.example.org")
    written = adopted(with_port(live, 8443, 443), entry, hints=Hints("manager-asia", port=given))
    found = variables(written)
    assert (found["port"], found.get("public_port")) == (port, public_port)
    other, mode = ("443:443/tcp (ingress)", "host") if port == 8443 else ("8443:443/tcp (host)", "ingress")
    assert found["publish_mode"] == mode
    lost = f"ports {other} of its service is not kept: no variable sets it, and a deployment takes it away"
    assert lost in written.notes


@pytest.mark.parametrize(
    ("upstreams", "cas", "example"),
    [
        (
            ["https://dtr.example.org", "https://eu.example.org"],
            ["dtr.cert.pem", "eu.pem"],
            "dtr.cert.pem, files/eu.pem",
        ),
        (["https://dtr.example.org", "https://eu.example.org"], ["eu.pem"], "eu.pem"),
        (["https://dtr.example.org"], ["dtr.cert.pem", "proxy.pem"], "dtr.cert.pem, files/proxy.pem"),
        (["https://dtr.example.org"], ["other.pem"], ""),
        (["https://dtr.example.org"], [], ""),
    ],
)
def test_each_ca_that_it_trusts_is_asked_for(upstreams: list[str], cas: list[str], example: str) -> None:
    paths = [f"/run/secrets/{name}" for name in cas]
    written = adopted(vendors((f"{DOWNSTREAM}.upstreams", upstreams), (f"{DOWNSTREAM}.cas", paths)))
    assert ("dtr_cache_upstream_cas" in written.to_set) == bool(example)
    assert (f"\n# dtr_cache_upstream_cas: [files/{example}]\n" in written.text) == bool(example)


def test_a_cache_behind_another_cache() -> None:
    upstreams = (f"{DOWNSTREAM}.upstreams", ["https://cache-europe.example.org:443"])
    behind = adopted(vendors(upstreams, (f"{DOWNSTREAM}.cas", ["/run/secrets/europe.pem"])))
    assert "dtr_cache_upstream_cas" in behind.to_set and "in: /run/secrets/europe.pem." in behind.text
    # With DTR's CA it is the DTR by another name.
    assert "dtr_cache_upstream_cas" not in adopted(vendors(upstreams)).text


@pytest.mark.parametrize("port", [None, 0])
def test_neither_dtr_nor_config_yml_names_the_host(port: int | None) -> None:
    live = {**vendors(("http.host", None)), **({"ports": []} if port is None else {})}
    written = adopted(live, ContentCache("e1", "region-europe", "https://cache-europe.example.org:443"))
    assert "\n# dtr_cache_host: " in written.text
    assert written.to_set[0] == "dtr_cache_host" and written.url == ""


def test_accounts_of_a_large_fleet() -> None:
    many = [f"user-{number:05}" for number in range(10_000)]
    everyone = adopted(vendors(), accounts=Accounts({"a1": many}, {}, 10_000))
    assert variables(everyone)["assignments"] == {"everyone": True} and everyone.accounts == 10_000
    most = adopted(vendors(), accounts=Accounts({"a1": many[:-1]}, {}, 10_000))
    assert "assignments" not in variables(most)
    assert "9999 of 10000 active users pull from this cache" in most.text.replace("\n# ", " ")
    listed = adopted(vendors(), accounts=Accounts({"a1": many[:MOST_ACCOUNTS]}, {}, 10_000))
    assert variables(listed)["assignments"] == {"accounts": many[:MOST_ACCOUNTS]}
    assert max(map(len, (everyone.text, most.text))) < 5000


def test_yaml_takes_every_name_for_text() -> None:
    names = ["010", "yes", "1e3", "null", "a: b", "# c", "{{ d }}", "ü"]
    written = adopted(vendors(), accounts=Accounts({"a1": names}, {}, 99))
    accounts = variables(written)["assignments"]["accounts"]
    assert accounts == [f"unsafe {name}" if "{{" in name else name for name in sorted(names)]


ODD = "x\x1b[31m\x00\u2028y\n- z: 1"


@pytest.mark.parametrize(
    ("entry", "parts"),
    [
        (ContentCache("a1", ODD, "https://elsewhere.example.org"), {}),
        (ASIA, {"container": {"Env": [f"A_TOKEN{ODD}=x", f"b{ODD}=c"]}}),
        (ASIA, {"task": {"Placement": {"Constraints": [f"node.labels.{ODD} == 1"]}}}),
    ],
)
def test_whatever_things_are_called_the_file_can_be_read(entry: ContentCache, parts: dict[str, t.Any]) -> None:
    """YAML takes no control characters, not even in a comment; and a terminal would obey them."""
    written = adopted(vendors(**parts), entry)
    assert variables(written)["stack_name"] == "dtr-cache"
    assert "[31m" in written.text and written.text.replace("\n", "").isprintable()
    assert all(note.isprintable() for note in written.notes)


def test_a_label_of_its_own_is_kept() -> None:
    written = adopted(vendors(task={"Placement": {"Constraints": ["node.labels.pulls == true"]}}))
    assert variables(written)["node_label"] == "pulls"
    assert "constraints" not in " ".join(written.changes)


def test_a_stack_with_two_caches_is_told_with_what_to_do() -> None:
    (note,) = adopted(vendors(), beside=["dtr-cache_osaka"]).notes
    assert note.startswith(
        "stack dtr-cache also has the cache dtr-cache_osaka, and dtr.cache keeps one cache in a stack."
    )
    assert "dtr_cache_stack_name" in note and "docker service rm dtr-cache_cache" in note


def live_with(**parts: t.Any) -> dict[str, t.Any]:
    live = vendors()
    return {**live, "view": {**live["view"], **parts}}


@pytest.mark.parametrize(
    ("part", "extra"),
    [
        ({"logging": {"driver": "json-file", "options": {"max-size": "10m"}}}, None),
        ({"dns": ["192.0.2.53"]}, None),
        ({"hostname": "cache"}, None),
        ({"extra_hosts": ["192.0.2.1 dtr.example.org"]}, {"extra_hosts": ["dtr.example.org:192.0.2.1"]}),
        (
            {"labels": {"team": "a", "com.docker.ucp.collection": "x", "com.docker.ucp.access.label": "/a"}},
            {"labels": {"team": "a", "com.docker.ucp.access.label": "/a"}},
        ),
        ({"service_labels": {"team": "a"}}, {"deploy": {"labels": {"team": "a"}}}),
        ({"ulimits": {"nofile": "1024:2048"}}, {"ulimits": {"nofile": {"soft": 1024, "hard": 2048}}}),
        ({"healthcheck": {"test": ["NONE"]}}, {"healthcheck": {"disable": True}}),
        ({"healthcheck": {"test": ["CMD", "true"], "interval": "30s"}}, None),
    ],
    ids=str,
)
def test_a_key_of_the_compose_file(part: dict[str, t.Any], extra: dict[str, t.Any] | None) -> None:
    written = adopted(live_with(**part))
    assert variables(written)["service_extra"] == (extra or part)
    assert written.notes == [] and "service" not in " ".join(written.changes[3:])


def test_labels_that_the_platform_gave_are_no_change() -> None:
    labels = {"com.docker.ucp.collection": "x"}
    written = adopted(live_with(labels=labels, service_labels=labels))
    assert not any("labels" in change for change in written.changes)
    assert written.notes == []


def test_what_the_variable_refuses_is_named() -> None:
    written = adopted(live_with(labels={"note": "password=hush"}))
    assert written.notes[0].startswith("labels of its service is not kept: ") and "credential" in written.notes[0]
    assert "service_extra" not in variables(written)


def test_more_time_for_the_last_requests_is_kept() -> None:
    assert variables(adopted(live_with(stop_grace_period="120s")))["service_extra"] == {"stop_grace_period": "120s"}
    assert "service_extra" not in variables(adopted(live_with(stop_grace_period="40s")))


def test_a_credential_is_not_kept() -> None:
    written = adopted(live_with(logging={"driver": "splunk", "options": {"splunk-token": "(secret)"}}))
    assert "service_extra" not in variables(written)
    assert written.notes[0].startswith("logging of its service holds a credential")


def test_the_port_of_the_metrics() -> None:
    live = vendors(("http.debug", {"addr": "0.0.0.0:5001", "prometheus": {"enabled": True}}))
    found = variables(adopted(with_port(live, 5001, 5001)))
    assert (found["port"], found["metrics_port"]) == (443, 5001)
    notes = adopted(with_port(live, 9001, 5001)).notes
    assert any("ports 9001:5001/tcp (host) of its service is not kept" in note for note in notes)


FILE = {"Name": "cache.key.pem", "UID": "1000", "GID": "0", "Mode": 0o400}


@pytest.mark.parametrize(
    ("parts", "named"),
    [
        (
            {"container": {"DNSConfig": {"Options": ["ndots:1", "rotate"]}}},
            "dns_options ndots:1, rotate of its service",
        ),
        ({"container": {"Groups": ["27"]}}, "groups 27 of its service is not kept: no variable sets it"),
        ({"container": {"User": "1000"}}, "user 1000 of its service is not kept"),
        ({"container": {"OomScoreAdj": -5}}, "ContainerSpec.OomScoreAdj -5 of its service is not kept"),
        ({"task": {"Resources": {"SwapBytes": 5}}}, "Resources.SwapBytes 5 of its service is not kept"),
        (
            {
                "task": {
                    "Resources": {
                        "Reservations": {"GenericResources": [{"NamedResourceSpec": {"Kind": "a", "Value": "b"}}]}
                    }
                }
            },
            "reservations.generic a=b of its service is not kept",
        ),
    ],
)
def test_what_no_variable_sets_is_named(parts: dict[str, t.Any], named: str) -> None:
    """A deployment takes it away, and the cache may have needed it."""
    written = adopted(vendors(**parts))
    assert written.notes[0].startswith(named)
    (change,) = set(written.changes) - set(adopted(vendors()).changes)
    assert change.startswith("service: ") and change.endswith(" -> none")


@pytest.mark.parametrize(
    ("mount", "named"),
    [
        ({"ReadOnly": True}, "bind /srv at /var/lib/registry (read only) of its service is not kept"),
        ({"BindOptions": {"Propagation": "rslave"}}, "(propagation rslave) of its service is not kept"),
        ({"BindOptions": {"Propagation": "rprivate"}}, ""),
        ({"Type": "volume", "VolumeOptions": {"NoCopy": True}}, "(no copy) of its service is not kept"),
        ({"Type": "tmpfs", "Source": "", "Target": "/t", "TmpfsOptions": {"Mode": 0o700}}, "at /t (mode 0700) of"),
        ({"Type": "tmpfs", "Source": "", "Target": "/t", "TmpfsOptions": {"Mode": 0o1777}}, ""),
        (
            {"BindOptions": {"NonRecursive": True}},
            "ContainerSpec.Mounts[/var/lib/registry].BindOptions.NonRecursive True",
        ),
    ],
    ids=str,
)
def test_how_something_is_mounted_is_named(mount: dict[str, t.Any], named: str) -> None:
    whole = {"Type": "bind", "Source": "/srv", "Target": "/var/lib/registry", **mount}
    notes = " ".join(adopted(vendors(container={"Mounts": [whole]})).notes)
    assert named in notes if named else notes == ""


def test_whose_a_mounted_file_is_is_a_change() -> None:
    changes = adopted(vendors(container={"Secrets": [{"File": FILE, "SecretName": "x"}]})).changes
    assert "cache.key.pem uid 1000, gid 0, mode 0400 -> mounted" in " ".join(changes)
