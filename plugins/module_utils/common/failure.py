# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception that every layer raises and every module turns into a failed result."""

from __future__ import annotations

import typing as t

from .redaction import printable


class Failure(Exception):
    """Something went wrong that an operator can be given in words.

    Args:
        code: A stable name for programs: an error code of DTR as the server sent it (C(NO_SUCH_USER)), or one of ours
            in the same style (C(CONNECTION_FAILED), C(INVALID_INPUT)).
        message: One sentence for a person: what failed, on which cache, account or node, and what the server said.
        http_status: The status of the answer that showed it, if there was an answer.
        url: The address of the request, without credentials.
        hint: What to do next, one sentence.
        result: More keys for the module's failed result, for example what was done before the failure.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        http_status: int | None = None,
        url: str | None = None,
        hint: str | None = None,
        **result: t.Any,
    ) -> None:
        super().__init__(message)
        self.code = printable(code)
        self.message = printable(message)
        self.http_status = http_status
        self.url = url
        self.hint = hint
        self.result = result

    def as_result(self) -> dict[str, t.Any]:
        """The keyword arguments for C(fail_json): C(msg), C(failure) and what else the failure carries."""
        msg = f"{self.message} {self.hint}" if self.hint else self.message
        failure = {
            "code": self.code,
            "message": self.message,
            "http_status": self.http_status,
            "url": self.url,
            "hint": self.hint,
        }
        return {**self.result, "msg": msg, "failure": failure}
