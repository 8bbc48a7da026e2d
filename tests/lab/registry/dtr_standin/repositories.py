# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the registry behind holds, and what each account may do with it."""

from __future__ import annotations

import json
import typing as t

import aiohttp

from .accounts import Account
from .site import Site

_MANIFEST_TYPES = ", ".join(
    (
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
    )
)
_EVERYTHING = frozenset({"pull", "push", "delete", "*"})
_NO_TIME = "0001-01-01T00:00:00Z"
_CATALOG_PAGE = 1000


class Repositories:
    """The repositories of the real registry, with DTR's permissions: by namespace, without access given to teams."""

    def __init__(self, site: Site, session: aiohttp.ClientSession) -> None:
        self._site = site
        self._session = session

    def permitted(self, account: Account, repository: str) -> frozenset[str]:
        """The actions that an account may take: all for admins, its own namespace and those it administers."""
        namespace = repository.partition("/")[0]
        if account.is_admin or namespace == account.name:
            return _EVERYTHING
        organization = self._site.directory.organization(namespace)
        member = organization.by_name.get(account.name) if organization else None
        if member is None:
            return frozenset()
        return _EVERYTHING if member.is_admin else frozenset({"pull"})

    async def visible_to(self, account: Account) -> list[str]:
        """The names of the repositories that an account may pull from."""
        names: list[str] = []
        while True:
            last = names[-1] if names else ""
            page = await self._json(f"/v2/_catalog?n={_CATALOG_PAGE}&last={last}")
            names += page["repositories"]
            if len(page["repositories"]) < _CATALOG_PAGE:
                return [name for name in names if "/" in name and self.permitted(account, name)]

    async def tags(self, repository: str) -> list[str] | None:
        """A repository's tags in the order of their names; none when it does not exist."""
        try:
            page = await self._json(f"/v2/{repository}/tags/list")
        except aiohttp.ClientResponseError as error:
            if error.status == 404:
                return None
            raise
        return sorted(page["tags"] or [])

    async def delete_tag(self, repository: str, tag: str) -> bool:
        """Removes a tag, and with it its manifest, which is all that the registry can do. False if it is not there."""
        manifests = f"{self._site.upstream}/v2/{repository}/manifests"
        async with self._session.head(f"{manifests}/{tag}", headers={"Accept": _MANIFEST_TYPES}) as answer:
            if answer.status == 404:
                return False
            answer.raise_for_status()
            digest = answer.headers["Docker-Content-Digest"]
        async with self._session.delete(f"{manifests}/{digest}") as answer:
            answer.raise_for_status()
        return True

    async def tag_shape(self, repository: str, tag: str, whole: bool) -> dict[str, t.Any]:
        """`responses.ListTag`; C(whole) adds what is known of the manifest beside its digest."""
        headers = {"Accept": _MANIFEST_TYPES}
        async with self._session.get(
            f"{self._site.upstream}/v2/{repository}/manifests/{tag}", headers=headers
        ) as answer:
            answer.raise_for_status()
            digest = answer.headers["Docker-Content-Digest"]
            manifest = json.loads(await answer.read())
        config: dict[str, t.Any] = {}
        if "config" in manifest:
            config = await self._json(f"/v2/{repository}/blobs/{manifest['config']['digest']}")
        shape: dict[str, t.Any] = {"digest": digest}
        if whole:
            shape |= {
                "mediaType": manifest.get("mediaType", ""),
                "configDigest": manifest.get("config", {}).get("digest", ""),
                "configMediaType": manifest.get("config", {}).get("mediaType", ""),
                "size": sum(layer["size"] for layer in manifest.get("layers", [])),
                "os": config.get("os", ""),
                "architecture": config.get("architecture", ""),
                "createdAt": config.get("created", _NO_TIME),
                "dockerfile": [],
            }
        return {
            "name": tag,
            "digest": digest,
            "author": config.get("author", ""),
            "createdAt": config.get("created", _NO_TIME),
            "updatedAt": config.get("created", _NO_TIME),
            "hashMismatch": False,
            "inNotary": False,
            "manifest": shape,
        }

    async def _json(self, path: str) -> t.Any:
        async with self._session.get(self._site.upstream + path) as answer:
            answer.raise_for_status()
            return json.loads(await answer.read())
