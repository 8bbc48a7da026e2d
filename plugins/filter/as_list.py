# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: as_list
short_description: A list from a list, or from text with commas or line breaks or in JSON or YAML
version_added: 1.0.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Surveys of AWX and Automation Controller know no lists. Every list of the collection may be given as text instead.
options:
  _input:
    description: A list, text, or nothing.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Show the accounts that a survey asked for
  ansible.builtin.debug:
    msg: "{{ 'alice, bob' | dtr.cache.as_list }}"
"""

RETURN = r"""
_value:
  description: The items without the white space around them. Empty ones are left out.
  type: list
  elements: str
  sample: [engineering/app, engineering/web]
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ..module_utils.common.failure import Failure
from ..plugin_utils.settings.structures import as_items


def _as_list(value: t.Any) -> list[str]:
    try:
        return as_items(value)
    except Failure as failure:
        raise AnsibleFilterError(f"as_list: the value {failure.message}") from failure


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Names and functions."""
        return {"as_list": _as_list}
