#!/usr/bin/python
# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: live_caches_info
short_description: List the content caches that run in a Swarm, however they were deployed
version_added: 1.0.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Reads all services of the Swarm and returns those that are content caches, whatever they are called.
  - A service is a cache when its image has the vendor's name (C(dtr-content-cache), C(msr-content-cache)), its command
    is the vendor's (C(/start.sh) with a C(config.yml)), or its C(config.yml) is a Docker config with the registry's
    middleware C(downstream).
  - Credentials in C(config.yml), in the environment and in the options of volumes are blanked on the manager.
options:
  stack:
    description: A stack whose only service is taken for a cache where none of the stack is known as one.
    type: str
    default: ""
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
- name: Find the caches of the Swarm
  dtr.cache.live_caches_info:
  register: found

- name: Show their stacks and images
  ansible.builtin.debug:
    msg: "{{ found.caches | map(attribute='service') | zip(found.caches | map(attribute='image')) }}"
"""

RETURN = r"""
caches:
  description: The caches, ordered by the names of their services.
  returned: success
  type: list
  elements: dict
  contains:
    stack: {description: Its stack; empty for a service of no stack., type: str, sample: dtr-cache}
    service: {description: The whole name of its service., type: str, sample: dtr-cache_cache}
    service_name: {description: The same without the stack's., type: str, sample: cache}
    id: {description: The id of the service., type: str, sample: k4q1x0b7m2v9}
    image: {description: Its image as it was declared., type: str, sample: "docker/dtr-content-cache:2.7.6"}
    ports:
      description: The ports that it publishes, each with C(published), C(target), C(protocol) and C(mode).
      type: list
      elements: dict
      sample: [{published: 443, target: 443, protocol: tcp, mode: ingress}]
    replicas: {description: How many replicas are declared; null for one on each node., type: int, sample: 2}
    constraints:
      description: Its placement constraints.
      type: list
      elements: str
      sample: ["node.labels.dtr.cache == true"]
    nodes: {description: The nodes that meet them., type: list, elements: str, sample: [worker-3, worker-4]}
    running_on:
      description: The nodes that run a replica now.
      type: list
      elements: str
      sample: [worker-3, worker-4]
    addresses:
      description: The addresses of all nodes of the Swarm.
      type: list
      elements: str
      sample: [192.0.2.21, 192.0.2.22]
    environment:
      description: Its environment variables.
      type: dict
      sample: {HTTPS_PROXY: "http://proxy.example.org:3128"}
    mounts:
      description: Its mounts.
      type: list
      elements: dict
      sample: [{kind: volume, source: dtr-cache-layers, target: /var/lib/registry}]
    limits: {description: The most that a replica may use., type: dict, sample: {memory: 2147483648}}
    reservations: {description: What a replica reserves., type: dict, sample: {memory: 1073741824}}
    update_config:
      description: "How it is updated, with Docker's defaults."
      type: dict
      sample: {parallelism: 1, delay: 10s}
    view:
      description: What M(dtr.cache.stack_plan) compares of it.
      type: dict
      sample: {image: "docker/dtr-content-cache:2.7.6"}
    config:
      description:
        - Its C(config.yml), with its C(kind) (C(config), C(secret) or C(unknown)), the C(name) in the Swarm, the
          C(place) in the container, its C(content), and the C(problem) where it cannot be read.
      type: dict
      sample: {kind: config, name: dtr-cache_config.yml, place: /config.yml, content: "version: 0.1", problem: null}
    own: {description: Whether this collection has made its C(config.yml)., type: bool, sample: false}
services:
  description: How many services of the Swarm were looked at.
  returned: success
  type: int
  sample: 12
swarm:
  description: The id of the Swarm.
  returned: success
  type: str
  sample: qf0x3v6wl2gkz1n8
"""

from ..module_utils.module.live_caches import find
from ..module_utils.module.of_engine import EngineModule

MODULE = EngineModule(find, {"stack": {"type": "str", "default": ""}})


def main() -> None:
    """Entry point."""
    MODULE.run()


if __name__ == "__main__":
    main()
