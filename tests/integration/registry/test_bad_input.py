# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""One mistake, one clear sentence, and nothing changed."""

from __future__ import annotations

import importlib
import json
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.plugin_utils.actions.in_process import Task, run_here

from .conftest import Json, Registry

from dtr_standin.accounts import account_id  # isort: skip (conftest puts it into the path)

MODULES = (
    "content_caches",
    "content_caches_info",
    "cache_assignments",
    "cache_assignments_info",
    "registry_info",
    "registry_ca_info",
)
A = "https://cache-asia.example.org"
OPTIONS: dict[str, Json] = {
    "content_caches": {"caches": [{"name": "region-asia", "host": A}]},
    "cache_assignments": {"assignments": [{"cache": "local", "accounts": ["alice"]}]},
}


def declared(*caches: Json, **more: t.Any) -> Json:
    return {"caches": list(caches), **more}


def assigned(*assignments: Json, **more: t.Any) -> Json:
    return {"assignments": list(assignments), **more}


#: Mistakes in what all modules have in common.
CONNECTION: list[tuple[Json, str]] = [
    ({"url": None}, "missing required arguments: url"),
    ({"url": ""}, "url: 'https://' names no host."),
    ({"url": "ftp://dtr.example.org"}, "url: 'ftp' is not a scheme of DTR; use https."),
    (
        {"url": "https://admin:hunter2@dtr.example.org"},
        "url: credentials do not belong into the URL of dtr.example.org.",
    ),
    ({"url": "https://dtr.example.org:port"}, "url: this is not a URL with a valid host and port."),
    ({"url": "https://dtr.example.org/?next=1"}, "must not be followed by a query or a fragment."),
    ({"url": "https://dtr example.org"}, "names no host."),
    ({"url": "http://dtr.example.org"}, "url: plain http to dtr.example.org would show the password to the network."),
    ({"url": "https://no-such-host.invalid"}, "failed: the host name no-such-host.invalid is unknown."),
    ({"url": "https://127.0.0.1:9", "retries": 0}, "127.0.0.1:9 refused the connection."),
    ({"timeout": 0}, "timeout: 0 is not a number of seconds above 0."),
    ({"timeout": "soon"}, "argument 'timeout' is of type"),
    ({"timeout": float("inf")}, "timeout: inf is more than a day, 86400 seconds."),
    ({"timeout": "nan"}, "timeout: nan is not a number of seconds above 0."),
    ({"url": "admin:hunter2@dtr.example.org"}, "url: credentials do not belong into the URL of dtr.example.org."),
    ({"url": "https://hunter2@dtr.example.org"}, "url: credentials do not belong into the URL of dtr.example.org."),
    ({"url": "https://a:hunter2/x@dtr.example.org"}, "url: credentials do not belong into the URL of dtr.example.org."),
    ({"retries": -1}, "retries: -1 is not a number from 0 on."),
    ({"ca_path": "/no/such/ca.pem"}, "ca_path: /no/such/ca.pem cannot be used: no such file or directory."),
    ({"ca_path": __file__}, "it holds no usable PEM certificate."),
    ({"ca_path": None, "ca_certificate": "nonsense"}, "ca_certificate: "),
    ({"ca_certificate": "x"}, "parameters are mutually exclusive: ca_path|ca_certificate"),
    ({"ca_path": None}, "has a certificate signed by an unknown authority."),
    ({"password": None}, "username and password are required together, and password is missing beside username."),
    ({"client_key": "/no/such.key"}, "missing parameter(s) required by 'client_key': client_cert"),
    ({"client_cert": "/no/such.pem"}, "client_cert: /no/such.pem cannot be used: it does not exist or cannot be read."),
    ({"caches": "region-asia", "unheard_of": 1}, "Unsupported parameters"),
]

