# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DTR's API as resources: content caches, users' settings, accounts, state. Knows nothing of Ansible or of planning.

Sources named below: "DTR swagger" is the API description published with DTR 2.3 to 2.7, identical there for caches and
settings; "UCP swagger" is the accounts API of UCP 3.2, which DTR passes on below C(/enzi/v0).
"""

from __future__ import annotations

import datetime
import email.utils
import json
import sys
import time
import typing as t
from urllib.parse import quote

from ..common.failure import Failure
from ..common.urls import canonical_host
from ..http.responses import (
    Answer,
    decoded,
    looks_like_html,
    server_errors,
)
from ..http.transport import (
    Fate,
    Lost,
    Patience,
    Transport,
    outcome_unknown,
)

_CACHES = "/api/v0/content_caches"
_ACCOUNTS = "/enzi/v0/accounts"
# The default of 10 (UCP swagger) would cost a thousand requests for ten thousand accounts; servers take large limits.
_PAGE_SIZE = 1000

# How often the list is looked at while a late entry may still come.
_LOOKS = 6

# What gateways make of the one documented status of a success varies.
_SUCCESS = (200, 201, 202, 204)

LOCAL = "local"
"""The pseudo region of DTR's web interface: no cache. No real cache may have this name, in any capitalisation."""

Json = dict[str, t.Any]


class ContentCache(t.NamedTuple):
    """A cache that DTR knows. C(host) is its URL as it was registered."""

    id: str
    name: str
    host: str


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


