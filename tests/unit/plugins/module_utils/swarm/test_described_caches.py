# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Caches in a Swarm, whoever made them."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.swarm.live_cache import downstream_options
from ansible_collections.dtr.cache.tests.unit.support.live import (
    CONFIG,
    IMAGE,
    changed,
    config,
    found,
    node,
    service,
    task,
    vendors,
)

KEY = "AKIA-a-key-that-nobody-may-see"


def names(*args: t.Any, **kwargs: t.Any) -> list[str]:
    return [live["service"] for live in found(*args, **kwargs)]


def test_the_vendors_stack() -> None:
    live = vendors()
    assert (live["stack"], live["service"], live["service_name"]) == ("dtr-cache", "dtr-cache_cache", "cache")
    assert live["image"] == IMAGE
    assert live["ports"] == [{"published": 443, "target": 443, "protocol": "tcp", "mode": "ingress"}]
    assert (live["replicas"], live["nodes"], live["running_on"]) == (1, ["worker-1"], ["worker-1"])
    assert live["config"]["kind"] == "config" and live["config"]["place"] == "/config.yml"
    assert not live["own"]
    assert downstream_options(live["config"]["content"]) == CONFIG["middleware"]["registry"][0]["options"]
    assert live["update_config"]["failure_action"] == "pause"
    assert live["config"]["content"]["http"]["secret"] == "(secret)"


def test_a_cache_is_known_under_any_names() -> None:
    by_hand = service("regional", "layers", "cfg-17", container={"Image": "registry.example.org/team/pull:1"})
    by_hand["Spec"]["TaskTemplate"]["ContainerSpec"]["Command"] = None
    by_hand["Spec"]["TaskTemplate"]["ContainerSpec"]["Args"] = ["/etc/cache.yml"]
    by_hand["Spec"]["TaskTemplate"]["ContainerSpec"]["Configs"][0]["File"]["Name"] = "/etc/cache.yml"
    web = service("web", "nginx", "nginx.conf", container={"Image": "nginx:1", "Command": []})
    registry = service(
        "reg",
        "registry",
        "registry.yml",
        container={"Image": "registry:2", "Command": ["registry", "serve", "/config.yml"]},
    )
    configs = [
        config("cfg-17", CONFIG),
        config("nginx.conf", "server {}"),
        config("registry.yml", changed(CONFIG, ("middleware", None))),
    ]
    assert names([web, registry, by_hand], configs) == ["regional_layers"]


def test_where_config_yml_cannot_be_read_the_image_or_the_command_says_it() -> None:
    by_image = service("a", config="gone")
    hidden = [{"File": {"Name": "config.yml", "UID": "0", "GID": "0", "Mode": 0}, "SecretName": "b_config"}]
    own = {"Image": "registry.example.org/x:1", "Configs": [], "Secrets": hidden}
    by_command = service("b", container={**own, "Command": ["/start.sh", "/run/secrets/config.yml"]})
    other = service("c", container={"Image": "registry.example.org/x:1", "Configs": [], "Command": []})
    secrets = [("b_config", {"Spec": {"Name": "b_config", "Labels": {"dtr.cache.stack": "b"}}})]
    lives = found([by_image, by_command, other], secrets=secrets)
    assert [live["service"] for live in lives] == ["a_cache", "b_cache"]
    assert [live["config"]["kind"] for live in lives] == ["config", "secret"]
    assert [live["own"] for live in lives] == [False, True]
    assert "not there any more" in lives[0]["config"]["problem"]
    assert "Docker secret" in lives[1]["config"]["problem"]


def test_a_named_stack_with_one_service_is_taken_at_its_word() -> None:
    other = service("mine", container={"Image": "registry.example.org/x:1", "Configs": [], "Command": []})
    assert names([other]) == []
    assert names([other], stack="mine") == ["mine_cache"]
    assert names([other, service("mine", "second", container={"Image": "redis:7", "Command": []})], stack="mine") == []


def test_nothing_in_it_is_a_secret() -> None:
    live = vendors(
        ("storage.s3", {"bucket": "layers", "secretkey": KEY}),
        ("notifications", {"endpoints": [{"url": f"https://user:{KEY}@hooks.example.org"}]}),
        container={
            "Env": [f"REGISTRY_STORAGE_S3_SECRETKEY={KEY}", "GOGC=50"],
            "Command": ["/start.sh", "/config.yml", f"--password={KEY}"],
            "Mounts": [
                {
                    "Type": "volume",
                    "Source": "x",
                    "Target": "/x",
                    "VolumeOptions": {"DriverConfig": {"Options": {"o": f"username=me,password={KEY}"}}},
                }
            ],
        },
    )
    assert KEY not in json.dumps(live), live
    assert "generate-random-secret" not in json.dumps(live)
    assert live["config"]["content"]["storage"]["s3"] == {"bucket": "layers", "secretkey": "(secret)"}
    assert live["environment"] == {"REGISTRY_STORAGE_S3_SECRETKEY": "(secret)", "GOGC": "50"}


def test_where_it_is_placed() -> None:
    made = service(task={"Placement": {"Constraints": ["node.labels.zone == asia"]}})
    nodes = [node("a", zone="asia"), node("b", zone="asia"), node("c", zone="europe")]
    (live,) = found([made], [config("dtr-cache_config.yml", CONFIG)], nodes=nodes, tasks=[task(made, "b")])
    assert (live["nodes"], live["running_on"]) == (["a", "b"], ["b"])


@pytest.mark.parametrize("content", ["a: [", "- 1", "", "2026-01-01"])
def test_a_config_that_is_none(content: str) -> None:
    (live,) = found([service()], [config("dtr-cache_config.yml", content)])
    assert live["config"]["content"] == {} and live["config"]["problem"]


def test_an_image_that_somebody_put_in_by_hand_is_the_one_that_runs() -> None:
    assert vendors(container={"Image": "docker/dtr-content-cache:2.7.4"})["image"] == "docker/dtr-content-cache:2.7.4"


def test_a_config_that_is_no_file_is_none() -> None:
    file = {"Name": "config.yml", "UID": "0", "GID": "0", "Mode": 0o444}
    configs = [
        {"Runtime": {}, "ConfigName": "credentials"},
        {"File": file, "ConfigName": "dtr-cache_config.yml"},
    ]
    live = vendors(container={"Configs": configs})
    assert (live["config"]["name"], list(live["view"]["configs"])) == ("dtr-cache_config.yml", ["/config.yml"])


@pytest.mark.parametrize("name", ["docker/dtr-content-cache", "registry.example.org:5000/msr/msr-content-cache"])
def test_an_image_that_goes_by_its_digest_alone_keeps_it(name: str) -> None:
    """Without it, a deployment would take whatever is latest."""
    reference = f"{name}@sha256:{'0' * 64}"
    assert vendors(container={"Image": reference})["image"] == reference
