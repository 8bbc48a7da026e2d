# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules that read a Swarm, from their options to their results, against an Engine API in memory."""

from __future__ import annotations

import json
import ssl
import time
import typing as t
from pathlib import Path
from unittest import mock
from urllib.parse import unquote

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.module import live_caches as live_caches_module
from ansible_collections.dtr.cache.plugins.module_utils.module import of_engine as engine_module
from ansible_collections.dtr.cache.plugins.module_utils.swarm import prerequisites
from ansible_collections.dtr.cache.tests.unit.support.logs import framed
from ansible_collections.dtr.cache.tests.unit.support.modules import run_module
from ansible_collections.dtr.cache.tests.unit.support.web import Reply, Request, Site, make_identity, serve

SERVER = make_identity("manager.example.org", addresses=["manager.example.org"])
CLIENT = make_identity("client")
CONTAINER = {"Image": "cache:1"}
CREATED = "2026-01-01T00:00:00"
LABELS = {"com.docker.stack.namespace": "st", "com.docker.stack.image": "cache:1"}


class Swarm:
    """A manager's Engine with one stack of one service: what it answers, until it is away."""

    def __init__(self) -> None:
        self.away: t.Callable[[str], bool] = lambda _path: False
        spec = {
            "Name": "st_cache",
            "Labels": LABELS,
            "TaskTemplate": {"ContainerSpec": CONTAINER, "Networks": [{"Target": "w"}]},
            "Mode": {"Replicated": {"Replicas": 1}},
        }
        self.service: dict[str, t.Any] = {"ID": "s", "Spec": spec, "Version": {"Index": 1}}
        self.tasks = [
            {
                "ID": "t",
                "ServiceID": "s",
                "NodeID": "n",
                "DesiredState": "running",
                "CreatedAt": "2026-01-01T00:00:00Z",
                "Status": {"State": "running", "Timestamp": "2026-01-01T00:00:00Z"},
                "Spec": spec["TaskTemplate"],
            }
        ]
        self.logs: dict[str, bytes] = {}
        self.labels: dict[str, str] = {}
        self.more_nodes: list[dict[str, t.Any]] = []
        self.registry = Reply(200, b"{}")

    def __call__(self, request: Request) -> Reply:
        path = request.path.rpartition("/v1.45/")[2] or request.path
        if self.away(path):
            return Reply(drop=True)
        answers: dict[str, t.Any] = {
            "/version": {"ApiVersion": "1.45"},
            "info": {"Name": "n1", "Swarm": {"LocalNodeState": "active", "ControlAvailable": True}},
            "services": [self.service],
            "services/s": self.service,
            "tasks": self.tasks,
            "nodes": [
                {
                    "ID": "n",
                    "Description": {"Hostname": "n1"},
                    "Status": {"State": "ready"},
                    "Spec": {"Availability": "active", "Role": "manager", "Labels": self.labels},
                },
                *self.more_nodes,
            ],
            "configs": [],
            "secrets": [],
            "networks": [
                {"Id": "w", "Name": "st_default", "Labels": {"com.docker.stack.namespace": "st"}},
                {"Id": "v", "Name": "monitoring", "Labels": None},
            ],
        }
        if path.endswith("/logs"):
            task = path.split("/")[1]
            if task not in self.logs:
                return Reply(404, b'{"message": "task not found"}', {"Content-Type": "application/json"})
            return Reply(body=self.logs[task])
        if path.startswith("distribution/"):
            return self.registry
        return Reply(body=json.dumps(answers[path]).encode(), headers={"Content-Type": "application/json"})


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of this machine, and no time that passes."""
    for name in ("HOST", "TLS", "TLS_VERIFY", "TLS_HOSTNAME", "CERT_PATH", "API_VERSION", "TIMEOUT"):
        monkeypatch.delenv(f"DOCKER_{name}", raising=False)
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))


@pytest.fixture
def swarm() -> Swarm:
    return Swarm()


@pytest.fixture
def site(swarm: Swarm) -> t.Iterator[Site]:
    with serve(swarm) as site:
        yield site


def engine(site: Site, **options: t.Any) -> dict[str, t.Any]:
    return {"docker_host": f"tcp://127.0.0.1:{site.port}", **options}


QUESTIONS = {"nodes": ["n1"], "port": 8443, "publish_mode": "ingress"}
DEFINITION = {"services": {"cache": {"image": "cache:1"}}}


def test_a_plan_of_what_runs_has_no_step(site: Site) -> None:
    result = run_module("stack_plan", name="st", definition=DEFINITION, **engine(site))
    assert (result["steps"], result["settled"], result["kept_images"], result["stalled"]) == ([], True, [], [])


def test_a_plan_for_each_of_several_stacks(site: Site) -> None:
    stacks = [{"name": "st"}, {"name": "new"}, {"name": "st", "node_labels": {"n9": {}}}]
    plans = run_module("stack_plan", stacks=stacks, **engine(site))["plans"]
    alone = run_module("stack_plan", name="st", **engine(site))
    assert plans[0] == {name: alone[name] for name in plans[0]}
    assert [each.get("failed", False) for each in plans] == [False, False, True]
    assert [[row["name"] for row in each.get("services", [])] for each in plans] == [["cache"], [], ["cache"]]
    assert plans[2]["failure"]["code"] == "UNKNOWN_NODE"


def test_without_a_swarm_there_is_no_plan_of_any_stack(site: Site, swarm: Swarm) -> None:
    swarm.away = lambda path: path == "info"
    result = run_module("stack_plan", stacks=[{"name": "st"}, {"name": "new"}], **engine(site))
    assert result["failure"]["code"] == "ENGINE_UNREACHABLE"


def test_a_network_that_somebody_has_attached_is_told(site: Site, swarm: Swarm) -> None:
    swarm.service["Spec"]["TaskTemplate"]["Networks"].append({"Target": "v"})
    result = run_module("stack_plan", name="st", definition=DEFINITION, **engine(site))
    assert [(step["action"], step["name"], step["detail"]) for step in result["steps"]] == [
        ("update", "st_cache", "networks")
    ]
    assert result["settled"]
    assert result["diff"]["before"]["services"]["st_cache"] == {"networks": ["monitoring", "st_default"]}


def test_a_plan_shows_the_ports_that_the_cache_publishes(site: Site, swarm: Swarm) -> None:
    port = {"PublishedPort": 8443, "TargetPort": 443, "Protocol": "tcp", "PublishMode": "host"}
    swarm.service["Spec"]["EndpointSpec"] = {"Ports": [port]}
    assert run_module("stack_plan", name="st", definition=DEFINITION, **engine(site))["published_ports"] == [8443]
    broken = run_module("stack_plan", name="st", node_labels={"n9": {}}, **engine(site))
    assert (broken["failed"], broken["published_ports"]) == (True, [8443])
    assert run_module("stack_plan", name="st", state="absent", **engine(site))["published_ports"] == [8443]
    swarm.service["Spec"]["Name"] = "st_other"
    assert run_module("stack_plan", name="st", **engine(site))["published_ports"] == []
    swarm.away = lambda path: path == "services"
    assert "published_ports" not in run_module("stack_plan", name="st", **engine(site))


def test_a_plan_is_for_the_service_that_the_stack_has(site: Site, swarm: Swarm) -> None:
    swarm.service["Spec"]["Name"] = "st_registry"
    result = run_module("stack_plan", name="st", definition=DEFINITION, **engine(site))
    assert (result["service"], result["steps"], result["move"]) == ("registry", [], {})
    assert result["definition"] == {"services": {"registry": {"image": "cache:1"}}}
    swarm.service["Spec"]["TaskTemplate"] = {"ContainerSpec": {"Image": "cache:0"}}
    result = run_module("stack_plan", name="st", definition=DEFINITION, **engine(site))
    (step,) = result["steps"]
    assert (step["action"], step["name"]) == ("update", "st_registry")
    said = "Service st_registry was not deployed by dtr.cache: it is taken over and updated in place"
    assert said in json.dumps(result["warnings"])


def test_a_plan_names_the_node_that_loses_the_label_and_its_replica(site: Site, swarm: Swarm) -> None:
    options: dict[str, t.Any] = {"name": "st", "definition": DEFINITION, **engine(site)}
    swarm.labels["dtr.cache"] = "true"
    assert "warnings" not in run_module("stack_plan", node_labels={"n1": {"dtr.cache": "true"}}, **options)
    other = {"Description": {"Hostname": "n2"}, "Spec": {"Labels": {}}, "ID": "n2", "Status": {"State": "ready"}}
    swarm.more_nodes.append(other)
    result = run_module("stack_plan", node_labels={"n2": {"dtr.cache": "true"}}, **options)
    assert (
        "Node n1 has the label of the cache's nodes, and dtr_cache_nodes does not name it: a deployment takes the "
        "label away, and the replica of the cache there ends. To keep the node, name it in dtr_cache_nodes."
    ) in json.dumps(result["warnings"])


def test_layers_that_stay_on_the_nodes_are_told(site: Site, swarm: Swarm) -> None:
    mounts = [
        {"Type": "volume", "Source": "st_layers", "Target": "/var/lib/registry"},
        {"Type": "bind", "Source": "/srv", "Target": "/srv"},
    ]
    swarm.service["Spec"]["TaskTemplate"] = {"ContainerSpec": {"Image": "cache:1", "Mounts": mounts}}
    gone = run_module("stack_plan", name="st", state="absent", **engine(site))
    assert gone["left_volumes"] == [{"name": "st_layers", "nodes": ["n1"]}]
    cache = {"image": "cache:1", "volumes": ["layers:/var/lib/registry"]}
    definition = {"version": "3.4", "services": {"cache": cache}, "volumes": {"layers": {}}}
    moved = run_module("stack_plan", name="new", former_stacks=["st"], definition=definition, **engine(site))
    assert moved["left_volumes"] == gone["left_volumes"]


def test_a_plan_tells_that_docker_would_keep_an_image(site: Site, swarm: Swarm) -> None:
    swarm.service["Spec"]["TaskTemplate"] = {"ContainerSpec": {"Image": "cache:0"}}
    result = run_module("stack_plan", name="st", definition=DEFINITION, **engine(site))
    assert (result["kept_images"], result["settled"]) == (["cache"], False)


def test_what_a_definition_takes_as_given_has_to_be_there(site: Site) -> None:
    definition = {**DEFINITION, "secrets": {"key": {"external": {"name": "key-1"}}}}
    (step,) = run_module("stack_plan", name="st", definition=definition, **engine(site))["steps"]
    assert (step["action"], step["kind"], step["name"]) == ("create", "secret", "key-1")


def test_what_the_preflight_left_to_the_plan_comes_before_it(
    site: Site, swarm: Swarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prerequisites, "missing_requirements", list)
    options = {"name": "st", "definition": DEFINITION, **engine(site)}
    result = run_module("stack_plan", preflight=QUESTIONS, **options)
    assert "problems" not in result
    assert result["settled"]
    result = run_module("stack_plan", preflight={**QUESTIONS, "nodes": ["n1", "n2"]}, **options)
    assert result["problems"] == ["dtr_cache_nodes: the Swarm has no node n2; its nodes are n1"]
    assert "steps" not in result
    swarm.away = lambda path: path == "services"
    (problem,) = run_module("stack_plan", preflight=QUESTIONS, **options)["problems"]
    assert problem.startswith("the Swarm cannot be read: The Docker Engine at tcp://127.0.0.1")


@pytest.mark.parametrize("logs_in", [True, False])
def test_the_registry_of_another_image_is_asked_first_as_docker_will_ask_it(
    site: Site, swarm: Swarm, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, logs_in: bool
) -> None:
    monkeypatch.setattr(prerequisites, "missing_requirements", list)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    swarm.service["Spec"]["TaskTemplate"] = {"ContainerSpec": {**CONTAINER, "Command": ["/start.sh", "/config.yml"]}}
    (tmp_path / "config.json").write_text('{"auths": {"registry.example.org": {"auth": "dXNlcjpwYXNz"}}}')
    image = "registry.example.org/team/cache:2"
    options = {"name": "st", **engine(site), "definition": {"services": {"cache": {"image": image}}}}
    asking = {**QUESTIONS, "resolve_image": "always", "with_registry_auth": logs_in}

    def answered(status: int, body: bytes) -> t.Any:
        swarm.registry = Reply(status, body)
        return run_module("stack_plan", preflight=asking, **options)

    assert "problems" not in answered(200, b"{}")
    (problem,) = answered(404, b'{"message": "manifest unknown"}')["problems"]
    assert problem.startswith(
        f"dtr_cache_image: the manager gets no {image} from its registry, which says: manifest unkn"
    )
    warned = answered(500, b"no JSON: dial tcp: no such host")
    assert "problems" not in warned
    asked = [request for request in site.requests if "/distribution/" in request.path]
    assert {unquote(request.path).rpartition("/distribution/")[2] for request in asked} == {f"{image}/json"}
    assert {"X-Registry-Auth" in request.headers for request in asked} == {logs_in}
    run_module("stack_plan", preflight={**asking, "resolve_image": "never"}, **options)
    run_module("stack_plan", preflight=asking, **{**options, "definition": DEFINITION})
    assert len([request for request in site.requests if "/distribution/" in request.path]) == 3


def test_a_manager_that_comes_while_it_is_waited_for_makes_no_failure(site: Site, swarm: Swarm) -> None:
    looks = iter([True] * 3)
    swarm.away = lambda path: path == "/version" and next(looks, False)
    result = run_module("stack_converged", name="st", definition=DEFINITION, **engine(site))
    assert (result["verdict"], result["stale"]) == ("converged", [])
    assert "cannot be reached" in result["timeline"][0]["event"]


def test_a_manager_that_goes_after_the_verdict_does_not_take_it_along(site: Site, swarm: Swarm) -> None:
    swarm.away = lambda path: path == "configs"
    result = run_module("stack_converged", name="st", **engine(site))
    assert result["verdict"] == "converged"
    assert "stale" not in result


def test_a_manager_that_stays_away_is_told_with_the_timeline(site: Site, swarm: Swarm) -> None:
    swarm.away = lambda _path: True
    result = run_module("stack_converged", name="st", timeout=5, **engine(site))
    assert result["failed"]
    assert (result["verdict"], result["failure"]["code"]) == ("timed_out", "ENGINE_UNREACHABLE")
    assert result["timeline"]


def failed_task(name: str, *, container: bool = True) -> dict[str, t.Any]:
    status: dict[str, t.Any] = {"State": "failed", "Err": "task: non-zero exit (1)", "Timestamp": f"{CREATED}Z"}
    if container:
        status["ContainerStatus"] = {"ContainerID": f"c-{name}", "ExitCode": 1}
    task = {"ServiceID": "s", "NodeID": "n", "DesiredState": "shutdown", "Spec": {"ContainerSpec": CONTAINER}}
    return {**task, "ID": name, "CreatedAt": f"{CREATED}Z", "Status": status}


def test_the_log_of_the_newest_failure_that_wrote_one(site: Site, swarm: Swarm) -> None:
    newest = {**failed_task("newest", container=False), "CreatedAt": "2026-01-03T00:00:00Z"}
    swarm.tasks = [failed_task("old"), {**failed_task("new"), "CreatedAt": "2026-01-02T00:00:00Z"}, newest]
    swarm.logs = {"old": framed("an older reason"), "new": framed("the reason"), "newest": framed("never asked for")}
    assert run_module("stack_converged", name="st", **engine(site))["log"] == ["the reason"]
    del swarm.logs["new"]
    assert run_module("stack_converged", name="st", **engine(site))["log"] == ["an older reason"]
    assert not any("newest" in request.path or "services/s/logs" in request.path for request in site.requests)


def test_a_log_that_cannot_be_read_is_named_with_its_node(site: Site, swarm: Swarm) -> None:
    swarm.tasks = [failed_task("t")]
    message = run_module("stack_converged", name="st", **engine(site))["msg"]
    assert "The container's log could not be read: the log of task t on n1: the Engine does not give it: " in message


def test_the_log_of_a_failure_holds_no_secret(site: Site, swarm: Swarm) -> None:
    swarm.tasks = [failed_task("t")]
    swarm.logs["t"] = framed("level=error password=hush GET /v2/x?signature=hush")
    result = run_module("stack_converged", name="st", **engine(site))
    assert result["verdict"] == "task_failed"
    assert result["log"] == ["level=error password=*** GET /v2/x?***"]
    assert "hush" not in json.dumps(result)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What Docker's command finds in a folder of its own."""
    for name, content in (("ca", SERVER.pem), ("cert", CLIENT.pem), ("key", CLIENT.key_pem)):
        (tmp_path / f"{name}.pem").write_text(content)
    (tmp_path / "server.pem").write_text(SERVER.pem + SERVER.key_pem)
    return tmp_path


