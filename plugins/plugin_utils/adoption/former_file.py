# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file of variables that somebody has edited, as a diff may show it beside the new one. Pure functions.

It may hold any secret in any form. So nothing of it is shown but what the new file says as well, the names of its
variables, and the values of those of the collection that are no secret and hold none.
"""

from __future__ import annotations

import datetime
import re
import typing as t

import yaml

from ...module_utils.common.redaction import BLANK, is_credential, redacted
from ..settings.reader import PREFIX
from .document import dumped

# Whose values are no secret, whatever they are.
_PUBLIC = frozenset(
    (
        *("name", "former_names", "host", "port", "public_port", "publish_mode", "metrics_port", "registry_url"),
        *("product", "version", "image", "nodes", "replicas", "stack_name", "former_stack_names", "blob_ttl"),
        *("upstreams", "resources", "update_config", "assignments", "assignments_exclusive"),
    )
)
_NAME = re.compile(r"[A-Za-z_][\w.-]{0,79}", re.ASCII)
_SCALARS = (str, bool, int, float, datetime.date)
_HIDDEN_COMMENT = f"# {BLANK}"


class _Loader(yaml.SafeLoader):
    """What has a tag of Ansible's, such as a vaulted text, is not read."""


_Loader.add_multi_constructor("!", lambda _loader, _suffix, _node: BLANK)


class _Variable(t.NamedTuple):
    """A variable of a file: its name, the number of its first line, and its value."""

    name: str
    line: int
    value: t.Any


def shown_former(before: str, after: str) -> str:
    """The former file as a diff may show it.

    Args:
        before: The former file.
        after: The new one, which holds no secret.
    """
    if before in ("", after):
        return before
    lines, known = before.splitlines(), set(after.splitlines())
    try:
        variables = _variables(before)
        beside = {variable.name: variable.value for variable in _variables(after)}
    except (yaml.YAMLError, ValueError, RecursionError):
        # Where it is not understood, no line says what it belongs to.
        return _joined(line if line in known or not line.strip() else BLANK for line in lines)
    starts = [variable.line for variable in variables]
    shown = _comments(lines[: starts[0]] if starts else lines, known)
    for variable, end in zip(variables, [*starts[1:], len(lines)]):
        block = lines[variable.line : end]
        is_as_it_was = all(line in known or not line.strip() for line in block)
        shown += block if is_as_it_was else _block(variable, block, beside.get(variable.name), known)
    return _joined(shown)


def _variables(text: str) -> list[_Variable]:
    """The variables of a file.

    Raises:
        ValueError: It has another form than one variable below the other, or texts that stand for others.
    """
    if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
        raise ValueError("aliases are not followed")
    root = yaml.compose(text, Loader=_Loader)
    if root is None:
        return []
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        raise ValueError("no mapping in the form of a block")
    return [_Variable(_name(key), key.start_mark.line, _data(value)) for key, value in root.value]


def _name(key: yaml.Node) -> str:
    return key.value if isinstance(key, yaml.ScalarNode) and _NAME.fullmatch(key.value) else BLANK


def _data(node: yaml.Node) -> t.Any:
    loader = _Loader("")
    try:
        return loader.construct_document(node)
    except (yaml.YAMLError, ValueError, TypeError, OverflowError):
        return BLANK
    finally:
        loader.dispose()


def _block(variable: _Variable, block: t.Sequence[str], beside: t.Any, known: t.Container[str]) -> list[str]:
    """A variable as the new file would write it, with the comments below it."""
    short = variable.name.removeprefix(PREFIX)
    is_own = variable.name.startswith(PREFIX)
    value = _masked(variable.value, beside, public=is_own and short in _PUBLIC) if is_own else BLANK
    below = 0
    while below < len(block) and _is_comment(block[-1 - below]):
        below += 1
    comments = _comments(block[len(block) - below :], known)
    return [*dumped({variable.name: value}).splitlines(), *comments]


def _masked(value: t.Any, beside: t.Any, *, public: bool) -> t.Any:
    """A value without what neither is public nor stands in the new file at the same place."""
    if value is None or value in ("", [], {}) or (type(value) is type(beside) and value == beside):
        return value
    if isinstance(value, dict):
        others = beside if isinstance(beside, dict) else {}
        return {
            _key(key, item): _masked(item, others.get(key), public=public and not is_credential((str(key),), item))
            for key, item in value.items()
        }
    if isinstance(value, list):
        known = beside if isinstance(beside, list) else []
        return [_masked(item, item if item in known else None, public=public) for item in value]
    return value if public and isinstance(value, _SCALARS) and redacted(str(value)) == str(value) else BLANK


def _key(key: t.Any, item: t.Any) -> str:
    """A key alone, such as in C({word}), may be anything."""
    text = str(key)
    return text if item is not None and _NAME.fullmatch(text) and redacted(text) == text else BLANK


def _comments(lines: t.Sequence[str], known: t.Container[str]) -> list[str]:
    return [line if line in known or not line.strip() else _HIDDEN_COMMENT for line in lines]


def _is_comment(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _joined(lines: t.Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
