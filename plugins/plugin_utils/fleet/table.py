# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows as a table that fits the width of a terminal, and numbers in words. Pure functions."""

from __future__ import annotations

import dataclasses
import textwrap
import typing as t

from ...module_utils.common.names import named

Row = t.Mapping[str, t.Any]

_GAP = "  "
# No terminal is narrower than a word with its indentation.
_NARROWEST = 20
_UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows with the sentences that follow them.

    Column C(url) is the first to be left out where the table is too wide, and C(gap) has to have a value somewhere.

    Args:
        rows: All have the same keys, in the order of the columns. The first value is the name of the row.
        notes: For each row the sentences that follow it, such as why it failed. Those of several rows follow once,
            after all rows, with their names.
        detail: The column that comes into lines of its own where the table is too wide without C(url) as well.
        headings: What stands over a column instead of its key.
        other_name: The column that is left out where it is the same as the first in all rows, or not known.
    """

    rows: t.Sequence[Row]
    notes: t.Sequence[t.Sequence[str]] = ()
    detail: str = "changed"
    headings: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    other_name: str = "cache"

    def lines(self, width: int) -> list[str]:
        """Return the lines, none wider than the width; none at all without rows."""
        if not self.rows:
            return []
        width = max(width, _NARROWEST)
        everything = [column for column in self.rows[0] if self._is_shown(column)]
        without_address = [column for column in everything if column != "url"]
        common = shared([str(next(iter(row.values()))) for row in self.rows], self.notes)
        for columns in (everything, without_address, [each for each in without_address if each != self.detail]):
            widths = [max(len(self._heading(name)), *(len(_cell(row[name])) for row in self.rows)) for name in columns]
            if sum(widths) + len(_GAP) * (len(widths) - 1) <= width:
                lines = self._in_columns(columns, widths, width, common)
                break
        else:
            lines = self._in_blocks(without_address, width, common)
        texts = [f"{named(rows)}: {note.removeprefix('- ')}" for note, rows in common.items()]
        return [*lines, *(line for text in texts for line in wrapped(text, width))]

    def _is_shown(self, column: str) -> bool:
        if column == "gap":
            return any(row[column] is not None for row in self.rows)
        return column != self.other_name or any(
            row[column] not in (None, "", next(iter(row.values()))) for row in self.rows
        )

    def _in_columns(
        self, columns: t.Sequence[str], widths: t.Sequence[int], width: int, common: t.Container[str]
    ) -> list[str]:
        def line(cells: t.Iterable[str]) -> str:
            return _GAP.join(cell.ljust(wide) for cell, wide in zip(cells, widths)).rstrip()

        lines = [line(map(self._heading, columns)), line("-" * wide for wide in widths)]
        for number, row in enumerate(self.rows):
            lines.append(line(_cell(row[name]) for name in columns))
            lines += self._cells([self.detail] if self.detail in row and self.detail not in columns else [], row, width)
            lines += self._notes(number, width, common)
        return lines

    def _in_blocks(self, columns: t.Sequence[str], width: int, common: t.Container[str]) -> list[str]:
        """Return a line for each cell, where not even a few columns fit."""
        lines: list[str] = []
        for number, row in enumerate(self.rows):
            lines += textwrap.wrap(_cell(row[columns[0]]), width)
            lines += self._cells(columns[1:], row, width)
            lines += self._notes(number, width, common)
        return lines

    def _cells(self, columns: t.Iterable[str], row: Row, width: int) -> list[str]:
        known = [name for name in columns if row[name] not in (None, "", [], (), "nothing", "none")]
        return [line for name in known for line in _indented(f"{self._heading(name)}: {_cell(row[name])}", width)]

    def _notes(self, number: int, width: int, common: t.Container[str]) -> list[str]:
        notes = self.notes[number] if number < len(self.notes) else ()
        own = [note for note in notes if note not in common]
        return [line for note in own for part in note.splitlines() for line in _indented(part, width)]

    def _heading(self, name: str) -> str:
        return self.headings.get(name, name)


def shared(names: t.Sequence[str], notes: t.Iterable[t.Sequence[str]]) -> dict[str, list[str]]:
    """Return the notes that more than one row has, each with the names of these rows."""
    found: dict[str, list[str]] = {}
    for name, of_row in zip(names, notes):
        for note in dict.fromkeys(of_row):
            found.setdefault(note, []).append(name)
    return {note: rows for note, rows in found.items() if len(rows) > 1}


def wrapped(text: str, width: int) -> list[str]:
    """Return a line of text as lines of at most the width, all with its indentation."""
    plain = text.lstrip(" ")
    indent = " " * min(len(text) - len(plain), _NARROWEST // 2)
    return textwrap.wrap(plain, max(width, _NARROWEST), initial_indent=indent, subsequent_indent=indent) or [""]


def size_words(size: float) -> str:
    """Return bytes in the unit that people read."""
    amount, unit = float(size), 0
    while amount >= 999.5 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.0f} {_UNITS[unit]}" if unit == 0 or amount >= 99.95 else f"{amount:.1f} {_UNITS[unit]}"


def counted_words(count: int, word: str) -> str:
    """Return such as C(1 pull) and C(2,811 layers)."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _indented(text: str, width: int) -> list[str]:
    return wrapped(f"  {' '.join(text.split())}", width)


def _cell(value: t.Any) -> str:
    if value is None or value in ("", [], ()):
        return "-"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
