# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials are found by the names of their keys, at any depth, and left out of what is shown."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.redaction import blanked
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.credentials import carries_credentials

CARRYING: list[dict[str, t.Any]] = [
    {"storage": {"s3": {"secretkey": "hush"}}},
    {"storage": {"gcs": {"credentials": {"private_key": "hush"}}}},
    {"redis": {"password": "hush"}},
    {"redis": {"sentinelpassword": "hush"}},
    {"notifications": {"endpoints": [{"headers": {"Authorization": ["Bearer hush"]}}]}},
    {"notifications": {"endpoints": [{"headers": {"X-Who": ["hush"]}}]}},
    {"notifications": {"endpoints": [{"url": "https://user:hush@hooks.example.org/"}]}},
    {"notifications": {"endpoints": [{"url": "https://hooks.example.org/?token=hush"}]}},
    {"log": {"hooks": [{"options": {"dsn": "host=db password=hush"}}]}},
    {"notifications": {"endpoints": [{"credentials": {"user": "hush"}}]}},
    {"reporting": {"bugsnag": {"apikey": "hush"}}},
    {"reporting": {"newrelic": {"licensekey": "hush"}}},
    {"middleware": {"storage": [{"name": "cloudfront", "options": {"privatekey": "hush"}}]}},
    {"health": {"http": [{"headers": {"Authorization": ["hush"]}}]}},
    {"log": {"hooks": [{"options": {"smtp": {"password": "hush"}}}]}},
]


@pytest.mark.parametrize("config", CARRYING, ids=json.dumps)
def test_credentials_are_found_at_any_depth_and_not_shown(config: dict[str, t.Any]) -> None:
    assert carries_credentials(config)
    assert "hush" not in json.dumps(blanked(config))


@pytest.mark.parametrize(
    "config",
    [
        {"storage": {"filesystem": {"maxthreads": 100}, "delete": {"enabled": True}}},
        {"storage": {"s3": {"secretkey": "", "encrypt": True, "keyid": "k"}}},
        {"auth": {"token": {"realm": "https://auth.example.org/token", "autoredirect": True}}},
        {"http": {"headers": {"X-Content-Type-Options": ["nosniff"]}, "tls": {"key": "/run/secrets/k"}}},
        {"notifications": {"endpoints": [{"name": "hooks", "url": "https://hooks.example.org:8443/a@b"}]}},
    ],
    ids=json.dumps,
)
def test_what_is_public_stays_as_it_is(config: dict[str, t.Any]) -> None:
    assert not carries_credentials(config)
    assert blanked(config) == config


def test_the_http_secret_is_not_shown_but_makes_no_secret_of_the_config() -> None:
    config = {"http": {"secret": "hush", "addr": ":443"}}
    assert not carries_credentials(config)
    assert blanked(config) == {"http": {"secret": "(secret)", "addr": ":443"}}
