# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a lookup in this process as a template would run it for one host."""

from __future__ import annotations

import types
import typing as t

import pytest
import yaml
from ansible import constants
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import lookup_loader
from ansible.template import Templar


def without_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of DTR is in the environment, which the defaults can ask."""
    for name in ("URL", "USERNAME", "PASSWORD", "CA_PATH", "CLIENT_CERT", "CLIENT_KEY", "VALIDATE_CERTS"):
        monkeypatch.delenv(f"DTR_{name}", raising=False)
    # Without Ansible's own importer, which the tests run without, the lookup is known by its short name only.
    get = lookup_loader.get
    monkeypatch.setattr(lookup_loader, "get", lambda name, *given, **more: get(name.rpartition(".")[2], *given, **more))


def run_lookup(
    module: types.ModuleType, terms: t.Iterable[str], variables: t.Mapping[str, t.Any], **options: t.Any
) -> list[t.Any]:
    """What the lookup of a module gives.

    Args:
        module: One of plugins/lookup.
        terms: Its terms.
        variables: Those of the host, without what Ansible adds.
        options: What is given by name.
    """
    documented = yaml.safe_load(module.DOCUMENTATION)
    # Ansible's loader does this, which finds no collection without Ansible's own importer.
    name = f"dtr.cache.{documented['name']}"
    constants.config.initialize_plugin_configuration_definitions("lookup", name, documented["options"])
    loader = DataLoader()
    lookup = module.LookupModule(loader=loader, templar=Templar(loader=loader))
    lookup._load_name = lookup.ansible_name = name
    given = {"inventory_hostname": "asia", **variables}
    return t.cast("list[t.Any]", lookup.run(list(terms), variables=given, **options))
