#!/usr/bin/python
# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Find everything that is wrong with a cache's settings before anything is touched
version_added: 1.0.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Reads the C(dtr_cache_*) variables of the host, checks and normalises them on the control node, and compares them
    with what the other hosts of the inventory's group C(dtr_caches) declare, also those that C(--limit) leaves out.
    Gets the CA of DTR, and asks DTR whether the credentials are good and what the variables name is there. Asks the
    Swarm about the nodes, the port, the reservations, the volume driver and the image. Nothing is changed, except that
    C(dtr_cache_install_requirements) installs packages on the manager.
  - Certificates and keys are judged on the control node; they are not sent anywhere.
  - Each role begins with this task and keeps the result as C(__dtr_cache). Asked again with the same variables it gives
    the same answer at once.
options:
  needs:
    description:
      - The parts of a deployment that must be complete. Variables of other parts are checked when they are set.
      - V(cache) is its name and address, V(registry) the DTR and the cache's name in it, V(dtr) the DTR and an
        administrator of it alone, V(certificate) the cache's certificate and key,
        V(manager) a manager that can be used, V(swarm) the nodes, the port and the image as well.
      - V(address) is the DTR's address alone, V(port) the cache's port alone.
      - V(trust) is the DTR's address, and its CA unless C(dtr_cache_client_trust_state) is C(absent).
      - V(confirmation) is C(dtr_cache_confirm_removal), outside of check mode. V(rotation) keeps the running image
        where neither the variables nor DTR say which one is wanted. V(verification) is an image to pull or a repository
        to prove with, V(warming) an image to warm, V(backup) and V(restore) the file of a backup, V(awx) the address of
        a project and a collection that writes to AWX or Controller.
      - V(registration), V(assignment) and V(pull) are what DTR is asked about for V(registry) besides the credentials.
        An administrator registers caches, and no other region of the DTR has a cache of the same name. Accounts, teams
        and organisations of C(dtr_cache_assignments) are there, and no other region claims them as well.
        C(dtr_cache_verify_image) and C(dtr_cache_verify_repository) are there, and the account that pulls may do so.
    type: list
    elements: str
    choices:
      - cache
      - registry
      - dtr
      - certificate
      - manager
      - swarm
      - address
      - port
      - trust
      - confirmation
      - rotation
      - verification
      - warming
      - backup
      - restore
      - registration
      - assignment
      - pull
      - awx
    required: true
  fail:
    description:
      - Whether the task fails when something is wrong. With V(false) what is wrong is returned beside the settings as
        far as they could be read, so that a cache can be observed all the same.
    type: bool
    default: true
  together:
    description:
      - Whether the results of all hosts of the play are needed in the end. Strategies that do not wait for other hosts
        (C(free), C(host_pinned)) are refused then.
    type: bool
    default: false
  ask_swarm:
    description:
      - When the Swarm is asked. With V(never) only what the control node knows is judged.
      - With V(to_complete) it is asked where something else is wrong already, so that all problems are reported
        together. Otherwise that is left to the next task, which reads the Swarm anyway.
      - With V(to_plan) as well; and where nothing is wrong, it is asked what a deployment would change, in one question
        with what V(always) asks. The result is RV(plan). It needs O(fail), and V(registry), V(certificate) and V(swarm)
        among O(needs).
    type: str
    choices: [always, never, to_complete, to_plan]
    default: always
  nodes:
    description: Filled in on the control node. Host names of the nodes to dedicate.
    type: list
    elements: str
    default: []
  port:
    description: Filled in on the control node. The port to publish.
    type: int
  metrics_port:
    description: Filled in on the control node. The port of the nodes for the cache's metrics.
    type: int
  publish_mode:
    description: Filled in on the control node. V(ingress) or V(host).
    type: str
  host:
    description: Filled in on the control node. The public host name of the cache.
    type: str
  former_stacks:
    description: Filled in on the control node. Stacks that were this cache before.
    type: list
    elements: str
    default: []
  node_label:
    description: Filled in on the control node. The label of the nodes of the cache.
    type: str
    default: ""
  stack_name:
    description: Filled in on the control node. The stack that may hold the port already.
    type: str
  image:
    description: Filled in on the control node. The cache's image.
    type: str
  resolve_image:
    description: Filled in on the control node. V(always), V(changed) or V(never).
    type: str
  with_registry_auth:
    description: Filled in on the control node. Whether the manager's credentials for the image's registry are used.
    type: bool
    default: false
  replicas:
    description: Filled in on the control node. How many replicas the nodes have to take.
    type: int
    default: 1
  reservations:
    description: Filled in on the control node. What each replica reserves, C(cpus) and C(memory).
    type: dict
    default: {}
  volume_driver:
    description: Filled in on the control node. The driver of the volume for the layers.
    type: str
