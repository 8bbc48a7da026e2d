# Copyright: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Benchmarks that need the lab: real Swarms and a real cache, each figure a ratio from one run on one machine.

Prints a table with the goal of each, as C(python tests/bench) does. With the lab up, C(python tests/bench/lab NAME…)
runs some of them.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import pulls
import regions
from measure import chosen, collection_in, exit_code, lines

# Each takes an environment in which the collection is found, and gives the rows of the table.
BENCHMARKS = {"pulls": pulls.benchmark, "regions": regions.benchmark}


def main() -> int:
    rows = []
    with contextlib.ExitStack() as stack:
        environment = collection_in(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dtr-cache-bench-"))))
        for name in chosen(BENCHMARKS, __doc__):
            print(f"{name} …", file=sys.stderr)
            rows += BENCHMARKS[name](environment)
    print("\n".join(lines(rows)))
    return exit_code(rows)


if __name__ == "__main__":
    sys.exit(main())
