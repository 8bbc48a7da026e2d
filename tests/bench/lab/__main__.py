# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Benchmarks that need the lab: real Swarms and a real cache, each figure a ratio from one run on one machine.

Prints a table with the goal of each, as C(python tests/bench) does. With the lab up, C(python tests/bench/lab NAME…)
runs some of them.
"""

from __future__ import annotations

import sys
import tempfile
import typing as t
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import pulls
import regions
import scale
from measure import Row, chosen, collection_in, report

# Each takes an environment in which the collection is found, and gives the rows of the table.
BENCHMARKS = {"pulls": pulls.benchmark, "regions": regions.benchmark, "scale": scale.benchmark}


def measured(names: t.Iterable[str]) -> t.Iterator[Row]:
    """The rows of each benchmark, each row when it is known."""
    with tempfile.TemporaryDirectory(prefix="dtr-cache-bench-") as folder:
        environment = collection_in(Path(folder))
        for name in names:
            print(f"{name} …", file=sys.stderr)
            yield from BENCHMARKS[name](environment)


if __name__ == "__main__":
    sys.exit(report(measured(chosen(BENCHMARKS, __doc__))))
