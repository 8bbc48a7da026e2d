# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
import requests
from dtr_standin.faults import Fault
from standin_harness import Client

CACHES = "/api/v0/content_caches"
FORM = {"name": "asia", "host": "https://cache.lab.test"}


def hits(times: int, **rule: t.Any) -> list[int]:
    """Which of so many requests, counted from 1, a rule hits."""
    fault = Fault("drop", **rule)
    return [number for number in range(1, times + 1) if fault.hits("GET", "/api/v0/content_caches")]


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


@pytest.mark.parametrize("status", [401, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("acts", [False, True])
def test_an_error_before_and_after_acting(admin: Client, status: int, acts: bool) -> None:
    admin.standin.control.fault("status", status=status, retry_after="7", acts=acts)
    answer = admin("POST", CACHES, FORM)
    assert (answer.status_code, answer.headers["Retry-After"]) == (status, "7")
    assert answer.json()["errors"][0]["code"] == "INJECTED"
    assert registered(admin) == int(acts)


def test_a_redirect(admin: Client) -> None:
    admin.standin.control.fault("redirect", url="https://elsewhere.lab.test/login")
    answer = admin.get(CACHES)
    assert (answer.status_code, answer.headers["Location"]) == (302, "https://elsewhere.lab.test/login")


def test_json_that_ends_in_the_middle(admin: Client) -> None:
    admin.create_cache()
    whole = admin.get(CACHES).text
    admin.standin.control.fault("cut_json")
    answer = admin.get(CACHES)
    assert answer.status_code == 200
    assert answer.text == whole[: len(whole) // 2]
    assert answer.headers["Content-Length"] == str(len(answer.content))


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
