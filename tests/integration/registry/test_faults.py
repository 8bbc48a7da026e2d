# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever goes wrong on the way: nothing is doubled, lost or left dangling, and a rerun finishes the work."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import tracemalloc
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.dtr import accounts

from .conftest import DANGLING, Json, Registry
from .scenarios import SCENARIOS, Scenario, assert_never_orphaned, moments, warnings_of

from dtr_standin.faults import Action  # isort: skip (conftest puts it into the path)

#: Patience of the modules in these tests; a fault that is late is later than that.
PATIENT: Json = {"timeout": 0.25, "retries": 2}
LATE = 0.6

#: Each way to go wrong: a rule, and whether the server acts although it does not say so.
FAULTS: dict[str, Json] = {
    "late": {"action": "delay", "seconds": LATE},
    "dropped": {"action": "drop"},
    "dropped after it acted": {"action": "drop", "acts": True},
    "dropped before it acts": {"action": "late_act", "seconds": 0.15},
    "too many requests": {"action": "status", "status": 429, "retry_after": "0"},
    "internal error": {"action": "status", "status": 500},
    "internal error after it acted": {"action": "status", "status": 500, "acts": True},
    "bad gateway after it acted": {"action": "html", "status": 502, "acts": True},
    "unavailable": {"action": "status", "status": 503},
    "gateway time-out before it acts": {"action": "status", "status": 504, "acts": True},
    "conflict": {"action": "status", "status": 409},
    "not found": {"action": "status", "status": 404},
    "a page that says 404": {"action": "html", "status": 404},
    "a page": {"action": "html"},
    "a page after it acted": {"action": "html", "acts": True},
    "a log-in page": {"action": "redirect", "url": "/login"},
    "empty": {"action": "empty"},
    "empty after it acted": {"action": "empty", "acts": True},
    "cut off": {"action": "cut_body"},
    "half": {"action": "cut_json"},
}

#: Answers that are too much of something, which have tests of their own.
OVERSIZED: dict[str, Json] = {
    "an error of 30 MB": {"action": "huge", "status": 500, "megabytes": 30},
    "100 MB of JSON": {"action": "huge", "megabytes": 100},
    "half a million levels": {"action": "deep", "levels": 500_000},
    "a hundred levels": {"action": "deep", "levels": 100},
    "an error of many levels": {"action": "deep", "status": 500, "levels": 20_000},
}

#: The requests that can go wrong.
REQUESTS: dict[str, Json] = {
    "list of caches": {"method": "GET", "path": "content_caches$"},
    "new cache": {"method": "POST", "path": "content_caches$"},
    "deleted cache": {"method": "DELETE", "path": "content_caches/"},
    "read setting": {"method": "GET", "path": "/settings$"},
    "changed setting": {"method": "PATCH", "path": "/settings$"},
    "list of accounts": {"method": "GET", "path": "/enzi/v0/accounts(/engineering|/$|$)"},
}

#: How often: the first ones only, now and then, and from a moment on for ever.
TIMES: dict[str, Json] = {"once": {"count": 1}, "each third": {"every": 3}, "for ever": {"after": 1}}

_REPLACE = "replace the host"
_ASSIGN = "assign teams, organisations and accounts"


def faulty_runs() -> t.Iterator[tuple[str, str, str, str]]:
    for fault in FAULTS:
        for request in REQUESTS:
            for name in (_REPLACE, _ASSIGN):
                if name == _ASSIGN and request in ("new cache", "deleted cache"):
                    continue
                yield name, fault, request, "once"
                # What waits for a time-out each time would take the most of the time, and tell no more.
                if FAULTS[fault]["action"] != "delay" and request != "list of caches":
                    yield name, fault, request, "each third" if request.endswith("setting") else "for ever"


def nothing_is_harmed(registry: Registry, scenario: Scenario, result: Json) -> None:
    """What holds after any run, however it ended."""
    assert_never_orphaned(registry, scenario)
    found = registry.caches()
    assert len(found) == len(set(found)), f"doubled: {found}"
    assert DANGLING not in registry.settings().values()
    lost = set(scenario.settings) - set(registry.settings())
    assert lost <= {account["name"] for account in result.get("failed_accounts", [])}
    if result.get("failed"):
        failure = result["failure"]
        assert failure["code"], result
        assert failure["message"][:1].isalnum(), result
        assert "Traceback" not in result["msg"]
    else:
        assert scenario.is_reached(registry), scenario.explained(registry)