class Registry:
    """One DTR, safe to share between threads."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._local_ids: frozenset[str] = frozenset()
        self._unset_form = 0
        self._late_until: dict[str, float] = {}

    # Content caches

    def content_caches(self) -> list[ContentCache]:
        """All caches, without a pseudo entry C(local) (DTR swagger, ListContentCaches: a bare array, not paged).

        Whether some version lists its pseudo region is not published; as it is no cache, it is left out, and its id
        counts as "no cache" in users' settings.
        """
        caches = [_content_cache(entry) for entry in _array(self._transport.request("GET", _CACHES))]
        self._local_ids = frozenset(cache.id for cache in caches if is_local(cache.name))
        return [cache for cache in caches if not is_local(cache.name)]

    def create_content_cache(self, name: str, host: str, known_ids: t.Collection[str]) -> ContentCache:
        """Register a cache (DTR swagger, CreateContentCache: 201; a screenshot of 2.3 shows 200 as well).

        Never leaves two entries: when an answer gets lost, the list is watched for as long as the server may still be
        at work (C(timeout) once more) before anything is sent again, and after a time-out nothing is sent again at all.

        Args:
            name: The cache's name.
            host: The cache's URL.
            known_ids: The ids of the caches that existed before, so that a new entry can be told from them.

        Raises:
            Failure: C(OUTCOME_UNKNOWN) when it could not be found out whether the entry exists.
        """
        patience = self._transport.patience("POST", _CACHES)
        doubtful = False
        while True:
            found: ContentCache | None
            try:
                found = self._post_content_cache(name, host)
                if doubtful:
                    found = self._settled(name, host, known_ids) or found
            except Lost as lost:
                if lost.fate is Fate.NOT_PROCESSED:
                    patience.wait(lost)
                    continue
                doubtful = True
                found = self._look_for(name, host, known_ids, patience, lost)
            except Failure as failure:
                if not doubtful and not _leaves_doubt(failure):
                    raise
                found = self._settled(name, host, known_ids)
                if found is None:
                    raise
            if found is not None:
                return found

    def delete_content_cache(self, cache_id: str) -> None:
        """Remove a cache; one that is gone already is fine.

        DTR swagger, DeleteContentCache, documents both 204 and 404 C(NO_SUCH_CONTENT_CACHE) for that case. After any
        other answer the list tells whether the cache is gone.

        Raises:
            Failure: The cache is still there.
        """
        path = f"{_CACHES}/{_segment(cache_id)}"
        try:
            answer = self._transport.request("DELETE", path, expect=(*_SUCCESS, 404))
        except Failure as failure:
            if not _leaves_doubt(failure) or self._is_listed(cache_id):
                raise
            return
        gone = answer.status == 204 or any(code == "NO_SUCH_CONTENT_CACHE" for code, _text in server_errors(answer))
        if not gone and self._is_listed(cache_id):
            raise Failure(
                "NOT_APPLIED",
                f"DELETE {answer.url} answered {answer.status}, but DTR still lists the cache.",
                http_status=answer.status,
                url=answer.url,
                hint="Run the task again.",
            )

    def _is_listed(self, cache_id: str) -> bool:
        return any(cache.id == cache_id for cache in self.content_caches())

    def _post_content_cache(self, name: str, host: str) -> ContentCache:
        answer = self._transport.attempt("POST", _CACHES, body={"name": name, "host": host}, expect=(200, 201))
        return _content_cache(_object(answer), answer)

    def _look_for(
        self, name: str, host: str, known_ids: t.Collection[str], patience: Patience, lost: Lost
    ) -> ContentCache | None:
        """The entry of a request whose answer got lost, or C(None) when it is safe to send the request again."""
        given_up = None
        try:
            patience.wait(lost)
        except Failure as failure:
            given_up = failure
        try:
            # Whoever closed the connection, or said 502 or 503, may stand in front of a server that is still at work.
            found = self._settled(name, host, known_ids) or self._await_late(name, host, known_ids)
        except Failure:
            raise outcome_unknown(lost) from None
        if found is None and lost.fate is Fate.PENDING:
            raise outcome_unknown(lost)
        if found is None and given_up is not None:
            raise given_up
        return found

    def _await_late(self, name: str, host: str, known_ids: t.Collection[str]) -> ContentCache | None:
        """The entry of a request that the server may still be working on; it is given the time-out once more."""
        end = time.monotonic() + self._transport.timeout
        found = None
        while found is None and time.monotonic() < end:
            time.sleep(self._transport.timeout / _LOOKS)
            found = self._settled(name, host, known_ids)
        return found

    def _settled(self, name: str, host: str, known_ids: t.Collection[str]) -> ContentCache | None:
        """The new entry with this name and host, if there is one; a second one, from a late answer, is removed.

        One with another host is somebody else's.
        """
        wanted = (name, canonical_host(host))
        new = [
            cache
            for cache in self.content_caches()
            if (cache.name, canonical_host(cache.host)) == wanted and cache.id not in known_ids
        ]
        for surplus in new[1:]:
            self.delete_content_cache(surplus.id)
        return new[0] if new else None

    # Users' settings

    def user_cache(self, username: str) -> str | None:
        """The id of the cache that a user pulls from, or C(None) (DTR swagger, GetUserSettings).

        Raises:
            Failure: C(NO_SUCH_USER) for an unknown name, and for an organisation's.
        """
        answer = self._transport.request("GET", _settings_path(username))
        return self._cache_id(_object(answer))

    def set_user_cache(self, username: str, cache_id: str | None) -> None:
        """Let a user pull from a cache, or with C(None) from DTR itself (DTR swagger, UpdateUserSettings).

        The answer is documented without a body, so what the server made of it is read back unless it says so itself.

        Raises:
            Failure: C(NOT_APPLIED) when the server accepted the change and did not make it.
        """
        if cache_id is None:
            self._unset_user_cache(username)
            return
        said = self._patch_user_cache(username, {"contentCacheUUID": cache_id})
        if said != cache_id:
            raise Failure(
                "NOT_APPLIED",
                f"DTR accepted the cache {cache_id} for {username}, but its setting is {said or 'none'} afterwards.",
                hint="Run the task again; something else may be changing the same account.",
            )

    def wait_for_late_writes(self, usernames: t.Iterable[str]) -> list[str]:
        """Wait until no write of these users whose answer got lost can be expected to take effect any more.

        Such a write may be carried out after one that was sent later. As nobody knows how long a server takes, it is
        given the time-out once more.

        Returns: The users it was about, whose settings have to be written once more.
        """
        late = [name for name in usernames if name in self._late_until]
        if late:
            time.sleep(max(0.0, max(self._late_until.pop(name) for name in late) - time.monotonic()))
        return late

    def _unset_user_cache(self, username: str) -> None:
        """Try each form that may mean "none", beginning with the one that worked last; the form is not published."""
        forms = self._unset_forms()
        refused = []
        first = self._unset_form
        for form in [first, *(each for each in range(len(forms)) if each != first)]:
            try:
                said = self._patch_user_cache(username, forms[form])
            except Failure as failure:
                if failure.http_status not in (400, 422):
                    raise
                refused.append(f"{json.dumps(forms[form])}: {failure.code}")
                continue
            if said is None:
                self._unset_form = form
                return
            refused.append(f"{json.dumps(forms[form])}: still {said}")
        raise Failure(
            "UNSET_REFUSED",
            f"DTR does not reset the cache of {username} in any known way ({'; '.join(refused)}).",
            hint="Reset it in DTR's web interface: Users, Settings, Content cache, local.",
        )

    def _unset_forms(self) -> list[Json]:
        pseudo = min(self._local_ids) if self._local_ids else LOCAL
        return [{"contentCacheUUID": ""}, {"contentCacheUUID": None}, {}, {"contentCacheUUID": pseudo}]

    def _patch_user_cache(self, username: str, form: Json) -> str | None:
        """The setting after the change, from the answer or read back."""

        def note(lost: Lost) -> None:
            if lost.fate is not Fate.NOT_PROCESSED:
                self._late_until[username] = time.monotonic() + self._transport.timeout

        answer = self._transport.request("PATCH", _settings_path(username), body=form, expect=_SUCCESS, on_lost=note)
        settings = _settings_in(answer)
        return self.user_cache(username) if settings is None else self._cache_id(settings)

    def _cache_id(self, settings: Json) -> str | None:
        """The cache in a user's settings.

        DTR's swagger spells the field C(ContentCacheUUID) in answers and C(contentCacheUUID) in requests.
        """
        value = next((value for key, value in settings.items() if key.lower() == "contentcacheuuid"), None)
        if not value or not isinstance(value, str) or is_local(value) or value in self._local_ids:
            return None
        # Ten thousand accounts share a handful of ids.
        return sys.intern(value)

    # Accounts

    def users(self) -> t.Iterator[Account]:
        """All users, active or not, without organisations (UCP swagger, C(/accounts/))."""
        for entry in self._pages(_ACCOUNTS, "accounts", _name_of, {"filter": "users"}):
            account = _account(entry)
            if not account.is_org:
                yield account

    def account(self, name: str) -> Account | None:
        """A user or an organisation by name, or C(None) (UCP swagger, C(/accounts/{accountNameOrID}))."""
        try:
            return _account(_object(self._transport.request("GET", f"{_ACCOUNTS}/{_segment(name)}")))
        except Failure as failure:
            if _is_unknown(failure):
                return None
            raise

    def org_members(self, org: str) -> list[Account] | None:
        """An organisation's members, or C(None) if there is no such organisation."""
        return self._members(f"{_ACCOUNTS}/{_segment(org)}/members")

    def team_members(self, org: str, team: str) -> list[Account] | None:
        """A team's members, or C(None) if there is no such organisation or team."""
        return self._members(f"{_ACCOUNTS}/{_segment(org)}/teams/{_segment(team)}/members")

    def _members(self, path: str) -> list[Account] | None:
        """Members are ordered, and pages begin, by the user's id (UCP swagger, C(/accounts/{org}/members))."""
        try:
            return [_account(entry.get("member") or {}) for entry in self._pages(path, "members", _member_id_of)]
        except Failure as failure:
            if _is_unknown(failure):
                return None
            raise

    def _pages(
        self, path: str, key: str, marker_of: t.Callable[[Json], str], query: Json | None = None
    ) -> t.Iterator[Json]:
        """All entries of a list that comes in pages, each entry once.

        The next page's marker is in the body (UCP swagger: C(nextPageStart)), or in the header C(X-Next-Page-Start)
        (as eNZi's and Harbor's clients read it). Where a server names none although there is more, or has neither
        field, the list is asked for from its last entry on until nothing new comes. C(start) is inclusive, so pages may
        overlap.

        Raises:
            Failure: C(UNEXPECTED_ANSWER) when the list ends before the number of its entries that it names.
        """
        seen: set[str] = set()
        start = ""
        while True:
            page = {**(query or {}), "limit": _PAGE_SIZE, **({"start": start} if start else {})}
            answer = self._transport.request("GET", path, query=page)
            document = answer.json()
            entries = _entries(document, key, answer)
            fresh = [entry for entry in entries if marker_of(entry) not in seen]
            seen.update(map(marker_of, fresh))
            yield from fresh
            following = _next_page(document, answer)
            total = _total(document, key)
            if following == "" and not (fresh and (len(entries) >= _PAGE_SIZE or total > len(seen))):
                return
            following = following or (marker_of(entries[-1]) if fresh else start)
            if not fresh or following == start:
                # This very page again, or one that was read before: some servers end their lists like this, others
                # are stuck half-way.
                _check_whole(total, answer, len(seen))
                return
            start = following

    # State

    def ping(self) -> Health:
        """The replica's own verdict, from C(/_ping): 200 or 503, without authentication, with C(Error) and C(Healthy).

        Not retried on 503: that is an answer here.
        """
        answer = self._transport.request("GET", "/_ping", expect=(200, 503))
        document = _json_object(answer) or {}
        fields = {key.lower(): value for key, value in document.items()}
        healthy = answer.status == 200 and bool(fields.get("healthy", answer.status == 200))
        error = str(fields.get("error") or "")
        if not healthy and not error:
            error = "an HTML page instead of the state" if looks_like_html(answer) else "no reason given"
        return Health(healthy, error)

    def version(self) -> str | None:
        """The version, from C(/api/v0/admin/version), which is in no swagger and may be missing."""
        answer = self._transport.request("GET", "/api/v0/admin/version", expect=(200, 403, 404))
        document = _json_object(answer) if answer.status == 200 else None
        version = (document or {}).get("version")
        return str(version) if version else None

    def features(self) -> Json:
        """What is switched on and licensed (DTR swagger, GetFeatures); the cheapest request that needs a log-in."""
        return _object(self._transport.request("GET", "/api/v0/meta/features"))

    def cluster_status(self) -> Json | None:
        """State of the replicas (DTR swagger, GetClusterStatus); C(None) for users who are no administrators."""
        answer = self._transport.request("GET", "/api/v0/meta/cluster_status", expect=(200, 403))
        return None if answer.status == 403 else _object(answer)

    def settings(self) -> Json | None:
        """DTR's own settings (DTR swagger, GetSettings); C(None) for users who are no administrators."""
        answer = self._transport.request("GET", "/api/v0/meta/settings", expect=(200, 403))
        return None if answer.status == 403 else _object(answer)

    def read_only(self) -> bool | None:
        """Whether nobody can push: C(readOnlyRegistry) of the settings, or a replica that says so of itself.

        C(None) for users who are no administrators, and where a version does not tell.
        """
        try:
            settings = self.settings()
            if settings is None or settings.get("readOnlyRegistry"):
                return None if settings is None else True
            replicas = (self.cluster_status() or {}).get("replica_readonly")
        except Failure as failure:
            if failure.http_status != 404:
                raise
            return None
        return any(replicas.values()) if isinstance(replicas, dict) else False

    def ca(self) -> str:
        """The text that C(/ca) serves without authentication: DTR's CA as PEM."""
        answer = self._transport.request("GET", "/ca", headers={"Accept": "*/*"})
        return answer.body.decode("utf-8", "replace")

    # Access tokens

    def create_api_token(self, username: str, label: str) -> ApiToken:
        """A new access token for a user (DTR swagger 2.5 and newer, CreateAnAPIToken)."""
        answer = self._transport.request(
            "POST", "/api/v0/api_tokens", query={"username": username}, body={"tokenLabel": label}, expect=(200, 201)
        )
        document = _object(answer)
        return ApiToken(str(document.get("token", "")), str(document.get("hashedToken", "")))

    def api_tokens(self, username: str) -> tuple[list[ListedToken], datetime.datetime]:
        """A user's access tokens, and the present by DTR's clock (DTR swagger 2.5 and newer, ListAPITokens)."""
        found: dict[str, ListedToken] = {}
        start = ""
        while True:
            query = {"username": username, "pageSize": _PAGE_SIZE, **({"pageStart": start} if start else {})}
            answer = self._transport.request("GET", "/api/v0/api_tokens", query=query)
            known = len(found)
            found.update((token.hashed_token, token) for token in map(_listed_token, _array(answer)))
            start = answer.headers.get("X-Next-Page-Start") or ""
            if not start or len(found) == known:
                return list(found.values()), _date_of(answer)

    def delete_tag(self, repository: str, tag: str) -> None:
        """Remove a tag; one that is gone already is fine.

        The release notes of DTR 2.3 name this path; removing a manifest by its digest is gone since 2.6. What only this
        tag referred to is collected by DTR itself.
        """
        path = f"/api/v0/repositories/{quote(repository)}/tags/{_segment(tag)}"
        self._transport.request("DELETE", path, expect=(*_SUCCESS, 404))

    def delete_api_token(self, hashed_token: str) -> None:
        """Remove an access token (DTR swagger 2.5 and newer, DeleteAnAPIToken); one that is gone already is fine."""
        self._transport.request("DELETE", f"/api/v0/api_tokens/{_segment(hashed_token)}", expect=(200, 204, 404))

    def hopeless(self, failure: Failure) -> bool:
        """Whether what failed for one account must fail for all others, so that it is better not to try.

        Ten thousand refused log-ins could lock the account out of a directory service.
        """
        refused = failure.http_status == 401 or failure.code == "NOT_AUTHENTICATED"
        return refused or failure.code.startswith("TLS_") or self._transport.down


