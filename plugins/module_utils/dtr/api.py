# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DTR's API as resources. Knows nothing of Ansible or of planning.

Sources named in its parts: "DTR swagger" is the API description published with DTR 2.3 to 2.7, identical there for
caches and settings; "UCP swagger" is the accounts API of UCP 3.2, which DTR passes on below C(/enzi/v0).
"""

from __future__ import annotations

import contextlib
import datetime
import email.utils
import json
import secrets
import time
import typing as t
from urllib.parse import quote

from ..common.failure import Failure
from ..common.urls import canonical_host, without_secrets
from ..common.vocabulary import word
from ..http.responses import Answer, looks_like_html, server_errors
from ..http.retries import Fate, Lost, Patience, outcome_unknown
from .accounts import Accounts, AccountSettings
from .model import ApiToken, ContentCache, Health, ListedToken, is_local
from .resources import PAGE_SIZE, SUCCESS, Json, Resources, object_in, object_or_none, objects_in, segment


def distrust_hint(host: str) -> str:
    """Return what to do about a cache that answers from here, and that DTR may not trust or reach.

    The vendor's documents do not say when DTR connects to a cache. C(reconfigure) of MSR 2.8, 2.9 and 2.10 has an
    option for the CAs that it trusts; that of DTR 2.7 has none. DTR's own CA, which C(/ca) serves, is another setting.
    """
    return (
        f"DTR may not trust the cache's certificate, or not reach {host} from its own nodes; its log says which. On "
        "MSR 2.8 and later, add the CA that signed the certificate to those that the registry trusts: reconfigure "
        '--custom-ca-cert-bundle "$(cat ca.pem)". DTR 2.7 and older have no documented option for it: use a '
        "certificate of a CA that DTR trusts already. Check name resolution and firewalls from DTR's nodes to "
        f"{host}."
    )


_CACHES = "/api/v0/content_caches"
# How often the list is read again while a late entry may still come.
_READS = 6

REFUSED = (400, 409, 422)
"""How DTR may refuse a cache: 400 "invalid content cache details" is the one that its swagger names."""


class ContentCaches(Resources):
    """Which caches there are, and the creation and deletion of one."""

    def content_caches(self) -> list[ContentCache]:
        """All caches, without a pseudo entry C(local) (DTR swagger, ListContentCaches: a bare array, not paged).

        Whether some version lists its pseudo region is not published; as it is no cache, it is left out, and its id
        counts as "no cache" in users' settings.
        """
        caches = [_content_cache(entry) for entry in objects_in(self._transport.request("GET", _CACHES))]
        self._local_ids = frozenset(cache.id for cache in caches if is_local(cache.name))
        return [cache for cache in caches if not is_local(cache.name)]

    def create_content_cache(self, name: str, host: str, known_ids: t.Collection[str]) -> ContentCache:
        """Register a cache (DTR swagger, CreateContentCache: 201; a screenshot of 2.3 shows 200 as well).

        Never leaves two entries: when an answer gets lost, the list is watched for as long as the server may still be
        at work (C(timeout) once more) before anything is sent again, and after a time-out nothing is sent again at all.

        Args:
            name: The cache's name.
            host: The cache's URL.
            known_ids: The ids of the caches that existed before, so that a new entry can be recognised.

        Raises:
            Failure: C(OUTCOME_UNKNOWN) when it could not be found out whether the entry exists.
        """
        patience = self._transport.patience("POST", _CACHES)
        doubtful = False
        while True:
            found: ContentCache | None
            try:
                found = self._post_content_cache(name, host, known_ids)
                if doubtful:
                    found = self._settled(name, host, known_ids) or found
            except Lost as lost:
                if lost.fate is Fate.NOT_PROCESSED:
                    patience.wait(lost)
                    continue
                doubtful = True
                found = self._look_for(name, host, known_ids, patience, lost)
            except Failure as failure:
                found = self._settled(name, host, known_ids) if doubtful or _leaves_doubt(failure) else None
                if found is None:
                    raise _explained(failure, name, host) from None
            if found is not None:
                return found

    def delete_content_cache(self, cache_id: str) -> None:
        """Remove a cache; one that is gone already is fine.

        DTR swagger, DeleteContentCache, documents both 204 and 404 C(NO_SUCH_CONTENT_CACHE) for that case. After any
        other answer the list says whether the cache is gone.

        Raises:
            Failure: The cache is still there.
        """
        path = f"{_CACHES}/{segment(cache_id)}"
        try:
            answer = self._transport.request("DELETE", path, expect=(*SUCCESS, 404))
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
                hint=f"{word('again')}.",
            )

    def _is_listed(self, cache_id: str) -> bool:
        return any(cache.id == cache_id for cache in self.content_caches())

    def _post_content_cache(self, name: str, host: str, known_ids: t.Collection[str]) -> ContentCache:
        answer = self._transport.attempt("POST", _CACHES, body={"name": name, "host": host}, expect=(200, 201))
        made = _content_cache(object_in(answer), answer)
        if (made.name, canonical_host(made.host)) == (name, canonical_host(host)) and made.id not in known_ids:
            return made
        raise Failure(
            "UNEXPECTED_ANSWER",
            f"POST {answer.url} answered {answer.status} for the cache {name} ({host}) with another one: {made.name} "
            f"({without_secrets(made.host)}), id {made.id}.",
            http_status=answer.status,
            url=answer.url,
            hint=f"Check that {word('url')} is the DTR's own, without a proxy that repeats answers.",
        )

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
            time.sleep(self._transport.timeout / _READS)
            found = self._settled(name, host, known_ids)
        return found

    def _settled(self, name: str, host: str, known_ids: t.Collection[str]) -> ContentCache | None:
        """The new entry with this name and host, if there is one; one with another host is somebody else's.

        Of several, from a late answer or another run, always the same one: who created it decides about the others.
        """
        wanted = (name, canonical_host(host))
        new = [cache for cache in self.content_caches() if (cache.name, canonical_host(cache.host)) == wanted]
        return min((cache for cache in new if cache.id not in known_ids), default=None)


def _explained(failure: Failure, name: str, host: str) -> Failure:
    """A refused registration with what may be behind it: the only documented refusal, a 400, names no reason."""
    if failure.http_status not in REFUSED:
        return failure
    failure.message = f"DTR refused to register the cache {name} ({host}): {failure.message}"
    failure.hint = (
        f"Where DTR's answer names no reason: {distrust_hint(host)} It may also have a cache of this name or host "
        "already, or not take this name."
    )
    return failure


def _leaves_doubt(failure: Failure) -> bool:
    """Whether a POST may have been acted on although the answer was no success: an error inside the server, or a
    success that cannot be read."""
    return failure.http_status is not None and (failure.http_status >= 500 or 200 <= failure.http_status < 300)


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


# Not there, another method, or another media type.
_NO_SUCH_QUESTION = (404, 405, 406)

_Answered = t.TypeVar("_Answered")


class State(Resources):
    """What can be read of a DTR, and needs no account or an administrator's."""

    def ping(self) -> Health:
        """The replica's own verdict, from C(/_ping): 200 or 503, without authentication, with C(Error) and C(Healthy).

        Not retried on 503: that is an answer here.
        """
        answer = self._transport.request("GET", "/_ping", expect=(200, 503))
        document = object_or_none(answer) or {}
        fields = {key.lower(): value for key, value in document.items()}
        healthy = answer.status == 200 and bool(fields.get("healthy", answer.status == 200))
        error = str(fields.get("error") or "")
        if not healthy and not error:
            error = "an HTML page instead of the state" if looks_like_html(answer) else "no reason given"
        return Health(healthy, error)

    def version(self) -> str | None:
        """The version, from C(/api/v0/admin/version), which is in no swagger and may be missing."""
        answer = self._transport.request("GET", "/api/v0/admin/version", expect=(200, 403, 404))
        document = object_or_none(answer) if answer.status == 200 else None
        version = (document or {}).get("version")
        return str(version) if version else None

    def features(self) -> Json:
        """What is switched on and licensed (DTR swagger, GetFeatures); the cheapest request that needs a log-in."""
        return object_in(self._transport.request("GET", "/api/v0/meta/features"))

    def cluster_status(self) -> Json | None:
        """State of the replicas (DTR swagger, GetClusterStatus); C(None) for users who are no administrators."""
        answer = self._transport.request("GET", "/api/v0/meta/cluster_status", expect=(200, 403))
        return None if answer.status == 403 else object_in(answer)

    def settings(self) -> Json | None:
        """DTR's own settings (DTR swagger, GetSettings); C(None) for users who are no administrators."""
        answer = self._transport.request("GET", "/api/v0/meta/settings", expect=(200, 403))
        return None if answer.status == 403 else object_in(answer)

    def read_only(self) -> bool | None:
        """Whether nobody can push: C(readOnlyRegistry) of the settings, or a replica that says so of itself.

        C(None) for users who are no administrators, and where a version does not say, as none of MSR 3 does.
        """
        try:
            settings = self.settings()
            if settings is None or settings.get("readOnlyRegistry"):
                return None if settings is None else True
            status = self.cluster_status()
        except Failure as failure:
            if failure.http_status != 404:
                raise
            return None
        return _read_only(settings, status)

    def ca(self) -> str:
        """The text that C(/ca) serves without authentication: DTR's CA as PEM."""
        answer = self._transport.request("GET", "/ca", headers={"Accept": "*/*"})
        return answer.body.decode("utf-8", "replace")


