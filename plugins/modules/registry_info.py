#!/usr/bin/python
# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_info
short_description: Get the state of DTR
version_added: 1.0.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Reads health, version, features and replicas of Docker Trusted Registry or Mirantis Secure Registry.
  - Administrators get all of it; for others a part is null. What a version of DTR does not say is null as well.
extends_documentation_fragment:
  - dtr.cache.registry
  - dtr.cache.attributes
  - dtr.cache.attributes.info_module
"""

EXAMPLES = r"""
- name: Wait until DTR is healthy
  dtr.cache.registry_info:
    url: https://dtr.example.org
    username: admin
    password: "{{ vault_dtr_token }}"
  register: dtr
  until: dtr is success and dtr.healthy
  retries: 10
  delay: 6
"""

RETURN = r"""
healthy:
  description: Whether the replica that answered is healthy, from C(/_ping).
  returned: success
  type: bool
  sample: true
error:
  description: Why it is not healthy, empty if it is.
  returned: success
  type: str
  sample: ""
version:
  description: The version, or null where DTR does not say.
  returned: success
  type: str
  sample: 2.7.4
read_only:
  description:
    - Whether the registry or one of its replicas is read only. Null for others than administrators, and where a version
      does not say, as none of MSR 3 does.
  returned: success
  type: bool
  sample: false
features:
  description: What is switched on and licensed, as DTR names it. Null where it does not say.
  returned: success
  type: dict
  sample:
    scanningEnabled: false
    mirroringLicensed: true
replicas:
  description:
    - The replicas, ordered by id. Null for others than administrators, or when DTR is not healthy enough to answer.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: The replica's id.
      type: str
      sample: f4c1e1a0b2d3
    health:
      description: DTR's word for its health.
      type: str
      sample: OK
    read_only:
      description: Whether it is read only. Null where the version does not say.
      type: bool
      sample: false
    timestamp:
      description: When it last reported.
      type: str
      sample: "2020-06-01T12:00:00Z"
"""

import typing as t

from ..module_utils.dtr.api import described
from ..module_utils.module.base import Module
from ..module_utils.module.of_dtr import DtrModule, DtrSession


def work(module: Module) -> dict[str, t.Any]:
    """Read the state."""
    with DtrSession(module) as dtr:
        return described(dtr)


MODULE = DtrModule(work)


def main() -> None:
    """Entry point."""
    MODULE.run()


if __name__ == "__main__":
    main()
