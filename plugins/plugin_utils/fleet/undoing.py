# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a removal undoes besides the cache, on other hosts than managers: firewall and trust. Pure functions."""

from __future__ import annotations

import typing as t

from ...module_utils.common.urls import canonical_server
from ..settings.model import Settings, authority_file
from ..settings.region import Region
from .collisions import former_name_problems


class Undoing(t.NamedTuple):
    """The hosts whose port is opened again, those that forget the file of the cache's CA, and what to say of it."""

    firewall: list[str]
    trust: list[str]
    file: str
    problems: list[str]
    warnings: list[str]

    def fact(self) -> dict[str, t.Any]:
        """What the tasks of a removal take of it."""
        return {"firewall": self.firewall, "trust": self.trust, "file": self.file}


def undoing(
    settings: Settings, own: Region, regions: t.Iterable[Region], groups: t.Mapping[str, t.Sequence[str]]
) -> Undoing:
    """What the removal of a region undoes, as far as no other region needs it.

    Args:
        settings: Those of the region.
        own: The region.
        regions: All regions of the inventory; it may be among them.
        groups: The inventory's groups with their hosts.
    """
    others = [region for region in regions if region.host != own.host and region.name != own.name]
    problems = [problem for other in others for problem in former_name_problems(own, other)]
    problems += [
        f"dtr_cache_upstreams: the cache of host {other.host} pulls from this one ({settings.url}), and would get "
        "nothing any more; let it pull from elsewhere, and deploy it first"
        for other in others
        if settings.host and not other.in_play and canonical_server(settings.url) in other.upstreams
    ]
    hosts: dict[str, list[str]] = {}
    for name, given in (("firewall_hosts", settings.firewall_hosts), ("client_hosts", settings.client_hosts)):
        hosts[name] = _hosts(given, groups)
        unknown = [each for each in given if each not in groups and each not in groups.get("all", ())]
        if unknown:
            problems.append(f"dtr_cache_{name}: the inventory has no host or group {', '.join(unknown)}")
    file = authority_file(settings.ca_certificate) if settings.ca_certificate else ""
    warnings = []
    keepers = [region.host for region in others if file and region.authority in (file, None)]
    if hosts["client_hosts"] and keepers:
        warnings.append(
            f"The CA of {own.name} stays on the hosts of dtr_cache_client_hosts, since the cache of {keepers[0]} has "
            "or may have the same."
        )
    elif hosts["client_hosts"] and not file:
        warnings.append(
            f"dtr_cache_client_hosts: {own.name} has no dtr_cache_ca_certificate, so there is no CA to take from them."
        )
    trust = hosts["client_hosts"] if file and not keepers else []
    return Undoing(hosts["firewall_hosts"], trust, file, problems, warnings)


def _hosts(given: t.Iterable[str], groups: t.Mapping[str, t.Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(host for name in given for host in groups.get(name, [name])))
