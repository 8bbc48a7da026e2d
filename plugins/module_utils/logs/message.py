# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a message of the registry reports, without anything that a client could have written into it."""

from __future__ import annotations

import json
import re
import typing as t

from ..http.transport import USER_AGENT

# C(name=value), as the registry's text formatter writes it.
_FIELD = re.compile(r"([\w.@-]{1,64})=(\"(?:\\.|[^\"\\])*\"?|\S*)")
# By far the most lines are such, and need no closer reading.
_WELL = re.compile(r"time=\"[^\"]*\" level=(?:info|debug|trace) ")
_ESCAPED = re.compile(r"\\(.)")
_ACCESS_LOG = re.compile(r"\S+ \S+ \S+ \[\d\d/\w{3}/\d{4}:")
# What these hold comes from the client's request, or says nothing of a cause.
_LEFT_OUT = re.compile(
    r"(?:http\.|vars\.|go\.|instance\.id$|version$|@version$|@timestamp$|time$|level$|digest$|bytes$|seconds$|service$"
    r"|environment$|repository$|status$|cache$)"
)

# DTR's refusal is what these requests of the collection expect: the one by which M(dtr.cache.cache_health) checks the
# way to DTR, and those by which M(dtr.cache.cache_pull) finds out what is cached. They carry no signature.
_PROBE = "dtr-cache-health/probe"


class Trouble(t.NamedTuple):
    """What a message reports, without what comes from a client's request."""

    text: str
    fatal: bool
    request: str
    probe: bool


def trouble_in(text: str) -> Trouble | None:
    """What a message of the registry reports; C(None) when it reports no trouble.

    A line of the access log, and fields such as C(http.request.useragent), hold what a client sent, which may read
    like anything.
    """
    if _WELL.match(text):
        return None
    if _ACCESS_LOG.match(text):
        return None
    if not text.startswith(("{", "time=", "level=")):
        # Go's own words: a panic, or what its libraries write without a logger.
        return Trouble(text, text.startswith(("panic: ", "fatal error: ")), "", False)
    fields = fields_of(text)
    level = fields.get("level", "")
    if level in ("info", "debug", "trace"):
        return None
    text = fields.pop("msg", "") or fields.pop("message", "")
    rest = [f"{name}={value}" for name, value in fields.items() if not _LEFT_OUT.match(name)]
    return Trouble(
        " ".join([text, *rest]),
        level in ("fatal", "panic"),
        fields.get("http.request.id", ""),
        _PROBE in (fields.get("vars.name"), fields.get("repository")) or _asks_what_is_cached(fields),
    )


def fields_of(text: str) -> dict[str, str]:
    """The fields of a line that the registry's logger wrote, in any of its forms."""
    if text.startswith("{"):
        return _json_fields(text)
    return {match[1]: _unquoted(match[2]) for match in _FIELD.finditer(text)}


def _asks_what_is_cached(fields: t.Mapping[str, str]) -> bool:
    agent, method = fields.get("http.request.useragent", ""), fields.get("http.request.method")
    return method == "HEAD" and agent.startswith(USER_AGENT)


def _json_fields(text: str) -> dict[str, str]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return {str(key): str(value) for key, value in document.items()} if isinstance(document, dict) else {}


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    return _ESCAPED.sub(lambda match: {"n": " ", "t": " "}.get(match[1], match[1]), value.strip('"'))
