# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text of other programs, and settings of people, without the secrets that may be in them, fit to be shown."""

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
_LONGEST_NAME = 500


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
    return redacted(value, longest=_LONGEST_NAME)
