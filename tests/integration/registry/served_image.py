# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image in the real registry behind the stand-in."""

from __future__ import annotations

import requests
from ansible_collections.dtr.cache.plugins.module_utils.dtr import images
from ansible_collections.dtr.cache.plugins.module_utils.pulling import tiny_image

IMAGE = "engineering/app:1.0"
CONTENT = tiny_image.tiny_image(b"what is pulled")


def push(upstream: str, name: str, image: tiny_image.TinyImage) -> None:
    """Put an image into the registry behind the stand-in."""
    repository, _colon, tag = name.partition(":")
    base = f"{upstream}/v2/{repository}"
    for blob in (image.config, image.layer):
        place = requests.post(f"{base}/blobs/uploads/", timeout=10).headers["Location"]
        requests.put(place, params={"digest": images.digest_of(blob)}, data=blob, timeout=10).raise_for_status()
    headers = {"Content-Type": tiny_image.MANIFEST_TYPE}
    requests.put(f"{base}/manifests/{tag}", data=image.manifest, headers=headers, timeout=10).raise_for_status()
