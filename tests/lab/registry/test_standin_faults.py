# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
import time
import typing as t

import pytest
import requests
from dtr_standin.control_client import ControlError
from dtr_standin.faults import Fault, Faults
from standin_harness import Client

CACHES = "/api/v0/content_caches"
FORM = {"name": "asia", "host": "https://cache.lab.test"}


def hits(times: int, **rule: t.Any) -> list[int]:
    """Which of so many requests, counted from 1, a rule hits."""
    fault = Fault("drop", **rule)
    return [number for number in range(1, times + 1) if fault.hits("GET", "/api/v0/content_caches")]


def test_how_often_a_rule_hits() -> None:
    assert hits(4) == [1, 2, 3, 4]
    assert hits(4, count=2) == [1, 2]
    assert hits(9, every=3) == [3, 6, 9]
    assert hits(5, after=2) == [3, 4, 5]
    assert hits(20, after=2, every=5, count=2) == [7, 12]


def test_which_requests_a_rule_is_for() -> None:
    assert hits(1, method="GET", path="content_caches$") == [1]
    assert hits(1, method="POST") == []
    assert hits(1, path="/settings") == []


def test_the_first_rule_that_hits_decides() -> None:
    faults = Faults()
    once = faults.add({"action": "drop", "count": 1})
    always = faults.add({"action": "empty"})
    assert [faults.hitting("GET", "/") for _ in range(3)] == [once, always, always]
    assert faults.remove(always.id)
    assert faults.hitting("GET", "/") is None


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({}, "action is one of"),
        ({"action": "explode"}, "action is one of"),
        ({"action": "drop", "fired": 3}, "no fired"),
        ({"action": "drop", "count": "2"}, "count cannot be '2'"),
        ({"action": "drop", "count": True}, "count cannot be True"),
        ({"action": "drop", "every": 0}, "every is 1 or more"),
        ({"action": "drop", "path": "("}, "no regular expression"),
        ({"action": "status"}, "from 400 to 599"),
    ],
)
def test_a_rule_that_says_nothing_sensible(admin: Client, rule: dict[str, t.Any], reason: str) -> None:
    with pytest.raises(ControlError, match=reason):
        admin.standin.control.request("POST", "/faults", rule)
    assert admin.standin.control.faults() == []


def registered(client: Client) -> int:
    return len(client.standin.control.state()["content_caches"])


@pytest.mark.parametrize(("acts", "wanted"), [(False, 0), (True, 1)])
def test_a_dropped_connection_before_and_after_acting(admin: Client, acts: bool, wanted: int) -> None:
    admin.standin.control.fault("drop", method="POST", acts=acts, count=1)
    with pytest.raises(requests.ConnectionError):
        admin("POST", CACHES, FORM)
    assert registered(admin) == wanted
    assert admin("POST", CACHES, FORM).status_code == 201
    assert admin.standin.control.count("POST", "content_caches", 0) == 1


def test_a_connection_that_is_closed_before_the_server_acts(admin: Client) -> None:
    admin.standin.control.fault("late_act", method="POST", seconds=0.2, count=1)
    with pytest.raises(requests.ConnectionError):
        admin("POST", CACHES, FORM)
    assert registered(admin) == 0
    end = time.monotonic() + 5
    while registered(admin) == 0 and time.monotonic() < end:
        time.sleep(0.02)
    assert registered(admin) == 1


