# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which image belongs to which version: what the vendor's documents name, and nothing that they do not."""

from __future__ import annotations

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.cache import with_image_of_dtr
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.image import PRODUCTS, image_of_dtr, image_of_version
from ansible_collections.dtr.cache.tests.unit.support.settings import read

MSR3 = "registry.mirantis.com/msr/msr-content-cache"
IMAGES = [
    ("dtr", "2.5.16", "docker/dtr-content-cache"),
    ("dtr", "2.6.12", "docker/dtr-content-cache"),
    ("dtr", "2.7.6", "docker/dtr-content-cache"),
    ("msr2", "2.8.2", "mirantis/dtr-content-cache"),
    ("msr2", "2.9.11", "mirantis/dtr-content-cache"),
    ("msr3", "3.0.7", MSR3),
    ("msr3", "3.1.13", MSR3),
]
# Those of a DTR that no document has, and what is to be set then.
UNDOCUMENTED = [
    ("msr2", "2.10.0", "dtr_cache_image: no document of the vendor names the repository"),
    (
        "dtr",
        "2.10.0",
        "dtr_cache_product: the DTR has version 2.10.0, which is of msr2 (2.10), and dtr_cache_product is",
    ),
    (
        "dtr",
        "2.8.2",
        "is of msr2 (2.8 to 2.9), and dtr_cache_product is dtr; set dtr_cache_product: msr2, or the whole",
    ),
    ("msr2", "3.0.7", "is of msr3 (3.0 to 3.1), and dtr_cache_product is msr2; set dtr_cache_product: msr3"),
    ("msr3", "2.7.6", "is of dtr (2.5 to 2.7), and dtr_cache_product is msr3; set dtr_cache_product: dtr"),
    ("dtr", "2.4.4", "dtr_cache_image: no document of the vendor names the repository"),
    ("msr3", "3.2.0", "dtr_cache_image: no document of the vendor names the repository"),
    ("msr3", "4.13.1", "dtr_cache_image: no document of the vendor names the repository"),
    ("dtr", "newest", "dtr_cache_version: the DTR calls its version 'newest'; set it"),
    ("dtr", "2.7", "dtr_cache_version: the DTR calls its version '2.7'; set it"),
    ("dtr", "2.7.6.1", "dtr_cache_version: the DTR calls its version '2.7.6.1'; set it"),
]


@pytest.mark.parametrize(("product", "version", "repository"), IMAGES)
def test_a_version_has_the_same_image_whoever_says_it(product: str, version: str, repository: str) -> None:
    image = f"{repository}:{version}"
    assert image_of_dtr(PRODUCTS[product], version) == image
    assert image_of_version(PRODUCTS[product], version) == image
    settings, problems = read(product=product, version=version)
    assert (settings.image, problems) == (image, [])


def test_the_mark_of_a_build_is_no_part_of_a_tag_unless_the_user_says_so() -> None:
    assert image_of_dtr(PRODUCTS["dtr"], "2.7.0-29094adc") == "docker/dtr-content-cache:2.7.0"
    assert image_of_version(PRODUCTS["dtr"], "2.7.0-29094adc") == "docker/dtr-content-cache:2.7.0-29094adc"


@pytest.mark.parametrize(("product", "version", "sentence"), UNDOCUMENTED)
def test_an_image_that_no_document_names_is_asked_for(product: str, version: str, sentence: str) -> None:
    with pytest.raises(Failure) as caught:
        image_of_dtr(PRODUCTS[product], version)
    assert sentence in caught.value.message


@pytest.mark.parametrize(
    ("product", "version", "image"),
    [
        ("dtr", "latest", "docker/dtr-content-cache:latest"),
        ("dtr", "0.0.0", "docker/dtr-content-cache:0.0.0"),
        ("msr2", "of-ours", "mirantis/dtr-content-cache:of-ours"),
        ("msr3", "3.2.0", f"{MSR3}:3.2.0"),
    ],
)
def test_a_tag_of_the_users_own_is_looked_for_where_the_products_images_are(
    product: str, version: str, image: str
) -> None:
    assert image_of_version(PRODUCTS[product], version) == image


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
