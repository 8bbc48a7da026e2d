# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan on the control node: problems that the preflight left to it, and a CA that has changed."""

from __future__ import annotations

import typing as t
from pathlib import Path
from unittest import mock

import pytest
from ansible import constants, context
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action.normal import ActionModule as NormalAction
from ansible_collections.dtr.cache.plugins.plugin_utils.actions.deadline import TooLate
from ansible_collections.dtr.cache.tests.unit.support.actions import make_action

UNASKED: dict[str, t.Any] = {"nodes": ["worker-1"], "port": 443, "publish_mode": "ingress"}
PLANNED: dict[str, t.Any] = {"changed": True, "steps": ["create"], "problems": []}
OLD, NEW = "region-asia_dtr.cert.pem_0123456789ab", "region-asia_dtr.cert.pem_ba9876543210"
FINGERPRINT = "6b0f1d449a7e35c280115dee923b7af0c468219d57ab03e67f881cd04eb5923a"


def fact(trusted_by: str = "first_use", name: str = "region-asia") -> dict[str, t.Any]:
    authority = {"pem": "x", "trusted_by": trusted_by, "certificates": [{"fingerprint": FINGERPRINT}]}
    return {"settings": {"name": name}, "dtr_ca": authority}


def service(secret: str, file: str = "dtr.cert.pem") -> dict[str, t.Any]:
    return {"services": {"region-asia_cache": {"image": "x", "secrets": {file: secret, "cache.key.pem": secret}}}}


def plan(
    answer: t.Any, known: t.Any = None, display: mock.Mock | None = None, **args: t.Any
) -> tuple[dict[str, t.Any], list[str]]:
    """The result of the task where the module answers so, and the warnings that were shown."""
    shown = display or mock.Mock()
    action = make_action("stack_plan", {"name": "region-asia", **args}, display=shown)
    action._task.ignore_unreachable = False
    variables = {"inventory_hostname": "asia", "__dtr_cache": fact() if known is None else known}
    given = {"side_effect": answer} if isinstance(answer, Exception) else {"return_value": answer}
    with mock.patch.object(NormalAction, "run", **given):
        result = action.run(task_vars=variables)
    return result, [call.args[0] for call in shown.warning.call_args_list]


def test_a_plan_is_the_modules() -> None:
    assert plan(PLANNED) == (PLANNED, [])


def test_what_is_to_be_deployed_comes_as_docker_reads_it() -> None:
    definition = {"services": {"registry": {"image": "x", "environment": {"A": "$B"}}}}
    result, _warnings = plan({**PLANNED, "definition": definition})
    assert result["compose"] == {"services": {"registry": {"image": "x", "environment": ["A=$$B"]}}}


@pytest.mark.parametrize(
    ("known", "region"), [(fact(), "region-asia"), (fact(name=""), "asia"), ({}, "asia"), ({"settings": None}, "asia")]
)
def test_problems_are_one_failure_named_after_the_region(known: dict[str, t.Any], region: str) -> None:
    problems = ["The Swarm has no node worker-2.", "Port 443 is taken."]
    result, _warnings = plan({"changed": True, "steps": [], "problems": problems}, known)
    assert result["msg"] == (
        f"The settings of {region} have 2 problems; nothing has been changed."
        "\n  - The Swarm has no node worker-2.\n  - Port 443 is taken."
    )
    assert (result["failed"], result["changed"], result["failure"]["code"]) == (True, False, "INVALID_SETTINGS")
    assert not {"problems", "steps"} & set(result)


def test_what_stays_at_another_dtr_is_said() -> None:
    known = fact("ca")
    known["settings"].update(dtr="https://new.example.org", upstreams=[])
    old = {"registry": "https://old.example.org", "upstreams": ["https://old.example.org:443"]}
    result, (warning,) = plan({**PLANNED, "replaced_config": old}, known)
    assert warning == result["left_behind"]
    assert warning.startswith(
        "region-asia was a cache of the DTR https://old.example.org and is now one of https://new"
    )
    same = {"registry": "https://new.example.org", "upstreams": []}
    assert plan({**PLANNED, "replaced_config": same}, known)[1] == []


def test_what_failed_otherwise_stays_as_it_is() -> None:
    failed = {"failed": True, "msg": "The Engine has no Swarm."}
    assert plan(failed) == (failed, [])