def _listed_token(entry: Json) -> ListedToken:
    moment = str(entry.get("createdAt") or "")
    try:
        # Python before 3.11 reads neither Z nor the nine digits of a fraction.
        made_at = datetime.datetime.strptime(moment[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=datetime.timezone.utc)
    except ValueError:
        made_at = None
    return ListedToken(str(entry.get("hashedToken") or ""), str(entry.get("tokenLabel") or ""), made_at)


def _date_of(answer: Answer) -> datetime.datetime:
    try:
        moment = email.utils.parsedate_to_datetime(answer.headers.get("Date") or "")
    except (TypeError, ValueError):
        return datetime.datetime.now(datetime.timezone.utc)
    # HTTP knows no other zone; one that is missing, or -0000, leaves the moment without any.
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)


def _segment(text: str) -> str:
    return quote(text, safe="")


def _settings_path(username: str) -> str:
    return f"/api/v0/accounts/{_segment(username)}/settings"


def _is_unknown(failure: Failure) -> bool:
    """Whether eNZi said that there is no such account or team; its codes are not published, a proxy's page has none."""
    return failure.http_status == 404 and failure.code != "NOT_FOUND"


def _leaves_doubt(failure: Failure) -> bool:
    """Whether a POST may have been acted on although the answer was no success: an error inside the server, or a
    success that cannot be read."""
    return failure.http_status is not None and (failure.http_status >= 500 or 200 <= failure.http_status < 300)


