# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From which cache each user pulls, as a part of DTR's API."""

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
from .model import LOCAL, is_local
from .resources import SUCCESS, Json, Resources, object_in, object_or_none, segment


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
