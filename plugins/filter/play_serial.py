# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: play_serial
short_description: How many regions at a time a playbook of the collection runs on
version_added: 1.0.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Reads C(dtr_cache_serial) for the keyword C(serial) of a play, like any other variable of the collection.
options:
  _input:
    description: The value of C(dtr_cache_serial), or nothing.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Show that one region comes first, and then the others
  ansible.builtin.debug:
    msg: "{{ '1, 100%' | dtr.cache.play_serial }}"
"""

RETURN = r"""
_value:
  description: The sizes of the batches, numbers and shares such as V(50%).
  type: list
  elements: raw
  sample: [1, "50%"]
"""

import typing as t

from ..plugin_utils.settings.run import read_serial
from ..plugin_utils.settings.variables import read_single


def _play_serial(value: t.Any) -> list[int | str]:
    return read_single("serial", value, read_serial)


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Names and functions."""
        return {"play_serial": _play_serial}