#: Mistakes in what a module has of its own.
OWN: list[tuple[str, Json, str]] = [
    ("content_caches", {"username": None, "password": None}, "one of the following is required: username, client_cert"),
    (
        "content_caches_info",
        {"username": "", "password": ""},
        "username, client_cert or client_certificate is required, and all are empty.",
    ),
    (
        "content_caches_info",
        {"password": ""},
        "username and password are required together, and password is missing beside username.",
    ),
    ("registry_info", {"password": "wrong"}, "answered 401 Unauthorized: NOT_AUTHENTICATED"),
    ("content_caches", declared({"name": "local", "host": A}), "'local' means no cache in DTR and cannot be"),
    ("content_caches", declared({"name": "LOCAL", "state": "absent"}), "'LOCAL' means no cache in DTR"),
    ("content_caches", declared({"name": " ", "host": A}), "caches: a cache has no name."),
    ("content_caches", declared({"host": A}), "missing required arguments: name found in caches"),
    ("content_caches", declared({"name": "region-asia"}), "caches: region-asia needs a host."),
    ("content_caches", declared({"name": "a", "host": "cache.example.org"}), "write https://host:port."),
    ("content_caches", declared({"name": "a", "host": "https://"}), "a: the host has no valid host name."),
    ("content_caches", declared({"name": "a", "host": "https://x:99999"}), "has no valid host name or port."),
    ("content_caches", declared({"name": "a", "host": "https://u:hunter2@x"}), "the host must not carry credentials."),
    ("content_caches", declared({"name": "a", "host": "u:hunter2@x"}), "a: the host must not carry credentials."),
    ("content_caches", declared({"name": "a", "host": "ftp://u:hunter2@x"}), "a: the host must not carry credentials."),
    ("content_caches", declared({"name": "a", "host": "https://x/v2/"}), "a: the host must end after the port."),
    ("content_caches", declared({"name": "a", "host": A}, {"name": "a", "host": A}), "caches: a is declared 2 times."),
    ("content_caches", declared({"name": "a", "host": A, "state": "gone"}), "value of state must be one of"),
    ("content_caches", {"caches": "region-asia"}, "dictionary requested, could not parse JSON or key=value"),
    ("content_caches", declared(purge="perhaps"), "argument 'purge' is of type"),
    ("content_caches", {"concurrency": 0}, "concurrency: 0 is not a number from 1 to 128."),
    ("content_caches", {"username": "bob", "password": "BOB", "purge": True}, "answered 403 Forbidden: NOT_AUTHORIZED"),
    ("cache_assignments", {"assignments": None}, "missing required arguments: assignments"),
    ("cache_assignments", assigned({"accounts": ["alice"]}), "missing required arguments: cache found in assignments"),
    (
        "cache_assignments",
        assigned({"cache": " ", "accounts": ["alice"]}),
        "assignments: an assignment names no cache.",
    ),
    (
        "cache_assignments",
        assigned({"cache": "local", "teams": ["backend"]}),
        "'backend' is not a team: write org/team.",
    ),
    ("cache_assignments", assigned({"cache": "local", "teams": ["a/b/c"]}), "'a/b/c' is not a team: write org/team."),
    ("cache_assignments", assigned({"cache": "local", "teams": ["../x"]}), "'../x' is not a team: write org/team."),
    ("cache_assignments", assigned({"cache": "local", "teams": ["a/.."]}), "'a/..' is not a team: write org/team."),
    ("cache_assignments", assigned({"cache": "local", "accounts": ["a/b"]}), "'a/b' cannot be an account's name."),
    ("cache_assignments", assigned({"cache": "local", "orgs": [".."]}), "'..' cannot be an account's name."),
    ("cache_assignments", assigned({"cache": "region-oz", "everyone": True}), "there is no cache region-oz."),
    ("cache_assignments", assigned({"cache": "local", "accounts": ["nobody"]}), "there is no account nobody."),
    ("cache_assignments", assigned({"cache": "local", "accounts": ["research"]}), "to be named under orgs."),
    ("cache_assignments", assigned({"cache": "local", "orgs": ["nowhere"]}), "there is no organisation nowhere."),
    ("cache_assignments", assigned({"cache": "local", "orgs": ["alice"]}), "there is no organisation alice."),
    ("cache_assignments", assigned({"cache": "local", "teams": ["research/x"]}), "there is no team research/x."),
    (
        "cache_assignments",
        assigned({"cache": "local", "accounts": ["bob"]}, {"cache": "region-europe", "teams": ["engineering/backend"]}),
        "bob is claimed by local and region-europe",
    ),
    ("cache_assignments", assigned({"cache": "local", "accounts": [0o4711]}), "accounts: 2505 is a number to YAML"),
    ("cache_assignments", assigned({"cache": 5, "accounts": ["bob"]}), "cache: 5 is a number to YAML"),
    (
        "cache_assignments",
        assigned({"cache": "local", "everyone": True, "except": {"accounts": [True]}}),
        "except.accounts: true is a truth value to YAML",
    ),
    (
        "cache_assignments",
        assigned({"cache": "local", "everyone": True, "except": {"accounts": ["nobody"]}}),
        "there is no account nobody",
    ),
    (
        "cache_assignments",
        assigned({"cache": "local", "accounts": ["bob"], "everyone": True, "except": {"accounts": ["bob"]}}),
        "bob: named under accounts and under except",
    ),
    ("content_caches", declared({"name": 5, "host": A}), "a name: 5 is a number to YAML"),
    ("content_caches", declared({"name": "a", "host": A, "former_names": [1.5]}), "a name: 1.5 is a number to YAML"),
    ("cache_assignments_info", {"accounts": [0o4711]}, "accounts: 2505 is a number to YAML"),
    ("cache_assignments", assigned({"cache": "twins", "accounts": ["bob"]}), "there are 2 caches named twins"),
    ("cache_assignments", assigned({"cache": "local", "everyone": "some"}), "argument 'everyone' is of type"),
    ("cache_assignments", {"concurrency": 1000}, "concurrency: 1000 is not a number from 1 to 128."),
    ("cache_assignments_info", {"accounts": ["nobody"]}, "answered 404 Not Found: NO_SUCH_USER"),
    ("cache_assignments_info", {"accounts": ["alice", ".."]}, "accounts: '..' cannot be an account's name."),
    ("cache_assignments_info", {"accounts": ["a/b", ""]}, "'a/b' cannot be an account's name; '' cannot be an"),
    ("cache_assignments_info", {"concurrency": "many"}, "argument 'concurrency' is of type"),
    ("registry_ca_info", {"fingerprint": "ab:cd"}, "it must have 64 hexadecimal digits."),
    ("registry_ca_info", {"fingerprint": "a" * 40}, "40 hexadecimal digits, as a SHA-1 one has."),
    ("registry_ca_info", {"fingerprint": "0" * 64}, "None of the certificates has the SHA-256 fingerprint 000"),
]


