# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every operation that the collection uses exists in the stand-in and refuses as the published API says.

The operations are those against which the collection's own requests are held.
"""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
import requests
from standin_harness import Client, code

_DATA = pathlib.Path(__file__).parents[2] / "unit" / "data" / "dtr-api.json"
OPERATIONS: list[dict[str, t.Any]] = json.loads(_DATA.read_text())
PUBLISHED = [operation for operation in OPERATIONS if operation["source"] == "DTR swagger"]
KNOWN_VERBS = {
    operation["path"]: {each["method"] for each in OPERATIONS if each["path"] == operation["path"]}
    for operation in OPERATIONS
}
NAMES = {
    "{username}": "bob",
    "{name}": "bob",
    "{org}": "engineering",
    "{team}": "backend",
    "{namespace}": "engineering",
    "{reponame}": "app",
    "{reference}": "1.0",
    "{contentcacheuuid}": "00000000-0000-4000-8000-000000000000",
    "{hashedtoken}": "0" * 64,
}


def _label(operation: dict[str, t.Any]) -> str:
    return f"{operation['method']} {operation['path']}"


def sent(client: Client, operation: dict[str, t.Any], **options: t.Any) -> requests.Response:
    path = operation["path"]
    for placeholder, name in NAMES.items():
        path = path.replace(placeholder, name)
    assert "{" not in path, path
    if operation["body"] is not None and "data" not in options:
        options["json"] = dict.fromkeys(operation["body"]["properties"], "")
    return client(options.pop("method", operation["method"]), path, **options)


published = pytest.mark.parametrize("operation", PUBLISHED, ids=_label)


@pytest.mark.parametrize("operation", OPERATIONS, ids=_label)
def test_it_answers_with_a_documented_status(operation: dict[str, t.Any], admin: Client) -> None:
    assert sent(admin, operation).status_code in operation["statuses"]


@published
def test_it_tells_nothing_without_credentials(operation: dict[str, t.Any], nobody: Client) -> None:
    assert code(sent(nobody, operation)) == (401, "NOT_AUTHENTICATED")


@published
def test_it_wants_a_client_that_takes_json(operation: dict[str, t.Any], admin: Client) -> None:
    assert code(sent(admin, operation, headers={"Accept": "text/html"})) == (406, "NOT_ACCEPTABLE")


@pytest.mark.parametrize("operation", [each for each in PUBLISHED if each["body"] is not None], ids=_label)
def test_it_wants_a_body_in_json(operation: dict[str, t.Any], admin: Client) -> None:
    answer = sent(admin, operation, data=b"name=a", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert code(answer) == (415, "UNSUPPORTED_MEDIA_TYPE")


@published
def test_it_has_no_other_verb(operation: dict[str, t.Any], admin: Client) -> None:
    assert "PUT" not in KNOWN_VERBS[operation["path"]]
    assert code(sent(admin, operation, method="PUT")) == (405, "NOT_ALLOWED")


#: Operations that are for administrators, or for the account that they are about.
GUARDED = [
    ("POST", "/api/v0/content_caches"),
    ("DELETE", "/api/v0/content_caches/{contentcacheuuid}"),
    ("GET", "/api/v0/accounts/{username}/settings"),
    ("PATCH", "/api/v0/accounts/{username}/settings"),
    ("GET", "/api/v0/meta/cluster_status"),
    ("GET", "/api/v0/meta/settings"),
]


@pytest.mark.parametrize("operation", PUBLISHED, ids=_label)
def test_it_is_guarded_as_published(operation: dict[str, t.Any], alice: Client) -> None:
    if (operation["method"], operation["path"]) in GUARDED:
        assert 403 in operation["statuses"]
        assert code(sent(alice, operation)) == (403, "NOT_AUTHORIZED")
    else:
        assert sent(alice, operation).status_code != 401
