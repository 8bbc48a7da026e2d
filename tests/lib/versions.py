# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The combinations of C(tests/versions.yml), a line each: ansible-core, community.docker, its package, Python.

With --oldest only those of the oldest two, with --core VERSION only those of this ansible-core.
"""

from __future__ import annotations

import argparse
import typing as t
from pathlib import Path

import yaml

PROJECT = Path(__file__).resolve().parents[2]


class Combination(t.NamedTuple):
    """What a control node has."""

    core: str
    docker: str
    package: str
    python: str


def stated() -> dict[str, t.Any]:
    content: dict[str, t.Any] = yaml.safe_load((PROJECT / "tests" / "versions.yml").read_text(encoding="utf-8"))
    return content


def combinations() -> list[Combination]:
    """All of them, the oldest first."""
    return [
        Combination(row["ansible_core"], docker, package, python)
        for row in stated()["control_node"]
        for docker, package in row["community_docker"].items()
        for python in row["python"]
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--oldest", action="store_true")
    parser.add_argument("--core", action="append")
    options = parser.parse_args()
    found = combinations()
    if options.oldest:
        found = [each for each in found if each[:2] == found[0][:2]]
    for each in found:
        if not options.core or each.core in options.core:
            print(*each)


if __name__ == "__main__":
    main()
