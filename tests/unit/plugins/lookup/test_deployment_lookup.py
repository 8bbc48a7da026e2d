# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The deployment as the lookup gives it: its description without a secret, and its files one by one."""

from __future__ import annotations

import json
import re
import typing as t

import pytest
import yaml
from ansible.errors import AnsibleLookupError
from ansible_collections.dtr.cache.plugins.lookup import deployment
from ansible_collections.dtr.cache.tests.unit.support.lookups import run_lookup, without_environment
from ansible_collections.dtr.cache.tests.unit.support.settings import CA, CACHE, GOOD

FILES = ["cache.cert.pem", "cache.key.pem", "config.yml", "dtr.cert.pem"]
HTTP_SECRET = "8c1f0f4e5d0b4a6f9f0e2d3c4b5a6978"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    without_environment(monkeypatch)


def look_up(*terms: str, registry_ca: str | None = CA.pem, **changes: t.Any) -> list[t.Any]:
    """What the lookup gives for the good variables with some changed by their names without the prefix."""
    given = {**GOOD, "dtr_cache_http_secret": HTTP_SECRET}
    given.update({f"dtr_cache_{name}": value for name, value in changes.items()})
    return run_lookup(deployment, terms, given, **({} if registry_ca is None else {"registry_ca": registry_ca}))


def described(**changes: t.Any) -> t.Any:
    (description,) = look_up(**changes)
    return description


def test_a_version_that_is_left_to_dtr_has_to_be_given() -> None:
    with pytest.raises(AnsibleLookupError, match="dtr_cache_version, or give the option image"):
        look_up(version=None)
    variables = {**GOOD, "dtr_cache_version": None}
    (given,) = run_lookup(deployment, (), variables, registry_ca=CA.pem, image="cache:1")
    assert given["definition"]["services"]["cache"]["image"] == "cache:1"
    assert look_up("cache.cert.pem", version=None) == [CACHE.pem]


def names(description: dict[str, t.Any]) -> dict[str, str]:
    """The names of configs and secrets by the file that each is."""
    return {item["file"]: item["name"] for kind in ("configs", "secrets") for item in description[kind]}


def test_without_a_term_it_is_described() -> None:
    description = described()
    named = names(description)
    assert sorted(named) == FILES
    for file, name in named.items():
        assert re.fullmatch(rf"[a-z0-9-]+_{re.escape(file)}_[0-9a-f]{{12}}", name)
    external = {
        file: entry["external"]["name"]
        for kind in ("configs", "secrets")
        for file, entry in description["definition"].get(kind, {}).items()
    }
    assert external == named
    assert description["compose"]["services"].keys() == description["definition"]["services"].keys()
    assert sorted(description["review"]) == [
        "certs/cache.cert.pem",
        "certs/dtr.cert.pem",
        "config.yml",
        "docker-stack.yml",
    ]


def test_a_description_holds_no_secret() -> None:
    shown = json.dumps(look_up())
    for secret in (HTTP_SECRET, GOOD["dtr_cache_registry_password"], CACHE.key_pem.splitlines()[1], "PRIVATE KEY"):
        assert secret not in shown


def test_a_name_changes_with_its_content_alone() -> None:
    before, after = names(described()), names(described(blob_ttl="48h"))
    assert [file for file in before if before[file] != after[file]] == ["config.yml"]


def test_compose_doubles_each_dollar() -> None:
    description = described(environment={"PROMPT": "$HOME"})
    values = [description[key]["services"]["cache"]["environment"] for key in ("definition", "compose")]
    assert values == [{"PROMPT": "$HOME"}, ["PROMPT=$$HOME"]]


def test_with_terms_their_contents_in_this_order() -> None:
    key, config, certificate, authority = look_up("cache.key.pem", "config.yml", "cache.cert.pem", "dtr.cert.pem")
    assert (key, certificate, authority) == (CACHE.key_pem, CACHE.pem, CA.pem)
    assert yaml.safe_load(config)["http"]["secret"] == HTTP_SECRET


@pytest.mark.parametrize("unset", [{"registry_ca": None}, {"registry_ca": ""}])
def test_without_the_ca_its_file_is_left_out(unset: dict[str, t.Any]) -> None:
    assert sorted(names(described(**unset))) == [file for file in FILES if file != "dtr.cert.pem"]
    with pytest.raises(AnsibleLookupError, match=r"no file dtr\.cert\.pem"):
        look_up("dtr.cert.pem", **unset)


def test_unknown_files_are_an_error_that_names_those_there_are() -> None:
    with pytest.raises(AnsibleLookupError) as error:
        look_up("config.yml", "config.yaml", "key.pem")
    message = str(error.value)
    assert message.startswith("The deployment has no file config.yaml, key.pem; it has ")
    assert all(file in message for file in FILES)


@pytest.mark.parametrize("terms", [(), ("cache.key.pem",)])
def test_what_is_wrong_is_an_error_that_names_the_variables(terms: tuple[str, ...]) -> None:
    with pytest.raises(AnsibleLookupError) as error:
        look_up(*terms, port="many", blob_ttl="24")
    message = str(error.value)
    assert message.startswith("The cache's settings are not sound: dtr_cache_port: ")
    assert "; dtr_cache_blob_ttl: " in message
    assert HTTP_SECRET not in message
