# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text of other programs without the secrets that may be in it, fit to be shown."""

from __future__ import annotations

import re
import typing as t

BLANK = "***"
# What is read of one text: a registry's line is far shorter, and nothing of the rest would be shown.
_LONGEST = 8192

# What stands before it in a longer name does not matter; a bound keeps hostile text from taking long.
SECRET_NAME = (
    r"(?:pass(?:wor[dt]|wd|phrase)?|secret|token|credential|authorization|cookie|signature|api[_-]?key|private_?key"
    r"|access[_-]?key|account[_-]?key|licen[cs]e[_-]?key|encrypt\w{0,20}key)[\w-]{0,40}"
)
# A value as logfmt, JSON (also quoted once more), YAML, a header or the command line have it.
_VALUE = r"(?:\\*\"(?:\\.|[^\"\\])*(?:\\?\"|$)|'[^']*(?:'|$)|[^\s,;&\"'}\]]*[^\s,;&\"'}\])])"
# A list or a mapping: all of it is a value, and its brackets stay.
_LIST = r"([\[({])[^\])}]*"
_SEPARATOR = r"\\*[\"']?\s{0,4}[=:]\s{0,4}"
_HEADER = r"(?:proxy-)?authorization|(?:set-)?cookie|x-registry-auth"
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    # Keys and certificates: line breaks may be escaped, and the end may be cut off.
    (re.compile(r"-----BEGIN [A-Z ]*-----.*?(?:-----END [A-Z ]*-----|$)", re.DOTALL), BLANK),
    # Headers whose whole value is a secret, and what stands after a scheme of one without its name.
    (re.compile(rf"\b({_HEADER})({_SEPARATOR}).*", re.IGNORECASE), r"\1\2" + BLANK),
    (re.compile(r"\b(basic|bearer)\s+(?!realm=)[^\s\"',\\]*[^\s\"',\\)\]}]", re.IGNORECASE), r"\1 " + BLANK),
    # Query strings: DTR's redirects are signed there, so are those of object stores.
    (re.compile(r"\?[^\s\"'<>\\]*[^\s\"'<>\\)\]}]"), "?" + BLANK),
    (re.compile(r"(?<=://)[^\s@\"']+@"), BLANK + "@"),
    (re.compile(rf"({SECRET_NAME})({_SEPARATOR}){_LIST}", re.IGNORECASE), r"\1\2\3" + BLANK),
    (re.compile(rf"({SECRET_NAME})({_SEPARATOR})(?![\[({{]){_VALUE}", re.IGNORECASE), r"\1\2" + BLANK),
    # Tokens (three parts in base64) and key ids of object stores, wherever they stand.
    (re.compile(r"\beyJ[\w-]{8,}(?:\.[\w-]*){0,2}"), BLANK),
    (re.compile(r"\b(?:A3T|AKIA|ASIA|AROA|AIDA|LTAI|GOOG1)[A-Z0-9a-z]{12,}\b"), BLANK),
)
_LONG_WORD = re.compile(r"[A-Za-z0-9+/=_-]{32,}")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")


def printable(text: str) -> str:
    """The text without what a terminal would obey: servers and certificates say what they like."""
    return _UNPRINTABLE.sub(" ", text)


def writable(value: t.Any) -> t.Any:
    """A result without halves of pairs, which servers and inventories may have, and no terminal or file takes."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {writable(key): writable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [writable(item) for item in value]
    return value


def redacted(text: str, *, longest: int = 500) -> str:
    """The text on one line, printable, with every secret blanked, and not longer than C(longest)."""
    text = text[:_LONGEST]
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    text = _LONG_WORD.sub(_long_word, text)
    text = printable(text).strip()
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _long_word(match: re.Match[str]) -> str:
    """A long word of small and capital letters and digits is a key; paths, digests and ids are not written so."""
    word = match[0]
    if not word.startswith("/"):
        return BLANK if _is_mixed(word) else word
    return "/".join(BLANK if len(part) >= 20 and _is_mixed(part) else part for part in word.split("/"))


def _is_mixed(word: str) -> bool:
    tests: tuple[t.Callable[[str], bool], ...] = (str.islower, str.isupper, str.isdigit)
    return all(any(test(letter) for letter in word) for test in tests)
