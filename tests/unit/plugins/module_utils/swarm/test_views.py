# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two views of a service: what Docker's command makes of a definition is no difference, and anything else is."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.swarm.plan import plan
from ansible_collections.dtr.cache.plugins.module_utils.swarm.views import (
    Mount,
    Port,
    carries_secret,
    comparable_sides,
    different,
    mounts,
    ports,
    two_views,
    without_credentials,
)
from ansible_collections.dtr.cache.tests.unit.support.plans import DEFINITION, LIVE_SPEC, swarm, wanted

# By the key of the view: what a definition declares, what the Engine reports of it, and what differs.
CASES: dict[str, tuple[dict[str, t.Any], dict[str, t.Any], dict[str, t.Any]]] = {
    "logging": (
        {"logging": {"driver": "json-file", "options": {"max-file": "2"}}},
        {"task": {"LogDriver": {"Name": "json-file", "Options": {"max-file": "2"}}}},
        {"task": {"LogDriver": {"Name": "json-file"}}},
    ),
    "extra_hosts": (
        {"extra_hosts": ["b:192.0.2.2", "a:2001:db8::1"]},
        {"container": {"Hosts": ["2001:db8::1 a", "192.0.2.2 b"]}},
        {"container": {"Hosts": ["192.0.2.2 b"]}},
    ),
    "dns": (
        {"dns": ["192.0.2.53"]},
        {"container": {"DNSConfig": {"Nameservers": ["192.0.2.53"]}}},
        {"container": {"DNSConfig": {}}},
    ),
    "dns_search": (
        {"dns_search": ["a.example"]},
        {"container": {"DNSConfig": {"Search": ["a.example"]}}},
        {"container": {"DNSConfig": {"Search": ["b.example"]}}},
    ),
    "labels": (
        {"labels": {"a": "1", "b": ""}},
        {"container": {"Labels": {"a": "1", "b": "", "com.docker.stack.namespace": "dtr-cache"}}},
        {"container": {"Labels": {"a": "2", "b": ""}}},
    ),
    "service_labels": (
        {"deploy": {"labels": {"com.docker.ucp.access.label": "/x"}}},
        {
            "spec": {
                "Labels": {"com.docker.ucp.access.label": "/x", "com.docker.stack.image": "i", "com.docker.ucp.y": ""}
            }
        },
        {"spec": {"Labels": {"com.docker.ucp.access.label": "/"}}},
    ),
    "healthcheck": (
        {"healthcheck": {"test": ["CMD-SHELL", "true"], "interval": "1m", "retries": 3}},
        {"container": {"Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 60 * 10**9, "Retries": 3}}},
        {"container": {"Healthcheck": {"Test": ["CMD-SHELL", "true"], "Retries": 3}}},
    ),
    "hostname": ({"hostname": "c"}, {"container": {"Hostname": "c"}}, {"container": {}}),
    "sysctls": (
        {"sysctls": {"net.core.somaxconn": "1024"}},
        {"container": {"Sysctls": {"net.core.somaxconn": "1024"}}},
        {"container": {"Sysctls": {"net.core.somaxconn": "128"}}},
    ),
    "ulimits": (
        {"ulimits": {"nofile": {"soft": 64, "hard": 64}}},
        {"container": {"Ulimits": [{"Name": "nofile", "Soft": 64, "Hard": 64}]}},
        {"container": {"Ulimits": [{"Name": "nofile", "Soft": 32, "Hard": 64}]}},
    ),
    "cap_add": (
        {"cap_add": ["SYS_NICE", "cap_net_admin"]},
        {"container": {"CapabilityAdd": ["CAP_NET_ADMIN", "CAP_SYS_NICE"]}},
        {"container": {"CapabilityAdd": ["ALL"]}},
    ),
    "cap_drop": (
        {"cap_drop": ["ALL", "MKNOD"]},
        {"container": {"CapabilityDrop": ["ALL"]}},
        {"container": {"CapabilityDrop": ["CAP_MKNOD"]}},
    ),
    "init": ({"init": False}, {"container": {"Init": False}}, {"container": {}}),
}


def differences(live: dict[str, dict[str, t.Any]], declared: dict[str, t.Any]) -> list[str]:
    """What of a service with these parts is not as a definition with these keys has it."""
    definition, spec = copy.deepcopy(DEFINITION), copy.deepcopy(LIVE_SPEC)
    service = definition["services"]["cache"]
    service.update({key: value for key, value in declared.items() if key != "deploy"})
    service["deploy"] = {**service["deploy"], **declared.get("deploy", {})}
    task = spec["TaskTemplate"]
    task.update(live.get("task", {}))
    task["ContainerSpec"].update(live.get("container", {}))
    spec["Labels"] = {**(spec.get("Labels") or {}), **live.get("spec", {}).get("Labels", {})}
    return different(*two_views("dtr-cache", "cache", {"Spec": spec}, definition))


@pytest.mark.parametrize("key", CASES)
def test_what_docker_makes_of_it_is_no_difference(key: str) -> None:
    declared, live, other = CASES[key]
    assert differences(live, declared) == []
    # By hand: another one, none, and one where none is declared.
    assert differences(other, declared) == [key]
    assert differences({}, declared) == [key]
    assert differences(live, {}) == ([] if key == "service_labels" else [key])


def test_a_healthcheck_that_is_switched_off() -> None:
    live = {"container": {"Healthcheck": {"Test": ["NONE"]}}}
    assert differences(live, {"healthcheck": {"disable": True}}) == []
    assert differences({}, {"healthcheck": {"disable": True}}) == ["healthcheck"]


def test_a_capability_that_is_added_is_not_dropped() -> None:
    live = {"container": {"CapabilityAdd": ["CAP_MKNOD"]}}
    assert differences(live, {"cap_add": ["MKNOD"], "cap_drop": ["MKNOD"]}) == []


def test_labels_of_ucp_are_no_drift_but_those_of_others_are() -> None:
    of_ucp = {
        "spec": {"Labels": {"com.docker.ucp.collection": "swarm"}},
        "container": {"Labels": {"com.docker.x": "y"}},
    }
    assert differences(of_ucp, {}) == []
    assert differences({"spec": {"Labels": {"traefik.enable": "true"}}}, {}) == ["service_labels"]


def test_ports_of_the_mesh_and_of_the_nodes() -> None:
    of_node = {"mode": "host", "protocol": "tcp", "published": 9443, "target": 9443}
    found = ports({"ports": ["443:443", of_node]})
    assert found == [Port(443, 443), Port(9443, 9443, "tcp", "host")]
    assert list(map(str, found)) == ["443:443/tcp (ingress)", "9443:9443/tcp (host)"]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("layers:/data", "volume stack_layers at /data"),
        ("nfs:/data", "volume stack_nfs at /data (timeo=5,type=nfs)"),
        ("other:/data", "volume stack_other at /data (driver flocker)"),
        ("/srv:/data", "bind /srv at /data"),
        ({"type": "tmpfs", "target": "/data"}, "tmpfs  at /data"),
        ({"type": "volume", "target": "/data"}, "volume  at /data"),
    ],
)
def test_mounts(given: t.Any, shown: str) -> None:
    nfs = {"driver": "local", "driver_opts": {"type": "nfs", "timeo": "5"}}
    volumes = {"layers": {}, "nfs": nfs, "other": {"driver": "flocker"}}
    assert list(map(str, mounts("stack", {"volumes": [given]}, {"volumes": volumes}))) == [shown]


