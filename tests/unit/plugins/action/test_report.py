# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""One task reports for all hosts, and shows the table where people read."""

from __future__ import annotations

import typing as t
from unittest import mock

import pytest
from ansible.errors import AnsibleError
from ansible.playbook.play import Play
from ansible_collections.dtr.cache.plugins.action import report as report_action
from ansible_collections.dtr.cache.tests.unit.support.actions import make_action
from ansible_collections.dtr.cache.tests.unit.support.facts import FAILED

NAMES = ("asia", "europe", "oz")
DTR = "https://dtr.example.org"


class Run:
    """A play that runs the report once for each batch."""

    def __init__(self, **facts: dict[str, t.Any]) -> None:
        self.play = Play()
        self.hostvars: dict[str, dict[str, t.Any]] = {
            name: {
                "inventory_hostname": name,
                "__dtr_cache": {"settings": {"name": name, "url": f"https://{name}.example.org", "dtr": DTR}},
                "__dtr_cache_steps": {"steps": [{"kind": "secret", "action": "create"}]},
                **facts.get(name, {}),
            }
            for name in NAMES
        }
        self.lost: set[str] = set()
        self.shown: list[str] = []

    def report(self, *batch: str, of: str = "deployment", check_mode: bool = False) -> dict[str, t.Any]:
        """The result of a batch; Ansible registers it for each of its hosts."""
        play_hosts = [name for name in NAMES if name not in self.lost]
        magic = {
            "hostvars": self.hostvars,
            "ansible_play_hosts_all": list(NAMES),
            "ansible_play_hosts": play_hosts,
            "ansible_play_batch": [name for name in play_hosts if name in batch],
        }
        display = mock.Mock()
        display.display.side_effect = self.shown.append
        action = make_action("report", {"of": of}, play=self.play, check_mode=check_mode, display=display)
        action._task.run_once = True
        result: dict[str, t.Any] = action.run(task_vars={**self.hostvars[batch[0]], **magic})
        for name in batch:
            self.hostvars[name]["__dtr_cache_report"] = result
        return result

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.shown).split())


@pytest.fixture(autouse=True)
def people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_action, "read_by_people", lambda: True)


def test_all_hosts_are_reported() -> None:
    run = Run()
    result = run.report(*NAMES)
    assert [row["region"] for row in result["rows"]] == list(NAMES)
    assert result["ansible_stats"] == {
        "data": {"dtr_cache_regions": result["rows"]},
        "per_host": False,
        "aggregate": False,
    }
    assert (result["changed"], result["troubles"]) == (False, {})
    assert len(run.shown) == 1
    assert run.shown[0].endswith("\n\n")


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("check_mode", [False, True])
def test_the_table_fits_the_terminal(monkeypatch: pytest.MonkeyPatch, width: int, check_mode: bool) -> None:
    monkeypatch.setattr(report_action, "WIDTH", width)
    run = Run()
    run.report(*NAMES, check_mode=check_mode)
    assert max(map(len, run.shown[0].splitlines())) <= width
    assert ("https://asia.example.org" in run.text) is (width == 200)
    assert ("would change" in run.text) is check_mode


def test_where_the_output_is_parsed_only_the_result_has_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_action, "read_by_people", lambda: False)
    run = Run()
    assert len(run.report(*NAMES)["rows"]) == 3
    assert run.shown == []


def test_a_failed_host_is_told_apart_without_the_reason_which_the_table_has_once() -> None:
    run = Run(asia={"__dtr_cache_failure": FAILED})
    result = run.report(*NAMES)
    assert result["troubles"] == {"asia": "asia failed at: Deploy the stack."}
    # Ansible takes statistics from results that are no failures.
    assert not result.get("failed")
    assert len(result["rows"]) == 3
    assert run.text.count(FAILED["reason"]) == 1


def test_a_step_that_failed_is_a_failure_where_no_rescue_kept_it() -> None:
    """In a playbook of somebody else's, whether it was rescued there or the host left the play."""
    run = Run()
    play = str(run.play._uuid)
    failed = {"failed": True, "play": play}
    run.hostvars["asia"]["__dtr_cache"] = {**failed, "msg": "The settings are wrong."}
    probe = {"failed": True, "title": "Probe the cache", "msg": "It is down.", "cache": "europe"}
    run.hostvars["europe"]["__dtr_cache_in_use"] = {**probe, "play": play}
    run.hostvars["oz"]["__dtr_cache_in_use"] = {**probe, "play": "an earlier one"}
    for of in ("deployment", "verification"):
        result = run.report(*NAMES, of=of)
        assert result["troubles"] == {
            "asia": "asia failed at: Check the settings.",
            "europe": "europe failed at: Probe the cache.",
        }
        assert [row["result"] for row in result["rows"]] == [
            "failed at: Check the settings",
            "failed at: Probe the cache",
            "ok",
        ]
    assert "The settings are wrong." in run.text and "It is down." in run.text


