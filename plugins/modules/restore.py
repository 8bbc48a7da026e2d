#!/usr/bin/python
# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: restore
short_description: Bring content caches and each account's cache back from a file
version_added: 1.0.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Registers the content caches of a file that M(dtr.cache.backup) has written, and gives each account the cache that
    it had then. Caches are known by their names, so that it also works with a DTR that has given them other ids.
  - A cache that is registered with another host is replaced, and its accounts follow, as M(dtr.cache.content_caches)
    does it. Caches and accounts that the file does not name are left alone.
  - Accounts that DTR does not have any more are left out with a warning.
  - The backup of a DTR with another address is refused. Where a new DTR has taken the place of the other one, write its
    address as C(dtr) into the file.
  - Everything that is wrong with the file is reported before anything is changed.
options:
  path:
    description: The file, on the host that runs the module.
    type: path
    required: true
  progress_path:
    description:
      - Filled in on the control node. The file in which the module reports how many accounts it has read and written.
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
  - module: dtr.cache.backup
"""

EXAMPLES = r"""
- name: Give everybody the cache of the last backup
  dtr.cache.restore:
    url: https://dtr.example.org
    username: admin
    password: "{{ vault_dtr_token }}"
    path: /var/backups/dtr-caches.json
  delegate_to: localhost
"""

RETURN = r"""
content_caches:
  description: All caches that DTR knows afterwards, each with C(id), C(name) and C(host).
  returned: success
  type: list
  elements: dict
  sample: [{id: 0b7e3c5a-6f0e-4a51-8f21-9a3f6a1c2d34, name: region-asia, host: "https://cache-asia.example.org"}]
created:
  description: The caches that were registered, or would be in check mode.
  returned: success
  type: list
  elements: dict
  sample: [{name: region-asia, host: "https://cache-asia.example.org"}]
replaced:
  description: The caches that have another host now, each with C(name), C(before) and C(after).
  returned: success
  type: list
  elements: dict
  sample: [{name: region-asia, before: "https://asia.example.org", after: "https://cache-asia.example.org"}]
deleted:
  description: Further entries of the same names that were removed.
  returned: success
  type: list
  elements: dict
  sample: [{id: 0b7e3c5a-6f0e-4a51-8f21-9a3f6a1c2d34, name: region-asia, host: "https://cache-asia.example.org"}]
reassigned:
  description: The accounts that followed a cache to its new entry, as M(dtr.cache.content_caches) returns them.
  returned: success
  type: list
  elements: dict
  sample: [{name: alice, before: local, after: region-asia}]
changed_accounts:
  description: The accounts that got another cache, each with C(name), C(before) and C(after).
  returned: success
  type: list
  elements: dict
  sample: [{name: alice, before: local, after: region-asia}]
ways:
  description: As RV(dtr.cache.cache_assignments#module:ways), with the accounts that followed a cache to its new entry.
  returned: success, and after a partial failure
  type: list
  elements: dict
  sample: [{before: local, after: region-asia, count: 122}]
left_out:
  description: As RV(dtr.cache.cache_assignments#module:left_out).
  returned: failure with longer lists
  type: dict
  sample: {failed_accounts: 9880}
unchanged:
  description: How many accounts of the file had the right cache already.
  returned: success
  type: int
  sample: 9998
failed_accounts:
  description: The accounts that could not be changed, each with C(name), C(code) and C(message).
  returned: success, and after a partial failure
  type: list
  elements: dict
  sample: [{name: bob, code: INTERNAL_ERROR, message: "DTR answered 500 for the settings of bob."}]
missing_accounts:
  description: The accounts of the file that DTR does not have.
  returned: success
  type: list
  elements: str
  sample: [carol, dave]
"""

import typing as t

from ..module_utils.module.backups import restore
from ..module_utils.module.of_dtr import DtrModule, concurrency_argument_spec

ARGUMENT_SPEC: dict[str, t.Any] = {
    "path": {"type": "path", "required": True},
    "progress_path": {"type": "path"},
    **concurrency_argument_spec(),
}

MODULE = DtrModule(restore, ARGUMENT_SPEC)


def main() -> None:
    """Entry point."""
    MODULE.run()


if __name__ == "__main__":
    main()
