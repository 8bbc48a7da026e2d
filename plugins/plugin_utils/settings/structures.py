# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mappings and lists as Ansible has them, or as the JSON or YAML text that a survey gives. Pure functions."""

from __future__ import annotations

import collections.abc
import json
import math
import re
import typing as t

import yaml

from ...module_utils.common.failure import Failure
from ...module_utils.common.names import shown_with_why

_CLoader: t.Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# An IPv6 address in brackets is no list.
_ADDRESS = re.compile(r"\[[0-9A-Fa-f]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*(%[^\]]*)?\]")
# What every reader takes for the same number; YAML 1.1 has 010 for 8 and 1:30 for 90.
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
# Besides true and false, which read the same everywhere.
_WORDS_FOR_SWITCHES = ("yes", "no", "on", "off")
_NOT_TEXT = re.compile("[\0\ud800-\udfff]")
_STRUCTURE = re.compile(r"[\[{]|-\s|---\s")
_FIRST_KEY = re.compile(r"[\"']?\w+[\"']?[ \t]*:(\s|$)")


def plain(value: t.Any) -> t.Any:
    """The same without the types by which ansible-core marks where a value came from: YAML cannot represent them.

    The order of keys says nothing in JSON and in YAML, and a deployment must not follow it, so they are in one order.

    Raises:
        Failure: C(INVALID_INPUT) for what no variable can hold, such as a date or a key that is not text.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _sound(str(value))
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, collections.abc.Mapping):
        found = {_key(key): plain(item) for key, item in value.items()}
        return {key: found[key] for key in sorted(found)}
    if isinstance(value, float) and not math.isfinite(value):
        _no_number("")
    for kind in (int, float):
        if isinstance(value, kind):
            return kind(value)
    name = type(value).__name__.removeprefix("_AnsibleTagged").lower()
    raise _invalid(f"holds a value of the kind {name}; put it in quotes to make it text")


def is_structure(text: str) -> bool:
    """Whether a text that may also be a plain one is meant as a list or a mapping in JSON or YAML."""
    return bool(_STRUCTURE.match(text) or _FIRST_KEY.match(text)) and not _ADDRESS.match(text)


def parsed(text: str) -> t.Any:
    """What a text in JSON or YAML says.

    Raises:
        Failure: C(INVALID_INPUT), which names the place of the mistake and shows nothing of the text.
    """
    try:
        return plain(json.loads(text, object_pairs_hook=_unique, parse_float=_decimal, parse_constant=_no_number))
    except ValueError:
        pass  # perhaps it is YAML
    except RecursionError:
        raise _invalid("is nested too deeply") from None
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, _CLoader)):
            raise _invalid("must not use YAML's aliases (*name) in text")
        return plain(yaml.load(text, Loader=_Loader))  # noqa: S506 (a safe one)
    except (yaml.YAMLError, ValueError) as error:
        raise _invalid(f"is neither JSON nor YAML that can be read{_place(error, text)}") from None
    except RecursionError:
        raise _invalid("is nested too deeply") from None


def parsed_texts(text: str) -> t.Any:
    """The same for what consists of texts, where YAML would make C(false) of C(no).

    Raises:
        Failure: C(INVALID_INPUT).
    """
    found = parsed(text)
    for event in yaml.parse(text, _CLoader):
        if isinstance(event, yaml.ScalarEvent) and event.implicit[0] and event.value.lower() in _WORDS_FOR_SWITCHES:
            raise _invalid(f"has {event.value} without quotes, which YAML changes to true or false; put it in quotes")
    return found


def as_text(value: t.Any) -> str:
    """A single value as YAML writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def as_items(value: t.Any) -> list[str]:
    """A list of texts from a list, from text with commas or line breaks or in JSON or YAML, or from nothing.

    Raises:
        Failure: C(INVALID_INPUT) for anything else.
    """
    return [text for text in map(_item, entries(value)) if text]


def entries(value: t.Any) -> list[t.Any]:
    """The entries of a list, which may be mappings, from the same forms; a mapping alone is a list of one.

    Raises:
        Failure: C(INVALID_INPUT).
    """
    value = plain(value)
    if isinstance(value, str):
        text = value.strip()
        value = parsed(text) if is_structure(text) else [item.strip() for item in re.split(r"[,\n]", text)]
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def _item(value: t.Any) -> str:
    if isinstance(value, (dict, list)):
        raise _invalid("must be a list of texts")
    if problem := shown_with_why(value):
        raise _invalid(problem)
    return str(value).strip()


def _key(key: t.Any) -> str:
    if not isinstance(key, str):
        raise _invalid(f"has the key {key!r}, which is not text; put it in quotes")
    return _sound(str(key))


def _sound(text: str) -> str:
    """A text that can be written to a file: without NUL and halves of characters."""
    if _NOT_TEXT.search(text):
        raise _invalid("holds a byte that is not text")
    return text


def _place(error: Exception, text: str) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark and mark.line > text.count("\n"):
        return ": something is missing at its end"
    if mark:
        return f": line {mark.line + 1}, column {mark.column + 1}"
    return f": character {error.position + 1}" if isinstance(error, yaml.reader.ReaderError) else ""


def _unique(pairs: list[tuple[str, t.Any]]) -> dict[str, t.Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _invalid("names a key twice")
    return found


def _decimal(text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise _invalid("holds a number in another form than 1 or 1.5; put it in quotes, or write it out")
    return float(text)


def _no_number(_name: str) -> t.NoReturn:
    raise _invalid("holds a number that is none, such as NaN")


def _invalid(sentence: str) -> Failure:
    return Failure("INVALID_INPUT", sentence)


class _Loader(_CLoader):
    """Refuses a key that stands twice, of which YAML would keep the last, and a number that is not what it seems."""

    def construct_mapping(self, node: t.Any, deep: bool = False) -> t.Any:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        keys = [key.value for key, _value in pairs if isinstance(key, yaml.ScalarNode)]
        if len(set(keys)) < len(keys):
            raise _invalid("names a key twice")
        return super().construct_mapping(node, deep=deep)

    def construct_number(self, node: t.Any) -> t.Any:
        text = str(self.construct_scalar(node))
        if not _NUMBER.fullmatch(text):
            raise _invalid(
                f"line {node.start_mark.line + 1}, column {node.start_mark.column + 1} is a number in a form that YAML "
                "changes, such as 0123, 1_000, 1:30 or 0x1F; put it in quotes"
            )
        return float(text) if "." in text else int(text)


for _kind in ("int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", _Loader.construct_number)
