# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML that Docker and the registry read as it is meant.

Both are written in Go, whose YAML (gopkg.in/yaml.v2) takes more words for truth values and numbers than PyYAML, which
writes them without quotes.
"""

from __future__ import annotations

import re
import typing as t

import yaml

# Beside what PyYAML puts into quotes by itself.
_MISREAD = re.compile(r"[yYnN]|[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)[eE][-+]?[0-9]+|0o[0-7]+")


def is_misread(text: str) -> bool:
    """Whether Go's YAML reads something else than a text, where PyYAML writes it."""
    return _MISREAD.fullmatch(text) is not None


def as_yaml(data: t.Any) -> str:
    """The data as text, the same for the same data."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, default_flow_style=False)


class _Dumper(yaml.SafeDumper):
    """Puts into quotes what would be misread."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="'" if is_misread(text) else None)


_Dumper.add_representer(str, _text)
