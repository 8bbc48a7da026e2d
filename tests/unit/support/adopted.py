# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Caches that run, as the files of variables that are written of them."""

from __future__ import annotations

import typing as t

import yaml
from ansible_collections.dtr.cache.plugins.module_utils.dtr.model import ContentCache
from ansible_collections.dtr.cache.plugins.plugin_utils.adoption.adopt import Adoption, adopt
from ansible_collections.dtr.cache.plugins.plugin_utils.adoption.describe import Accounts, Context
from ansible_collections.dtr.cache.plugins.plugin_utils.adoption.find import Hints, choose, match, own_entries
from ansible_collections.dtr.cache.tests.unit.support.settings import DEFAULTS

HOST = "manager-asia"
DTR = "https://dtr.example.org"
ASIA = ContentCache("a1", "region-asia", "https://cache-asia.example.org:443")
VOCABULARY = {name: None if "{{" in str(value) else value for name, value in DEFAULTS.items()}
ACCOUNTS = Accounts({"a1": ["bob", "alice"]}, {}, 5)


class _Loader(yaml.SafeLoader):
    """As Ansible reads C(!unsafe)."""


_Loader.add_constructor("!unsafe", lambda _loader, node: f"unsafe {node.value}")


def adopted(
    live: dict[str, t.Any],
    *registered: ContentCache,
    accounts: Accounts = ACCOUNTS,
    given: t.Mapping[str, t.Any] | None = None,
    hints: Hints | None = None,
    vocabulary: t.Mapping[str, t.Any] = VOCABULARY,
    beside: t.Sequence[str] = (),
) -> Adoption:
    """What is written of the only cache of a Swarm."""
    hints = hints or Hints(HOST)
    known = list(registered) or [ASIA]
    found = match([live], known)
    counts = {cache: len(names) for cache, names in accounts.by_cache.items()}
    chosen = choose([live], found, hints, 1)
    others = [entry for entry in known if entry not in found[chosen["id"]]]
    context = Context(vocabulary, given or {}, hints, DTR, others, beside)
    return adopt(chosen, own_entries(chosen, found, hints, known, counts), accounts, context)


def variables(written: Adoption) -> dict[str, t.Any]:
    """The variables in the file, by their names without the prefix."""
    content = yaml.load(written.text, Loader=_Loader)
    return {name.removeprefix("dtr_cache_"): value for name, value in content.items()}
