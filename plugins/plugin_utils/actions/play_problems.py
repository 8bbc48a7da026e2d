# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a play stands against a step in it: how it treats its hosts, and what happened in its batches before."""

from __future__ import annotations

import typing as t

from ansible.utils.vars import load_extra_vars

from .module_defaults import reaching_in
from .plays import play_of
from .words import COLLECTION, is_of_collection

# Without them a run at one host does not wait for the others, whose results it needs.
_STRATEGIES_APART = ("free", "host_pinned")
_SHOWN = 10


def apart_problems(task: t.Any) -> list[str]:
    """How the play would treat hosts that does not go with results of all of them."""
    problems = []
    strategy = str(task.get_play().strategy)
    if strategy.endswith(_STRATEGIES_APART):
        problems.append(
            f"strategy {strategy} lets a host run on without the others, whose results are needed here; use "
            "strategy linear (ANSIBLE_STRATEGY, or strategy in ansible.cfg)"
        )
    if task.any_errors_fatal:
        problems.append(
            "any_errors_fatal makes Ansible treat the failure of one host as one of all others; leave it out here "
            "(ANSIBLE_ANY_ERRORS_FATAL, any_errors_fatal in ansible.cfg or of the play)"
        )
    return problems


def reached_by_defaults(task: t.Any) -> list[str]:
    """What C(module_defaults) around the role of a task would do to the tasks that follow it."""
    if not is_of_collection(task):
        return []
    role = str(task._role.get_name()).removeprefix(f"{COLLECTION}.")
    return reaching_in(task.module_defaults or [], task.get_play()._action_groups or {}, role)


def failed_before(task: t.Any, variables: t.Mapping[str, t.Any], fact: str) -> list[str]:
    """That a region has failed in an earlier batch of the play: a canary that falls warns the others.

    Args:
        task: The first task of the play.
        variables: Those of a host.
        fact: The name of what the first task of the play registers, which has the C(play).
    """
    running = set(variables.get("ansible_play_hosts") or ())
    play, hostvars = play_of(task), variables.get("hostvars") or {}
    failed = [
        host
        for host in variables.get("ansible_play_hosts_all") or ()
        if host not in running and (hostvars[host].get(fact) or {}).get("play") == play
    ]
    if not failed:
        return []
    more = f" and {len(failed) - _SHOWN} more" if len(failed) > _SHOWN else ""
    return [
        f"{', '.join(failed[:_SHOWN])}{more} failed in an earlier batch (dtr_cache_serial), so nothing is done here; "
        "correct what failed there, and run the playbook again"
    ]


def facts_given(loader: t.Any) -> list[str]:
    """One sentence for each extra variable that would stand in the place of what a step of the run found out."""
    return [
        f"{name}: is what a step of the run finds out, and nobody can give it; leave it out of the extra variables"
        for name in load_extra_vars(loader)
        if str(name).startswith("__dtr_cache")
    ]


def variables_of_play(task: t.Any, loader: t.Any) -> dict[str, t.Any]:
    """The variables that Ansible knows when it chooses the hosts of the play, as they are written."""
    return {**task.get_play().get_vars(), **load_extra_vars(loader)}
