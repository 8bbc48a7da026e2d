# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image of a cache whose variables leave its version to the DTR. Pure functions."""

from __future__ import annotations

import dataclasses
import typing as t

from ...module_utils.common.failure import Failure
from .model import Settings
from .presets import image_of_dtr

SERVICE = "cache"
# What decides the image.
_OF_IMAGE = ("dtr_cache_version:", "dtr_cache_image:", "dtr_cache_product:")


def with_image_of_dtr(settings: Settings, version: str | None, problems: t.Iterable[str]) -> tuple[Settings, list[str]]:
    """The settings with the image of the DTR's version where they name none, and why there is none.

    Args:
        version: What DTR says; empty where it does not, and C(None) where it was not asked.
        problems: What is wrong already.
    """
    if settings.image or version is None or any(each.startswith(_OF_IMAGE) for each in problems):
        return settings, []
    if not version:
        place = f"{settings.registry_url}/api/v0/admin/version"
        return settings, [
            f"dtr_cache_version: the DTR does not say which version it has (GET {place}); set dtr_cache_version to it, "
            "such as 2.7.6"
        ]
    try:
        return dataclasses.replace(settings, image=image_of_dtr(settings.product, version)), []
    except Failure as failure:
        return settings, [failure.message]


def with_running_image(settings: Settings, running: t.Mapping[str, t.Any], warn: t.Callable[[str], None]) -> Settings:
    """The settings with the image that the cache has in the Swarm, which a rotation leaves as it is.

    Args:
        running: What M(dtr.cache.stack_plan) says of the stack.
    """
    image = next((each["image"] for each in running.get("services") or [] if each["name"] == SERVICE), None) or ""
    # One that goes by its digest alone has no tag by which it could be named again.
    if ":" not in image.rpartition("/")[2]:
        return settings
    warn(
        f"The version of the DTR does not say which image its caches have, so the cache keeps {image}. Set "
        "dtr_cache_version, or dtr_cache_image, for the next deployment."
    )
    return dataclasses.replace(settings, image=image)
