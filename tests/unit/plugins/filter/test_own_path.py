# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that lets a path through or not; what it goes by is tested where it is found out."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.dtr.cache.plugins.filter.own_path import FilterModule
from ansible_collections.dtr.cache.tests.unit.support.others import given_away

own_path = FilterModule().filters()["own_path"]


def test_a_path_of_ones_own_and_one_that_another_user_has_laid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o1777)
    laid = tmp_path / "review"
    assert own_path(f"{laid}/config.yml") == f"{laid}/config.yml"
    laid.symlink_to("/etc")
    given_away(laid, monkeypatch)
    with pytest.raises(AnsibleFilterError, match=r"config\.yml is not written: .*/review belongs to user "):
        own_path(f"{laid}/config.yml")
