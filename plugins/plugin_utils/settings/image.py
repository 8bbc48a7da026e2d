# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference of an image as Docker takes it: C([host[:port]/]repository[:tag][@digest]).

Source: the grammar in C(reference.go) of distribution/reference. A host must also be one that there can be.
"""

from __future__ import annotations

import re
import typing as t

from ...module_utils.dtr.images import COMPONENT, is_digest
from . import values
from .addresses import is_host

TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"

_REPOSITORY = re.compile(rf"{COMPONENT}(?:/{COMPONENT})*")
_TAG = re.compile(TAG)
_HOST = re.compile(r"(?P<name>[^:\[\]]+|\[[^\[\]]*\])(?::(?P<port>[1-9][0-9]{0,4}))?")
_ID = re.compile(r"[0-9a-f]{64}")
_LONGEST = 255


def reference(value: t.Any) -> str:
    """The whole reference of an image."""
    text = values.line(value)
    wrong = _mistake(text)
    if wrong:
        meant = "registry.example.org/team/image:tag"
        raise values.invalid(f"{values.quoted(text)} is not the reference of an image such as {meant}: {wrong}")
    return text


def is_registry(text: str) -> bool:
    """Whether this is what stands before the first slash of a reference: C(host[:port])."""
    match = _HOST.fullmatch(text)
    if not match or int(match["port"] or 1) > 65535:
        return False
    name = match["name"]
    host = name[1:-1] if name.startswith("[") else name
    return is_host(host) and name.startswith("[") == (":" in host) and not host.endswith(".")


def _mistake(text: str) -> str:
    name, at, digest = text.partition("@")
    if at and not is_digest(digest):
        return "a digest is sha256: and 64 digits from 0 to f"
    if _ID.fullmatch(name):
        return "this is the id of an image, not its name"
    first, slash, rest = name.partition("/")
    # As Docker tells a host from a repository of Docker Hub.
    has_host = slash and (first == "localhost" or any(letter in first for letter in ".:["))
    if has_host and not is_registry(first):
        return "what stands before the first slash is no host[:port]"
    path, colon, tag = (rest if has_host else name).partition(":")
    if colon and not _TAG.fullmatch(tag):
        return "a tag has up to 128 letters, digits, dots, - and _, and begins with no dot or -"
    if not _REPOSITORY.fullmatch(path):
        return "a repository has small letters and digits, with single . _ or - and slashes between them"
    return f"it is longer than {_LONGEST} characters" if len(name) - len(tag) > _LONGEST else ""
