# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""How modules end: each failure in the one form, and nothing secret in it."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path
from unittest import mock

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.module import of_engine as engine_module
from ansible_collections.dtr.cache.plugins.module_utils.module.base import passwords_in_urls
from ansible_collections.dtr.cache.plugins.module_utils.module.of_dtr import DtrModule
from ansible_collections.dtr.cache.plugins.modules import content_caches_info, stack_plan
from ansible_collections.dtr.cache.tests.unit.support.modules import run_module

FIELDS = {"code", "message", "http_status", "url", "hint"}
CONNECTION = {"url": "https://127.0.0.1:9", "username": "admin", "password": "s3cret-of-the-test"}
MODULES = (
    "adopt",
    "cache_assignments",
    "cache_assignments_info",
    "cache_health",
    "cache_logs_info",
    "cache_proof",
    "cache_pull",
    "content_caches",
    "content_caches_info",
    "live_caches_info",
    "preflight",
    "registry_ca_info",
    "registry_info",
    "stack_converged",
    "stack_plan",
)


@pytest.mark.parametrize("module", MODULES)
def test_a_mistake_in_the_options_has_the_form_of_every_failure(module: str) -> None:
    result = run_module(module, unheard_of=1)
    assert result["failed"]
    assert result["failure"].keys() == FIELDS
    assert result["failure"]["code"] == "INVALID_INPUT"
    assert result["failure"]["message"] == result["msg"]
    assert re.search("nheard_of|missing required|is required", result["msg"])


def test_a_library_that_is_missing_is_a_failure_as_well() -> None:
    with mock.patch.object(engine_module, "DOCKER_IMPORT_ERROR", "Traceback: of the import"):
        result = run_module("stack_converged", name="cache")
    assert result["failure"].keys() == FIELDS
    assert result["failure"]["code"] == "MISSING_LIBRARY"
    assert "docker" in result["msg"]
    assert "Traceback" not in json.dumps(result)


def test_what_a_server_says_is_no_command_for_the_terminal() -> None:
    hostile = "\x1b]52;c;cm0gLXJmIC8=\x07 region \u202easia"

    def refused(module: t.Any) -> dict[str, t.Any]:
        module.warn(hostile)
        raise Failure(hostile, hostile)

    with mock.patch.object(content_caches_info, "MODULE", DtrModule(refused)):
        result = run_module("content_caches_info", **CONNECTION)
    assert result["msg"] == " ]52;c;cm0gLXJmIC8=  region  asia"
    told = json.dumps([result["msg"], result["failure"], result.get("warnings")], ensure_ascii=False)
    assert all(character.isprintable() for character in told)


def test_an_error_that_nobody_foresaw_is_told_without_its_words() -> None:
    def broken(_module: t.Any) -> dict[str, t.Any]:
        raise KeyError("s3cret-of-somebody-else")

    with mock.patch.object(content_caches_info, "MODULE", DtrModule(broken)):
        result = run_module("content_caches_info", **CONNECTION)
    assert result["failure"]["code"] == "INTERNAL"
    assert "KeyError in test_edge.py, line " in result["msg"]
    assert "s3cret" not in json.dumps(result)
    assert "exception" not in result
    assert "Traceback" not in json.dumps(result)


def test_an_error_that_nobody_foresaw_at_an_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "DOCKER_IMPORT_ERROR", None)
    with mock.patch.object(engine_module.Engine, "__init__", side_effect=RuntimeError("s3cret")):
        result = run_module("stack_converged", name="cache")
    assert result["failure"]["code"] == "INTERNAL"
    assert "s3cret" not in json.dumps(result)


@pytest.mark.parametrize(
    ("options", "secrets"),
    [
        ({"url": "https://admin:hunter2@dtr"}, {"hunter2"}),
        ({"url": "admin:hunter2@dtr"}, {"hunter2"}),
        ({"url": "https://TOKEN@dtr"}, {"TOKEN"}),
        ({"url": "https://a:p/w@dtr"}, {"p/w"}),
        ({"url": "https://a:p@w@dtr/x"}, {"p@w"}),
        ({"caches": [{"name": "a", "host": "u:hunter2@cache.example.org"}]}, {"u:hunter2@"}),
        ({"caches": [{"name": "europe", "url": "https://u:europe@h"}]}, {"u:europe@"}),
        ({"caches": "https://u:hunter2@cache.example.org"}, {"u:hunter2@"}),
        ({"assignments": [{"cache": "asia@home", "accounts": ["alice@example.org"]}]}, set()),
        ({"url": "https://dtr", "timeout": 5, "ca_path": None, "validate_certs": True}, set()),
        ({"url": "https://@dtr"}, set()),
    ],
)
def test_passwords_in_urls(options: dict[str, t.Any], secrets: set[str]) -> None:
    assert set(passwords_in_urls(options)) == secrets


@pytest.mark.parametrize("url", ["admin:hunter2-x@dtr", "https://hunter2-x@dtr", "https://a:b/hunter2-x@dtr"])
def test_a_password_in_a_url_is_not_shown_with_the_options(url: str) -> None:
    result = run_module("content_caches_info", **{**CONNECTION, "url": url}, invocation=True)
    assert "credentials do not belong" in result["msg"]
    assert "hunter2" not in json.dumps(result)
    wrong = run_module("content_caches", **CONNECTION, caches="https://u:hunter2-x@cache", invocation=True)
    assert wrong["failed"]
    assert "hunter2" not in json.dumps(wrong)


def test_an_option_of_a_wrong_type_does_not_show_the_others() -> None:
    """As ansible-core would."""
    options = {**CONNECTION, "caches": "region-asia"}
    result = run_module("content_caches", **options, invocation=True)
    assert "could not parse" in result["msg"]
    assert result["invocation"]["module_args"]["username"] == "admin"
    assert CONNECTION["password"] not in json.dumps(result)


def test_every_module_is_tried() -> None:
    found = {path.stem for path in Path(stack_plan.__file__).parent.glob("*.py")}
    # These have no module but their documentation: all they do is done on the control node.
    assert found - {"__init__", "report", "fleet_info", "put_in_use"} == set(MODULES)
