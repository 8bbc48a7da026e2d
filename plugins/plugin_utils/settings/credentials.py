# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where credentials stand in what is otherwise public: by the names of keys, and in addresses. Pure functions."""

from __future__ import annotations

import re
import typing as t

from ...module_utils.common.redaction import SECRET_NAME, redacted

Path = tuple[str, ...]

HIDDEN = "(secret)"
# Signs only the state of uploads, which a cache takes none of. So it is shown to nobody, but asks for no Docker secret.
HTTP_SECRET: Path = ("http", "secret")

_NAME = re.compile(SECRET_NAME, re.IGNORECASE)
_IN_ADDRESS = re.compile(r"://[^/\s@:]*:[^/\s@]+@")
# A mount option names the file that holds the credentials, not the credentials.
_IN_OPTIONS = re.compile(rf"(?!credentials=/){SECRET_NAME}\s*=", re.IGNORECASE)
_LONGEST_PATH = 200


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


def blanked(value: t.Any, *, public: t.Collection[Path] = (), path: Path = ()) -> t.Any:
    """A piece of configuration with a word in the place of each credential, but for those at C(public) keys."""
    if path and path not in public and is_credential(path, value):
        return HIDDEN
    if isinstance(value, dict):
        return {key: blanked(item, public=public, path=(*path, str(key))) for key, item in value.items()}
    return [blanked(item, public=public, path=path) for item in value] if isinstance(value, list) else value


def carries_credentials(config: t.Any) -> bool:
    """Whether the registry's configuration holds a credential, at any depth, besides C(http.secret)."""
    return bool(blanked(config, public=(HTTP_SECRET,)) != config)


def options_carry_credentials(options: t.Mapping[str, t.Any]) -> bool:
    """Whether the options of a volume's driver do, as keys of their own or in one text such as C(password=...,rw)."""
    return any(is_credential((str(key),), value) or _IN_OPTIONS.search(str(value)) for key, value in options.items())


def may_be_shown(text: str) -> bool:
    """Whether a value that was meant to be an address or a path is none that somebody's credentials are part of."""
    return "@" not in text and len(text) <= _LONGEST_PATH and redacted(text) == text
