# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far to look back in logs. Apart from their reader, so that settings are read without Docker's SDK."""

from __future__ import annotations

import datetime
import re

from ..common.failure import Failure

_DURATION = re.compile(r"(0*[1-9][0-9]*)\s*([smhdw])")
# What Python 3.9 on a manager understands as well as a newer one on the control node.
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{3})?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
# By how much a manager's clock may be behind that of whoever wrote the moment.
_CLOCKS = datetime.timedelta(days=1)
# The Engine counts the seconds since then.
_FIRST = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def since(text: str, now: datetime.datetime) -> datetime.datetime:
    """The moment that C(2h) before C(now), or a timestamp, means.

    Raises:
        Failure: C(INVALID_INPUT).
    """
    match = _DURATION.fullmatch(text.strip())
    try:
        if match:
            return max(_FIRST, now - datetime.timedelta(seconds=int(match[1]) * _SECONDS[match[2]]))
        if not _MOMENT.fullmatch(text.strip()):
            raise ValueError(text)
        moment = datetime.datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)
        if moment > now + _CLOCKS:
            raise ValueError(text)
        return max(_FIRST, moment.astimezone(datetime.timezone.utc))
    except (ValueError, OverflowError):
        raise Failure(
            "INVALID_INPUT",
            f"since: {text!r} is neither a time such as 2h nor a moment in the past such as 2026-01-31T12:00:00Z.",
            hint="The units are s, m, h, d and w.",
        ) from None
