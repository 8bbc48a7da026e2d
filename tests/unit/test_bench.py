# SPDX-FileCopyrightText: Contributors to the dtr.cache project
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
    assert found.report([well, found.Row("what", "measured", "goal", reached, timed=timed), well]) == code


def test_a_row_is_shown_as_soon_as_it_is_measured_and_a_miss_among_them_fails_at_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = measure()
    shown: list[str] = []

    def rows() -> t.Iterator[t.Any]:
        for number, reached in enumerate((False, True)):
            yield found.Row(f"benchmark {number}", "80 MB", "below 64 MB", reached, timed=False)
            shown.extend(capsys.readouterr().out.splitlines())

    assert found.report(rows()) == 1
    assert [line.split() for line in shown] == [
        ["benchmark", "measured", "goal"],
        ["benchmark", "0", "80", "MB", "below", "64", "MB", "beyond"],
        ["benchmark", "1", "80", "MB", "below", "64", "MB", "within"],
    ]
    assert len({line.index(cell) for line, cell in zip(shown, ("measured", "80", "80"), strict=True)}) == 1


def test_a_benchmark_that_cannot_be_measured_hides_no_row_before_it(capsys: pytest.CaptureFixture[str]) -> None:
    found = measure()

    def rows() -> t.Iterator[t.Any]:
        yield found.Row("the first", "9 MB", "below 64 MB", True)
        raise RuntimeError("no server")

    with pytest.raises(RuntimeError):
        found.report(rows())
    assert "the first" in capsys.readouterr().out
