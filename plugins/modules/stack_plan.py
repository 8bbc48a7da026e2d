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
  - Reads a Swarm through the Engine API and compares it with what is wanted. Nothing is ever changed.
  - A change that somebody made by hand to the live service is found like any other difference. Compared are image,
    entrypoint and command, environment, ports and their modes, mounts, configs and secrets, C(stop_grace_period),
    C(logging), C(extra_hosts), C(dns), C(dns_search), C(labels), C(healthcheck), C(hostname), C(sysctls), C(ulimits),
    C(cap_add), C(cap_drop), C(init), C(networks), C(user), C(working_dir), C(read_only), C(stop_signal), C(tty),
    C(stdin_open), and of C(deploy) the mode, C(endpoint_mode), replicas, placement (constraints, preferences and
    replicas a node), C(restart_policy), C(update_config), C(rollback_config), C(resources) and C(labels). A part of
    O(definition) that is not named here is deployed, but not compared, and neither are labels that begin with
    C(com.docker.) and are not declared, since UCP and MKE give services some of their own.
  - The diff has the parts that differ, of a new service those that are not Docker's defaults, and with O(objects) what
    changes in C(config.yml) and in certificates. In a real run the task shows it as well, although other tasks do what
    it shows.
  - A content cache that somebody made by hand is recognised by its image, its C(config.yml) or its command, whatever
    its service, configs and secrets are called. It is updated in place, and what it leaves behind is outdated like what
    this collection made.
  - In check mode the task reports changed when there are steps, since the tasks that would do them cannot (
    M(community.docker.docker_stack) knows no check mode). In a real run the tasks that do them report it.
options:
  name:
    description: The stack's name. Required without O(stacks) and O(for_hosts).
    type: str
  state:
    description:
      - V(present) plans what makes the Swarm as it is wanted.
      - V(absent) plans the removal of the stack's services and networks, of all its configs and secrets (known by the
        label C(dtr.cache.stack), by Docker's own label of the stack, or by the service that uses them), and of
        O(node_labels) from the nodes that are named there. What a service of another stack uses or is placed by stays.
        Of a stack that has other services as well, or another cache, these stay with what they use.
    type: str
    choices: [present, absent]
    default: present
  node_labels:
    description:
      - Labels that nodes must have, as a dictionary of host names, each with a dictionary of labels.
      - Other nodes must not have a label of that name, since the stack's placement goes by it; unless a service outside
        of this stack is placed by the same label, whose nodes are then not known here. Other labels do not matter.
    type: dict
    default: {}
  objects:
    description:
      - What the configs and secrets of O(definition) are, for the diff of their contents. Docker does not give the
        content of a secret, so that what certificates say is read from labels, of both sides.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The object's name in the Swarm.
        type: str
        required: true
      file:
        description: The file that it is in the container.
        type: str
        required: true
      labels:
        description: The labels that it gets, or has.
        type: dict
        default: {}
  config:
    description:
      - The wanted content of the object whose file is C(config.yml). With C(--diff) it is compared with the live one;
        a word stands in the place of each credential.
    type: str
  former_stacks:
    description:
      - Names of stacks that were this cache before. Those that are still there are replaced, and what is left of them
        is removed. RV(move) says how the new service takes their place.
    type: list
    elements: str
    default: []
  host:
    description:
      - The public host name of the cache. What is removed is not the cache of another host, so that a wrong name, or
        one that is another cache's by now, ends no pulls.
    type: str
    default: ""
  port:
    description:
      - The port that the cache publishes. What is removed is not the cache of another port either. V(0) compares the
        host alone.
    type: int
    default: 0
  public_port:
    description: The port at which clients reach the cache, for the same.
    type: int
    default: 0
  keep_versions:
    description:
      - How many superseded configs and secrets of each file of the deployment stay for a rollback.
      - Those that a service still uses, or would after a rollback, stay in any case.
      - Of those that somebody made by hand, only what has Docker's own label of the stack and is a version of a file of
        the deployment counts here; all others go as soon as no service uses them, nor would after a rollback.
    type: int
    default: 2
  preflight:
    description:
      - What to check in the Swarm first, where M(dtr.cache.preflight) leaves that to this task. When something is
        wrong, no plan is made, and the result lists all problems.
    type: dict
    suboptions:
      nodes:
        description: Host names of the nodes to dedicate, which have to be there and ready.
        type: list
        elements: str
        required: true
      port:
        description: The port to publish, which nothing else may have.
        type: int
        required: true
      metrics_port:
        description: The port of the nodes for the cache's metrics, which nothing else may have.
        type: int
      publish_mode:
        description: How it is published.
        type: str
        choices: [ingress, host]
        required: true
      node_label:
        description: The label of the nodes, by which another service may be placed as well.
        type: str
        default: ""
      host:
        description: The public host name of the cache. By it, the same cache in another stack is recognised.
        type: str
        default: ""
      resolve_image:
        description:
          - When C(docker stack deploy) will ask the registry of the cache's image for it. Where it will, the registry
            is asked now.
        type: str
        choices: [always, changed, never]
        default: never
      with_registry_auth:
        description: Whether it will log in to that registry.
        type: bool
        default: false
  definition:
    description:
      - The stack's definition, the data of a C(docker-stack.yml), with Docker's short or long forms. Without one, no
        service is compared.
      - Configs and secrets that it takes from files are known by the names that C(docker stack deploy) gives them.
    type: dict
    default: {}
  stacks:
    description: Several stacks of the Swarm, instead of O(name). What is said of each is in RV(plans).
    type: list
    elements: dict
    suboptions:
      name:
        description: As O(name).
        type: str
        required: true
      node_labels:
        description: As O(node_labels).
        type: dict
        default: {}
      former_stacks:
        description: As O(former_stacks).
        type: list
        elements: str
        default: []
      host:
        description: As O(host).
        type: str
        default: ""
      keep_versions:
        description: As O(keep_versions).
        type: int
        default: 2
      definition:
        description: As O(definition).
        type: dict
        default: {}
  for_hosts:
    description:
      - Instead of O(name), the hosts of a play that run this task. The stack is that of the settings that
        M(dtr.cache.preflight) has read for the task's host and registered as C(__dtr_cache).
      - Of hosts that reach the same manager in the same way, the first one asks by O(stacks) for all. Each gets the
        result of its own stack.
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
- name: What would change?
  dtr.cache.stack_plan:
    name: dtr-cache
    node_labels:
      worker-3:
        dtr.cache: "true"
    secrets:
      - dtr-cache_cache.key.pem_0f3c5a1b2d4e
    definition:
      version: "3.3"
      services:
        cache:
          image: docker/dtr-content-cache:2.7.6
          entrypoint: [/start.sh, /config.yml]
          ports: ["443:443"]
          deploy:
            replicas: 1
  register: plan

