#!/usr/bin/python
# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_plan
short_description: Show what a deployment would change in a Swarm
version_added: 1.0.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - For the playbooks and roles of this collection, which fill in its options.
  - Reads a Swarm through the Engine API and compares it with the desired state. Nothing is ever changed.
  - Manual changes to the live service count as drift. Every setting that a deployment declares is compared, and those
    that C(docker stack deploy) would reset. Labels that begin with C(com.docker.) and are not declared are ignored,
    since UCP and MKE add such labels to services.
  - The diff has the parts that differ, of a new service those that are not Docker's defaults, and with O(objects) what
    changes in C(config.yml) and in certificates. In a real run the task shows it as well, although other tasks make the
    changes.
  - A content cache that was made by hand is recognised by its image, its C(config.yml) or its command. It is updated in
    place, and its configs and secrets become outdated like those of this collection.
  - In check mode the task reports changed when there are steps, since M(community.docker.docker_stack) has no check
    mode. In a real run the tasks that make the changes report them.
options:
  name:
    description: The stack's name. Required without O(stacks) and O(for_hosts).
    type: str
  state:
    description:
      - V(present) plans the steps to the desired state.
      - V(absent) plans the removal of the stack's services and networks, of all its configs and secrets, and of
        O(node_labels) from the nodes that are named there. Objects and labels that another service uses stay, and so do
        other services and caches of the stack.
    type: str
    choices: [present, absent]
    default: present
  node_labels:
    description:
      - Labels that nodes must have, as a dictionary of host names, each with a dictionary of labels.
      - Other nodes lose a label of that name, unless another service is placed by it.
    type: dict
    default: {}
  definition:
    description: The stack's definition as RV(dtr.cache.preflight#module:deployment) has it. The configs and secrets
      that it names must exist. Without it, no service is compared.
    type: dict
    default: {}
  objects:
    description: The configs and secrets of O(definition) for the diff of their contents, each with its C(name), C(file)
      and C(labels). Docker does not return the content of a secret, so facts about certificates are read from labels.
    type: list
    elements: dict
    default: []
  config:
    description: The desired content of C(config.yml) for the diff, which masks each credential.
    type: str
  former_stacks:
    description: Names of stacks that were this cache before. Those that still exist are replaced and removed. RV(move)
      says how the new service takes their place.
    type: list
    elements: str
    default: []
  host:
    description: The public host name of the cache. A removal leaves the cache of another host alone.
    type: str
    default: ""
  port:
    description: The port that the cache publishes. A removal leaves the cache of another port alone. V(0) compares the
      host alone.
    type: int
    default: 0
  public_port:
    description: The port at which clients reach the cache, for the same.
    type: int
    default: 0
  keep_versions:
    description: How many superseded configs and secrets of each file stay for a rollback. Those that a service uses, or
      would use after a rollback, stay in any case.
    type: int
    default: 2
  preflight:
    description: The options with which M(dtr.cache.preflight) would check the Swarm, such as C(nodes), C(port) and
      C(publish_mode). They are checked first. If anything is wrong, there is no plan, and RV(problems) has everything.
    type: dict
  stacks:
    description: Several stacks of the Swarm instead of O(name), each with its C(name) and the other options above.
      RV(plans) has the results.
    type: list
    elements: dict
  for_hosts:
    description:
      - Instead of O(name), the hosts of a play that run this task. The stack is that of the settings that
        M(dtr.cache.preflight) has read for the task's host and registered as C(__dtr_cache).
      - Of hosts that reach the same manager in the same way, the first one asks by O(stacks) for all.
    type: list
    elements: str
extends_documentation_fragment:
  - dtr.cache.engine
  - dtr.cache.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Compare the labels of nodes
  dtr.cache.stack_plan:
    name: dtr-cache
    node_labels:
      worker-3:
        dtr.cache: "true"
  register: plan

- name: Show the steps
  ansible.builtin.debug:
    var: plan.steps
