# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of a cache as the text of a file for Ansible's C(host_vars). Pure functions."""

from __future__ import annotations

import textwrap
import typing as t

import yaml

from ...module_utils.common.redaction import printable
from ..settings.reader import PREFIX
from .draft import Draft, Vaulted

_WIDTH = 118
# What Ansible would take for a template.
_TEMPLATES = ("{{", "{%", "{#")


class _Unsafe(str):
    """Text that is no template, whatever it looks like."""


class _Dumper(yaml.SafeDumper):
    """Sequences are indented, as ansible-lint wants them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 (the library's)
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: t.Any) -> bool:  # noqa: ARG002 (the library's)
        return True


_Dumper.add_representer(
    Vaulted, lambda dumper, name: dumper.represent_scalar("tag:yaml.org,2002:str", name.template, style='"')
)
_Dumper.add_representer(_Unsafe, lambda dumper, text: dumper.represent_scalar("!unsafe", str(text), style="'"))


def document(draft: Draft, about: t.Sequence[str]) -> str:
    """The whole file.

    Args:
        draft: The variables.
        about: What stands at the top, a sentence a line; those that begin with a dash are items of a list.
    """
    lines = [line for sentence in about for line in _comment(sentence)]
    lines.append("---")
    stands_apart = False
    for name in draft.ordered():
        comment = [line for sentence in draft.comments.get(name, []) for line in _comment(sentence)]
        # A variable with a comment stands apart, so that the comment is not taken for that of another one.
        is_of_the_last = name in draft.asked and not comment
        lines += [""] if comment or (stands_apart and not is_of_the_last) else []
        lines += comment
        stands_apart = bool(comment) or (stands_apart and is_of_the_last)
        if name in draft.values:
            lines += dumped({PREFIX + name: _marked(draft.values[name])}).splitlines()
        else:
            lines += [f"# {PREFIX}{name}: {printable(draft.asked[name])}"]
    return "\n".join(lines) + "\n"


def vaulted_names(value: t.Any) -> list[str]:
    """The variables that hold the secrets of a value, in order."""
    if isinstance(value, Vaulted):
        return [str(value)]
    if isinstance(value, dict):
        return [name for item in value.values() for name in vaulted_names(item)]
    return [name for item in value for name in vaulted_names(item)] if isinstance(value, list) else []


def dumped(value: t.Any) -> str:
    """A value as the file has it."""
    return yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True, width=_WIDTH - 8
    )


def _marked(value: t.Any) -> t.Any:
    if isinstance(value, Vaulted):
        return value
    if isinstance(value, str):
        return _Unsafe(value) if any(mark in value for mark in _TEMPLATES) else str(value)
    if isinstance(value, dict):
        return {key: _marked(item) for key, item in value.items()}
    return [_marked(item) for item in value] if isinstance(value, list) else value


def _comment(sentence: str) -> list[str]:
    """The lines of a comment. Names in it are whatever somebody chose, and YAML takes no control characters."""
    sentence = printable(sentence)
    indent = "  " if sentence.startswith("- ") else ""
    if not sentence:
        return ["#"]
    # Commands stand on one line, however long.
    if sentence.startswith("  "):
        return [f"# {sentence}"]
    return [f"# {line}" for line in textwrap.wrap(sentence, _WIDTH - 2, subsequent_indent=indent)]
