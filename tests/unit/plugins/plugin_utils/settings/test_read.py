# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The vocabulary as a whole: names, defaults, needs, and all problems at once."""

from __future__ import annotations

import importlib.util
import typing as t
from pathlib import Path

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.x509 import certificates
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.model import NEEDS
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.structures import as_items, parsed
from ansible_collections.dtr.cache.tests.unit.support.settings import (
    CA,
    CACHE,
    DEFAULTS,
    GOOD,
    OPTIONS,
    only_problem,
    read,
)
from ansible_collections.dtr.cache.tests.unit.support.web import make_identity

CA_FINGERPRINT = certificates.fingerprint(certificates.load_certificates(CA.pem)[0])
BARE_KEY = "".join(CACHE.key_pem.splitlines()[1:-1])


# One mistake each, and what the operator reads.
MISTAKES: list[tuple[dict[str, t.Any], str]] = [
    ({"blob_til": "24h"}, "dtr_cache_blob_til: is no variable of dtr.cache; did you mean dtr_cache_blob_ttl?"),
]


@pytest.mark.parametrize(("changes", "sentence"), MISTAKES, ids=[sentence[:60] for _changes, sentence in MISTAKES])
def test_one_mistake_gives_one_clear_sentence(changes: dict[str, t.Any], sentence: str) -> None:
    assert sentence in only_problem(**changes)


def test_the_defaults_and_the_argument_specs_name_the_same_variables() -> None:
    assert set(DEFAULTS) == set(OPTIONS)


def test_each_default_that_the_argument_specs_tell_is_the_real_one() -> None:
    for name, option in OPTIONS.items():
        if "default" in option:
            default = DEFAULTS[name]
            # Ansible would merge a mapping, see the decision on it.
            assert not isinstance(default, dict) or not default, name
            is_text = isinstance(option["default"], dict) and isinstance(default, str)
            assert option["default"] == (parsed(default) if is_text else default), name


def test_good_settings_have_no_problem_and_take_the_preset() -> None:
    settings, problems = read()
    assert problems == []
    assert settings.url == "https://cache.example.org:443"
    assert settings.registry_url == "https://dtr.example.org"
    assert settings.image == "docker/dtr-content-cache:2.7.6"
    assert (settings.stack_name, settings.product.node_label) == ("dtr-cache", "dtr.cache")
    assert settings.replicas == 2


def test_all_mistakes_are_told_at_once() -> None:
    _settings, problems = read(name="local", port=0, blob_ttl=24, nodes=[], certificate=None)
    assert [problem.partition(":")[0] for problem in problems] == [
        "dtr_cache_name",
        "dtr_cache_port",
        "dtr_cache_certificate",
        "dtr_cache_blob_ttl",
        "dtr_cache_nodes",
    ]


def test_a_problem_never_shows_a_secret() -> None:
    secret = "hunter2-and-more"
    _settings, problems = read(
        registry_url=f"https://admin:{secret}@dtr.example.org",
        private_key=f"-----BEGIN X-----\n{secret}",
        http_secret=secret,
    )
    assert len(problems) == 3
    assert not any(secret in problem for problem in problems)


@pytest.mark.parametrize(
    "changes",
    [
        {"private_key": BARE_KEY},
        {"private_key": "certs/" + BARE_KEY},
        {"certificate": BARE_KEY},
        {"registry_ca": CACHE.key_pem.replace("-----BEGIN", "----BEGIN")},
        {"ca_certificate": "https://admin:hunter2@store/ca.pem"},
        {"client_cas": [BARE_KEY]},
        {"host": "admin:hunter2@cache.example.org"},
        {"host": "https://admin:hunter2@cache.example.org"},
        {"upstreams": ["https://admin:hun#ter2@asia.example.org"]},
        {"verify_image": "https://admin:hunter2@dtr/a/b:1"},
        {"verify_repository": "admin:hunter2@dtr/a"},
        {"warm_images": ["admin:hunter2@dtr"]},
        {"client_registries": ["admin:hunter2@dtr"]},
        *(
            {"registry_url": f"https://admin:{password}@dtr"}
            for password in ("hunter2", "hun/ter2", "hun#ter2", "hu]ter2")
        ),
    ],
)
def test_what_may_be_a_credential_is_neither_told_nor_kept(changes: dict[str, t.Any]) -> None:
    settings, problems = read(**changes)
    assert problems
    said = "\n".join([*problems, settings.url, settings.registry_url, *settings.upstreams])
    assert not any(part in said for part in (BARE_KEY[:40], BARE_KEY[-40:], "hun", "hu]"))


