# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find words and sentences that readers had to read twice, in pages, comments, options and messages."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import tomllib

PROJECT = Path(__file__).resolve().parents[2]
PLACES = ("*.md", "docs", "inventory", "playbooks", "plugins", "roles")
NO_TEXT = (".png", ".svg", ".json", ".license", ".css", ".j2", "CODE_OF_CONDUCT.md", "docs/decisions.md")
WORDS = re.compile(
    r"\b(?:of (?:its|their|your|his) own|stands?(?!-)|(?:is|are|was|were) told|takes? part|taking part"
    r"|nobody|somebody|whoever)\b",
    re.IGNORECASE,
)
# Sentences that begin with a clause for a subject. Questions and commands such as "Who can do it?" end otherwise.
CLAUSES = re.compile(r"(?:^|(?<=[.:;] )|(?<=- ))(?:What|Who|Whom|Whoever)\b(?=[^?]*[.;])")
# A user's name, and a name that Docker's documents have.
ALLOWED = re.compile(r"`nobody`|stands for")


def problems(path: Path) -> list[str]:
    """Return the findings in a file, a line each."""
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        text = ALLOWED.sub("", line.lstrip("# "))
        found += [
            f"{path.relative_to(PROJECT)}:{number}: {match[0]}"
            for pattern in (WORDS, CLAUSES)
            for match in pattern.finditer(text)
        ]
    return found


def main() -> int:
    """Print all findings; return 1 where there are some."""
    ruff = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]
    # Folders whose docstrings ruff does not check yet are still to be written in plain words.
    later = {PROJECT / key.rsplit("/", 1)[0] for key, rules in ruff["per-file-ignores"].items() if "D" in rules}
    listed = subprocess.run(["git", "ls-files", *PLACES], cwd=PROJECT, check=True, capture_output=True, text=True)
    paths = [PROJECT / name for name in listed.stdout.splitlines() if not name.endswith(NO_TEXT)]
    found = [line for path in paths if path.is_file() and path.parent not in later for line in problems(path)]
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
