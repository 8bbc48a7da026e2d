# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: failure_reason
short_description: Why a task failed, in words
version_added: 1.0.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Makes one text of what a failed task left, of any module. Of a loop it names what each failed item said, once.
  - A manager that did not answer in time, a module that crashed, and a change that somebody else made at the same
    moment are named as what they are. What Docker's command said is a part of it.
options:
  _input:
    description: The failed result, such as C(ansible_failed_result).
    type: dict
    required: true
  host:
    description: The host that the task was for.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Deploy, and say why that failed
  block:
    - name: Deploy the stack
      community.docker.docker_stack:
        name: dtr-cache
        compose: [docker-stack.yml]
  rescue:
    - name: Say why
      ansible.builtin.fail:
        msg: "{{ ansible_failed_result | dtr.cache.failure_reason(inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description: The reason.
  type: str
  sample: "The task timed out after 300 seconds."
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ..plugin_utils.actions.reasons import reason_of


def _failure_reason(result: t.Any, host: str) -> str:
    if not isinstance(result, t.Mapping):
        raise AnsibleFilterError(f"failure_reason: {type(result).__name__} is not the result of a task")
    return reason_of(result, host)


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Names and functions."""
        return {"failure_reason": _failure_reason}
