# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module that warns in every way a module can, run as a program: how ansible-core reports it."""

from __future__ import annotations

import json
import sys
import typing as t

from ansible.module_utils import basic
from ansible_collections.dtr.cache.plugins.module_utils.module.base import Module
from ansible_collections.dtr.cache.plugins.module_utils.module.of_dtr import DtrModule

SPEC: dict[str, t.Any] = {
    "accounts": {
        "type": "list",
        "elements": "str",
        "aliases": ["users", "names"],
        "deprecated_aliases": [{"name": "names", "version": "9.0.0", "collection_name": "dtr.cache"}],
    },
    "old": {"type": "str", "removed_in_version": "9.0.0", "removed_from_collection": "dtr.cache"},
    "older": {"type": "str", "removed_at_date": "2030-01-01", "removed_from_collection": "dtr.cache"},
}


def work(module: Module) -> dict[str, t.Any]:
    """Warn, twice of the same."""
    for _each in range(2):
        module.warn("Something was \x1bodd.")
        module.deprecate("It goes.", version="9.0.0", collection_name="dtr.cache")
        module.deprecate("It goes too.", date="2030-01-01", collection_name="dtr.cache")
    return {"changed": False, "accounts": module.params["accounts"]}


MODULE = DtrModule(work, SPEC, authenticated=False)


def main() -> None:
    """Run with the options in the standard input."""
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": json.load(sys.stdin)}).encode()
    basic._ANSIBLE_PROFILE = "legacy"
    MODULE.run()


if __name__ == "__main__":
    main()