def mistakes() -> t.Iterator[tuple[str, Json, str]]:
    """Each common mistake in one of the modules in turn, and each module's own."""
    for number, (options, sentence) in enumerate(CONNECTION):
        module = MODULES[number % len(MODULES)]
        # Whoever asks for the CA alone need not know it, and is not asked who they are.
        if module == "registry_ca_info" and {"ca_path", "password"} & options.keys():
            module = "registry_info"
        yield module, options, sentence
    yield from OWN


@pytest.fixture
def populated(registry: Registry) -> Registry:
    caches = {"e1": ("region-europe", "https://e"), "t1": ("twins", "https://t1"), "t2": ("twins", "https://t2")}
    registry.set_up(caches, {"alice": "e1", "bob": "t1", "carol": "gone"})
    registry.control.put_account("bob", full_name="Bob", password="BOB")
    return registry


@pytest.mark.parametrize(
    ("module", "options", "sentence"),
    list(mistakes()),
    ids=[f"{module}: {sentence[:70]}" for module, _options, sentence in mistakes()],
)
@pytest.mark.parametrize("check", [True, False], ids=["check", "run"])
def test_a_mistake_gives_one_clear_sentence(
    populated: Registry, module: str, options: Json, sentence: str, check: bool
) -> None:
    before = populated.control.state()
    result = populated.run(module, check=check, **{**OPTIONS.get(module, {}), **options})
    assert result.get("failed"), result
    assert sentence in result["msg"]
    assert "\n" not in result["msg"].strip()
    assert "exception" not in result
    assert "hunter2" not in str(result)
    assert populated.control.state() == before
    assert result["failure"].keys() == {"code", "message", "http_status", "url", "hint"}
    assert result["failure"]["code"]
    assert result["msg"].startswith(result["failure"]["message"])


def test_all_mistakes_in_assignments_are_told_together(populated: Registry) -> None:
    result = populated.run(
        "cache_assignments",
        **assigned(
            {"cache": "region-oz", "accounts": ["nobody", "alice"], "teams": ["research/x"]},
            {"cache": "region-europe", "orgs": ["nowhere"], "accounts": ["alice"]},
        ),
    )
    assert result["failure"]["code"] == "INVALID_ASSIGNMENTS"
    assert result["problems"] == [
        "there is no cache region-oz",
        "there is no account nobody",
        "there is no organisation nowhere",
        "there is no team research/x",
        "alice is claimed by region-europe and region-oz; leave it out of one of them, members of a team by "
        "assignments.except (accounts, teams, orgs)",
    ]
    assert populated.writes() == 0


