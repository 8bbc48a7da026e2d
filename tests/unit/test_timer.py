# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The timers of C(docs/guides/observing.md): systemd takes the units, and all of them run a playbook that is there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PAGE = (PROJECT / "docs" / "guides" / "observing.md").read_text()
UNITS = sorted((PROJECT / "docs" / "systemd").iterdir())


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    def verified() -> str:
        units = [str(tmp_path / unit.name) for unit in UNITS]
        done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    for unit in UNITS:
        # Where the program lies is another matter on each machine.
        (tmp_path / unit.name).write_text(unit.read_text().replace("/usr/bin/ansible-playbook", "/bin/true"))
    assert "dtr-cache-assign" not in verified()
    timer = tmp_path / "dtr-cache-assign.timer"
    timer.write_text(timer.read_text().replace("03:00:00", "at night"))
    assert "dtr-cache-assign.timer" in verified(), "a mistake is found"


def test_what_they_run_is_there() -> None:
    (schedule,) = re.findall(r"^```crontab\n(.*)\n```$", PAGE, re.MULTILINE)
    minute, hour, *rest, user, _command = schedule.split(" ", 6)
    assert (minute, hour, rest, user) == ("0", "3", ["*"] * 3, "ansible")
    units = [unit.read_text() for unit in UNITS if unit.suffix == ".service"]
    assert all("dtr.cache.assign" in text for text in (schedule, *units))
    assert (PROJECT / "playbooks" / "assign.yml").exists()
