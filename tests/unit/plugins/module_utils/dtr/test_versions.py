# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions: what counts as one, and when two are the same."""

from __future__ import annotations

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.dtr.model import are_same, difference, release, tag_of


@pytest.mark.parametrize(
    ("version", "numbers"),
    [
        ("2.7.6", "2.7.6"),
        ("2.7.0-29094adc", "2.7.0"),
        ("2.10.12", "2.10.12"),
        ("2.7", ""),
        ("2.7.6.1", ""),
        ("v2.7.6", ""),
        ("latest", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_a_version_begins_with_three_numbers(version: str | None, numbers: str) -> None:
    assert release(version) == numbers


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("docker/cache:2.7.6", "2.7.6"),
        ("host:5000/cache:2.7.6@sha256:00", "2.7.6"),
        ("host:5000/cache@sha256:00", ""),
        ("host:5000/cache", ""),
        (None, ""),
    ],
)
def test_the_tag_of_an_image(image: str | None, tag: str) -> None:
    assert tag_of(image) == tag


def test_only_what_is_known_can_differ() -> None:
    assert are_same("2.7.6", "2.7.6-1") is True
    assert are_same("2.7.6", "2.7.60") is False
    assert are_same("latest", "2.7.6") is None
    assert are_same("2.7.6", None) is None
    assert difference("2.7.6", "2.9.1-x").startswith("The cache has version 2.7.6 and its DTR has 2.9.1. The vendor")
