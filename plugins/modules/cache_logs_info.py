#!/usr/bin/python
# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cache_logs_info
short_description: Find in the logs of a cache why it fails
version_added: 1.0.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Reads the logs of a stack's services through a Swarm manager, of all tasks that the Swarm still knows, those that
    have ended as well, and what Swarm says about tasks that it cannot start.
  - Recognises the known causes of trouble, counts them, and shows for each one sample and what to do. Nothing else of
    the logs is shown.
  - Secrets in a sample (tokens, passwords, keys, query strings, which are signed) are replaced by V(***).
  - What a client can put into a line of the log, such as its user agent, is left out, and so is what
    M(dtr.cache.cache_health) causes there by itself.
  - A log of any length is read in one pass, with little memory, and in bounded time. The logs of the tasks are read
    side by side, so one of which nothing comes holds up no other, and is named in RV(unread).
options:
  name:
    description: The stack's name.
    type: str
    required: true
  since:
    description:
      - How far back to read, such as V(30m), V(2h) or V(1d), or the moment to begin with, such as
        V(2026-01-31T12:00:00Z). By the clock of the manager.
    type: str
    default: 1h
  traffic_since:
    description:
      - With it, RV(traffic) says what the cache has served since then, in the same forms as O(since).
      - It takes many more lines than the known causes do, two for each layer; see O(lines).
    type: str
    version_added: 1.0.0
  lines:
    description: So many lines of each task are read, the newest.
    type: int
    default: 20000
  timeout:
    description:
      - Seconds for reading the logs, all together. What was read by then is reported. A log of which nothing comes for
        ten seconds is given up before.
    type: float
    default: 60
  explains:
    description:
      - A failed result of M(dtr.cache.cache_health), M(dtr.cache.cache_pull) or M(dtr.cache.cache_proof), which the log
        may explain. That a cache gets nothing from DTR shows from outside, and only its log says why.
      - It stays on the control node.
    type: dict
extends_documentation_fragment:
  - dtr.cache.engine
  - dtr.cache.attributes
  - dtr.cache.attributes.info_module
"""

EXAMPLES = r"""
- name: Why does the cache fail?
  dtr.cache.cache_logs_info:
    name: dtr-cache
    since: 2h
  register: logs

- name: Show the most likely cause and what to do
  ansible.builtin.debug:
    msg: "{{ logs.findings[0].summary }}: {{ logs.findings[0].hint }}"
  when: logs.findings | length > 0
"""

RETURN = r"""
findings:
  description: What was recognised. What is still so stands first, and of that the most likely cause.
  returned: success
  type: list
  elements: dict
  contains:
    cause:
      description:
        - A stable name of the cause, such as V(upstream_ca_unknown), V(upstream_refused), V(disk_full),
          V(key_mismatch), V(configuration_syntax), V(secret_missing), V(image_missing) or V(no_service).
      type: str
      sample: upstream_ca_unknown
    edge:
      description:
        - V(start) - the container does not get as far as serving.
        - V(storage) - the cache's own storage.
        - V(cache->DTR) - the way from the cache to its upstream.
        - V(client->cache) - the way from clients to the cache.
      type: str
      sample: cache->DTR
    summary: {description: The cause in words., type: str, sample: it does not trust the CA of DTR's certificate}
    current:
      description: Whether it may still be so. V(false) when the replica that met it was replaced by one that runs.
      type: bool
      sample: true
    count: {description: How often it was seen. Several lines about one request count once., type: int, sample: 3}
    first_seen: {description: When it was first seen in that time., type: str, sample: "2026-01-31T11:58:02Z"}
    last_seen: {description: When it was last seen., type: str, sample: "2026-01-31T12:04:40Z"}
    nodes: {description: Host names of the nodes on which it was seen., type: list, elements: str, sample: [worker-3]}
    sample:
      description: The newest message about it.
      type: str
      sample: "x509: certificate signed by unknown authority"
    hint: {description: What to do about it., type: str, sample: Check dtr_cache_registry_ca.}
explanation:
  description: The likeliest cause in the log that explains O(explains), in sentences; null when nothing there does.
  returned: with O(explains)
  type: str
  sample: "The cache does not trust the certificate of DTR."
since:
  description: The beginning of the time that was read.
  returned: success
  type: str
  sample: "2026-01-31T11:05:00Z"
lines_read:
  description: How many lines were read.
  returned: success
  type: int
  sample: 1200
traffic:
  description:
    - What the cache has served, from the lines of its log about its answers; null without O(traffic_since).
    - A cache answers for layers alone, and knows no tags. So a pull is what one client gets of one repository without a
      pause of ten minutes.
    - A client is the address that the cache sees. Behind the routing mesh or a load balancer it is theirs.
    - The collection's own requests do not count (checks, verification and warming).
    - What an object storage sends after a redirect is not among the bytes.
  returned: success
  type: dict
  contains:
    since: {description: The beginning that was asked for., type: str, sample: "2026-01-30T12:05:00Z"}
    complete_since:
      description: "From when on nothing is missing, as far as is known."
      type: str
      sample: "2026-11-24T01:49:14Z"
    missing:
      description: What is missing, in words, such as the older lines of a log that was cut. Empty when nothing is.
      type: list
      elements: str
      sample: ["the log of node worker-4, which is down"]
    pulls: {description: How many pulls there were., type: int, sample: 340}
    layers: {description: How many layers were served., type: int, sample: 2811}
    bytes: {description: How much was sent., type: int, sample: 91234567890}
    refused: {description: Answers with a status of 400 to 499., type: int, sample: 0}
    failed: {description: Answers with a status of 500 or more., type: int, sample: 0}
    statuses: {description: How many of both by their status., type: dict, sample: {"404": 3}}
    slow:
      description:
        - Layers that took more than ten seconds, with less than 1 MB a second. Null where the log has no durations,
          as with C(log.level) V(warn).
      type: int
      sample: 0
    slowest:
      description: "The slowest of these: C(image), C(client), C(seconds), C(bytes), C(time)."
      type: dict
      sample: {image: engineering/app, client: 192.0.2.7, seconds: 4.2, bytes: 41957990, time: "2026-11-24T01:49:14Z"}
    image_count: {description: Of how many repositories., type: int, sample: 41}
    images:
      description: The twenty with the most bytes, each with C(image), C(pulls), C(layers), C(bytes) and C(failed).
      type: list
      elements: dict
      sample: [{image: engineering/app, pulls: 40, layers: 120, bytes: 1258739700, failed: 0}]
    client_count: {description: To how many clients., type: int, sample: 12}
    clients:
      description: The twenty with the most bytes, each with C(client), C(pulls), C(layers), C(bytes) and C(failed).
      type: list
      elements: dict
      sample: [{client: 192.0.2.7, pulls: 12, layers: 36, bytes: 377621910, failed: 0}]
unread:
  description:
    - What could not be read, in words, such as the log of a node that is down. Empty when everything was read.
  returned: success
  type: list
  elements: str
  sample: ["the log of node worker-4, which is down"]
"""

from ..module_utils.logs.findings import findings_of
from ..module_utils.module.of_engine import EngineModule

MODULE = EngineModule(
    lambda engine, module: findings_of(engine, module.params),
    {
        "name": {"type": "str", "required": True},
        "since": {"type": "str", "default": "1h"},
        "traffic_since": {"type": "str"},
        "lines": {"type": "int", "default": 20000},
        "timeout": {"type": "float", "default": 60},
        # The action plugin takes it, and sends the module without.
        "explains": {"type": "dict"},
    },
)


def main() -> None:
    """Entry point."""
    MODULE.run()


if __name__ == "__main__":
    main()