def described(dtr: State) -> dict[str, t.Any]:
    """The state as a result. A DTR that says it is unhealthy is an answer, not a failure, whatever else it refuses."""
    health = dtr.ping()
    if health.healthy:
        return {**health._asdict(), **_details(dtr)}
    details: dict[str, t.Any] = dict.fromkeys(("version", "read_only", "features", "replicas"))
    try:
        details.update(_details(dtr))
    except Failure as failure:
        if failure.http_status in (401, 403):
            raise
    return {**health._asdict(), **details}


def _details(dtr: State) -> dict[str, t.Any]:
    # The first question shows whether the credentials are good, and that DTR itself answers at this address.
    features = _where_there_is_one(dtr.features, unless_redirected=False)
    status = _where_there_is_one(dtr.cluster_status)
    settings = _where_there_is_one(dtr.settings)
    version = _where_there_is_one(dtr.version)
    return {
        "version": version,
        "read_only": _read_only(settings, status),
        "features": features,
        "replicas": None if status is None else _replicas(status),
    }


def _read_only(settings: Json | None, status: Json | None) -> bool | None:
    """Whether nobody can push, as far as anything says so: MSR 3 has neither field (its list of API changes)."""
    of_replicas = (status or {}).get("replica_readonly")
    said = [*of_replicas.values()] if isinstance(of_replicas, dict) else []
    said += [value for name, value in (settings or {}).items() if name == "readOnlyRegistry"]
    return any(said) if said else None


