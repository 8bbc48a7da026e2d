# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users, organisations and teams of DTR, and the cache that each user pulls from.

DTR passes requests for accounts on to UCP's accounts API below C(/enzi/v0).
"""

from __future__ import annotations

import json
import sys
import time
import typing as t

from ..common.failure import Failure
from ..common.vocabulary import word
from ..http.responses import Answer
from ..http.retries import Fate, Lost
from ..http.transport import Transport
from .model import LOCAL, Account, is_local
from .resources import PAGE_SIZE, SUCCESS, Json, Resources, object_in, object_or_none, segment, shape_failure


class AccountSettings(Resources):
    """The settings of single users."""

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport)
        self._unset_form = 0
        self._late_until: dict[str, float] = {}

    def user_cache(self, username: str) -> str | None:
        """The id of the cache that a user pulls from, or C(None) (DTR swagger, GetUserSettings).

        Raises:
            Failure: C(NO_SUCH_USER) for an unknown name, and for an organisation's.
        """
        answer = self._transport.request("GET", _settings_path(username))
        return self._cache_id(object_in(answer))

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
                hint=f"{word('again')}; something else may be changing the same account.",
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

        answer = self._transport.request("PATCH", _settings_path(username), body=form, expect=SUCCESS, on_lost=note)
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


def _settings_path(username: str) -> str:
    return f"/api/v0/accounts/{segment(username)}/settings"


def _settings_in(answer: Answer) -> Json | None:
    """The user settings in the answer to a change, if it carries them."""
    document = object_or_none(answer)
    if document is None or not any(key.lower() == "contentcacheuuid" for key in document):
        return None
    return document


_ACCOUNTS = "/enzi/v0/accounts"
# More than any DTR has. A list that goes on after that, or for so long, has no end.
_MOST_ENTRIES = 250_000
_LONGEST_SECONDS = 600.0


class Accounts(Resources):
    """Who there is, and who belongs to what."""

    def users(self) -> t.Iterator[Account]:
        """All users, active or not, without organisations (UCP swagger, C(/accounts/))."""
        for entry in self._pages(_ACCOUNTS, "accounts", _name_of, {"filter": "users"}):
            account = _account(entry)
            if not account.is_org:
                yield account

    def account(self, name: str) -> Account | None:
        """A user or an organisation by name, or C(None) (UCP swagger, C(/accounts/{accountNameOrID}))."""
        try:
            return _account(object_in(self._transport.request("GET", f"{_ACCOUNTS}/{segment(name)}")))
        except Failure as failure:
            if _is_unknown(failure):
                return None
            raise

    def org_members(self, org: str) -> list[Account] | None:
        """An organisation's members, or C(None) if there is no such organisation."""
        return self._members(f"{_ACCOUNTS}/{segment(org)}/members")

    def team_members(self, org: str, team: str) -> list[Account] | None:
        """A team's members, or C(None) if there is no such organisation or team."""
        return self._members(f"{_ACCOUNTS}/{segment(org)}/teams/{segment(team)}/members")

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
            Failure: C(UNEXPECTED_ANSWER) when the list ends before the number of its entries that it names, or does not
                end at all.
        """
        seen: set[str] = set()
        start = ""
        began = time.monotonic()
        while True:
            page = {**(query or {}), "limit": PAGE_SIZE, **({"start": start} if start else {})}
            answer = self._transport.request("GET", path, query=page)
            document = answer.json()
            entries = _entries(document, key, answer)
            fresh = [entry for entry in entries if marker_of(entry) not in seen]
            seen.update(map(marker_of, fresh))
            yield from fresh
            _check_end(answer, len(seen), time.monotonic() - began)
            following = _next_page(document, answer)
            total = _total(document, key)
            if following == "" and not (fresh and (len(entries) >= PAGE_SIZE or total > len(seen))):
                return
            following = following or (marker_of(entries[-1]) if fresh else start)
            if not fresh or following == start:
                # This very page again, or one that was read before: some servers end their lists like this, others
                # are stuck half-way.
                _check_whole(total, answer, len(seen))
                return
            start = following


def _is_unknown(failure: Failure) -> bool:
    """Whether eNZi said that there is no such account or team; its codes are not published, a proxy's page has none."""
    return failure.http_status == 404 and failure.code != "NOT_FOUND"


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
        raise shape_failure(answer, f"a list of {key}")
    return entries


def _next_page(document: t.Any, answer: Answer) -> str | None:
    """Where the next page begins, an empty text where the list says that it ends, C(None) where it does not say."""
    in_body = document.get("nextPageStart") if isinstance(document, dict) else None
    in_header = answer.headers.get("X-Next-Page-Start")
    if in_body is None and in_header is None:
        return None
    return str(in_body or in_header or "")


def _check_end(answer: Answer, so_far: int, seconds: float) -> None:
    if so_far > _MOST_ENTRIES or seconds > _LONGEST_SECONDS:
        raise Failure(
            "UNEXPECTED_ANSWER",
            f"The list that GET {answer.url} gives page by page does not end: it was given up after {so_far} entries "
            f"in {seconds:.0f} seconds.",
            http_status=answer.status,
            url=answer.url,
            hint="Check that the URL is the DTR's own, and whether something before DTR changes its answers.",
        )


def _check_whole(total: int, answer: Answer, so_far: int) -> None:
    if total > so_far:
        raise Failure(
            "UNEXPECTED_ANSWER",
            f"GET {answer.url} does not go on after {so_far} of {total} entries.",
            http_status=answer.status,
            url=answer.url,
            hint=f"{word('again')}; if it stays, check for a proxy before DTR that drops the query.",
        )


def _total(document: t.Any, key: str) -> int:
    """The number of entries in the whole list, or 0 where it is not named.

    UCP swagger: C(resourceCount); of accounts only users are asked for, and whether C(resourceCount) knows of the
    filter is open, so there C(usersCount) comes first.
    """
    fields = ("usersCount", "resourceCount") if key == "accounts" else ("resourceCount",)
    totals = (document.get(field) for field in fields) if isinstance(document, dict) else ()
    return next((total for total in totals if isinstance(total, int)), 0)
