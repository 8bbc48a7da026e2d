# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run is given besides the cache."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible.errors import AnsibleError
from ansible_collections.dtr.cache.plugins.filter import play_hosts, play_serial
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.reader import FILE, FOLDER, OTHER
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.run import given_too_late
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.variables import vocabulary
from ansible_collections.dtr.cache.tests.unit.support.settings import CACHE, control_node, only_problem, read

NO_LISTS: list[t.Any] = [False, 0, {}, 1]
# One mistake each, and what the operator reads.
MISTAKES: list[tuple[dict[str, t.Any], str]] = [
    ({"status_to": ["a", "b"]}, "dtr_cache_status_to: must be text"),
    ({"logs_since": ["1h"]}, "dtr_cache_logs_since: must be text"),
    ({"logs_since": "yesterday"}, "dtr_cache_logs_since: 'yesterday' is neither a time such as 2h (s, m, h, d, w) nor"),
    ({"logs_since": "60"}, "dtr_cache_logs_since: '60' is neither a time such as 2h"),
    ({"traffic_since": ["1h"]}, "dtr_cache_traffic_since: must be text"),
    ({"traffic_since": "a day"}, "dtr_cache_traffic_since: 'a day' is neither a time such as 2h"),
    ({"render_to": "fol\x00der"}, "dtr_cache_render_to: holds a byte that is not text"),
    ({"backup_file": "a/"}, "dtr_cache_backup_file: 'a/' is a folder; name the file in it"),
    ({"backup_file": "$HOME/a"}, "dtr_cache_backup_file: '$HOME/a' has a $"),
    ({"confirm_removal": True}, "dtr_cache_confirm_removal: is a truth value to YAML"),
    ({"source_files": {"a": 1}}, "dtr_cache_source_files: must be a list of texts"),
    *(({"source_files": wrong}, "dtr_cache_source_files: must be a list of texts") for wrong in NO_LISTS),
    ({"source_files": "keys/*.pem"}, "dtr_cache_source_files: 'keys/*.pem' is a pattern, and no file has that name"),
    ({"source_files": ["keys/"]}, "dtr_cache_source_files: 'keys/' is a folder"),
    ({"source_files": ["a\x07b"]}, "dtr_cache_source_files: must be one line of text without control characters"),
]


@pytest.mark.parametrize(("changes", "sentence"), MISTAKES, ids=[sentence[:60] for _changes, sentence in MISTAKES])
def test_one_mistake_gives_one_clear_sentence(changes: dict[str, t.Any], sentence: str) -> None:
    assert sentence in only_problem(**changes)


NODE = control_node(
    kinds={
        "/": FOLDER,
        "/home/user": FOLDER,
        "/work/keys": FOLDER,
        "/work/key.pem": FILE,
        "/work/key[1].pem": FILE,
        "/dev/null": OTHER,
    }
)


@pytest.mark.parametrize(
    "form", [list, ", ".join, "\n".join, json.dumps, lambda files: "\n".join(f"- {x}" for x in files)]
)
def test_files_to_remove_are_absolute_and_those_that_are_gone_stay(form: t.Callable[[list[str]], t.Any]) -> None:
    settings, problems = read(node=NODE, source_files=form(["key.pem", "/gone/key.pem", "/work/key.pem"]))
    assert problems == []
    assert settings.source_files == ("/work/key.pem", "/gone/key.pem")


def test_a_file_may_be_named_like_a_pattern() -> None:
    assert read(node=NODE, source_files=["key[1].pem"])[0].source_files == ("/work/key[1].pem",)


@pytest.mark.parametrize("path", ["/", "/home/user", "keys", "keys/", "/home/user/"])
def test_folders_are_not_removed(path: str) -> None:
    assert "is a folder; name the files in it" in only_problem(NODE, source_files=[path])
    assert read(node=NODE, source_files=[path])[0].source_files == ()


@pytest.mark.parametrize("path", ["*.pem", "key?.pem", "key[ab].pem"])
def test_patterns_are_not_followed(path: str) -> None:
    assert "is a pattern, and no file has that name" in only_problem(NODE, source_files=path)


@pytest.mark.parametrize("name", ["source_files", "render_to", "status_to", "adopt_to", "ca_certificate"])
def test_environment_variables_in_paths_are_refused(name: str) -> None:
    """Ansible's modules expand them, and what was judged would be another path."""
    assert only_problem(NODE, **{name: "/secrets/$REGION"}).startswith(f"dtr_cache_{name}: ")


def test_what_is_no_regular_file_is_not_removed() -> None:
    assert "is not a regular file" in only_problem(NODE, source_files="/dev/null")


@pytest.mark.parametrize("key", [CACHE.key_pem, "".join(CACHE.key_pem.splitlines()[1:-1]), "MIGHAgEA" * 20 + "aaa/"])
@pytest.mark.parametrize(
    "form", [lambda key: key, lambda key: [key], lambda key: ["key.pem", key], lambda key: json.dumps([key])]
)
def test_a_key_in_place_of_its_file_is_never_shown(key: str, form: t.Callable[[str], t.Any]) -> None:
    problem = only_problem(NODE, source_files=form(key))
    assert "name the file that it is in" in problem
    assert not any(line in problem for line in key.splitlines())


