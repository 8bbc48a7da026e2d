# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where clients come from, and what they trust."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.tests.unit.support.settings import CA, only_problem, read
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
    ({"assignments": {"users": ["alice"]}}, "dtr_cache_assignments: users is unknown"),
    ({"assignments": {"teams": ["backend"]}}, "'backend' is not a team: write org/team"),
    (
        {"assignments_exclusive": "some"},
        "dtr_cache_assignments_exclusive: 'some' is neither true nor false",
    ),
    ({"verify_image": "dtr.example.org/a/b"}, "dtr_cache_verify_image: "),
    ({"verify_image": "a/b"}, "dtr_cache_verify_image: 'a/b' has no tag; write namespace/repository:tag"),
    *(
        ({"verify_image": image}, f"dtr_cache_verify_image: '{image}' is not an image in the DTR, written namespace/")
        for image in ("127.0.0.1/engineering/app:1.0", "engineering/app/x:1.0", "engineering/app:1é", "a/b..c:1")
    ),
    ({"verify_repository": "dtr.example.org/a/b"}, "dtr_cache_verify_repository: 'dtr.example.org/a/b' is not"),
    ({"warm_images": ["app"]}, "dtr_cache_warm_images: 'app' is not an image in the DTR"),
    ({"warm_images": [{"repository": "app"}]}, "dtr_cache_warm_images: 'app' is not a repository in the DTR"),
    ({"warm_images": [{"tags": "1.*"}]}, "dtr_cache_warm_images: an entry has no repository; write"),
    ({"warm_images": {"repository": "a/b", "tag": 1}}, "dtr_cache_warm_images: an entry has tag; write"),
    ({"warm_platforms": "amd64"}, "dtr_cache_warm_platforms: amd64: write for example linux/amd64"),
    ({"max_resets": "all"}, "dtr_cache_max_resets: 'all' is not a whole number from 0 to 10000000"),
    ({"warm_concurrency": 0}, "dtr_cache_warm_concurrency: '0' is not a whole number from 1 to 128"),
    ({"assignments": {"everyone": "jes"}}, "dtr_cache_assignments: everyone: 'jes' is neither true nor false"),
    ({"assignments": {"everyone": "perhaps"}}, "dtr_cache_assignments: everyone: 'perhaps' is neither true nor false"),
    ({"assignments": {"everyone": [True]}}, "dtr_cache_assignments: everyone: must be text"),
    ({"assignments": {1: ["alice"]}}, "dtr_cache_assignments: has the key 1, which is not text; put it in quotes"),
    ({"assignments": ["alice"]}, "dtr_cache_assignments: must be a mapping of keys to values"),
    ({"assignments": "alice"}, "dtr_cache_assignments: must be a mapping of keys to values"),
    ({"assignments": '{"accounts": ["alice"'}, "dtr_cache_assignments: is neither JSON nor YAML that can be read: "),
    ({"assignments": {"accounts": {"alice": 1}}}, "dtr_cache_assignments: accounts: must be a list of texts"),
    ({"assignments": {"accounts": [False]}}, "accounts: false is a truth value to YAML; put yes, no, on"),
    ({"assignments_exclusive": "true, please"}, "dtr_cache_assignments_exclusive: 'true, please' is neither true nor"),
    (
        {"assignments": {"accounts": [1.10]}},
        "dtr_cache_assignments: accounts: 1.1 is a number to YAML, which changes some (1.10 becomes 1.1); put it",
    ),
    (
        {"warm_images": [{"repository": "a/b", "tags": 2.10}]},
        "dtr_cache_warm_images: tags: 2.1 is a number to YAML",
    ),
    ({"environment": "A: 010"}, "dtr_cache_environment: line 1, column 4 is a number in a form that YAML changes"),
    ({"nodes": [1.10]}, "dtr_cache_nodes: 1.1 is a number to YAML"),
    ({"verify_account": ["alice"]}, "dtr_cache_verify_account: must be text"),
    ({"warm_images": '[{"repository": "a/b"'}, "dtr_cache_warm_images: is neither JSON nor YAML that can be read: "),
    ({"warm_images": [["a/b:1"]]}, "dtr_cache_warm_images: must be text"),
    (
        {"warm_images": [{"repository": "a/b", "tags": {"a": 1}}]},
        "dtr_cache_warm_images: tags: must be a list of texts",
    ),
    ({"warm_platforms": []}, "dtr_cache_warm_platforms: an empty list: write for example linux/amd64"),
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


# One mistake each, and what the operator reads.


def test_images_to_warm_come_by_name_and_by_pattern() -> None:
    by_pattern: list[t.Any] = [{"repository": "a/b", "tags": ["1.*", "2.0"]}, {"repository": "a/c"}]
    settings, problems = read(warm_images=["a/b:1", *by_pattern, "a/b:1"], warm_platforms="linux/arm64, linux/amd64")
    assert problems == []
    assert settings.warm_images == ("a/b:1",)
    assert [tuple(each.values()) for each in settings.warm_repositories] == [
        ("a/b", "1.*"),
        ("a/b", "2.0"),
        ("a/c", "*"),
    ]
    assert settings.warm_platforms == ("linux/arm64", "linux/amd64")


@pytest.mark.parametrize(
    ("given", "everyone"), [("true ", True), (" Yes\n", True), ("1", True), ("no ", False), ("", False), (None, False)]
)
def test_everyone_is_exactly_true_or_false(given: t.Any, everyone: bool) -> None:
    settings, problems = read(assignments={"everyone": given})
    assert problems == []
    assert settings.assignments["everyone"] is everyone


@pytest.mark.parametrize(
    "given",
    [
        {"accounts": ["alice", "bob"], "teams": "org/a, org/b"},
        {"accounts": "alice\nbob", "teams": ["org/a", "org/b "]},
        '{"accounts": ["alice", "bob"], "teams": "org/a,org/b"}',
        "accounts:\n- alice\n- bob\nteams: [org/a, org/b]\n",
    ],
)
def test_assignments_in_every_form(given: t.Any) -> None:
    wanted = {"accounts": ["alice", "bob"], "teams": ["org/a", "org/b"], "orgs": [], "everyone": False}
    assert read(assignments=given)[0].assignments == wanted


@pytest.mark.parametrize("given", [None, "", " \n", {}, "{}"])
def test_an_empty_answer_assigns_nobody(given: t.Any) -> None:
    settings, problems = read(assignments=given)
    assert problems == []
    assert settings.assignments == {"accounts": [], "teams": [], "orgs": [], "everyone": False}


@pytest.mark.parametrize(
    "given",
    [
        [{"repository": "a/b", "tags": ["1.*", "2.*"]}, "a/c:1"],
        '[{"repository": "a/b", "tags": ["1.*", "2.*"]}, "a/c:1"]',
        "- repository: a/b\n  tags: 1.*, 2.*\n- a/c:1",
    ],
)
def test_images_with_patterns_of_tags_in_every_form(given: t.Any) -> None:
    settings, problems = read(warm_images=given)
    assert problems == []
    assert settings.warm_images == ("a/c:1",)
    assert [each["tags"] for each in settings.warm_repositories] == ["1.*", "2.*"]
