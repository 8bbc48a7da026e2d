# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repositories, as a part of DTR's API."""

from __future__ import annotations

from urllib.parse import quote

from ..common.failure import Failure
from .resources import SUCCESS, Resources, object_in, segment

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
