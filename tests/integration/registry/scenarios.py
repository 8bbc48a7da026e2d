# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of the two modules that write: a state of the server, a declaration, and the state that it means."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.dtr.cache.plugins.module_utils.common.urls import canonical_host

from .conftest import DANGLING, Json, Moments, Registry

ASIA = "https://cache-asia.example.org:443"
NEW_ASIA = "https://new-asia.example.org:8443"
EUROPE = "https://cache-europe.example.org:443"
PLAIN = "http://cache-plain.example.org:5000"


@dataclasses.dataclass(frozen=True)
class Scenario:
    """C(caches): name and host by id; C(settings): an account's id; C(holders): an account's cache by name, afterwards.

    C(hosts) are names with their hosts afterwards. C(changes) is whether there is anything to do.
    """

    module: str
    options: Json
    hosts: dict[str, str]
    holders: dict[str, str]
    caches: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    settings: dict[str, str] = dataclasses.field(default_factory=dict)
    changes: bool = True

    def set_up(self, registry: Registry) -> None:
        registry.set_up(self.caches, self.settings)

    def run(self, registry: Registry, *, check: bool = False, **options: t.Any) -> Json:
        return registry.run(self.module, check=check, **self.options, **options)

    def is_reached(self, registry: Registry) -> bool:
        caches = registry.caches()
        found = {name: canonical_host(host) for name, host in caches}
        wanted = {name: canonical_host(host) for name, host in self.hosts.items()}
        return found == wanted and len(caches) == len(found) and registry.settings() == self.holders

    def explained(self, registry: Registry) -> str:
        return f"found {registry.caches()} {registry.settings()}, wanted {self.hosts} {self.holders}"


def cache(name: str, host: str | None = None) -> Json:
    return {"name": name, "host": host} if host else {"name": name, "state": "absent"}


def caches(*declared: Json, **options: t.Any) -> Json:
    return {"caches": list(declared), **options}


def assign(*assignments: Json, **options: t.Any) -> Json:
    return {"assignments": list(assignments), **options}


CACHES = "content_caches"
ASSIGNMENTS = "cache_assignments"

#: One name that is registered, with accounts; another one beside it that has to stay as it is.
_TWO = {"a1": ("region-asia", ASIA), "e1": ("region-europe", EUROPE)}
_HELD = {"alice": "a1", "user00001": "a1", "ivan": "a1", "bob": "e1"}
_ASIANS = dict.fromkeys(("alice", "user00001", "ivan"), "region-asia")

