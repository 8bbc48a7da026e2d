# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repositories, as a part of DTR's API."""

from __future__ import annotations

from urllib.parse import quote

from .resources import SUCCESS, Resources, segment


class Repositories(Resources):
    """What the registry protocol cannot do with a repository."""

    def delete_tag(self, repository: str, tag: str) -> None:
        """Remove a tag; one that is gone already is fine.

        The release notes of DTR 2.3 name this path; removing a manifest by its digest is gone since 2.6. What only this
        tag referred to is collected by DTR itself.
        """
        path = f"/api/v0/repositories/{quote(repository)}/tags/{segment(tag)}"
        self._transport.request("DELETE", path, expect=(*SUCCESS, 404))
