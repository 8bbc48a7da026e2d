# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pull has to do and what became of it: images, blobs, and the result that a module returns."""

from __future__ import annotations

import dataclasses
import typing as t

from ..common.failure import Failure
from ..dtr import images

NOT_TRIED = "NOT_TRIED"
SAID_BY_THE_CACHE = ("cached_blobs", "cached_bytes", "brought_bytes")
"""What of the sizes is known only where the cache says what it has."""


class Wanted(t.NamedTuple):
    """A blob to pull, and a repository that has it."""

    blob: images.Blob
    repository: str


class Pulled(t.NamedTuple):
    """What became of one blob.

    Args:
        elsewhere: Who serves it, or where DTR sends, instead of the cache; C(None) when DTR sends to the cache.
        answered_before: Whether the cache said that it had the blob; C(None) when it did not say.
        received: Bytes that came from the cache.
        began: When it was asked for, in seconds of the clock.
        ended: When it was complete.
    """

    elsewhere: str | None
    answered_before: bool | None
    received: int
    began: float
    ended: float


@dataclasses.dataclass
class Image:
    """An image of the task: what it consists of, or why that could not be found out."""

    name: str
    digest: str | None = None
    blobs: dict[images.Blob, str] = dataclasses.field(default_factory=dict)  # with the repository of each
    foreign: int = 0
    seconds: float = 0.0
    failure: Failure | None = None


class Report(t.NamedTuple):
    """The end of a pull: a row for each image, what was transferred in all, and the failures by image."""

    pulls: list[dict[str, t.Any]]
    transferred: dict[str, t.Any]
    brought: bool
    failures: dict[str, Failure]


def failure_of_report(report: Report, cache: str) -> Failure | None:
    """One failure for all images that failed, with the rows of all images in its result."""
    if not report.failures:
        return None
    failures = list(report.failures.values())
    tried = [each for each in failures if each.code != NOT_TRIED] or failures
    message, hint = tried[0].message, tried[0].hint
    if len(report.pulls) > 1:
        sentences = dict.fromkeys(each.as_result()["msg"] for each in tried)
        message = f"{len(failures)} of {len(report.pulls)} images failed to come through {cache}. {' '.join(sentences)}"
        hint = None
    return Failure(
        tried[0].code,
        message,
        http_status=tried[0].http_status,
        url=tried[0].url,
        hint=hint,
        **result_of(report),
    )


def result_of(report: Report) -> dict[str, t.Any]:
    """The module's result."""
    return {"changed": report.brought, "pulls": report.pulls, "transferred": report.transferred}


def diff_of(report: Report) -> dict[str, str]:
    """What the cache had and has, one line for each image."""
    before, after = (
        "".join(f"{row['image']}: {count(row)} of {row['blobs']} blobs cached\n" for row in report.pulls)
        for count in (lambda row: _number(row["cached_before"]), lambda row: row["blobs"])
    )
    return {"before": before, "after": after if report.brought else before}


def _number(count: int | None) -> str:
    return "unknown number" if count is None else str(count)


def sizes(wanted: t.Sequence[Wanted], done: t.Mapping[Wanted, Pulled]) -> dict[str, int | None]:
    """How much was wanted, how much of it the cache had before, and how much came into it; C(None) is not known."""
    whole = sum(item.blob.size for item in wanted)
    through = {wanted: pulled for wanted, pulled in done.items() if pulled.elsewhere is None}
    if not through or any(pulled.answered_before is None for pulled in through.values()):
        return {"wanted_bytes": whole, **dict.fromkeys(SAID_BY_THE_CACHE)}
    cached = [wanted.blob.size for wanted, pulled in through.items() if pulled.answered_before]
    brought = sum(wanted.blob.size for wanted in through) - sum(cached)
    return {"wanted_bytes": whole, **dict(zip(SAID_BY_THE_CACHE, (len(cached), sum(cached), brought)))}


def wanted_blobs(resolved: t.Iterable[Image]) -> list[Wanted]:
    """Each blob once, in the order of the images."""
    first: dict[str, Wanted] = {}
    for image in resolved:
        for blob, repository in image.blobs.items():
            first.setdefault(blob.digest, Wanted(blob, repository))
    return list(first.values())


def first_failure(image: Image, failed: t.Mapping[str, Failure]) -> Failure | None:
    failures = [failed[blob.digest] for blob in image.blobs if blob.digest in failed]
    return next((each for each in failures if each.code != NOT_TRIED), failures[0] if failures else None)


def row(image: Image, done: t.Mapping[str, Pulled], says: bool) -> dict[str, t.Any]:
    """An image's row in the result. Sizes are the image's own, also where a blob was read for another image."""
    pulled = {blob: done[blob.digest] for blob in image.blobs if blob.digest in done}
    through = [each for each in pulled.values() if each.elsewhere is None]
    known = says and bool(through) and all(each.answered_before is not None for each in through)
    seconds = max((each.ended for each in pulled.values()), default=0) - min(
        (each.began for each in pulled.values()), default=0
    )
    failure = image.failure
    return {
        "image": image.name,
        "digest": image.digest,
        "blobs": len(image.blobs),
        "bytes": sum(blob.size for blob in image.blobs),
        "foreign_layers": image.foreign,
        "seconds": round(image.seconds + seconds, 3),
        "via_cache": failure is None,
        "cached_before": sum(1 for each in through if each.answered_before) if known else None,
        "elsewhere": [
            {"digest": blob.digest, "source": each.elsewhere} for blob, each in pulled.items() if each.elsewhere
        ],
        "failure": failure.as_result()["failure"] if failure else None,
    }
