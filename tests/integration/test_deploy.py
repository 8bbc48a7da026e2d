# Copyright: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(dtr.cache.deploy) from an empty Swarm to a real pull, and what it does when it is run again."""

from __future__ import annotations

import base64
import re
import typing as t

import pytest
import yaml

from .conftest import Lab, Play, Run

DEPLOY = "dtr.cache.deploy"


@pytest.fixture(scope="module")
def story(lab: Lab, play: Play) -> dict[str, t.Any]:
    """The runs of the story, each made once: a check, the deployment, the same again, a check after it."""
    lab.clean()
    runs: dict[str, t.Any] = {"empty": lab.snapshot()}
    runs["check"] = play(DEPLOY, "--check", "--diff")
    runs["after_check"] = lab.snapshot()
    runs["deploy"] = play(DEPLOY, "--diff")
    runs["deployed"] = lab.snapshot()
    runs["again"] = play(DEPLOY, "--diff")
    runs["check_again"] = play(DEPLOY, "--check", "--diff")
    runs["after_all"] = lab.snapshot()
    return runs


def test_a_check_before_the_first_run_announces_everything_and_changes_nothing(story: dict[str, t.Any]) -> None:
    run: Run = story["check"]
    assert run.code == 0, run.output
    assert story["after_check"] == story["empty"]
    for announced in (
        '"dtr.cache": "true"',
        "docker/dtr-content-cache:2.7.4",
        "https://cache-asia.lab.test:443",
        "https://cache-europe.lab.test:443",
        '"alice": "region-asia"',
        '"bob": "region-europe"',
    ):
        assert announced in run.output


def test_what_the_check_announced_is_what_the_run_did(story: dict[str, t.Any]) -> None:
    announced, done = story["check"], story["deploy"]
    assert done.code == 0, done.output
    # The plan speaks for the stack in check mode.
    only_planned = {"dtr.cache.stack : Compare the Swarm with what is wanted"}
    only_real = {"dtr.cache.stack : Deploy the stack"}
    assert announced.changed_tasks() - only_planned == done.changed_tasks() - only_real
    assert only_planned <= announced.changed_tasks()
    for region in ("region-asia", "region-europe"):
        assert announced.regions()[region]["changed"] == done.regions()[region]["changed"]


def test_only_the_named_node_is_dedicated(story: dict[str, t.Any]) -> None:
    assert story["deployed"]["asia-1"]["labels"] == {"asia-1": {}, "asia-2": {"dtr.cache": "true"}, "asia-3": {}}
    assert story["deployed"]["europe-1"]["labels"] == {"europe-1": {"dtr.cache": "true"}}


def test_the_service_is_the_documented_one_and_runs_on_that_node(story: dict[str, t.Any], lab: Lab) -> None:
    client = lab.engine("asia-1")
    (service,) = client.services.list()
    spec = service.attrs["Spec"]
    container = spec["TaskTemplate"]["ContainerSpec"]
    assert service.name == "dtr-cache_cache"
    assert container["Image"] == "docker/dtr-content-cache:2.7.4"
    assert container["Command"] == ["/start.sh", "/config.yml"]
    assert [item["File"]["Name"] for item in container["Configs"]] == ["/config.yml"]
    assert {item["File"]["Name"] for item in container["Secrets"]} == {
        "dtr.cert.pem",
        "cache.cert.pem",
        "cache.key.pem",
    }
    assert spec["TaskTemplate"]["Placement"]["Constraints"] == ["node.labels.dtr.cache == true"]
    (task,) = service.tasks(filters={"desired-state": "running"})
    assert task["Status"]["State"] == "running"
    assert client.nodes.get(task["NodeID"]).attrs["Description"]["Hostname"] == "asia-2"


def test_config_yml_is_the_documented_one(story: dict[str, t.Any], lab: Lab) -> None:
    (config,) = lab.engine("asia-1").configs.list()
    data = yaml.safe_load(base64.b64decode(config.attrs["Spec"]["Data"]))
    assert data["middleware"]["registry"][0]["options"] == {
        "blobttl": "24h",
        "upstreams": ["https://dtr.lab.test:443"],
        "cas": ["/run/secrets/dtr.cert.pem"],
    }
    assert data["storage"]["delete"] == {"enabled": True}
    assert len(data["http"]["secret"]) >= 32


