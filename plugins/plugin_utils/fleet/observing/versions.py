# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The version of a cache beside that of its DTR, and what it means for the next deployment. Pure functions."""

from __future__ import annotations

import typing as t

from ....module_utils.common.failure import Failure
from ....module_utils.dtr import model
from ....module_utils.swarm.compose import image as shown_image
from ...settings.image import PRODUCTS, image_of_dtr
from ..facts import Result

Step = dict[str, str]


def image_of_next_deployment(settings: Result, version: str | None) -> str:
    """The image that a deployment would give the cache because DTR has this version.

    Empty where the variables choose the image themselves, or nothing says which one it is.
    """
    product = PRODUCTS.get(settings.get("product") or "")
    if settings.get("image") or not product or not version:
        return ""
    try:
        return image_of_dtr(product, version)
    except Failure:
        return ""


def with_image(steps: t.Sequence[Step], service: Result, name: str, image: str) -> list[Step]:
    """The steps of a plan that was made without knowing the image, and what the image adds to them.

    Args:
        steps: The steps.
        service: What runs, as a plan has it; empty where nothing does, which is a step already.
        name: The service's name in the Swarm.
        image: The image that is wanted.
    """
    if not service or not image or service.get("image") == shown_image(image, with_digest=False):
        return list(steps)
    known = next((step for step in steps if step["kind"] == "service" and step["name"] == name), None)
    detail = [part for part in (known or {}).get("detail", "").split(", ") if part]
    updated = {"kind": "service", "action": "update", "name": name, "detail": ", ".join(sorted([*detail, "image"]))}
    return [updated if step is known else step for step in steps] if known else [*steps, updated]


def differs(row: Result) -> bool:
    """Whether the cache of a region has another version than its DTR."""
    return model.are_same(row.get("version"), row.get("registry_version")) is False


def difference(row: Result) -> str:
    """That it has, in a sentence."""
    return model.difference(row["version"] or "", row["registry_version"] or "")
