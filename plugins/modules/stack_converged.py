#!/usr/bin/python
# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_converged
short_description: Wait until a Swarm stack has settled, and say whether it did
version_added: 0.1.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Looks at the services, tasks and nodes of a stack until there is a verdict, at the latest after O(timeout) seconds.
  - A replica counts only when it runs what the service declares now, on a node that is ready.
  - Fails with any verdict but V(converged), and says why in one sentence.
options:
  name:
    description: The stack's name.
    type: str
    required: true
  timeout:
    description: Seconds to wait at the most.
    type: int
    default: 300
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
    - V(rolled_back) - the Engine went back to the service as it was before.
    - V(paused) - the Engine stopped in the middle of an update.
    - V(task_failed) - the container ends or cannot start.
    - V(no_node) - no node fits the placement constraints and has its resources and ports free.
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
    node: {description: Host name of the node., type: str}
    state: {description: State as the Engine names it., type: str}
    error: {description: The Engine's reason., type: str}
    exit_code: {description: Exit code of the container., type: int}
    image: {description: The task's image., type: str}
timeline:
  description: What was seen, each change once.
  returned: always
  type: list
  elements: dict
  contains:
    second: {description: Seconds after the start of the wait., type: float}
    event: {description: What was seen., type: str}
stale:
  description: Configs and secrets of this stack that nothing refers to, the oldest first.
  returned: always
  type: list
  elements: str
log:
  description: The last lines of the service's log.
  returned: when the verdict is V(task_failed), V(rolled_back) or V(paused)
  type: list
  elements: str
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.dtr.cache.plugins.module_utils import convergence
from ansible_collections.dtr.cache.plugins.module_utils.engine import Engine
from ansible_collections.dtr.cache.plugins.module_utils.engine_module import ENGINE_ARGUMENT_SPEC, run
from ansible_collections.dtr.cache.plugins.module_utils.failure import Failure

LOG_LINES = 20
HINTS = {
    convergence.TASK_FAILED: "The log lines in this result tell more.",
    convergence.ROLLED_BACK: "The service runs as before; the log lines in this result tell more.",
    convergence.PAUSED: "Mend the cause and deploy again; the log lines in this result tell more.",
    convergence.NO_NODE: "Look at the nodes' labels, states and published ports: docker node ls, docker service ls",
    convergence.TIMED_OUT: "The timeline in this result tells how far it came; a longer timeout may be needed.",
}


def settle(engine: Engine, stack: str, timeout: int) -> dict[str, t.Any]:
    """Wait for the stack's verdict; any but V(converged) is a failure with all that was seen."""
    engine.require_manager()
    outcome = convergence.wait(lambda: engine.look_at(stack), timeout=timeout, clock=time.monotonic, sleep=time.sleep)
    swarm = engine.read_swarm(stack)
    verdict = outcome.verdict
    result: dict[str, t.Any] = {
        "verdict": verdict,
        "tasks": convergence.task_rows(outcome.moment),
        "timeline": outcome.timeline,
        "stale": convergence.stale_objects(outcome.moment, stack, swarm.configs, swarm.secrets),
    }
    if verdict == convergence.CONVERGED:
        return {"changed": False, **result}
    if verdict in (convergence.TASK_FAILED, convergence.ROLLED_BACK, convergence.PAUSED):
        services = outcome.moment.services.values()
        result["log"] = [line for service in services for line in engine.last_log_lines(service["ID"], LOG_LINES)]
    message = f"Stack {stack} did not settle: {outcome.reason}."
    raise Failure(verdict.upper(), message, hint=HINTS[verdict], **result)


def main() -> None:
    """Wait for a stack."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "timeout": {"type": "int", "default": 300},
            **ENGINE_ARGUMENT_SPEC,
        },
        supports_check_mode=True,
    )
    run(module, lambda engine: settle(engine, module.params["name"], module.params["timeout"]))


if __name__ == "__main__":
    main()
