# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: canonical_url
short_description: The one form of a server's address
version_added: 1.0.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Two addresses mean the same server when this gives the same for both. A default port, a slash at the end, capital
    letters and the spelling of an international name make no difference. Without a scheme V(https) is meant.
options:
  _input:
    description: The address.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show that both are the same DTR
  ansible.builtin.debug:
    msg: "{{ 'https://DTR.example.org:443/' | dtr.cache.canonical_url == 'dtr.example.org' | dtr.cache.canonical_url }}"
"""

RETURN = r"""
_value:
  description: The address, such as V(https://dtr.example.org).
  type: str
  sample: "https://dtr.example.org"
"""

import typing as t

from ..module_utils.common.urls import canonical_server


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Names and functions."""
        return {"canonical_url": canonical_server}
