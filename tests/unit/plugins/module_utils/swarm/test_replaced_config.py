# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of which DTR a live cache is, as its config.yml says that is about to be replaced."""

from __future__ import annotations

import base64
import copy
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.swarm import live_cache
from ansible_collections.dtr.cache.plugins.module_utils.swarm.model import FormerStack, Swarm
from ansible_collections.dtr.cache.plugins.module_utils.swarm.planning import replaced_config
from ansible_collections.dtr.cache.tests.unit.support.hand_made import service
from ansible_collections.dtr.cache.tests.unit.support.plans import DEFINITION, LIVE_SPEC, swarm

CONFIG = """
middleware:
  registry:
    - name: downstream
      options:
        upstreams: [https://u:hush@old.example.org:443, 7]
"""


def look(
    data: str | None, labels: dict[str, str] | None = None, name: str = "made-by-hand", place: str = "/config.yml"
) -> t.Any:
    spec = copy.deepcopy(LIVE_SPEC)
    mounted = {"ConfigName": name, "ConfigID": "1", "File": {"Name": place}}
    spec["TaskTemplate"]["ContainerSpec"].update(Configs=[mounted], Command=["/start.sh", place])
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
    monkeypatch.setattr(live_cache, "_yaml", None)
    assert look(data, label) == {"registry": "https://old.example.org", "upstreams": []}


def test_one_that_stays_and_none_at_all() -> None:
    (kept,) = (entry["external"]["name"] for entry in DEFINITION["configs"].values())
    assert look(CONFIG, name=kept) is None
    assert replaced_config(swarm(None), "cache", DEFINITION) is None
    assert replaced_config(swarm(LIVE_SPEC, configs={}), "cache", DEFINITION) is None


@pytest.mark.parametrize("place", ["/etc/cache/registry.yaml", "conf"])
def test_one_of_another_name(place: str) -> None:
    assert look(CONFIG, place=place) == {"registry": "", "upstreams": ["https://old.example.org:443"]}


def test_that_of_a_stack_which_is_replaced() -> None:
    """A new product line mostly is a new DTR as well."""
    redis = service("old_redis", "old", image="redis:7", config="", command=())
    former = {"old": FormerStack({"redis": redis, "registry": service("old_registry", "old", config="mine")}, {})}
    data = base64.b64encode(CONFIG.encode()).decode()
    found: Swarm = swarm(None, former=former, configs={"mine": {"CreatedAt": "2024", "Spec": {"Data": data}}})
    assert replaced_config(found, "cache", DEFINITION) == {
        "registry": "",
        "upstreams": ["https://old.example.org:443"],
    }
