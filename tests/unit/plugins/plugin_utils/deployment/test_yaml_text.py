# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts that Go's YAML would take for something else."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.dtr.cache.plugins.plugin_utils.deployment.yaml_text import as_yaml
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.values import is_misread

# As gopkg.in/yaml.v2 (resolve.go) has them.
MISREAD = [
    *("y", "Y", "n", "N", "1e3", "+1e3", "-1.5e3", ".5E2", "0o17", "0O17", "0X1F", "-0B1", "0_8", "1e_3", "+_1"),
    # Short names of commits, and a date.
    *("08", "0812345", "12e03", "2026-1-5", "2026-1-5 1:2:3"),
]


@pytest.mark.parametrize("text", MISREAD)
def test_what_only_go_takes_for_another_type_is_quoted(text: str) -> None:
    assert is_misread(text)
    written = as_yaml({text: text, "list": [text]})
    assert written == f"'{text}': '{text}'\nlist:\n- '{text}'\n"
    assert yaml.safe_load(written) == {text: text, "list": [text]}


@pytest.mark.parametrize("text", ["yes", "no", "5", "0.5", "null", "2026-01-01", "0x1F", "5.e-1", "1_000", "", "~"])
def test_what_both_do_is_quoted_anyway(text: str) -> None:
    assert as_yaml([text]) in (f"- '{text}'\n", f'- "{text}"\n')


@pytest.mark.parametrize(
    "text", ["nginx", "ny", "1e3x", "e3", "24h", "1.5.0", "a: b", "_1", "0xg", "e_3", "2026-1", "-", "."]
)
def test_texts_stay_texts(text: str) -> None:
    assert not is_misread(text)
    assert yaml.safe_load(as_yaml(text)) == text
