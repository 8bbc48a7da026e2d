#!/usr/bin/python
# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: content_caches
short_description: Declare which content caches DTR knows
version_added: 1.0.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Registers, replaces and removes content caches of Docker Trusted Registry or Mirantis Secure Registry.
  - DTR cannot change a registered cache. When the host differs, a new entry is made, all accounts that pull from the
    old one are moved, and only then the old entry is deleted. Where DTR refuses a second entry with the same name or
    host, the accounts pull from DTR itself while the old entry makes room, and everything is restored if the new entry
    is refused even then.
  - Hosts are compared as URLs. A default port, a slash at the end or capital letters in the host name make no
    difference.
  - Of several entries with a declared name, one with the right host is kept, the accounts of the others are moved to
    it, and the others are deleted.
options:
  caches:
    description: The caches to declare.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - The cache's name. V(local) is refused, since it means no cache.
          - A name that YAML would read as a number, such as V("0010"), needs quotes; a number is refused.
        type: raw
        required: true
      host:
        description: The URL at which clients reach the cache, such as V(https://cache-asia.example.org:443).
        type: str
      state:
        description: Whether the cache is registered, for which O(caches[].host) is needed.
        type: str
        choices: [present, absent]
        default: present
      former_names:
        description:
          - Names under which the cache was registered before. The accounts of such an entry are moved to the cache, or
            reset to no cache where it is to be absent, and only then the entry is deleted, as where the host differs.
          - A list, or text with commas. A name that is also declared as a cache is refused.
        type: raw
        default: []
  purge:
    description: Whether to remove all caches that O(caches) does not name.
    type: bool
    default: false
  reassign:
    description:
      - Whether accounts that pull from a cache about to be replaced or removed are moved to the new entry, or reset to
        no cache, before the old entry is deleted. This reads the settings of all accounts, but only when an entry goes,
        and once more before it goes, since somebody may have been set to it meanwhile.
      - Without it, such accounts are left with the id of a cache that is gone.
    type: bool
    default: true
  progress_path:
    description:
      - Filled in on the control node. The file in which the module reports how many accounts it has listed, read and
        moved.
      - Where people read the output, a line with these numbers is written to the standard error every five seconds.
        From another host than the control node no numbers come, and the line says only that the task still works.
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
  - module: dtr.cache.content_caches_info
  - module: dtr.cache.cache_assignments
"""

EXAMPLES = r"""
- name: Register the caches of two regions
  dtr.cache.content_caches:
    url: https://dtr.example.org
    username: admin
    password: "{{ vault_dtr_token }}"
    caches:
      - name: region-asia
        host: https://cache-asia.example.org:443
      - name: region-europe
        host: https://cache-europe.example.org:443

- name: Remove a cache, after its accounts were reset
  dtr.cache.content_caches:
    caches:
      - name: region-asia
        state: absent
  environment:
    DTR_URL: https://dtr.example.org
    DTR_USERNAME: admin
    DTR_PASSWORD: "{{ vault_dtr_token }}"

- name: Exactly these caches and no other
  dtr.cache.content_caches:
    url: https://dtr.example.org
    username: admin
    password: "{{ vault_dtr_token }}"
    caches: "{{ fleet }}"
    purge: true

- name: Give a cache another name, with its accounts
  dtr.cache.content_caches:
    url: https://dtr.example.org
    username: admin
    password: "{{ vault_dtr_token }}"
    caches:
      - name: region-asia
        host: https://cache-asia.example.org:443
        former_names: [asia]
"""

RETURN = r"""
content_caches:
  description: The caches that DTR knows afterwards, ordered by name, without the pseudo cache V(local).
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: The id, by which users' settings name the cache. Empty in check mode for a new one.
      type: str
      sample: 9f5d0c5e-7d1b-4a35-8f0c-0d6f2b1c8f11
    name:
      description: The name.
      type: str
      sample: region-asia
    host:
      description: The URL, as it was registered.
      type: str
      sample: https://cache-asia.example.org:443
created:
  description: The caches that are new, in the form of RV(content_caches).
  returned: success
  type: list
  elements: dict
  sample: [{id: 0b7e3c5a-6f0e-4a51-8f21-9a3f6a1c2d34, name: region-asia, host: "https://cache-asia.example.org"}]
replaced:
  description: The caches whose host or name changed.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name.
      type: str
      sample: region-asia
    before:
      description: The old entry, in the form of RV(content_caches).
      type: dict
      sample: {id: 0b7e3c5a-6f0e-4a51-8f21-9a3f6a1c2d34, name: region-asia, host: "https://cache-asia.example.org"}
    after:
      description: The new entry, in the form of RV(content_caches).
      type: dict
      sample: {id: 5d1c9a27-1b7e-4c0a-9d0f-2f6f5c1e8b90, name: region-asia, host: "https://cache-asia.example.org:8443"}
deleted:
  description: The entries that went without a successor, in the form of RV(content_caches).
  returned: success
  type: list
  elements: dict
  sample: [{id: 0b7e3c5a-6f0e-4a51-8f21-9a3f6a1c2d34, name: region-asia, host: "https://cache-asia.example.org"}]
reassigned:
  description: The accounts that were moved, ordered by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The account.
      type: str
      sample: alice
    before:
      description: Name of the cache that the account pulled from.
      type: str
      sample: region-asia
    before_host:
      description: Host of that cache.
      type: str
      sample: https://old-cache-asia.example.org:443
    after:
      description: Name of the cache that it pulls from now, V(local) for none.
      type: str
      sample: region-asia
    after_host:
      description: Host of that cache, or none.
      type: str
      sample: https://cache-asia.example.org:443
left_out:
  description:
    - How many entries are missing in which of the other lists. Of a task that failed, Ansible shows the whole result,
      so that each list has 50 entries at most. With C(-v) nothing is left out.
  returned: failure with longer lists
  type: dict
  sample: {failed_accounts: 9880}
failed_accounts:
  description:
    - The accounts that could not be read or moved, each with C(name), C(code) and C(message).
    - An account that was reset while its old entry made room, and could not be given a cache again, also has C(cache)
      and C(host), the cache that it belongs to. It pulls from DTR itself until it is assigned again.
  returned: failure
  type: list
  elements: dict
  sample: [{name: bob, code: INTERNAL_ERROR, message: "DTR answered 500 for the settings of bob."}]
"""

import typing as t

from ..module_utils.module.content_caches import declare
from ..module_utils.module.of_dtr import DtrModule, concurrency_argument_spec

ARGUMENT_SPEC: dict[str, t.Any] = {
    "caches": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "raw", "required": True},
            "host": {"type": "str"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "former_names": {"type": "raw", "default": []},
        },
    },
    "purge": {"type": "bool", "default": False},
    "reassign": {"type": "bool", "default": True},
    "progress_path": {"type": "path"},
    **concurrency_argument_spec(),
}


MODULE = DtrModule(declare, ARGUMENT_SPEC)


def main() -> None:
    """Entry point."""
    MODULE.run()


if __name__ == "__main__":
    main()
