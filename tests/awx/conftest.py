# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import typing as t
from pathlib import Path

import pytest

from .controller import Controller, serving
from .playbook import Awx

GIVEN: dict[str, t.Any] = {
    "project_url": "https://git.example.org/dtr/caches.git",
    "credentials": ["managers"],
    "image": "registry.example.org/dtr/ee:1",
}


@pytest.fixture
def awx(tmp_path: Path) -> t.Iterator[Awx]:
    """An AWX without anything of the collection's."""
    controller = Controller()
    with serving(controller) as host:
        yield Awx(tmp_path / "new", host, controller)


@pytest.fixture(scope="session")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Controller:
    controller = Controller()
    with serving(controller) as host:
        code, output = Awx(tmp_path_factory.mktemp("made"), host, controller)(**GIVEN)
    assert code == 0, output
    controller.output = output
    return controller


@pytest.fixture
def made(tmp_path: Path, _made: Controller) -> t.Iterator[Awx]:
    """An AWX in which the playbook has put everything, with the variables C(GIVEN)."""
    controller = copy.deepcopy(_made)
    controller.writes.clear()
    with serving(controller) as host:
        yield Awx(tmp_path / "made", host, controller)
