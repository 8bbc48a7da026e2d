# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: play_hosts
short_description: Whom a playbook of the collection runs on
version_added: 1.0.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Reads C(dtr_cache_hosts) for the keyword C(hosts) of a play, like any other variable of the collection.
  - A name that the inventory does not have is an error. Ansible would run on nobody, and succeed.
  - So are C(--tags) and C(--start-at-task) where playbooks of the collection alone are run. They would do nothing or
    begin without a check of the settings.
options:
  _input:
    description: The value of C(dtr_cache_hosts), or nothing.
    type: raw
    required: true
  groups:
    description: The groups of the inventory, Ansible's own variable of this name.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show whom the playbooks would run on
  ansible.builtin.debug:
    msg: "{{ dtr_cache_hosts | default('') | dtr.cache.play_hosts(groups) }}"
"""

RETURN = r"""
_value:
  description: Patterns for hosts.
  type: list
  elements: str
  sample: [dtr_caches]
"""

import typing as t

from ansible import context
from ansible.errors import AnsibleFilterError

from ..plugin_utils.actions.partial_runs import partial_run_problem
from ..plugin_utils.settings.run import read_hosts
from ..plugin_utils.settings.variables import read_single


def _play_hosts(value: t.Any, groups: t.Mapping[str, t.Sequence[str]]) -> list[str]:
    # What asks first whom a playbook runs on is the playbook itself.
    problem = partial_run_problem(context.CLIARGS)
    if problem:
        raise AnsibleFilterError(problem)
    return read_single("hosts", value, lambda reader: read_hosts(reader, groups))


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Names and functions."""
        return {"play_hosts": _play_hosts}
