# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What C(dtr.cache.awx) puts into AWX or Controller, and where."""

from __future__ import annotations

import re
import typing as t

from . import values
from .image import reference
from .reader import Reader

# Those with the modules that write there; the first that is installed is taken.
COLLECTIONS = ("ansible.controller", "awx.awx")

_NAME = values.matching(
    "[A-Za-z0-9][A-Za-z0-9 ._-]{0,59}", "a beginning of names: up to 60 letters, digits, blanks, dots, - and _"
)
_IN_ADDRESS = re.compile(r"://[^/\s@]*:[^/\s@]*@")


def read_awx(reader: Reader) -> dict[str, t.Any]:
    """The options of M(dtr.cache.awx_content)."""
    return {
        "organization": reader.text("awx_organization"),
        "prefix": reader.value("awx_prefix", _NAME, ""),
        "project_url": reader.value("awx_project_url", _project, ""),
        "project_branch": reader.text("awx_project_branch"),
        "project_credential": reader.text("awx_project_credential"),
        "inventory": reader.value("awx_inventory", _path, ""),
        "image": reader.value("awx_image", reference, ""),
        "credentials": reader.items("awx_credentials"),
        "certificate": reader.switch("awx_certificate"),
        "schedules": reader.switch("awx_schedules"),
        "collection": reader.value("awx_collection", values.one_of(*COLLECTIONS), ""),
    }


def _project(value: t.Any) -> str:
    text = values.line(value)
    if _IN_ADDRESS.search(text):
        raise values.invalid(
            "has a password in it, which AWX would show to everybody; put it into a credential of the type Source "
            "Control, and name that in dtr_cache_awx_project_credential"
        )
    if re.search(r"\s", text):
        raise values.invalid(f"{values.quoted(text)} is not the address of a git repository: it has a blank")
    return text


def _path(value: t.Any) -> str:
    text = values.line(value)
    if text.startswith("/") or ".." in text.split("/"):
        raise values.invalid(f"{values.quoted(text)} is not a path inside of the project")
    return text
