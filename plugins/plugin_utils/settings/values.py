# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single values: the kinds of them, and what is said where one is something else. Pure functions.

Each takes a plain value that is set and gives it typed, or raises C(Failure) with a sentence that goes on after the
name of what holds it.
"""

from __future__ import annotations

import re
import typing as t
from decimal import Decimal

import yaml

from ...module_utils.common.failure import Failure
from ...module_utils.common.names import why_no_name
from ...module_utils.swarm.compose import byte_size, duration
from .credentials import may_be_shown
from .structures import as_items, as_text

_SWITCH = re.compile(r"[yYnN]")
_NUMBER = re.compile(
    r"[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+|(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)"
)
# Go's newer library takes these for dates; so does PyYAML, but for single digits.
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ][0-9:.TtZz +-]*)?")
_PYYAML = yaml.resolver.Resolver()


def is_misread(text: str) -> bool:
    """Whether Go's YAML reads something else than a text, where PyYAML writes it."""
    return _is_more_to_go(text) and _PYYAML.resolve(yaml.ScalarNode, text, (True, False)).endswith(":str")


def _is_more_to_go(text: str) -> bool:
    if _SWITCH.fullmatch(text) or _DATE.fullmatch(text):
        return True
    # An underline parts digits, and Go leaves it out wherever it stands.
    return text[:1] in tuple("+-.0123456789") and _NUMBER.fullmatch(text.replace("_", "")) is not None


Kind = t.Callable[[t.Any], t.Any]

SWITCHES = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# Docker and the registry count bytes, and billionths of seconds and of processors, in 64 bits.
_LARGEST = 2**63 - 1
_LONGEST_NUMBER = 40
_WHOLE = re.compile(r"0|[1-9][0-9]{0,17}")
_PROCESSORS = re.compile(r"[0-9]+(\.[0-9]+)?|\.[0-9]+")
_PLACEHOLDER = re.compile(r"\{\{\s*\.(Node\.(Hostname|ID)|Service\.(Name|ID)|Task\.(Name|ID|Slot))\s*\}\}")
_RATIO = re.compile(r"0?\.[0-9]+|[01](\.0+)?")


def invalid(sentence: str) -> Failure:
    return Failure("INVALID_INPUT", sentence)


def quoted(value: t.Any) -> str:
    """A wrong value as a problem shows it, if it may be shown."""
    text = as_text(value)
    return repr(text) if may_be_shown(text) else "what is given"


def shown(text: str) -> str:
    """The same without quotes, for a name or a list of them."""
    return text if may_be_shown(text) else "what is given"


def is_set(value: t.Any) -> bool:
    """Whether a value is given. Surveys have only an empty answer for what is not."""
    return value is not None and not (isinstance(value, str) and not value.strip())


def scalar(value: t.Any) -> str:
    """Text or a number as text; also what was meant as a switch."""
    if isinstance(value, (dict, list)):
        raise invalid("must be text")
    return as_text(value).strip()


def block(value: t.Any) -> str:
    """Text of any number of lines."""
    if problem := why_no_name(value):
        raise invalid(problem)
    return str(value).strip()


def line(value: t.Any) -> str:
    """Text on one line."""
    text = block(value)
    if _CONTROL.search(text):
        raise invalid("must be one line of text without control characters")
    return text


def switch(value: t.Any) -> bool:
    text = scalar(value).lower()
    if text not in SWITCHES:
        raise invalid(f"{quoted(text)} is neither true nor false")
    return SWITCHES[text]


def whole(low: int, high: int) -> Kind:
    def read(value: t.Any) -> int:
        text = scalar(value)
        if not _WHOLE.fullmatch(text) or not low <= int(text) <= high:
            raise invalid(f"{quoted(text)} is not a whole number from {low} to {high}")
        return int(text)

    return read


def count(value: t.Any) -> int:
    text = scalar(value)
    if not _WHOLE.fullmatch(text):
        raise invalid(f"{quoted(text)} is not a whole number")
    return int(text)


