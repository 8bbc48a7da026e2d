# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: with_log
short_description: Why a look at a cache failed, with what the cache's log tells of it
version_added: 0.1.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - The message of a failed result, and after it the likeliest cause in the log that explains it, if there is one.
    That a cache gets nothing from DTR shows from outside, and only its log knows why.
options:
  _input:
    description:
      - A failed result of M(dtr.cache.cache_health), M(dtr.cache.cache_pull) or M(dtr.cache.cache_proof).
    type: dict
    required: true
  logs:
    description: A result of M(dtr.cache.cache_logs_info). One that failed tells nothing.
    type: dict
    required: true
positional: logs
"""

EXAMPLES = r"""
- name: Fail with the reason
  ansible.builtin.fail:
    msg: "{{ health | dtr.cache.with_log(logs) }}"
"""

RETURN = r"""
_value:
  description: The message.
  type: str
"""

import typing as t

from ..plugin_utils.fleet.diagnosis import with_log


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Names and functions."""
        return {"with_log": with_log}
