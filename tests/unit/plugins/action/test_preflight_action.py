# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The preflight on the control node: what it refuses, what it asks DTR and the Swarm, and when it asks again."""

from __future__ import annotations

import json
import time
import typing as t
from pathlib import Path
from unittest import mock

import pytest
from ansible import constants
from ansible.errors import AnsibleConnectionFailure
from ansible.playbook.play import Play
from ansible_collections.dtr.cache.plugins.action import preflight
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.http import retries, transport
from ansible_collections.dtr.cache.plugins.module_utils.module.of_dtr import DtrModule
from ansible_collections.dtr.cache.plugins.plugin_utils.actions import packages, play_problems
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet import asks_swarm, regions
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.variables import trust_as_template
from ansible_collections.dtr.cache.tests.unit.support.actions import make_action
from ansible_collections.dtr.cache.tests.unit.support.dtr import Dtr
from ansible_collections.dtr.cache.tests.unit.support.lookups import without_environment
from ansible_collections.dtr.cache.tests.unit.support.settings import CA, CACHE, GOOD
from ansible_collections.dtr.cache.tests.unit.support.web import Site, make_identity, serve

PASSWORD = "s3cret-of-the-test"
HTTP_SECRET = "8c1f0f4e5d0b4a6f9f0e2d3c4b5a6978"
BROKEN = {"dtr_cache_port": "many", "dtr_cache_blob_ttl": "24"}
REGISTRY = ["cache", "registry"]
DEPLOYMENT = [*REGISTRY, "certificate"]
UNUSED = "https://127.0.0.1:1"
UNDEFINED = trust_as_template("{{ not_defined }}")
Result = dict[str, t.Any]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fast = retries.Backoff(base=0.01, cap=0.02, budget=5)
    monkeypatch.setitem(transport.Transport.__init__.__kwdefaults__ or {}, "backoff", fast)
    without_environment(monkeypatch)
    # What processes of one run share; each test is a run of its own.
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    # The roles' variables see to that.
    monkeypatch.setattr(preflight.ActionModule, "_is_pipelining_enabled", lambda *_args: True)


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> mock.Mock:
    """What is asked of DTR besides its CA, which finds nothing unless a test says otherwise. It gets the options."""
    asked = mock.Mock(return_value={"problems": []})
    declared = DtrModule(lambda module: asked(module.params), preflight.PREREQUISITES._argument_spec)
    monkeypatch.setattr(preflight, "PREREQUISITES", declared)
    return asked


@pytest.fixture
def site(tmp_path: Path) -> t.Iterator[Site]:
    """A DTR that gives its own CA."""
    dtr = Dtr()
    dtr.ca = CA.pem
    with serve(dtr, make_identity("dtr", CA).server_context(tmp_path)) as running:
        yield running


@pytest.fixture
def swarm(monkeypatch: pytest.MonkeyPatch) -> mock.Mock:
    """The half of the module on the manager, which finds nothing unless a test says otherwise."""
    asked = mock.Mock(return_value={"problems": []})
    monkeypatch.setattr(preflight.ActionModule, "_execute_module", asked)
    return asked


def host(url: str = UNUSED, **changes: t.Any) -> Result:
    """The good variables of a cache of this DTR, with some changed by their names without the prefix."""
    given = {
        **GOOD,
        "dtr_cache_registry_url": url,
        "dtr_cache_registry_password": PASSWORD,
        "dtr_cache_http_secret": HTTP_SECRET,
    }
    changed = {f"dtr_cache_{name}": value for name, value in changes.items()}
    return {"inventory_hostname": "asia", **given, **changed}


def check(variables: Result, needs: list[str], **options: t.Any) -> t.Any:
    """The result of the task; C(check_mode), C(strategy) and C(transport) are what it runs in."""
    around = {name: options.pop(name) for name in ("check_mode", "transport") if name in options}
    play = Play()
    play.strategy = options.pop("strategy", "linear")
    action = make_action("preflight", {"needs": needs, **options}, play=play, **around)
    return action.run(task_vars=variables)


def listed(result: Result) -> list[str]:
    """The problems in the message of a failed result, which says nothing else."""
    first, *problems = result["msg"].split("\n  - ")
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    assert first.endswith(f" {count}; nothing has been changed.")
    assert result["failed"]
    return problems


def only_problem(result: Result) -> str:
    (problem,) = listed(result)
    return problem


class TestProblems:
    def test_they_stand_once_in_the_message_and_nowhere_else(self) -> None:
        result = check({**host(registry_ca="system"), **BROKEN}, REGISTRY)
        assert result["msg"].startswith("The settings of region-asia have 2 problems; nothing has been changed.")
        assert [problem.partition(":")[0] for problem in listed(result)] == list(BROKEN)
        assert result["failure"]["code"] == "INVALID_SETTINGS"
        rest = json.dumps({key: value for key, value in result.items() if key != "msg"})
        assert "dtr_cache_" not in rest
        assert not {"problems", "settings", "fingerprint"} & set(result)

    def test_a_cache_without_a_name_goes_by_its_host(self) -> None:
        result = check(host(name=None, registry_ca="system"), REGISTRY)
        assert result["msg"].startswith("The settings of asia have 1 problem;")
        assert only_problem(result).startswith("dtr_cache_name: is required")

    def test_who_observes_gets_them_beside_the_settings(self) -> None:
        result = check({**host(registry_ca="system"), **BROKEN}, REGISTRY, fail=False)
        assert not result.get("failed")
        assert "msg" not in result
        assert [problem.partition(":")[0] for problem in result["problems"]] == list(BROKEN)
        assert (result["settings"]["name"], result["checked"]) == ("region-asia", REGISTRY)
        assert result["deployment"] is None
        assert result["dtr_ca_problem"] is None

    @pytest.mark.parametrize("needs", [REGISTRY, ["cache", "trust"], ["address"]])
    def test_parts_that_are_not_needed_may_be_left_out(self, needs: list[str]) -> None:
        left_out: Result = dict.fromkeys(("certificate", "private_key", "nodes"))
        assert check(host(registry_ca="system", **left_out), needs)["problems"] == []

    def test_who_adopts_a_cache_needs_no_name(self) -> None:
        nameless: Result = dict.fromkeys(("name", "host", "nodes", "certificate", "private_key"))
        assert check(host(registry_ca="system", **nameless), ["dtr"])["problems"] == []


