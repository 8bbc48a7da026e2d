# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Caches and accounts to a file, and back, also to a DTR that was set up anew."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from .conftest import MANY_ACCOUNTS, Registry
from .playbook_runs import Ansible, Run, fleet

ASIA = ("region-asia", "https://cache-asia.example.org:443")
EUROPE = ("region-europe", "https://cache-europe.example.org:443")
SETTINGS = {"alice": "a1", "bob": "e1", "carol": "a1"}
BY_NAME = {"alice": "region-asia", "bob": "region-europe", "carol": "region-asia"}


class Backups:
    """Runs the two playbooks for one file."""

    def __init__(self, registry: Registry, ansible: Ansible, path: Path) -> None:
        self.registry, self.ansible, self.path = registry, ansible, path

    def run(self, playbook: str, *options: str) -> Run:
        inventory = fleet(self.registry, asia={})
        return self.ansible.run(
            f"dtr.cache.{playbook}", *options, inventory=inventory, dtr_cache_backup_file=str(self.path)
        )

    def succeeds(self, playbook: str, *options: str) -> Run:
        run = self.run(playbook, *options)
        assert run.code == 0, run.output
        return run

    def refuses(self, playbook: str, words: str) -> None:
        with self.registry.nothing_is_written():
            run = self.run(playbook)
        assert run.code != 0 and words in " ".join(run.output.split()), run.output


@pytest.fixture
def backups(registry: Registry, ansible: Ansible, tmp_path: Path) -> Backups:
    """A DTR with two caches."""
    registry.set_up({"a1": ASIA, "e1": EUROPE}, SETTINGS)
    return Backups(registry, ansible, tmp_path / "dtr.json")


def test_a_backup_is_made_once(backups: Backups, registry: Registry) -> None:
    path = backups.path
    with registry.nothing_is_written():
        preview = backups.succeeds("backup", "--check", "--diff")
        assert '+      "alice",' in preview.stdout and not path.exists()
        backups.succeeds("backup")
        document = json.loads(path.read_text())
        assert document["dtr"] == registry.connection["url"]
        assert {(cache["name"], cache["host"]) for cache in document["content_caches"]} == {ASIA, EUROPE}
        held = {name: cache for cache, names in document["accounts"].items() for name in names if cache != "local"}
        assert held == BY_NAME
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert registry.connection["password"] not in path.read_text()
        before = path.stat()
        assert "changed=0" in backups.succeeds("backup").stdout
        assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_an_account_whose_cache_is_gone_is_left_out(backups: Backups, registry: Registry) -> None:
    registry.set_up({"a1": ASIA}, {"alice": "a1", "bob": "gone"})
    assert "Left out, as their cache is gone: bob" in backups.succeeds("backup").stdout
    assert "bob" not in backups.path.read_text()


@pytest.mark.parametrize("content", ["my notes\n", "{}", ""])
def test_a_file_that_is_no_backup_is_not_replaced(backups: Backups, content: str) -> None:
    backups.path.write_text(content)
    backups.refuses("backup", f"{backups.path} holds something else than a backup, which would be lost")
    assert backups.path.read_text() == content


def test_the_backup_of_another_dtr_is_neither_replaced_nor_restored(backups: Backups, registry: Registry) -> None:
    backups.succeeds("backup")
    url, path = registry.connection["url"], backups.path
    text = path.read_text().replace(url, "https://other.example.org")
    path.write_text(text)
    words = "the backup of another DTR, https://other.example.org"
    backups.refuses("backup", f"{words}, which would be lost")
    backups.refuses("restore", f'{words}; if this DTR has taken its place, write "dtr": "{url}" into the file')
    assert path.read_text() == text


def test_a_dtr_that_was_set_up_anew(backups: Backups, registry: Registry) -> None:
    backups.succeeds("backup")
    registry.set_up({}, {})
    with registry.nothing_is_written():
        preview = backups.succeeds("restore", "--check", "--diff")
    assert "local -> region-asia: alice, carol" in " ".join(preview.stdout.split())
    backups.succeeds("restore")
    assert (registry.caches(), registry.settings()) == ([ASIA, EUROPE], BY_NAME)
    assert "changed=0" in backups.succeeds("restore").stdout


def test_what_changed_since_goes_back(backups: Backups, registry: Registry) -> None:
    document = json.loads(backups.path.read_text()) if backups.succeeds("backup") else {}
    document["accounts"]["region-asia"].append("nobody-any-more")
    backups.path.write_text(json.dumps(document, indent=2))
    moved = ("region-asia", "https://elsewhere.example.org:8443")
    further = ("region-africa", "https://cache-africa.example.org:443")
    # Alice stays with a cache that has moved, bob was sent to another one, dave to one that the file does not know.
    registry.set_up({"m1": moved, "e1": EUROPE, "f1": further}, {"alice": "m1", "bob": "m1", "dave": "f1"})
    run = backups.succeeds("restore")
    assert registry.caches() == sorted([further, ASIA, EUROPE])
    assert registry.settings() == BY_NAME
    assert "Left out, as DTR has no such account: nobody-any-more" in run.stdout
    assert "changed=0" in backups.succeeds("restore").stdout


BROKEN: dict[str, tuple[str, str, str]] = {
    "cut off": ("region-europe", "\0", "something else than a backup"),
    "another format": ('"format": 1', '"format": 7', "something else than a backup"),
    "a password": (ASIA[1], "https://u:p@cache-asia.example.org", "must not carry credentials"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_file_that_cannot_be_restored_changes_nothing(backups: Backups, registry: Registry, broken: str) -> None:
    before, after, words = BROKEN[broken]
    backups.succeeds("backup")
    text = backups.path.read_text()
    assert before in text
    backups.path.write_text(text[: text.index(before)] if after == "\0" else text.replace(before, after, 1))
    registry.set_up({"a1": ASIA}, {"alice": "a1"})
    backups.refuses("restore", words)


def test_an_account_that_fails_does_not_stop_the_others(backups: Backups, registry: Registry) -> None:
    backups.succeeds("backup")
    registry.set_up({}, {})
    registry.control.fault("status", method="PATCH", path="bob/settings$", status=409)
    run = backups.run("restore")
    assert run.code != 0 and "bob" in run.output
    registry.control.remove_faults()
    assert registry.settings() == {"alice": "region-asia", "carol": "region-asia"}
    backups.succeeds("restore")
    assert registry.settings() == BY_NAME


def test_ten_thousand_accounts(large_registry: Registry, ansible: Ansible, tmp_path: Path) -> None:
    large_registry.control.reset(data=True)
    names = [f"user{number:05d}" for number in range(1, MANY_ACCOUNTS + 1)]
    settings = {name: ("a1", "e1")[number % 2] for number, name in enumerate(names)}
    large_registry.set_up({"a1": ASIA, "e1": EUROPE}, settings)
    backups = Backups(large_registry, ansible, tmp_path / "dtr.json")
    backups.succeeds("backup")
    large_registry.set_up({}, {})
    backups.succeeds("restore")
    by_id = {"a1": "region-asia", "e1": "region-europe"}
    # Each hundredth is not active, and so pulls from nowhere.
    active = {name: by_id[held] for name, held in settings.items() if not name.endswith("00")}
    assert large_registry.settings() == active
