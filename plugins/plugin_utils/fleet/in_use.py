# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps by which a cache comes into use, each in the options of the module that does it."""

from __future__ import annotations

import typing as t

from ...module_utils.common.names import NAMED, bounded
from .facts import HostFacts, Result
from .problems import node_addresses, replica_addresses

# In this order. Nobody is sent to a cache that does not serve.
STEPS = ("probe", "register", "assign", "pull")
# Whose failures the cache's log may explain.
SHOWN_IN_LOG = ("probe", "pull")
# Of a step's result, what no report reads.
_NOT_IN_BRIEF = ("content_caches", "elsewhere")

_SECONDS_FOR_PROBE = 60
# What the preflight has to have checked: all but the assignment name the cache's address.
_NEEDS = {step: ("registry",) if step == "assign" else ("cache", "registry") for step in STEPS}
_LEFT_OUT = (
    "The first task, which checks the settings, was left out; run it without --start-at-task. In a playbook of your "
    "own, begin with dtr.cache.preflight, and register its result as __dtr_cache."
)


def unusable(host: HostFacts, steps: t.Iterable[str]) -> str | None:
    """Why nothing may be done with the settings that the steps would go by; None where they were checked."""
    if not host.was_checked:
        return _LEFT_OUT
    if not host.settings:
        return (
            f"The settings of {host.host} were not checked: dtr.cache.preflight failed, was skipped, or ran in a loop. "
            "Its result has to be registered as __dtr_cache."
        )
    if host.checked_host != host.host:
        return (
            f"The settings that stand in __dtr_cache of {host.host} are those of {host.checked_host}: run "
            "dtr.cache.preflight at each host, without run_once."
        )
    lacking = dict.fromkeys(need for step in steps for need in _NEEDS[step] if need not in host.judged)
    if lacking:
        return f"dtr.cache.preflight has not checked: {', '.join(lacking)}. Add that to its needs."
    return None


class Use(t.NamedTuple):
    """What is to be done at a host.

    Args:
        host: The host, whose settings were read.
        steps: Some of C(STEPS).
        swarm: What the Swarm says of C(node_addresses), C(published_ports) and C(services); what is missing is not
            known.
        wait: Whether a cache that was just deployed is given a moment.
        check_mode: Whether nothing may be changed.
    """

    host: HostFacts
    steps: t.Sequence[str]
    swarm: Result
    wait: bool
    check_mode: bool

    def options(self, step: str, done: t.Mapping[str, Result]) -> dict[str, t.Any] | None:
        """The options of the step's module, without the connection; C(None) where there is nothing to do.

        Args:
            step: The step.
            done: The results of the steps before it.
        """
        of_step = {"probe": self._probe, "register": self._register, "assign": self._assign, "pull": self._pull}
        return of_step[step](done)

    def _probe(self, done: t.Mapping[str, Result]) -> dict[str, t.Any] | None:
        settings = self.host.settings
        if self._only_planned(done):
            return None
        # Before it is registered, it cannot be pulled from.
        registered = "register" not in self.steps
        claims = settings["assignments"]
        ports = self.swarm.get("published_ports")
        services = self.swarm.get("services") or self.host.running_services
        cache = {
            **settings["probe"],
            **({} if registered else {"image": ""}),
            **({} if ports is None else {"published_ports": ports}),
            "node_addresses": node_addresses(self.swarm),
            "replica_addresses": replica_addresses(settings, self.swarm, services),
        }
        return {
            "caches": [cache],
            "check_registration": registered,
            # Of everybody, dtr.cache.status reports it.
            "check_accounts": registered and any(claims.values()) and not claims["everyone"],
            "wait": self.wait,
            "timeout": _SECONDS_FOR_PROBE,
        }

    def _register(self, _done: t.Mapping[str, Result]) -> dict[str, t.Any]:
        settings = self.host.settings
        cache = {"name": settings["name"], "host": settings["url"], "former_names": settings["former_names"]}
        return {"caches": [cache]}

    def _assign(self, done: t.Mapping[str, Result]) -> dict[str, t.Any] | None:
        settings = self.host.settings
        if not settings["claims"]:
            return None
        name = settings["name"]
        # In check mode the cache may be one that the registration only announced, and accounts come along with it.
        moved = (done.get("register") or {}).get("reassigned")
        return {
            "assignments": [settings["claims"]],
            # Whom other regions claim is left to them.
            "others": [other["claims"] for other in self.host.others],
            "planned_caches": [name] if self.check_mode else [],
            "planned_moves": dict.fromkeys(settings["former_names"], name) if moved else {},
        }

    def _pull(self, done: t.Mapping[str, Result]) -> dict[str, t.Any] | None:
        settings = self.host.settings
        image, repository = settings["verify_image"], settings["verify_repository"]
        if not (image or repository) or self._only_planned(done):
            return None
        optional = {
            "proof_repository": repository,
            "cache_ca_certificate": settings["ca_certificate"],
            "account": settings["verify_account"],
        }
        probed: Result = next(iter((done.get("probe") or {}).get("caches") or []), {})
        return {
            "images": [image] if image else [],
            "addresses": [each["address"] for each in probed.get("addresses") or [] if each["ok"]],
            "replicas": settings.get("replicas") or 1,
            "cache": settings["name"],
            "account_of": settings["assignments"],
            **{name: value for name, value in optional.items() if value},
        }

    def _only_planned(self, done: t.Mapping[str, Result]) -> bool:
        """Whether the cache is one that check mode only announced, and so cannot serve yet."""
        registration = done.get("register") or {}
        announced = [*(registration.get("created") or []), *(registration.get("replaced") or [])]
        names = {*self.host.planned_caches, *(each["name"] for each in announced)}
        return self.check_mode and self.host.settings["name"] in names


def in_brief(result: Result) -> dict[str, t.Any]:
    """What reports read of a step's result. Ansible shows all of a task that failed, as one line."""
    brief = {name: value for name, value in bounded(result, NAMED).items() if name not in _NOT_IN_BRIEF}
    if "caches" in result:
        brief["caches"] = [
            {
                **cache,
                "checks": [each for each in cache["checks"] if each["ok"] is False or each["check"] == "registration"],
            }
            for cache in result["caches"]
        ]
    return brief
