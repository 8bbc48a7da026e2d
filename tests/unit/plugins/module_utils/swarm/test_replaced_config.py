# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of which DTR a live cache is, as its config.yml says that is about to be replaced."""

from __future__ import annotations

import base64
import copy
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.swarm import replaced_config as tested
from ansible_collections.dtr.cache.plugins.module_utils.swarm.replaced_config import replaced_config
from ansible_collections.dtr.cache.tests.unit.support.plans import DEFINITION, LIVE_SPEC, swarm

CONFIG = """
middleware:
  registry:
    - name: downstream
      options:
        upstreams: [https://u:hush@old.example.org:443, 7]
"""


def look(data: str | None, labels: dict[str, str] | None = None, name: str = "made-by-hand") -> t.Any:
    spec = copy.deepcopy(LIVE_SPEC)
    mounted = {"ConfigName": name, "ConfigID": "1", "File": {"Name": "/config.yml"}}
    spec["TaskTemplate"]["ContainerSpec"]["Configs"] = [mounted]
    content = {} if data is None else {"Data": base64.b64encode(data.encode()).decode()}
    live = {"CreatedAt": "2026-01-01", "Spec": {"Labels": labels or {}, **content}}
    return replaced_config(swarm(spec, configs={name: live}), "cache", DEFINITION)


@pytest.mark.parametrize(
    ("data", "upstreams"),
    [
        (CONFIG, ["https://old.example.org:443"]),
        ("middleware: [", []),
        ("middleware: {registry: [{name: downstream}]}", []),
        ("middleware: text", []),
        ("", []),
        (None, []),
    ],
)
def test_what_a_config_says(data: str | None, upstreams: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert look(data) == {"registry": "", "upstreams": upstreams}
    label = {"dtr.cache.registry": "https://old.example.org"}
    assert look(data, label) == {"registry": "https://old.example.org", "upstreams": upstreams}
    monkeypatch.setattr(tested, "yaml", None)
    assert look(data, label) == {"registry": "https://old.example.org", "upstreams": []}


def test_one_that_stays_and_none_at_all() -> None:
    (kept,) = (entry["external"]["name"] for entry in DEFINITION["configs"].values())
    assert look(CONFIG, name=kept) is None
    assert replaced_config(swarm(None), "cache", DEFINITION) is None
    assert replaced_config(swarm(LIVE_SPEC, configs={}), "cache", DEFINITION) is None
