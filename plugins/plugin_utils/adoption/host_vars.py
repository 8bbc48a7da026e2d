# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of a running cache: a draft, its reading as a deployment reads it, and the file for it."""

from __future__ import annotations

import datetime
import os
import re
import textwrap
import typing as t

import yaml

from ...module_utils.common.failure import Failure
from ...module_utils.common.files import foreign_words, write_whole
from ...module_utils.common.redaction import BLANK, printable, redacted
from ...module_utils.common.vocabulary import word
from ..settings.model import CACHE, SWARM, Settings
from ..settings.read import read_settings
from ..settings.reader import MISSING, PREFIX, ControlNode

STORAGE = "vault_dtr_cache_storage"
# Values in the place of secrets while the variables are read back.
_SECRET = "x" * 40
_CREDENTIALS = '{"type": "service_account"}'
# Files that the environment names are not written, so they are not read either.
_OF_THE_ENVIRONMENT = {f"{PREFIX}registry_{name}": None for name in ("ca", "client_cert", "client_key")}
_WIDTH = 118
# Ansible reads the first of these that exists.
_EXTENSIONS = ("", ".yml", ".yaml", ".json")
# Variables whose values are never secret.
_PUBLIC = frozenset(
    (
        *("name", "former_names", "host", "port", "public_port", "publish_mode", "metrics_port", "registry_url"),
        *("product", "version", "image", "nodes", "replicas", "stack_name", "former_stack_names", "blob_ttl"),
        *("upstreams", "assignments_exclusive"),
    )
)
_NAME = re.compile(r"([A-Za-z_][\w.-]{0,79}):(?:[ \t]|$)", re.ASCII)
_PUBLIC_VALUE = re.compile(r"(?:[A-Za-z_]\w*:|[ \t]*-)[ \t]+(?:[\w./@-][\w./:@-]*|\[[\w./, -]*\])", re.ASCII)


class VaultVariable(str):
    """The name of a variable that is to hold a secret."""

    __slots__ = ()


class Draft:
    """The variables by their names without the prefix.

    Args:
        defaults: All variables with their defaults.
        given: The variables that the host has already.
    """

    def __init__(self, defaults: t.Mapping[str, t.Any], given: t.Mapping[str, t.Any]) -> None:
        self.defaults = defaults
        self.given = {name.removeprefix(PREFIX): value for name, value in given.items()}
        self.values: dict[str, t.Any] = {}
        self.known: dict[str, t.Any] = {}  # not written: a deployment reads them from where this run read them
        self.comments: dict[str, list[str]] = {}
        self.asked: dict[str, str] = {}
        self.notes: list[str] = []

    def set(self, name: str, value: t.Any, *comment: str) -> None:
        """Set a variable to what the cache has."""
        self.values[name] = value
        self.comments[name] = list(comment)

    def set_unless_default(self, name: str, value: t.Any, *comment: str) -> None:
        """Set a variable that differs from its default, or that overrides a value which the host has."""
        if name in self.given or value != self.defaults.get(PREFIX + name):
            self.set(name, value, *comment)

    def ask(self, name: str, example: str, *comment: str) -> None:
        """Leave a variable to the user: the file has it in a comment, with an example."""
        self.asked[name] = example
        self.comments[name] = list(comment)

    def note(self, sentence: str) -> None:
        """Note something that no variable keeps, or that the user has to decide."""
        shown = printable(sentence)
        if shown not in self.notes:
            self.notes.append(shown)

    def names(self) -> list[str]:
        """Return all names of the file, in the order of the documentation."""
        own = {*self.values, *self.asked}
        return [name for name in (each.removeprefix(PREFIX) for each in self.defaults) if name in own]

    def vault_variables(self) -> list[str]:
        """Return the variables that are to hold secrets, in the order of the file."""
        return list(_vault_variables(self.values))

    def read(self, more: t.Mapping[str, t.Any] | None = None) -> tuple[Settings, list[str]]:
        """Read the variables as a deployment does; problems of what only the user knows are left out."""
        values = {**self.known, **self.values, **(more or {})}
        settings, problems = read_settings(
            {PREFIX + name: _filled(value) for name, value in values.items() if PREFIX + name in self.defaults},
            defaults={**self.defaults, **_OF_THE_ENVIRONMENT},
            needs=(CACHE, SWARM),
            control_node=ControlNode(_no_file, lambda path: path, lambda _path: MISSING, lambda _path: ""),
            now=datetime.datetime.now(datetime.timezone.utc),
        )
        asked = tuple(f"{PREFIX}{name}: is required" for name in self.asked)
        return settings, [problem for problem in problems if not problem.startswith(asked)]

    def refusals(self, name: str, value: t.Any) -> list[str]:
        """Return why a deployment would refuse a value of a variable."""
        start = f"{PREFIX}{name}: "
        _settings, problems = self.read({name: value})
        return [problem.removeprefix(start) for problem in problems if problem.startswith(start)]

    def text(self, about: t.Sequence[str]) -> str:
        """Return the whole file.

        Args:
            about: The sentences at its top; those that begin with a dash are items of a list.
        """
        lines = [line for sentence in about for line in _comment(sentence)]
        lines.append("---")
        is_apart = False
        for name in self.names():
            comment = [line for sentence in self.comments.get(name, []) for line in _comment(sentence)]
            # A blank line before and after, so that a comment is not taken for that of another variable.
            is_of_the_last = name in self.asked and not comment
            lines += [""] if comment or (is_apart and not is_of_the_last) else []
            lines += comment
            is_apart = bool(comment) or (is_apart and is_of_the_last)
            if name in self.values:
                lines += _dumped({PREFIX + name: _marked(self.values[name])}).splitlines()
            else:
                lines += [f"# {PREFIX}{name}: {printable(self.asked[name])}"]
        return "\n".join(lines) + "\n"


