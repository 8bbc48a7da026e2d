# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan's diff as people read it."""

from __future__ import annotations

from ansible_collections.dtr.cache.plugins.plugin_utils.deployment.plan_diff import readable

BEFORE = {"node_labels": {"worker-1": {"dtr.cache": None}}, "services": {"st_cache": {"image": "a:1"}}}
AFTER = {"node_labels": {"worker-1": {"dtr.cache": "true"}}, "services": {"st_cache": {"image": "a:2"}}}
FILE = {"file": "config.yml", "before_name": "", "after_name": "st_config.yml_1", "before": "", "after": "a: 1\n"}


def test_both_sides_are_yaml_without_what_is_not_there() -> None:
    (diff,) = readable({"before": BEFORE, "after": AFTER}, "st")
    assert (diff["before_header"], diff["after_header"]) == ("stack st", "stack st")
    assert diff["before"] == "node_labels:\n  worker-1: {}\nservices:\n  st_cache:\n    image: a:1\n"
    assert "    image: a:2\n" in diff["after"] and "    dtr.cache: 'true'\n" in diff["after"]


def test_each_file_has_a_diff_of_its_own() -> None:
    _stack, of_file = readable({"before": BEFORE, "after": AFTER, "files": [FILE]}, "st")
    assert of_file == {
        "before_header": "config.yml (none)",
        "after_header": "config.yml (st_config.yml_1)",
        "before": "",
        "after": "a: 1\n",
    }


def test_without_a_difference_there_is_none() -> None:
    assert readable({"before": {}, "after": {}}, "st") == readable({}, "st") == []
