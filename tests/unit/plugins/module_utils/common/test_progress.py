# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module tells while it works, and where it tells nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common import progress
from ansible_collections.dtr.cache.plugins.module_utils.common.concurrency import fan_out
from ansible_collections.dtr.cache.plugins.module_utils.common.progress import Progress, sentence


def test_the_last_record_tells_the_end(tmp_path: Path) -> None:
    path = tmp_path / "progress"
    path.touch()
    with Progress(str(path)) as told:
        fan_out(told.counted("read", 2500, str), range(2500), 8, lambda _failure: False)
        assert sentence(path.read_text()) == "2,500 of 2,500 accounts read"
        told.counted("written", 1, str)("alice")
    assert sentence(path.read_text()) == "1 of 1 accounts written"


def test_what_fails_is_counted_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_RECORDS", 0.0)
    path = tmp_path / "progress"
    path.touch()

    def fail(_item: str) -> None:
        raise ValueError

    with Progress(str(path)) as told, pytest.raises(ValueError):
        told.counted("read", 7, fail)("alice")
    assert sentence(path.read_text()) == "1 of 7 accounts read"


def test_a_few_records_a_second_are_enough(tmp_path: Path) -> None:
    path = tmp_path / "progress"
    path.touch()
    with Progress(str(path)) as told:
        count = told.counted("read", 1000, str)
        for number in range(999):
            count(number)
        assert sentence(path.read_text()) == "1 of 1,000 accounts read"


def test_what_has_no_end_yet_is_counted_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_RECORDS", 0.0)
    path = tmp_path / "progress"
    path.touch()
    with Progress(str(path)) as told:
        assert len(list(told.listed(range(2500)))) == 2500
        assert sentence(path.read_text()) == "2,500 accounts listed"
        told.counted("looked up", 3, str, "teams")("a/b")
    assert sentence(path.read_text()) == "1 of 3 teams looked up"


@pytest.mark.parametrize("name", ["missing", "folder", "link", None])
def test_where_nobody_waits_nothing_is_told(tmp_path: Path, name: str | None) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "target").touch()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with Progress(name and str(tmp_path / name)) as told:
        assert told.counted("read", 1, str) is str
    assert not (tmp_path / "missing").exists()
    assert (tmp_path / "target").read_text() == ""


@pytest.mark.parametrize(
    "record", ["", "   ", '{"doing": "rea', "[]", "{}", '{"doing": "read", "done": "x", "total": 1}']
)
def test_what_cannot_be_understood_is_not_shown(record: str) -> None:
    assert sentence(record) is None


def test_a_transfer_is_told_in_blobs_and_megabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_RECORDS", 0.0)
    path = tmp_path / "progress"
    path.touch()
    with Progress(str(path)) as told:
        transfer = told.transfer()
        transfer.expect(2, 3_000_000_000)
        transfer.received(1_250_000)
        assert sentence(path.read_text()) == "0 of 2 blobs through the cache, 1.2 of 3,000.0 MB"
        transfer.complete()
        assert sentence(path.read_text()) == "1 of 2 blobs through the cache, 1.2 of 3,000.0 MB"
        # A transfer that began anew never shows more than everything.
        transfer.received(3_500_000_000)
    assert sentence(path.read_text()) == "1 of 2 blobs through the cache, 3,000.0 of 3,000.0 MB"
