# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The width of the terminal that the run is shown in."""

from __future__ import annotations

import os
import sys
import typing as t

# A log, a job of a CI or a page of AWX has no width of its own.
_WITHOUT_TERMINAL = 120


def terminal_width(stream: t.Any = None, environment: t.Mapping[str, str] | None = None) -> int:
    """The columns of the terminal; what the environment says comes first, as for other programs."""
    given = (os.environ if environment is None else environment).get("COLUMNS", "")
    if given.isdigit() and int(given) > 0:
        return int(given)
    try:
        shown = stream or sys.__stdout__
        return (os.get_terminal_size(shown.fileno()).columns if shown else 0) or _WITHOUT_TERMINAL
    except (OSError, ValueError, AttributeError):
        return _WITHOUT_TERMINAL