@pytest.mark.parametrize("status", [401, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("acts", [False, True])
def test_an_error_before_and_after_acting(admin: Client, status: int, acts: bool) -> None:
    admin.standin.control.fault("status", status=status, retry_after="7", acts=acts)
    answer = admin("POST", CACHES, FORM)
    assert (answer.status_code, answer.headers["Retry-After"]) == (status, "7")
    assert answer.json()["errors"][0]["code"] == "INJECTED"
    assert registered(admin) == int(acts)


@pytest.mark.parametrize("status", [200, 502])
def test_a_page_of_a_proxy(admin: Client, status: int) -> None:
    admin.standin.control.fault("html", status=status)
    answer = admin.get(CACHES)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<html>" in answer.text


def test_a_redirect(admin: Client) -> None:
    admin.standin.control.fault("redirect", url="https://elsewhere.lab.test/login")
    answer = admin.get(CACHES)
    assert (answer.status_code, answer.headers["Location"]) == (302, "https://elsewhere.lab.test/login")


@pytest.mark.parametrize("status", [200, 201])
def test_an_empty_body(admin: Client, status: int) -> None:
    admin.standin.control.fault("empty", status=status, acts=True)
    answer = admin("POST", CACHES, FORM)
    assert (answer.status_code, answer.content) == (status, b"")
    assert registered(admin) == 1


@pytest.mark.parametrize("path", [CACHES, "/api/v0/accounts/bob/settings"])
def test_a_body_that_ends_before_its_length(admin: Client, path: str) -> None:
    admin.create_cache()
    admin.standin.control.fault("cut_body", path=path)
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
        admin.get(path)


def test_an_answer_without_a_body_is_cut_as_a_whole(admin: Client) -> None:
    cache = admin.create_cache()
    admin.standin.control.fault("cut_body", method="DELETE")
    with pytest.raises(requests.ConnectionError):
        admin("DELETE", f"{CACHES}/{cache}")
    assert registered(admin) == 0


def test_json_that_ends_in_the_middle(admin: Client) -> None:
    admin.create_cache()
    whole = admin.get(CACHES).text
    admin.standin.control.fault("cut_json")
    answer = admin.get(CACHES)
    assert answer.status_code == 200
    assert answer.text == whole[: len(whole) // 2]
    assert answer.headers["Content-Length"] == str(len(answer.content))


def test_a_cut_answer_was_acted_on(admin: Client) -> None:
    admin.standin.control.fault("cut_json", method="POST")
    assert admin("POST", CACHES, FORM).status_code == 201
    assert registered(admin) == 1


@pytest.mark.parametrize(("acts", "wanted"), [(False, 0), (True, 1)])
def test_a_delay_before_and_after_acting(admin: Client, acts: bool, wanted: int) -> None:
    admin.standin.control.fault("delay", method="POST", seconds=0.5, acts=acts)
    started = time.monotonic()
    with pytest.raises(requests.ReadTimeout):
        admin.session.post(admin.standin.url + CACHES, json=FORM, timeout=0.2)
    assert registered(admin) == wanted
    while registered(admin) == 0 and time.monotonic() < started + 5:
        time.sleep(0.02)
    assert registered(admin) == 1
    assert admin("POST", CACHES, FORM).status_code == 201
    assert time.monotonic() - started > 0.7


def test_every_second_account_fails_and_is_counted(admin: Client) -> None:
    control = admin.standin.control
    control.fault("status", status=503, method="GET", path=r"/accounts/[^/]+/settings$", every=2)
    statuses = [admin.get(f"/api/v0/accounts/user{n:05d}/settings").status_code for n in range(1, 7)]
    assert statuses == [200, 503, 200, 503, 200, 503]
    assert control.count("GET", "settings", 503) == 3
    (rule,) = control.faults()
    assert (rule["matched"], rule["fired"]) == (6, 3)
    control.remove_faults()
    assert admin.get("/api/v0/accounts/user00002/settings").status_code == 200


def test_faults_reach_health_and_accounts_too(admin: Client) -> None:
    admin.standin.control.fault("status", status=500, path=re.escape("/_ping"))
    admin.standin.control.fault("cut_json", path="^/enzi/")
    assert admin.get("/_ping").status_code == 500
    assert not admin.get("/enzi/v0/accounts").text.endswith("}")


def test_answers_that_are_too_much_of_something(admin: Client) -> None:
    control = admin.standin.control
    huge = control.fault("huge", status=500, megabytes=2)
    answer = admin.get(CACHES)
    assert (answer.status_code, 2 * 10**6 < len(answer.content) < 3 * 10**6) == (500, True)
    assert answer.json()[0] == {}
    control.remove_faults()
    assert control.fault("deep", levels=3) != huge
    assert admin.get(CACHES).json() == [[[]]]
    control.remove_faults()
    control.fault("endless", path="^/enzi/")
    pages = [admin.get("/enzi/v0/accounts").json() for _page in range(2)]
    assert len({account["name"] for page in pages for account in page["accounts"]}) == 2000
    assert pages[0]["nextPageStart"] != pages[1]["nextPageStart"]
