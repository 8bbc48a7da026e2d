#!/usr/bin/python
# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: adopt
short_description: Write the variables that describe a content cache which runs
version_added: 1.0.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Chooses the cache of the host among those that M(dtr.cache.live_caches_info) found in its Swarm, reads from DTR its
    names and the accounts that pull from it, and writes a file of C(dtr_cache_*) variables for it on the control node.
  - A cache is chosen by C(dtr_cache_stack_name), C(dtr_cache_host), C(dtr_cache_port) and C(dtr_cache_name) where the
    host has them, and else by its name in DTR where that is the host's in the inventory. A single one needs none of
    that.
  - What nobody can read, such as passwords and keys, stands in the file as a comment at its place. Credentials in
    C(config.yml) are never written; a variable that is to come from a vault stands in their place.
  - The file is read back as a deployment reads its variables. What a deployment with it changes stands at its top.
  - All accounts of a DTR are read once in a run. The action runs on the control node.
options:
  caches:
    description: The caches of the host's Swarm, as M(dtr.cache.live_caches_info) returns them.
    type: list
    elements: dict
    required: true
  services:
    description: How many services that Swarm has, for the message when none is a cache.
    type: int
    default: 0
  swarm:
    description: The id of that Swarm, by which two hosts that choose the same cache are noticed.
    type: str
    default: ""
  to:
    description:
      - The folder for the file, which gets the name of the host. It is made where it is missing. The folder
        C(host_vars) beside the inventory is the default.
      - Where it has a folder of the host's name, the file is C(dtr_cache.yml) in that one.
    type: path
  overwrite:
    description: Whether a file that is there already and says something else is replaced. Otherwise that is an error.
    type: bool
    default: false
  progress_path:
    description: Filled in on the control node. The file in which the module reports how many accounts it has read.
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
  - module: dtr.cache.live_caches_info
"""

EXAMPLES = r"""
- name: Find the caches of the Swarm
  dtr.cache.live_caches_info:
  register: found

- name: Write the variables of the host's cache
  dtr.cache.adopt:
    url: https://dtr.example.org
    username: admin
    password: "{{ vault_dtr_token }}"
    caches: "{{ found.caches }}"
    swarm: "{{ found.swarm }}"
  delegate_to: localhost
"""

RETURN = r"""
path:
  description: The file.
  returned: success
  type: str
  sample: /etc/ansible/host_vars/region-asia.yml
name:
  description: The cache's name in DTR.
  returned: success
  type: str
  sample: region-asia
url:
  description: Its address.
  returned: success
  type: str
  sample: https://cache-asia.example.org:443
stack:
  description: Its stack.
  returned: success
  type: str
  sample: dtr-cache
nodes:
  description: Its nodes.
  returned: success
  type: list
  elements: str
  sample: [worker-3]
accounts:
  description: How many accounts pull from it.
  returned: success
  type: int
  sample: 122
to_set:
  description: The variables that a deployment needs, that only the user knows, and that the host does not have yet.
  returned: success
  type: list
  elements: str
  sample: [dtr_cache_certificate, dtr_cache_private_key]
vaulted:
  description: The variables that are to hold the credentials of C(config.yml).
  returned: success
  type: list
  elements: str
  sample: [vault_region_asia_s3_secretkey]
notes:
  description: What of the cache no variable keeps, or what the user has to decide.
  returned: success
  type: list
  elements: str
  sample: ["The label com.example.owner of the service is not kept."]
changes:
  description: What the first deployment with the file changes, besides names and labels of configs and secrets.
  returned: success
  type: list
  elements: str
  sample: ["The restart policy becomes any."]
"""

import typing as t

from ..module_utils.module.of_dtr import DtrModule, concurrency_argument_spec
from ..module_utils.module.registrations import known_to_dtr

ARGUMENT_SPEC: dict[str, t.Any] = {
    "caches": {"type": "list", "elements": "dict", "required": True},
    "services": {"type": "int", "default": 0},
    "swarm": {"type": "str", "default": ""},
    "to": {"type": "path"},
    "overwrite": {"type": "bool", "default": False},
    "progress_path": {"type": "path"},
    **concurrency_argument_spec(),
}

# What DTR knows; the action plugin of the same name makes the file of it.
MODULE = DtrModule(known_to_dtr, ARGUMENT_SPEC)


def main() -> None:
    """Entry point."""
    MODULE.run()


if __name__ == "__main__":
    main()