extends_documentation_fragment:
  - dtr.cache.engine
  - dtr.cache.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: With O(ask_swarm=to_plan) it shows what a deployment would change.
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Check the settings of a cache that is to be registered
  dtr.cache.preflight:
    needs: [cache, registry]

- name: Check the settings, for the tasks of this collection that follow
  dtr.cache.preflight:
    needs: [cache, registry, registration, assignment, pull]
  register: __dtr_cache
"""

RETURN = r"""
problems:
  description: Everything that is wrong, one sentence each, with O(fail=false). Otherwise it stands in the message.
  returned: success
  type: list
  elements: str
  sample: ["dtr_cache_nodes: is empty; for example: [worker-3]"]
checked:
  description: Those of O(needs) that were judged; without V(manager) and V(swarm) where the Swarm was not asked.
  returned: success
  type: list
  elements: str
  sample: [cache, dtr, swarm]
judged:
  description: Those of O(needs) that were judged as far as it is done without the Swarm, and what they imply.
  returned: success
  type: list
  elements: str
  sample: [cache, dtr]
settings:
  description: The settings with defaults, presets and lists worked out. Without secrets.
  returned: success
  type: dict
  sample: {name: region-asia, host: cache-asia.example.org, port: 443}
deployment:
  description:
    - The stack as it will be deployed, its C(definition), C(compose) (the same as C(docker stack deploy) reads it), and
      the names of its C(configs) and C(secrets). Null where the variables do not describe a deployment.
  returned: success
  type: dict
  sample: {definition: {version: "3.3"}, compose: {version: "3.3"}, configs: [], secrets: []}
plan:
  description:
    - What a deployment would change, as M(dtr.cache.stack_plan) returns it. In check mode the task reports changed when
      there are steps, and with C(--diff) it shows them.
  returned: with O(ask_swarm=to_plan)
  type: dict
  sample: {steps: []}
engine:
  description: How the Engine is reached, connection options without secrets.
  returned: success
  type: dict
  sample: {docker_host: "unix:///var/run/docker.sock"}
dtr_ca:
  description:
    - The CA of DTR, its C(pem), its C(certificates), and what it is trusted by (C(trusted_by)), V(given), V(system),
      V(ca), V(fingerprint) or V(first_use). Null where it was not needed or could not be had.
  returned: success
  type: dict
  sample: {pem: "-----BEGIN CERTIFICATE-----…", certificates: [], trusted_by: fingerprint}
others:
  description:
    - Whom other regions of the inventory claim at the same DTR, each with its C(host) and its C(claims), as
      O(dtr.cache.cache_assignments#module:others) takes them. Empty unless O(needs) has V(assignment).
  returned: success
  type: list
  elements: dict
  sample: [{host: region-europe, claims: [{accounts: [carol]}]}]
dtr_ca_problem:
  description: Why the CA could not be had, with O(fail=false).
  returned: success
  type: str
  sample: "https://dtr.example.org/ca refused the connection"
connection:
  description: A mark of the connection to DTR that the variables describe. Of use in one run only.
  returned: success
  type: str
  sample: 1f0c
play:
  description: The play that the answer is of.
  returned: always
  type: str
  sample: 7c2e
host:
  description: The host that the answer is of.
  returned: always
  type: str
  sample: region-asia
check_mode:
  description: Whether the task runs in check mode, which C(ansible_check_mode) does not say of a keyword.
  returned: always
  type: bool
  sample: false
fingerprint:
  description: Changes with the variables and the files that they name. Of use in one run only.
  returned: success
  type: str
  sample: 9ab4
"""

from dataclasses import fields

from ..module_utils.module.base import SentModule, run_to_end
from ..module_utils.module.options import PREFLIGHT_ARGUMENT_SPEC
from ..module_utils.swarm.engine import Engine
from ..module_utils.swarm.prerequisites import WantedService, preflight_problems


def main() -> None:
    """Check what only the Swarm knows; the action plugin of the same name has checked the rest."""
    module = SentModule(argument_spec=PREFLIGHT_ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    wanted = {field.name: params[field.name] for field in fields(WantedService) if params[field.name] is not None}
    asked = WantedService(**wanted) if "swarm" in params["needs"] else None
    run_to_end(module, lambda: {"problems": preflight_problems(Engine(params), asked, module.warn)})


if __name__ == "__main__":
    main()