class WrittenFile(t.NamedTuple):
    """A file after it was written, or would have been in check mode."""

    path: str
    changed: bool
    diff: dict[str, str]  # in Ansible's form


def file_of_host(folder: str, host: str) -> str:
    """Return the file for the variables of a host: the one that Ansible reads, or one in the folder that it reads."""
    for extension in _EXTENSIONS:
        path = os.path.join(folder, host + extension)
        if os.path.isdir(path):
            return os.path.join(path, "dtr_cache.yml")
        if os.path.lexists(path):
            return path
    return os.path.join(folder, f"{host}.yml")


def write_file(path: str, text: str, *, overwrite: bool, check_mode: bool) -> WrittenFile:
    """Write a file, unless it has this text already.

    Raises:
        Failure: C(FILE_EXISTS) for another file that is not to be replaced; C(FOREIGN_FILE) for one that another user
            put there; C(UNREADABLE_FILE) or C(UNWRITABLE_FILE).
    """
    problem = foreign_words(os.path.abspath(path))
    if problem:
        raise Failure("FOREIGN_FILE", f"{path} is not written: {problem}.", hint="Nothing was written.")
    before = _content(path)
    changed = before != text
    if before is not None and changed and not overwrite:
        raise Failure(
            "FILE_EXISTS",
            f"{path} is there already and says something else, which would be lost.",
            hint=f"Set {word('adopt to')} to another folder, or {word('overwrite')} to replace it; with "
            "--check --diff that shows the difference first.",
        )
    if changed and not check_mode:
        _replace(path, text)
    diff = {"before_header": path, "after_header": path, "before": masked_file(before or "", text), "after": text}
    return WrittenFile(path, changed, diff)


