# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What C(dtr.cache.awx) puts into AWX or Controller, and where."""

from __future__ import annotations

import functools
import re
import typing as t

from ansible.plugins.loader import module_loader

from . import values
from .image import reference
from .reader import Reader

# Those with the modules that write there.
COLLECTIONS = ("ansible.controller", "awx.awx")

_NAME = values.matching(
    "[A-Za-z0-9][A-Za-z0-9 ._-]{0,59}", "a beginning of names: up to 60 letters, digits, blanks, dots, - and _"
)
_IN_ADDRESS = re.compile(r"://[^/\s@]*:[^/\s@]*@")


def read_awx(reader: Reader) -> dict[str, t.Any]:
    """Return what C(dtr_cache_awx_*) says; of the collections, the first that is installed where none is named."""
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
        "collection": reader.value("awx_collection", values.one_of(*COLLECTIONS), "") or _first_installed(),
        "state": reader.choice("awx_state", ("present", "absent")),
    }


def missing_for_awx(settings: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    """Yield what C(dtr.cache.awx) cannot do without."""
    if not settings["project_url"] and settings["state"] == "present":
        yield "dtr_cache_awx_project_url: is required: the git repository with your inventory and playbooks"
    name = settings["collection"]
    if not name:
        yield (
            f"dtr_cache_awx_collection: {' and '.join(COLLECTIONS)} are both not installed; install one of them: "
            "ansible-galaxy collection install awx.awx (of Controller, ansible.controller from Automation Hub)"
        )
    elif not is_installed(name):
        yield (
            f"dtr_cache_awx_collection: {name} is not installed; install it: ansible-galaxy collection install {name}"
        )


@functools.cache
def is_installed(collection: str) -> bool:
    """Whether Ansible finds a module of the collection."""
    return bool(module_loader.find_plugin_with_context(f"{collection}.job_template").resolved)


def _first_installed() -> str:
    return next(filter(is_installed, COLLECTIONS), "")


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
