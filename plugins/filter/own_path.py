# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: own_path
short_description: A path on the control node that no other user has laid
version_added: 1.0.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Fails when a part of the path belongs to another user and lies below a folder where everybody may write, such as
    C(/tmp). A link or a folder of somebody else there would decide what is overwritten.
  - Where nothing speaks against it, the path comes back as it is. What does not exist belongs to nobody.
options:
  _input:
    description: The absolute path.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Write a file for a review
  ansible.builtin.copy:
    content: "{{ text }}"
    dest: "{{ '/tmp/review/config.yml' | dtr.cache.own_path }}"
    mode: u=rw,go=r
  delegate_to: localhost
"""

RETURN = r"""
_value:
  description: The same path.
  type: str
  sample: /tmp/dtr-cache-status.json
"""

import typing as t

from ansible.errors import AnsibleFilterError

from ..module_utils.common.files import foreign_words


def _own_path(path: str) -> str:
    problem = foreign_words(str(path))
    if problem:
        raise AnsibleFilterError(f"{path} is not written: {problem}.")
    return path


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Names and functions."""
        return {"own_path": _own_path}