"""

RETURN = r"""
plans:
  description: For each of O(stacks), in their order, the result as for O(name), or a failure.
  returned: with O(stacks)
  type: list
  elements: dict
  sample: [{steps: [], settled: true, changed: false}]
problems:
  description: Everything that O(preflight) found wrong, one sentence each.
  returned: when something is wrong
  type: list
  elements: str
  sample: ["node worker-9: the Swarm has no such node"]
steps:
  description:
    - The steps to the desired state in their order, each with its C(kind) (V(node_label), V(config), V(secret),
      V(service) or V(network)), its C(action) (V(set), V(create), V(update) or V(remove)) and its C(name).
    - C(detail) has the label, or the parts of the service that differ. C(id) is the node's id. C(stack) is the stack
      of a step that comes last, when the new service runs. C(alone) is V(yes) for a service that is removed while
      others of its stack stay.
  returned: success
  type: list
  elements: dict
  sample:
    - {kind: node_label, action: set, name: worker-3, detail: dtr.cache=true, id: nk3o0v5vqp5k}
definition:
  description: O(definition) with the name of the service that is updated in place. It is deployed as C(compose).
  returned: success
  type: dict
  sample: {version: "3.3", services: {cache: {image: "docker/dtr-content-cache:2.7.6"}}}
compose:
  description: RV(definition) as C(docker stack deploy) has to get it.
  returned: success
  type: dict
  sample: {version: "3.3", services: {cache: {image: "docker/dtr-content-cache:2.7.6"}}}
move:
  description:
    - How the new service takes the place of those of O(former_stacks), which C(former) names. C(release) has the
      commands before the deployment, C(hand_over) those after it, and C(undo) those that bring the former services
      back. Commands are arguments of C(docker).
    - A port in mode V(host) moves replica by replica. Swarm gives a port of the routing mesh to one service alone, so
      the former service gives it up before the deployment; so it does where the mode of the port changes.
  returned: success
  type: dict
  sample: {former: [asia-cache_cache], hand_over: [[service, scale, --detach, asia-cache_cache=0]]}
trial:
  description: The stack that tries a deployment before a running replica is exchanged. C(stack) is its name,
    C(is_left_over) says whether an interrupted run has left one, and C(definition) and C(compose) are empty where no
    replica is exchanged.
  returned: success
  type: dict
  sample: {stack: dtr-cache-trial, is_left_over: false, definition: {}, compose: {}}
empties_cache:
  description: Whether the new replica has no volume and no folder in common with the one that it replaces.
  returned: success
  type: bool
  sample: false
left_volumes:
  description: The volumes of services that are removed, with the nodes on which Swarm leaves them.
  returned: success
  type: list
  elements: dict
  sample: [{name: dtr-cache_cache-data, nodes: [worker-3]}]
volumes_to_remove:
  description: Of a removal with C(dtr_cache_remove_volume), each volume with its node.
  returned: success
  type: list
  elements: dict
  sample: [{name: dtr-cache_cache-data, node: worker-3}]
lost_or_left:
  description: Sentences about layers that are lost or stay behind.
  returned: success
  type: list
  elements: str
  sample: ["Volume dtr-cache_cache-data stays on worker-3 with the layers in it."]
left_behind:
  description: What stays at the DTR that the cache belonged to before, and how to clean up there.
  returned: when the variables of the roles name another DTR than before
  type: str
  sample: "At https://old.example.org region-asia stays registered."
replaced_config:
  description: What the C(config.yml) that is replaced says of its DTR. C(registry) is from its label, C(upstreams) from
    its content, which a secret does not show.
  returned: success
  type: dict
  sample: {registry: "https://dtr.example.org", upstreams: ["https://dtr.example.org"]}
kept_images:
  description: Services whose image was changed by hand, and which C(docker stack deploy) would keep unless it resolves
    images V(always), since the label C(com.docker.stack.image) still names the desired image.
  returned: success
  type: list
  elements: str
  sample: [cache]
