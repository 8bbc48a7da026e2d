# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every definition is one that the module of C(awx.awx) takes."""

from __future__ import annotations

import importlib
import sys
import typing as t
from unittest import mock

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.dtr.cache.plugins.plugin_utils.awx.definitions import definitions
from ansible_collections.dtr.cache.tests.unit.plugins.plugin_utils.awx.test_awx_definitions import ALL, SETTINGS

from .playbook import COLLECTIONS


class _Declared(Exception):
    """Carries how a module was declared."""


def declared(kind: str) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """The options of a module, and the rules among them."""

    def keep(argument_spec: dict[str, t.Any], **rules: t.Any) -> t.NoReturn:
        raise _Declared(argument_spec, rules)

    module = importlib.import_module(f"ansible_collections.awx.awx.plugins.modules.{kind}")
    with mock.patch.object(module, "ControllerAPIModule", keep), pytest.raises(_Declared) as caught:
        module.main()
    return caught.value.args[0], caught.value.args[1]


@pytest.fixture(autouse=True)
def collections(monkeypatch: pytest.MonkeyPatch) -> None:
    assert COLLECTIONS.is_dir(), "tests/lib/bootstrap.sh puts awx.awx there"
    monkeypatch.setattr(sys, "path", [*sys.path, str(COLLECTIONS)])


@pytest.mark.parametrize("settings", [SETTINGS, {**ALL, "schedules": True}], ids=["least", "all"])
def test_the_module_takes_each_definition(settings: dict[str, t.Any]) -> None:
    for definition in definitions(settings):
        spec, rules = declared(definition.kind)
        for options in filter(None, (definition.options, definition.outside)):
            result = ArgumentSpecValidator(spec, **rules).validate(dict(options))
            assert result.error_messages == [], definition.title
            # Nothing is read as another value than it is written.
            given = {name: result.validated_parameters[name] for name in options}
            assert given == dict(options), definition.title


def test_an_option_that_no_module_has_is_found() -> None:
    spec, rules = declared("project")
    assert ArgumentSpecValidator(spec, **rules).validate({"name": "p", "scm_uri": "x"}).error_messages
