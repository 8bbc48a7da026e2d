# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What proves who a client is: passwords, access tokens, bearer tokens for the registry, and signatures of URLs.

Passwords and tokens are as random as keys, so a look-up in a hash table is safe and costs microseconds; a slow password
hash on each request would be the whole cost of the request.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime
import hashlib
import hmac
import json
import os
import pathlib
import re
import secrets
import time
import typing as t
import urllib.parse

from .accounts import NAMED_USERS

#: The key of passwords.json that holds the password of every generated account.
GENERATED = "user*"

_GENERATED_NAME = re.compile(r"user\d{5}")
_NEVER = "0001-01-01T00:00:00Z"


def now_text() -> str:
    """The present in RFC 3339, as DTR's answers have it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Passwords:
    """The accounts' passwords: one for each named account and one for all generated ones."""

    def __init__(self, by_name: t.Mapping[str, str]) -> None:
        self._by_name = dict(by_name)

    @classmethod
    def kept_in(cls, file: pathlib.Path) -> Passwords:
        """Reads the passwords, or makes random ones and writes them for the owner's eyes only."""
        if not file.exists():
            names = ["admin", *(name for name, _, _ in NAMED_USERS), GENERATED]
            write_private(file, json.dumps({name: secrets.token_urlsafe(18) for name in names}, indent=2) + "\n")
        return cls(json.loads(file.read_text()))

    def fits(self, name: str, password: str) -> bool:
        known = self._by_name.get(name)
        if known is None and _GENERATED_NAME.fullmatch(name):
            known = self._by_name.get(GENERATED)
        return known is not None and hmac.compare_digest(known.encode(), password.encode())

    def set(self, name: str, password: str) -> None:
        self._by_name[name] = password


def write_private(file: pathlib.Path, text: str) -> None:
    """Writes a file whole or not at all, readable by its owner only."""
    fresh = file.with_name(file.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(text)
    fresh.replace(file)


@dataclasses.dataclass
class AccessToken:
    """`responses.APIToken` of an account; the token itself is known to its owner only."""

    account: str
    hashed_token: str
    label: str
    generated_by: str  # "api" by request, "auto" by a docker login
    creator_ua: str
    created_at: str
    is_active: bool = True
    last_used: str = _NEVER

    def shape(self) -> dict[str, t.Any]:
        return {
            "hashedToken": self.hashed_token,
            "tokenLabel": self.label,
            "isActive": self.is_active,
            "lastUsed": self.last_used,
            "createdAt": self.created_at,
            "generatedBy": self.generated_by,
            "creatorUa": self.creator_ua,
        }


class AccessTokens:
    """All access tokens, by the hash that is also their id in the API."""

    def __init__(self) -> None:
        self.by_hash: dict[str, AccessToken] = {}

    def create(self, account: str, label: str, generated_by: str, creator_ua: str) -> tuple[str, AccessToken]:
        """A new token and its description."""
        token = secrets.token_hex(20)
        hashed = hashlib.sha256(token.encode()).hexdigest()
        self.by_hash[hashed] = AccessToken(account, hashed, label, generated_by, creator_ua, now_text())
        return token, self.by_hash[hashed]

    def owner(self, token: str) -> str | None:
        """The name of the account that an active token belongs to."""
        found = self.by_hash.get(hashlib.sha256(token.encode()).hexdigest())
        if found is None or not found.is_active:
            return None
        found.last_used = now_text()
        return found.account

    def of(self, account: str | None) -> list[AccessToken]:
        """An account's tokens, or all, in the order of their ids."""
        chosen = [token for token in self.by_hash.values() if account in (None, token.account)]
        return sorted(chosen, key=lambda token: token.hashed_token)


@dataclasses.dataclass(frozen=True)
class Grant:
    """What a bearer token allows: for each resource (C(repository:NAME), C(registry:catalog)) a set of actions."""

    account: str  # "" for anonymous
    access: t.Mapping[str, frozenset[str]]
    expires: float

    def allows(self, resource: str, action: str) -> bool:
        actions = self.access.get(resource, frozenset())
        return action in actions or "*" in actions


class BearerTokens:
    """The tokens that /auth/token has issued and that have not expired; opaque, and gone after a restart."""

    _MOST = 100_000

    def __init__(self, clock: t.Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._grants: collections.OrderedDict[str, Grant] = collections.OrderedDict()

    def issue(self, account: str, access: t.Mapping[str, frozenset[str]], seconds: int) -> str:
        while self._grants and (len(self._grants) >= self._MOST or self._oldest().expires < self._clock()):
            self._grants.popitem(last=False)
        token = secrets.token_urlsafe(32)
        self._grants[token] = Grant(account, access, self._clock() + seconds)
        return token

    def grant(self, token: str) -> Grant | None:
        found = self._grants.get(token)
        return found if found is not None and found.expires >= self._clock() else None

    def _oldest(self) -> Grant:
        return next(iter(self._grants.values()))


class Signer:
    """Signs the URLs of blobs for a limited time, so that a cache can fetch for its client without credentials."""

    def __init__(self, key: bytes, clock: t.Callable[[], float] = time.time) -> None:
        self._key = key
        self._clock = clock

    def query(self, path: str, account: str, seconds: int) -> str:
        """The query string that opens a path to whoever holds it; C(seconds) may be negative to make an expired one."""
        expires = int(self._clock()) + seconds
        fields = {"account": account, "expires": expires, "signature": self._signature(path, account, str(expires))}
        return urllib.parse.urlencode(fields)

    def opens(self, path: str, query: t.Mapping[str, str]) -> bool:
        """Whether a query has a true signature of this path that has not expired."""
        account, expires = query.get("account", ""), query.get("expires", "")
        true = hmac.compare_digest(
            query.get("signature", "").encode(), self._signature(path, account, expires).encode()
        )
        return true and int(expires) >= self._clock()

    def _signature(self, path: str, account: str, expires: str) -> str:
        text = "\n".join((path, account, expires))
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()