class TestTheSameAgain:
    def test_the_same_variables_are_asked_about_once(self, site: Site, swarm: mock.Mock) -> None:
        variables = host(site.url)
        first = check(variables, [*DEPLOYMENT, "swarm"])
        questions = site.connections
        assert site.count("GET", "/ca") > 0
        for needs in ([*DEPLOYMENT, "swarm"], REGISTRY, ["swarm"]):
            again = check({**variables, "__dtr_cache": first}, needs)
            of_task = {key: first[key] for key in ("play", "host", "check_mode", "together")}
            assert {**again, **of_task} == {
                **{key: first[key] for key in preflight.ANSWER},
                **of_task,
                "changed": False,
            }
        assert site.connections == questions
        assert swarm.call_count == 1

    @pytest.mark.parametrize("when", ["never", "to_complete"])
    def test_what_leaves_the_swarm_alone_is_asked_once_as_well(self, site: Site, swarm: mock.Mock, when: str) -> None:
        needs = [*REGISTRY, "manager"]
        first = check(host(site.url), needs, ask_swarm=when)
        questions = site.connections
        for again in (needs, ["address"]):
            check({**host(site.url), "__dtr_cache": first}, again, ask_swarm=when)
        assert (site.connections, swarm.call_count) == (questions, 0)
        check({**host(site.url), "__dtr_cache": first}, needs)
        assert swarm.call_count == 1

    def test_a_confirmation_that_check_mode_did_not_need_is_needed_now(self) -> None:
        variables = host(registry_ca="system", confirm_removal=None)
        planned = check(variables, ["confirmation"], check_mode=True)
        assert not planned.get("failed")
        refused = check({**variables, "__dtr_cache": planned}, ["confirmation"])
        assert only_problem(refused).startswith("dtr_cache_confirm_removal: ")

    def test_what_was_not_judged_is_judged_now(self, swarm: mock.Mock) -> None:
        variables = host(registry_ca="system")
        first = check(variables, [*REGISTRY, "swarm"], ask_swarm="to_complete")
        assert (first["problems"], first["checked"], swarm.call_count) == ([], REGISTRY, 0)
        again = check({**variables, "__dtr_cache": first}, [*REGISTRY, "swarm"])
        assert (again["checked"], swarm.call_count) == ([*REGISTRY, "swarm"], 1)
        refused = check({**variables, "dtr_cache_confirm_removal": None, "__dtr_cache": first}, ["confirmation"])
        assert only_problem(refused).startswith("dtr_cache_confirm_removal: ")

    def test_other_variables_are_read_anew(self, site: Site) -> None:
        first = check(host(site.url), REGISTRY)
        questions = site.count("GET", "/ca")
        again = check({**host(site.url, port=8443), "__dtr_cache": first}, REGISTRY)
        assert again["settings"]["port"] == 8443
        assert again["fingerprint"] != first["fingerprint"]
        assert site.count("GET", "/ca") == 2 * questions

    def test_another_host_is_read_anew(self) -> None:
        first = check(host(registry_ca="system"), REGISTRY)
        again = check({**host(registry_ca="system"), "inventory_hostname": "europe"}, REGISTRY)
        assert again["fingerprint"] != first["fingerprint"]

    @pytest.mark.parametrize("changed", [True, False])
    def test_a_named_file_that_changes_is_noticed(self, changed: bool, tmp_path: Path) -> None:
        certificate, key = CACHE.write(tmp_path, "cache")
        variables = host(registry_ca="system", certificate=str(certificate), private_key=str(key))
        first = check(variables, DEPLOYMENT)
        other = make_identity("cache", CA, addresses=["cache.example.org"]) if changed else CACHE
        other.write(tmp_path, "cache")
        again = check({**variables, "__dtr_cache": first}, DEPLOYMENT)
        assert (again["fingerprint"] != first["fingerprint"]) is changed
        assert (again["settings"]["certificate"] != first["settings"]["certificate"]) is changed
        assert (again["deployment"] != first["deployment"]) is changed

    def test_an_answer_with_problems_is_not_given_again(self, swarm: mock.Mock) -> None:
        swarm.return_value = {"problems": ["The Swarm has no node worker-2."]}
        variables = host(registry_ca="system")
        first = check(variables, [*REGISTRY, "swarm"], fail=False)
        assert first["problems"] == ["The Swarm has no node worker-2."]
        known = {**variables, "__dtr_cache": first}
        assert only_problem(check(known, [*REGISTRY, "swarm"])) == "The Swarm has no node worker-2."
        swarm.return_value = {"problems": []}
        assert check(known, [*REGISTRY, "swarm"])["problems"] == []

    def test_nor_one_without_the_ca(self, site: Site) -> None:
        ca = site.behaviour
        site.behaviour = lambda request: ca(request)._replace(status=404)
        first = check(host(site.url), REGISTRY, fail=False)
        assert (first["problems"], bool(first["dtr_ca_problem"])) == ([], True)
        known = {**host(site.url), "__dtr_cache": first}
        assert only_problem(check(known, REGISTRY)) == first["dtr_ca_problem"]
        site.behaviour = ca
        again = check(known, REGISTRY, fail=False)
        assert (again["dtr_ca_problem"], again["dtr_ca"]["pem"]) == (None, CA.pem)


class TestStrategy:
    @pytest.mark.parametrize("fail", [True, False])
    @pytest.mark.parametrize("strategy", ["free", "host_pinned", "ansible.builtin.free"])
    def test_hosts_that_do_not_wait_for_others_are_refused(self, strategy: str, fail: bool, site: Site) -> None:
        result = check(host(site.url), REGISTRY, together=True, fail=fail, strategy=strategy)
        assert only_problem(result).startswith(f"strategy {strategy} lets a host run on without the others")
        assert (result["changed"], site.connections) == (False, 0)

    def test_also_where_all_is_known_already(self) -> None:
        variables = host(registry_ca="system")
        known = {**variables, "__dtr_cache": check(variables, REGISTRY, strategy="free")}
        assert not check(known, REGISTRY, strategy="free").get("failed")
        assert check(known, REGISTRY, together=True, strategy="free")["failed"]

    @pytest.mark.parametrize("strategy", ["linear", "ansible.builtin.linear", "debug"])
    def test_those_that_wait_are_accepted(self, strategy: str) -> None:
        assert not check(host(registry_ca="system"), REGISTRY, together=True, strategy=strategy).get("failed")


@pytest.mark.parametrize("fail", [True, False])
def test_nobody_gives_what_the_run_finds_out(monkeypatch: pytest.MonkeyPatch, fail: bool) -> None:
    """An extra variable would stand in the place of what a task registers: a status would report a plan of nobody."""
    monkeypatch.setattr(play_problems, "load_extra_vars", lambda _loader: {"__dtr_cache_plan": {}, "own": 1})
    result = check(host(registry_ca="system"), REGISTRY, fail=fail)
    assert only_problem(result).startswith("__dtr_cache_plan: is what a step of the run finds out")


