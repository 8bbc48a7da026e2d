# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the plugins' files: none is longer than 700 lines, and imports inside the collection are relative.

The documentation of a plugin does not count as lines.
"""

from __future__ import annotations

import argparse
import ast
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
MOST_LINES = 700
DOCUMENTATION = ("DOCUMENTATION", "EXAMPLES", "RETURN")
COLLECTION = "ansible_collections.dtr.cache"


def lines_of_code(text: str) -> int:
    """The lines of a file without those of its documentation."""
    documentation = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in DOCUMENTATION
    ]
    return len(text.splitlines()) - sum((node.end_lineno or 0) - node.lineno + 1 for node in documentation)


def absolute_imports(text: str) -> list[int]:
    """The lines that import from this collection by its whole name."""
    found = []
    for node in ast.walk(ast.parse(text)):
        names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        if any(f"{name}.".startswith(f"{COLLECTION}.") for name in names):
            found.append(node.lineno)  # type: ignore[attr-defined]
    return found


def problems_of(project: Path) -> list[str]:
    """What is wrong, one sentence each."""
    found = []
    for path in sorted((project / "plugins").rglob("*.py")):
        text, name = path.read_text(encoding="utf-8"), path.relative_to(project)
        lines = lines_of_code(text)
        if lines > MOST_LINES:
            found.append(f"{name}: {lines} lines of code, and {MOST_LINES} are the most; split it by subject")
        found += [f"{name}:{line}: make the import relative" for line in absolute_imports(text)]
    return found


def main() -> int:
    """Print each problem; the exit code says whether there is one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("project", nargs="?", type=Path, default=PROJECT, help="the checkout (default: this one)")
    found = problems_of(parser.parse_args().project)
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