def _shape_failure(answer: Answer, expected: str) -> Failure:
    return Failure(
        "UNEXPECTED_ANSWER",
        f"{answer.method} {answer.url} answered {answer.status} with JSON that is not {expected}.",
        http_status=answer.status,
        url=answer.url,
        hint="Check that the URL is the DTR's own.",
    )


def _object(answer: Answer) -> Json:
    document = answer.json()
    if not isinstance(document, dict):
        raise _shape_failure(answer, "an object")
    return document


def _json_object(answer: Answer) -> Json | None:
    """The object in an answer that may as well have none."""
    if not answer.body:
        return None
    try:
        document = decoded(answer.body)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _array(answer: Answer) -> list[Json]:
    document = answer.json()
    # Servers written in Go send null for an empty list that was never filled.
    entries = [] if document is None else document
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise _shape_failure(answer, "a list of objects")
    return entries


def _content_cache(entry: Json, answer: Answer | None = None) -> ContentCache:
    values = [entry.get(field) for field in ContentCache._fields]
    if not all(isinstance(value, str) for value in values) or not values[0]:
        raise Failure(
            "UNEXPECTED_ANSWER",
            f"DTR describes a content cache without id, name or host: {json.dumps(entry)[:200]}.",
            http_status=answer.status if answer else None,
            url=answer.url if answer else None,
        )
    return ContentCache(*t.cast("list[str]", values))


