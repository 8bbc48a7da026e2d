# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers over HTTP, and one clear sentence for each kind of answer that is of no use."""

from __future__ import annotations

import http
import json
import re
import typing as t

from ..common.failure import Failure
from ..common.urls import without_secrets
from ..common.vocabulary import word

_LOG_IN_MARKS = ("openid", "login", "log-in", "signin", "sign-in", "oauth", "saml", "/auth")
_CODES = {401: "NOT_AUTHENTICATED", 403: "NOT_AUTHORIZED", 404: "NOT_FOUND", 429: "TOO_MANY_REQUESTS"}
_TEXT_LENGTH = 300
_CODE_LENGTH = 100
# Errors of one answer that a message repeats.
_MOST_ERRORS = 5
# DTR's answers have five levels. Ansible itself stumbles over some hundreds.
_DEEPEST = 64
_TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))
_MAYBE_SURROGATE = re.compile(rb"\\u[dD]|\xed")


class Answer(t.NamedTuple):
    """One HTTP answer. C(headers) is a mapping that ignores case; C(url) has no query.

    It is read to its end, unless C(is_cut) says that there is more of an answer that is no success.
    """

    method: str
    url: str
    status: int
    headers: t.Mapping[str, str]
    body: bytes
    is_cut: bool = False

    def json(self) -> t.Any:
        """The decoded body.

        Raises:
            Failure: C(UNEXPECTED_ANSWER) when the body is empty, HTML, or not whole.
        """
        try:
            return decoded(self.body)
        except ValueError as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: ValueError) -> Failure:
        hint = None
        if isinstance(error, TooDeep):
            what = f"JSON of more than {_DEEPEST} levels"
            hint = "Check that the URL is the DTR's own."
        elif not self.body.strip():
            what = "an empty body instead of JSON"
        elif looks_like_html(self):
            what = "an HTML page instead of JSON"
            hint = "Check that the URL is the DTR's own, without a proxy, portal or other product in front."
        elif self.body.lstrip()[:1] in (b"{", b"["):
            what = f"JSON that is cut off or broken after {len(self.body)} bytes"
            hint = f"{word('again')}; if it stays, check for a proxy between this machine and DTR."
        else:
            what = "text that is not JSON"
        message = f"{self.method} {self.url} answered {status_text(self.status)} with {what}."
        return Failure("UNEXPECTED_ANSWER", message, http_status=self.status, url=self.url, hint=hint)


class TooDeep(ValueError):
    """JSON so deep that nothing sensible is meant by it."""


def decoded(body: bytes) -> t.Any:
    """What is written in a body as JSON.

    Raises:
        TooDeep: It has more levels than anything sensible.
        ValueError: It is not JSON.
    """
    if _is_too_deep(body):
        raise TooDeep("too deep")
    try:
        document = json.loads(body)
        if _MAYBE_SURROGATE.search(body):
            # Half of a pair is no character: nothing that writes text would take it.
            document = json.loads(json.dumps(document, ensure_ascii=False).encode("utf-8", "replace"))
    except RecursionError:
        raise TooDeep("too deep") from None
    return document


def _is_too_deep(body: bytes) -> bool:
    """Whether JSON has too many levels, found without building it: brackets that are empty go, level by level."""
    if body.count(b"[") + body.count(b"{") <= _DEEPEST:
        return False
    brackets = _TEXT.sub(b"", body).translate(None, delete=_NO_BRACKET)
    for _level in range(_DEEPEST):
        left = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if left == brackets:
            # Brackets that nothing closes.
            return len(left) > _DEEPEST
        brackets = left
    return bool(brackets)


def status_text(status: int) -> str:
    """C(503 Service Unavailable) for C(503)."""
    try:
        return f"{status} {http.HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def looks_like_html(answer: Answer) -> bool:
    """Whether the body is a page for a browser, whatever its media type says."""
    media_type = (answer.headers.get("Content-Type") or "").lower()
    return "html" in media_type or answer.body.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html"))


def server_errors(answer: Answer) -> list[tuple[str, str]]:
    """Codes and messages of DTR's error envelope C({"errors": [{code, message, detail}]}), or nothing."""
    try:
        document = decoded(answer.body)
    except ValueError:
        return []
    entries = document.get("errors") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        return []
    return [_code_and_text(entry) for entry in entries[:_MOST_ERRORS] if isinstance(entry, dict)]


def _code_and_text(entry: dict[str, t.Any]) -> tuple[str, str]:
    text = str(entry.get("message") or "").strip().rstrip(".")[:_TEXT_LENGTH]
    detail = entry.get("detail")
    if detail:
        shown = detail if isinstance(detail, str) else json.dumps(detail, sort_keys=True)
        text = f"{text} ({shown[:_TEXT_LENGTH]})" if text else shown[:_TEXT_LENGTH]
    return str(entry.get("code") or "")[:_CODE_LENGTH], text


def failure_of(answer: Answer) -> Failure:
    """What an answer with an unwanted status means."""
    if 300 <= answer.status < 400:
        return _redirect_failure(answer)
    errors = server_errors(answer)
    code = next((code for code, _text in errors if code), "") or _CODES.get(answer.status, f"HTTP_{answer.status}")
    said = "; ".join(f"{each}: {text}" if text else each for each, text in errors if each or text)
    if not said and looks_like_html(answer):
        said = "an HTML page, not an answer of DTR's API"
    elif not said and answer.is_cut:
        said = f"more than {len(answer.body) // 1024} kB that are no answer of DTR's API"
    message = f"{answer.method} {answer.url} answered {status_text(answer.status)}"
    message = f"{message}: {said}." if said else f"{message}."
    return Failure(code, message, http_status=answer.status, url=answer.url, hint=_hint_of(answer.status))


def _hint_of(status: int) -> str | None:
    if status == 401:
        return f"Check {word('credentials')}; where single sign-on is on, the password has to be an access token."
    if status == 403:
        account = f"Use an administrator's account ({word('credentials')})"
        return f"{account}: others may only read, and change their own settings."
    return None


def _redirect_failure(answer: Answer) -> Failure:
    location = without_secrets(answer.headers.get("Location") or "")[:_TEXT_LENGTH]
    sentence = f"{answer.method} {answer.url} answered {status_text(answer.status)}"
    if any(mark in location.lower() for mark in _LOG_IN_MARKS):
        return Failure(
            "NOT_AUTHENTICATED",
            f"{sentence} and sends to the log-in page {location}: the credentials were not accepted.",
            http_status=answer.status,
            url=answer.url,
            hint=_hint_of(401),
        )
    return Failure(
        "UNEXPECTED_REDIRECT",
        f"{sentence} to {location or 'nowhere'}; redirects are not followed, so that credentials stay with one host.",
        http_status=answer.status,
        url=answer.url,
        hint=f"Set {word('url')} to the address that DTR itself answers on.",
    )
