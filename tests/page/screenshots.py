# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes the screenshots of docs/pictures: the page of the status report, of two caches, in light and in dark.

tests/lib/screenshots runs it. Browsers differ by their fonts, so nothing compares the pictures with new ones.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from ansible_collections.dtr.cache.plugins.filter.status_page import status_page

from .browser import Browser, browser
from .fleets import TIME, closed, healthy

WIDTH = 1120
# Down to the end of the cards, and a little of what is behind them.
END = "Math.max(...[...document.querySelectorAll('article')].map(card => card.getBoundingClientRect().bottom)) + 24"


def take(running: Browser, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as made:
        page = Path(made) / "status.html"
        page.write_text(status_page([healthy(), closed()], TIME, []), encoding="utf-8")
        for scheme in ("light", "dark"):
            running.look(WIDTH, dark=scheme == "dark")
            running.open(page.as_uri())
            running.look(WIDTH, round(running.run(END)), dark=scheme == "dark")
            running.picture(folder / f"status-{scheme}.png", whole=False)


if __name__ == "__main__":
    with browser() as found:
        take(found, Path(sys.argv[1]))
