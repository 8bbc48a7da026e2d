#!/usr/bin/python
# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup
short_description: Write the content caches and each account's cache to a file
version_added: 1.0.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Reads which content caches DTR knows and which account pulls from which, and writes both to one JSON file, by names.
    M(dtr.cache.restore) brings them back, also to a DTR that was set up anew and has given other ids.
  - The file holds no secret, but the names of all users.
  - A file that says the same already is left alone. One that is no backup is never replaced.
  - A file with the backup of another DTR is not replaced either.
  - An account whose cache is gone is left out with a warning.
options:
  path:
    description: The file, on the host that runs the module. Its folder has to exist.
    type: path
    required: true
  progress_path:
    description:
      - Filled in on the control node. The file in which the module reports how many accounts it has read.
    type: path
extends_documentation_fragment:
  - dtr.cache.registry
  - dtr.cache.registry.concurrency
  - dtr.cache.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - module: dtr.cache.restore
"""

EXAMPLES = r"""
- name: Keep who pulls from where
  dtr.cache.backup:
    url: https://dtr.example.org
    username: admin
    password: "{{ vault_dtr_token }}"
    path: /var/backups/dtr-caches.json
  delegate_to: localhost
"""

RETURN = r"""
path:
  description: The file.
  returned: success
  type: str
  sample: /var/backups/dtr-caches.json
content_caches:
  description: The caches in it, by their C(name) and C(host).
  returned: success
  type: list
  elements: dict
  sample: [{name: region-asia, host: "https://cache-asia.example.org"}]
accounts:
  description: How many accounts are in it.
  returned: success
  type: int
  sample: 10000
dangling:
  description: The accounts that were left out as their cache is gone.
  returned: success
  type: list
  elements: str
  sample: [carol, dave]
"""

import typing as t

from ..module_utils.module.backups import back_up
from ..module_utils.module.of_dtr import DtrModule, concurrency_argument_spec

ARGUMENT_SPEC: dict[str, t.Any] = {
    "path": {"type": "path", "required": True},
    "progress_path": {"type": "path"},
    **concurrency_argument_spec(),
}

MODULE = DtrModule(back_up, ARGUMENT_SPEC)


def main() -> None:
    """Entry point."""
    MODULE.run()


if __name__ == "__main__":
    main()
