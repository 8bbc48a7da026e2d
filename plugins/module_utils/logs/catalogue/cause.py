# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The form of a known cause."""

from __future__ import annotations

import re
import typing as t

# Places where something goes wrong, besides the trust edges.
START = "start"  # the container does not get as far as serving
STORAGE = "storage"
# The ends of hints.
DEPLOY = "and run dtr.cache.deploy again"
ROTATE = "and run dtr.cache.rotate"


class Cause(t.NamedTuple):
    """A known cause.

    C(place) is a trust edge, or one of the places here. C(summary) is one clause that stands after the cache's name and
    a colon; C(hint) says what to do.
    """

    code: str
    place: str
    summary: str
    hint: str
    pattern: re.Pattern[str]


def cause(code: str, place: str, summary: str, hint: str, *patterns: str) -> Cause:
    """A cause that any of the patterns, found in a text, points to."""
    return Cause(code, place, summary, hint, re.compile("|".join(patterns)))
