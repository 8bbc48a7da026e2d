# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads single variables, typed, and collects everything that is wrong with them."""

from __future__ import annotations

import difflib
import typing as t

from ...module_utils.common.failure import Failure
from ...module_utils.x509 import certificates, pem
from . import values
from .credentials import may_be_shown
from .structures import is_structure, parsed, plain

PREFIX = "dtr_cache_"
# Of these only line breaks at the ends go.
_EXACT = ("registry_password",)
# May be a private key, whatever else they look like.
_KEYS = ("private_key", "registry_client_cert", "registry_client_key")

# YAML's words for nothing, which are a name where they come as text.
_NULLS = ("null", "Null", "NULL", "~")

# What a path of the control node leads to.
FILE, FOLDER, MISSING, OTHER = "file", "folder", "missing", "other"


class ControlNode(t.NamedTuple):
    """What the reading asks of the machine that it runs on."""

    read: t.Callable[[str], bytes]  # the content of a file; raises Failure whose message says why that failed
    locate: t.Callable[[str], str]  # the absolute path of one that the user wrote
    kind: t.Callable[[str], str]  # FILE, FOLDER, MISSING or OTHER
    foreign: t.Callable[[str], str]  # why another user decides what a path leads to, in words; empty where none does


class Reader:
    """The variables of one cache.

    Args:
        variables: What the user gave, templated.
        defaults: What holds for a variable that is not given, or given empty.
        control_node: Where files are.
    """

    def __init__(
        self, variables: t.Mapping[str, t.Any], defaults: t.Mapping[str, t.Any], control_node: ControlNode
    ) -> None:
        self._variables = variables
        self._defaults = defaults
        self._problems: list[tuple[int, str]] = []
        self._order = {name: number for number, name in enumerate(defaults)}
        self.control_node = control_node

    @property
    def problems(self) -> list[str]:
        """One sentence a problem, in the order of the vocabulary."""
        return [sentence for _place, sentence in sorted(self._problems, key=lambda problem: problem[0])]

    def problem(self, name: str, sentence: str) -> None:
        name = name if name.startswith(PREFIX) else PREFIX + name
        self._problems.append((self._order.get(name, -1), f"{name}: {sentence}"))

    def raw(self, name: str) -> t.Any:
        """The plain value, without white space around a text, or None where there is none."""
        for source in (self._variables, self._defaults):
            try:
                value = plain(source.get(PREFIX + name))
            except Failure as failure:
                self.problem(name, failure.message)
                return None
            if isinstance(value, str) and value.strip() in _NULLS:
                self.problem(name, "is the text null; leave the variable out or empty for not set")
                return None
            if values.is_set(value):
                return value.strip("\r\n" if name in _EXACT else None) if isinstance(value, str) else value
        return None

    def value(self, name: str, kind: values.Kind, otherwise: t.Any, required: str = "") -> t.Any:
        """A variable of some kind, or C(otherwise) where it is not set or wrong.

        Args:
            required: What has to be given, where the variable has to be set.
        """
        value = self.raw(name)
        if value is None:
            if required and not self.is_reported(name):
                self.problem(name, f"is required: {required}")
            return otherwise
        return self.checked(name, kind, value, otherwise)

    def checked(self, name: str, kind: values.Kind, value: t.Any, otherwise: t.Any, prefix: str = "") -> t.Any:
        """The same for a value in hand, such as one of the entries of a variable."""
        try:
            return kind(value)
        except Failure as failure:
            self.problem(name, prefix + failure.message.rstrip("."))
            return otherwise

    def text(self, name: str, required: str = "") -> str:
        """Text on one line."""
        return str(self.value(name, values.line, "", required))

    def switch(self, name: str) -> bool:
        return bool(self.value(name, values.switch, values.switch(self._defaults[PREFIX + name])))

    def whole(self, name: str, low: int, high: int) -> int | None:
        return t.cast("int | None", self.value(name, values.whole(low, high), self._defaults[PREFIX + name]))

    def choice(self, name: str, choices: t.Iterable[str]) -> str:
        return str(self.value(name, values.one_of(*choices), self._defaults[PREFIX + name]))

    def items(self, name: str, required: str = "") -> list[str]:
        """A list, also given as text with commas or line breaks (surveys know no lists), or as JSON or YAML."""
        found = self.value(name, values.items, [], required)
        if required and not found and not self.is_reported(name):
            self.problem(name, f"is required: {required}")
        return list(found)

    def mapping(self, name: str, parse: values.Kind = parsed) -> dict[str, t.Any]:
        """A mapping, also as JSON or YAML text."""
        value = self.raw(name)
        if value is None:
            return {}
        value = self.checked(name, parse, value, {}) if isinstance(value, str) else value
        return dict(self.checked(name, values.mapping, {} if value is None else value, {}))

    def structure(self, name: str) -> t.Any:
        """What may be text or a mapping: text that is meant as JSON or YAML becomes what it says."""
        value = self.raw(name)
        return self.checked(name, parsed, value, None) if isinstance(value, str) and is_structure(value) else value

    def known(self, name: str, given: t.Any, kinds: t.Mapping[str, values.Kind], prefix: str = "") -> dict[str, t.Any]:
        """The known keys of a mapping, each as its kind gives it. One without a value counts as not set.

        Whoever gets the others, and values of another kind, would refuse them when half of the deployment is done, or
        not notice.
        """
        given = self.checked(name, values.mapping, {} if given is None else given, {}, prefix and f"{prefix[:-1]} ")
        for key in sorted(set(given) - set(kinds)):
            similar = difflib.get_close_matches(key, kinds, n=1)
            there = f"did you mean {similar[0]}?" if similar else f"there are {', '.join(kinds) or 'none'}"
            self.problem(name, f"{prefix}{values.shown(key)} is unknown; {there}")
        read = {
            key: self.checked(name, kind, given[key], None, f"{prefix}{key}: ")
            for key, kind in kinds.items()
            if values.is_set(given.get(key))
        }
        return {key: value for key, value in read.items() if value is not None}

    def part(self, name: str, prefix: str, kinds: t.Mapping[str, values.Kind]) -> values.Kind:
        """The kind of a mapping inside of a variable's, whose problems are collected as those of the variable."""
        return lambda given: self.known(name, parsed(given) if isinstance(given, str) else given, kinds, prefix)

    def pem(self, name: str, value: str) -> str | bytes | None:
        """A PEM text, given itself or as a path on the control node; whoever parses it says what is wrong with it."""
        if pem.has_pem(value):
            return value
        if value.startswith("$ANSIBLE_VAULT"):
            self.problem(name, "is vaulted text as it is; write it behind !vault |, or give the path of a vaulted file")
            return None
        if "$" in value:
            self.problem(name, "has a $, and environment variables are not expanded; write the path itself")
            return None
        try:
            content = self.control_node.read(values.line(value))
        except Failure as failure:
            self.problem(name, self._unread(name, value, failure.message))
            return None
        text = content.replace(b"\0", b"").decode("latin-1")  # of UTF-16 as well
        if not pem.has_pem(text):
            self.problem(name, pem.not_pem(content, is_key=name.endswith("_key")))
            return None
        return content

    def _unread(self, name: str, value: str, reason: str) -> str:
        if pem.is_base64(value):
            return "is base64 without BEGIN and END lines; give the whole PEM text, or a path"
        # What is no path may be the key itself in another notation.
        is_file = value.isprintable() and self.control_node.kind(self.control_node.locate(value)) == FILE
        if not is_file and (name in _KEYS or not value.isprintable() or not may_be_shown(value)):
            return "is neither PEM text nor a file of the control node that can be read"
        return f"{value} cannot be read on the control node: {reason}"

    def certificates(self, name: str, value: str) -> list[t.Any]:
        """The certificates of a PEM text or a file, none where it is wrong."""
        content = self.pem(name, value) if value else None
        return list(self.checked(name, certificates.load_certificates, content, [])) if content else []

    def is_reported(self, name: str) -> bool:
        """Whether a problem of the variable is known already."""
        return any(sentence.startswith(f"{PREFIX}{name}: ") for _place, sentence in self._problems)
