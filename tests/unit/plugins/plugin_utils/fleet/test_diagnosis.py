# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.logs import causes as log_causes
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet import diagnosis
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.reports import REPORTS, details_of
from ansible_collections.dtr.cache.tests.unit.support import facts
from hypothesis import given
from hypothesis import strategies as st

BY_CODE = {cause.code: cause for cause in log_causes.CATALOGUE}
EDGES = ("client->cache", "client->DTR", "cache->DTR")

REPLICAS = ("swarm", "replicas")
DRIFT = ("swarm", "drift")
NO_TCP = ("client->cache", "tcp")
UPSTREAM = ("cache->DTR", "upstream")
DTR_DOWN = ("client->DTR", "tcp")
EXPIRED = ("client->DTR", "validity")
REGISTRATION = ("client->DTR", "registration")


def row(*topics: tuple[str, str], state: str | None = None) -> dict[str, t.Any]:
    # As after a fact of Ansible: lists, no tuples.
    problems = [{"cause": f"{' '.join(topic)} is wrong.", "hint": "Fix it.", "topic": list(topic)} for topic in topics]
    return {
        "region": "asia",
        "cache": "region-asia",
        "url": "https://cache.example.org",
        "state": state or ("unhealthy" if topics else "healthy"),
        "problems": problems,
    }


def finding(code: str, **changes: t.Any) -> dict[str, t.Any]:
    cause = BY_CODE[code]
    return {
        "cause": code,
        "edge": cause.place,
        "summary": cause.summary,
        "hint": cause.hint,
        "current": True,
        "count": 3,
        "first_seen": "2026-01-31T11:00:00Z",
        "last_seen": "2026-01-31T12:00:00Z",
        "nodes": ["worker-1"],
        "sample": "the sample",
        **changes,
    }


def test_what_clients_met_comes_with_what_to_do_there() -> None:
    found = diagnosis.verdict(row(), [finding("client_distrusts_cache")])
    assert found["causes"] == []
    (note,) = found["notes"]
    assert note.startswith("Some clients have trouble: clients do not accept its certificate. The log, 3 times, the ")
    assert "the sample Give these clients the CA" in note
    for runtime, place in {
        "docker": "/etc/docker/certs.d/DTR/*.crt",
        "containerd": "/etc/containerd/certs.d/DTR/hosts.toml",
        "podman and CRI-O": "/etc/containers/certs.d/DTR/*.crt",
    }.items():
        assert f"{runtime} {place}" in note


def causes(*args: t.Any) -> list[str]:
    return [cause["cause"] for cause in diagnosis.verdict(*args)["causes"]]


CASES: list[tuple[str, list[tuple[str, str]], list[str], list[str]]] = [
    ("nothing", [], [], []),
    ("only a check", [REGISTRATION], [], ["client->DTR registration"]),
    ("CA not trusted", [UPSTREAM], ["upstream_ca_unknown"], ["upstream_ca_unknown"]),
    ("disk full", [UPSTREAM], ["disk_full"], ["disk_full"]),
    ("disk full although all checks go well", [], ["disk_full"], ["disk_full"]),
    ("DTR down", [DTR_DOWN, UPSTREAM], ["upstream_refused"], ["client->DTR tcp"]),
    ("DTR down, no log", [DTR_DOWN, UPSTREAM], [], ["client->DTR tcp"]),
    (
        "DTR down, and the disk full",
        [DTR_DOWN, UPSTREAM],
        ["disk_full", "upstream_refused"],
        ["client->DTR tcp", "disk_full"],
    ),
    ("DTR up here, refused there", [UPSTREAM], ["upstream_refused"], ["upstream_refused"]),
    ("DTR's certificate expired", [EXPIRED, UPSTREAM], ["upstream_expired"], ["client->DTR validity"]),
    ("DTR's certificate expires soon", [EXPIRED, UPSTREAM], ["upstream_dns"], ["client->DTR validity", "upstream_dns"]),
    ("key mismatch", [REPLICAS, NO_TCP], ["key_mismatch", "container_ended"], ["key_mismatch"]),
    ("one replica of two does not start", [REPLICAS], ["port_in_use", "task_failed"], ["port_in_use"]),
    ("nobody knows why", [REPLICAS, NO_TCP], ["container_ended"], ["container_ended"]),
    ("no service", [REPLICAS, NO_TCP, DRIFT], ["no_service"], ["no_service"]),
    ("no service, and DTR sends there", [NO_TCP, ("client->cache", "deployment")], ["no_service"], ["no_service"]),
    ("a pull finds the disk full", [("cache->DTR", "pull")], ["disk_full"], ["disk_full"]),
    ("DTR, a client of the cache", [("DTR->cache", "redirect")], ["client_distrusts_cache"], ["DTR->cache redirect"]),
    ("two causes", [REPLICAS, NO_TCP, DRIFT], ["image_missing"], ["image_missing", "swarm drift"]),
    ("clients, confirmed", [("client->cache", "chain")], ["client_distrusts_cache"], ["client->cache chain"]),
    ("clients, not confirmed", [], ["client_distrusts_cache"], []),
    ("what checks refute", [], ["upstream_ca_unknown", "key_mismatch"], []),
    ("what checks cannot see", [], ["upstream_token_rejected"], ["upstream_token_rejected"]),
    ("other trouble does not become a cause", [REGISTRATION], ["upstream_ca_unknown"], ["client->DTR registration"]),
]


