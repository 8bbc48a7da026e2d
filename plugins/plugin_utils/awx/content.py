# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What AWX is to have, read from C(content.yml), and what that takes from the vocabulary and the playbooks."""

from __future__ import annotations

import functools
import pathlib
import re
import typing as t

import yaml

from ..settings.variables import vocabulary

Json = dict[str, t.Any]

PREFIX = "dtr_cache_"
_COLLECTION = pathlib.Path(__file__).parents[3]
_CONTENT = pathlib.Path(__file__).with_name("content.yml")
_SPECS = _COLLECTION / "roles" / "settings" / "meta" / "argument_specs.yml"
_MARKUP = re.compile(r"\b[CVOMEP]\(((?:[^()]|\([^()]*\))*)\)")


@functools.lru_cache(maxsize=1)
def content() -> Json:
    """The whole of it, as it is written down."""
    return t.cast("Json", _read(_CONTENT))


def purpose(playbook: str) -> str:
    """What a playbook does, in its own words."""
    return str(_read(_COLLECTION / "playbooks" / f"{playbook}.yml")[0]["name"])


def survey(names: t.Sequence[str]) -> Json:
    """The survey that asks for these variables, each without its prefix."""
    return {"name": "", "description": "", "spec": [question(name) for name in names]}


def question(name: str) -> Json:
    """One question, with the variable's meaning and its default."""
    written = content()["questions"][name]
    default = answer_by_default(name)
    # A default is an answer, also where nobody looked at it; so there is none where the variable has none.
    shown = {} if default is None else {"default": "\n".join(default) if isinstance(default, list) else default}
    # AWX takes an empty text as an answer, unless it has a shortest length.
    shortest = 1 if written["required"] and written["type"] in ("text", "textarea") else None
    limits = {"min": shortest, "max": None, "choices": ""}
    meaning = _meanings()[PREFIX + name]
    return {**limits, **written, **shown, "question_description": meaning, "variable": PREFIX + name}


def answer_by_default(name: str) -> t.Any:
    """What the vocabulary has for a variable: a multiple choice has text, a multiselect a list."""
    return vocabulary()[PREFIX + name] or None


@functools.lru_cache(maxsize=1)
def _meanings() -> dict[str, str]:
    """What the variables that are asked for mean, in one text each, without Ansible's markup."""
    options = _read(_SPECS)["argument_specs"]["main"]["options"]
    texts = {PREFIX + name: options[PREFIX + name]["description"] for name in content()["questions"]}
    whole = {name: " ".join(text) if isinstance(text, list) else text for name, text in texts.items()}
    return {name: _MARKUP.sub(lambda match: match[1].partition("#")[0], text) for name, text in whole.items()}


def _read(path: pathlib.Path) -> t.Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))