def test_a_cache_of_another_region_is_refused() -> None:
    cache = {"service": "dtr-cache_cache", "url": "https://cache-europe.example.org", "name": "", "registry": ""}
    entry = {"name": "region-europe", "host": "https://cache-europe.example.org:443"}
    known = {**fact("ca"), "registered": [entry]}
    known["settings"].update(former_names=[], host="cache-asia.example.org", url="", dtr="https://dtr.example.org")
    result, _warnings = plan({**PLANNED, "caches": [cache]}, known)
    assert "service dtr-cache_cache is cache region-europe" in result["msg"]
    assert result["failure"]["code"] == "OTHER_CACHE"
    assert "services" not in result
    known["settings"]["former_names"] = ["region-europe"]
    assert not plan({**PLANNED, "caches": [cache]}, known)[0].get("failed")


@pytest.mark.parametrize("file", ["dtr.cert.pem", "msr.cert.pem"])
def test_a_ca_that_changed_and_that_nothing_verifies_is_a_warning(file: str) -> None:
    planned = {**PLANNED, "diff": {"before": service(OLD, file), "after": service(NEW, file)}}
    result, (warning,) = plan(planned)
    assert result == planned
    assert f"DTR gives another CA than the cache of asia has: {NEW} instead of {OLD}" in warning
    assert warning.endswith(f"dtr_cache_registry_ca_fingerprint: {FINGERPRINT}")


@pytest.mark.parametrize("trusted_by", ["ca", "system", "fingerprint", "given"])
def test_one_that_something_verifies_is_none(trusted_by: str) -> None:
    planned = {**PLANNED, "diff": {"before": service(OLD), "after": service(NEW)}}
    assert plan(planned, fact(trusted_by))[1] == []


@pytest.mark.parametrize(
    "diff",
    [
        None,
        {},
        {"before": {}, "after": service(NEW)},
        {"before": service(OLD), "after": {}},
        {"before": service(OLD), "after": service(OLD)},
        {"before": service("region-asia_dtr.cert.pem"), "after": service(NEW)},
        {"before": {"services": {"region-asia_cache": None}}, "after": service(NEW)},
        {"before": service(OLD, "other.pem"), "after": service(NEW, "other.pem")},
    ],
)
@pytest.mark.parametrize("known", [fact(), {"settings": {"name": "region-asia"}, "dtr_ca": None}, {}])
def test_nor_one_of_a_cache_that_has_another_or_none(diff: t.Any, known: dict[str, t.Any]) -> None:
    assert plan({**PLANNED, "diff": diff}, known)[1] == []


def test_a_manager_out_of_reach_is_a_problem_where_the_preflight_did_not_ask() -> None:
    result, _warnings = plan(AnsibleConnectionFailure("no route to host"), preflight=UNASKED)
    assert result["msg"] == (
        "The settings of region-asia have 1 problem; nothing has been changed."
        "\n  - the manager asia cannot be reached: no route to host"
    )
    assert (result["failed"], result["changed"], "unreachable" in result) == (True, False, False)


def test_and_a_failure_of_its_own_later() -> None:
    result, _warnings = plan(AnsibleConnectionFailure("no route to host"))
    assert (result["failure"]["code"], result["failed"]) == ("MANAGER_UNREACHABLE", True)
    assert result["msg"].startswith("The manager asia cannot be reached: no route to host")


SETTINGS: dict[str, t.Any] = {
    "node_labels": {"worker-1": {"dtr.cache": "true"}},
    "keep_versions": 2,
    "former_stack_names": [],
    "host": "cache.example.org",
}