@pytest.mark.parametrize(("name", "fault", "request_", "times"), list(faulty_runs()))
def test_whatever_goes_wrong(registry: Registry, name: str, fault: str, request_: str, times: str) -> None:
    scenario = SCENARIOS[name]
    scenario.set_up(registry)
    registry.control.fault(**FAULTS[fault], **REQUESTS[request_], **TIMES[times])
    result = scenario.run(registry, **PATIENT)
    nothing_is_harmed(registry, scenario, result)
    registry.control.remove_faults()
    again = scenario.run(registry)
    assert not again.get("failed"), again
    assert scenario.is_reached(registry), scenario.explained(registry)
    assert_never_orphaned(registry, scenario)
    with registry.nothing_is_written():
        assert scenario.run(registry)["changed"] is False


def test_every_action_is_tried() -> None:
    tried = {fault["action"] for fault in [*FAULTS.values(), *OVERSIZED.values()]}
    assert tried | {"endless"} == set(t.get_args(Action))


@pytest.mark.parametrize(
    ("fault", "request_"),
    [
        *((fault, "list of caches") for fault in OVERSIZED),
        ("an error of 30 MB", "new cache"),
        ("100 MB of JSON", "read setting"),
        ("a hundred levels", "list of accounts"),
    ],
)
def test_too_much_is_one_sentence_in_little_memory(registry: Registry, fault: str, request_: str) -> None:
    scenario = SCENARIOS[_REPLACE]
    scenario.set_up(registry)
    registry.control.fault(**OVERSIZED[fault], **REQUESTS[request_])
    tracemalloc.start()
    result = scenario.run(registry, timeout=10, retries=2)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result["failed"]
    assert "INTERNAL" not in str(result["failure"]["code"])
    assert len(result["msg"]) < 600
    assert "\n" not in result["msg"]
    assert most < 40 * 2**20
    registry.control.remove_faults()
    again = scenario.run(registry)
    assert not again.get("failed"), again
    assert scenario.is_reached(registry), scenario.explained(registry)


def test_a_list_of_accounts_without_end(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "_MOST_ENTRIES", 10_000)
    scenario = SCENARIOS["assign everyone"]
    scenario.set_up(registry)
    registry.control.fault("endless", path="/enzi/v0/accounts(/$|$)")
    with registry.nothing_is_written():
        result = scenario.run(registry)
    assert "page by page does not end: it was given up after 11000 entries" in result["msg"]


@pytest.mark.parametrize("late", ["both", "one"])
@pytest.mark.parametrize("refuses", [False, True], ids=["takes duplicates", "refuses them"])
def test_two_first_registrations_at_once_leave_one_entry(registry: Registry, late: str, refuses: bool) -> None:
    """Two processes, neither of which knows of the other: both have read the list before either writes."""
    registry.set_up({}, {})
    if refuses:
        registry.control.behave(**_REFUSALS)
    registry.control.fault("delay", method="POST", seconds=3, count=2 if late == "both" else 1)
    host: Json = {"caches": [{"name": "region-asia", "host": "https://cache-asia.example.org"}]}
    command = in_a_process(registry, "content_caches", host)
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _each in range(2)]
    if late == "one":
        # The quick one is through, and has sent accounts to its entry, when the other one comes to write.
        end = time.monotonic() + 30
        while all(each.poll() is None for each in running) and time.monotonic() < end:
            time.sleep(0.02)
        running.sort(key=lambda each: each.poll() is None)
        assigned = registry.run("cache_assignments", assignments=[{"cache": "region-asia", "accounts": ["alice"]}])
        assert not assigned.get("failed"), assigned
    results = [json.loads(each.communicate(timeout=60)[0]) for each in running]
    assert [result.get("failed", False) for result in results] == [False, False], results
    assert registry.control.count("POST") == 2, "each has read the list before the other wrote"
    (entry,) = registry.settled()["content_caches"]
    # The later one sees both entries; the other one may have been through before.
    assert entry["id"] in [cache["id"] for result in results for cache in result["created"]]
    if late == "one":
        assert [cache["id"] for cache in results[-1]["created"]] == [entry["id"]]
        assert registry.settings() == {"alice": "region-asia"}
    with registry.nothing_is_written():
        assert registry.run("content_caches", **host)["changed"] is False


