# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""DTR's errors: an HTTP status, a code of the API description and the envelope that carries them."""

from __future__ import annotations

import json
import typing as t

from aiohttp import web

JSON = "application/json; charset=utf-8"

#: Each code with its status and the API description's own wording. The last three have no code in the description.
ERRORS: dict[str, tuple[int, str]] = {
    "INVALID_JSON": (400, "The client submitted invalid JSON."),
    "INVALID_PARAMETERS": (400, "Unable to parse query parameters."),
    "INVALID_SETTINGS": (400, "The submitted settings change request contains invalid values."),
    "INVALID_USER_SETTINGS": (400, "The submitted user settings change request contains invalid values."),
    "NOT_AUTHENTICATED": (401, "The client is not authenticated."),
    "NOT_AUTHORIZED": (403, "The client is not authorized."),
    "NO_SUCH_ACCOUNT": (404, "An account with the given name does not exist."),
    "NO_SUCH_API_TOKEN": (404, "An API token with the given id does not exist."),
    "NO_SUCH_CONTENT_CACHE": (404, "A content cache with the given uuid does not exist."),
    "NO_SUCH_TAG": (404, "A tag with the given name does not exist for the given repository."),
    "NO_SUCH_REPOSITORY": (404, "A repository with the given name does not exist."),
    "NO_SUCH_TEAM": (404, "A team with the given name does not exist in the organization."),
    "NO_SUCH_USER": (404, "A user with the given name does not exist."),
    "NOT_ALLOWED": (405, "Method Not Allowed"),
    "NOT_ACCEPTABLE": (406, "Not Acceptable"),
    "UNSUPPORTED_MEDIA_TYPE": (415, "Unsupported Media Type"),
    "INTERNAL_ERROR": (500, "An internal error occurred."),
    "INVALID_CONTENT_CACHE": (400, "invalid content cache details"),
    "NO_SUCH_MEMBER": (404, "The account is not a member of the organization."),
    "NOT_FOUND": (404, "404 page not found"),
}


class ApiError(Exception):
    """A request that is refused with one of DTR's documented errors.

    Args:
        code: A key of `ERRORS`.
        detail: What exactly is wrong; any JSON value.
        headers: More headers for the answer, for example C(Allow).
    """

    def __init__(self, code: str, detail: t.Any = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.headers = headers

    def response(self) -> web.Response:
        status, message = ERRORS[self.code]
        return error_response(status, self.code, message, self.detail, self.headers)


def error_response(
    status: int, code: str, message: str, detail: t.Any = None, headers: dict[str, str] | None = None
) -> web.Response:
    """The envelope C({"errors": [{code, message, detail}]}) that the API and the registry protocol share."""
    envelope = {"errors": [{"code": code, "message": message, "detail": {} if detail is None else detail}]}
    return json_response(envelope, status, headers)


def json_response(body: t.Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """An answer whose body is C(body) as JSON, or C(body) itself when it is JSON text already."""
    text = body if isinstance(body, str) else json.dumps(body)
    return web.Response(status=status, body=text.encode(), headers={"Content-Type": JSON, **(headers or {})})
