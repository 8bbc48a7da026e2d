# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What steps and summaries get: no secret, and the same DTR however it is spelled."""

from __future__ import annotations

import datetime
import json
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.x509 import certificates
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.model import public_settings
from ansible_collections.dtr.cache.tests.unit.support.settings import CA, CACHE, read

NOW = datetime.datetime.now(datetime.timezone.utc)


def public(**changes: t.Any) -> dict[str, t.Any]:
    return public_settings(read(**changes)[0], NOW)


def test_no_secret_is_public() -> None:
    shown = json.dumps(
        public(
            registry_password="hush-password",
            http_secret="hush-secret" * 4,
            storage={"s3": {"region": "r", "bucket": "b", "accesskey": "hush-a", "secretkey": "hush-b"}},
            config_extra={"redis": {"password": "hush-redis"}},
        )
    )
    assert "hush" not in shown
    assert CACHE.key_pem.splitlines()[1] not in shown


def test_a_key_beside_a_certificate_is_not_shown() -> None:
    combined = CA.pem + CACHE.key_pem
    shown = public(ca_certificate=combined, client_cas=[combined])
    assert shown["ca_certificate"] == CA.pem
    assert "PRIVATE KEY" not in json.dumps(shown)


@pytest.mark.parametrize(
    ("log", "logged"),
    [
        ({}, True),
        ({"level": "error"}, True),
        ({"accesslog": {"disabled": True}}, True),
        ({"accesslog": {"disabled": True}, "level": "warn"}, False),
        ({"accesslog": {"disabled": False}, "level": "warn"}, True),
    ],
)
def test_whether_the_cache_logs_what_it_serves(log: dict[str, t.Any], logged: bool) -> None:
    assert public(config_extra={"log": log})["logs_answers"] is logged
    environment = {"REGISTRY_LOG_LEVEL": "error", "REGISTRY_LOG_ACCESSLOG_DISABLED": "true"}
    assert public(config_extra={"log": log}, environment=environment)["logs_answers"] is False


@pytest.mark.parametrize(
    "url", ["https://dtr.example.org", "https://DTR.example.org:443/", " HTTPS://dtr.example.org "]
)
def test_one_dtr_is_one_however_it_is_spelled(url: str) -> None:
    assert public(registry_url=url)["dtr"] == "https://dtr.example.org"


@pytest.mark.parametrize(
    ("given", "shown"), [("fetch", "fetch"), ("system", "system"), (CA.pem, "given"), ("", "fetch")]
)
def test_where_the_ca_of_the_dtr_is_from(given: str, shown: str) -> None:
    assert public(registry_ca=given)["registry_ca"] == shown


def test_the_probe_is_one_of_the_caches_that_cache_health_takes() -> None:
    changes = {"assignments": {"accounts": "alice"}, "verify_image": "a/b:1", "verify_account": "alice"}
    assert public(**changes, ca_certificate=CA.pem, min_days="30")["probe"] == {
        "name": "region-asia",
        "url": "https://cache.example.org:443",
        "port": 443,
        "ca_certificate": CA.pem,
        "min_days": 30,
        "certificate": certificates.fingerprint(certificates.load_certificates(CACHE.pem)[0]),
        "publish_mode": "ingress",
        "replicas": 2,
        "image": "a/b:1",
        "account": "alice",
        "account_of": {"accounts": ["alice"], "teams": [], "orgs": [], "everyone": False},
    }


@pytest.mark.parametrize("unset", ["name", "host"])
def test_without_a_cache_there_is_nothing_to_probe(unset: str) -> None:
    assert public(**{unset: None})["probe"]["name"] == ""


def test_it_is_data_that_ansible_can_keep() -> None:
    shown = public(allowed_networks="10.0.0.0/8, 2001:db8::/32", warm_images="a/b:1", certificate=None)
    assert json.loads(json.dumps(shown)) == shown
    assert shown["certificate"] is None
    assert shown["allowed_networks"] == {"ipv4": ["10.0.0.0/8"], "ipv6": ["2001:db8::/32"]}
    assert shown["node_labels"] == {"worker-1": {"dtr.cache": "true"}, "worker-2": {"dtr.cache": "true"}}
    assert (shown["timeout"], shown["keep_versions"], shown["with_registry_auth"]) == (300, 2, False)