@pytest.mark.parametrize("by_id", [False, True])
def test_an_inactive_account_is_left_out_and_told(populated: Registry, by_id: bool) -> None:
    """Also where it is named by its id, or in other capitals on a server that takes names in any."""
    named = account_id("ivan") if by_id else "ivan"
    result = populated.run("cache_assignments", **assigned({"cache": "region-europe", "accounts": [named, "heidi"]}))
    assert not result.get("failed")
    assert result["inactive"] == ["ivan"]
    assert [change["name"] for change in result["changed_accounts"]] == ["heidi"]


def test_there_are_enough_and_each_module_has_some() -> None:
    assert len(list(mistakes())) >= 40
    assert {module for module, _options, _sentence in mistakes()} == set(MODULES)


# Half of a pair, as a broken inventory or a server may have it: no character, and nothing that writes text takes it.
HALF = "\ud800"
HALVES: list[tuple[str, Json]] = [
    ("content_caches", {"caches": [{"name": HALF, "host": "https://a.example"}]}),
    ("content_caches", {"caches": [{"name": "a", "host": f"https://{HALF}.example"}]}),
    ("content_caches", {"caches": [{"name": "a", "host": HALF}]}),
    ("content_caches_info", {"url": f"https://{HALF}"}),
    ("content_caches_info", {"username": HALF}),
    ("content_caches_info", {"ca_path": HALF}),
    ("content_caches_info", {"ca_path": None, "ca_certificate": HALF}),
    ("cache_assignments", {"assignments": [{"cache": HALF, "accounts": ["alice"]}]}),
    (
        "cache_assignments",
        {"assignments": [{"cache": "local", "accounts": [HALF], "orgs": [HALF], "teams": [f"{HALF}/x"]}]},
    ),
    ("cache_health", {"caches": [{"name": HALF, "url": f"https://{HALF}.example"}], "timeout": 3, "retries": None}),
    ("cache_health", {"caches": [{"name": "a", "url": f"https://127.0.0.1:1/{HALF}"}], "timeout": 3, "retries": None}),
    ("cache_health", {"caches": [{"name": "a", "url": "https://a", "ca_certificate": HALF}], "retries": None}),
    ("cache_pull", {"cache": HALF, "images": ["a/b:1"]}),
    ("cache_pull", {"cache": "region-asia", "images": ["a/b:1"], "account": HALF}),
    ("cache_pull", {"cache": "region-asia", "repositories": [{"repository": "a/b", "tags": HALF}]}),
    ("cache_proof", {"cache": "region-asia", "repository": HALF}),
    ("registry_ca_info", {"fingerprint": HALF, "username": None, "password": None}),
]


@pytest.mark.parametrize(("module", "options"), HALVES, ids=ascii)
def test_half_of_a_pair_is_text_that_can_be_shown(registry: Registry, module: str, options: Json) -> None:
    """In the process where Ansible mostly runs these modules; of those that it sends, it writes a log itself."""
    registry.set_up({"1": ("region-asia", "https://127.0.0.1:1"), "2": (HALF, f"https://{HALF}.x")}, {"bob": "1"})
    declaration = importlib.import_module(f"ansible_collections.dtr.cache.plugins.modules.{module}").MODULE
    given = {name: value for name, value in {**registry.connection, **options}.items() if value is not None}
    result = run_here(declaration, Task(f"dtr.cache.{module}", given, invocation=True))
    assert (result.get("failure") or {}).get("code") != "INTERNAL", result
    assert json.dumps(result, ensure_ascii=False).encode()


def test_an_exception_wins_over_everyone_and_over_a_team(populated: Registry) -> None:
    exceptions = {"except": {"accounts": ["alice"], "teams": ["engineering/backend"]}}
    populated.run("cache_assignments", **assigned({"cache": "local", "everyone": True}))
    result = populated.run("cache_assignments", **assigned({"cache": "region-europe", "everyone": True, **exceptions}))
    assert not result.get("failed"), result
    moved = {change["name"] for change in result["changed_accounts"]}
    assert "dave" in moved and not moved & {"alice", "bob"}
    of_team = {"cache": "region-europe", "teams": ["engineering/backend"], "except": {"accounts": "bob"}}
    result = populated.run("cache_assignments", **assigned(of_team, {"cache": "local", "accounts": ["bob"]}))
    assert not result.get("failed"), result
    assert "bob" not in {change["name"] for change in result["changed_accounts"]}