settled:
  description: Whether each replica runs the definition of the stack. After an interrupted run this can be false
    although nothing differs.
  returned: success
  type: bool
  sample: true
reason:
  description: Why it has settled or has not, in a few words.
  returned: success
  type: str
  sample: "service cache: 1/2 run (failed, running)"
fix:
  description: What to do where a node or a port keeps replicas from running; empty otherwise.
  returned: success
  type: str
  sample: Start the Engine of worker-3, or name another node in dtr_cache_nodes and run dtr.cache.deploy.
stalled:
  description: Services whose replicas have all ended and for which Swarm makes no new one until they are deployed
    again.
  returned: success
  type: list
  elements: str
  sample: [dtr-cache_cache]
known_tasks:
  description: The tasks of the stack by id, and whether each one runs, for M(dtr.cache.stack_converged).
  returned: success
  type: dict
  sample: {kq8yizf0x4b2h1ndp7w3: true}
caches:
  description: The live services that the plan updates or removes, with C(http.host) of their C(config.yml) (C(url)),
    and the C(name) in DTR and the DTR (C(registry)) from its labels. The task fails with code V(OTHER_CACHE) where
    the cache belongs to another region.
  returned: success
  type: list
  elements: dict
  sample:
    - {service: dtr-cache_cache, url: "https://cache.example.org", name: region-asia, registry: "https://x.org"}
manager:
  description: The host name of the node that was asked.
  returned: success
  type: str
  sample: manager-1
swarm:
  description: The id of the Swarm.
  returned: success
  type: str
  sample: x0g9lqdvc5b0iqbtpsjhi5uu4
service:
  description: The service of the stack that is the cache, without the stack's name.
  returned: when the Swarm was read
  type: str
  sample: cache
services:
  description: The services that run, also when no plan could be made, each with its C(name), C(image), C(ports) and
    C(nodes). C(replicas) has C(wanted) and C(running) ones.
  returned: when the Swarm was read
  type: list
  elements: dict
  sample:
    - {name: cache, image: "cache:2", replicas: {wanted: 1, running: 1}, ports: ["443:443/tcp (host)"], nodes: [w]}
published_ports:
  description: The host ports that the live RV(service) publishes, for
    O(dtr.cache.cache_health#module:caches[].published_ports).
  returned: when the Swarm was read
  type: list
  elements: int
  sample: [443]
node_addresses:
  description: The addresses of the Swarm's nodes by their host names.
  returned: when the Swarm was read
  type: dict
  sample: {"manager-1": ["192.0.2.21"], "worker-3": ["192.0.2.22"]}
"""

from ..module_utils.module.of_engine import EngineModule
from ..module_utils.swarm.engine import Snapshot
from ..module_utils.swarm.planning import planned, planned_for_each, prevented_by

MODULE = EngineModule(
    lambda engine, module: (
        planned_for_each(engine, module.params, check_mode=module.check_mode)
        if module.params["stacks"]
        else planned(engine, module.params, module.warn, check_mode=module.check_mode, diff=module._diff)
    ),
    {
        "name": {"type": "str"},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "node_labels": {"type": "dict", "default": {}},
        "objects": {"type": "list", "elements": "dict", "default": []},
        "config": {"type": "str", "no_log": True},
        "former_stacks": {"type": "list", "elements": "str", "default": []},
        "host": {"type": "str", "default": ""},
        "port": {"type": "int", "default": 0},
        "public_port": {"type": "int", "default": 0},
        "keep_versions": {"type": "int", "default": 2},
        "preflight": {"type": "dict"},
        "definition": {"type": "dict", "default": {}},
        "stacks": {"type": "list", "elements": "dict"},
        "for_hosts": {"type": "list", "elements": "str"},
    },
    prevented_by,
    Snapshot,
    mutually_exclusive=[("name", "stacks")],
    required_one_of=[("name", "stacks")],
)


def main() -> None:
    """Entry point."""
    MODULE.run()


if __name__ == "__main__":
    main()
