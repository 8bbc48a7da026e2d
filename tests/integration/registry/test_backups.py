# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Caches and accounts to a file, and back, also to a DTR that was set up anew."""

from __future__ import annotations

import json
import os
import stat
import typing as t
from pathlib import Path

import pytest
from ansible_collections.dtr.cache.tests.unit.support.others import given_away

from .conftest import MANY_ACCOUNTS, Json, Registry

ASIA = ("region-asia", "https://cache-asia.example.org:443")
EUROPE = ("region-europe", "https://cache-europe.example.org:443")
SETTINGS = {"alice": "a1", "bob": "e1", "carol": "a1"}
BY_NAME = {"alice": "region-asia", "bob": "region-europe", "carol": "region-asia"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "dtr.json"


@pytest.fixture
def saved(registry: Registry, path: Path) -> Json:
    """The result of a backup of a DTR with two caches."""
    registry.set_up({"a1": ASIA, "e1": EUROPE}, SETTINGS)
    return registry.run("backup", path=str(path))


def test_a_backup(registry: Registry, saved: Json, path: Path) -> None:
    document = json.loads(path.read_text())
    assert saved["changed"] and saved["dangling"] == []
    assert document["dtr"] == registry.connection["url"]
    assert {(cache["name"], cache["host"]) for cache in document["content_caches"]} == {ASIA, EUROPE}
    assert {name: cache for name, cache in document["accounts"].items() if cache != "local"} == BY_NAME
    assert saved["accounts"] == len(document["accounts"]) > len(BY_NAME)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert registry.connection["password"] not in path.read_text()
    assert registry.writes() == 0


def test_the_same_again_leaves_the_file_alone(registry: Registry, saved: Json, path: Path) -> None:
    before = path.stat()
    again = registry.run("backup", path=str(path))
    assert saved["changed"] and not again["changed"] and "diff" not in again
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_check_mode_writes_no_file(registry: Registry, path: Path) -> None:
    registry.set_up({"a1": ASIA}, {"alice": "a1"})
    result = registry.run("backup", check=True, path=str(path))
    of_caches, of_accounts = result["diff"]
    assert of_caches["after"] == f"{': '.join(ASIA)}\n"
    assert "not in the file -> region-asia: alice" in of_accounts["prepared"]
    whole = registry.run("backup", check=True, path=str(path), _ansible_verbosity=1)
    assert result["changed"] and '"alice": "region-asia"' in whole["diff"]["after"]
    assert not path.exists() and list(path.parent.iterdir()) == []


def test_an_account_whose_cache_is_gone_is_left_out(registry: Registry, path: Path) -> None:
    registry.set_up({"a1": ASIA}, {"alice": "a1", "bob": "gone"})
    result = registry.run("backup", path=str(path))
    assert result["dangling"] == ["bob"]
    assert "bob" in json.dumps(result["warnings"])
    assert "bob" not in json.loads(path.read_text())["accounts"]


@pytest.mark.parametrize("content", ["my notes\n", "{}", ""])
def test_a_file_that_is_no_backup_is_not_replaced(registry: Registry, path: Path, content: str) -> None:
    path.write_text(content)
    result = registry.run("backup", path=str(path))
    assert result["failed"] and result["failure"]["code"] == "NOT_A_BACKUP" and str(path) in result["msg"]
    assert path.read_text() == content


def test_a_folder_that_is_not_there(registry: Registry, path: Path) -> None:
    result = registry.run("backup", path=str(path.parent / "missing" / "dtr.json"))
    assert result["failed"] and "cannot be written: No such file or directory" in result["msg"]


def test_a_dtr_that_was_set_up_anew(registry: Registry, saved: Json, path: Path) -> None:
    registry.set_up({}, {})
    preview = registry.run("restore", check=True, path=str(path))
    assert registry.writes() == 0 and saved["changed"]
    result = registry.run("restore", path=str(path))
    assert registry.caches() == [ASIA, EUROPE]
    assert registry.settings() == BY_NAME
    assert [cache["name"] for cache in result["created"]] == ["region-asia", "region-europe"]
    for key in ("changed_accounts", "unchanged", "diff"):
        assert preview[key] == result[key]
    again = registry.run("restore", path=str(path))
    assert not again["changed"] and again["changed_accounts"] == []


def test_what_changed_since_goes_back(registry: Registry, saved: Json, path: Path) -> None:
    moved = ("region-asia", "https://elsewhere.example.org:8443")
    further = ("region-africa", "https://cache-africa.example.org:443")
    # Alice stays with a cache that has moved, bob was sent to another one, dave to one that the file does not know.
    registry.set_up({"m1": moved, "e1": EUROPE, "f1": further}, {"alice": "m1", "bob": "m1", "dave": "f1"})
    result = registry.run("restore", path=str(path))
    assert saved["changed"]
    assert registry.caches() == sorted([further, ASIA, EUROPE])
    assert registry.settings() == BY_NAME
    old, new = f"region-asia ({moved[1]})", f"region-asia ({ASIA[1]})"
    (of_accounts,) = (diff["prepared"] for diff in result["diff"] if "prepared" in diff)
    assert of_accounts.strip().removeprefix("accounts: ").split("; ") == [
        "local -> region-asia: carol",
        "region-africa -> local: dave",
        f"{old} -> region-asia ({ASIA[1]}): alice",
        f"{old} -> region-europe: bob",
    ]
    assert new in of_accounts
    assert not registry.run("restore", path=str(path))["changed"]


def test_accounts_that_are_gone_are_left_out(registry: Registry, saved: Json, path: Path) -> None:
    document = json.loads(path.read_text())
    document["accounts"]["nobody-any-more"] = "region-asia"
    path.write_text(json.dumps(document))
    result = registry.run("restore", path=str(path))
    assert saved["changed"] and result["missing_accounts"] == ["nobody-any-more"] and not result["changed"]
    assert "nobody-any-more" in json.dumps(result["warnings"])


BROKEN: dict[str, tuple[str, str, str]] = {
    "cut off": ("region-europe", "\0", "it is not JSON"),
    "another format": ('"format": 1', '"format": 7', "its format is 7"),
    "a cache that is to go": (
        f'"{ASIA[1]}"',
        f'"{ASIA[1]}", "state": "absent"',
        "names and hosts, and of nothing else",
    ),
    "a former name": (f'"{ASIA[1]}"', f'"{ASIA[1]}", "former_names": ["region-europe"]', "and of nothing else"),
    "an account twice": (
        '"alice": "region-asia"',
        '"alice": "region-asia", "alice": "local"',
        "alice stands there twice",
    ),
    "a part twice": ('"accounts": {', '"accounts": {"alice": "local"}, "accounts": {', "accounts stands there twice"),
    "a part of its own": ('"format": 1', '"format": 1, "sorted": true', "sorted is no part of a backup"),
    "a password": (ASIA[1], "https://u:p@cache-asia.example.org", "the host must not carry credentials"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_file_that_cannot_be_restored_changes_nothing(
    registry: Registry, saved: Json, path: Path, broken: str
) -> None:
    before, after, words = BROKEN[broken]
    text = path.read_text()
    assert saved["changed"] and before in text
    path.write_text(text[: text.index(before)] if after == "\0" else text.replace(before, after, 1))
    registry.set_up({"a1": ASIA}, {"alice": "a1"})
    with registry.nothing_is_written():
        result = registry.run("restore", path=str(path))
    assert result["failure"]["code"] == "INVALID_BACKUP" and str(path) in result["msg"] and words in result["msg"]


def test_a_file_that_is_not_there_changes_nothing(registry: Registry, path: Path) -> None:
    with registry.nothing_is_written():
        result = registry.run("restore", path=str(path))
    assert result["failed"] and f"{path} cannot be read" in result["msg"]


def test_the_backup_of_another_dtr_is_restored_once_the_file_says_so(
    registry: Registry, saved: Json, path: Path
) -> None:
    url = registry.connection["url"]
    path.write_text(path.read_text().replace(url, "https://other.example.org"))
    registry.set_up({}, {})
    with registry.nothing_is_written():
        result = registry.run("restore", path=str(path))
    assert saved["changed"] and result["failure"]["code"] == "ANOTHER_DTR"
    assert "https://other.example.org" in result["msg"] and f'"dtr": "{url}"' in result["msg"]
    path.write_text(path.read_text().replace("https://other.example.org", f"{url}/"))
    assert registry.run("restore", path=str(path))["changed"]
    assert registry.settings() == BY_NAME


def test_entries_that_somebody_made_in_another_form_come_back_as_they_were(registry: Registry, path: Path) -> None:
    odd = [("legacy", "cache-legacy.example.org:5000"), ("region-asia ", f"{ASIA[1]}/v2")]
    registry.set_up({"l1": odd[0], "a2": odd[1]}, {"alice": "l1", "bob": "a2"})
    assert registry.run("backup", path=str(path))["changed"]
    assert not registry.run("backup", path=str(path))["changed"]
    registry.set_up({}, {})
    assert registry.run("restore", path=str(path))["changed"]
    assert (registry.caches(), registry.settings()) == (sorted(odd), {"alice": "legacy", "bob": "region-asia "})
    assert not registry.run("restore", path=str(path))["changed"]


def test_what_could_not_be_restored_makes_no_backup(registry: Registry, path: Path) -> None:
    registry.set_up({"l1": ("legacy", "")}, {"alice": "l1"})
    result = registry.run("backup", path=str(path))
    assert result["failure"]["code"] == "NOT_RESTORABLE" and "legacy has no host" in result["msg"]
    assert not path.exists()


def test_an_account_that_fails_does_not_stop_the_others(registry: Registry, saved: Json, path: Path) -> None:
    assert saved["changed"]
    registry.set_up({}, {})
    registry.control.fault("status", method="PATCH", path="bob/settings$", status=409)
    result = registry.run("restore", path=str(path), retries=0)
    assert result["failed"] and [each["name"] for each in result["failed_accounts"]] == ["bob"]
    registry.control.remove_faults()
    assert registry.settings() == {"alice": "region-asia", "carol": "region-asia"}
    assert registry.run("restore", path=str(path))["changed"]
    assert registry.settings() == BY_NAME


def test_ten_thousand_accounts(large_registry: Registry, path: Path) -> None:
    large_registry.control.reset(data=True)
    large_registry.concurrency = 16
    names = [f"user{number:05d}" for number in range(1, MANY_ACCOUNTS + 1)]
    settings = {name: ("a1", "e1")[number % 2] for number, name in enumerate(names)}
    large_registry.set_up({"a1": ASIA, "e1": EUROPE}, settings)
    options: dict[str, t.Any] = {"path": str(path), "concurrency": 16}
    assert large_registry.run("backup", **options)["accounts"] >= MANY_ACCOUNTS
    large_registry.set_up({}, {})
    result = large_registry.run("restore", **options)
    assert len(result["changed_accounts"]) == MANY_ACCOUNTS
    by_id = {"a1": "region-asia", "e1": "region-europe"}
    assert large_registry.settings() == {name: by_id[held] for name, held in settings.items()}


def test_a_file_of_another_dtr_is_not_replaced(registry: Registry, saved: Json, path: Path) -> None:
    text = path.read_text().replace(registry.connection["url"], "https://other.example.org")
    path.write_text(text)
    result = registry.run("backup", path=str(path))
    assert (
        saved["changed"] and result["failure"]["code"] == "ANOTHER_DTR" and "https://other.example.org" in result["msg"]
    )
    assert path.read_text() == text


@pytest.mark.parametrize("module", ["backup", "restore"])
@pytest.mark.parametrize("laid", ["file", "link"])
def test_a_file_that_another_user_has_laid_is_neither_read_nor_replaced(
    registry: Registry, saved: Json, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, laid: str
) -> None:
    assert saved["changed"]
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    theirs = shared / "dtr.json"
    if laid == "link":
        theirs.symlink_to(path)
    else:
        theirs.write_text(path.read_text())
    before = path.read_text()
    user = given_away(theirs, monkeypatch)
    registry.set_up({}, {})
    with registry.nothing_is_written():
        result = registry.run(module, path=str(theirs))
    assert result["failure"]["code"] == "FOREIGN_FILE"
    assert f"{theirs} belongs to user {user} and lies in a folder where everybody may write" in result["msg"]
    assert (path.read_text(), os.lstat(theirs).st_nlink) == (before, 1)


def test_a_pipe_is_not_waited_for(registry: Registry, path: Path) -> None:
    os.mkfifo(path)
    result = registry.run("backup", path=str(path))
    assert result["msg"].startswith(f"path: {path} cannot be read: it is not a regular file.")
