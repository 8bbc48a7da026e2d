# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tiny image that nobody has seen before, and a tag with its age.

Source: the Docker registry's "Image Manifest V 2, Schema 2".
"""

from __future__ import annotations

import datetime
import gzip
import io
import json
import re
import tarfile
import typing as t

from ..dtr import images

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip"

_TAG = "dtr-cache-proof-"
_TAG_FORM = re.compile(rf"{_TAG}(\d{{14}})-[0-9a-f]+")
_MOMENT = "%Y%m%d%H%M%S"
# Another region may be at its proof in the same repository.
_LEFT_BEHIND_AFTER = datetime.timedelta(hours=1)


class TinyImage(t.NamedTuple):
    """An image of one small layer, for one platform."""

    manifest: bytes
    config: bytes
    layer: bytes

    @property
    def size(self) -> int:
        """Bytes of its blobs."""
        return len(self.config) + len(self.layer)


def tiny_image(content: bytes) -> TinyImage:
    """An image with one file of this content, valid for every Docker Engine."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as writer:
        entry = tarfile.TarInfo("proof")
        entry.size = len(content)
        writer.addfile(entry, io.BytesIO(content))
    layer = gzip.compress(archive.getvalue(), mtime=0)
    config = _json(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [images.digest_of(archive.getvalue())]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": _descriptor(config, CONFIG_TYPE),
            "layers": [_descriptor(layer, LAYER_TYPE)],
        }
    )
    return TinyImage(manifest, config, layer)


def new_tag(now: datetime.datetime, chance: str) -> str:
    """A tag with its age."""
    return f"{_TAG}{now.strftime(_MOMENT)}-{chance}"


def left_behind(tags: t.Iterable[str], now: datetime.datetime) -> list[str]:
    """The tags of proofs whose run was killed."""
    found = []
    for tag in tags:
        form = _TAG_FORM.fullmatch(tag)
        if not form:
            continue
        try:
            made_at = datetime.datetime.strptime(form.group(1), _MOMENT).replace(tzinfo=datetime.timezone.utc)
        except ValueError:
            # Somebody else's tag: no proof is of a day that there is not.
            continue
        if now - made_at > _LEFT_BEHIND_AFTER:
            found.append(tag)
    return found


def _descriptor(content: bytes, media_type: str) -> dict[str, t.Any]:
    return {"mediaType": media_type, "size": len(content), "digest": images.digest_of(content)}


def _json(document: t.Mapping[str, t.Any]) -> bytes:
    return json.dumps(document, indent=2).encode()
