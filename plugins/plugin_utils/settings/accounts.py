# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who pulls from the cache, and what is pulled through it to prove that and to warm it."""

from __future__ import annotations

import typing as t

from ...module_utils.common.failure import Failure
from ...module_utils.dtr import images
from ...module_utils.dtr.assignments_plan import Users, problems_of
from ...module_utils.dtr.model import LOCAL
from . import values
from .reader import Reader
from .structures import entries

_USERS: dict[str, values.Kind] = dict.fromkeys(Users._fields, values.items)


def read_accounts(reader: Reader) -> dict[str, t.Any]:
    return {
        "assignments": read_assignments(reader),
        "assignments_exclusive": reader.switch("assignments_exclusive"),
        "max_resets": reader.whole("max_resets", 0, 10_000_000),
        "verify_image": reader.value("verify_image", _exact_image, None),
        "verify_repository": reader.value("verify_repository", _repository, None),
        "verify_account": reader.text("verify_account"),
    }


def read_warming(reader: Reader) -> dict[str, t.Any]:
    names, repositories = _read_images(reader)
    return {
        "warm_images": names,
        "warm_repositories": repositories,
        "warm_platforms": _read_platforms(reader),
        "warm_concurrency": reader.whole("warm_concurrency", 1, 128),
    }


def read_assignments(reader: Reader) -> dict[str, t.Any]:
    exceptions = reader.part("assignments", "except.", _USERS)
    kinds = {**_USERS, "everyone": values.switch, "except": exceptions}
    before = len(reader.problems)
    read = reader.known("assignments", reader.mapping("assignments"), kinds)
    left_out = {kind: names for kind, names in (read.pop("except", None) or {}).items() if names}
    wanted = {**{kind: [] for kind in Users._fields}, "everyone": False, **read}
    if left_out:
        wanted["except"] = {**{kind: [] for kind in Users._fields}, **left_out}
    if len(reader.problems) == before:
        for problem in problems_of({**wanted, "cache": LOCAL}):
            reader.problem("assignments", problem)
    return wanted


def _repository(value: t.Any) -> str:
    text = values.line(value)
    try:
        return images.parse_repository(text, "")
    except Failure:
        raise values.invalid(
            f"{values.quoted(text)} is not a repository in the DTR, written namespace/repository"
        ) from None


def _image(value: t.Any) -> str:
    text = values.line(value)
    try:
        images.parse_name(text)
    except Failure:
        raise values.invalid(
            f"{values.quoted(text)} is not an image in the DTR, written namespace/repository:tag without the host"
        ) from None
    return text


def _exact_image(value: t.Any) -> str:
    """One with its tag or its digest: what C(latest) is, nobody said."""
    text = _image(value)
    if ":" not in text:
        raise values.invalid(f"{values.quoted(text)} has no tag; write namespace/repository:tag")
    return text


def _read_images(reader: Reader) -> tuple[tuple[str, ...], tuple[dict[str, str], ...]]:
    """Images by their names, and repositories with a pattern of tags."""
    names: dict[str, None] = {}
    repositories: list[dict[str, str]] = []
    for entry in reader.checked("warm_images", entries, reader.raw("warm_images"), []):
        if isinstance(entry, dict):
            repositories += _warm_repository(reader, entry)
        elif values.is_set(entry):
            names[reader.checked("warm_images", _image, entry, "")] = None
    return tuple(names), tuple(repositories)


def _warm_repository(reader: Reader, entry: dict[str, t.Any]) -> list[dict[str, str]]:
    unknown = sorted(set(entry) - {"repository", "tags"})
    if unknown or not values.is_set(entry.get("repository")):
        wrong = f"has {', '.join(map(values.shown, unknown))}" if unknown else "has no repository"
        reader.problem("warm_images", f"an entry {wrong}; write {{repository: namespace/repository, tags: '1.*'}}")
        return []
    repository = reader.checked("warm_images", _repository, entry["repository"], "")
    patterns = reader.checked("warm_images", values.items, entry.get("tags"), [], "tags: ")
    return [{"repository": repository, "tags": pattern} for pattern in patterns or ["*"]]


def _read_platforms(reader: Reader) -> tuple[str, ...]:
    platforms = reader.items("warm_platforms")
    try:
        return images.parse_platforms(platforms)
    except Failure:
        given = ", ".join(platforms) or "an empty list"
        reader.problem("warm_platforms", f"{values.shown(given)}: write for example linux/amd64, or all")
        return ()