def test_a_host_that_left_the_play_has_not_succeeded() -> None:
    """Its last task may be one that leaves no fact."""
    for of in ("deployment", "verification"):
        run = Run()
        run.lost = {"asia"}
        result = run.report("europe", "oz", of=of)
        assert result["rows"][0]["result"] == "did not finish"
        assert result["troubles"] == {"asia": "asia did not finish."}


def test_a_host_that_was_lost_has_a_row() -> None:
    run = Run(asia={"__dtr_cache": {}})
    run.lost = {"asia"}
    result = run.report("europe", "oz")
    assert (result["rows"][0]["region"], result["rows"][0]["result"]) == ("asia", "did not finish")


def test_batches_show_their_hosts_and_export_all_up_to_now() -> None:
    run = Run()
    first = run.report("asia")
    assert [row["region"] for row in first["rows"]] == ["asia"]
    run.lost = {"oz"}
    second = run.report("europe")
    assert [row["region"] for row in second["ansible_stats"]["data"]["dtr_cache_regions"]] == list(NAMES)
    assert second["hosts"] == ["europe", "oz"]
    assert ["asia" in text for text in run.shown] == [True, False]


def test_reports_of_one_play_do_not_hide_each_other() -> None:
    run = Run()
    for of in ("deployment", "verification", "verification"):
        result = run.report(*NAMES, of=of)
        assert result["hosts"] == list(NAMES)
        assert [name in run.shown[-1] for name in NAMES] == [True] * 3


def test_a_status_is_returned_as_a_report() -> None:
    registry = {"url": DTR, "healthy": True, "cause": "it is read only.", "hint": None}
    observed = {"regions": [], "registries": [registry]}
    run = Run(asia={"__dtr_cache_observed": observed})
    result = run.report(*NAMES, of="status")
    report = result["report"]
    assert list(report) == ["time", "well", "regions", "registries"]
    assert not report["well"]
    assert result["ansible_stats"]["data"] == {"dtr_cache_status": report}
    assert result["troubles"] == {
        "asia": f"The state of asia is unknown. The DTR {DTR} is not well.",
        "europe": "The state of europe is unknown.",
        "oz": "The state of oz is unknown.",
    }


def test_a_status_goes_on_after_a_batch_of_which_nobody_is_well() -> None:
    run = Run()
    assert run.report("asia", of="status")["troubles"] == {}
    assert run.report("europe", of="status")["troubles"] == {}
    assert run.report("oz", of="status")["troubles"] == {
        "oz": "The state of oz is unknown. The state of asia is unknown. The state of europe is unknown."
    }


def test_a_deployment_does_not_go_on() -> None:
    run = Run(asia={"__dtr_cache_failure": FAILED})
    assert list(run.report("asia")["troubles"]) == ["asia"]


@pytest.mark.parametrize("args", [{}, {"of": "weather"}, {"of": "status", "more": 1}])
def test_an_unknown_report_is_refused(args: dict[str, t.Any]) -> None:
    with pytest.raises(AnsibleError):
        make_action("report", args).run(task_vars={})


def test_a_report_for_each_host_is_refused() -> None:
    result = make_action("report", {"of": "status"}).run(task_vars={})
    assert (result["failed"], result["msg"]) == (
        True,
        "One task reports all hosts of the play: set run_once: true for it.",
    )


def test_without_a_check_of_the_settings_there_is_no_report() -> None:
    """The first task was left out, or it is of an earlier play."""
    for facts in ({}, {"settings": {"name": "asia"}, "play": "an earlier one"}):
        run = Run(**{name: {"__dtr_cache": facts} for name in NAMES})
        result = run.report(*NAMES)
        assert result["failed"]
        assert "the first task of the play, which checks the settings, was left out" in result["msg"]
    run = Run(asia={"__dtr_cache": {}})
    assert not run.report(*NAMES).get("failed")


def test_nothing_that_a_terminal_obeys_is_shown() -> None:
    """A cache of DTR may be called anything."""
    odd = "x\x1b[2J\u202e"
    run = Run(asia={"__dtr_cache_failure": {**FAILED, "reason": f"{odd}\nsecond"}})
    run.report(*NAMES)
    assert "x [2J" in run.text and "second" in run.text
    assert all(line.isprintable() for text in run.shown for line in text.split("\n"))