def _where_there_is_one(read: t.Callable[[], _Answered | None], *, unless_redirected: bool = True) -> _Answered | None:
    """An answer, or C(None) of a version that does not have this question or asks it elsewhere."""
    try:
        return read()
    except Failure as failure:
        if failure.http_status in _NO_SUCH_QUESTION or (unless_redirected and failure.code == "UNEXPECTED_REDIRECT"):
            return None
        raise


def _by_replica(status: Json, field: str) -> Json:
    found = status.get(f"replica_{field}")
    return found if isinstance(found, dict) else {}


def _replicas(status: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    health, read_only, times = (_by_replica(status, each) for each in ("health", "readonly", "timestamp"))
    return [
        {
            "id": replica,
            "health": health.get(replica),
            "read_only": bool(read_only[replica]) if replica in read_only else None,
            "timestamp": times.get(replica),
        }
        for replica in sorted({*health, *read_only, *times})
    ]


class ApiTokens(Resources):
    """The creation, listing and deletion of tokens, of other users for an administrator."""

    def create_api_token(self, username: str, label: str) -> ApiToken:
        """A new access token for a user (DTR swagger 2.5 and newer, CreateAnAPIToken)."""
        answer = self._transport.request(
            "POST", "/api/v0/api_tokens", query={"username": username}, body={"tokenLabel": label}, expect=(200, 201)
        )
        document = object_in(answer)
        return ApiToken(str(document.get("token", "")), str(document.get("hashedToken", "")))

    def api_tokens(self, username: str) -> tuple[list[ListedToken], datetime.datetime]:
        """A user's access tokens, and the present by DTR's clock (DTR swagger 2.5 and newer, ListAPITokens)."""
        found: dict[str, ListedToken] = {}
        start = ""
        while True:
            query = {"username": username, "pageSize": PAGE_SIZE, **({"pageStart": start} if start else {})}
            answer = self._transport.request("GET", "/api/v0/api_tokens", query=query)
            known = len(found)
            found.update((token.hashed_token, token) for token in map(_listed_token, objects_in(answer)))
            start = answer.headers.get("X-Next-Page-Start") or ""
            if not start or len(found) == known:
                return list(found.values()), _date_of(answer)

    def delete_api_token(self, hashed_token: str) -> None:
        """Remove an access token (DTR swagger 2.5 and newer, DeleteAnAPIToken); one that is gone already is fine."""
        self._transport.request("DELETE", f"/api/v0/api_tokens/{segment(hashed_token)}", expect=(200, 204, 404))


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


_NO_ANSWER = (400, 403, 404, 405, 406)


class Repositories(Resources):
    """What the registry protocol cannot do with a repository."""

    def delete_tag(self, repository: str, tag: str) -> None:
        """Remove a tag; one that is gone already is fine.

        The release notes of DTR 2.3 name this path; removing a manifest by its digest is gone since 2.6. What only this
        tag referred to is collected by DTR itself.
        """
        path = f"/api/v0/repositories/{quote(repository)}/tags/{segment(tag)}"
        self._transport.request("DELETE", path, expect=(*SUCCESS, 404))

    def has_repository(self, repository: str) -> bool | None:
        """Whether there is such a repository (DTR swagger, ListRepoTags); C(None) where DTR does not say."""
        path = f"/api/v0/repositories/{quote(repository)}/tags"
        try:
            self._transport.request("GET", path, query={"pageSize": 1})
        except Failure as failure:
            if _is_silent(failure):
                return False if failure.code == "NO_SUCH_REPOSITORY" else None
            raise
        return True

    def access(self, username: str, repository: str) -> str | None:
        """What a user may do with a repository that is there: C(read-only), C(read-write), C(admin), or nothing.

        DTR swagger, GetUserRepoAccess. C(None) where DTR does not say. What is there for an administrator and not for
        this user is hidden from it.
        """
        path = f"/api/v0/accounts/{segment(username)}/repositoryAccess/{quote(repository)}"
        try:
            level = object_in(self._transport.request("GET", path)).get("accessLevel")
        except Failure as failure:
            if _is_silent(failure):
                return "" if failure.code == "NO_SUCH_REPOSITORY" else None
            raise
        return level if isinstance(level, str) else None


def _is_silent(failure: Failure) -> bool:
    return failure.http_status in _NO_ANSWER or failure.code in ("UNEXPECTED_REDIRECT", "UNEXPECTED_ANSWER")


class DtrApi(ContentCaches, AccountSettings, Accounts, State, ApiTokens, Repositories):
    """The API of one DTR, safe to share between threads."""

    def hopeless(self, failure: Failure) -> bool:
        """Whether what failed for one account must fail for all others, so that it is better not to try.

        Ten thousand refused log-ins could lock the account out of a directory service.
        """
        refused = failure.http_status == 401 or failure.code == "NOT_AUTHENTICATED"
        return refused or failure.code.startswith("TLS_") or self._transport.down


LABEL = "dtr.cache.cache_pull"
# Nobody knows the token of a run that was killed, so there is no hurry; but a run that lasts may still use its own.
_FORGOTTEN_AFTER = datetime.timedelta(hours=24)


@contextlib.contextmanager
def temporary_token(dtr: DtrApi, account: str, warn: t.Callable[[str], None]) -> t.Iterator[str]:
    """An access token of another account that is deleted again at the end, whatever happens in between.

    Tokens that earlier runs left behind are deleted first.
    """
    _delete_forgotten(dtr, account, warn)
    label = f"{LABEL} {secrets.token_hex(4)}"
    try:
        made = dtr.create_api_token(account, label)
    except Failure as failure:
        if failure.http_status == 404:
            raise Failure("NO_SUCH_USER", f"account: DTR has no user {account}.", http_status=404) from None
        raise
    try:
        yield made.token
    finally:
        try:
            dtr.delete_api_token(made.hashed_token)
        except Failure as failure:
            warn(f"The access token '{label}' of account {account} was not deleted: {failure.message}")


def forgotten(tokens: t.Iterable[ListedToken], now: datetime.datetime) -> list[ListedToken]:
    """The tokens that a run made which no longer lives."""
    return [
        token
        for token in tokens
        if token.label.startswith(f"{LABEL} ") and token.made_at and now - token.made_at > _FORGOTTEN_AFTER
    ]


def _delete_forgotten(dtr: DtrApi, account: str, warn: t.Callable[[str], None]) -> None:
    """What cannot be listed or deleted stays for the next run: the pull is what the task is about."""
    try:
        tokens, now = dtr.api_tokens(account)
        for token in forgotten(tokens, now):
            dtr.delete_api_token(token.hashed_token)
    except Failure as failure:
        if failure.http_status != 404:
            warn(f"Access tokens that killed runs left with account {account} could not be deleted: {failure.message}")