def _settings_in(answer: Answer) -> Json | None:
    """The user settings in the answer to a change, if it carries them."""
    document = _json_object(answer)
    if document is None or not any(key.lower() == "contentcacheuuid" for key in document):
        return None
    return document


def _account(entry: Json) -> Account:
    # An organisation has no isActive; a missing one means active.
    return Account(_name_of(entry), bool(entry.get("isOrg")), entry.get("isActive") is not False)


def _name_of(entry: Json) -> str:
    return str(entry.get("name", ""))


def _member_id_of(entry: Json) -> str:
    member = entry.get("member") or {}
    return str(member.get("id") or member.get("name") or "")


def _entries(document: t.Any, key: str, answer: Answer) -> list[Json]:
    entries = document.get(key) if isinstance(document, dict) else document
    if entries is None and isinstance(document, dict) and key in document:
        return []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise _shape_failure(answer, f"a list of {key}")
    return entries


def _next_page(document: t.Any, answer: Answer) -> str | None:
    """Where the next page begins, an empty text where the list says that it ends, C(None) where it does not say."""
    in_body = document.get("nextPageStart") if isinstance(document, dict) else None
    in_header = answer.headers.get("X-Next-Page-Start")
    if in_body is None and in_header is None:
        return None
    return str(in_body or in_header or "")


def _check_whole(total: int, answer: Answer, so_far: int) -> None:
    if total > so_far:
        raise Failure(
            "UNEXPECTED_ANSWER",
            f"GET {answer.url} does not go on after {so_far} of {total} entries.",
            http_status=answer.status,
            url=answer.url,
            hint="Run the task again; if it stays, look for a proxy between this machine and DTR that drops the query.",
        )


def _total(document: t.Any, key: str) -> int:
    """The number of entries in the whole list, or 0 where it is not named.

    UCP swagger: C(resourceCount); of accounts only users are asked for, and whether C(resourceCount) knows of the
    filter is open, so there C(usersCount) comes first.
    """
    fields = ("usersCount", "resourceCount") if key == "accounts" else ("resourceCount",)
    totals = (document.get(field) for field in fields) if isinstance(document, dict) else ()
    return next((total for total in totals if isinstance(total, int)), 0)
