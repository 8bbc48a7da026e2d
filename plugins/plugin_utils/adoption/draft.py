# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables that describe a cache which runs, while they are gathered, with what is to be said of each."""

from __future__ import annotations

import typing as t

from ...module_utils.common.redaction import printable
from ..settings.reader import PREFIX

Live = t.Mapping[str, t.Any]
"""One of the C(caches) that M(dtr.cache.live_caches_info) returns."""


class Vaulted(str):
    """The name of a variable that is to hold a secret, in the place of the secret."""

    __slots__ = ()

    @property
    def template(self) -> str:
        return f"{{{{ {self} }}}}"


class Draft:
    """The variables by their names without the prefix.

    Args:
        defaults: The vocabulary with its defaults.
        given: What the host has of it already, from wherever.
    """

    def __init__(self, defaults: t.Mapping[str, t.Any], given: t.Mapping[str, t.Any]) -> None:
        self._defaults = defaults
        self._given = given
        self.values: dict[str, t.Any] = {}
        self.known: dict[str, t.Any] = {}
        self.comments: dict[str, list[str]] = {}
        self.asked: dict[str, str] = {}
        self.notes: list[str] = []

    def set(self, name: str, value: t.Any, *comment: str) -> None:
        """The cache is so, and the variable says it."""
        self.values[name] = value
        self.comments[name] = list(comment)

    def set_unless_default(self, name: str, value: t.Any, *comment: str) -> None:
        """The same where the default says something else, or another value is given that this one has to undo."""
        if PREFIX + name in self._given or value != self._defaults.get(PREFIX + name):
            self.set(name, value, *comment)

    def know(self, name: str, value: t.Any) -> None:
        """A deployment reads it from where this run has read it, so the file does not say it again."""
        self.known[name] = value

    def ask(self, name: str, example: str, *comment: str) -> None:
        """Nobody can know it but the user. The file says so in a comment, with an example."""
        self.asked[name] = example
        self.comments[name] = list(comment)

    def note(self, sentence: str) -> None:
        """Something of the cache that no variable keeps, or that the user should know."""
        shown = printable(sentence)
        if shown not in self.notes:
            self.notes.append(shown)

    def ordered(self) -> list[str]:
        """All names that the file has, in the order of the vocabulary."""
        names = {*self.values, *self.asked}
        return [name for name in (each.removeprefix(PREFIX) for each in self._defaults) if name in names]

    def given(self, name: str) -> t.Any:
        """What the host has of a variable already; None where it has nothing."""
        return self._given.get(PREFIX + name)

    @property
    def defaults(self) -> t.Mapping[str, t.Any]:
        return self._defaults
