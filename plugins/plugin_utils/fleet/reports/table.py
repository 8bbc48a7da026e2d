# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows as the lines of a table that fits the width of a terminal. Pure functions."""

from __future__ import annotations

import dataclasses
import functools
import textwrap
import typing as t

from ....module_utils.common.names import named

Row = t.Mapping[str, t.Any]

_GAP = "  "
_INDENT = "  "
# No terminal is narrower than a word with its indentation.
_NARROWEST = 20


@dataclasses.dataclass(frozen=True)
class Table:
    """What a table shows.

    Args:
        rows: All have the same keys, in the order of the columns.
        notes: For each row the sentences that follow it in lines of their own, such as why it failed. Those of several
            rows follow once, after all rows, with their names.
        address: The column that is left out first where the table is too wide.
        detail: The column that comes into lines of its own next.
        headings: What stands over a column instead of its key.
        other_name: The column that is left out where it is the same as the first in all rows, or not known.
    """

    rows: t.Sequence[Row]
    notes: t.Sequence[t.Sequence[str]] = ()
    address: str = "url"
    detail: str = "changed"
    headings: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    other_name: str = "cache"

    def lines(self, width: int) -> list[str]:
        """The lines, none wider than the width; none at all without rows."""
        if not self.rows:
            return []
        width = max(width, _NARROWEST)
        everything = [column for column in self.rows[0] if column != self.other_name or self._names_differ()]
        without_address = [column for column in everything if column != self.address]
        without_detail = [column for column in without_address if column != self.detail]
        for columns in (everything, without_address, without_detail):
            widths = self._widths(columns)
            if sum(widths) + len(_GAP) * (len(widths) - 1) <= width:
                return [*self._in_columns(columns, widths, width), *self._common(width)]
        return [*self._in_blocks(without_address, width), *self._common(width)]

    def _names_differ(self) -> bool:
        return any(row[self.other_name] not in (None, "", next(iter(row.values()))) for row in self.rows)

    def _widths(self, columns: t.Sequence[str]) -> list[int]:
        return [max(len(self._heading(name)), *(len(_cell(row[name])) for row in self.rows)) for name in columns]

    def _in_columns(self, columns: t.Sequence[str], widths: t.Sequence[int], width: int) -> list[str]:
        def line(cells: t.Iterable[str]) -> str:
            return _GAP.join(cell.ljust(wide) for cell, wide in zip(cells, widths)).rstrip()

        lines = [line(map(self._heading, columns)), line("-" * wide for wide in widths)]
        for number, row in enumerate(self.rows):
            lines.append(line(_cell(row[name]) for name in columns))
            if self.detail in row and self.detail not in columns and _is_something(row[self.detail]):
                lines += _wrapped(f"{self._heading(self.detail)}: {_cell(row[self.detail])}", width)
            lines += self._notes(number, width)
        return lines

    def _in_blocks(self, columns: t.Sequence[str], width: int) -> list[str]:
        """A line for each cell, where not even a few columns fit."""
        lines: list[str] = []
        for number, row in enumerate(self.rows):
            lines += textwrap.wrap(_cell(row[columns[0]]), width)
            for name in columns[1:]:
                if _is_something(row[name]):
                    lines += _wrapped(f"{self._heading(name)}: {_cell(row[name])}", width)
            lines += self._notes(number, width)
        return lines

    def _notes(self, number: int, width: int) -> list[str]:
        notes = self.notes[number] if number < len(self.notes) else ()
        own = [note for note in notes if note not in self._shared]
        return [line for note in own for part in note.splitlines() for line in _wrapped(part, width)]

    def _common(self, width: int) -> list[str]:
        texts = [f"{named(rows)}: {note.removeprefix('- ')}" for note, rows in self._shared.items()]
        return [line for text in texts for line in wrapped(text, width)]

    @functools.cached_property
    def _shared(self) -> dict[str, list[str]]:
        names = [str(next(iter(row.values()))) for row in self.rows]
        return shared(names, self.notes)

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
    """One line of text in lines of at most the width, all with its indentation."""
    plain = text.lstrip(" ")
    indent = " " * min(len(text) - len(plain), _NARROWEST // 2)
    return textwrap.wrap(plain, max(width, _NARROWEST), initial_indent=indent, subsequent_indent=indent) or [""]


def _wrapped(text: str, width: int) -> list[str]:
    return wrapped(f"{_INDENT}{' '.join(text.split())}", width)


def _is_something(value: t.Any) -> bool:
    return value not in (None, "", [], (), "nothing", "none")


def _cell(value: t.Any) -> str:
    if value is None or value in ("", [], ()):
        return "-"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
