# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one module of the collection, C({module, options}) on the standard input, and nothing besides."""

from __future__ import annotations

import importlib
import json
import sys

from ansible.module_utils import basic

given = json.load(sys.stdin)
basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": given["options"]}).encode()
basic._ANSIBLE_PROFILE = "legacy"
importlib.import_module(f"ansible_collections.dtr.cache.plugins.modules.{given['module']}").main()
