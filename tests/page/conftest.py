# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""One browser for all tests, and the pages that they look at."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.dtr.cache.plugins.filter.status_page import status_page

from .browser import Browser, browser, program
from .fleets import DTR, FLEETS, HOSTILE, TIME

BROKEN = {"url": DTR, "healthy": False, "cause": "The DTR says that it is not healthy.", "hint": "Mend it first."}


@pytest.fixture(scope="session")
def chromium() -> t.Iterator[Browser]:
    if program() is None:
        system = Path("/etc/os-release").read_text() if Path("/etc/os-release").exists() else ""
        assert "ubuntu" in system, "needs Chromium, of the distribution's package chromium"
        pytest.skip("Ubuntu has Chromium as a snap only, and this machine has no other")
    with browser() as running:
        yield running


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page of each fleet."""
    folder = tmp_path_factory.mktemp("pages")
    registries = {
        "hostile": [{**BROKEN, "url": text, "cause": text, "hint": text} for text in HOSTILE],
        "three": [BROKEN],
    }
    written = {}
    for name, rows in FLEETS.items():
        written[name] = folder / f"{name}.html"
        written[name].write_text(status_page(rows(), TIME, registries.get(name, [])), encoding="utf-8")
    return written