class TestForHosts:
    """One host of each manager asks for all of them."""

    @pytest.fixture(autouse=True)
    def _one_run(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
        self.asked: list[list[str]] = []
        self.answer: t.Callable[[list[dict[str, t.Any]]], dict[str, t.Any]] = lambda stacks: {
            "changed": True,
            "warnings": ["of the module"],
            "plans": [{**PLANNED, "steps": [stack["name"]]} for stack in stacks],
        }
        self.facts: dict[str, dict[str, t.Any]] = {
            host: {
                "settings": {**SETTINGS, "name": f"region-{host}", "stack_name": f"cache-{host}"},
                "deployment": {"definition": {"services": {"cache": {"image": host}}}},
                "manager_mark": mark,
            }
            for host, mark in (("asia", "one"), ("brazil", "two"), ("china", "one"))
        }

    def result(self, host: str, hosts: str = "asia brazil china", **args: t.Any) -> dict[str, t.Any]:
        action = make_action("stack_plan", {"for_hosts": hosts.split(), "docker_host": "unix:///x", **args})
        action._task.ignore_unreachable = True
        action._task._uuid, action._task.timeout = "of the task", 60

        def run(_self: t.Any, _tmp: t.Any, _variables: t.Any) -> dict[str, t.Any]:
            assert action._task.args["docker_host"] == "unix:///x"
            assert not {"for_hosts", "name"} & set(action._task.args)
            stacks = action._task.args["stacks"]
            self.asked.append([stack["name"] for stack in stacks])
            return self.answer(stacks)

        variables = {name: {"inventory_hostname": name, "__dtr_cache": fact} for name, fact in self.facts.items()}
        with mock.patch.object(NormalAction, "run", run):
            found: dict[str, t.Any] = action.run(task_vars={**variables[host], "hostvars": variables})
        return found

    def test_who_has_the_same_manager_is_asked_for_at_once(self) -> None:
        results = {host: self.result(host) for host in self.facts}
        assert {host: result["steps"] for host, result in results.items()} == {
            host: [f"cache-{host}"] for host in self.facts
        }
        assert self.asked == [["cache-asia", "cache-china"], ["cache-brazil"]]
        assert [result.get("warnings") for result in results.values()] == [["of the module"], ["of the module"], None]

    def test_without_a_deployment_it_is_asked_what_runs(self) -> None:
        self.facts["china"]["deployment"] = None
        self.answer = lambda stacks: {"plans": [{**PLANNED, "definition": each["definition"]} for each in stacks]}
        assert self.result("china")["definition"] == {}
        assert self.result("asia")["definition"] == {"services": {"cache": {"image": "asia"}}}

    def test_other_settings_than_the_first_host_saw_are_asked_for_alone(self) -> None:
        self.result("asia")
        self.facts["china"]["settings"]["stack_name"] = "other"
        assert self.result("china")["steps"] == ["other"]
        assert self.asked[1:] == [["other"]]

    def test_another_batch_is_asked_for_anew(self) -> None:
        self.result("asia", "asia brazil")
        assert self.result("china", "china")["steps"] == ["cache-china"]
        assert self.asked == [["cache-asia"], ["cache-china"]]

    def test_a_plan_that_cannot_be_made_is_that_hosts_alone(self) -> None:
        self.answer = lambda stacks: {"plans": [{"failed": True, "msg": "no"}, PLANNED][: len(stacks)]}
        assert self.result("asia")["failed"]
        assert "failed" not in self.result("china")

    @pytest.mark.parametrize("preflight", [{"manager_mark": None}, {}])
    def test_without_a_mark_each_asks_alone(self, preflight: dict[str, t.Any]) -> None:
        for host in ("asia", "china"):
            del self.facts[host]["manager_mark"]
            self.facts[host].update(preflight)
            assert self.result(host)["steps"] == [f"cache-{host}"]
        assert self.asked == [["cache-asia"], ["cache-china"]]

    @pytest.mark.parametrize(
        ("args", "sentence"),
        [
            ({"name": "x"}, "for_hosts: goes with nothing but how the Engine is reached; leave out name."),
            (
                {"stacks": [], "tls": True},
                "for_hosts: goes with nothing but how the Engine is reached; leave out stacks.",
            ),
            ({"for_hosts": "asia,china"}, "for_hosts: must be a list of hosts, such as ansible_play_batch."),
            ({"for_hosts": []}, "for_hosts: must be a list of hosts, such as ansible_play_batch."),
            ({"for_hosts": ["asia", "nobody", 1]}, "for_hosts: the inventory has no host nobody, 1."),
        ],
    )
    def test_what_does_not_go_together(self, args: dict[str, t.Any], sentence: str) -> None:
        assert self.result("asia", **args)["msg"] == sentence
        assert self.asked == []

    def test_settings_that_nobody_has_read(self) -> None:
        self.facts["asia"] = {}
        assert self.result("asia")["msg"].startswith("for_hosts: nothing is known of asia; register the result of")

    def test_several_stacks_go_with_nothing_either(self) -> None:
        result, _warnings = plan(PLANNED, name="x", stacks=[{"name": "y"}])
        assert result["msg"].startswith("stacks: goes with nothing but how the Engine is reached; leave out name.")

    def test_a_crash_names_each_host(self) -> None:
        self.answer = lambda _stacks: {"failed": True, "module_stderr": "no python", "module_stdout": "", "rc": 127}
        for host in ("asia", "china"):
            result = self.result(host)
            assert f"crashed on {host}: no python" in result["msg"]
            assert result["rc"] == 127
        assert self.asked == [["cache-asia", "cache-china"], ["cache-china"]]

    def test_what_ansible_itself_says_is_everyones(self) -> None:
        self.answer = lambda _stacks: {"failed": True, "msg": "Missing sudo password"}
        assert {self.result(host)["msg"] for host in ("asia", "china")} == {"Missing sudo password"}
        assert len(self.asked) == 1

    def test_what_else_the_task_says_stays(self) -> None:
        facts = {"discovered_interpreter_python": "/usr/bin/python3"}
        self.answer = lambda stacks: {
            "warnings": ["of the module"],
            "ansible_facts": facts,
            "plans": [{**PLANNED, "warnings": [stack["name"]]} for stack in stacks],
        }
        first, second = self.result("asia"), self.result("china")
        assert (first["warnings"], second["warnings"]) == (["of the module", "cache-asia"], ["cache-china"])
        assert first["ansible_facts"] == second["ansible_facts"] == facts

    def test_a_failure_of_the_manager_is_everyones(self) -> None:
        failure = {"failed": True, "msg": "There is no Docker Engine.", "failure": {"code": "NO_ENGINE"}}
        self.answer = lambda _stacks: failure
        for host in ("asia", "china"):
            assert {**self.result(host), **failure} == self.result(host)
        assert len(self.asked) == 1

    def test_a_manager_that_does_not_answer_is_waited_for_once(self) -> None:
        def never(_stacks: t.Any) -> t.Any:
            raise TooLate

        self.answer = never
        for host in ("asia", "china"):
            assert self.result(host)["msg"].startswith(f"The manager {host} did not answer within")
        assert len(self.asked) == 1

    def test_nor_is_one_that_cannot_be_reached(self) -> None:
        def unreachable(_stacks: t.Any) -> t.Any:
            raise AnsibleConnectionFailure("no route to host")

        self.answer = unreachable
        for host in ("asia", "china"):
            with pytest.raises(AnsibleConnectionFailure, match="no route to host"):
                self.result(host)
        assert len(self.asked) == 1


CHANGED: dict[str, t.Any] = {
    "before": {"services": {"st_cache": {"image": "a:1"}}},
    "after": {"services": {"st_cache": {"image": "a:2"}}},
    "files": [
        {"file": "config.yml", "before_name": "one", "after_name": "two", "before": "ttl: 1h\n", "after": "ttl: 2h\n"}
    ],
}


@pytest.mark.parametrize(
    ("asked", "check_mode", "reader", "shown"),
    [
        (True, False, "default", True),
        (True, False, "ansible.posix.json", False),
        (True, True, "default", False),  # Ansible shows it, as the task is a change then
        (False, False, "default", False),
    ],
)
def test_what_changes_is_shown_in_a_real_run_as_well(
    asked: bool, check_mode: bool, reader: str, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "DEFAULT_STDOUT_CALLBACK", reader)
    monkeypatch.setattr(context, "CLIARGS", {})
    display = mock.Mock()
    action = make_action("stack_plan", {"name": "st"}, display=display, check_mode=check_mode)
    action._task.diff = asked
    answer = {"changed": check_mode, "steps": ["update"], "diff": CHANGED}
    with mock.patch.object(NormalAction, "run", return_value=answer):
        result = action.run(task_vars={"inventory_hostname": "asia", "__dtr_cache": fact()})
    lines = [line for call in display.display.call_args_list for line in call.args[0].splitlines()]
    assert bool(lines) == shown
    if shown:
        assert lines[0] == "What differs in the Swarm of asia:"
        assert {"--- before: stack st", "-    image: a:1", "+    image: a:2", "-ttl: 1h", "+ttl: 2h"} <= set(lines)
        assert {"--- before: config.yml (one)", "+++ after: config.yml (two)"} <= set(lines)
    assert result["diff"] == (
        [
            {
                "before_header": "stack st",
                "after_header": "stack st",
                "before": "services:\n  st_cache:\n    image: a:1\n",
                "after": "services:\n  st_cache:\n    image: a:2\n",
            },
            {
                "before_header": "config.yml (one)",
                "after_header": "config.yml (two)",
                "before": "ttl: 1h\n",
                "after": "ttl: 2h\n",
            },
        ]
        if asked
        else CHANGED
    )


@pytest.mark.parametrize("definition", [{}, {"services": {}}, {"services": None}])
def test_who_only_asks_has_nothing_to_deploy(definition: dict[str, t.Any]) -> None:
    """As roles node_label and verification do."""
    result, _warnings = plan({**PLANNED, "definition": definition})
    assert result["compose"]["services"] == {}
