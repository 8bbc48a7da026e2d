# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all modules have in common where they meet Ansible: how they end, in success and in failure."""

from __future__ import annotations

import os
import re
import traceback
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..common.failure import Failure
from ..common.names import bounded
from ..common.redaction import printable, writable

# Options that hold an address, also one without a scheme.
_ADDRESSES = ("url", "host")
_OWN_ADDRESS = "url"


class Module:
    """What a module's work sees of Ansible, and how every module ends: failures carry C(failure), secrets are hidden.

    It stands before a class that has C(AnsibleModule)'s face.
    """

    argument_spec: dict[str, t.Any]
    params: dict[str, t.Any]
    check_mode: bool
    no_log_values: set[str]
    _diff: bool
    _verbosity: int

    @property
    def is_verbose(self) -> bool:
        """Whether somebody wants to see long lists whole."""
        return self._verbosity > 0

    def fail_json(self, msg: str, **result: t.Any) -> None:
        """End in failure. What ansible-core calls this with is about the options."""
        self._hide_secrets()
        result_of_failure = Failure("INVALID_INPUT", str(msg)).as_result()
        told = writable({"failure": result_of_failure["failure"], **result})
        super().fail_json(writable(msg), **told)  # type: ignore[misc]

    def warn(self, warning: str, **options: t.Any) -> None:
        """Warn; Ansible hands the text to the terminal as it is."""
        super().warn(printable(warning), **options)  # type: ignore[misc]

    def deprecate(
        self, msg: str, version: str | None = None, date: str | None = None, collection_name: str | None = None
    ) -> None:
        """Warn that something will be removed."""
        super().deprecate(printable(msg), version, date, collection_name)  # type: ignore[misc]

    def exit_json(self, **result: t.Any) -> None:
        """End in success."""
        self._hide_secrets()
        super().exit_json(**writable(result))  # type: ignore[misc]

    def has_answered(self, server: str) -> bool:  # noqa: ARG002 (only Ansible's own process remembers)
        """Whether a server is known to have answered in this run, so that one that refuses may be starting again."""
        return False

    def note_answered(self, server: str) -> None:
        """Remember for the rest of the run that a server answered."""

    def _hide_secrets(self) -> None:
        """Ansible can show how a module was called."""
        # An option of a wrong type ends ansible-core's own search for secrets, and all of them would be shown.
        secret = (name for name, option in self.argument_spec.items() if option.get("no_log"))
        self.no_log_values.update(value for value in map(self.params.get, secret) if isinstance(value, str) and value)
        # Where passwords do not belong they are refused, and hidden all the same.
        self.no_log_values.update(passwords_in_urls(self.params))


class SentModule(Module, AnsibleModule):
    """A module as Ansible sends it to a host, in a process of its own."""


def run_to_end(module: Module, work: t.Callable[[], dict[str, t.Any]]) -> None:
    """Do a module's work and end it with the result, or with the one failure that came of it."""
    try:
        result = work()
    except Failure as failure:
        result = failure.as_result()
        # Ansible shows all of it, where nobody could find the sentence among ten thousand accounts.
        module.fail_json(**(result if module.is_verbose else bounded(result)))
    except Exception as error:  # noqa: BLE001 (nobody below foresaw it, and an operator is not to see a traceback)
        module.fail_json(**unforeseen(error).as_result())
    module.exit_json(**result)


def unforeseen(error: Exception) -> Failure:
    """An error that is a mistake of the collection. Its own words are left out: nobody knows what they repeat."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{os.path.basename(frame.filename)}, line {frame.lineno}"
    return Failure(
        "INTERNAL",
        f"The module met an error that it did not expect: {type(error).__name__} in {place}.",
        hint="Please report it, with this sentence and the versions of dtr.cache, ansible-core and Python.",
    )


def passwords_in_urls(params: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    """What stands before an C(@) in options that are addresses, or that look like one: a password, or a token alone.

    Of the address of DTR, whose password it is, that is the word alone. Of any other address it is the word as it
    stands there: somebody may have registered a cache with the name of a region in such a place, and a word like that
    is everywhere in what servers say.
    """
    for name, value in params.items():
        for information in _user_information(value, name):
            user, colon, password = information.partition(":")
            if password or (user and not colon):
                yield (password or user) if name == _OWN_ADDRESS else f"{information}@"


def _user_information(value: t.Any, name: str) -> t.Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _user_information(item, str(key))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _user_information(item, name)
    elif isinstance(value, str):
        pattern = r"^(?:[a-z][a-z0-9+.-]*://)?(.*)@" if name in _ADDRESSES else r"[a-z][a-z0-9+.-]*://(\S*)@"
        yield from re.findall(pattern, value.strip(), re.IGNORECASE)
