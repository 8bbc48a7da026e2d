# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: seconds_each
short_description: How long each item of a loop of writes may take
version_added: 1.0.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Ansible ends an item that takes too long, but goes on with the next one. Where an Engine says nothing any more, all
    items together shall take not much longer than the user waits for a cache.
options:
  _input:
    description: The items of the loop.
    type: list
    elements: raw
    required: true
  wait:
    description: How long the user waits, C(dtr_cache_timeout) in seconds.
    type: int
    required: true
  most:
    description: What one item gets at most, in seconds.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: Show what each of three secrets gets
  ansible.builtin.debug:
    msg: "{{ ['ca', 'certificate', 'key'] | dtr.cache.seconds_each(10) }}"
"""

RETURN = r"""
_value:
  description: Seconds, at least 5.
  type: int
  sample: 12
"""

import typing as t

LEAST = 5
# What may be added to the time that the user waits.
MORE = 30


def _seconds_each(items: t.Sized, wait: int, most: int = 30) -> int:
    return min(most, max(LEAST, (wait + MORE) // (1 + len(items))))


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Names and functions."""
        return {"seconds_each": _seconds_each}
