# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(dtr.cache.deploy) from an empty Swarm to a real pull, and what it does when it is run again."""

from __future__ import annotations

import base64
import concurrent.futures
import contextlib
import re
import time
import typing as t
from pathlib import Path

import pytest
import yaml

from .conftest import INVENTORY, Lab, Play, Run

DEPLOY = "dtr.cache.deploy"


@pytest.fixture(scope="module")
def story(lab: Lab, play: Play, tmp_path_factory: pytest.TempPathFactory) -> dict[str, t.Any]:
    """The runs of the story, each made once: a check, the deployment, the same again, a check after it."""
    # All of the ten thousand.
    lab.clean(accounts=None)
    review = tmp_path_factory.mktemp("review")
    variables: dict[str, t.Any] = {"dtr_cache_render_to": str(review / "made")}
    runs: dict[str, t.Any] = {"empty": lab.snapshot()}
    runs["check"] = play(DEPLOY, "--check", "--diff", **variables)
    runs["after_check"] = lab.snapshot()
    runs["rendered_by_check"] = list(review.iterdir())
    runs["deploy"] = play(DEPLOY, "--diff", **variables)
    runs["deployed"] = lab.snapshot()
    runs["again"] = play(DEPLOY, "--diff", **variables)
    runs["check_again"] = play(DEPLOY, "--check", "--diff", **variables)
    runs["after_all"] = lab.snapshot()
    return runs


def test_a_check_before_the_first_run_announces_everything_and_changes_nothing(story: dict[str, t.Any]) -> None:
    run: Run = story["check"]
    assert run.code == 0, run.output
    assert story["after_check"] == story["empty"]
    assert story["rendered_by_check"] == []
    for announced in (
        "dtr.cache: 'true'",
        "docker/dtr-content-cache:2.7.4",
        "https://cache-asia.lab.test:443",
        "https://cache-europe.lab.test:443",
        "accounts: local -> region-asia: alice",
        "accounts: local -> region-europe: bob",
        "+  secret: (secret)",
        "+      blobttl: 24h",
        "+subject: CN=cache-europe.lab.test",
    ):
        assert announced in run.output
        assert announced in story["deploy"].output, "a real run shows the same"
    assert "rollback_config" not in run.output, "nobody has to read what is Docker's default"
    for run in (story["again"], story["check_again"]):
        assert "--- before" not in run.output


def test_what_the_check_announced_is_what_the_run_did(story: dict[str, t.Any]) -> None:
    announced, done = story["check"], story["deploy"]
    assert done.code == 0, done.output
    # The plan speaks for the stack in check mode.
    only_planned = {"Check the settings and the Swarm"}
    only_real = {"dtr.cache.stack : Deploy the stack"}
    assert announced.changed_tasks() - only_planned == done.changed_tasks() - only_real
    assert only_planned <= announced.changed_tasks()
    for region in ("region-asia", "region-europe"):
        assert announced.regions()[region]["changed"] == done.regions()[region]["changed"]


def test_configs_and_secrets_get_the_names_that_the_check_announced(story: dict[str, t.Any]) -> None:
    announced = set(re.findall(r"dtr-cache_\S+_[0-9a-f]{12}", story["check"].output))
    swarms = [story["deployed"][manager] for manager in ("asia-1", "europe-1")]
    assert announced == {name for swarm in swarms for name in (*swarm["configs"], *swarm["secrets"])}


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
    assert not [line for line in run.output.splitlines() if line.startswith(("+++ ", "--- ", "@@"))]


def test_a_user_pulls_through_the_cache(story: dict[str, t.Any], lab: Lab) -> None:
    image = "dtr.lab.test/engineering/app:2.0"
    # What another test has left there is not pulled again.
    lab.inside("client", "docker", "image", "prune", "--all", "--force")
    lab.inside(
        "client", "docker", "login", "-u", "alice", "--password-stdin", "dtr.lab.test", stdin=lab.passwords["alice"]
    )
    lab.inside("client", "docker", "pull", "--quiet", image)
    digest = lab.inside("client", "docker", "image", "inspect", "--format", "{{.Id}}", image)
    lab.inside("client", "docker", "image", "rm", image)
    log = lab.inside("asia-1", "sh", "-c", "docker service logs --raw dtr-cache_cache 2>&1")
    assert any("blob served" in line and digest in line for line in log.splitlines())


