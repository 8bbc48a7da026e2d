# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The beginning of the time that is read."""

from __future__ import annotations

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.logs.since import since
from ansible_collections.dtr.cache.tests.unit.support.logs import (
    NOW,
)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90s", "2026-01-31T11:58:30+00:00"),
        ("2h", "2026-01-31T10:00:00+00:00"),
        ("1d", "2026-01-30T12:00:00+00:00"),
        ("2026-01-31T11:00:00Z", "2026-01-31T11:00:00+00:00"),
        ("2026-01-31T13:00:00+02:00", "2026-01-31T11:00:00+00:00"),
        ("2026-01-31", "2026-01-31T00:00:00+00:00"),
        # The times of lines are compared as text, of which a year has four digits.
        ("0999-01-01", "1970-01-01T00:00:00+00:00"),
        ("700000d", "1970-01-01T00:00:00+00:00"),
    ],
)
def test_since(text: str, moment: str) -> None:
    assert since(text, NOW).isoformat() == moment


# The last of these are understood by newer versions of Python only, or by none in another time zone.
@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "soon",
            "2 fortnights",
            "-1h",
            "0h",
            "00d",
            "2026-02-02T00:00:00Z",
            "2099-01-01",
            "99999999999999999d",
            "\u0663h",
        ),
        *("2026-W05", "20260131", "2026-01-31T12:00:00.5Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"),
    ],
)
def test_a_time_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(Failure, match="since"):
        since(text, NOW)
