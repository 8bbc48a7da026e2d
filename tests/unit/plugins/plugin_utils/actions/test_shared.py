# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the processes of a run share is made once, however many ask for it at the same time."""

from __future__ import annotations

import multiprocessing
import os
import time
import typing as t
from pathlib import Path

import pytest
from ansible import constants
from ansible_collections.dtr.cache.plugins.plugin_utils.actions.shared import first_claim, made_once


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    return tmp_path


def test_processes_that_ask_together_get_the_same(folder: Path) -> None:
    def make() -> t.Any:
        time.sleep(0.05)
        (folder / f"made-{os.getpid()}").touch()
        return [os.getpid()]

    forked = multiprocessing.get_context("fork")
    answers = forked.Queue()
    processes = [forked.Process(target=lambda: answers.put(made_once("key", make))) for _each in range(6)]
    for process in processes:
        process.start()
    found = [answers.get(timeout=20) for _each in processes]
    for process in processes:
        process.join()
    assert len(list(folder.glob("made-*"))) == 1
    assert all(each == found[0] for each in found)


def test_each_key_is_its_own_and_a_failure_is_not_kept() -> None:
    def fail() -> t.Any:
        raise ValueError

    with pytest.raises(ValueError):
        made_once("one", fail)
    assert made_once("one", lambda: {"a": 1}) == {"a": 1}
    assert made_once("one", fail) == {"a": 1}
    assert made_once("other", lambda: 2) == 2


def test_the_first_claim_holds() -> None:
    assert first_claim("stack", {"host": "asia"}) == {"host": "asia"}
    assert first_claim("stack", {"host": "europe"}) == {"host": "asia"}
