# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cache whose version is DTR's: where its image comes from, and what is asked for where none can be known."""

from __future__ import annotations

import pytest
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.dtr_image import with_image_of_dtr
from ansible_collections.dtr.cache.tests.unit.support.settings import read


def test_the_version_of_dtr_is_that_of_the_image() -> None:
    settings, problems = with_image_of_dtr(read(version="")[0], "2.7.4", [])
    assert (settings.image, problems) == ("docker/dtr-content-cache:2.7.4", [])


def test_what_the_user_chose_stays() -> None:
    chosen = read(version="2.7.6")[0]
    assert with_image_of_dtr(chosen, "2.7.4", []) == (chosen, [])


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        ("", "dtr_cache_version: the DTR does not say which version it has (GET https://dtr.example.org/api/v0/admin/"),
        ("2.10.1", "dtr_cache_product: the DTR has version 2.10.1, which is of msr2"),
        ("next", "dtr_cache_version: the DTR calls its version 'next'"),
    ],
)
def test_what_cannot_be_known_is_asked_for(version: str, sentence: str) -> None:
    settings, (problem,) = with_image_of_dtr(read(version="")[0], version, [])
    assert (settings.image, problem.startswith(sentence)) == ("", True), problem


@pytest.mark.parametrize(("version", "problems"), [(None, []), ("", ["dtr_cache_product: 'x' is none of dtr"])])
def test_what_is_reported_already_is_not_reported_again(version: str | None, problems: list[str]) -> None:
    assert with_image_of_dtr(read(version="")[0], version, problems)[1] == []
