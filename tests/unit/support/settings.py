# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables of a cache that are as they should be, and the reading of them with some changed."""

from __future__ import annotations

import datetime
import typing as t
from pathlib import Path

import yaml
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.model import NEEDS, Settings
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.read import read_settings
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.reader import MISSING, ControlNode
from ansible_collections.dtr.cache.tests.unit.support.web import make_identity

ROLE = Path(__file__).parents[3] / "roles" / "settings"
OPTIONS: dict[str, t.Any] = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())["argument_specs"][
    "main"
]["options"]
DEFAULTS: dict[str, t.Any] = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())

CA = make_identity("ca", ca=True)
CACHE = make_identity("cache", CA, addresses=["cache.example.org"])
GOOD: dict[str, t.Any] = {
    "dtr_cache_name": "region-asia",
    "dtr_cache_host": "cache.example.org",
    "dtr_cache_registry_url": "https://dtr.example.org/",
    "dtr_cache_registry_username": "admin",
    "dtr_cache_registry_password": "a password",
    "dtr_cache_version": "2.7.6",
    "dtr_cache_nodes": ["worker-1", "worker-2"],
    "dtr_cache_certificate": CACHE.pem,
    "dtr_cache_private_key": CACHE.key_pem,
    "dtr_cache_ca_certificate": CA.pem,
}


def control_node(
    files: t.Mapping[str, bytes] | None = None,
    kinds: t.Mapping[str, str] | None = None,
    others: t.Sequence[str] = (),
) -> ControlNode:
    """One with these files, whose working directory is C(/work).

    Args:
        others: Paths that belong to another user.
    """
    held = files or {}

    def read(path: str) -> bytes:
        if path not in held:
            raise Failure("UNREADABLE_FILE", f"no such file: {path}")
        return held[path]

    def kind(path: str) -> str:
        return (kinds or {}).get(path, MISSING)

    def locate(path: str) -> str:
        return path if path.startswith("/") else f"/work/{path}"

    def foreign(path: str) -> str:
        return next((f"{part} belongs to user mallory" for part in others if path.startswith(part)), "")

    return ControlNode(read, locate, kind, foreign)


def read_with(
    changes: t.Mapping[str, t.Any], needs: t.Collection[str] = NEEDS, node: ControlNode | None = None
) -> tuple[Settings, list[str]]:
    """The good settings with some variables changed, each by its whole name."""
    # Nothing is in the environment.
    defaults = {name: "" if "{{" in str(value) else value for name, value in DEFAULTS.items()}
    return read_settings(
        {**GOOD, **changes},
        defaults=defaults,
        needs=needs,
        control_node=node or control_node(),
        now=datetime.datetime.now(datetime.timezone.utc),
    )


def read(
    needs: t.Collection[str] = NEEDS, node: ControlNode | None = None, **changes: t.Any
) -> tuple[Settings, list[str]]:
    """The same with the variables by their names without the prefix."""
    return read_with({f"dtr_cache_{key}": value for key, value in changes.items()}, needs, node)


def only_problem(node: ControlNode | None = None, **changes: t.Any) -> str:
    """The one problem that the good settings with these changes have."""
    _settings, problems = read(node=node, **changes)
    assert len(problems) == 1, problems
    return problems[0]
