# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML that Docker and the registry read as it is meant."""

from __future__ import annotations

import typing as t

import yaml

from ..settings.values import is_misread


def as_yaml(data: t.Any) -> str:
    """The data as text, the same for the same data."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, default_flow_style=False)


class _Dumper(yaml.SafeDumper):
    """Puts into quotes what would be misread."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="'" if is_misread(text) else None)


_Dumper.add_representer(str, _text)
