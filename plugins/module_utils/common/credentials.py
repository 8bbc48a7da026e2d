# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials in a registry's configuration, by the names of keys and in addresses, and what is shown in their place.

Pure functions.
"""

from __future__ import annotations

import re
import typing as t

from .redaction import SECRET_NAME, redacted

Path = tuple[str, ...]

HIDDEN = "(secret)"
HIDDEN_OTHER = "(another secret)"

_NAME = re.compile(SECRET_NAME, re.IGNORECASE)
_IN_ADDRESS = re.compile(r"://[^/\s@:]*:[^/\s@]+@")
# Known by its form, or in the query of an address.
_IN_TEXT = re.compile(
    r"[?&](?:sig|key|auth)=[^\s&]{16}|-----BEGIN [A-Z ]{0,20}PRIVATE KEY|\b(?-i:eyJ)[\w-]{8,}\."
    r"|\bbearer\s{1,4}(?=\S{0,99}\d)\S{8}|\bbasic\s{1,4}(?=\S{0,99}[\d=])[A-Za-z0-9+/=]{8}",
    re.IGNORECASE,
)
# Such as password=VALUE, "token": "VALUE" and Authorization: VALUE.
_GIVEN = re.compile(
    rf"({SECRET_NAME})(?:\\{{0,2}}[\"']\s{{0,4}}[=:]|\s{{0,4}}=|\s{{0,4}}:(?=\s))[\s\\\"'\[]{{0,6}}([^\s\\\"'\[\],;&{{}}]+)",
    re.IGNORECASE,
)
# These names say where a secret is, or whether there is one.
_OF_PLACES = ("file", "path", "dir", "url", "uri", "endpoint")
_SWITCHES = ("true", "false", "yes", "no")
_LONGEST = 500


def is_credential(path: Path, value: t.Any) -> bool:
    """Whether the value at these keys, the outermost first, is one that nobody else may see."""
    if value in (None, "", [], {}) or isinstance(value, bool):
        return False
    if isinstance(value, dict):
        # Others, such as auth.token of the registry, are sections with public keys in them.
        return "credential" in path[-1].lower()
    if isinstance(value, str) and _IN_ADDRESS.search(value):
        return True
    # A receiver of notifications knows by its headers who asks.
    return _NAME.search(path[-1]) is not None or (path[0] == "notifications" and "headers" in path)


def holds_credential(path: Path, value: t.Any) -> bool:
    """The same, and whether a text that is none by its name has one in it, such as C(password=VALUE)."""
    return is_credential(path, value) or (isinstance(value, str) and _gives_one(value))


def _gives_one(text: str) -> bool:
    return _IN_TEXT.search(text) is not None or any(
        not (name.lower().endswith(_OF_PLACES) or value.startswith("/run/secrets/") or value in _SWITCHES)
        and not (name.lower() == "credentials" and value.startswith("/"))
        for name, value in _GIVEN.findall(text)
    )


def blanked(value: t.Any, *, public: t.Collection[Path] = (), path: Path = ()) -> t.Any:
    """A piece of configuration with a word in the place of each credential, but for those at C(public) keys."""
    if path and path not in public and holds_credential(path, value):
        return HIDDEN
    if isinstance(value, dict):
        return {key: blanked(item, public=public, path=(*path, str(key))) for key, item in value.items()}
    return [blanked(item, public=public, path=path) for item in value] if isinstance(value, list) else value


def comparable(value: t.Any, other: t.Any = None, path: Path = ()) -> t.Any:
    """A piece of configuration that may be shown beside C(other), whoever wrote it.

    A word stands in the place of each credential: another one where C(other) has a different credential there. In all
    other texts, what only looks like a secret is blanked as well.
    """
    if path and is_credential(path, value):
        return HIDDEN if other in (None, value) else HIDDEN_OTHER
    if isinstance(value, dict):
        beside = other if isinstance(other, dict) else {}
        return {_text(str(key)): comparable(item, beside.get(key), (*path, str(key))) for key, item in value.items()}
    if isinstance(value, list):
        others = other if isinstance(other, list) else []
        return [
            comparable(item, others[place] if place < len(others) else None, path) for place, item in enumerate(value)
        ]
    return _beside(value, other) if isinstance(value, str) else value


def _beside(value: str, other: t.Any) -> str:
    shown = _text(value)
    hides_a_difference = isinstance(other, str) and other != value and _text(other) == shown
    return f"{shown} {HIDDEN_OTHER}" if hides_a_difference else shown


def _text(value: str) -> str:
    return redacted(value, longest=_LONGEST)