class TestRegistry:
    DEPLOY: t.ClassVar = [*DEPLOYMENT, "registration", "assignment", "pull"]

    def test_it_is_asked_about_what_the_step_does(self, registry: mock.Mock) -> None:
        claims = {"accounts": ["alice"], "teams": [], "orgs": [], "everyone": False, "except": None}
        variables = host(registry_ca=CA.pem, assignments=claims, verify_image="a/b:1", verify_account="carol")
        result = check(variables, self.DEPLOY)
        (asked,) = (call.args[0] for call in registry.call_args_list)
        expected = {
            "url": UNUSED,
            "username": "admin",
            "password": PASSWORD,
            "ca_certificate": CA.pem,
            "validate_certs": True,
            "registers": True,
            "assignments": claims,
            "pulls_of": claims,
            "pull_account": "carol",
            "image": "a/b:1",
            "repository": "",
            "cache_image": result["settings"]["image"],
        }
        assert {name: asked[name] for name in expected} == expected

    @pytest.mark.parametrize(
        ("needs", "given"),
        [
            (REGISTRY, set()),
            ([*REGISTRY, "registration"], {"registers"}),
            ([*REGISTRY, "assignment"], {"assignments"}),
            ([*REGISTRY, "pull"], {"pulls_of", "image"}),
            ([*REGISTRY, "verification"], {"pulls_of", "image"}),
            ([*REGISTRY, "warming"], {"pulls_of", "warms"}),
            (["dtr"], {"registers"}),
            (DEPLOYMENT, {"cache_image", "asks_version"}),
        ],
    )
    def test_no_step_is_asked_about_another(self, registry: mock.Mock, needs: list[str], given: set[str]) -> None:
        images: Result = {"verify_image": "a/b:1", "warm_images": ["a/b:1"]}
        check(host(registry_ca="system", assignments={"accounts": ["alice"]}, **images), needs)
        (asked,) = (call.args[0] for call in registry.call_args_list)
        own = ("registers", "assignments", "pulls_of", "warms", "image", "cache_image", "asks_version")
        assert {name for name in own if asked[name]} == given

    def test_its_problems_join_the_others(self, registry: mock.Mock, swarm: mock.Mock) -> None:
        registry.return_value = {"problems": ["dtr_cache_registry_password: refused"]}
        swarm.return_value = {"problems": ["The Swarm has no node worker-2."], "warnings": ["odd"]}
        variables = {**host(registry_ca="system"), **BROKEN}
        result = check(variables, [*self.DEPLOY, "swarm"], ask_swarm="to_complete")
        assert [problem.partition(":")[0] for problem in listed(result)] == [
            *BROKEN,
            "dtr_cache_registry_password",
            "The Swarm has no node worker-2.",
        ]
        assert result["warnings"] == ["odd"]

    def test_nobody_is_sent_a_password_where_it_is_not_sure_who(self, registry: mock.Mock) -> None:
        for wrong in ({"registry_url": "http://dtr"}, {"registry_ca": "/nowhere"}, {"registry_password": None}):
            check(host(**wrong), self.DEPLOY)
        assert registry.call_count == 0

    @pytest.mark.parametrize(("needs", "options"), [(["address"], {}), (REGISTRY, {"fail": False}), ([], {})])
    def test_who_asks_nothing(self, registry: mock.Mock, needs: list[str], options: Result) -> None:
        check(host(registry_ca="system"), needs, **options)
        assert registry.call_count == 0

    def test_the_same_again_asks_only_for_what_is_new(self, registry: mock.Mock) -> None:
        variables = host(registry_ca="system")
        first = check(variables, [*REGISTRY, "registration"])
        known = {**variables, "__dtr_cache": first}
        check(known, REGISTRY)
        check(known, [*REGISTRY, "registration"])
        assert registry.call_count == 1
        check(known, [*REGISTRY, "assignment"])
        assert registry.call_count == 2

    def test_claims_that_are_not_understood_are_not_asked_about(self, registry: mock.Mock) -> None:
        variables = host(registry_ca="system", assignments={"accounts": ["alice"], "teams": ["core"]})
        assert only_problem(check(variables, self.DEPLOY)).startswith("dtr_cache_assignments: ")
        (asked,) = (call.args[0] for call in registry.call_args_list)
        assert not any(asked["assignments"].get(kind) for kind in ("accounts", "teams", "orgs"))

    def test_what_the_question_itself_fails_at_is_a_problem(self, registry: mock.Mock) -> None:
        registry.side_effect = Failure("INVALID_INPUT", "That is no address.")
        assert (
            only_problem(check(host(registry_ca="system"), REGISTRY)) == "dtr_cache_registry_url: That is no address."
        )


