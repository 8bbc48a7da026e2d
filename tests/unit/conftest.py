# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all unit tests have in common."""

from __future__ import annotations

import os
import typing as t
from unittest import mock

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.vocabulary import VARIABLE
from hypothesis import settings

# How long an example takes depends on what else the machine does.
settings.register_profile("without_deadline", deadline=None)
settings.load_profile("without_deadline")


@pytest.fixture(autouse=True)
def _words_of_modules() -> t.Iterator[None]:
    """Each task has a process of its own, and so its own words; tests share one."""
    with mock.patch.dict(os.environ):
        os.environ.pop(VARIABLE, None)
        yield
