#!/usr/bin/python
# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Find everything that is wrong with a cache's settings before anything is touched
version_added: 0.1.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Reads the C(dtr_cache_*) variables of the host, checks and normalises them on the control node, and asks the Swarm
    about the nodes and the port that they name. Nothing is changed.
  - Certificates and keys are judged on the control node; they are not sent anywhere.
  - This is what role P(dtr.cache.settings#role) runs.
options:
  needs:
    description:
      - The parts of a deployment that must be complete. Variables of other parts are checked when they are set.
      - V(cache) is its name and address, V(registry) the DTR, V(certificate) the cache's certificate and key,
        V(manager) a manager that can be used, V(swarm) the nodes and the port as well.
      - V(address) is the DTR's address alone, V(port) the cache's port alone.
    type: list
    elements: str
    choices: [cache, registry, certificate, manager, swarm, address, port]
    required: true
  fail:
    description:
      - Whether the task fails when something is wrong. With V(false) what is wrong is returned beside the settings as
        far as they could be read, for a look at a cache that must not end there.
    type: bool
    default: true
  ask_swarm:
    description:
      - When the Swarm is asked. With V(never) only what the control node knows is judged, such as before something is
        installed on the manager.
      - With V(to_complete) it is asked where something else is wrong already, so that all problems are told together.
        Otherwise that is left to M(dtr.cache.stack_plan), which looks at the Swarm anyway.
    type: str
    choices: [always, never, to_complete]
    default: always
  nodes:
    description: Filled in on the control node. Host names of the nodes to dedicate.
    type: list
    elements: str
    default: []
  port:
    description: Filled in on the control node. The port to publish.
    type: int
  publish_mode:
    description: Filled in on the control node. V(ingress) or V(host).
    type: str
  stack_name:
    description: Filled in on the control node. The stack that may hold the port already.
    type: str
extends_documentation_fragment:
  - dtr.cache.engine
  - dtr.cache.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: Nothing is changed.
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Check the settings of a cache that is to be registered
  dtr.cache.preflight:
    needs: [cache, registry]
"""

RETURN = r"""
problems:
  description: Everything that is wrong, one sentence each. The task fails when there is any, unless O(fail=false).
  returned: always
  type: list
  elements: str
checked:
  description: Those of O(needs) that were judged; without V(manager) and V(swarm) where the Swarm was not asked.
  returned: success
  type: list
  elements: str
settings:
  description: The settings with defaults, presets and lists worked out. Without secrets.
  returned: success
  type: dict
bundle:
  description:
    - How the Engine of C(dtr_cache_client_bundle) is reached (C(engine), connection options without secrets; empty
      without a bundle), and the folder that an archive was unpacked into (C(unpacked)), which goes with the run.
  returned: success
  type: dict
"""

from ..module_utils.module.base import SentModule, run_to_end
from ..module_utils.module.of_engine import ENGINE_ARGUMENT_SPEC
from ..module_utils.swarm.engine import Engine
from ..module_utils.swarm.prerequisites import preflight_problems


def main() -> None:
    """Check what only the Swarm knows; the action plugin of the same name has checked the rest."""
    module = SentModule(
        argument_spec={
            "needs": {
                "type": "list",
                "elements": "str",
                "choices": ["cache", "registry", "certificate", "manager", "swarm", "address", "port"],
                "required": True,
            },
            "fail": {"type": "bool", "default": True},
            "ask_swarm": {"type": "str", "choices": ["always", "never", "to_complete"], "default": "always"},
            "nodes": {"type": "list", "elements": "str", "default": []},
            "port": {"type": "int"},
            "publish_mode": {"type": "str"},
            "stack_name": {"type": "str"},
            **ENGINE_ARGUMENT_SPEC,
        },
        supports_check_mode=True,
    )

    params = module.params
    swarm = {key: params[key] for key in ("nodes", "port", "publish_mode", "stack_name")}
    asked = swarm if "swarm" in params["needs"] else None
    run_to_end(module, lambda: {"problems": preflight_problems(Engine(params), asked)})


if __name__ == "__main__":
    main()
