# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where clients come from, and what they trust."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.tests.unit.support.settings import (
    CA,
    only_problem,
    read,
)
from ansible_collections.dtr.cache.tests.unit.support.web import make_identity

# One mistake each, and what the operator reads.
MISTAKES: list[tuple[dict[str, t.Any], str]] = [
    ({"allowed_networks": ["not-a-network"]}, "dtr_cache_allowed_networks: 'not-a-network' is not a network such as"),
    (
        {"allowed_networks": "10.1.2.3/8"},
        "'10.1.2.3/8' is not a network such as 198.51.100.0/24; did you mean 10.0.0.0/8?",
    ),
    (
        {"client_registries": ["https://dtr.example.org"]},
        "dtr_cache_client_registries: 'https://dtr.example.org' is not",
    ),
    ({"client_registries": ["../docker"]}, "dtr_cache_client_registries: '../docker' is not the host[:port]"),
    (
        {"client_runtimes": []},
        "dtr_cache_client_runtimes: names none of docker, containerd, podman, cri-o; leave it out",
    ),
    ({"client_runtimes": ["rkt"]}, "dtr_cache_client_runtimes: 'rkt' is none of docker, containerd, podman, cri-o"),
    ({"client_cas": ["missing.pem"]}, "dtr_cache_client_cas: missing.pem cannot be read"),
    ({"client_trust_state": "gone"}, "dtr_cache_client_trust_state: 'gone' is none of present, absent"),
    ({"allowed_networks": {"a": 1}}, "dtr_cache_allowed_networks: must be a list of texts"),
    ({"client_cas": {"a": 1}}, "dtr_cache_client_cas: must be a list of PEM texts or paths"),
]


@pytest.mark.parametrize(("changes", "sentence"), MISTAKES, ids=[sentence[:60] for _changes, sentence in MISTAKES])
def test_one_mistake_gives_one_clear_sentence(changes: dict[str, t.Any], sentence: str) -> None:
    assert sentence in only_problem(**changes)


def test_networks_are_read_once_each_and_in_their_shortest_form() -> None:
    settings, problems = read(allowed_networks="198.51.100.7, 2001:DB8:0::/32\n198.51.100.7/32")
    assert problems == []
    assert [str(network) for network in settings.allowed_networks] == ["198.51.100.7/32", "2001:db8::/32"]


@pytest.mark.parametrize(
    ("url", "given", "names"),
    [
        ("https://dtr.example.org/", [], ("dtr.example.org",)),
        ("https://dtr.example.org:4443", [], ("dtr.example.org:4443",)),
        ("HTTPS://DTR.Example.org/", [], ("dtr.example.org",)),
        ("https://dtr.bücher.example:0443", [], ("dtr.xn--bcher-kva.example:443", "dtr.xn--bcher-kva.example")),
        ("https://dtr.example.org:443", [], ("dtr.example.org:443", "dtr.example.org")),
        ("https://[2001:db8::1]:8443", [], ("[2001:db8::1]:8443",)),
        (
            "https://dtr.example.org",
            ["registry.example.org", "192.0.2.1:443"],
            ("registry.example.org", "192.0.2.1:443"),
        ),
    ],
)
def test_a_client_knows_the_registry_as_image_references_write_it(
    url: str, given: list[str], names: tuple[str, ...]
) -> None:
    settings, problems = read(registry_url=url, client_registries=given)
    assert problems == []
    assert settings.client_registries == names


OTHER = make_identity("other", ca=True)


def test_a_client_needs_nothing_of_the_cache_but_its_authority() -> None:
    unset = dict.fromkeys(("name", "host", "nodes", "certificate", "private_key", "registry_username"))
    settings, problems = read(needs=["address"], **unset, ca_certificate=CA.pem, client_cas=[OTHER.pem])
    assert problems == []
    assert (settings.ca_certificate, settings.client_cas) == (CA.pem, (OTHER.pem,))
