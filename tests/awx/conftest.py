# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from .controller import Controller, serving
from .playbook import Awx


@pytest.fixture
def awx(tmp_path: Path) -> t.Iterator[Awx]:
    controller = Controller()
    with serving(controller) as host:
        yield Awx(tmp_path, host, controller)
