# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts that Docker and the registry read as something else, where PyYAML writes them without quotes.

Both are written in Go, whose YAML (gopkg.in/yaml.v2, resolve.go) takes more words for truth values and numbers.
"""

from __future__ import annotations

import re

import yaml

_SWITCH = re.compile(r"[yYnN]")
_NUMBER = re.compile(
    r"[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+|(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)"
)
# Go's newer library takes these for dates; so does PyYAML, but for single digits.
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ][0-9:.TtZz +-]*)?")
_PYYAML = yaml.resolver.Resolver()


def is_misread(text: str) -> bool:
    """Whether Go's YAML reads something else than a text, where PyYAML writes it."""
    return _is_more_to_go(text) and _PYYAML.resolve(yaml.ScalarNode, text, (True, False)).endswith(":str")


def _is_more_to_go(text: str) -> bool:
    if _SWITCH.fullmatch(text) or _DATE.fullmatch(text):
        return True
    # An underline parts digits, and Go leaves it out wherever it stands.
    return text[:1] in tuple("+-.0123456789") and _NUMBER.fullmatch(text.replace("_", "")) is not None
