# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The screenshots of the pages can be taken anew, and are small."""

from __future__ import annotations

import os
from pathlib import Path

from . import screenshots
from .browser import Browser

COMMITTED = Path(__file__).parents[2] / "docs" / "pictures"
MOST_BYTES = 150_000


def test_screenshots(chromium: Browser, tmp_path: Path) -> None:
    screenshots.take(chromium, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {path.name for path in COMMITTED.glob("*.png")}
    assert len({(tmp_path / name).read_bytes() for name in names}) == len(names) == 2
    assert max(os.path.getsize(COMMITTED / name) for name in names) < MOST_BYTES