- name: Show the steps
  ansible.builtin.debug:
    var: plan.steps
"""

RETURN = r"""
plans:
  description: For each of O(stacks), in their order, the result as for O(name), or a failure (RV(plans[].failed)).
  returned: with O(stacks)
  type: list
  elements: dict
  contains:
    failed:
      description: Whether no plan could be made.
      returned: when it is so
      type: bool
      sample: true
replaced_config:
  description:
    - What the live C(config.yml) of the service C(cache) says, where the definition replaces it. C(registry) is the DTR
      that the label C(dtr.cache.registry) names, and C(upstreams) are the addresses that it pulls from; a secret has
      no content to read.
  returned: success
  type: dict
  sample: {registry: "https://dtr.example.org", upstreams: ["https://dtr.example.org"]}
left_behind:
  description: What stays at another DTR, where the cache was one of that before, and how to clean up there.
  returned: when the variables of the roles name another DTR than before
  type: str
  sample: "At https://old.example.org region-asia stays registered."
problems:
  description: Everything that O(preflight) found wrong, one sentence each.
  returned: when something is wrong
  type: list
  elements: str
  sample: ["node worker-9: the Swarm has no such node"]
steps:
  description: What is missing or differs, in the order in which it must be done. Empty when nothing differs.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: V(node_label), V(config), V(secret), V(service) or V(network).
      type: str
      sample: service
    action:
      description: V(set), V(create), V(update) or V(remove).
      type: str
      sample: update
    name:
      description: The node, config, secret or service.
      type: str
      sample: dtr-cache_cache
    detail:
      description: The label that is set, or the parts of the service that differ.
      type: str
      sample: image
    id:
      description: The node's id in the Swarm, only for a label. More than one node may have its host name.
      type: str
      sample: k4q1x0b7m2v9
    stack:
      description: Only for what comes last, when the new service runs. The stack that it was a part of.
      type: str
      sample: asia-cache
    alone:
      description: V(yes) only for a service that is removed while others of its stack stay.
      type: str
      sample: "yes"
  sample:
    - {kind: node_label, action: set, name: worker-3, detail: dtr.cache=true, id: nk3o0v5vqp5k}
