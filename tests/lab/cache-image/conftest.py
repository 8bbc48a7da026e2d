# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the content cache share: the compiled cache, and two authorities as in a real region."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from harness import BUILD, Authority


@pytest.fixture(scope="session")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled cache. Seconds, once Go has compiled the registry."""
    path = tmp_path_factory.mktemp("binary") / "content-cache"
    subprocess.run([BUILD, "--binary", path], check=True)
    return path


@pytest.fixture(scope="session")
def dtr_ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority("DTR's CA", tmp_path_factory.mktemp("ca") / "dtr")


@pytest.fixture(scope="session")
def cache_ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority("the caches' CA", tmp_path_factory.mktemp("ca") / "cache")