class TestOtherRegions:
    NEEDS: t.ClassVar = [*REGISTRY, "registration", "assignment", "swarm"]

    @pytest.fixture(autouse=True)
    def run(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))

    @staticmethod
    def fleet(own: Result, others: dict[str, Result], playing: t.Collection[str] = ()) -> Result:
        """The variables of a host beside others of the inventory, of which some are in the play."""
        hosts = {"asia": own, **{name: {**own, "inventory_hostname": name, **given} for name, given in others.items()}}
        around = {"groups": {"dtr_caches": list(hosts)}, "ansible_play_hosts_all": ["asia", *playing]}
        return {**own, **around, "hostvars": hosts}

    def check(self, others: dict[str, Result], *, playing: t.Collection[str] = (), **own: t.Any) -> t.Any:
        variables = self.fleet(host(registry_ca="system", **own), others, playing)
        return check(variables, self.NEEDS, ask_swarm="never")

    EUROPE: t.ClassVar[Result] = {
        "dtr_cache_name": trust_as_template("region-{{ 'eu' }}rope"),
        "dtr_cache_host": "cache-europe.example.org",
        "dtr_cache_assignments": "{accounts: bob}",
    }

    def test_one_of_its_own_is_no_problem(self) -> None:
        result = self.check({"europe": self.EUROPE}, assignments={"accounts": ["alice"]})
        assert (result.get("failed"), result["others"]) == (None, [self.claims(["bob"])])

    @staticmethod
    def claims(accounts: list[str]) -> Result:
        kinds = {"accounts": accounts, "teams": [], "orgs": []}
        return {"host": "europe", "claims": {**kinds, "cache": "region-europe"}}

    @pytest.mark.parametrize("playing", [["europe"], []], ids=["in the play", "left out"])
    @pytest.mark.parametrize(
        ("theirs", "problem"),
        [
            (
                {"dtr_cache_name": "region-asia", "dtr_cache_stack_name": "b"},
                "dtr_cache_name: hosts asia and europe both",
            ),
            (
                {"dtr_cache_host": "CACHE.example.org."},
                "dtr_cache_host: hosts asia and europe both have their cache at c",
            ),
            (
                {"dtr_cache_assignments": "{accounts: 'carol, alice'}"},
                "dtr_cache_assignments: hosts asia and europe both",
            ),
        ],
    )
    def test_what_they_share_is_a_problem(self, playing: list[str], theirs: Result, problem: str) -> None:
        result = self.check({"europe": {**self.EUROPE, **theirs}}, playing=playing, assignments={"accounts": ["alice"]})
        assert only_problem(result).startswith(problem)

    @pytest.mark.parametrize(
        "theirs",
        [
            {"dtr_cache_name": UNDEFINED},
            {"dtr_cache_name": ["region-asia"]},
            {"dtr_cache_stack_name": UNDEFINED, "ansible_host": "asia"},
            {"dtr_cache_product": UNDEFINED, "ansible_host": "asia"},
            {"ansible_host": UNDEFINED},
            {"dtr_cache_docker_host": "tcp://asia"},
            {"dtr_cache_port": "many", "dtr_cache_host": "cache.example.org"},
            {"dtr_cache_assignments": "{accounts: alice, users: bob}"},
            {"dtr_cache_registry_url": UNDEFINED, "dtr_cache_name": "region-asia"},
        ],
        ids=str,
    )
    def test_what_cannot_be_understood_there_is_passed_over(self, theirs: Result) -> None:
        result = self.check({"europe": {**self.EUROPE, **theirs}}, assignments={"accounts": ["alice"]})
        assert not result.get("failed"), result["msg"]

    @pytest.mark.parametrize(
        ("wrong", "value", "theirs"),
        [
            ("port", "none", {"dtr_cache_host": "cache.example.org"}),
            ("stack_name", "a b", {"ansible_host": "asia"}),
            ("assignments", {"accounts": ["bob"], "users": ["x"]}, {}),
        ],
    )
    def test_nor_is_the_default_in_the_place_of_what_is_wrong_here(
        self, wrong: str, value: t.Any, theirs: Result
    ) -> None:
        result = self.check({"europe": {**self.EUROPE, **theirs}}, **{wrong: value})
        assert only_problem(result).startswith(f"dtr_cache_{wrong}: ")

    def test_a_host_that_declares_no_cache_is_no_region(self) -> None:
        same = {"ansible_host": "asia", "dtr_cache_name": "", "dtr_cache_host": ""}
        assert not self.check({"europe": same}, assignments={"accounts": ["alice"]}).get("failed")

    def test_an_extra_variable_says_nothing_of_who_is_left_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(regions, "load_extra_vars", lambda _loader: {"dtr_cache_assignments": {}})
        same = {**self.EUROPE, "dtr_cache_assignments": {"accounts": ["alice"]}}
        assert not self.check({"europe": same}, assignments={"accounts": ["alice"]}).get("failed")
        result = self.check({"europe": same}, playing=["europe"], assignments={"accounts": ["alice"]})
        assert "both claim account alice" in only_problem(result)

    def test_who_is_no_region_of_the_inventory_acts_for_one_and_gets_in_the_way_of_the_rest(self) -> None:
        rest = {"brazil": {**self.EUROPE, "dtr_cache_name": "region-brazil"}}
        variables = self.fleet(host(registry_ca="system", assignments={"accounts": ["bob"]}), {"europe": {}, **rest})
        variables["groups"] = {"dtr_caches": ["europe", "brazil"]}
        problem = only_problem(check(variables, self.NEEDS, ask_swarm="never"))
        assert problem.startswith("dtr_cache_assignments: hosts asia and brazil both claim account bob")

    @pytest.mark.parametrize("needs", [[*REGISTRY, "confirmation", "registration"], REGISTRY, ["cache", "port"]])
    def test_who_removes_or_only_observes_is_not_stopped(self, needs: list[str]) -> None:
        variables = self.fleet(host(registry_ca="system", confirm_removal="region-asia"), {"europe": {}})
        assert not check(variables, needs).get("failed")

    def test_the_regions_are_read_once_for_all_hosts_of_a_task(self, monkeypatch: pytest.MonkeyPatch) -> None:
        others = {f"r{number}": {"dtr_cache_name": f"r{number}"} for number in range(5)}
        variables = self.fleet(host(registry_ca="system"), others)
        read = mock.Mock(side_effect=regions.declared_region)
        monkeypatch.setattr(regions, "declared_region", read)
        action = make_action("preflight", {"needs": self.NEEDS, "ask_swarm": "never"}, play=Play())
        for name in ("asia", "r1", "r2"):
            action.run(task_vars={**variables, "inventory_hostname": name})
        assert read.call_count == 6


