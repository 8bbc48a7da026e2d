# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hints name what whoever gets them sets and runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common import vocabulary
from ansible_collections.dtr.cache.plugins.module_utils.common.vocabulary import ROLES, VARIABLE, word

MODULE_UTILS = Path(vocabulary.__file__).parents[1]
# Modules have no playbook's name, so in a playbook's hints none of theirs may stand.
PLAYBOOKS = {path.stem for path in MODULE_UTILS.parents[1].glob("playbooks/*.yml")}


def test_each_word_is_known() -> None:
    used = {
        name
        for path in MODULE_UTILS.rglob("*.py")
        for name in re.findall(r"\bword\(\s*[\"']([^\"']+)[\"']\)", path.read_text())
    }
    assert len(used) > 10
    assert used <= set(vocabulary._WORDS)


@pytest.mark.parametrize("name", sorted(vocabulary._WORDS))
def test_a_role_speaks_of_variables_and_playbooks_only(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, ROLES)
    for named in re.findall(r"dtr\.cache\.(\w+)", word(name)):
        assert named in PLAYBOOKS
    assert not re.search(r"\b(ca_path|ca_certificate|account_of|client_cert)\b", word(name))


def test_a_module_speaks_of_its_options() -> None:
    assert word("url") == "url"
    assert word("DTR's CA") == "ca_path or ca_certificate"