# What somebody does to a service by hand, by the part of it that a plan names; the rest lets the update go through.
BY_HAND = {
    "cap_add": ["--cap-add", "SYS_NICE"],
    "cap_drop": ["--cap-drop", "MKNOD"],
    "configs": ["--config-rm", "{config}", "--config-add", "source={config},target=/other.yml"],
    "constraints": ["--constraint-add", "node.platform.os == linux"],
    "dns": ["--dns-add", "192.0.2.53"],
    "dns_search": ["--dns-search-add", "example.org"],
    "environment": ["--env-add", "BY_HAND=1"],
    "extra_hosts": ["--host-add", "by-hand:192.0.2.1"],
    "healthcheck": ["--health-cmd", "exit 0", "--health-interval", "7s"],
    "hostname": ["--hostname", "by-hand"],
    "image": ["--no-resolve-image", "--image", "docker/dtr-content-cache:2.7.6"],
    "labels": ["--container-label-add", "by-hand=1"],
    "limits": ["--limit-memory", "256M"],
    "logging": ["--log-driver", "json-file", "--log-opt", "max-size=1m"],
    "max_replicas_per_node": ["--replicas-max-per-node", "3"],
    "mounts": ["--mount-add", "type=volume,source=by-hand,target=/by-hand,readonly"],
    "ports": ["--publish-rm", "target=443,mode=host", "--publish-add", "published=443,target=443,mode=ingress"],
    "replicas": ["--replicas", "3"],
    "reservations": ["--reserve-memory", "16M"],
    "restart_policy": ["--restart-max-attempts", "1", "--restart-delay", "1s"],
    "rollback_config": ["--rollback-parallelism", "2"],
    "secrets": ["--secret-rm", "{secret}", "--secret-add", "source={secret},target=cache.key.pem,mode=0400"],
    "service_labels": ["--label-add", "by-hand=1"],
    "stop_grace_period": ["--stop-grace-period", "41s"],
    "sysctls": ["--sysctl-add", "net.core.somaxconn=1023"],
    "ulimits": ["--ulimit-add", "nofile=1023:1024"],
    "update_config": ["--update-max-failure-ratio", "0.5", "--update-failure-action", "continue"],
}


def test_whatever_is_changed_by_hand_is_found_and_put_right(story: dict[str, t.Any], lab: Lab, play: Play) -> None:
    def spec() -> dict[str, t.Any]:
        with contextlib.closing(lab.engine("asia-1")) as client:
            return dict(client.services.get("dtr-cache_cache").attrs["Spec"])

    before, state = spec(), lab.snapshot()["asia-1"]
    (config,) = state["configs"]
    (secret,) = [name for name in state["secrets"] if "_cache.key.pem_" in name]
    options = [option.format(config=config, secret=secret) for words in BY_HAND.values() for option in words]
    lab.inside("asia-1", "docker", "service", "update", "--detach", "--quiet", *options, "dtr-cache_cache")
    lab.inside("asia-1", "docker", "node", "update", "--label-rm", "dtr.cache", "asia-2")
    lab.inside("asia-1", "docker", "node", "update", "--label-add", "dtr.cache=true", "asia-3")
    assert spec() != before
    # What Swarm still does with replicas that cannot run is not what this is about.
    with contextlib.closing(lab.engine("asia-1")) as client:
        end = time.monotonic() + 60
        while any(task["DesiredState"] != "shutdown" for task in client.services.get("dtr-cache_cache").tasks()):
            assert time.monotonic() < end, client.services.get("dtr-cache_cache").tasks()
            time.sleep(0.2)

    run = play(DEPLOY, "--limit", "region-asia", "-v")
    assert run.code == 0, run.output
    assert f'"detail": "{", ".join(BY_HAND)}"' in run.output
    assert run.regions()["region-asia"]["changed"] == "1 node label, 1 service, 1 node label removed"
    assert spec() == before
    after = lab.snapshot()["asia-1"]
    assert {key: after[key] for key in ("labels", "configs", "secrets")} == {
        key: state[key] for key in ("labels", "configs", "secrets")
    }
    assert play(DEPLOY, "--limit", "region-asia", "--check").total("changed") == 0