@pytest.fixture
def secured(swarm: Swarm, folder: Path) -> t.Iterator[Site]:
    """The same Engine with TLS, which takes clients with a certificate alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    context.load_verify_locations(folder / "cert.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    with serve(swarm, context) as site:
        yield site


def test_the_files_for_tls_come_from_dockers_folder(
    secured: Site, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = engine(secured, validate_certs=True, tls_hostname="manager.example.org")
    assert "certificate verify failed" in run_module("stack_plan", name="st", **options)["msg"]
    monkeypatch.setenv("DOCKER_CERT_PATH", str(folder))
    assert run_module("stack_plan", name="st", **options)["steps"] == []


def test_the_host_name_in_the_certificate_is_the_one_that_was_given(secured: Site, folder: Path) -> None:
    files = {
        "ca_path": str(folder / "ca.pem"),
        "client_cert": str(folder / "cert.pem"),
        "client_key": str(folder / "key.pem"),
    }
    options = engine(secured, validate_certs=True, **files)
    assert "127.0.0.1" in run_module("stack_plan", name="st", **options)["msg"], "it is not its name"
    assert run_module("stack_plan", name="st", tls_hostname="manager.example.org", **options)["steps"] == []
    assert (
        "other.example.org" in run_module("stack_plan", name="st", tls_hostname="other.example.org", **options)["msg"]
    )


class TestRequirements:
    """What is not installed on the manager."""

    @pytest.fixture(autouse=True)
    def lacking(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(prerequisites, "which", lambda _name: None)
        monkeypatch.setattr(prerequisites, "find_spec", lambda _name: object())

    def test_they_are_told_beside_what_the_swarm_says(self, site: Site, swarm: Swarm) -> None:
        result = run_module("preflight", needs=["manager"], **engine(site))
        (lacks,) = result["problems"]
        assert "lacks the command docker; install" in lacks
        swarm.away = lambda _path: True
        problems = run_module("preflight", needs=["manager"], **engine(site))["problems"]
        assert problems[0] == lacks
        assert "cannot be reached" in problems[1]

    def test_without_the_sdk_all_that_is_missing_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(prerequisites, "find_spec", lambda _name: None)
        for module in (prerequisites, engine_module):
            monkeypatch.setattr(module, "DOCKER_IMPORT_ERROR", "ImportError")
        (problem,) = run_module("preflight", needs=["manager"])["problems"]
        for word in ("command docker", "python3-docker", "python3-jsondiff", "python3-yaml"):
            assert word in problem
        assert run_module("stack_plan", name="st", preflight=QUESTIONS)["problems"] == [problem]
        result = run_module("stack_plan", name="st")
        assert result["failed"]
        assert "python3-docker" in result["msg"]


def test_the_caches_of_a_swarm(site: Site) -> None:
    none = run_module("live_caches_info", **engine(site))
    assert (none["caches"], none["services"], none["changed"]) == ([], 1, False)
    taken = run_module("live_caches_info", stack="st", **engine(site))
    assert [(live["service"], live["running_on"]) for live in taken["caches"]] == [("st_cache", ["n1"])]
    with mock.patch.object(live_caches_module, "HAS_YAML", False):
        missing = run_module("live_caches_info", **engine(site))
    assert missing["failure"]["code"] == "MISSING_LIBRARY" and "PyYAML" in missing["msg"]
