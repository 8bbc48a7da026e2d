# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the page of a status report says; how it looks in a browser is looked at in tests/page."""

from __future__ import annotations

import base64
import hashlib
import html
import html.parser
import re
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.filter.status_page import status_page
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.page import days_text, days_tone, seconds_text
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.status import STATES

NOON = "2026-11-24T12:00:00Z"
HOSTILE = ["<script>run()</script>", "\"'><img src=x onerror=run()>", "</style><style>*{}", "{{ 7 * 7 }}"]


def row(region: str = "asia", state: str = "healthy", **given: t.Any) -> dict[str, t.Any]:
    return {"region": region, "cache": region, "state": state, **given}


class Reader(html.parser.HTMLParser):
    """Elements, their attributes and the text that is to be read."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.ids: list[str] = []
        self._texts: list[str] = []
        self.feed(text)
        self.text = " ".join(" ".join(self._texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_data(self, data: str) -> None:
        if self.lasttag not in ("style", "title"):
            self._texts.append(data)


def verdict(page: str) -> str:
    found = re.search(r"<h1>.*?</svg>(.*?)</h1>", page, re.DOTALL)
    assert found
    return html.unescape(found[1])


@pytest.mark.parametrize(
    ("states", "told"),
    [
        ([], "There is no cache in this report"),
        (["healthy"], "The cache is healthy"),
        (["unhealthy"], "The cache is unhealthy"),
        (["unknown"], "Nothing could be found out about the cache"),
        (["healthy"] * 3, "All 3 caches are healthy"),
        (["healthy", "unhealthy", "healthy"], "1 of 3 caches is unhealthy"),
        (["healthy", "unhealthy", "unhealthy"], "2 of 3 caches are unhealthy"),
        (["unknown", "healthy"], "Nothing is known of 1 of 2 caches"),
        (["unknown", "unhealthy", "unhealthy"], "2 of 3 caches are unhealthy, nothing is known of 1"),
        (["what?", "healthy"], "Nothing is known of 1 of 2 caches"),
    ],
)
def test_the_heading_is_the_verdict(states: list[str], told: str) -> None:
    rows = [row(f"r{number}", state) for number, state in enumerate(states)]
    page = status_page(rows, NOON)
    assert verdict(page) == told
    assert f"<title>{told} " in page
    assert 'datetime="2026-11-24T12:00:00Z">Tuesday, 24 November 2026, 12:00 UTC<' in page


def test_a_registry_that_is_not_well_is_told_first() -> None:
    broken = {"url": "https://dtr", "healthy": False, "cause": "it is full.", "hint": "Make room."}
    page = status_page([row()], NOON, [broken])
    assert verdict(page) == "The cache is healthy, but the DTR is not well"
    text = Reader(page).text
    assert text.index("it is full.") < text.index("Make room.") < text.index("Caches 1")
    fine = {**broken, "cause": None}
    assert verdict(status_page([row()], NOON, [fine])) == "The cache is healthy"
    assert verdict(status_page([row(state="unhealthy")], NOON, [broken, fine])).endswith(
        "unhealthy, and 1 of 2 DTRs is not well"
    )


@pytest.mark.parametrize("more", [0, 20])
def test_the_ill_come_first_and_the_healthy_last(more: int) -> None:
    rows = [row("a"), row("b", "unknown"), row("c", "unhealthy"), *(row(f"d{number}") for number in range(more))]
    page = status_page(rows, NOON)
    names = re.findall(r"<h3[^>]*><bdi>(\w+)</bdi></h3>", page)
    assert names[:3] == ["c", "b", "a"]
    assert len(names) == len(rows)


def test_a_cause_that_several_caches_share_is_told_once_for_all() -> None:
    rows = [row(f"r{number}", "unhealthy", cause="DTR is down." if number else "Other.") for number in range(4)]
    text = Reader(status_page(rows, NOON)).text
    assert "3 caches DTR is down." in text
    assert "1 caches" not in text


def test_all_that_is_wrong_is_on_the_card() -> None:
    problems = [{"cause": "First.", "hint": "Do this."}, {"cause": "Second.", "hint": None}]
    checks = [
        {"edge": "client->cache", "check": "host_name", "ok": False, "detail": "names another.", "hint": "Rename."},
        {"edge": "client->DTR", "check": "tcp", "ok": True, "detail": "open", "hint": None},
    ]
    given = row(
        state="unhealthy",
        cause="First.",
        hint="Do this.",
        problems=problems,
        checks=checks,
        replicas={"wanted": 2, "running": 1},
        registered=False,
        dangling=1,
        drift=[{"kind": "node_label", "action": "set", "name": "n1", "detail": "gone"}],
        seconds={"client->DTR": 0.02},
    )
    text = Reader(status_page([given], NOON)).text
    for part in (
        "First. Do this. Second.",
        "client to cache: fails, host name; cache to DTR: not seen; client to DTR: works, first answer after 20 ms; "
        "DTR to cache: not seen.",
        "Replicas 1 of 2",
        "Registered no",
        "Accounts whose cache no longer exists 1",
        "Drift 1 step",
        "set node label n1 : gone",
        "wrong: host name names another. Rename.",
        "right: tcp open",
        "2 checks, 1 failed, drift",
    ):
        assert part in text, part


def test_what_is_not_known_is_neither_right_nor_wrong() -> None:
    upstream = {"edge": "cache->DTR", "check": "upstream", "ok": None, "detail": "it refuses.", "hint": "Set an image."}
    redirect = {"edge": "DTR->cache", "check": "redirect", "ok": False, "detail": "it serves itself.", "hint": "Trust."}
    text = Reader(status_page([row(state="unhealthy", cause="First.", checks=[upstream, redirect])], NOON)).text
    for part in (
        "cache to DTR: not known; client to DTR: not seen; DTR to cache: fails, redirect.",
        "not known: upstream it refuses. Set an image.",
        "wrong: redirect it serves itself. Trust.",
        "2 checks, 1 failed",
    ):
        assert part in text, part


def test_a_certificate_that_nobody_has_seen_is_the_declared_one() -> None:
    declared = {"subject": "CN=x", "not_after": "2027-01-31T00:00:00+00:00", "seen": False}
    text = Reader(status_page([row(state="unhealthy", cause="First.", certificate=declared)], NOON)).text
    assert "Certificate not seen ; the declared one ends on 2027-01-31" in text
    # In the chart it has no bar: clients refuse what they do not see, and not by its date.
    assert text.count("2027-01-31") == 1
    assert "declared" not in Reader(status_page([row(certificate={**declared, "seen": True})], NOON)).text


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_stays_text(name: str) -> None:
    def named(value: t.Any, text: str) -> t.Any:
        if isinstance(value, dict):
            return {key: inner if key in ("state", "edge") else named(inner, text) for key, inner in value.items()}
        if isinstance(value, list):
            return [named(inner, text) for inner in value]
        return text if isinstance(value, str) else value

    harmless = row(
        state="unhealthy",
        cause="c",
        hint="h",
        url="u",
        registry_url="r",
        version="v",
        image="i",
        nodes=["n"],
        dangling=1,
        problems=[{"cause": "c", "hint": "h"}] * 2,
        drift=[{"kind": "k", "action": "a", "name": "n", "detail": "d"}],
        checks=[{"edge": "client->cache", "check": "c", "ok": False, "detail": "d", "hint": "h"}],
    )
    registry = {"url": "u", "cause": "c", "hint": "h", "dangling": 0}
    many = [{**harmless, "region": str(number), "state": state} for number in range(5) for state in STATES]
    for rows in ([harmless], many):
        harmless_page = Reader(status_page(named(rows, "name"), NOON, named([registry], "name")))
        page = Reader(status_page(named(rows, name), NOON, named([registry], name)))
        assert page.tags == harmless_page.tags
        # Nothing of it stands where a browser would follow, load or obey it.
        dangerous = [(key, value) for key, value in page.attributes if name in (value or "") or key.startswith("on")]
        assert {key for key, _value in dangerous} <= {"title", "aria-label"}
        assert name in page.text


def test_the_page_allows_its_own_style_alone() -> None:
    page = status_page([row()], NOON)
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    assert policy in html.unescape(page)
    found = Reader(page)
    assert "script" not in found.tags
    assert not [key for key, _value in found.attributes if key in ("style", "src", "action")]
    targets = {value for key, value in found.attributes if key == "href" and not (value or "").startswith("#icon-")}
    assert all(target and target.startswith(("#", "data:image/svg+xml,")) for target in targets)


def test_each_link_inside_the_page_has_a_target() -> None:
    for count in (1, 3, 30):
        rows = [row(f"r{number}", STATES[number % 3], accounts=number) for number in range(count)]
        found = Reader(status_page(rows, NOON))
        links = {value[1:] for key, value in found.attributes if key == "href" and value and value.startswith("#")}
        assert links <= set(found.ids)
        assert len(set(found.ids)) == len(found.ids)


@pytest.mark.parametrize(
    ("days", "text", "tone"),
    [
        (None, "not seen", "none"),
        (396, "396 days", ""),
        (30, "30 days", ""),
        (29, "29 days", "soon"),
        (13, "13 days", "bad"),
        (1, "1 day", "bad"),
        (0, "0 days", "bad"),
        (-1, "expired", "bad"),
        (-2, "expired 1 day ago", "bad"),
        (-8, "expired 7 days ago", "bad"),
    ],
)
def test_days_in_words(days: int | None, text: str, tone: str) -> None:
    assert (days_text(days), days_tone(days)) == (text, tone)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.00042, "0.4 ms"),
        (0.00996, "10 ms"),
        (0.1239, "124 ms"),
        (0.9996, "1.00 s"),
        (1.234, "1.23 s"),
        (12.3, "12 s"),
    ],
)
def test_latencies_in_words(seconds: float | None, text: str) -> None:
    assert seconds_text(seconds) == text


def test_one_far_value_does_not_squeeze_the_others() -> None:
    rows = [row(f"r{number:02}", days_left=100 + number) for number in range(30)] + [row("far", days_left=3650)]
    page = status_page(rows, NOON)
    assert "180 days</text>" in page
    assert page.count('class="beyond"') == 1
