# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all parts of DTR's API have in common: the connections, and the forms of answers."""

from __future__ import annotations

import typing as t
from urllib.parse import quote

from ..common.failure import Failure
from ..http.responses import Answer, decoded
from ..http.transport import Transport

PAGE_SIZE = 1000
"""Entries on a page. The default of 10 (UCP swagger) would cost a thousand requests for ten thousand accounts."""

SUCCESS = (200, 201, 202, 204)
"""What gateways make of the one documented status of a success varies."""

Json = dict[str, t.Any]


class Resources:
    """A part of the API of one DTR, safe to share between threads."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        # Whether some version lists its pseudo region is not published: ids that mean no cache, where it does.
        self._local_ids: frozenset[str] = frozenset()


def segment(text: str) -> str:
    """A name as one part of a path, whatever DTR calls its entries: a dot alone would mean another path."""
    quoted = quote(text, safe="", errors="replace")
    return quoted if quoted.strip(".") else quoted.replace(".", "%2E")


def shape_failure(answer: Answer, expected: str) -> Failure:
    return Failure(
        "UNEXPECTED_ANSWER",
        f"{answer.method} {answer.url} answered {answer.status} with JSON that is not {expected}.",
        http_status=answer.status,
        url=answer.url,
        hint="Check that the URL is the DTR's own.",
    )


def object_in(answer: Answer) -> Json:
    document = answer.json()
    if not isinstance(document, dict):
        raise shape_failure(answer, "an object")
    return document


def object_or_none(answer: Answer) -> Json | None:
    """The object in an answer that may as well have none."""
    if not answer.body:
        return None
    try:
        document = decoded(answer.body)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def objects_in(answer: Answer) -> list[Json]:
    document = answer.json()
    # Servers written in Go send null for an empty list that was never filled.
    entries = [] if document is None else document
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise shape_failure(answer, "a list of objects")
    return entries