def test_replicas_that_the_swarm_has_lost_are_started_again(story: dict[str, t.Any], lab: Lab, play: Play) -> None:
    """What a deployment does where it finds that; Swarm loses them only now and then."""

    def seen() -> tuple[dict[str, t.Any], set[str]]:
        with contextlib.closing(lab.engine("asia-1")) as client:
            service = client.services.get("dtr-cache_cache")
            return dict(service.attrs["Spec"]), {task["ID"] for task in service.tasks({"desired-state": "running"})}

    before, lost = seen()
    needs = ["cache", "registry", "certificate", "manager", "swarm"]
    again = {"name": "dtr.cache.stack", "tasks_from": "again.yml", "rolespec_validate": False}
    tasks: list[dict[str, t.Any]] = [
        {"dtr.cache.preflight": {"needs": needs, "ask_swarm": "to_plan"}, "register": "__dtr_cache"},
        {"include_role": again, "vars": {"__dtr_cache_converged": {"stalled": ["cache"]}}},
    ]
    pipelining = {"ansible_pipelining": True}
    book = [{"hosts": "dtr_caches", "gather_facts": False, "vars": pipelining, "tasks": tasks}]
    run = play(book, "--limit", "region-asia")
    assert run.code == 0, run.output
    assert run.changed_tasks() == {"dtr.cache.stack : Start new replicas"}
    after, running = seen()
    assert len(running) == 1 and not running & lost
    after["TaskTemplate"]["ForceUpdate"] -= 1
    assert after == before
    assert play(DEPLOY, "--limit", "region-asia", "--check").total("changed") == 0


EXTRA: dict[str, t.Any] = {
    "logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": 2}},
    "extra_hosts": {"mirror.lab.test": "198.18.57.10"},
    # The lab's own name server.
    "dns": "198.18.57.10",
    "dns_search": ["lab.test"],
    "labels": {"team": "platform", "price": "5$"},
    "deploy": {"labels": {"com.docker.ucp.access.label": "/caches"}},
    "healthcheck": {"test": "exit 0", "interval": "1s", "retries": 3, "start_period": "2s"},
    "hostname": "cache-asia",
    "sysctls": {"net.core.somaxconn": 1024},
    # A sandbox may not raise it.
    "ulimits": {"nofile": {"soft": 1000, "hard": 1024}},
    "cap_add": ["SYS_NICE"],
    "cap_drop": "MKNOD, NET_RAW",
    "init": "no",
    "stop_grace_period": "50s",
    "tmpfs": "/scratch",
}


def test_other_keys_of_the_service_are_announced_deployed_and_kept(
    story: dict[str, t.Any], lab: Lab, play: Play
) -> None:
    only = ("--limit", "region-asia")
    extra: dict[str, t.Any] = {"dtr_cache_service_extra": EXTRA}
    announced = play(DEPLOY, *only, "--check", "-v", **extra)
    assert announced.code == 0, announced.output
    parts = sorted({*EXTRA, "mounts", "service_labels"} - {"deploy", "tmpfs"})
    assert f'"detail": "{", ".join(parts)}"' in announced.output
    run = play(DEPLOY, *only, **extra)
    assert run.code == 0, run.output
    assert run.regions()["region-asia"]["changed"] == "1 service"
    with contextlib.closing(lab.engine("asia-1")) as client:
        service = client.services.get("dtr-cache_cache")
        assert service.attrs["Spec"]["Labels"]["com.docker.ucp.access.label"] == "/caches"
        (task,) = service.tasks(filters={"desired-state": "running"})
    with contextlib.closing(lab.engine("asia-2")) as client:
        container = client.containers.get(task["Status"]["ContainerStatus"]["ContainerID"])
        config, host = container.attrs["Config"], container.attrs["HostConfig"]
        assert container.attrs["State"]["Health"]["Status"] == "healthy"
        assert (config["Hostname"], config["Labels"]["price"]) == ("cache-asia", "5$")
        assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-file": "2", "max-size": "10m"}}
        assert (host["Dns"], host["DnsSearch"]) == (["198.18.57.10"], ["lab.test"])
        assert host["Ulimits"] == [{"Name": "nofile", "Soft": 1000, "Hard": 1024}]
        assert (host["CapAdd"], host["CapDrop"]) == (["CAP_SYS_NICE"], ["CAP_MKNOD", "CAP_NET_RAW"])
        assert host["Sysctls"] == {"net.core.somaxconn": "1024"}
        assert container.exec_run(["/bin/sh", "-c", ": >/scratch/a"]).exit_code == 0
    assert play(DEPLOY, *only, **extra).total("changed") == 0

    lab.inside(
        "asia-1",
        "docker",
        "service",
        "update",
        "--detach",
        "--quiet",
        "--label-rm",
        "com.docker.ucp.access.label",
        "--hostname",
        "other",
        "dtr-cache_cache",
    )
    drifted = play(DEPLOY, *only, "--check", "-v", **extra)
    assert '"detail": "hostname, service_labels"' in drifted.output
    # What is not declared any more goes.
    back = play(DEPLOY, *only)
    assert back.code == 0, back.output
    with contextlib.closing(lab.engine("asia-1")) as client:
        task_template = client.services.get("dtr-cache_cache").attrs["Spec"]["TaskTemplate"]
        assert not {"Hostname", "Healthcheck", "Sysctls", "Ulimits", "CapabilityDrop"} & set(
            task_template["ContainerSpec"]
        )
    assert play(DEPLOY, *only, "--check").total("changed") == 0


