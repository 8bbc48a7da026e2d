# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all benchmarks share: a process that is measured, and the table of what came out."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = HERE.resolve().parents[1]

Json = dict[str, t.Any]


# Of the table's columns. They stand before the rows are known; a longer cell moves the rest of its line.
_WIDTHS = (68, 44, 28, 6)


class Row(t.NamedTuple):
    """A line of the table. What is C(timed) depends on what else the machine does, and a miss is no failure."""

    what: str
    measured: str
    goal: str
    reached: bool
    timed: bool = True


class Measured(t.NamedTuple):
    """What a process took: seconds, kilobytes of memory at its peak, and its answer."""

    seconds: float
    kilobytes: int
    result: Json


def chosen(benchmarks: t.Iterable[str], description: str | None) -> list[str]:
    """The benchmarks that the command line names, all of them when it names none."""
    known = list(benchmarks)
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(known)}")
    names: list[str] = parser.parse_args().names or known
    if unknown := set(names) - set(known):
        parser.error(f"knows no {', '.join(sorted(unknown))}")
    return names


def report(rows: t.Iterable[Row]) -> int:
    """Print each row of the table as soon as it is measured, so that one that fails or is ended hides no other.

    Returns:
        The exit code: 1 when something missed its goal that is the same on each machine, such as memory.
    """
    missed = False
    _print("benchmark", "measured", "goal", "")
    for row in rows:
        _print(row.what, row.measured, row.goal, "within" if row.reached else "beyond")
        missed = missed or not (row.reached or row.timed)
    return int(missed)


def _print(*cells: str) -> None:
    print("  ".join(cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip(), flush=True)


def script(name: str, given: Json, environment: t.Mapping[str, str]) -> Measured:
    """A script of this folder that reads and writes JSON, in a process of its own.

    Raises:
        RuntimeError: It failed.
    """
    with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as question:
        question.write(json.dumps(given).encode())
        question.seek(0)
        start = time.perf_counter()
        process = subprocess.Popen([sys.executable, str(HERE / name)], stdin=question, stdout=answer, env=environment)
        _pid, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        answer.seek(0)
        result = json.loads(answer.read() or b"{}")
    if process.returncode or result.get("failed"):
        raise RuntimeError(f"{name}: {result.get('msg', process.returncode)}")
    return Measured(seconds, usage.ru_maxrss, result)


def module(name: str, options: Json, environment: t.Mapping[str, str]) -> Measured:
    """A module of the collection without anything around it."""
    return script("run_module.py", {"module": name, "options": options}, environment)


def collection_in(folder: Path) -> dict[str, str]:
    """An environment in which Python and Ansible find this checkout's collection."""
    (folder / "ansible_collections" / "dtr").mkdir(parents=True)
    (folder / "ansible_collections" / "dtr" / "cache").symlink_to(PROJECT)
    return {**os.environ, "PYTHONPATH": str(folder), "ANSIBLE_COLLECTIONS_PATH": str(folder)}


def expect(fact: str, found: t.Any, wanted: t.Any) -> None:
    """What a benchmark relies on.

    Raises:
        RuntimeError: It is not so, and the figure would mean something else.
    """
    if found != wanted:
        raise RuntimeError(f"{fact}: {found}, not {wanted}")