class TestAuthority:
    def test_one_that_nothing_verifies_is_a_warning_with_the_pin(self, site: Site) -> None:
        result = check(host(site.url), REGISTRY)
        (described,) = result["dtr_ca"]["certificates"]
        assert (result["dtr_ca"]["pem"], result["dtr_ca"]["trusted_by"]) == (CA.pem, "first_use")
        (warning,) = result["warnings"]
        assert warning.endswith(f"dtr_cache_registry_ca_fingerprint: {described['fingerprint']}")
        pinned = check(host(site.url, registry_ca_fingerprint=described["fingerprint"]), REGISTRY)
        assert (pinned["dtr_ca"]["trusted_by"], pinned["warnings"]) == ("fingerprint", [])

    def test_no_credentials_are_sent_for_it(self, site: Site) -> None:
        check(host(site.url), REGISTRY)
        assert site.requests
        assert not any("Authorization" in request.headers for request in site.requests)

    @pytest.mark.parametrize(
        ("value", "trusted_by", "pem"), [("system", "system", ""), (CA.pem, "given", CA.pem)], ids=["system", "given"]
    )
    def test_one_that_is_known_is_not_fetched(self, site: Site, value: str, trusted_by: str, pem: str) -> None:
        result = check(host(site.url, registry_ca=value), REGISTRY)
        assert (result["dtr_ca"]["trusted_by"], result["dtr_ca"]["pem"]) == (trusted_by, pem)
        assert site.connections == 0

    @pytest.mark.parametrize("down", [True, False], ids=["DTR is down", "the CA does not fit"])
    def test_one_that_cannot_be_had(self, site: Site, down: bool) -> None:
        t.cast("Dtr", site.behaviour).ca = make_identity("another CA", ca=True).pem
        variables = host(UNUSED if down else site.url)
        problem = only_problem(check(variables, REGISTRY))
        assert problem.startswith("dtr_cache_registry_url: ")
        assert ("refused the connection" if down else "did not sign the certificate") in problem
        observed = check(variables, DEPLOYMENT, fail=False)
        assert observed["dtr_ca_problem"].startswith("dtr_cache_registry_url: ")
        assert [observed[key] for key in ("problems", "dtr_ca", "deployment")] == [[], None, None]

    def test_it_stands_beside_other_problems(self) -> None:
        names = [problem.partition(":")[0] for problem in listed(check({**host(), **BROKEN}, REGISTRY))]
        assert names == [*BROKEN, "dtr_cache_registry_url"]

    def test_who_observes_does_not_wait_long_for_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        fetch = mock.Mock(return_value={"pem": CA.pem, "trusted_by": "ca", "certificates": [], "problems": []})
        monkeypatch.setattr(preflight, "run_here", fetch)
        for fail in (True, False):
            check(host(), REGISTRY, fail=fail)
        asked = [call.args[1].arguments for call in fetch.call_args_list if call.args[0] is preflight.REGISTRY_CA_INFO]
        patient, hasty = asked
        assert patient == {"url": UNUSED, "validate_certs": True}
        assert hasty == {**patient, "timeout": 10, "retries": 1}

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("registry_ca_fingerprint", "sha1:abcd"),
            ("registry_ca_fingerprint", ["a" * 64]),
            ("registry_ca", "/nowhere/ca.pem"),
            ("registry_ca", {"pem": "x"}),
        ],
    )
    @pytest.mark.parametrize("fail", [True, False])
    def test_none_is_fetched_where_it_is_not_understood_which(
        self, site: Site, name: str, value: t.Any, fail: bool
    ) -> None:
        result = check(host(site.url, **{name: value}), REGISTRY, fail=fail)
        (problem,) = listed(result) if fail else result["problems"]
        assert problem.startswith(f"dtr_cache_{name}: ")
        assert site.connections == 0
        if not fail:
            assert (result["dtr_ca"], result["dtr_ca_problem"]) == (None, None)

    @pytest.mark.parametrize(
        ("needs", "state", "fetched"),
        [
            (["trust"], "present", True),
            (["trust"], "absent", False),
            (["address"], "absent", True),
            (["cache", "port"], "present", False),
        ],
    )
    def test_who_needs_it(self, site: Site, needs: list[str], state: str, fetched: bool) -> None:
        result = check(host(site.url, client_trust_state=state), needs)
        assert (site.connections > 0, result["dtr_ca"] is not None) == (fetched, fetched)
        assert result["checked"] == needs


