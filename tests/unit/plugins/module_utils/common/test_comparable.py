# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two configurations side by side: what differs is seen, what is secret is not, whoever wrote them."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.redaction import comparable

LIVE: dict[str, t.Any] = {
    "http": {"secret": "hush", "addr": ":443"},
    "storage": {"s3": {"accesskey": "AKIAHUSHHUSHHUSHHUSH", "secretkey": "hush", "bucket": "layers"}},
    "redis": {"password": 12345},
    "proxy": {"remoteurl": "https://user:hush@dtr.example.org"},
    "notifications": {"endpoints": [{"url": "https://hush@hooks.example.org", "headers": {"X-Who": ["hush"]}}]},
    "pem": "-----BEGIN PRIVATE KEY-----\nhush\n-----END PRIVATE KEY-----\n",
}


def test_nothing_secret_is_shown_and_the_rest_is() -> None:
    shown = comparable(LIVE)
    text = json.dumps(shown)
    assert "hush" not in text.lower().replace("hushhush", "hush") and "12345" not in text
    assert (shown["storage"]["s3"]["bucket"], shown["http"]) == ("layers", {"secret": "(secret)", "addr": ":443"})
    assert shown["notifications"]["endpoints"][0]["url"] == "https://***@hooks.example.org"


def test_the_same_configuration_twice_reads_the_same() -> None:
    assert comparable(LIVE, LIVE) == comparable(LIVE)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("http", "secret"), "other"),
        (("storage", "s3", "secretkey"), "other"),
        (("redis", "password"), 54321),
        (("proxy", "remoteurl"), "https://user:other@dtr.example.org"),
        (("notifications", "endpoints", 0, "url"), "https://other@hooks.example.org"),
        (("notifications", "endpoints", 0, "headers"), {"X-Who": ["other"]}),
    ],
    ids=str,
)
def test_another_secret_is_seen_to_be_another_one(path: tuple[t.Any, ...], value: t.Any) -> None:
    wanted = json.loads(json.dumps(LIVE))
    place: t.Any = wanted
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    shown = comparable(wanted, LIVE)
    assert "(another secret)" in json.dumps(shown)
    assert "other@" not in json.dumps(shown) and '"other"' not in json.dumps(shown)
    assert shown != comparable(LIVE)


@pytest.mark.parametrize("live", [None, [], "text", {"http": "text"}, {"http": {"secret": None}}])
def test_what_had_none_before_has_simply_a_secret(live: t.Any) -> None:
    assert comparable({"http": {"secret": "hush"}}, live) == {"http": {"secret": "(secret)"}}
