# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the cache keeps its layers."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.dtr.cache.tests.unit.support.settings import only_problem, read

# One mistake each, and what the operator reads.
MISTAKES: list[tuple[dict[str, t.Any], str]] = [
    ({"storage": {"delete": {"enabled": False}}}, "dtr_cache_storage: delete.enabled must stay true"),
    ({"storage": {"inmemory": {}}, "volume": "data"}, "dtr_cache_volume: is of use only with"),
    ({"volume": {"driver": "local", "size": 1}}, "dtr_cache_volume: size is unknown"),
    ({"volume": {"driver_opts": "type=nfs"}}, "dtr_cache_volume: driver_opts: must be a mapping"),
    (
        {"volume": {"driver_opts": {"type": "cifs", "o": "username=u,password=hush,rw"}}},
        "dtr_cache_volume: driver_opts: hold a credential",
    ),
    ({"volume": {"driver_opts": {"secretkey": "hush"}}}, "dtr_cache_volume: driver_opts: hold a credential"),
    ({"storage": {1: {}}}, "dtr_cache_storage: has the key 1, which is not text; put it in quotes"),
    ({"storage": {"filesystem": {2: "a"}}}, "dtr_cache_storage: has the key 2, which is not text"),
    ({"storage": ["filesystem"]}, "dtr_cache_storage: must be a mapping of keys to values"),
    ({"storage": "filesystem"}, "dtr_cache_storage: must be a mapping of keys to values"),
    ({"storage": '{"filesystem": {}'}, "dtr_cache_storage: is neither JSON nor YAML that can be read: something is"),
    (
        {"storage": {"maintenance": {"uploadpurging": {"age": 7}}}},
        "dtr_cache_storage: maintenance.uploadpurging.age: '7' has no unit; write for example 7s",
    ),
    ({"volume": '{"driver": "local"'}, "dtr_cache_volume: is neither JSON nor YAML that can be read: something is"),
    ({"volume": ["data"]}, "dtr_cache_volume: must be text"),
    ({"volume": "1e3"}, "dtr_cache_volume: '1e3' as a name would be a number or a truth value to Docker; choose an"),
    ({"volume": {"name": "y"}}, "dtr_cache_volume: name: 'y' as a name would be a number or a truth value to Docker"),
    ({"volume": {"driver": "x", "driver_opts": {"n": 1}}}, "dtr_cache_volume: driver_opts: 'n' as a name would be a"),
    ({"volume": "./data"}, "dtr_cache_volume: './data' is neither a volume's name nor an absolute path on the nodes"),
    ({"volume": "/srv/cache:ro"}, "dtr_cache_volume: '/srv/cache:ro' is neither a volume's name nor an absolute path"),
    ({"volume": "/srv/\x07cache"}, "dtr_cache_volume: must be one line of text without control characters"),
]


@pytest.mark.parametrize(("changes", "sentence"), MISTAKES, ids=[sentence[:60] for _changes, sentence in MISTAKES])
def test_one_mistake_gives_one_clear_sentence(changes: dict[str, t.Any], sentence: str) -> None:
    assert sentence in only_problem(**changes)


@pytest.mark.parametrize("given", [None, "", " \n", {}, "{}"])
def test_an_empty_answer_means_the_filesystem(given: t.Any) -> None:
    settings, problems = read(storage=given)
    assert problems == []
    assert settings.storage == {"filesystem": {"rootdirectory": "/var/lib/registry"}}


def test_a_key_that_is_given_empty_is_not_set() -> None:
    given = {"region": "r", "bucket": "b ", "keyid": "", "encrypt": True, "chunksize": 5242880, "accesskey": None}
    settings, problems = read(storage=json.dumps({"s3": given, "redirect": {"disable": True}, "maintenance": None}))
    assert problems == []
    assert settings.storage == {
        "s3": {"region": "r", "bucket": "b", "encrypt": True, "chunksize": 5242880},
        "redirect": {"disable": True},
        "maintenance": {},
    }


@pytest.mark.parametrize(
    "given",
    [
        {"driver": "local", "driver_opts": {"type": "tmpfs", "device": "tmpfs", "size": 10}},
        '{"driver": "local", "driver_opts": {"type": "tmpfs", "device": "tmpfs", "size": 10}}',
        "driver: local\ndriver_opts:\n  type: tmpfs\n  device: tmpfs\n  size: '10'\n",
    ],
)
def test_a_volume_in_every_form(given: t.Any) -> None:
    settings, problems = read(volume=given)
    assert problems == []
    assert settings.volume == {"driver": "local", "driver_opts": {"type": "tmpfs", "device": "tmpfs", "size": "10"}}


@pytest.mark.parametrize("given", ["cache-data", " /srv/cache\n"])
def test_a_volume_by_its_name_or_path(given: str) -> None:
    assert read(volume=given)[0].volume == given.strip()