def in_a_process(registry: Registry, module: str, options: Json) -> list[str]:
    """The command that runs a module in a process of its own and prints its result."""
    program = (
        "import json, sys; from ansible_collections.dtr.cache.tests.unit.support.modules import run_module; "
        "print(json.dumps(run_module(sys.argv[1], **json.loads(sys.argv[2]))))"
    )
    return [sys.executable, "-c", program, module, json.dumps({**registry.connection, **options})]


#: Ways in which the answer to a request that creates something gets lost although the server acted.
LOST = [
    fault
    for fault, rule in FAULTS.items()
    if rule.get("acts") or rule["action"] in ("delay", "cut_body", "cut_json", "late_act")
]


@pytest.mark.parametrize("times", ["once", "for ever"])
@pytest.mark.parametrize("fault", LOST)
def test_a_lost_answer_never_leaves_two_entries(registry: Registry, fault: str, times: str) -> None:
    """At no moment either: what is there is looked up before anything is sent again."""
    scenario = SCENARIOS["create"]
    scenario.set_up(registry)
    registry.control.fault(**FAULTS[fault], **REQUESTS["new cache"], **({"count": 1} if times == "once" else {}))
    first = scenario.run(registry, **PATIENT)
    for _each in range(3):
        # Whoever runs it again at once may meet a request that is still under way, which nobody can know of.
        registry.settled()
        if first.get("failed"):
            first = scenario.run(registry, **PATIENT)
    registry.settled()
    assert set(moments(registry, scenario).most.values()) == {1}
    registry.control.remove_faults()
    assert not scenario.run(registry).get("failed")
    assert scenario.is_reached(registry), scenario.explained(registry)
    assert set(moments(registry, scenario).most.values()) == {1}


_REFUSALS = {"duplicate_names": False, "duplicate_hosts": False}


@pytest.mark.parametrize("request_", ["new cache", "deleted cache", "changed setting"])
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "late"])
@pytest.mark.parametrize("name", [_REPLACE, "two names swap their hosts"])
def test_what_has_to_make_room_first_comes_back(registry: Registry, name: str, fault: str, request_: str) -> None:
    """The old entry is gone when the fault strikes: accounts get it back, or are named with where they belong."""
    scenario = SCENARIOS[name]
    scenario.set_up(registry)
    registry.control.behave(**_REFUSALS)
    registry.control.fault(**FAULTS[fault], **REQUESTS[request_], after=2, count=2)
    result = scenario.run(registry, **PATIENT)
    nothing_is_harmed(registry, scenario, result)
    told = {account["name"]: account for account in result.get("failed_accounts", [])}
    for account in set(scenario.settings) - set(registry.settings()):
        assert told[account]["cache"] == scenario.caches[scenario.settings[account]][0]
        assert "pulls from DTR itself now" in told[account]["message"]
        assert "lost their cache on the way" in result["msg"]
    registry.control.remove_faults()
    again = scenario.run(registry)
    assert not again.get("failed"), again
    assert registry.caches() == sorted(scenario.hosts.items())


def test_a_reset_that_is_carried_out_late_does_not_undo_what_came_after_it(registry: Registry) -> None:
    """The reset of alice times out and is sent again; the first one takes effect when she has her new cache already."""
    scenario = SCENARIOS[_REPLACE]
    scenario.set_up(registry)
    registry.control.behave(**_REFUSALS)
    registry.control.fault("delay", method="PATCH", path="alice/settings$", seconds=1.0, count=1)
    result = scenario.run(registry, timeout=0.6)
    assert not result.get("failed"), result
    registry.settled()
    changes = [what for what, subject, _detail in registry.control.journal() if subject == "alice"]
    assert changes == ["unset", "set", "unset", "set"]
    assert scenario.is_reached(registry), scenario.explained(registry)


def test_accounts_whose_cache_cannot_be_restored_are_named_with_it(registry: Registry) -> None:
    scenario = SCENARIOS[_REPLACE]
    scenario.set_up(registry)
    registry.control.behave(**_REFUSALS)
    # The first POST is refused as a duplicate; from the deletion on none succeeds.
    registry.control.fault("status", status=500, method="POST", after=1)
    result = scenario.run(registry, **PATIENT)
    assert result["failed"]
    assert registry.caches() == [("region-europe", scenario.hosts["region-europe"])]
    named = {account["name"]: account["message"] for account in result["failed_accounts"]}
    assert named.keys() == {"alice", "user00001", "ivan"}
    for message in named.values():
        assert message.startswith("It pulled from region-asia (https://cache-asia.example.org:443)")


