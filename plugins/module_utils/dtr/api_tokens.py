# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access tokens of users, as a part of DTR's API."""

from __future__ import annotations

import datetime
import email.utils

from ..http.responses import Answer
from .model import ApiToken, ListedToken
from .resources import PAGE_SIZE, Json, Resources, object_in, objects_in, segment


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