def one_of(*choices: str) -> Kind:
    def read(value: t.Any) -> str:
        text = scalar(value)
        if text not in choices:
            raise invalid(f"{quoted(text)} is none of {', '.join(choices)}")
        return text

    return read


def matching(pattern: str, meaning: str) -> Kind:
    """Text on one line that has a form, of which the meaning is said where it has not."""
    form = re.compile(pattern)

    def read(value: t.Any) -> str:
        text = line(value)
        if not form.fullmatch(text):
            raise invalid(f"{quoted(text)} is not {meaning}")
        return text

    return read


def processors(low: str, whose: str) -> Kind:
    def read(value: t.Any) -> str:
        text = scalar(value)
        if not _PROCESSORS.fullmatch(text) or len(text) > _LONGEST_NUMBER:
            raise invalid(f"{quoted(text)} is not a number of processors such as 0.5")
        amount = Decimal(text)
        if amount < Decimal(low):
            raise invalid(f"{text} is less than {low}, the least that {whose}")
        billionths = amount * 10**9
        if billionths != int(billionths) or billionths > _LARGEST:
            raise invalid(f"{text} has more digits than Docker counts, nine behind the point")
        return text

    return read


def memory(low: int, whose: str) -> Kind:
    def read(value: t.Any) -> str:
        text = scalar(value)
        size = byte_size(text) if len(text) <= _LONGEST_NUMBER else _LARGEST + 1
        if size is None or size < low:
            raise invalid(f"{text} is less than {low // 2**20}M, the least that {whose}")
        if size > _LARGEST:
            raise invalid(f"{quoted(text)} is more than Docker can count")
        return text

    return read


def time(value: t.Any) -> str:
    text = scalar(value)
    if re.fullmatch(r"[0-9]+", text):
        raise invalid(f"{quoted(text)} has no unit; write for example {'5' if len(text) > 9 else text}s")
    if len(text) > _LONGEST_NUMBER or (duration(text) or 0) > _LARGEST:
        raise invalid(f"{quoted(text)} is longer than 292 years, which is as far as Docker and the cache count")
    return text


def ratio(value: t.Any) -> float:
    text = scalar(value)
    if not _RATIO.fullmatch(text):
        raise invalid(f"{quoted(text)} is not a number from 0 to 1")
    return float(text)


def items(value: t.Any) -> list[str]:
    """A list of single lines, also given as text."""
    found = as_items(value)
    for item in found:
        line(item)
    return found


def mapping(value: t.Any) -> dict[str, t.Any]:
    if not isinstance(value, dict):
        raise invalid("must be a mapping of keys to values")
    return value


def key_of_docker(text: str) -> str:
    """The name of a key in C(docker-stack.yml)."""
    if is_misread(text):
        raise invalid(f"{quoted(text)} as a name would be a number or a truth value to Docker; choose another one")
    return text


def without_template(text: str) -> str:
    """A text that Swarm does not take for a template that it cannot fill in, which it would refuse half-way."""
    if "{{" in _PLACEHOLDER.sub("", text):
        raise invalid(
            "has {{, which begins a template of Swarm's; of those, .Node.Hostname, .Node.ID, .Service.Name, "
            ".Service.ID, .Task.Name, .Task.ID and .Task.Slot may be used"
        )
    return text


def texts(value: t.Any) -> dict[str, str]:
    """A mapping of keys to texts; a key without a value is left out."""
    found = {key: item for key, item in mapping(value).items() if item is not None}
    problems = [f"{shown(key)} must be text" for key, item in found.items() if isinstance(item, (dict, list))]
    problems += [f"{shown(key)} {why_no_name(item)}" for key, item in found.items() if isinstance(item, float)]
    if problems:
        raise invalid("; ".join(problems))
    return {key: as_text(item) for key, item in found.items()}
