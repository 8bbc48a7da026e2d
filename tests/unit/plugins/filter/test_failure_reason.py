# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that says why a task failed; what it says is tested where it is made."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.dtr.cache.plugins.filter.failure_reason import FilterModule

failure_reason = FilterModule().filters()["failure_reason"]


def test_a_result_has_a_reason() -> None:
    silent = {"failed": True, "msg": "Timed out", "timedout": {"period": 60}}
    assert failure_reason(silent, "asia").startswith("The manager asia did not answer within 60 seconds.")


def test_what_is_no_result_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="failure_reason: str is not the result of a task"):
        failure_reason("failed", "asia")
