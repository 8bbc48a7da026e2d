# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: table
short_description: Lay out a list of dictionaries as the lines of a table
version_added: 0.1.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Gives one line for the headings, one below it, and one for each row, with columns of equal width.
options:
  _input:
    description: The rows. All have the same keys, which are the headings, in the order of the first row.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show a table
  ansible.builtin.debug:
    msg: "{{ [{'region': 'asia', 'accounts': 12}, {'region': 'europe', 'accounts': 7}] | dtr.cache.table }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

import typing as t


def table(rows: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    """The rows as lines of a table; none without rows."""
    if not rows:
        return []
    headings = list(rows[0])
    cells = [headings, *([_cell(row[heading]) for heading in headings] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(headings))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in cells]
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]


def _cell(value: t.Any) -> str:
    if value is None or value in ("", [], ()):
        return "-"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Names and functions."""
        return {"table": table}
