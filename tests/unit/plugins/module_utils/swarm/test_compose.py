# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Durations and sizes as Docker reads them, and what it would not take."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.swarm import compose


@pytest.mark.parametrize(
    ("text", "nanoseconds"), [("5s", 5 * 10**9), ("1m30s", 90 * 10**9), ("10ms", 10**7), (None, None), (7, 7)]
)
def test_durations(text: t.Any, nanoseconds: int | None) -> None:
    assert compose.duration(text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "size"),
    [("512M", 2**29), ("512MiB", 2**29), ("512mb", 2**29), ("1gb", 2**30), ("1PiB", 2**50), ("10", 10), ("10b", 10)],
)
def test_sizes(text: str, size: int) -> None:
    assert compose.byte_size(text) == size


def test_sizes_that_are_numbers_already() -> None:
    assert [compose.byte_size(value) for value in ("1.5k", 7, None)] == [1536, 7, None]


@pytest.mark.parametrize("text", ["5", "five seconds", "s", "5s later"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(Failure):
        compose.duration(text)


@pytest.mark.parametrize("text", ["lots", "5 apples", "", "5 MiBs"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(Failure):
        compose.byte_size(text)