def test_manners_of_mounts() -> None:
    mount = Mount("bind", "/srv", "/data", True, True, propagation="rslave", mode=0o700)
    assert str(mount) == "bind /srv at /data (read only,no copy,propagation rslave,mode 0700)"
    assert Mount("tmpfs", "", "/data", propagation="rprivate", mode=0o1777).manner == []


SECRET = "ohsecret"
CONTAINER: dict[str, t.Any] = {
    "Env": [f"AWS_SECRET_ACCESS_KEY={SECRET}", f"http_proxy=http://u:{SECRET}@proxy:3128", "REGION=eu-west-1"],
    "Args": [f"--password={SECRET}", "--api-token", SECRET, "-u", f"admin:{SECRET}", "--verbose"],
    "Healthcheck": {"Test": ["CMD-SHELL", f"curl -u admin:{SECRET} -H 'Authorization: Bearer {SECRET}' https://a"]},
    "Labels": {"api_key": SECRET},
}


def by_hand() -> dict[str, t.Any]:
    spec = copy.deepcopy(LIVE_SPEC)
    container = spec["TaskTemplate"]["ContainerSpec"]
    container.update(CONTAINER)
    container["Mounts"][0]["VolumeOptions"]["DriverConfig"]["Options"] = {"o": f"username=u,password={SECRET}"}
    spec["Labels"]["registry-password"] = SECRET
    spec["TaskTemplate"]["LogDriver"] = {"Name": "splunk", "Options": {"splunk-token": SECRET, "splunk-url": "x"}}
    return spec


def test_a_diff_has_no_secret_of_the_live_service() -> None:
    before = plan(swarm(by_hand()), wanted()).diff()["before"]["services"]["dtr-cache_cache"]
    assert SECRET not in str(before)
    assert before["environment"]["REGION"] == "eu-west-1"
    assert before["command"] == ["--password=***", "--api-token", "***", "-u", "admin:***", "--verbose"]
    assert before["logging"] == {"driver": "splunk", "options": {"splunk-token": "(secret)", "splunk-url": "x"}}


@pytest.mark.parametrize("part", ["environment", "labels"])
def test_another_secret_is_called_one(part: str) -> None:
    before, after = comparable_sides({part: {"A_TOKEN": SECRET}}, {part: {"A_TOKEN": "another"}})
    assert (before, after) == ({part: {"A_TOKEN": "(secret)"}}, {part: {"A_TOKEN": "(another secret)"}})


def test_names_of_docker_objects_are_shown() -> None:
    names = {"secrets": {"password": "the-password"}, "configs": {"/token": "A" * 20 + "b1" * 10}}
    assert comparable_sides(names, names) == (names, names)
    assert without_credentials(names) == names


def test_a_word_of_a_command_is_hidden_as_a_whole_where_it_is_adopted() -> None:
    view = {"command": ["--token", SECRET, "-v"], "labels": {"a_key": "1", "password": SECRET}}
    assert without_credentials(view) == {
        "command": ["--token", "(secret)", "-v"],
        "labels": {"a_key": "1", "password": "(secret)"},
    }


@pytest.mark.parametrize(
    ("command", "secret"),
    [
        ("wget -q --no-check-certificate https://localhost/v2/?n=1 -O - || exit 1 ", False),
        ("test -f /run/secrets/cache.key.pem", False),
        (f"sh -c '{'x' * 600}'", False),
        (f"curl -u admin:{SECRET} https://localhost", True),
        (f"curl https://admin:{SECRET}@localhost", True),
        (f"PASSWORD={SECRET} check", True),
        (f"check --api-token {SECRET}", True),
    ],
)
def test_a_command_that_carries_a_secret(command: str, secret: bool) -> None:
    assert carries_secret(["CMD-SHELL", command]) == secret
    assert carries_secret(["CMD", *command.split()]) == secret