def test_folders_to_write_to_are_absolute_and_may_be_missing() -> None:
    settings, problems = read(node=NODE, render_to="review", status_to=" keys ", adopt_to="keys", adopt_overwrite="yes")
    assert problems == []
    assert (settings.render_to, settings.status_to) == ("/work/review", "/work/keys")
    assert (settings.adopt_to, settings.adopt_overwrite) == ("/work/keys", True)
    assert "'key.pem' is a file; it must be a folder" in only_problem(NODE, render_to="key.pem")


@pytest.mark.parametrize("since", ["30m", "2 h", "1d", "2026-01-31T12:00:00Z", " 2026-01-31 "])
def test_how_far_to_look_back(since: str) -> None:
    assert read(logs_since=since)[0].logs_since == since.strip()
    assert read(traffic_since=since)[0].traffic_since == since.strip()
    assert read(traffic_since=" ")[0].traffic_since == "", "nobody has to ask"


@pytest.mark.parametrize("name", ["source_files", "render_to", "status_to", "backup_file"])
def test_what_another_user_has_laid_is_not_followed(name: str) -> None:
    node = control_node(kinds={"/tmp/theirs": FOLDER, "/tmp/theirs/file": FILE}, others=["/tmp/theirs"])
    path = "/tmp/theirs" if name.endswith("_to") else "/tmp/theirs/file"
    problem = only_problem(node, **{name: path})
    assert problem == f"dtr_cache_{name}: /tmp/theirs belongs to user mallory"


GROUPS = {"all": ["asia", "europe"], "ungrouped": [], "caches": ["asia", "europe"]}


def hosts(value: t.Any) -> list[str]:
    return play_hosts.FilterModule().filters()["play_hosts"](value, GROUPS)


def serial(value: t.Any) -> list[int | str]:
    return play_serial.FilterModule().filters()["play_serial"](value)


@pytest.mark.parametrize(
    ("value", "patterns"),
    [
        ("", ["dtr_caches"]),
        ("  ", ["dtr_caches"]),
        (None, ["dtr_caches"]),
        ("asia", ["asia"]),
        (" asia , europe\n", ["asia", "europe"]),
        ('["asia", "europe"]', ["asia", "europe"]),
        (["asia"], ["asia"]),
        ("caches:!asia", ["caches:!asia"]),
        (["caches", "!asia"], ["caches", "!asia"]),
        ("eu*", ["eu*"]),
        ("~eu.*", ["~eu.*"]),
        ("caches[0]", ["caches[0]"]),
        ("all", ["all"]),
        ("localhost", ["localhost"]),
    ],
)
def test_patterns_for_hosts(value: t.Any, patterns: list[str]) -> None:
    assert hosts(value) == patterns


@pytest.mark.parametrize(
    "value", ["azia", "asia, azia", "!azia", ["&azia"], "caches:!azia", "caches:&azia", "azia:asia", "az*", ":"]
)
def test_a_name_that_the_inventory_does_not_have(value: t.Any) -> None:
    with pytest.raises(AnsibleError, match="dtr_cache_hosts: the inventory has no group and no host of the name"):
        hosts(value)


@pytest.mark.parametrize("value", ["null", [], "[", {"a": 1}, ["a\nb"]])
def test_no_patterns(value: t.Any) -> None:
    with pytest.raises(AnsibleError, match=r"^dtr_cache_hosts: "):
        hosts(value)


@pytest.mark.parametrize(
    ("value", "sizes"),
    [
        ("", ["100%"]),
        (1, [1]),
        (" 2 ", [2]),
        ("1, 100%", [1, "100%"]),
        ([1, "50%"], [1, "50%"]),
        ("[1, 5, '100%']", [1, 5, "100%"]),
        ("1%", ["1%"]),
    ],
)
def test_sizes_of_batches(value: t.Any, sizes: list[int | str]) -> None:
    assert serial(value) == sizes


@pytest.mark.parametrize("value", ["0", "x", [], [0], True, 1.5, "200%"])
def test_no_sizes(value: t.Any) -> None:
    with pytest.raises(AnsibleError, match=r"^dtr_cache_serial: "):
        serial(value)


def test_only_the_play_and_extra_variables_count() -> None:
    names = ["dtr_cache_hosts", "dtr_cache_serial"]
    given = dict.fromkeys(names, "1")
    assert [sentence.partition(":")[0] for sentence in given_too_late(given, {}, vocabulary())] == names
    assert given_too_late(given, given, vocabulary()) == []
    assert given_too_late({}, {}, vocabulary()) == given_too_late(dict.fromkeys(names, " "), {}, vocabulary()) == []
    # What the inventory says differently has no effect either.
    assert len(given_too_late(given, {**given, "dtr_cache_serial": "2"}, vocabulary())) == 1
    # Role settings gives its defaults to a host.
    assert given_too_late({name: vocabulary()[name] for name in names}, {}, vocabulary()) == []


def test_they_are_part_of_the_vocabulary() -> None:
    assert {"dtr_cache_hosts", "dtr_cache_serial"} <= set(vocabulary())
