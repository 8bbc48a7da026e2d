# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The content caches that are registered, and which account is set to pull from which."""

from __future__ import annotations

import collections
import dataclasses
import typing as t
import urllib.parse
import uuid

from .behaviours import Behaviours, Unset
from .errors import ApiError

#: The entry that some versions may list although nobody created it.
LOCAL = "local"

_DEFAULT_PORTS = {"http": 80, "https": 443}
_JOURNAL_LENGTH = 200_000


@dataclasses.dataclass(frozen=True)
class ContentCache:
    """`responses.ContentCache`."""

    id: str
    name: str
    host: str


class ContentCaches:
    """The registered caches by id, and the settings: for each account that has one, the id of its cache."""

    def __init__(self) -> None:
        self.by_id: dict[str, ContentCache] = {}
        self.settings: dict[str, str] = {}
        #: The hosts of caches that were deleted, by their ids.
        self.former_hosts: dict[str, str] = {}
        #: Every change in the order in which it took effect: C(create) and C(delete) with a cache's id, C(set) and
        #: C(unset) with an account and, for C(set), the id.
        self.journal: collections.deque[tuple[str, str, str]] = collections.deque(maxlen=_JOURNAL_LENGTH)

    def create(self, name: str, host: str, behaviours: Behaviours) -> ContentCache:
        """Registers a cache.

        Raises:
            ApiError: The host is no https URL or something is taken, where the behaviours refuse that.
        """
        if behaviours.host_form == "normalised":
            host = normalised(host)
        if behaviours.host_form == "https_only" and not host.startswith("https://"):
            raise ApiError("INVALID_CONTENT_CACHE", {"host": "must be an https URL"})
        if not behaviours.duplicate_names and any(cache.name == name for cache in self.by_id.values()):
            raise ApiError("INVALID_CONTENT_CACHE", {"name": "exists already"})
        if not behaviours.duplicate_hosts and any(cache.host == host for cache in self.by_id.values()):
            raise ApiError("INVALID_CONTENT_CACHE", {"host": "exists already"})
        cache = ContentCache(str(uuid.uuid4()), name, host)
        self.by_id[cache.id] = cache
        self.journal.append(("create", cache.id, cache.name))
        return cache

    def delete(self, cache_id: str, behaviours: Behaviours) -> None:
        """Removes a cache.

        Raises:
            ApiError: It does not exist, where the behaviours tell that.
        """
        cache = self.by_id.pop(cache_id, None)
        if cache is None and behaviours.delete_missing == 404:
            raise ApiError("NO_SUCH_CONTENT_CACHE")
        if behaviours.delete_clears_settings:
            for name in [name for name, held in self.settings.items() if held == cache_id]:
                self._unset(name)
        if cache is not None:
            self.former_hosts[cache_id] = cache.host
            self.journal.append(("delete", cache_id, cache.name))

    def set_account(self, name: str, form: t.Mapping[str, t.Any], behaviours: Behaviours) -> None:
        """Applies a `forms.UserSettings` to an account.

        Raises:
            ApiError: The value names no cache and is no way to say "none" that the behaviours allow.
        """
        effect, cache_id = self._understood(form, behaviours)
        if effect == "refused":
            raise ApiError("INVALID_USER_SETTINGS", {"contentCacheUUID": cache_id})
        if effect == "unsets":
            self._unset(name)
        elif effect == "sets":
            self.settings[name] = t.cast("str", cache_id)
            self.journal.append(("set", name, cache_id))

    def _unset(self, name: str) -> None:
        self.settings.pop(name, None)
        self.journal.append(("unset", name, ""))

    def cache_of(self, name: str) -> ContentCache | None:
        """The cache that an account pulls from; none when it has none or when that was deleted."""
        return self.by_id.get(self.settings.get(name, ""))

    def dangles(self, name: str) -> bool:
        """Whether an account's setting names a cache that does not exist."""
        return name in self.settings and self.settings[name] not in self.by_id

    def former_host_of(self, name: str) -> str | None:
        """The address of the deleted cache that an account's setting names."""
        return self.former_hosts.get(self.settings.get(name, ""))

    def _understood(
        self, form: t.Mapping[str, t.Any], behaviours: Behaviours
    ) -> tuple[Unset | t.Literal["sets"], t.Any]:
        # Go's decoder, which DTR uses, takes the key in any capitalisation.
        values = [value for key, value in form.items() if key.lower() == "contentcacheuuid"]
        if not values:
            return behaviours.omitted_uuid, None
        value = values[-1]
        if value is None:
            return behaviours.null_uuid, value
        if value == "":
            return behaviours.empty_uuid, value
        if value == LOCAL:
            return behaviours.local_uuid, value
        if isinstance(value, str) and (value in self.by_id or behaviours.unknown_uuid == "accepted"):
            return "sets", value
        return "refused", value


def normalised(host: str) -> str:
    """A URL without the scheme's default port and without a slash at its end, its host name in lower case."""
    url = urllib.parse.urlsplit(host)
    name = url.hostname or ""
    port = f":{url.port}" if url.port not in (None, _DEFAULT_PORTS.get(url.scheme)) else ""
    return urllib.parse.urlunsplit((url.scheme, name + port, url.path.rstrip("/"), url.query, ""))