move:
  description:
    - How the new service takes the place of those of O(former_stacks), as arguments of Docker's command. Empty where
      none is left.
    - A port in mode V(host) goes from one to the other replica by replica. A port of the routing mesh is taken from the
      former service before the new one is deployed, since Swarm gives it to one service alone. So is a port in mode
      V(host) that the new service has in the other mode, or of which the former service has a replica on each node.
  returned: success
  type: dict
  contains:
    former: {description: Full names of the former services., type: list, elements: str, sample: [asia-cache_cache]}
    release:
      description: What is done before the new service is deployed.
      type: list
      elements: list
      sample: [[service, update, --detach, --publish-rm, "443", asia-cache_cache]]
    hand_over:
      description: What is done afterwards, one after the other. M(dtr.cache.stack_converged) waits in between.
      type: list
      elements: list
      sample: [[service, scale, --detach, asia-cache_cache=0]]
    undo:
      description: What brings the former services back when the new one does not run.
      type: list
      elements: list
      sample: [[service, scale, --detach, asia-cache_cache=2]]
trial:
  description:
    - The stack by which a deployment is tried before it exchanges a replica that runs.
  returned: success
  type: dict
  contains:
    stack: {description: Its name., type: str, sample: dtr-cache-trial}
    is_left_over: {description: Whether an interrupted run has left one., type: bool, sample: false}
    definition:
      description: Its definition. Empty where no replica that runs is exchanged.
      type: dict
      sample: {version: "3.3", services: {cache: {image: "docker/dtr-content-cache:2.7.6"}}}
    compose:
      description: The same as C(docker stack deploy) has to get it.
      type: dict
      sample: {version: "3.3", services: {cache: {image: "docker/dtr-content-cache:2.7.6"}}}
empties_cache:
  description: Whether a replica is exchanged for one that has no volume and no folder in common with it.
  returned: success
  type: bool
  sample: false
left_volumes:
  description: The volumes of services that go, with the nodes on which they stay, since Swarm removes none.
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
  description: What becomes of the layers that the cache has, where they are lost or stay behind, as sentences.
  returned: success
  type: list
  elements: str
  sample: ["Volume dtr-cache_cache-data stays on worker-3 with the layers in it."]
manager:
  description: The host name of the node that was asked.
  returned: success
  type: str
  sample: manager-1
kept_images:
  description:
    - Services of O(definition) whose image was changed past it. C(docker stack deploy) would keep that image, since the
      service's label C(com.docker.stack.image) still names the wanted one, unless it resolves images V(always).
  returned: success
  type: list
  elements: str
  sample: [cache]
service:
  description:
    - The service of the stack that is the cache, without the stack's name. Where the stack has one under another name
      than the definition's C(cache), such as one made by hand, it is that one, and it is updated in place.
  returned: when the Swarm was read
  type: str
  sample: cache
definition:
  description: O(definition) with RV(service) as the name of its service. That is what is to be deployed.
  returned: success
  type: dict
  sample: {version: "3.3", services: {cache: {image: "docker/dtr-content-cache:2.7.6"}}}
compose:
  description: RV(definition) as C(docker stack deploy) has to get it.
  returned: success
  type: dict
  sample: {version: "3.3", services: {cache: {image: "docker/dtr-content-cache:2.7.6"}}}
settled:
  description:
    - Whether each replica of the live stack runs what the definition declares. It may not, although nothing differs,
      after a run that was interrupted. M(dtr.cache.stack_converged) waits for it.
  returned: success
  type: bool
  sample: true
stalled:
  description:
    - Services whose replicas have all ended and for which Swarm makes no new one, although nothing differs. Deploying
      them again makes Swarm schedule them again.
  returned: success
  type: list
  elements: str
  sample: [dtr-cache_cache]
known_tasks:
  description:
    - The tasks that the stack has now, by id, and whether each one runs. With them, M(dtr.cache.stack_converged) knows
      what was exchanged since.
  returned: success
  type: dict
  sample: {kq8yizf0x4b2h1ndp7w3: true}
