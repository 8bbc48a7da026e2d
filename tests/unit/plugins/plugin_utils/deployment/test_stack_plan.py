# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan's diff as people read it."""

from __future__ import annotations

import typing as t

from ansible_collections.dtr.cache.plugins.plugin_utils.deployment.stack_plan import changed_authorities, readable

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


def test_another_ca_of_dtr_is_seen_in_the_plan() -> None:
    def services(**marks: str) -> dict[str, t.Any]:
        secrets = {f"{name}.cert.pem": mark for name, mark in marks.items()}
        return {"services": {"dtr-cache_cache": {"secrets": secrets}}}

    before, after = services(dtr="old", cache="a"), services(dtr="new", cache="b")
    assert changed_authorities({"before": before, "after": after}) == [("old", "new")]
    assert changed_authorities({"before": services(cache="a"), "after": services(cache="b")}) == []
    assert changed_authorities({"before": services(dtr="same"), "after": services(dtr="same")}) == []
    first = {"before": {"services": {"dtr-cache_cache": "absent"}}, "after": after}
    assert changed_authorities(first) == changed_authorities({}) == []
