# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What DTR's API speaks of: content caches, accounts, access tokens, versions, and what one replica says of itself."""

from __future__ import annotations

import datetime
import re
import typing as t

from ..common.failure import Failure
from ..common.urls import without_secrets

LOCAL = "local"
"""The pseudo region of DTR's web interface: no cache. No real cache may have this name, in any capitalisation."""


class ContentCache(t.NamedTuple):
    """A cache that DTR knows. C(host) is its URL as it was registered."""

    id: str
    name: str
    host: str

    @property
    def shown_host(self) -> str:
        """The host without a password that somebody has registered with it."""
        return shown_host(self.host)

    def shown(self) -> dict[str, str]:
        """What results have of it."""
        return {"id": self.id, "name": self.name, "host": self.shown_host}


def shown_host(host: str) -> str:
    """The address of a cache without a password that somebody has registered with it."""
    return without_secrets(host) if "@" in host else host


class Account(t.NamedTuple):
    """A user or an organisation."""

    name: str
    is_org: bool = False
    is_active: bool = True


class Health(t.NamedTuple):
    """What one replica of DTR says of itself; C(error) is empty when it is healthy."""

    healthy: bool
    error: str


class ListedToken(t.NamedTuple):
    """An access token as DTR lists it; C(made_at) is C(None) where that cannot be read."""

    hashed_token: str
    label: str
    made_at: datetime.datetime | None


class ApiToken(t.NamedTuple):
    """A new access token; C(token) is the secret, which DTR shows only once."""

    token: str
    hashed_token: str


def is_local(name: str) -> bool:
    """Whether a name means "no cache"."""
    return name.lower() == LOCAL


def is_vanished(failure: Failure) -> bool:
    """Whether a request failed because DTR has no such user.

    Only its own code says so: a load balancer or a firewall in front of it may answer 404 as well.
    """
    return failure.http_status == 404 and failure.code in ("NO_SUCH_USER", "NO_SUCH_ACCOUNT")


# What may follow is the mark of a build.
_RELEASE = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}(?![0-9.])")


def release(version: str | None) -> str:
    """The three numbers that a version begins with; empty where it does not."""
    match = _RELEASE.match(version or "")
    return match[0] if match else ""


def tag_of(image: str | None) -> str:
    """The tag of an image's reference; empty where it has none."""
    return (image or "").partition("@")[0].rpartition("/")[2].partition(":")[2]


def are_same(tag: str | None, version: str | None) -> bool | None:
    """Whether a cache has the version of its DTR; C(None) where one of both is not known."""
    of_cache, of_dtr = release(tag), release(version)
    return of_cache == of_dtr if of_cache and of_dtr else None


def difference(tag: str, version: str) -> str:
    """That both are different, in a sentence."""
    return (
        f"The cache has version {release(tag)} and its DTR has {release(version)}. The vendor wants both the same, as "
        "a difference gives authentication errors."
    )
