#!/usr/bin/python
# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: put_in_use
short_description: Probe a cache, register it, assign its accounts and pull through it, in one task
version_added: 1.0.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Does the steps that put the cache of a region in use, as the C(dtr_cache_*) variables of the host describe them.
    The settings are those that M(dtr.cache.preflight) left in C(__dtr_cache), with V(registry) among its
    O(dtr.cache.preflight#module:needs), and V(cache) unless V(assign) is the only step. Where it found something
    wrong, nothing is done. Register the result as C(__dtr_cache_in_use), from which M(dtr.cache.report) takes what
    was done.
  - The first step that fails is the last. Where the cache or a pull through it failed, the cache's log is read from the
    manager, and the failure says what it explains.
  - Of a task that failed Ansible shows the whole result. So the results of its steps are then cut down to what the
    report reads, unless Ansible was called with C(-v).
options:
  steps:
    description:
      - What is done, always in this order.
      - V(probe) is M(dtr.cache.cache_health). With V(register) among the steps it asks nothing that only a registered
        cache can answer.
      - V(register) is M(dtr.cache.content_caches), V(assign) is M(dtr.cache.cache_assignments) where the region claims
        accounts, and V(pull) is M(dtr.cache.cache_pull) where there is an image or a repository to verify with.
      - In check mode, a cache that is only announced is neither probed nor pulled from.
    type: list
    elements: str
    choices: [probe, register, assign, pull]
    required: true
  swarm:
    description:
      - What the Swarm says of the cache, as in the result of M(dtr.cache.stack_plan). Of it C(node_addresses),
        C(published_ports) and C(services) are used.
    type: dict
    default: {}
  wait:
    description: Whether a cache that was just deployed is given a moment before a probe of it fails.
    type: bool
    default: true
extends_documentation_fragment:
  - dtr.cache.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
notes:
  - The task runs on the control node. It connects to the manager only to read a log.
seealso:
  - module: dtr.cache.preflight
  - module: dtr.cache.report
"""

EXAMPLES = r"""
- name: Check the settings
  dtr.cache.preflight:
    needs: [cache, registry, registration, assignment, pull]
  register: __dtr_cache

- name: Put the cache in use
  dtr.cache.put_in_use:
    steps: [probe, register, assign, pull]
  register: __dtr_cache_in_use
"""

RETURN = r"""
probe:
  description: What M(dtr.cache.cache_health) returned.
  returned: when the step was done, by this task or by one before it in the play
  type: dict
  sample: {healthy: true, caches: []}
register:
  description: What M(dtr.cache.content_caches) returned.
  returned: when the step was done, by this task or by one before it in the play
  type: dict
  sample: {created: [region-asia], replaced: [], deleted: []}
assign:
  description: What M(dtr.cache.cache_assignments) returned.
  returned: when the step was done, by this task or by one before it in the play
  type: dict
  sample: {changed_accounts: [{name: alice, before: local, after: region-asia}]}
pull:
  description: What M(dtr.cache.cache_pull) returned.
  returned: when the step was done, by this task or by one before it in the play
  type: dict
  sample: {pulls: [{image: engineering/app:1.0, via_cache: true}]}
step:
  description: The step that failed.
  returned: failure
  type: str
  sample: probe
title:
  description: The same in words, as a report names what failed.
  returned: failure
  type: str
  sample: Probe the cache, DTR, and the ways between them
cache:
  description: The cache's name.
  returned: always
  type: str
  sample: region-asia
play:
  description: What the batches of one play have in common.
  returned: always
  type: str
  sample: 7c2e
"""
