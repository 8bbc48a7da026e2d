# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why the blobs of an account do not come through a cache, as far as DTR and the cache say.

When DTR connects to a cache, and what it makes of a certificate that it does not trust, is not documented: see "DTR may
refuse a cache that it does not trust" in docs/decisions.md.
"""

from __future__ import annotations

import typing as t

from ..common.failure import Failure
from ..common.urls import Origin, origin_of, without_secrets
from ..common.vocabulary import word
from ..dtr.api import DtrApi, distrust_hint
from ..dtr.model import ContentCache

_CERTIFICATE_OWNER = "Check which cache the client certificate's account is assigned to."


def registered_origins(cache: str, caches: t.Sequence[ContentCache]) -> list[Origin]:
    """The addresses of a cache that is given by its name in DTR or by its URL.

    Raises:
        Failure: C(NO_SUCH_CONTENT_CACHE) when DTR knows no cache of this name or address.
    """
    by_name = [origin_of(each.host) for each in caches if each.name == cache]
    if by_name:
        return list(dict.fromkeys(by_name))
    if "://" in cache:
        origin = origin_of(cache)
        if any(_origin_or_none(each.host) == origin for each in caches):
            return [origin]
    known = ", ".join(sorted(f"{each.name} ({without_secrets(each.host)})" for each in caches)) or "none"
    raise Failure(
        "NO_SUCH_CONTENT_CACHE",
        f"DTR knows no content cache {cache}; it knows: {known}.",
        hint=f"Register it with {word('register')}, or correct the name.",
    )


def likely_cause(
    account: str,
    setting: str | None,
    caches: t.Sequence[ContentCache],
    origins: t.Sequence[Origin],
    trouble: t.Callable[[], str | None] = lambda: None,
) -> str:
    """Why an account's blobs do not come through a cache, judged by the account's setting in DTR.

    Args:
        account: The account that pulls.
        setting: The id of the cache it is assigned to, or C(None).
        caches: All caches that DTR knows.
        origins: The addresses of the cache that was expected.
        trouble: Why that cache cannot be used, as C(CacheClient.trouble) finds; asked where the setting is right.
    """
    wrong = wrong_assignment(account, setting, caches, origins)
    if wrong:
        return wrong
    assigned = next(cache for cache in caches if cache.id == setting)
    host = without_secrets(assigned.host)
    down = trouble()
    if down:
        assignment = f"Account {account} is assigned to the cache {assigned.name}"
        return f"{assignment}, and DTR may step in for a cache that is down. {down}"
    return (
        f"Account {account} is assigned to the cache {assigned.name}, which answers from here, and DTR still serves "
        f"the blobs another way. {distrust_hint(host)} Also check that {word('url')} names DTR itself, and that the "
        "setting was not changed a moment ago."
    )


def wrong_assignment(
    account: str, setting: str | None, caches: t.Sequence[ContentCache], origins: t.Sequence[Origin]
) -> str | None:
    """Why DTR should not send an account to a cache, judged by its setting, or C(None) where it should."""
    another = f"with {word('assign')}, or name an account that is ({word('account')})."
    if setting is None:
        return f"Account {account} is not assigned to any cache: assign it {another}"
    lost = missing_cache(account, setting, caches)
    if lost:
        return lost
    assigned = next(cache for cache in caches if cache.id == setting)
    if _origin_or_none(assigned.host) in origins:
        return None
    where = f"{assigned.name} ({without_secrets(assigned.host)})"
    return f"Account {account} is assigned to the cache {where}: assign it to this one {another}"


def _origin_or_none(host: str) -> Origin | None:
    """Where a registered cache is; anybody may have registered something that is no URL."""
    try:
        return origin_of(host)
    except Failure:
        return None


def missing_cache(account: str, setting: str | None, caches: t.Sequence[ContentCache]) -> str | None:
    """What to do about an account whose cache no longer exists, or C(None) where it does.

    What DTR makes of its pulls is not documented: it may serve blobs itself, send to where the cache was, or refuse.
    """
    if setting is None or any(cache.id == setting for cache in caches):
        return None
    return (
        f"Account {account} is assigned to a cache that no longer exists (id {setting}): assign it anew with "
        f"{word('assign')}."
    )


def why_elsewhere(
    dtr: DtrApi,
    account: str | None,
    origins: t.Sequence[Origin],
    trouble: t.Callable[[], str | None] = lambda: None,
) -> str:
    """Why DTR does not send the account to the cache, as far as the account's setting and the cache say."""
    if account is None:
        return _CERTIFICATE_OWNER
    try:
        setting = dtr.user_cache(account)
        return likely_cause(account, setting, dtr.content_caches(), origins, trouble)
    except Failure:
        return _see_assignment(account)


def misassigned(dtr: DtrApi, account: str | None, origins: t.Sequence[Origin]) -> str | None:
    """Why DTR should not send the account to the cache, or C(None) where its setting says that it should."""
    if account is None:
        return _CERTIFICATE_OWNER
    try:
        return wrong_assignment(account, dtr.user_cache(account), dtr.content_caches(), origins)
    except Failure:
        return _see_assignment(account)


def _see_assignment(account: str) -> str:
    return f"Check which cache account {account} is assigned to, with {word('see assignments')}."


def lost_cache(dtr: DtrApi, account: str | None) -> str | None:
    """What to do where the account's cache is gone, or C(None) where it is not or that cannot be found out."""
    if account is None:
        return None
    try:
        setting = dtr.user_cache(account)
        return missing_cache(account, setting, dtr.content_caches())
    except Failure:
        return None