@pytest.mark.parametrize("name", [_ASSIGN, "assign everyone", "assign exclusively", "reset to local"])
def test_a_partial_failure_names_each_account_and_does_the_others(registry: Registry, name: str) -> None:
    scenario = SCENARIOS[name]
    scenario.set_up(registry)
    registry.control.fault("status", status=500, method="PATCH", path="(bob|user00001)/settings")
    result = scenario.run(registry)
    assert result["failed"]
    failed = {account["name"]: account for account in result["failed_accounts"]}
    assert failed
    assert failed.keys() <= {"bob", "user00001"}
    assert {account["code"] for account in failed.values()} == {"INJECTED"}
    assert all("500 Internal Server Error" in account["message"] for account in failed.values())
    found = registry.settings()
    assert {k: v for k, v in found.items() if k not in failed} == {
        k: v for k, v in scenario.holders.items() if k not in failed
    }
    assert not {change["name"] for change in result["changed_accounts"]} & failed.keys()
    registry.control.remove_faults()
    rerun = scenario.run(registry)
    assert {change["name"] for change in rerun["changed_accounts"]} == failed.keys()
    assert scenario.is_reached(registry), scenario.explained(registry)


def test_accounts_that_cannot_be_moved_keep_their_cache(registry: Registry) -> None:
    scenario = SCENARIOS[_REPLACE]
    scenario.set_up(registry)
    registry.control.fault("status", status=500, method="PATCH", path="alice/settings")
    result = scenario.run(registry)
    assert result["failure"]["code"] == "ACCOUNTS_NOT_MOVED"
    assert [account["name"] for account in result["failed_accounts"]] == ["alice"]
    assert ("region-asia", "https://cache-asia.example.org:443") in registry.caches()
    nothing_is_harmed(registry, scenario, result)
    registry.control.remove_faults()
    assert not scenario.run(registry).get("failed")
    assert scenario.is_reached(registry), scenario.explained(registry)


@pytest.mark.parametrize("status", [401, 403, 404, 409])
def test_refusals_are_not_tried_again(registry: Registry, status: int) -> None:
    registry.control.fault("status", status=status)
    registry.control.forget_requests()
    result = registry.run("content_caches_info")
    assert result["failed"]
    assert result["failure"]["http_status"] == status
    assert registry.control.count() == 1
    assert "warnings" not in result


@pytest.mark.parametrize(
    "fault",
    [{"action": "status", "status": 401}, {"action": "redirect", "url": "/api/v0/openid/begin"}],
    ids=["refused", "log-in page"],
)
def test_a_refused_log_in_is_not_tried_for_each_account(registry: Registry, fault: Json) -> None:
    """Ten thousand wrong passwords would lock the account out."""
    scenario = SCENARIOS["assign everyone"]
    scenario.set_up(registry)
    registry.control.fault(**fault, path="/settings$")
    result = scenario.run(registry)
    assert result["failed"]
    assert registry.control.count("GET", "settings") <= registry.concurrency
    assert len(result["failed_accounts"]) == len(scenario.holders) - 1


def test_retries_are_told_in_warnings(registry: Registry) -> None:
    registry.control.fault("status", status=503, count=2)
    result = registry.run("content_caches_info")
    assert not result.get("failed")
    assert [warning.partition(": ")[2] for warning in warnings_of(result)] == [
        "503 Service Unavailable, 4 of 5 retries left",
        "503 Service Unavailable, 3 of 5 retries left",
    ]


def test_the_server_is_asked_to_wait_and_is_waited_for(registry: Registry) -> None:
    registry.control.fault("status", status=429, retry_after="1", count=1)
    start = time.monotonic()
    assert not registry.run("content_caches_info").get("failed")
    assert time.monotonic() - start >= 1


def test_an_entry_that_a_lost_answer_left_is_taken_for_ours(registry: Registry) -> None:
    scenario = SCENARIOS["create"]
    scenario.set_up(registry)
    registry.control.fault("drop", method="POST", acts=True, count=1)
    result = scenario.run(registry, **PATIENT)
    assert [cache["name"] for cache in result["created"]] == ["region-asia", "region-europe"]
    assert {cache["id"] for cache in result["created"]} == {
        cache["id"] for cache in registry.control.state()["content_caches"]
    }
    assert registry.control.count("POST") == 2
