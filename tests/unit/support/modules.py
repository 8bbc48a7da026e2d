# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module in this process as ansible-core would run it in another one."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import typing as t
from unittest import mock

from ansible.module_utils import _internal, basic
from ansible.module_utils.ansible_release import __version__
from ansible.module_utils.common import warnings

# Older ones always say how the module was called.
_ASKED_FOR_INVOCATION = tuple(map(int, __version__.split(".")[:2])) >= (2, 21)


def run_module(
    module_name: str, *, check: bool = False, invocation: bool = False, **options: t.Any
) -> dict[str, t.Any]:
    """The result of the module C(dtr.cache.MODULE_NAME) with these options."""
    if invocation and _ASKED_FOR_INVOCATION:
        options["_ansible_inject_invocation"] = True
    module = importlib.import_module(f"ansible_collections.dtr.cache.plugins.modules.{module_name}")
    arguments = json.dumps({"ANSIBLE_MODULE_ARGS": {**options, "_ansible_check_mode": check}}).encode()
    output = io.StringIO()
    # Warnings are kept for the process, and so from run to run.
    with (
        mock.patch.object(basic, "_ANSIBLE_ARGS", arguments),
        mock.patch.object(basic, "_ANSIBLE_PROFILE", "legacy"),
        mock.patch.object(warnings, "_global_warnings", type(warnings._global_warnings)()),
        # Where a test has loaded what runs on the control node, warnings would go to the terminal instead.
        mock.patch.object(_internal, "is_controller", False),
        contextlib.redirect_stdout(output),
        contextlib.suppress(SystemExit),
    ):
        module.main()
    return t.cast("dict[str, t.Any]", json.loads(output.getvalue()))
