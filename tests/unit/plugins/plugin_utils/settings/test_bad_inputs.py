# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever is wrong with one variable is told in plain sentences that name it, and nothing else is called wrong.

The inputs are in the tables beside this file. They are read as the preflight reads them, with Ansible's own templar.
"""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.model import NEEDS
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.variables import read_host
from ansible_collections.dtr.cache.tests.unit.plugins.plugin_utils.settings import (
    bad_inputs_addresses,
    bad_inputs_certificates,
    bad_inputs_kinds,
    bad_inputs_run,
    bad_inputs_service,
)
from ansible_collections.dtr.cache.tests.unit.plugins.plugin_utils.settings.bad_inputs_kinds import SECRET
from ansible_collections.dtr.cache.tests.unit.support.lookups import without_environment
from ansible_collections.dtr.cache.tests.unit.support.settings import CACHE, DEFAULTS, GOOD

PREFIX = "dtr_cache_"
TOPICS = (bad_inputs_kinds, bad_inputs_addresses, bad_inputs_certificates, bad_inputs_run, bad_inputs_service)
TOGETHER = [*bad_inputs_certificates.TOGETHER, *bad_inputs_run.TOGETHER]
# What the control node, a program or a library says of itself, and nobody wants to read.
NOISE = ("Traceback", "<class", "object at 0x", "NoneType", "Errno", "\n", "\x1b", "ValueError", "None ", "{}")
# A terminal's lines; what cannot be read of a certificate takes more than one.
LONGEST = 500

Wrong = tuple[str, dict[str, t.Any]]


def wrong_inputs(name: str) -> list[Wrong]:
    found = [(name, {name: value}) for topic in TOPICS for value in topic.TABLE.get(name, [])]
    return found + [each for each in TOGETHER if each[0] == name]


NAMES = sorted({*(name for topic in TOPICS for name in topic.TABLE), *(name for name, _changes in TOGETHER)})


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the paths in the tables lead to."""
    folder = tmp_path_factory.mktemp("files")
    for name, content in bad_inputs_certificates.FILES.items():
        (folder / name).write_bytes(content)
    (folder / "folder").mkdir()
    (folder / "link.pem").symlink_to(folder / "empty.pem")
    os.mkfifo(folder / "pipe")
    return folder


@pytest.fixture(autouse=True)
def lonely(monkeypatch: pytest.MonkeyPatch, files: Path) -> None:
    """Neither the environment nor the trust of this machine says anything."""
    without_environment(monkeypatch)
    monkeypatch.setenv("SSL_CERT_FILE", str(files / "none"))
    monkeypatch.setenv("SSL_CERT_DIR", str(files / "none"))


def placed(value: t.Any, files: Path) -> t.Any:
    """A value with the folder of the files in its place."""
    if isinstance(value, str):
        return value.replace("{files}", str(files))
    if isinstance(value, list):
        return [placed(item, files) for item in value]
    return {key: placed(item, files) for key, item in value.items()} if isinstance(value, dict) else value


def problems_of(changes: dict[str, t.Any], files: Path) -> list[str]:
    changed = {PREFIX + name: placed(value, files) for name, value in changes.items()}
    variables = {"inventory_hostname": "asia", **GOOD, **changed}
    loader = DataLoader()
    return read_host(variables, Templar(loader=loader, variables=variables), loader, NEEDS).problems


def complaint(name: str, changes: dict[str, t.Any], files: Path) -> str:
    """What is not as it should be about the problems of a wrong input."""
    problems = problems_of(changes, files)
    secrets = (SECRET, GOOD["dtr_cache_registry_password"], *CACHE.key_pem.splitlines()[1:-1])
    if not problems:
        return "is accepted"
    others = [problem for problem in problems if not problem.startswith(f"{PREFIX}{name}: ")]
    if others:
        return f"others are called wrong: {others}"
    if any(secret in problem for secret in secrets for problem in problems):
        return "shows a secret"
    noise = [problem for problem in problems if len(problem) > LONGEST or any(word in problem for word in NOISE)]
    return f"is no plain sentence: {noise}" if noise else ""


@pytest.mark.parametrize("name", NAMES)
def test_each_bad_input_is_a_problem_of_its_variable_alone(name: str, files: Path) -> None:
    complaints = {}
    for number, (variable, changes) in enumerate(wrong_inputs(name)):
        found = complaint(variable, changes, files)
        if found:
            complaints[f"{number} {changes!r:.200}"] = found
    assert complaints == {}


def test_the_good_input_that_they_differ_from_is_accepted(files: Path) -> None:
    assert problems_of({}, files) == []


def test_each_variable_is_wrong_in_many_ways() -> None:
    counts = {name: len(wrong_inputs(name.removeprefix(PREFIX))) for name in DEFAULTS}
    assert min(counts.values()) >= 20, counts
    assert sum(counts.values()) >= 2000
    assert all(len(bad_inputs_kinds.TABLE[name.removeprefix(PREFIX)]) >= 20 for name in DEFAULTS)
