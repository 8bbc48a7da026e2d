# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the names and accounts that DTR has of a cache to variables. Pure functions."""

from __future__ import annotations

import typing as t

from ...module_utils.dtr.model import ContentCache
from .choice import Wish, address_of, leads_to, main_port, public_address
from .draft import Draft, Live

# A file with more names is read by nobody, and Ansible reads it in each run.
MOST_ACCOUNTS = 2000
MOST_NAMED = 20


class Holders(t.NamedTuple):
    """Who pulls from the caches of a DTR.

    Args:
        by_cache: The names of the active users that pull from each cache, by its id.
        inactive: How many inactive ones do.
        active: How many active users DTR has.
    """

    by_cache: t.Mapping[str, t.Sequence[str]]
    inactive: t.Mapping[str, int]
    active: int


def describe_registration(
    draft: Draft,
    live: Live,
    entries: t.Sequence[ContentCache],
    wish: Wish,
    url: str,
    others: t.Sequence[ContentCache],
) -> None:
    """Name, host, ports and former names.

    Args:
        draft: The variables up to now.
        live: The cache.
        entries: Its entries in DTR.
        wish: What the inventory says of it.
        url: The DTR.
        others: The entries that lead to no cache of this Swarm.
    """
    public = public_address(live)
    registered = address_of(entries[0].host).port if entries else None
    port = main_port(live, registered, public.port, wish.port)
    published = port["published"] if port else None
    if not entries:
        draft.set("name", wish.name or wish.inventory_host, "DTR has no cache here. A deployment registers it.")
        draft.note(f"{url} has no cache registered at this address{_instead(others)}")
        _set_host(draft, wish.host or public.host)
        _set_port(draft, published, public.port)
        return
    first, *also = entries
    at = address_of(first.host)
    draft.set("name", first.name)
    comment = []
    if public.host and public.host.lower() != at.host.lower():
        comment = [f"DTR sends its clients here, although http.host in config.yml says {public.host}."]
    elif not leads_to(live, first):
        comment = ["Taken from DTR, as nothing in the Swarm names the host. Check that it is this cache."]
    _set_host(draft, at.host, *comment)
    _set_port(draft, published, at.port)
    if not first.host.lower().startswith("https://"):
        draft.note(f"it is registered as {first.host}; dtr.cache registers https, so the entry is replaced")
    former = sorted({entry.name for entry in also} - {first.name})
    if former:
        draft.set("former_names", former, "DTR has the same address under these names, too.")


def describe_accounts(draft: Draft, entries: t.Sequence[ContentCache], holders: Holders) -> int:
    """Who pulls from the cache, by any of its names.

    Returns:
        How many accounts do.
    """
    names = sorted({name for entry in entries for name in holders.by_cache.get(entry.id, ())})
    inactive = sum(holders.inactive.get(entry.id, 0) for entry in entries)
    pull = "1 inactive user pulls" if inactive == 1 else f"{inactive} inactive users pull"
    more = [f"{pull} from it, too, and cannot be claimed."] if inactive else []
    if names and len(names) == holders.active:
        draft.set(
            "assignments", {"everyone": True}, f"All {len(names)} active users of DTR pull from this cache.", *more
        )
    elif len(names) > MOST_ACCOUNTS:
        draft.ask(
            "assignments",
            "{teams: [], orgs: [], accounts: []}",
            f"{len(names)} of {holders.active} active users pull from this cache, too many to list. Those that no "
            "region claims are left as they are, unless dtr_cache_assignments_exclusive is set. Claim them by teams or "
            "organisations; playbook dtr.cache.backup writes the names of all of them.",
            *more,
        )
    else:
        draft.set_unless_default("assignments", {"accounts": names} if names else {}, *more)
    return len(names) + inactive


def _instead(others: t.Sequence[ContentCache]) -> str:
    if not others:
        return "; nobody is sent to it"
    named = ", ".join(f"{entry.name} ({entry.host})" for entry in others[:MOST_NAMED])
    return f"; if it is one of {named}, set dtr_cache_name for the host in the inventory and adopt it again"


def _set_host(draft: Draft, host: str, *comment: str) -> None:
    if host:
        draft.set("host", host, *comment)
    else:
        draft.ask("host", "cache.example.org", "The public host name: neither DTR nor config.yml names it.")


def _set_port(draft: Draft, published: int | None, registered: int | None) -> None:
    draft.set("port", published or registered or 443)
    if published is None:
        draft.note("its service publishes no port, and a deployment publishes dtr_cache_port")
    elif registered not in (None, published):
        draft.set("public_port", registered, "That of the load balancer or of the address translation in front.")