@pytest.mark.parametrize(
    "changes",
    [
        {"environment": {"GODEBUG": "x509=1", "AWS_WEB_IDENTITY_TOKEN_FILE": "/srv/token", "OTHER": "a:b@c"}},
        {"environment": {"GOOGLE_APPLICATION_CREDENTIALS": "/run/secrets/gcs.json", "AWS_SESSION_TOKEN": ""}},
        {
            "volume": {
                "driver": "local",
                "driver_opts": {"type": "nfs", "o": "addr=nfs.example.org,rw", "device": ":/x"},
            }
        },
        {"registry_ca": CA.pem + make_identity("new", ca=True).pem, "registry_ca_fingerprint": CA_FINGERPRINT},
        {"blob_ttl": "2562047h"},
        {"docker_host": "tcp://manager:2376"},
    ],
)
def test_what_is_no_mistake_is_taken(changes: dict[str, t.Any]) -> None:
    assert read(**changes)[1] == []


def test_what_a_role_does_not_need_may_be_left_out() -> None:
    unset = dict.fromkeys(("nodes", "certificate", "private_key"))
    assert read(needs=["cache", "registry"], **unset)[1] == []
    assert len(read(needs=NEEDS, **unset)[1]) == 3


def test_text_serves_as_a_list() -> None:
    settings, problems = read(nodes="worker-1, worker-2\nworker-3,")
    assert problems == []
    assert settings.nodes == ("worker-1", "worker-2", "worker-3")
    assert as_items(None) == []


def test_the_pages_name_what_each_part_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(__file__).parents[4] / "lib" / "reference_roles.py"
    monkeypatch.syspath_prepend(path.parent)
    spec = importlib.util.spec_from_file_location("reference_roles", path)
    assert spec is not None
    assert spec.loader is not None
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    assert set(reference.REQUIRED) == set(NEEDS)
    for need, required in reference.REQUIRED.items():
        unset = dict.fromkeys(("name", "host", "registry_url", "registry_username", "registry_password", "nodes"))
        _settings, problems = read(needs=[need], **unset, certificate=None, private_key=None)
        missing = [problem.partition(":")[0] for problem in problems if "is required" in problem]
        assert missing == [f"dtr_cache_{name}" for name in required], need


STATISTICS = ("regions", "status", "assigned", "verified", "warmed", "verdicts")


def test_statistics_of_an_earlier_job_come_back_unharmed() -> None:
    assert read(**{name: [{"region": "asia"}] for name in STATISTICS})[1] == []


@pytest.mark.parametrize("given", [["dtr_cache_team", "dtr_cache_our_*"], "dtr_cache_team, dtr_cache_our_*"])
def test_the_users_own_variables_are_named(given: t.Any) -> None:
    assert read(ignore_variables=given, team="x", our_site="x", our_mail=1)[1] == []
    assert len(read(ignore_variables=given, teams="x", ours="x")[1]) == 2


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["team_*"], "'team_*' does not begin with dtr_cache_"),
        (["dtr_cache_port"], "dtr_cache_port is a variable of dtr.cache, which is not ignored"),
        ({"a": 1}, "must be a list of texts"),
    ],
)
def test_only_own_variables_can_be_ignored(given: t.Any, sentence: str) -> None:
    assert only_problem(ignore_variables=given) == f"dtr_cache_ignore_variables: {sentence}"


def test_a_setting_that_is_given_is_not_ignored() -> None:
    assert read(ignore_variables=["dtr_cache_*"], port=8443)[0].port == 8443


@pytest.mark.parametrize("empty", [None, "", " ", "\n\t"])
def test_an_empty_answer_is_the_default_for_all_variables(empty: str | None) -> None:
    given = {name.removeprefix("dtr_cache_"): empty for name in DEFAULTS if name not in GOOD}
    settings, problems = read(**given)
    assert problems == []
    assert settings == read()[0]
