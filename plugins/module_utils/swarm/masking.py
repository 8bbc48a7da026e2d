# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Views of services without the secrets that somebody may have put into them. Pure functions.

Who made a cache by hand may have given it a key in the environment, in a command, or in the options of a volume.
"""

from __future__ import annotations

import re
import typing as t

from ..common.redaction import BLANK, HIDDEN, SECRET_NAME, comparable, holds_credential, printable, redacted
from .views import View

# Names of Docker's objects, which no secret is.
_NAMES = ("configs", "secrets")
# Parts of a view that are words of a command, or hold some.
_COMMANDS = ("entrypoint", "command", "healthcheck")
# --password VALUE, and -u USER:VALUE as curl takes it, in a line for a shell.
_FLAG = re.compile(rf"--?[\w-]{{0,40}}{SECRET_NAME}", re.IGNORECASE)
_AFTER_FLAG = re.compile(rf"(?<!\S)({_FLAG.pattern}\s+)[^\s-]\S*", re.IGNORECASE)
_AFTER_USER = re.compile(r"(?<!\S)((?:-u|--user|--proxy-user)[\s=]{1,4}[\"']?[^\s\"':]+:)[^\s\"']+")

_QUERY = re.compile(r"\?[^\s\"'<>]*")


def comparable_sides(before: View, after: View) -> tuple[View, View]:
    """Two views as a diff may show them. A word says where another secret takes the place of one."""
    return _beside(before, {}), _beside(after, before)


def without_credentials(view: View) -> View:
    """A view with a word in the place of what is a credential by its name, or looks like one in a command."""
    return {key: value if key in _NAMES else _hidden((key,), value) for key, value in view.items()}


def carries_secret(words: t.Sequence[str]) -> bool:
    """Whether the words of a command give something a password or a token. What a query asks for may be anything."""
    asked = [printable(_QUERY.sub("", word)).strip() for word in words]
    return any(redacted(left, longest=len(left)) != word for word, left in zip(asked, _blanked(_COMMANDS[:1], asked)))


def _beside(view: View, other: View) -> View:
    return {
        key: value if key in _NAMES else comparable(_blanked((key,), value), _blanked((key,), other.get(key)), (key,))
        for key, value in view.items()
    }


def _hidden(path: tuple[str, ...], value: t.Any) -> t.Any:
    if isinstance(value, dict):
        return {key: _hidden((*path, str(key)), item) for key, item in value.items()}
    if isinstance(value, list):
        pairs = zip(value, _blanked(path, value))
        return [HIDDEN if blanked != item else _hidden(path, item) for item, blanked in pairs]
    is_line = path[0] in _COMMANDS and isinstance(value, str)
    return HIDDEN if holds_credential(path, value) or (is_line and redacted(_line(value)) != value) else value


def _blanked(path: tuple[str, ...], value: t.Any) -> t.Any:
    """The value without what a flag names as a secret, in the words of commands."""
    if path[0] not in _COMMANDS:
        return value
    if isinstance(value, dict):
        return {key: _blanked(path, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_word(str(before), str(item)) for before, item in zip(("", *value), value)]
    return _line(value) if isinstance(value, str) else value


def _word(before: str, word: str) -> str:
    """A word of a command, after another one."""
    if _FLAG.fullmatch(before) and not word.startswith("-"):
        return BLANK
    return _line(f"{before} {word}")[len(before) + 1 :] if before in ("-u", "--user", "--proxy-user") else _line(word)


def _line(text: str) -> str:
    return _AFTER_USER.sub(rf"\1{BLANK}", _AFTER_FLAG.sub(rf"\1{BLANK}", text))
