# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether Swarm, DTR and the accounts' settings agree on where a cache is."""

from __future__ import annotations

import typing as t

from ..common.failure import Failure
from ..common.urls import origin_of, without_secrets
from ..common.vocabulary import word
from ..dtr.model import ContentCache
from .checks import CLIENT_TO_CACHE, CLIENT_TO_DTR, Check, bad, not_known
from .model import Cache

# Accounts that a message names.
_NAMED = 10


def read_only_checks(read_only: bool | Failure | None) -> list[Check]:
    """Whether DTR takes pushes, as far as it was asked and said so."""
    if read_only is True:
        hint = "Images can be pulled, but not pushed. Unless somebody works on DTR, end it in DTR's settings."
        return [bad(CLIENT_TO_DTR, "read_only", "DTR is in read-only mode", hint, harmless=True)]
    return [Check(CLIENT_TO_DTR, "read_only", True, "DTR takes pushes")] if read_only is False else []


def assignment_checks(dangling: list[str] | Failure | None) -> list[Check]:
    """Whether the caches of all accounts exist, as far as that was asked."""
    if dangling is None:
        return []
    if isinstance(dangling, Failure):
        return _unread("assignments", f"the accounts' settings cannot be read: {dangling.message}", dangling.hint)
    if not dangling:
        return [Check(CLIENT_TO_DTR, "assignments", True, "no account is assigned to a cache that is gone")]
    named = ", ".join(dangling[:_NAMED]) + (f" and {len(dangling) - _NAMED} more" if len(dangling) > _NAMED else "")
    return [
        bad(
            CLIENT_TO_DTR,
            "assignments",
            f"assigned to a cache that no longer exists: {named}",
            f"Assign them to a cache that exists, or to local, with {word('assign')}.",
        )
    ]


def deployment_check(cache: Cache, published: t.Sequence[int]) -> Check:
    """Whether the Swarm publishes the cache where clients expect it."""
    public = origin_of(cache.url).port
    port = cache.port or public
    if not published:
        return bad(
            CLIENT_TO_CACHE,
            "deployment",
            "the Swarm has no stack that publishes this cache",
            "Deploy it with dtr.cache.deploy; or, when it is no longer needed, take it out of DTR with "
            "dtr.cache.remove.",
            harmless=True,
        )
    expected = f"clients are sent to port {public}"
    if port != public:
        expected += f", which what stands before the cache has to bring to port {port}"
    if port not in published:
        return bad(
            CLIENT_TO_CACHE,
            "deployment",
            f"{expected}, and the stack publishes {', '.join(map(str, published))}",
            "Set dtr_cache_port to the port that clients are to use, and run dtr.cache.deploy. Where a load balancer "
            "or an address translation has another port for them, dtr_cache_public_port is that one.",
            harmless=True,
        )
    return Check(
        CLIENT_TO_CACHE,
        "deployment",
        True,
        f"the stack publishes port {port}{f', and {expected}' if port != public else ''}",
    )


def _unread(check: str, message: str, hint: str | None) -> list[Check]:
    """That DTR did not say what was asked: that is wrong, and the answer is not known."""
    unknown = not_known(CLIENT_TO_DTR, check, message, hint or "Check again when DTR answers.")
    return [unknown, bad(CLIENT_TO_DTR, "answers", message, hint)]


def registration_checks(cache: Cache, registered: list[ContentCache] | Failure) -> list[Check]:
    """Whether DTR sends the cache's accounts to the address that was probed."""
    if isinstance(registered, Failure):
        return _unread("registration", f"the registered caches cannot be read: {registered.message}", registered.hint)
    return [_registration_check(cache, registered)]


def _registration_check(cache: Cache, registered: list[ContentCache]) -> Check:
    hosts = [without_secrets(each.host) for each in registered if each.name == cache.name]
    if not hosts:
        return bad(
            CLIENT_TO_DTR,
            "registration",
            f"DTR has no content cache named {cache.name}",
            f"Register it with {word('register')}. If DTR refuses it there, it may not trust the cache's certificate.",
        )
    if len(hosts) > 1:
        return bad(
            CLIENT_TO_DTR,
            "registration",
            f"DTR has {len(hosts)} content caches named {cache.name}: {', '.join(hosts)}",
            f"{word('register')} leaves one of them, and moves the accounts of the others.",
        )
    if not _same_server(hosts[0], cache.url):
        return bad(
            CLIENT_TO_DTR,
            "registration",
            f"DTR sends to {hosts[0]}, which is not {cache.url}",
            f"Correct {word('URL of the cache')}, or register the right one with {word('register')}.",
        )
    others = [each.name for each in registered if each.name != cache.name and _same_server(each.host, cache.url)]
    also = f", as is {', '.join(others)}" if others else ""
    return Check(CLIENT_TO_DTR, "registration", True, f"{cache.name} is registered as {hosts[0]}{also}")


def _same_server(one: str, other: str) -> bool:
    try:
        return origin_of(one) == origin_of(other)
    except Failure:
        return False
