# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the answers of a cache and of DTR mean."""

from __future__ import annotations

import json
import typing as t

from ..common.vocabulary import word
from ..http.responses import status_text
from .checks import CACHE_TO_DTR, CLIENT_TO_CACHE, CLIENT_TO_DTR, Check, bad, not_known
from .endpoint import ProbeAnswer

if t.TYPE_CHECKING:
    from ..logs.causes import Cause

_REFUSALS = (401, 403, 404)


def log_hint() -> str:
    """Where the reason is to be found."""
    return f"The cache's log names the reason: {word('read the log')} reads it."


def judge_api(seen: ProbeAnswer | str) -> Check:
    """The answer to C(/v2/), which a cache gives to anybody: it is a Docker registry without accounts of its own."""
    if isinstance(seen, str):
        return bad(CLIENT_TO_CACHE, "api", f"GET /v2/: {seen}", log_hint())
    answer = f"GET /v2/ answers {status_text(seen.status)}"
    is_registry = "docker-distribution-api-version" in seen.headers
    if seen.status == 200 and (is_registry or seen.body.strip() == b"{}"):
        return Check(CLIENT_TO_CACHE, "api", True, answer)
    if seen.status == 401 and is_registry:
        return bad(
            CLIENT_TO_CACHE,
            "api",
            f"{answer}: this registry requires a login, as DTR does and a cache does not",
            "Check that the URL is the cache's and not DTR's, and that the cache's configuration has no auth section.",
        )
    if seen.status in (500, 502, 503, 504):
        return bad(
            CLIENT_TO_CACHE, "api", answer, f"The cache, or a load balancer before it, is in trouble. {log_hint()}"
        )
    return bad(CLIENT_TO_CACHE, "api", f"{answer}: this is no Docker registry", "Check host and port of the URL.")


def judge_upstream(seen: ProbeAnswer | str) -> Check:
    """The answer for a blob that exists nowhere, asked for without a signature.

    A failure on the way to DTR shows. A refusal does not show that the way works: DTR refuses such a request, and a
    cache may refuse it by itself, since no document says who of both judges the signature.
    """
    asked = "asked for a blob that it does not have"
    if isinstance(seen, ProbeAnswer) and seen.status in _REFUSALS:
        return not_known(
            CACHE_TO_DTR,
            "upstream",
            f"{asked}, the cache answers {status_text(seen.status)}: DTR refuses that, or the cache does without "
            "asking DTR",
            f"Set {word('image')}: asked with DTR's signature, the cache has to go to DTR.",
        )
    return _without_refusal(asked, seen)


def judge_signed_upstream(seen: ProbeAnswer | str) -> Check:
    """The answer for a blob that exists nowhere, asked for as DTR signed it: only DTR knows that there is none."""
    asked = "asked with DTR's signature for a blob that exists nowhere"
    if isinstance(seen, str) or seen.status not in _REFUSALS:
        return _without_refusal(asked, seen)
    answer = f"{asked}, the cache answers {status_text(seen.status)}"
    if seen.status == 404:
        return Check(CACHE_TO_DTR, "upstream", True, f"{answer}, as only DTR can know")
    return not_known(
        CACHE_TO_DTR,
        "upstream",
        f"{answer}: the signature is refused, or DTR refuses what does not exist",
        f"Pull an image that the cache cannot have yet ({word('proof')}), and compare the clocks of DTR and the "
        "cache's node.",
    )


def _without_refusal(asked: str, seen: ProbeAnswer | str) -> Check:
    """What it means when a cache that was asked for something it cannot have answers with no refusal."""
    if isinstance(seen, str):
        return bad(
            CACHE_TO_DTR,
            "upstream",
            f"{asked}, the cache gives up: {seen}",
            f"Its way to the upstream may be blocked without a word: let firewalls pass the cache's node. {log_hint()}",
        )
    answer = f"{asked}, the cache answers {status_text(seen.status)}"
    # The registry writes into some of its answers what else is only in its log.
    cause = _cause_in(seen.body) if seen.status >= 500 else None
    if cause is not None:
        return bad(CACHE_TO_DTR, "upstream", f"{answer}: {cause.summary}", cause.hint)
    if seen.status in (502, 503, 504):
        return bad(
            CACHE_TO_DTR,
            "upstream",
            f"{answer}: it gets nothing from its upstream",
            "Check from the cache's node that DTR's name, port and certificate are as upstreams and cas of its "
            f"configuration say. {log_hint()}",
        )
    if seen.status == 500:
        return bad(CACHE_TO_DTR, "upstream", answer, f"Its storage may be full or not writable. {log_hint()}")
    return bad(
        CACHE_TO_DTR, "upstream", f"{answer}, as no content cache does", "Check that the URL is a content cache's."
    )


def _cause_in(body: bytes) -> Cause | None:
    """The cause that an answer points to. The catalogue of them is loaded where one is wanted."""
    from ..logs import causes

    return causes.of_line(body.decode("utf-8", "replace"), fatal=False)


def judge_ping(seen: ProbeAnswer | str) -> Check:
    """The answer to C(/_ping): C({"Error", "Healthy"}) with 200 or 503."""
    if isinstance(seen, str):
        return bad(CLIENT_TO_DTR, "api", f"GET /_ping: {seen}", "Read DTR's log.")
    answer = f"GET /_ping answers {status_text(seen.status)}"
    try:
        document = json.loads(seen.body)
    except ValueError:
        document = None
    fields = {key.lower(): value for key, value in document.items()} if isinstance(document, dict) else {}
    if seen.status == 200 and fields.get("healthy", "healthy" not in fields and bool(fields)):
        return Check(CLIENT_TO_DTR, "api", True, answer)
    if "healthy" in fields or "error" in fields:
        reason = str(fields.get("error") or "no reason given").strip().rstrip(".")
        return bad(CLIENT_TO_DTR, "api", f"{answer}: DTR says that it is not healthy ({reason})", "Fix DTR first.")
    if seen.status in (500, 502, 503, 504):
        return bad(CLIENT_TO_DTR, "api", answer, "DTR, or the load balancer before it, is in trouble: fix that first.")
    return bad(CLIENT_TO_DTR, "api", f"{answer}, as no DTR does", f"Check that {word('url')} is the address of DTR.")
