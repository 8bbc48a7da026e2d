#!/usr/bin/python
# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: content_caches_info
short_description: List the content caches that DTR knows
version_added: 1.0.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Lists the content caches of Docker Trusted Registry or Mirantis Secure Registry.
extends_documentation_fragment:
  - dtr.cache.registry
  - dtr.cache.attributes
  - dtr.cache.attributes.info_module
seealso:
  - module: dtr.cache.content_caches
"""

EXAMPLES = r"""
- name: List the caches
  dtr.cache.content_caches_info:
    url: https://dtr.example.org
    username: admin
    password: "{{ vault_dtr_token }}"
  register: known
"""

RETURN = r"""
content_caches:
  description: The caches that DTR knows now, ordered by name, without the pseudo cache V(local).
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: The id, by which users' settings name the cache.
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
duplicates:
  description: The names that more than one cache has. M(dtr.cache.content_caches) can resolve them.
  returned: success
  type: list
  elements: str
  sample: [region-asia]
"""

from ..module_utils.module.content_caches import listed
from ..module_utils.module.of_dtr import DtrModule

MODULE = DtrModule(listed)


def main() -> None:
    """Entry point."""
    MODULE.run()


if __name__ == "__main__":
    main()