def masked_file(before: str, after: str) -> str:
    """Return an edited file as a diff may show it, since it may hold any secret in any form.

    Lines of the new file and values of public variables are shown; of everything else only the names of variables.
    """
    if before == after:
        return before
    known = set(after.splitlines())
    try:
        yaml.compose(before, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        return "".join(f"{line if line in known or not line.strip() else BLANK}\n" for line in before.splitlines())
    shown, is_public = [], False
    for line in before.splitlines():
        name = _NAME.match(line)
        if line[:1].strip(" \t-#"):
            is_public = bool(name) and name[1].removeprefix(PREFIX) in _PUBLIC and name[1].startswith(PREFIX)  # type: ignore[index]
        value = _PUBLIC_VALUE.match(line) if is_public else None
        if line in known or not line.strip():
            shown.append(line)
        elif value and redacted(value[0]) == value[0] and line[value.end() :].strip()[:1] in ("", "#"):
            shown.append(value[0])
        elif name:
            shown.append(f"{name[1]}: '{BLANK}'" if line[name.end() :].strip() else f"{name[1]}:")
        else:
            shown.append(f"# {BLANK}" if line.lstrip().startswith("#") else BLANK)
    return "".join(f"{line}\n" for line in shown)


def _content(path: str) -> str | None:
    if not os.path.lexists(path):
        return None
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise Failure("UNREADABLE_FILE", f"{path} cannot be read: {reason}.", hint="Nothing was written.") from None


def _replace(path: str, text: str) -> None:
    place = os.path.realpath(path)
    try:
        os.makedirs(os.path.dirname(place), exist_ok=True)
        write_whole(place, text, os.stat(place).st_mode & 0o777 if os.path.exists(place) else 0o644)
    except OSError as error:
        raise Failure(
            "UNWRITABLE_FILE",
            f"{path} cannot be written: {error.strerror}.",
            hint="Set dtr_cache_adopt_to to a folder that this user may write to.",
        ) from None


def _vault_variables(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, VaultVariable):
        yield str(value)
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _vault_variables(item)


def _filled(value: t.Any) -> t.Any:
    """Return the value with something in the place of each secret."""
    if isinstance(value, VaultVariable):
        return {STORAGE: "{}"}.get(value) or (_CREDENTIALS if value.endswith("credentials") else _SECRET)
    if isinstance(value, dict):
        return {key: _filled(item) for key, item in value.items()}
    return [_filled(item) for item in value] if isinstance(value, list) else value


def _no_file(path: str) -> bytes:
    raise Failure("UNREADABLE_FILE", f"{path} is not read")


class _Unsafe(str):
    """Text that looks like a template and is none."""


class _Dumper(yaml.SafeDumper):
    """Indents sequences, as ansible-lint wants them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 (the library's)
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: t.Any) -> bool:  # noqa: ARG002 (the library's)
        return True


_Dumper.add_representer(
    VaultVariable, lambda dumper, name: dumper.represent_scalar("tag:yaml.org,2002:str", f"{{{{ {name} }}}}", style='"')
)
_Dumper.add_representer(_Unsafe, lambda dumper, text: dumper.represent_scalar("!unsafe", str(text), style="'"))


def _dumped(value: t.Any) -> str:
    return yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True, width=_WIDTH - 8
    )


def _marked(value: t.Any) -> t.Any:
    """Return the value with a mark on each text that Ansible would take for a template."""
    if isinstance(value, VaultVariable):
        return value
    if isinstance(value, str):
        return _Unsafe(value) if any(mark in value for mark in ("{{", "{%", "{#")) else str(value)
    if isinstance(value, dict):
        return {key: _marked(item) for key, item in value.items()}
    return [_marked(item) for item in value] if isinstance(value, list) else value


def _comment(sentence: str) -> list[str]:
    """Return the lines of a comment. It may hold names with control characters, which YAML refuses."""
    sentence = printable(sentence)
    if not sentence:
        return ["#"]
    # A command is one line, however long.
    if sentence.startswith("  "):
        return [f"# {sentence}"]
    indent = "  " if sentence.startswith("- ") else ""
    return [f"# {line}" for line in textwrap.wrap(sentence, _WIDTH - 2, subsequent_indent=indent)]
