#!/usr/bin/python
# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_info
short_description: Observe all regions of the play, whatever of them is down
version_added: 1.0.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Observes each DTR of the play's hosts and all caches of it, once for all hosts that belong to it, and gives one row
    for each region and one for each DTR.
  - It uses M(dtr.cache.registry_info), M(dtr.cache.content_caches_info), M(dtr.cache.cache_health) and
    M(dtr.cache.cache_assignments_info). Registered caches that no host declares are probed as well.
  - It takes the settings and what was read of the Swarms from facts of the hosts, which role
    P(dtr.cache.observation#role) leaves, and the credentials from the C(dtr_cache_registry_*) variables of the first
    host of each DTR.
  - Whatever is down becomes a problem of a row. The task does not fail because of it.
options:
  timeout:
    description: Seconds to wait for a connection to DTR, and again for the answer to one request.
    type: float
    default: 10
  retries:
    description: How often one request is sent again.
    type: int
    default: 1
  probe_timeout:
    description: Seconds for probing the caches of one DTR.
    type: float
    default: 60
  names:
    description: Whether accounts are named as well where they are counted. There may be many thousands.
    type: bool
    default: false
extends_documentation_fragment:
  - dtr.cache.attributes
  - dtr.cache.attributes.info_module
notes:
  - Run it once for the play (C(run_once)) and on the control node (C(delegate_to=localhost)).
seealso:
  - module: dtr.cache.report
"""

EXAMPLES = r"""
- name: Observe each DTR and all caches of it
  dtr.cache.fleet_info:
  delegate_to: localhost
  run_once: true
  register: observed

- name: Show which regions are not healthy
  ansible.builtin.debug:
    msg: "{{ observed.regions | rejectattr('state', 'eq', 'healthy') | map(attribute='region') }}"
  run_once: true
"""

RETURN = r"""
regions:
  description: One row for each host whose settings were read, in the order of the hosts. What is not known is null.
  returned: success
  type: list
  elements: dict
  contains:
    region: {description: The host., type: str, sample: region-asia}
    cache: {description: The cache's name in DTR., type: str, sample: region-asia}
    url: {description: Its URL., type: str, sample: "https://cache-asia.example.org:443"}
    registry_url: {description: The DTR., type: str, sample: "https://dtr.example.org"}
    nodes: {description: The nodes that are dedicated to it., type: list, elements: str, sample: [worker-3]}
    state:
      description:
        - V(healthy) when everything could be observed and nothing is wrong, V(unknown) when neither the cache nor its
          Swarm could be observed, and V(unhealthy) otherwise.
      type: str
      sample: healthy
    cause:
      description: "What is wrong in one sentence, and most likely explains the rest."
      type: str
      sample: "The certificate expires in 12 days."
    hint: {description: What to do about it., type: str, sample: "Renew the certificate and run dtr.cache.rotate."}
    problems:
      description: All that is wrong, the likeliest cause first.
      type: list
      elements: dict
      contains:
        cause: {description: What is wrong., type: str, sample: "The certificate expires in 12 days."}
        hint: {description: What to do about it., type: str, sample: "Renew the certificate and run dtr.cache.rotate."}
        topic:
          description: "What it is about, such as the edge and the name of a check."
          type: list
          elements: str
          sample: ["client->cache", validity]
    image: {description: The image of the live service., type: str, sample: "docker/dtr-content-cache:2.7.6"}
    version: {description: Its tag., type: str, sample: 2.7.6}
    registry_version:
      description: The version of the DTR, which the vendor wants the cache to have as well.
      type: str
      sample: 2.7.6
    replicas: {description: How many are C(wanted) and C(running)., type: dict, sample: {wanted: 2, running: 2}}
    certificate:
      description:
        - The certificate that the cache showed, its C(subject), C(issuer), C(not_before) and C(not_after).
        - Where it showed none, the one of C(dtr_cache_certificate). C(seen) says which of both it is.
      type: dict
      sample: {subject: CN=cache-asia.example.org, issuer: CN=Example CA, not_after: "2027-01-01T00:00:00Z", seen: true}
    days_left: {description: Days until the first certificate of its chain expires., type: int, sample: 312}
    accounts: {description: How many accounts pull from it., type: int, sample: 120}
    elsewhere:
      description: How many accounts of this region's C(dtr_cache_assignments) pull from another cache or from the DTR.
      type: int
      sample: 0
    dangling:
      description: How many accounts of this region's C(dtr_cache_assignments) have a cache that no longer exists.
      type: int
      sample: 0
    dangling_accounts:
      description: "These accounts, only with O(names)."
      type: list
      elements: str
      sample: [carol, dave]
    registered: {description: Whether DTR sends to it., type: bool, sample: true}
    other_names:
      description:
        - Other entries that DTR has of this cache, those of C(dtr_cache_former_names) and those with the same address,
          each with C(name), C(url), the number of its C(accounts), and whether it is a C(former) name.
      type: list
      elements: dict
      sample: [{name: asia, url: "https://cache-asia.example.org", accounts: 3, former: true}]
    drift:
      description: What a deployment would do, as RV(dtr.cache.stack_plan#module:steps).
      type: list
      elements: dict
      sample: [{kind: service, action: update, name: dtr-cache_cache, detail: image}]
    serves:
      description: As RV(dtr.cache.cache_health#module:caches[].serves).
      type: bool
      sample: true
    checks:
      description:
        - As RV(dtr.cache.cache_health#module:caches[].checks), without what is wrong with a DTR that answers, which
          RV(registries) has.
      type: list
      elements: dict
      sample: [{edge: "client->cache", check: tcp, ok: true, detail: connected, hint: ""}]
    seconds:
      description: As RV(dtr.cache.cache_health#module:caches[].seconds).
      type: dict
      sample: {"client->cache": 0.021, "cache->DTR": 0.034, "client->DTR": 0.012}
    traffic:
      description:
        - What it has served since C(dtr_cache_traffic_since), as RV(dtr.cache.cache_logs_info#module:traffic). Null
          without that variable. Where the log could not be read, it has C(missing) alone.
      type: dict
      sample: {missing: []}
registries:
  description: One row for each DTR. What is not known is null.
  returned: success
  type: list
  elements: dict
  contains:
    url: {description: The DTR., type: str, sample: "https://dtr.example.org"}
    healthy: {description: Whether it says so of itself., type: bool, sample: true}
    version: {description: Its version., type: str, sample: 2.7.6}
    read_only:
      description:
        - Whether it is read only. Caches serve all the same. Null where DTR does not say, as none of MSR 3 does.
      type: bool
      sample: false
    dangling:
      description:
        - How many accounts have a cache that no longer exists, and are named by no region in C(dtr_cache_assignments).
      type: int
      sample: 0
    dangling_accounts:
      description: "These accounts, only with O(names)."
      type: list
      elements: str
      sample: [carol, dave]
    undeclared:
      description:
        - The caches that it has registered and that no region declares, with C(name), C(url), the number of their
          C(accounts), whether each C(answers), and in C(detail) why not. One that answers may belong to another
          inventory.
      type: list
      elements: dict
      sample: [{name: region-old, url: "https://cache-old.example.org", accounts: 2, answers: true, detail: null}]
    cause: {description: What is wrong with it in one sentence., type: str, sample: "It is read only."}
    hint: {description: What to do about it., type: str, sample: "Switch its read-only mode off."}
"""