caches:
  description:
    - The live service that a deployment updates, or those that a removal removes, with what tells whose cache each is.
    - The task fails with code V(OTHER_CACHE) where that is another one than the region's that was checked before.
  returned: success
  type: list
  elements: dict
  contains:
    service: {description: Its name., type: str, sample: dtr-cache_cache}
    url: {description: C(http.host) of its C(config.yml)., type: str, sample: "https://cache-asia.example.org"}
    name: {description: The name in DTR that it was deployed with., type: str, sample: region-asia}
    registry: {description: The DTR that it was deployed for., type: str, sample: "https://dtr.example.org"}
swarm:
  description: The id of the Swarm.
  returned: success
  type: str
  sample: x0g9lqdvc5b0iqbtpsjhi5uu4
reason:
  description: Why it has settled or has not, in a few words.
  returned: success
  type: str
  sample: "service cache: 1/2 run (failed, running)"
fix:
  description: What to do, where a node or a port keeps replicas from running; empty otherwise.
  returned: success
  type: str
  sample: Start the Engine of worker-3, or name another node in dtr_cache_nodes and run dtr.cache.deploy.
services:
  description: What runs now, ordered by name; also when the task failed because no plan could be made.
  returned: when the Swarm was read
  type: list
  elements: dict
  contains:
    name:
      description: The service's name without the stack's.
      type: str
      sample: cache
    image:
      description: The image that it declares, without a digest.
      type: str
      sample: docker/dtr-content-cache:2.7.6
    replicas:
      description: How many replicas it declares (C(wanted)), and how many run on nodes that are ready (C(running)).
      type: dict
      sample: {wanted: 2, running: 1}
    ports:
      description: The ports that it publishes, with their protocols and modes.
      type: list
      elements: str
      sample: ["443:443/tcp (ingress)"]
    nodes:
      description: The nodes on which replicas run.
      type: list
      elements: str
      sample: [worker-3]
published_ports:
  description:
    - The host ports that the stack's live service C(cache) publishes, in ascending order. Empty when the stack has no
      such service; also when the task failed because no plan could be made.
    - Give them to O(dtr.cache.cache_health#module:caches[].published_ports).
  returned: when the Swarm was read
  type: list
  elements: int
  sample: [443]
node_addresses:
  description:
    - The addresses of the Swarm's nodes by the nodes' host names, as the nodes know each other; also when the task
      failed because no plan could be made.
  returned: when the Swarm was read
  type: dict
  sample: {"manager-1": ["192.0.2.21"], "worker-3": ["192.0.2.22"]}
"""

from ..module_utils.module.of_engine import EngineModule
from ..module_utils.swarm.planning import planned, planned_for_each, prevented_by
from ..module_utils.swarm.snapshot import Snapshot, SnapshotOfStacks

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
        "objects": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "name": {"type": "str", "required": True},
                "file": {"type": "str", "required": True},
                "labels": {"type": "dict", "default": {}},
            },
        },
        "config": {"type": "str", "no_log": True},
        "former_stacks": {"type": "list", "elements": "str", "default": []},
        "host": {"type": "str", "default": ""},
        "port": {"type": "int", "default": 0},
        "public_port": {"type": "int", "default": 0},
        "keep_versions": {"type": "int", "default": 2},
        "preflight": {
            "type": "dict",
            "options": {
                "nodes": {"type": "list", "elements": "str", "required": True},
                "port": {"type": "int", "required": True},
                "metrics_port": {"type": "int"},
                "publish_mode": {"type": "str", "choices": ["ingress", "host"], "required": True},
                "node_label": {"type": "str", "default": ""},
                "host": {"type": "str", "default": ""},
                "resolve_image": {"type": "str", "choices": ["always", "changed", "never"], "default": "never"},
                "with_registry_auth": {"type": "bool", "default": False},
            },
        },
        "definition": {"type": "dict", "default": {}},
        "stacks": {
            "type": "list",
            "elements": "dict",
            "options": {
                "name": {"type": "str", "required": True},
                "node_labels": {"type": "dict", "default": {}},
                "former_stacks": {"type": "list", "elements": "str", "default": []},
                "host": {"type": "str", "default": ""},
                "keep_versions": {"type": "int", "default": 2},
                "definition": {"type": "dict", "default": {}},
            },
        },
        "for_hosts": {"type": "list", "elements": "str"},
    },
    prevented_by,
    lambda params: SnapshotOfStacks(params) if params["stacks"] else Snapshot(params),
    mutually_exclusive=[("name", "stacks")],
    required_one_of=[("name", "stacks")],
)


def main() -> None:
    """Entry point."""
    MODULE.run()


if __name__ == "__main__":
    main()
