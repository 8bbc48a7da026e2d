# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: control_path
short_description: Where a path of a variable leads on the control node
version_added: 1.0.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - A playbook that is run by its name, such as C(dtr.cache.deploy), lies in no folder of the user's. So a relative path
    is looked for in the folder in which C(ansible-playbook) was started, then in those that are named, the inventory's
    and the playbook's.
positional: inventory_dir, playbook_dir
options:
  _input:
    description: The path.
    type: str
    required: true
  inventory_dir:
    description: The folder of the inventory.
    type: str
  playbook_dir:
    description: The folder of the playbook.
    type: str
"""

EXAMPLES = r"""
- name: Show where the certificate is read from
  ansible.builtin.debug:
    msg: "{{ 'certs/region-asia.pem' | dtr.cache.control_path(inventory_dir, playbook_dir) }}"
"""

RETURN = r"""
_value:
  description: The absolute path of what is there, or else of its place in the working directory.
  type: str
  sample: /home/ops/caches/certs/ca.pem
"""

import typing as t

from ..plugin_utils.actions.paths import control_path


def _control_path(path: str, inventory_dir: str | None = None, playbook_dir: str | None = None) -> str:
    return control_path(path, inventory_dir, playbook_dir)


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Names and functions."""
        return {"control_path": _control_path}
