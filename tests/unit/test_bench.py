# Copyright: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a benchmark's goals are worth: figures of time depend on the machine, all others have to be reached."""

from __future__ import annotations

import importlib.util
import sys
import typing as t
from pathlib import Path

import pytest

PATH = Path(__file__).parents[1] / "bench" / "measure.py"


def measure() -> t.Any:
    spec = importlib.util.spec_from_file_location("dtr_cache_measure", PATH)
    assert spec
    assert spec.loader
    module = sys.modules["dtr_cache_measure"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("reached", "timed", "code"), [(True, True, 0), (False, True, 0), (True, False, 0), (False, False, 1)]
)
def test_what_is_not_reached_fails_unless_it_is_time(reached: bool, timed: bool, code: int) -> None:
    found = measure()
    well = found.Row("memory", "9 MB", "below 64 MB", True, timed=False)
    assert found.exit_code([well, found.Row("what", "measured", "goal", reached, timed=timed)]) == code
