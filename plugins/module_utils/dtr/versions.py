# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of DTR and of the cache's image, which the vendor wants to be the same. Pure functions."""

from __future__ import annotations

import re

# What may follow is the mark of a build.
_RELEASE = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}(?![0-9.])")


def release(version: str | None) -> str:
    """The three numbers that a version begins with; empty where it does not."""
    match = _RELEASE.match(version or "")
    return match[0] if match else ""


def tag_of(image: str | None) -> str:
    """The tag of an image's reference; empty where it has none."""
    return (image or "").partition("@")[0].rpartition("/")[2].partition(":")[2]


def are_same(tag: str | None, version: str | None) -> bool | None:
    """Whether a cache has the version of its DTR; C(None) where one of both is not known."""
    of_cache, of_dtr = release(tag), release(version)
    return of_cache == of_dtr if of_cache and of_dtr else None


def difference(tag: str, version: str) -> str:
    """That both are different, in a sentence."""
    return (
        f"The cache has version {release(tag)} and its DTR has {release(version)}. The vendor wants both the same, as "
        "a difference gives authentication errors."
    )
