# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The content caches that DTR knows, as a part of its API."""

from __future__ import annotations

import json
import time
import typing as t

from ..common.failure import Failure
from ..common.urls import canonical_host, without_secrets
from ..common.vocabulary import word
from ..http.responses import Answer, server_errors
from ..http.retries import Fate, Lost, Patience, outcome_unknown
from .distrust import distrust_hint
from .model import ContentCache, is_local
from .resources import SUCCESS, Json, Resources, object_in, objects_in, segment

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
