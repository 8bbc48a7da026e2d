# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.dtr.cache.plugins.filter import seconds_each


@pytest.mark.parametrize(
    ("items", "wait", "most", "seconds"),
    [(3, 10, 30, 10), (3, 300, 30, 30), (1, 300, 60, 60), (0, 10, 30, 30), (100, 10, 30, 5)],
)
def test_all_items_end_not_long_after_the_user_stops_waiting(items: int, wait: int, most: int, seconds: int) -> None:
    each = seconds_each.FilterModule().filters()["seconds_each"](["item"] * items, wait, most)
    assert each == seconds
    assert each * items <= wait + 30 or each == 5
