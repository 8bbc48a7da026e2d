# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check of the plugins' files: their length without documentation, and their imports."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.dtr.cache.tests.lib import source_files


def problems(folder: Path, text: str) -> list[str]:
    (folder / "plugins" / "modules").mkdir(parents=True, exist_ok=True)
    (folder / "plugins" / "modules" / "one.py").write_text(text, encoding="utf-8")
    return source_files.problems_of(folder)


def test_documentation_does_not_count(tmp_path: Path) -> None:
    documentation = 'DOCUMENTATION = r"""\n' + "x\n" * 500 + '"""\n'
    assert problems(tmp_path, documentation + "a = 1\n" * source_files.MOST_LINES) == []
    (problem,) = problems(tmp_path, documentation + "a = 1\n" * (source_files.MOST_LINES + 1))
    assert problem.startswith(f"plugins/modules/one.py: {source_files.MOST_LINES + 1} lines of code")


def test_imports_inside_the_collection_are_relative(tmp_path: Path) -> None:
    assert problems(tmp_path, "from ..module_utils import x\nfrom ansible_collections.dtr.cache_of import y\n") == []
    for text in (
        "from ansible_collections.dtr.cache.plugins import x\n",
        "import ansible_collections.dtr.cache.plugins\n",
    ):
        assert problems(tmp_path, f"import re\n{text}") == ["plugins/modules/one.py:2: make the import relative"]
