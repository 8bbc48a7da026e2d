#!/usr/bin/python
# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_converged
short_description: Wait until a Swarm stack has settled, and say whether it did
version_added: 1.0.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Observes the services, tasks and nodes of a stack until there is a verdict, at the latest after O(timeout) seconds.
  - A replica counts only when it runs what the service declares now, on a node that is ready.
  - Fails with any verdict but V(converged), and says why in one sentence.
  - A request that fails, because the manager is away or the Swarm has no leader for a moment, does not end the wait. A
    manager that stays away until the end gives the verdict V(timed_out). A socket that is not there, or that this user
    may not use, fails at once.
options:
  name:
    description: The stack's name.
    type: str
    required: true
  timeout:
    description: Seconds to wait at the most.
    type: int
    default: 300
  definition:
    description:
      - The stack's definition as it was deployed, the data of a C(docker-stack.yml).
      - Without it, a rollback that the Engine remembers gives the verdict V(rolled_back). With it, it does so only when
        the services are not what the definition declares; a rollback of an earlier deployment does not count then.
      - With it, a stack whose services are not what it declares has not converged, although all replicas run. What is
        compared is listed with M(dtr.cache.stack_plan). Such services, and those that are missing, give the verdict
        V(replaced) or V(removed) within seconds.
    type: dict
    default: {}
  former:
    description:
      - Full names of services that this stack replaces, and which are still there. A replica that waits for a port of a
        node that one of their replicas has is not waited for. RV(gap_seconds) is then the time from the moment when
        they were told to give up the port.
    type: list
    elements: str
    default: []
  known_tasks:
    description:
      - The tasks that the stack had before it was changed, as RV(dtr.cache.stack_plan#module:known_tasks).
      - With it, the gap is that of every exchange of replicas since, and there is none where nothing was exchanged.
    type: dict
  fail_when_stalled:
    description: Whether the verdict V(stalled) is a failure as well. Who starts the replicas then needs none.
    type: bool
    default: true
  trial:
    description:
      - Whether the stack is the trial of a deployment (RV(dtr.cache.stack_plan#module:trial)), which is told in the
        failure. That no node has room for it is only a warning then.
    type: bool
    default: false
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
- name: Wait until the cache runs
  dtr.cache.stack_converged:
    name: dtr-cache
    timeout: 120
"""

RETURN = r"""
verdict:
  description:
    - V(converged) - every replica runs what the stack declares.
    - V(rolled_back) - the Engine went back to the service as it was before, and has finished that.
    - V(paused) - the Engine stopped in the middle of an update, and not every replica runs, or in the middle of a
      rollback.
    - V(task_failed) - the container ends or cannot start.
    - V(stalled) - the replicas have ended, and the Swarm makes no new one until the service is deployed again.
    - V(no_node) - no node fits the placement constraints and has its resources and ports free.
    - V(removed) - a service is gone that was there, or that O(definition) declares.
    - V(replaced) - another deployment, or somebody by hand, changed a service to what O(definition) does not declare.
    - V(timed_out) - none of these within O(timeout).
  returned: always
  type: str
  sample: converged
tasks:
  description: The running task of each replica, and every task that ended badly, the newest first.
  returned: always
  type: list
  elements: dict
  contains:
    node: {description: Host name of the node., type: str, sample: worker-3}
    state: {description: State as the Engine names it., type: str, sample: failed}
    error: {description: The Engine's reason., type: str, sample: "task: non-zero exit (1)"}
    exit_code: {description: Exit code of a container that has ended., type: int, sample: 1}
    image: {description: The task's image., type: str, sample: "docker/dtr-content-cache:2.7.6"}
timeline:
  description: What was seen, each change once.
  returned: always
  type: list
  elements: dict
  contains:
    second: {description: Seconds after the start of the wait., type: float, sample: 2.5}
    event: {description: What was seen., type: str, sample: "worker-3: running"}
services:
  description: What runs, as RV(dtr.cache.stack_plan#module:services).
  returned: always
  type: list
  elements: dict
  sample: [{name: dtr-cache_cache, running: 2, wanted: 2}]
stalled:
  description: The services without a replica that is to run, although they should have some.
  returned: always
  type: list
  elements: str
  sample: [dtr-cache_cache]
stale:
  description:
    - Configs and secrets of this stack, known by their labels, that no service of the Swarm refers to, nor would after
      a rollback; the oldest first.
  returned: when the Engine could be asked at the end
  type: list
  elements: str
  sample: [dtr-cache-config-1a2b3c4d]
log:
  description: The last lines that the container which failed last wrote to its log, with secrets blanked.
  returned: when the verdict is V(task_failed), V(stalled), V(rolled_back) or V(paused)
  type: list
  elements: str
  sample: ["open /run/secrets/cache.key.pem: permission denied"]
gap_seconds:
  description:
    - For how many seconds no replica took requests while replicas were exchanged, by the Engine's own times; V(0)
      when one replica always did.
    - With O(known_tasks) that is every exchange since then, also one that no update made, such as the move of a
      replica to another node. Without, it is the last update of the stack.
    - A replica that only finishes the requests which it has does not count. The clocks of the nodes should agree.
    - Where RV(cut_off) has an exit code of 137, that replica may have taken requests until it was killed; the gap is
      shorter then.
  returned: when replicas were exchanged, or those of another stack were replaced
  type: float
  sample: 1.2
cut_off:
  description:
    - The replicas that were exchanged and did not end by themselves when they were told to, so that the requests which
      they had were cut off. An exit code of 137 says that one was killed after its C(stop_grace_period).
    - Of a replica that ended with 0 it is not known whether its requests were finished.
  returned: when replicas were exchanged
  type: list
  elements: dict
  contains:
    node: {description: Host name of the node., type: str, sample: worker-3}
    exit_code: {description: Exit code of the replica., type: int, sample: 137}
"""

from ..module_utils.logs.findings import advice
from ..module_utils.module.of_engine import EngineModule
from ..module_utils.swarm.convergence import settle

MODULE = EngineModule(
    lambda engine, module: settle(engine, module.params, module.warn, advice),
    {
        "name": {"type": "str", "required": True},
        "timeout": {"type": "int", "default": 300},
        "former": {"type": "list", "elements": "str", "default": []},
        "definition": {"type": "dict", "default": {}},
        "known_tasks": {"type": "dict"},
        "fail_when_stalled": {"type": "bool", "default": True},
        "trial": {"type": "bool", "default": False},
    },
)


def main() -> None:
    """Entry point."""
    MODULE.run()


if __name__ == "__main__":
    main()
