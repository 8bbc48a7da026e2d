# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image that C(environment.image) has built, in an Engine beside the lab's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from integration.conftest import lab, play  # noqa: F401

from .engine import Engine, running


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    with running(Path(os.environ["DTR_CACHE_ENVIRONMENT"])) as started:
        yield started