SCENARIOS: dict[str, Scenario] = {
    "create": Scenario(
        CACHES,
        caches(cache("region-asia", ASIA), cache("region-europe", EUROPE)),
        {"region-asia": ASIA, "region-europe": EUROPE},
        {},
    ),
    "right already, written differently": Scenario(
        CACHES,
        caches(cache("region-asia", "https://CACHE-asia.example.org/"), cache("region-europe", EUROPE)),
        {"region-asia": ASIA, "region-europe": EUROPE},
        {**_ASIANS, "bob": "region-europe"},
        _TWO,
        _HELD,
        changes=False,
    ),
    "replace the host": Scenario(
        CACHES,
        caches(cache("region-asia", NEW_ASIA)),
        {"region-asia": NEW_ASIA, "region-europe": EUROPE},
        {**_ASIANS, "bob": "region-europe"},
        _TWO,
        _HELD,
    ),
    "delete": Scenario(
        CACHES, caches(cache("region-asia")), {"region-europe": EUROPE}, {"bob": "region-europe"}, _TWO, _HELD
    ),
    "delete what is not there": Scenario(CACHES, caches(cache("region-africa")), {}, {}, changes=False),
    "purge": Scenario(
        CACHES, caches(cache("region-asia", ASIA), purge=True), {"region-asia": ASIA}, _ASIANS, _TWO, _HELD
    ),
    "duplicates": Scenario(
        CACHES,
        caches(cache("region-asia", ASIA)),
        {"region-asia": ASIA, "region-europe": EUROPE},
        {**_ASIANS, "bob": "region-europe", "carol": "region-asia", "dave": "region-asia"},
        {"a0": ("region-asia", NEW_ASIA), **_TWO, "a2": ("region-asia", ASIA)},
        {**_HELD, "carol": "a0", "dave": "a2"},
    ),
    "two names swap their hosts": Scenario(
        CACHES,
        caches(cache("region-asia", EUROPE), cache("region-europe", ASIA)),
        {"region-asia": EUROPE, "region-europe": ASIA},
        {**_ASIANS, "bob": "region-europe"},
        _TWO,
        _HELD,
    ),
    "a host moves on to another name": Scenario(
        CACHES,
        caches(cache("region-asia"), cache("region-tokyo", ASIA)),
        {"region-tokyo": ASIA, "region-europe": EUROPE},
        {"bob": "region-europe"},
        _TWO,
        _HELD,
    ),
    "another name": Scenario(
        CACHES,
        caches({"name": "region-tokyo", "host": ASIA, "former_names": ["region-japan", "region-asia"]}),
        {"region-tokyo": ASIA, "region-europe": EUROPE},
        {**dict.fromkeys(_ASIANS, "region-tokyo"), "bob": "region-europe"},
        _TWO,
        _HELD,
    ),
    "another name and another host beside it": Scenario(
        CACHES,
        caches({"name": "region-tokyo", "host": NEW_ASIA, "former_names": ["region-asia"]}, purge=True),
        {"region-tokyo": NEW_ASIA},
        dict.fromkeys((*_ASIANS, "carol"), "region-tokyo"),
        {**_TWO, "t1": ("region-tokyo", PLAIN)},
        {**_HELD, "carol": "t1"},
    ),
    "assign teams, organisations and accounts": Scenario(
        ASSIGNMENTS,
        assign(
            {"cache": "region-asia", "teams": ["engineering/backend"], "accounts": ["grace, heidi"]},
            {"cache": "region-europe", "orgs": ["research"], "accounts": ["alice"]},
        ),
        {"region-asia": ASIA, "region-europe": EUROPE},
        {
            **dict.fromkeys(("bob", "carol", "grace", "heidi"), "region-asia"),
            **{f"user{number:05d}": "region-asia" for number in range(1, 26)},
            **dict.fromkeys(("alice", "dave", "erin", "frank"), "region-europe"),
            "ivan": "region-asia",
        },
        _TWO,
        _HELD,
    ),
    "assign everyone": Scenario(
        ASSIGNMENTS,
        assign({"cache": "region-europe", "everyone": True}),
        {"region-asia": ASIA, "region-europe": EUROPE},
        {
            **dict.fromkeys(("admin", "alice", "bob", "carol", "dave", "erin", "frank"), "region-europe"),
            **dict.fromkeys(("grace", "heidi", *(f"user{number:05d}" for number in range(1, 26))), "region-europe"),
            "ivan": "region-asia",
        },
        _TWO,
        _HELD,
    ),
    "assign exclusively": Scenario(
        ASSIGNMENTS,
        assign({"cache": "region-asia", "accounts": ["alice", "carol"]}, exclusive=True),
        {"region-asia": ASIA, "region-europe": EUROPE},
        {"alice": "region-asia", "carol": "region-asia", "ivan": "region-asia"},
        _TWO,
        _HELD,
    ),
    "reset to local": Scenario(
        ASSIGNMENTS,
        assign({"cache": "Local", "accounts": ["alice", "bob", "heidi"]}),
        {"region-asia": ASIA, "region-europe": EUROPE},
        {"user00001": "region-asia", "ivan": "region-asia"},
        _TWO,
        _HELD,
    ),
    "repair what dangles": Scenario(
        ASSIGNMENTS,
        assign({"cache": "region-europe", "accounts": ["carol"]}, {"cache": "local", "accounts": ["dave"]}),
        {"region-asia": ASIA, "region-europe": EUROPE},
        {**_ASIANS, "bob": "region-europe", "carol": "region-europe", "erin": DANGLING},
        _TWO,
        {**_HELD, "carol": "gone", "dave": "gone", "erin": "gone"},
    ),
    "nothing to assign": Scenario(
        ASSIGNMENTS,
        assign({"cache": "region-asia", "accounts": ["alice", "user00001"]}),
        {"region-asia": ASIA, "region-europe": EUROPE},
        {**_ASIANS, "bob": "region-europe"},
        _TWO,
        _HELD,
        changes=False,
    ),
}


def comparable(result: Json) -> Json:
    """A result without what only the server can know before it is done: ids, and how it writes hosts."""
    kept = {key: value for key, value in result.items() if key not in ("invocation", "warnings", "deprecations")}
    return t.cast("Json", _foreseeable(kept))


def _foreseeable(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        return {key: _foreseeable(item) for key, item in value.items() if key != "id"}
    if isinstance(value, str):
        return re.sub(r"https?://[^\s)]+", lambda match: canonical_host(match[0]), value)
    return [_foreseeable(item) for item in value] if isinstance(value, list) else value


def warnings_of(result: Json) -> list[str]:
    """The texts of a result's warnings; newer versions of ansible-core hand them over with more."""
    return [warning if isinstance(warning, str) else warning["event"]["msg"] for warning in result.get("warnings", [])]


def moments(registry: Registry, scenario: Scenario) -> Moments:
    """What happened on the server since the scenario was set up."""
    entries = [{"id": key, "name": name} for key, (name, _host) in scenario.caches.items()]
    return Moments({"content_caches": entries, "settings": scenario.settings}, registry.control.journal())


def assert_never_orphaned(registry: Registry, scenario: Scenario) -> None:
    """At no moment an account was set to a cache that was gone, unless it was so before."""
    assert moments(registry, scenario).orphaned == []
