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
  - A look that fails, since the manager is away or the Swarm has no leader for a moment, does not end the wait. One
    that stays away until the end gives the verdict V(timed_out).
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
        compared is listed with M(dtr.cache.stack_plan).
    type: dict
    default: {}
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
    exit_code: {description: Exit code of a container that has ended., type: int}
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
  description:
    - Configs and secrets of this stack, known by their labels, that no service of the Swarm refers to, nor would after
      a rollback; the oldest first.
  returned: when the Engine could be asked at the end
  type: list
  elements: str
log:
  description: The last lines that the container which failed last wrote to its log, with secrets blanked.
  returned: when the verdict is V(task_failed), V(rolled_back) or V(paused)
  type: list
  elements: str
gap_seconds:
  description:
    - For how many seconds no replica took requests during the last update of the stack, by the Engine's own times;
      V(0) when one replica always did.
    - A replica that only finishes the requests which it has does not count. The clocks of the nodes should agree.
  returned: when the stack was updated since it was created
  type: float
  sample: 1.2
"""

import contextlib
import time
import typing as t

from ..module_utils.common.failure import Failure
from ..module_utils.common.redaction import redacted
from ..module_utils.module.base import SentModule
from ..module_utils.module.of_engine import ENGINE_ARGUMENT_SPEC, run
from ..module_utils.swarm import convergence
from ..module_utils.swarm.engine import Engine
from ..module_utils.swarm.model import Moment

LOG_LINES = 20
HINTS = {
    convergence.TASK_FAILED: "The log lines and tasks in this result tell more.",
    convergence.ROLLED_BACK: "Mend the cause and deploy again; what ran before still runs.",
    convergence.PAUSED: "Mend the cause and deploy again.",
    convergence.NO_NODE: "Look at the nodes' labels, states and published ports: docker node ls, docker service ls",
    convergence.TIMED_OUT: "The timeline in this result tells how far it came; a longer timeout may be needed.",
}


def settle(engine: Engine, stack: str, timeout: int, definition: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Wait for the stack's verdict; any but V(converged) is a failure with all that was seen."""
    known: list[dict[str, t.Any]] = []

    def look() -> Moment:
        if not known:
            known.append(engine.require_manager())
        return engine.look_at(stack)

    outcome = convergence.wait(
        look,
        timeout=timeout,
        clock=time.monotonic,
        sleep=time.sleep,
        definition=definition,
    )
    verdict = outcome.verdict
    result: dict[str, t.Any] = {
        "verdict": verdict,
        "tasks": convergence.task_rows(outcome.moment),
        "timeline": outcome.timeline,
    }
    with contextlib.suppress(Failure):
        # The Engine may be away again, and a verdict that was found does not go with it.
        result["stale"] = convergence.stale_objects(engine.read_swarm(stack), stack)
    gap = convergence.gap_seconds(outcome.moment)
    if gap is not None:
        result["gap_seconds"] = gap
    if verdict == convergence.CONVERGED:
        return {"changed": False, **result}
    message = f"Stack {stack} did not settle: {outcome.reason}."
    if verdict in (convergence.TASK_FAILED, convergence.ROLLED_BACK, convergence.PAUSED):
        result["log"] = _log_of_failure(engine, outcome.moment)
        if result["log"]:
            message += f" The container's log ends with: {result['log'][-1]}"
    raise Failure(verdict.upper(), message, hint=HINTS[verdict], **result)


def _log_of_failure(engine: Engine, moment: Moment) -> list[str]:
    """The end of the log of the newest failed task that wrote one: a task that never started wrote none."""
    for service, tasks in convergence.failed_tasks(moment).items():
        for task in reversed(tasks):
            lines = engine.last_log_lines(service, [task], LOG_LINES)
            if lines:
                return [redacted(line) for line in lines]
    return []


def main() -> None:
    """Wait for a stack."""
    module = SentModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "timeout": {"type": "int", "default": 300},
            "definition": {"type": "dict", "default": {}},
            **ENGINE_ARGUMENT_SPEC,
        },
        supports_check_mode=True,
    )
    params = module.params
    run(module, lambda engine: settle(engine, params["name"], params["timeout"], params["definition"]))


if __name__ == "__main__":
    main()