def test_two_control_nodes_deploy_halves_of_a_fleet_at_the_same_time(
    clean_lab: Lab, play: Play, tmp_path: Path
) -> None:
    """Two stacks in each Swarm on one node, one of each half, and one takes everyone that nobody else claims."""
    hosts: dict[str, dict[str, t.Any]] = {
        f"region-{number}": {
            "ansible_host": f"{region}-1.lab.test",
            "dtr_cache_name": f"region-{number}",
            "dtr_cache_host": f"cache-{region}.lab.test",
            "dtr_cache_port": 9100 + number,
            "dtr_cache_nodes": [node],
            "dtr_cache_stack_name": f"cache-{number}",
            "dtr_cache_assignments": {"accounts": [f"user{number:05d}"]} if number else {"everyone": True},
        }
        for number, (region, node) in enumerate((("asia", "asia-2"), ("europe", "europe-1")) * 2)
    }
    inventory = yaml.safe_load(Path(INVENTORY, "hosts.yml").read_text())
    inventory["dtr_caches"]["hosts"] = hosts
    folder = tmp_path / "inventory"
    folder.mkdir()
    (folder / "hosts.yml").write_text(yaml.safe_dump(inventory))
    (folder / "group_vars").symlink_to(Path(INVENTORY, "group_vars"))

    def half(names: str) -> Run:
        # A control node of its own has its own connections and temporary files.
        return play(DEPLOY, "--limit", names, inventory=str(folder), env={"ANSIBLE_HOME": str(tmp_path / names)})

    with concurrent.futures.ThreadPoolExecutor() as control_nodes:
        first = list(control_nodes.map(half, ("region-0,region-1", "region-2,region-3")))
        assert [run.code for run in first] == [0, 0], first[0].output + first[1].output
        again = list(control_nodes.map(half, ("region-0,region-1", "region-2,region-3")))
    assert [run.total("changed") for run in again] == [0, 0], again[0].output + again[1].output
    state = clean_lab.snapshot()
    assert [len(state[manager]["services"]) for manager in ("asia-1", "europe-1")] == [2, 2]
    registry = state["registry"]
    caches = {cache["id"]: cache["name"] for cache in registry["content_caches"]}
    pulled_from = {account: caches[cache] for account, cache in registry["settings"].items()}
    assert sorted(caches.values()) == sorted(hosts)
    claimed = {f"user{number:05d}": f"region-{number}" for number in (1, 2, 3)}
    assert {account: pulled_from[account] for account in claimed} == claimed
    assert {cache for account, cache in pulled_from.items() if account not in claimed} == {"region-0"}

    # Of two stacks with one manager, one host asks for both.
    by_hand = ("docker", "service", "update", "--detach", "--quiet", "--no-resolve-image", "--label-add", "a=1")
    clean_lab.inside("asia-1", *by_hand, "cache-2_cache")
    status = play("dtr.cache.status", inventory=str(folder))
    rows = status.regions()
    assert {host: row["replicas"] for host, row in rows.items()} == dict.fromkeys(hosts, "1/1"), status.output
    drifts = {host: row["drift"] for host, row in rows.items() if row["drift"] != "none"}
    assert drifts == {"region-2": "update service (service_labels)"}, status.output
    # Also after a role that has read the settings for itself.
    report = {"dtr.cache.report": {"of": "status"}, "run_once": True, "delegate_to": "localhost"}
    roles = ["dtr.cache.settings", "dtr.cache.observation"]
    book = [{"hosts": "dtr_caches", "gather_facts": False, "roles": roles, "tasks": [report]}]
    by_roles = play(book, inventory=str(folder))
    assert by_roles.regions() == rows, by_roles.output

    clean_lab.clean()
    for host, variables in hosts.items():
        manager = variables["ansible_host"].partition(".")[0]
        clean_lab.wait_until_gone(f"cache-{host[-1]}", manager, variables["dtr_cache_nodes"])