def test_the_container_has_the_very_certificates(story: dict[str, t.Any], lab: Lab) -> None:
    container = lab.inside("asia-2", "docker", "ps", "-q", "--filter", "name=dtr-cache_cache")
    # The image has a shell and nothing else.
    read = 'while read -r line; do echo "$line"; done < /run/secrets/cache.cert.pem'
    secret = lab.inside("asia-2", "docker", "exec", container, "/bin/sh", "-c", read)
    assert secret.split() == lab.certificate("cache-asia.lab.test").split()


def test_the_registry_knows_both_caches_and_their_accounts(story: dict[str, t.Any]) -> None:
    registry = story["deployed"]["registry"]
    ids = {cache["name"]: cache["id"] for cache in registry["content_caches"]}
    assert {cache["name"]: cache["host"] for cache in registry["content_caches"]} == {
        "region-asia": "https://cache-asia.lab.test:443",
        "region-europe": "https://cache-europe.lab.test:443",
    }
    assert registry["settings"] == {"alice": ids["region-asia"], "bob": ids["region-europe"]}


def test_the_summary_tells_each_region(story: dict[str, t.Any]) -> None:
    regions = story["deploy"].regions()
    assert list(regions) == ["region-asia", "region-europe"]
    for row in regions.values():
        assert row["changed"] == "1 node label, 1 config, 3 secrets, 1 service, registered, 1 account assigned"
        assert re.fullmatch(r"[\d.]+ MB in [\d.]+ s", row["pulled"])
        assert int(row["days left"]) > 0
        assert (row["accounts"], row["result"]) == ("1", "ok")


def test_a_second_run_changes_nothing_and_redeploys_nothing(story: dict[str, t.Any]) -> None:
    run: Run = story["again"]
    assert run.code == 0, run.output
    assert run.total("changed") == 0, run.changed_tasks()
    assert story["after_all"] == story["deployed"], "services keep their version, tasks their ids"


def test_a_check_after_it_announces_nothing(story: dict[str, t.Any]) -> None:
    run: Run = story["check_again"]
    assert run.code == 0, run.output
    assert run.total("changed") == 0
    assert not [line for line in run.output.splitlines() if line.startswith(("+++", "---", "@@"))]


def test_a_user_pulls_through_the_cache(story: dict[str, t.Any], lab: Lab) -> None:
    image = "dtr.lab.test/engineering/app:2.0"
    lab.inside(
        "client", "docker", "login", "-u", "alice", "--password-stdin", "dtr.lab.test", stdin=lab.passwords["alice"]
    )
    lab.inside("client", "docker", "pull", "--quiet", image)
    digest = lab.inside("client", "docker", "image", "inspect", "--format", "{{.Id}}", image)
    lab.inside("client", "docker", "image", "rm", image)
    log = lab.inside("asia-1", "sh", "-c", "docker service logs --raw dtr-cache_cache 2>&1")
    assert any("blob served" in line and digest in line for line in log.splitlines())


# What somebody does by hand, and the step that mends it.
DRIFT: list[tuple[str, list[str], str]] = [
    ("label", ["node", "update", "--label-rm", "dtr.cache", "asia-2"], "1 node label"),
    ("replicas", ["service", "scale", "--detach", "dtr-cache_cache=0"], "1 service"),
    ("environment", ["service", "update", "--detach", "--env-add", "X=1", "dtr-cache_cache"], "1 service"),
]


@pytest.mark.parametrize(("command", "step"), [case[1:] for case in DRIFT], ids=[case[0] for case in DRIFT])
def test_a_change_by_hand_is_found_and_mended(
    story: dict[str, t.Any], lab: Lab, play: Play, command: list[str], step: str
) -> None:
    before = lab.snapshot()["asia-1"]
    lab.inside("asia-1", "docker", *command)
    run = play(DEPLOY, "--limit", "region-asia")
    assert run.code == 0, run.output
    assert run.regions()["region-asia"]["changed"] == step
    after = lab.snapshot()["asia-1"]
    assert {key: after[key] for key in ("labels", "configs", "secrets")} == {
        key: before[key] for key in ("labels", "configs", "secrets")
    }
    assert play(DEPLOY, "--limit", "region-asia", "--check").total("changed") == 0
