# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Caches that run, as the files of variables that are written of them."""

from __future__ import annotations

import typing as t

import yaml
from ansible_collections.dtr.cache.plugins.module_utils.dtr.model import ContentCache
from ansible_collections.dtr.cache.plugins.plugin_utils.adoption.adopt import Adopted, Place, adopt
from ansible_collections.dtr.cache.plugins.plugin_utils.adoption.choice import Wish, choose, entries, matches
from ansible_collections.dtr.cache.plugins.plugin_utils.adoption.registration import Holders
from ansible_collections.dtr.cache.tests.unit.support.settings import DEFAULTS

HOST = "manager-asia"
DTR = "https://dtr.example.org"
ASIA = ContentCache("a1", "region-asia", "https://cache-asia.example.org:443")
VOCABULARY = {name: None if "{{" in str(value) else value for name, value in DEFAULTS.items()}
HOLDERS = Holders({"a1": ["bob", "alice"]}, {}, 5)


class _Loader(yaml.SafeLoader):
    """As Ansible reads C(!unsafe)."""


_Loader.add_constructor("!unsafe", lambda _loader, node: f"unsafe {node.value}")


def adopted(
    live: dict[str, t.Any],
    *registered: ContentCache,
    holders: Holders = HOLDERS,
    given: t.Mapping[str, t.Any] | None = None,
    wish: Wish | None = None,
    vocabulary: t.Mapping[str, t.Any] = VOCABULARY,
    beside: t.Sequence[str] = (),
) -> Adopted:
    """What is written of the only cache of a Swarm."""
    wish = wish or Wish(HOST)
    known = list(registered) or [ASIA]
    found = matches([live], known)
    counts = {cache: len(names) for cache, names in holders.by_cache.items()}
    chosen = choose([live], found, wish, 1)
    others = [entry for entry in known if entry not in found[chosen["id"]]]
    place = Place(vocabulary, given or {}, wish, DTR, others, beside)
    return adopt(chosen, entries(chosen, found, wish, known, counts), holders, place)


def variables(written: Adopted) -> dict[str, t.Any]:
    """The variables in the file, by their names without the prefix."""
    content = yaml.load(written.text, Loader=_Loader)
    return {name.removeprefix("dtr_cache_"): value for name, value in content.items()}
