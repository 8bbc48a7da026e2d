# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages of the documentation, their links, names, examples and commands."""

from __future__ import annotations

import functools
import re
import shlex
import typing as t
from pathlib import Path

import yaml
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.metrics import METRICS, REGISTRY_METRICS
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.read import STATISTICS
from ansible_collections.dtr.cache.tests.unit.support.settings import OPTIONS

PROJECT = Path(__file__).parents[3]
README = PROJECT / "README.md"
GUIDES = sorted((PROJECT / "docs" / "guides").glob("*.md"))
_FOLDERS = ("*.md", "docs/*.md", "docs/examples/**/*.md", "roles/*/*.md")
PAGES = sorted({*(path for each in _FOLDERS for path in PROJECT.glob(each)), *GUIDES})

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_BLOCK = re.compile(r"^( *)```([a-z]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_VARIABLE = re.compile(r"\bdtr_cache_[a-z0-9_]*[*]?")
_NAME = re.compile(r"\bdtr\.cache\.([a-z0-9_]+)")
# Labels of Docker objects and groups of modules, which begin like the names of plugins.
_OTHER_NAMES = {"registry", "certificates", "content", "dtr", "engine"}
# How the status report says when it was made and what it counts, beside the metrics of caches and of DTRs.
_OF_REPORT = {"dtr_cache_status_timestamp_seconds", "dtr_cache_status_caches"}
# An example of somebody's own variables, in the meaning of dtr_cache_ignore_variables.
_OWN = {"dtr_cache_team_*"}


class Block(t.NamedTuple):
    """A fenced block, without the indentation that it has in its page."""

    page: Path
    number: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.stem}-{self.number}"


def blocks_of(page: Path, text: str) -> list[Block]:
    return [
        Block(page, number, match[2], re.sub(rf"^{match[1]}", "", match[3], flags=re.MULTILINE))
        for number, match in enumerate(_BLOCK.finditer(text))
    ]


@functools.lru_cache(maxsize=1)
def blocks() -> list[Block]:
    return [block for page in PAGES for block in blocks_of(page, page.read_text(encoding="utf-8"))]


def fenced(page: Path, language: str) -> list[str]:
    return [block.text for block in blocks() if block.page == page and block.language == language]


def commands(prompt: str = "$") -> list[list[str]]:
    """What a reader types, or types as root after the prompt C(#), each once, as words."""
    console = [block.text.replace("\\\n", " ") for block in blocks() if block.language == "console"]
    typed = [command for text in console for command in re.findall(rf"^[{prompt}] (.*)$", text, re.MULTILINE)]
    return [shlex.split(command) for command in dict.fromkeys(typed)]


def anchor(heading: str) -> str:
    """What GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _prose(text: str) -> str:
    return _BLOCK.sub("", text)


@functools.cache
def _anchors(page: Path) -> set[str]:
    return {anchor(heading) for heading in _HEADING.findall(_prose(page.read_text(encoding="utf-8")))}


def broken_links(page: Path, text: str) -> list[str]:
    """The links that lead to no file, or to no heading of it."""
    broken = []
    for target in _LINK.findall(_prose(text)):
        path, _hash, heading = target.partition("#")
        if target.startswith("https://"):
            continue
        there = page.parent / path if path else page
        found = _anchors(there) if path and there.suffix == ".md" and there.exists() else None
        if not path:
            found = {anchor(each) for each in _HEADING.findall(_prose(text))}
        if not there.exists() or (heading and heading not in (found or ())):
            broken.append(target)
    return broken


def unknown_variables(text: str) -> list[str]:
    """The words like a variable of the collection that are none, nor a metric or a statistic of it."""
    metrics = {metric.name for metric in METRICS} | {name for name, _help, _value in REGISTRY_METRICS}
    known = {*OPTIONS, *STATISTICS, *metrics, *_OF_REPORT}
    unknown = []
    for word in {*_VARIABLE.findall(text)} - _OWN:
        beginning = word.rstrip("*")
        is_beginning = word != beginning or word.endswith("_")
        if word not in known and not (is_beginning and any(name.startswith(beginning) for name in known)):
            unknown.append(word)
    return sorted(unknown)


@functools.lru_cache(maxsize=1)
def _names() -> set[str]:
    folders = ("playbooks", *(f"plugins/{each}" for each in ("modules", "lookup", "filter")))
    files = {path.stem for folder in folders for path in (PROJECT / folder).iterdir() if path.is_file()}
    groups = yaml.safe_load((PROJECT / "meta" / "runtime.yml").read_text())["action_groups"]
    return {*files, *(path.name for path in (PROJECT / "roles").iterdir()), *groups, *_OTHER_NAMES}


def unknown_names(text: str) -> list[str]:
    """The names of playbooks, roles and plugins of the collection that are not there."""
    return sorted({name for name in _NAME.findall(text) if name not in _names()})