class TestWhatAStepNeeds:
    @pytest.mark.parametrize("confirmed", ["", "region-europe", "region-asia"])
    @pytest.mark.parametrize("check_mode", [True, False])
    def test_confirmation(self, confirmed: str, check_mode: bool) -> None:
        variables = host(registry_ca="system", confirm_removal=confirmed)
        result = check(variables, ["cache", "confirmation"], check_mode=check_mode)
        if (check_mode and not confirmed) or confirmed == "region-asia":
            assert result["problems"] == []
        else:
            assert only_problem(result).endswith("set dtr_cache_confirm_removal=region-asia")

    @pytest.mark.parametrize(
        ("need", "variable", "enough"),
        [
            ("verification", "verify_image", {"verify_image": "library/alpine:3"}),
            ("verification", "verify_image", {"verify_repository": "library/proof"}),
            ("warming", "warm_images", {"warm_images": ["library/alpine:3"]}),
            ("warming", "warm_images", {"warm_images": [{"repository": "library/alpine", "tags": "3.*"}]}),
        ],
    )
    def test_images(self, need: str, variable: str, enough: Result) -> None:
        refused = check(host(registry_ca="system"), [*REGISTRY, need])
        assert only_problem(refused).startswith(f"dtr_cache_{variable}: ")
        assert check(host(registry_ca="system", **enough), [*REGISTRY, need])["problems"] == []

    def test_a_source_file_that_is_missing_is_a_warning(self, tmp_path: Path) -> None:
        there, missing = tmp_path / "key.pem", tmp_path / "kye.pem"
        there.write_text("x")
        result = check(host(registry_ca="system", source_files=[str(there), str(missing)]), REGISTRY)
        assert result["warnings"] == [
            f"dtr_cache_source_files: {missing} does not exist, so there is nothing to remove."
        ]
        assert result["problems"] == []

    @pytest.mark.parametrize(("needs", "refused"), [(DEPLOYMENT, True), (REGISTRY, True), (["cache", "port"], False)])
    def test_modules_that_stay_on_the_disk(
        self, needs: list[str], refused: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(constants, "DEFAULT_KEEP_REMOTE_FILES", True)
        result = check(host(registry_ca="system"), needs, fail=False)
        assert ["ANSIBLE_KEEP_REMOTE_FILES" in problem for problem in result["problems"]] == [True] * refused

    def test_a_key_over_a_connection_that_does_not_pipeline(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(preflight.ActionModule, "_is_pipelining_enabled", lambda *_args: False)
        problem = only_problem(check(host(registry_ca="system"), DEPLOYMENT))
        assert problem.startswith("the private key would be written to the disk of asia")
        assert not check(host(registry_ca="system"), REGISTRY).get("failed")


class TestDeployment:
    def test_the_stack_is_named_by_its_contents(self, site: Site) -> None:
        result = check(host(site.url), DEPLOYMENT)
        files = [item["file"] for kind in ("configs", "secrets") for item in result["deployment"][kind]]
        assert sorted(files) == ["cache.cert.pem", "cache.key.pem", "config.yml", "dtr.cert.pem"]

    @pytest.mark.parametrize("left_out", ["certificate", "private_key"])
    def test_there_is_none_without_certificate_or_key(self, left_out: str) -> None:
        result = check({**host(registry_ca="system"), f"dtr_cache_{left_out}": None}, REGISTRY)
        assert (result["problems"], result["deployment"]) == ([], None)

    def test_nor_without_the_ca_that_it_holds(self) -> None:
        assert check(host(), ["cache", "certificate"])["deployment"] is None

    @pytest.mark.parametrize("fail", [True, False])
    @pytest.mark.parametrize("changes", [{}, BROKEN, {"dtr_cache_private_key": "no key"}])
    def test_no_secret_is_returned(self, site: Site, fail: bool, changes: Result) -> None:
        shown = json.dumps(check({**host(site.url), **changes}, DEPLOYMENT, fail=fail))
        body = "".join(CACHE.key_pem.splitlines()[1:-1])
        assert "PRIVATE KEY" not in shown
        for secret in (PASSWORD, HTTP_SECRET, body, body[:40]):
            assert secret not in shown


class TestVersion:
    """The version of the cache, where the variables leave it to DTR."""

    OURS: t.ClassVar[Result] = {"registry_ca": "system", "version": None}

    def test_it_is_that_of_dtr(self, registry: mock.Mock) -> None:
        registry.return_value = {"problems": [], "version": "2.7.4"}
        result = check(host(**self.OURS), DEPLOYMENT)
        image = "docker/dtr-content-cache:2.7.4"
        assert result["settings"]["image"] == image
        assert result["deployment"]["compose"]["services"]["cache"]["image"] == image

    @pytest.mark.parametrize(
        ("version", "variable"),
        [("", "dtr_cache_version"), ("2.9.1", "dtr_cache_product"), ("4.0.0", "dtr_cache_image")],
    )
    def test_one_that_does_not_say_which_image_is_a_problem_among_the_others(
        self, registry: mock.Mock, version: str, variable: str
    ) -> None:
        registry.return_value = {"problems": ["dtr_cache_verify_image: gone"], "version": version}
        found = listed(check({**host(**self.OURS), **BROKEN}, DEPLOYMENT))
        assert [each.partition(":")[0] for each in found] == [*BROKEN, "dtr_cache_verify_image", variable]

    def test_one_that_does_not_answer_is_one_problem(self, registry: mock.Mock) -> None:
        registry.return_value = {"problems": ["dtr_cache_registry_url: silent"], "version": None}
        assert only_problem(check(host(**self.OURS), DEPLOYMENT)) == "dtr_cache_registry_url: silent"

    @pytest.mark.parametrize("needs", [REGISTRY, [*REGISTRY, "confirmation"], [*REGISTRY, "verification"]])
    def test_steps_without_the_image_do_not_need_it(self, registry: mock.Mock, needs: list[str]) -> None:
        variables = host(**self.OURS, confirm_removal="region-asia", verify_image="a/b:1")
        assert not check(variables, needs).get("failed")
        assert not registry.call_args.args[0]["asks_version"]

    def test_who_observes_compares_all_but_the_image(self) -> None:
        result = check(host(**self.OURS), [*REGISTRY, "manager"], fail=False, ask_swarm="never")
        assert result["deployment"]["definition"]["services"]["cache"]["image"] == ""

    @pytest.mark.parametrize("version", ["", "2.10.0"])
    def test_a_rotation_keeps_the_image_that_runs(self, registry: mock.Mock, swarm: mock.Mock, version: str) -> None:
        registry.return_value = {"problems": [], "version": version}
        swarm.return_value = {"services": [{"name": "cache", "image": "cache:2.7.4"}]}
        result = check(host(**self.OURS), [*DEPLOYMENT, "manager", "rotation"], ask_swarm="to_complete")
        assert result["settings"]["image"] == "cache:2.7.4"
        assert [call.kwargs["module_name"] for call in swarm.call_args_list] == ["dtr.cache.stack_plan"]
        assert any("the cache keeps cache:2.7.4" in warning for warning in result["warnings"])

    @pytest.mark.parametrize("image", [None, "cache"])
    def test_unless_it_has_none(self, registry: mock.Mock, swarm: mock.Mock, image: str | None) -> None:
        registry.return_value = {"problems": [], "version": ""}
        swarm.return_value = {"services": [{"name": "cache", "image": image}] if image else [], "problems": []}
        result = check(host(**self.OURS), [*DEPLOYMENT, "manager", "rotation"], ask_swarm="to_complete")
        assert only_problem(result).startswith("dtr_cache_version: the DTR does not say")

    def test_a_rotation_takes_the_version_of_dtr_as_well(self, registry: mock.Mock, swarm: mock.Mock) -> None:
        registry.return_value = {"problems": [], "version": "2.7.4"}
        result = check(host(**self.OURS), [*DEPLOYMENT, "manager", "rotation"], ask_swarm="to_complete")
        assert result["settings"]["image"] == "docker/dtr-content-cache:2.7.4"
        assert swarm.call_args_list == []


class TestSwarm:
    def test_it_is_asked_about_what_the_variables_name(self, swarm: mock.Mock) -> None:
        variables = host(registry_ca="system", docker_host="tcp://manager:2376", publish_mode="host", port=8443)
        # Of the group dtr.cache.engine, as a play has it for tasks of its own.
        of_play = {"docker_host": "tcp://another:2376", "client_key": "/another.key"}
        result = check(variables, [*REGISTRY, "swarm"], fail=False, **of_play)
        assert result["engine"] == {"docker_host": "tcp://manager:2376", "validate_certs": True}
        (call,) = swarm.call_args_list
        assert call.kwargs["module_name"] == "dtr.cache.preflight"
        assert call.kwargs["module_args"] == {
            "needs": [*REGISTRY, "swarm"],
            **result["engine"],
            "nodes": ["worker-1", "worker-2"],
            "port": 8443,
            "publish_mode": "host",
            "node_label": "dtr.cache",
            "host": result["settings"]["host"],
            "former_stacks": [],
            "stack_name": result["settings"]["stack_name"],
            "image": result["settings"]["image"],
            "resolve_image": "always",
            "with_registry_auth": False,
            "replicas": 2,
            "reservations": {},
            "volume_driver": "",
        }

    @pytest.mark.parametrize("needs", [["cache"], ["cache", "manager"]])
    def test_the_engine_is_known_to_who_does_not_ask_it(self, needs: list[str], swarm: mock.Mock) -> None:
        result = check(host(docker_host="ssh://admin@manager"), needs, ask_swarm="never")
        assert (result["engine"], result["checked"]) == ({"docker_host": "ssh://admin@manager"}, ["cache"])
        assert not swarm.called

    def test_it_is_asked_where_something_else_is_wrong(self, swarm: mock.Mock) -> None:
        swarm.return_value = {"problems": ["The Swarm has no node worker-2."]}
        variables = {**host(registry_ca="system"), **BROKEN}
        problems = listed(check(variables, [*REGISTRY, "swarm"], ask_swarm="to_complete"))
        assert len(problems) == 3
        assert problems[-1] == "The Swarm has no node worker-2."

    @pytest.mark.parametrize(
        ("answer", "problem"),
        [
            (AnsibleConnectionFailure("no route to host"), "the manager asia cannot be reached: no route to host"),
            ([{"failed": True, "msg": "No SDK."}], "the Swarm cannot be asked: No SDK."),
            ([{"failed": True}], "the Swarm cannot be asked: no reason was given"),
            (
                [{"failed": True, "msg": "MODULE FAILURE", "module_stderr": "MemoryError\n", "module_stdout": ""}],
                "the Swarm cannot be asked: A module crashed on asia: MemoryError.",
            ),
        ],
    )
    def test_one_that_cannot_be_asked_is_a_problem(self, answer: t.Any, problem: str, swarm: mock.Mock) -> None:
        swarm.side_effect = answer if isinstance(answer, Exception) else None
        swarm.return_value = None if isinstance(answer, Exception) else answer[0]
        result = check(host(registry_ca="system"), [*REGISTRY, "manager"])
        assert only_problem(result) == problem
        assert "unreachable" not in result

    def test_one_that_says_nothing_is_given_up(self, swarm: mock.Mock, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(asks_swarm, "SECONDS_FOR_SWARM", 1)
        swarm.side_effect = lambda **_options: time.sleep(20)
        result = check({**host(registry_ca="system"), **BROKEN}, [*REGISTRY, "manager"])
        assert listed(result)[-1] == "the manager asia did not answer within 1 seconds"


class TestPlan:
    """What a deployment would change, asked together with what it needs of the Swarm."""

    NEEDS: t.ClassVar = [*DEPLOYMENT, "manager", "swarm"]
    STEPS: t.ClassVar = [{"kind": "service", "action": "update", "name": "cache"}]
    PLANNED: t.ClassVar[Result] = {
        "changed": False,
        "steps": STEPS,
        "settled": True,
        "definition": {"services": {}},
        "warnings": ["odd"],
        "diff": {"before": {}, "after": {}},
        "invocation": {"module_args": {}},
        "_ansible_parsed": True,
    }

    @pytest.fixture(autouse=True)
    def plan(self, swarm: mock.Mock) -> mock.Mock:
        swarm.side_effect = lambda **_question: dict(self.PLANNED)
        return swarm

    @staticmethod
    def check(variables: Result, **options: t.Any) -> Result:
        result: Result = check(variables, TestPlan.NEEDS, ask_swarm="to_plan", **options)
        return result

    def test_one_question_asks_both(self, plan: mock.Mock) -> None:
        result = self.check(host(registry_ca="system", docker_host="tcp://manager:2376", keep_versions=1))
        assert (result["plan"]["steps"], result["plan"]["settled"]) == (self.STEPS, True)
        assert not {"changed", "diff", "warnings", "invocation", "_ansible_parsed"} & set(result["plan"])
        assert (result["changed"], result["warnings"], sorted(self.NEEDS)) == (False, ["odd"], result["checked"])
        (call,) = plan.call_args_list
        assert call.kwargs["module_name"] == "dtr.cache.stack_plan"
        deployment = result["deployment"]
        assert call.kwargs["module_args"] == {
            **result["engine"],
            "name": "dtr-cache",
            "node_labels": result["settings"]["node_labels"],
            "definition": deployment["definition"],
            "objects": [*deployment["configs"], *deployment["secrets"]],
            "keep_versions": 1,
            "former_stacks": [],
            "host": result["settings"]["host"],
            "preflight": {
                "nodes": ["worker-1", "worker-2"],
                "port": 443,
                "publish_mode": "ingress",
                "node_label": "dtr.cache",
                "host": result["settings"]["host"],
                "resolve_image": "always",
                "with_registry_auth": False,
            },
        }

    @pytest.mark.parametrize(("needs", "fail"), [(DEPLOYMENT, True), ([*REGISTRY, "swarm"], True), (NEEDS, False)])
    def test_there_is_no_plan_of_a_part(self, plan: mock.Mock, needs: list[str], fail: bool) -> None:
        result = check(host(registry_ca="system"), needs, ask_swarm="to_plan", fail=fail)
        assert result["msg"] == ("ask_swarm=to_plan needs fail=true, and certificate, registry, swarm among its needs.")
        assert (result["failed"], plan.called) == (True, False)

    def test_check_mode_reports_steps_as_a_change(self) -> None:
        with mock.patch.dict(self.PLANNED, {"changed": True}):
            assert self.check(host(registry_ca="system"), check_mode=True)["changed"]

    def test_only_what_was_checked_is_deployed(self, plan: mock.Mock) -> None:
        variables = {**host(registry_ca="system"), "awx_project_revision": "0a1b2c"}
        plans = {"asia": self.check(variables, check_mode=True)["plan"]["fingerprint"]}
        checked = {"revision": "0a1b2c", "plans": plans}

        def refused(given: t.Any = None, **changes: t.Any) -> str:
            return only_problem(self.check({**variables, "dtr_cache_checked": given or checked, **changes}))

        assert not self.check({**variables, "dtr_cache_checked": checked}).get("failed")
        assert "this job has revision 3d4e5f" in refused(awx_project_revision="3d4e5f")
        assert "this job has no revision" in refused(awx_project_revision="")
        assert "also planned europe" in refused(
            {**checked, "plans": {**plans, "europe": "x"}}, ansible_play_hosts_all=["asia"]
        )
        assert "did not plan asia" in refused({**checked, "plans": {}})
        assert "another one" in refused(dtr_cache_assignments={"accounts": ["bob"]})
        assert "is not what" in refused("yes")
        plan.side_effect = lambda **_question: {**self.PLANNED, "steps": []}
        assert "another one" in refused()

    def test_contents_are_sent_for_a_diff_only(self, plan: mock.Mock) -> None:
        action = make_action("preflight", {"needs": self.NEEDS, "ask_swarm": "to_plan"})
        action._task.diff = True
        result = action.run(task_vars=host(registry_ca="system"))
        assert "http:" in plan.call_args.kwargs["module_args"]["config"]
        assert result["diff"] == []
        assert HTTP_SECRET not in json.dumps(result)

    def test_the_plan_is_made_anew(self, plan: mock.Mock, registry: mock.Mock) -> None:
        registry.return_value = {"problems": [], "version": "2.7.4"}
        variables = host(registry_ca="system", version=None, image=None)
        first = self.check(variables)
        again = self.check({**variables, "__dtr_cache": first})
        assert (plan.call_count, registry.call_count) == (2, 1)
        assert again["plan"] == first["plan"]
        image = plan.call_args.kwargs["module_args"]["definition"]["services"]["cache"]["image"]
        assert image == "docker/dtr-content-cache:2.7.4", "as DTR said when it was asked"

    def test_what_it_finds_wrong_is_what_is_wrong_with_the_settings(self, plan: mock.Mock) -> None:
        plan.side_effect = [{"problems": ["The Swarm has no node worker-2."], "changed": False}]
        result = self.check(host(registry_ca="system"))
        assert only_problem(result) == "The Swarm has no node worker-2."
        assert not {"plan", "settings", "fingerprint"} & set(result)

    def test_packages_that_were_installed_before_are_told(self, plan: mock.Mock) -> None:
        plan.side_effect = [{"problems": ["The Swarm has no node worker-2."], "changed": False}]
        variables = host(registry_ca="system", install_requirements=True, requirements=["python3-docker"])
        package = mock.Mock(**{"run.return_value": {"changed": True}})
        action = make_action("preflight", {"needs": self.NEEDS, "ask_swarm": "to_plan"})
        action._shared_loader_obj = mock.Mock(**{"action_loader.get.return_value": package})
        result = action.run(task_vars=variables)
        assert "nothing but the packages on the manager has been changed" in result["msg"]
        assert result["changed"]

    def test_other_problems_come_with_those_of_the_swarm(self, plan: mock.Mock) -> None:
        plan.side_effect = [{"problems": ["The Swarm has no node worker-2."]}]
        result = self.check({**host(registry_ca="system"), **BROKEN})
        assert [problem.partition(":")[0] for problem in listed(result)] == [*BROKEN, "The Swarm has no node worker-2."]
        assert [call.kwargs["module_name"] for call in plan.call_args_list] == ["dtr.cache.preflight"]

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            (AnsibleConnectionFailure("no route"), "the manager asia cannot be reached: no route"),
            ({"failed": True, "msg": "The Engine has no Swarm."}, "The Engine has no Swarm."),
            (
                {"failed": True, "msg": "MODULE FAILURE", "module_stderr": "MemoryError\n", "module_stdout": "secret"},
                "The module dtr.cache.stack_plan crashed on asia: MemoryError.",
            ),
        ],
    )
    def test_without_a_plan_the_task_fails(self, plan: mock.Mock, answer: t.Any, said: str) -> None:
        plan.side_effect = [answer]
        result = self.check(host(registry_ca="system"))
        assert said in result["msg"]
        assert (result["failed"], result["changed"]) == (True, False)
        assert not {"plan", "settings", "fingerprint", "unreachable", "module_stdout"} & set(result)

    def test_a_manager_that_says_nothing_is_given_up(self, plan: mock.Mock, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(asks_swarm, "SECONDS_FOR_SWARM", 1)
        plan.side_effect = lambda **_options: time.sleep(20)
        result = self.check(host(registry_ca="system"))
        assert only_problem(result) == "the manager asia did not answer within 1 seconds"


class TestBundle:
    FILES: t.ClassVar = {"ca.pem": "ca", "cert.pem": "cert", "key.pem": "key", "env.sh": "DOCKER_HOST=tcp://ucp:443\n"}

    @pytest.fixture
    def bundle(self, tmp_path: Path) -> Path:
        folder = tmp_path / "bundle"
        folder.mkdir()
        for name, content in self.FILES.items():
            (folder / name).write_text(content)
        return folder

    def test_it_leads_to_the_engine(self, bundle: Path, swarm: mock.Mock) -> None:
        result = check(host(registry_ca="system", client_bundle=str(bundle)), [*REGISTRY, "manager"])
        assert result["engine"] == {
            "docker_host": "tcp://ucp:443",
            "validate_certs": True,
            "ca_path": f"{bundle}/ca.pem",
            "client_cert": f"{bundle}/cert.pem",
            "client_key": f"{bundle}/key.pem",
        }
        assert swarm.call_args.kwargs["module_args"]["docker_host"] == "tcp://ucp:443"

    @pytest.mark.parametrize("broken", ["missing", "incomplete", "elsewhere"])
    def test_one_that_cannot_be_opened_leads_to_no_other_engine(
        self, broken: str, bundle: Path, swarm: mock.Mock
    ) -> None:
        if broken == "incomplete":
            (bundle / "env.sh").unlink()
        path = bundle.parent / "none.zip" if broken == "missing" else bundle
        transport = "ssh" if broken == "elsewhere" else "local"
        variables = host(registry_ca="system", client_bundle=str(path), docker_host="unix:///var/run/docker.sock")
        result = check(variables, ["cache", "manager"], fail=False, transport=transport)
        (problem,) = result["problems"]
        assert problem.startswith("dtr_cache_client_bundle: ")
        assert (result["engine"], swarm.called) == ({}, False)
        failed = check(variables, ["cache", "manager"], transport=transport)
        assert only_problem(failed) == problem

    def test_who_asks_no_engine_opens_none(self, tmp_path: Path) -> None:
        result = check(host(registry_ca="system", client_bundle=str(tmp_path / "none.zip")), REGISTRY)
        assert (result["engine"], result["problems"]) == ({}, [])


@pytest.mark.usefixtures("swarm")
class TestPackages:
    @pytest.mark.parametrize("ask_swarm", ["always", "to_complete", "never"])
    def test_they_are_installed_unless_only_the_control_node_is_asked(self, ask_swarm: str) -> None:
        package = mock.Mock(**{"run.return_value": {"changed": True}})
        variables = host(registry_ca="system", install_requirements=True, requirements=["python3-docker"])
        result = self.run(variables, package, ask_swarm=ask_swarm)
        assert (result["changed"], package.run.called) == (ask_swarm != "never", ask_swarm != "never")

    def test_what_went_wrong_is_a_problem(self) -> None:
        package = mock.Mock(**{"run.return_value": {"failed": True, "msg": "No such package."}})
        result = self.run(host(registry_ca="system", install_requirements=True), package)
        assert only_problem(result) == "dtr_cache_install_requirements: No such package."

    def test_a_package_manager_that_waits_is_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(packages, "SECONDS", 1)
        package = mock.Mock(**{"run.side_effect": lambda **_options: time.sleep(20)})
        variables = host(registry_ca="system", install_requirements=True, requirements=["python3-docker"])
        assert only_problem(self.run(variables, package)) == (
            "dtr_cache_install_requirements: the packages were not installed within 1 seconds; install python3-docker "
            "on the manager, or find out what its package manager waits for"
        )

    def test_nothing_is_installed_where_something_is_wrong(self) -> None:
        package = mock.Mock(**{"run.return_value": {"changed": True}})
        result = self.run({**host(registry_ca="system", install_requirements=True), **BROKEN}, package)
        assert (result["changed"], package.run.called) == (False, False)

    @staticmethod
    def run(variables: Result, package: mock.Mock, **options: t.Any) -> t.Any:
        action = make_action("preflight", {"needs": [*REGISTRY, "manager"], **options})
        action._shared_loader_obj = mock.Mock(**{"action_loader.get.return_value": package})
        return action.run(task_vars=variables)
