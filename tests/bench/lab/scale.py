# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long one play takes over a hundred regions, and what a region costs among ten and among a hundred."""

from __future__ import annotations

import tempfile
import typing as t
from pathlib import Path

from measure import Row
from regions import Bench, fleet_of

# More than for twenty: a deployment waits for a cache most of its time.
FORKS = ("--forks", "25")
FEW = 10
MANY = 100


def benchmark(environment: dict[str, str]) -> t.Iterator[Row]:
    """All rows."""
    with tempfile.TemporaryDirectory(prefix="dtr-cache-bench-") as folder:
        bench = Bench(Path(folder), environment)
        inventory = fleet_of(bench, MANY)
        of_few = ("--limit", "region-00*")

        first = bench.play("dtr.cache.deploy", *FORKS, inventory=inventory)
        yield Row(f"the first deployment of {MANY} regions", f"{first:.0f} s", "at most 300 s", first <= 300)

        one = bench.play_again("dtr.cache.deploy", *FORKS, "--limit", "region-000", inventory=inventory)
        few = bench.play_again("dtr.cache.deploy", *FORKS, *of_few, inventory=inventory)
        many = bench.play_again("dtr.cache.deploy", *FORKS, inventory=inventory)
        yield Row(f"{MANY} regions, nothing to do", f"{many:.0f} s", "at most 60 s", many <= 60)

        early, late = (few - one) / (FEW - 1), (many - few) / (MANY - FEW)
        figures = f"{late / early:.2f} times ({late:.2f} s against {early:.2f} s)"
        what = f"a further region among {MANY}, against one among {FEW}"
        yield Row(what, figures, "at most 1.1 times", late <= 1.1 * early)

        # The stand-in of the lab has ten thousand accounts.
        status = bench.play("dtr.cache.status", *FORKS, inventory=inventory)
        yield Row(f"dtr.cache.status of {MANY} regions", f"{status:.0f} s", "at most 30 s", status <= 30)