@pytest.mark.parametrize(("topics", "codes", "wanted"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_one_cause_is_told_once(topics: list[tuple[str, str]], codes: list[str], wanted: list[str]) -> None:
    found = diagnosis.verdict(row(*topics), [finding(code) for code in codes])
    assert [cause["cause"] for cause in found["causes"]] == wanted
    assert found["state"] == ("unhealthy" if wanted else "healthy")


def test_the_cause_has_what_tells_so_and_what_follows() -> None:
    (cause,) = diagnosis.verdict(row(REPLICAS, NO_TCP), [finding("key_mismatch")])["causes"]
    assert cause["told"] == "start: its private key is not the one of the first certificate in its file."
    assert cause["fix"] == BY_CODE["key_mismatch"].hint
    assert cause["evidence"] == [
        "The log, 3 times, the last at 2026-01-31T12:00:00Z on worker-1: the sample",
        "swarm replicas is wrong.",
        "client->cache tcp is wrong.",
    ]
    assert (cause["count"], cause["nodes"]) == (3, ["worker-1"])


def test_that_dtr_is_down_has_the_logs_words_as_evidence() -> None:
    (cause,) = diagnosis.verdict(row(DTR_DOWN, UPSTREAM), [finding("upstream_refused", count=1)])["causes"]
    assert (cause["told"], cause["fix"]) == ("client->DTR tcp is wrong.", "Fix it.")
    assert cause["evidence"] == [
        "The log, once, at 2026-01-31T12:00:00Z on worker-1: the sample",
        "cache->DTR upstream is wrong.",
    ]


def test_what_is_over_is_a_note() -> None:
    found = diagnosis.verdict(row(), [finding("configuration_syntax", current=False)])
    assert (found["state"], found["causes"]) == ("healthy", [])
    assert found["notes"] == [
        "Over, since another replica runs there: its config.yml is not what the registry can read "
        "(3 times, the last at 2026-01-31T12:00:00Z on worker-1)."
    ]


def test_two_rejected_requests_are_a_note() -> None:
    found = diagnosis.verdict(row(), [finding("upstream_token_rejected", count=2)])
    assert (found["state"], found["causes"], len(found["notes"])) == ("healthy", [], 1)


@pytest.mark.parametrize(
    ("logs", "note"),
    [
        ({}, "The logs were not read."),
        ({"skipped": True}, "The logs were not read."),
        ({"unreachable": True, "msg": "no\n way"}, "The logs cannot be read: no way"),
        ({"msg": "x", "failure": {"message": "The Engine is away."}}, "The logs cannot be read: The Engine is away."),
        ({"findings": [], "unread": ["node a is down"]}, "Not read: node a is down."),
    ],
)
def test_what_of_the_logs_could_not_be_read_is_told(logs: dict[str, t.Any], note: str) -> None:
    found = diagnosis.verdict_of(facts.host("asia", observed={"regions": [row()]}, logs=logs))
    assert found["notes"] == [note]


def test_a_host_at_which_everything_failed_has_a_verdict() -> None:
    host = facts.host("asia", failure={"task": "Observe", "reason": "boom"})
    found = diagnosis.verdict_of(host)
    assert REPORTS["diagnosis"].troubles(host, [host]) == ["The state of asia is unknown."]
    assert found["state"] == "unknown"
    assert "boom" in found["verdict"]
    assert details_of([found])
    assert REPORTS["diagnosis"].shown(found, [], False)["state"] == "unknown"


@given(
    st.lists(
        st.sampled_from(
            [(edge, check) for edge in EDGES for check in ("tcp", "tls", "chain", "api", "upstream", "validity")]
            + [REPLICAS, DRIFT, ("", "")]
        ),
        unique=True,
        max_size=6,
    ),
    st.lists(st.tuples(st.sampled_from(sorted(BY_CODE)), st.booleans()), unique_by=lambda pair: pair[0], max_size=6),
)
def test_nothing_is_lost_or_told_twice(topics: list[tuple[str, str]], found: list[tuple[str, bool]]) -> None:
    findings = [finding(code, current=current, sample=f"sample of {code}") for code, current in found]
    verdict = diagnosis.verdict(row(*topics), findings)
    told = [cause["cause"] for cause in verdict["causes"]]
    assert len(told) == len(set(told))
    assert bool(told) == (verdict["state"] == "unhealthy")
    shown = " ".join([text for cause in verdict["causes"] for text in [cause["told"], *cause["evidence"]]])
    for problem in row(*topics)["problems"]:
        assert shown.count(problem["cause"]) == 1
    for each in findings:
        if each["cause"] not in log_causes.VAGUE:
            places = f"{shown} {' '.join(verdict['notes'])}"
            assert each["sample"] in places or each["summary"] in places
    assert details_of([verdict])
    assert REPORTS["diagnosis"].shown(verdict, [], False)


def test_the_report_is_for_a_person() -> None:
    found = [
        diagnosis.verdict(row(UPSTREAM), [finding("upstream_ca_unknown")]),
        diagnosis.verdict(row(), []),
        diagnosis.verdict(row(REGISTRATION), []),
    ]
    lines = details_of(found)
    assert lines[:3] == [
        "asia (region-asia) is unhealthy.",
        "  1. cache->DTR: it does not trust the CA of DTR's certificate.",
        f"     Do: {BY_CODE['upstream_ca_unknown'].hint}",
    ]
    assert lines.count("asia (region-asia) is unhealthy.") == 2
    assert "  1. client->DTR registration is wrong." in lines
    assert details_of([diagnosis.verdict(row(), [])]) == ["Nothing is wrong, and the logs show no trouble."]
    assert (
        REPORTS["diagnosis"].shown(found[0], [], False)["most likely cause"]
        == "cache->DTR: it does not trust the CA of DTR's certificate."
    )


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_report_fits_the_terminal(width: int) -> None:
    observed = {"regions": [row(UPSTREAM)]}
    hosts = [facts.host("asia", observed=observed, logs={"findings": [finding("upstream_ca_unknown")]})]
    lines = REPORTS["diagnosis"].lines(hosts, width)
    assert max(map(len, lines)) <= width
    assert lines[0] == "asia (region-asia) is unhealthy."
    assert "" in lines
    assert REPORTS["diagnosis"].troubles(hosts[0], hosts) == ["asia is unhealthy."]


def failed_check(*topics: tuple[str, str]) -> dict[str, t.Any]:
    checks = [{"edge": edge, "check": name, "ok": False, "detail": "wrong.", "hint": None} for edge, name in topics]
    return {"msg": "It fails.", "caches": [{"name": "region-asia", "checks": checks}]}


@pytest.mark.parametrize(
    ("result", "codes", "told"),
    [
        (failed_check(UPSTREAM), ["upstream_ca_unknown"], "upstream_ca_unknown"),
        (failed_check(REGISTRATION, UPSTREAM), ["key_mismatch", "upstream_dns"], "upstream_dns"),
        (failed_check(("cache->DTR", "pull")), ["disk_full", "upstream_timeout"], "disk_full"),
        (failed_check(NO_TCP), ["configuration_missing"], "configuration_missing"),
        (failed_check(REGISTRATION), ["upstream_ca_unknown"], None),
        (failed_check(UPSTREAM), [], None),
        ({"msg": "It fails.", "failure": {"http_status": 503}}, ["disk_full"], "disk_full"),
        ({"msg": "It fails.", "failure": {"http_status": None}}, ["disk_full"], None),
        ({"msg": "It fails."}, ["disk_full"], None),
    ],
)
def test_a_failed_check_is_explained_by_what_the_log_has(
    result: dict[str, t.Any], codes: list[str], told: str | None
) -> None:
    explanation = diagnosis.explanation(result, [finding(code) for code in codes])
    cause = BY_CODE[told] if told else None
    seen = "3 times, the last at 2026-01-31T12:00:00Z on worker-1"
    assert explanation == (f"The cache's log, {seen}: {cause.summary}. {cause.hint}" if cause else None)
    assert diagnosis.explanation(result, [finding(code, current=False) for code in codes]) is None


def test_what_is_wrong_with_the_dtr_alone_is_a_note() -> None:
    registry = {
        "url": "https://dtr",
        "cause": "client->DTR, read_only: Read only.",
        "hint": "Switch it off.",
    }
    observed = {"regions": [{**row(), "registry_url": "https://dtr"}], "registries": [registry]}
    found = diagnosis.verdict_of(facts.host("asia", observed=observed, logs={"findings": []}))
    assert (found["state"], found["causes"]) == ("healthy", [])
    assert found["notes"] == ["The DTR https://dtr: client->DTR, read_only: Read only. Switch it off."]


def test_what_is_not_known_is_a_note() -> None:
    checks = [
        {"edge": "cache->DTR", "check": "upstream", "ok": None, "detail": "It refuses.", "hint": "Set an image."},
        {"edge": "client->cache", "check": "tcp", "ok": True, "detail": "connected", "hint": None},
    ]
    found = diagnosis.verdict({**row(), "checks": checks}, [])
    assert (found["state"], found["causes"]) == ("healthy", [])
    assert found["notes"] == ["Not known: cache->DTR, upstream: It refuses. Set an image."]


def test_the_log_has_the_evidence_that_dtr_distrusts_the_cache() -> None:
    (cause,) = diagnosis.verdict(row(("DTR->cache", "redirect")), [finding("client_distrusts_cache")])["causes"]
    assert (cause["edge"], cause["fix"]) == ("DTR->cache", "Fix it.")
    assert cause["evidence"] == ["The log, 3 times, the last at 2026-01-31T12:00:00Z on worker-1: the sample"]
