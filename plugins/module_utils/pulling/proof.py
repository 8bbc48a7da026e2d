# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proof that a cache fetches, keeps and serves: a new image is pulled through it cold and warm.

What is random cannot be in the cache, so the first pull shows the way over DTR, and the second one the cache's storage.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import secrets
import typing as t

from ..common.failure import Failure
from .puller import Puller
from .report import failure_of_report
from .shelf import Shelf
from .tiny_image import TinyImage, left_behind, new_tag, tiny_image

_RANDOM_BYTES = 1024
# Replicas that do not share their storage each have to see the image first.
_WARM_PULLS = 5
MOST_VISITS = 8
"""Pulls over fresh connections to one address, behind which there are several replicas."""
Way = t.Callable[[], t.ContextManager[Puller]]


class Pulls(t.NamedTuple):
    """The rows of the first pull and of the last one, and whether the cache served the last one by itself.

    C(warm_hit) is C(None) when the cache does not say what it has.
    """

    cold: dict[str, t.Any]
    warm: dict[str, t.Any]
    warm_hit: bool | None
    where: str


def pull_twice(puller: Puller, name: str, cache: str) -> Pulls:
    """Pull an image that the cache cannot have, and pull it again until the cache serves it by itself.

    Raises:
        Failure: The image did not come through the cache, or the cache did not keep it (C(NOT_KEPT)).
    """
    cold = _pulled(puller, name, cache)
    # Unsigned answers mean something only if they were refused for what the cache could not have.
    meaningful = cold["cached_before"] == 0
    warm = cold
    for _each in range(_WARM_PULLS if meaningful else 1):
        warm = _pulled(puller, name, cache)
        if warm["cached_before"] == warm["blobs"]:
            return Pulls(cold, warm, True if meaningful else None, cache)
    if not meaningful:
        return Pulls(cold, warm, None, cache)
    raise Failure(
        "NOT_KEPT",
        f"The cache {cache} does not keep what comes through it: after {_WARM_PULLS} more pulls of the same image it "
        f"has {warm['cached_before']} of {warm['blobs']} blobs.",
        hint="Check the cache's storage (full, or read-only?), its blob TTL, and whether its replicas share it.",
    )


def result_of(pulls: Pulls, image: TinyImage, name: str) -> dict[str, t.Any]:
    """What was proved, and by what."""
    return {
        "image": name,
        "bytes": image.size,
        "cold": {
            "seconds": pulls.cold["seconds"],
            "hit": False,
            "evidence": (
                "Random content that only DTR had came through the cache."
                if pulls.warm_hit is None
                else "Random content that only DTR had came through the cache, which had refused it without DTR's "
                "signature."
            ),
        },
        "warm": {
            "seconds": pulls.warm["seconds"],
            "hit": pulls.warm_hit,
            "evidence": (
                "None: this cache does not say what it has."
                if pulls.warm_hit is None
                else "The cache answered without DTR's signature, which it can do only from its own storage."
            ),
        },
    }


def _pulled(puller: Puller, name: str, cache: str) -> dict[str, t.Any]:
    report = puller.pull([name])
    failure = failure_of_report(report, cache)
    if failure:
        raise failure
    return report.pulls[0]


def prove(
    shelf: Shelf, ways: t.Sequence[Way], cache: str, warn: t.Callable[[str], None], *, replicas: int = 1
) -> dict[str, t.Any]:
    """Push, pull, pull again by each way, and delete.

    Args:
        shelf: Where the image is in the meantime. What killed runs left there is deleted first.
        ways: Each pulls through the cache by one address of it, one blob at a time over one connection, so that the
            second pull meets the replica that the first one has filled.
        cache: The cache's name for messages.
        warn: Takes a sentence about what could not be deleted beside an earlier failure, or not be found out.
        replicas: How many there are.

    Returns:
        What was proved, and by what.
    """
    now = datetime.datetime.now(datetime.timezone.utc)
    for tag in left_behind(shelf.tags(), now):
        shelf.take_away(tag)
    image = tiny_image(os.urandom(_RANDOM_BYTES))
    tag = new_tag(now, secrets.token_hex(4))
    name = f"{shelf.repository}:{tag}"
    with _on_shelf(shelf, tag, image, warn):
        pulls = [_by_way(way, name) for way in ways]
    if any(each.warm_hit for each in pulls):
        _all_keep(pulls)
    _tell_replicas_apart(pulls, cache, replicas, warn)
    return result_of(pulls[0], image, name)


def _by_way(way: Way, name: str) -> Pulls:
    with way() as puller:
        return pull_twice(puller, name, puller.cache.name)


def _all_keep(pulls: t.Sequence[Pulls]) -> None:
    """Fail where one replica says that it keeps what another one says to lack after a pull.

    Raises:
        Failure: C(NOT_KEPT).
    """
    lacking = next((each.where for each in pulls if each.warm["cached_before"] != each.warm["blobs"]), None)
    if lacking:
        raise Failure(
            "NOT_KEPT",
            f"A replica does not keep what comes through it, and another one does: the cache {lacking}.",
            hint="Check the storage of that replica (full, or read-only?) and its blob TTL.",
        )


def _tell_replicas_apart(pulls: t.Sequence[Pulls], cache: str, replicas: int, warn: t.Callable[[str], None]) -> None:
    """Say how many replicas were surely met: one that did not have the image yet is another one."""
    met = max(len({each.where for each in pulls}), sum(each.cold["cached_before"] == 0 for each in pulls))
    if met < replicas:
        warn(
            f"{cache} has {replicas} replicas. {len(pulls)} new connections met {met} that can be told apart; replicas "
            "that share their storage, or are behind one address, may be the same one."
        )


@contextlib.contextmanager
def _on_shelf(shelf: Shelf, tag: str, image: TinyImage, warn: t.Callable[[str], None]) -> t.Iterator[None]:
    """The image is in DTR while this lasts."""
    try:
        shelf.put(tag, image)
        yield
    except BaseException:
        try:
            shelf.take_away(tag)
        except Failure as failure:
            warn(failure.message)
        raise
    shelf.take_away(tag)
