# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup holds, and what is wrong with a file that is none."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.dtr.model import ContentCache
from ansible_collections.dtr.cache.plugins.module_utils.module.backups import as_text, backup_of, read_backup

ASIA = ContentCache("1", "region-asia", "https://cache-asia.example.org")
EUROPE = ContentCache("2", "region-europe", "https://cache-europe.example.org")
DTR = "https://dtr.example.org"
MOMENT = "2026-01-31T12:00:00Z"


def written(settings: t.Mapping[str, str | None]) -> str:
    return as_text(backup_of(DTR, [EUROPE, ASIA], settings)[0], MOMENT)


def test_what_is_written_is_read_again() -> None:
    backup, dangling = backup_of(DTR, [EUROPE, ASIA], {"bob": None, "alice": "1", "carol": "gone"})
    assert dangling == ["carol"]
    assert backup.accounts == {"alice": "region-asia", "bob": "local"}
    assert [cache.name for cache in backup.caches] == ["region-asia", "region-europe"]
    assert read_backup(as_text(backup, MOMENT), "f.json") == backup


def test_a_file_can_be_compared_line_by_line() -> None:
    assert '\n    "alice": "region-asia",\n    "bob": "local"\n' in written({"bob": None, "alice": "1"})


def test_accounts_get_the_ids_of_another_dtr() -> None:
    backup = read_backup(written({"alice": "1", "bob": None, "carol": "2"}), "f.json")
    anew = [ASIA._replace(id="9"), EUROPE._replace(id="8")]
    assert backup.wanted(anew, {"alice", "bob"}) == {"alice": "9", "bob": None}


def test_names_alone_cannot_tell_two_caches_apart() -> None:
    with pytest.raises(Failure, match="several content caches named region-asia") as raised:
        backup_of(DTR, [ASIA, ASIA._replace(id="3")], {})
    assert raised.value.code == "DUPLICATE_CACHES"


NO_CACHES = "content_caches is no list of names and hosts, and of nothing else"


def changed(**parts: t.Any) -> str:
    return json.dumps({**json.loads(written({"alice": "1"})), **parts})


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", ["it is not JSON"]),
        ("[" * 100_000, ["it is not JSON"]),
        ("[]", ["it is no backup of dtr.cache"]),
        (changed(kind="other"), ["it is no backup of dtr.cache"]),
        (changed(dtr=None), ["dtr is no address"]),
        (changed(format=2), ["its format is 2, and this version reads 1"]),
        (changed(content_caches={}), [NO_CACHES]),
        (changed(content_caches=[{"name": "a"}]), [NO_CACHES]),
        (changed(accounts=[]), ["accounts does not give the name of a cache to each account"]),
        (changed(accounts={"alice": 1}), ["accounts does not give the name of a cache to each account"]),
        (changed(accounts={"..": "local"}), ["'..' cannot be an account's name"]),
        (changed(accounts={"alice": "nowhere"}), ["accounts pull from nowhere, which is not among its content_caches"]),
        (
            changed(content_caches=[{"name": "local", "host": "https://a.example.org"}]),
            ["'local' means no cache in DTR and cannot be a cache's name"],
        ),
        (
            changed(content_caches=[{"name": "a", "host": " "}], accounts={"a/b": "a"}),
            ["a has no host", "'a/b' cannot be an account's name"],
        ),
    ],
)
def test_what_is_wrong_with_a_file(text: str, problems: list[str]) -> None:
    with pytest.raises(Failure) as raised:
        read_backup(text, "f.json")
    assert raised.value.code == "INVALID_BACKUP"
    assert raised.value.result["problems"] == problems
    assert "f.json" in raised.value.message
