# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of the layers, from the contracts of import-linter and the tables of CONTRIBUTING.md."""

from __future__ import annotations

import re
import textwrap
import typing as t
from html import escape

import tomllib
from reference_vocabulary import PROJECT

PICTURE = PROJECT / "docs" / "pictures" / "layers.svg"

WIDTH, EDGE, GAP, LINE = 960, 20, 8, 19
NAMES = 150  # the width of a layer's name, beside its subject
MOST = 96  # the letters of a subject in one line

# What import-linter does not see, and what CONTRIBUTING.md has no table of.
ABOVE = ("playbooks", "roles")
SUBJECTS = {
    "playbooks": "whole procedures for a fleet, made of the steps of roles",
    "roles": "one step each, for playbooks of others as well",
    "action": "what runs in Ansible's own process",
    "filter": "for playbooks and roles",
    "lookup": "secrets, in the task that sends them",
    "plugin_utils": "on the control node only",
    "modules": "documentation and one declaration each",
    "module_utils": "sent with modules, in Python 3.9",
}

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!--
SPDX-FileCopyrightText: Contributors to the dtr.cache project
SPDX-License-Identifier: GPL-3.0-or-later
Made by tests/lib/reference.py.
-->
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-labelledby="title description">
  <title id="title">The layers of dtr.cache</title>
  <desc id="description">The folders of the collection. Each imports only from those below it.</desc>
  <style>
    svg {{ --ground: #ffffff; --panel: #f3f5f8; --box: #ffffff; --line: #8c959f; --text: #1f2328; --soft: #57606a;
      font-family: system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }}
    @media (prefers-color-scheme: dark) {{
      svg {{ --ground: #14171c; --panel: #1d2229; --box: #262c35; --line: #6e7681; --text: #e6edf3; --soft: #a5b0bc; }}
    }}
    .ground {{ fill: var(--ground); }}
    .panel {{ fill: var(--panel); }}
    .box {{ fill: var(--box); stroke: var(--line); }}
    .layer, .place {{ fill: var(--text); font-size: 15px; font-weight: 700; }}
    .subject {{ fill: var(--soft); font-size: 13.5px; }}
    .turned {{ text-anchor: middle; }}
    .down {{ stroke: var(--soft); stroke-width: 2; }}
    .head {{ fill: var(--soft); }}
  </style>
  <rect class="ground" width="{width}" height="{height}" rx="14" />
"""


class Drawing:
    """What is drawn from above; C(y) is where the next level begins."""

    def __init__(self, subjects: t.Mapping[str, str]) -> None:
        self.subjects = subjects
        self.shapes: list[str] = []
        self.y = EDGE

    def rectangle(self, kind: str, x: int, y: int, width: int, height: int) -> None:
        self.shapes.append(f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="8" />')

    def text(self, kind: str, x: int, y: int, text: str) -> None:
        self.shapes.append(f'<text class="{kind}" x="{x}" y="{y}">{escape(text)}</text>')

    def folder(self, name: str, levels: t.Sequence[str], left: int, right: int) -> None:
        """A folder of folders, behind them."""
        place, begin = len(self.shapes), self.y
        self.text("layer", left + 14, begin + 23, name)
        self.text("subject", left + 14 + NAMES, begin + 23, self.subjects[name])
        self.y += 34
        for level in levels:
            self.level(level.split(" : "), left + 14, right - 14)
        self.y += 4
        self.rectangle("panel", left, begin, right - left, self.y - begin)
        self.shapes.insert(place, self.shapes.pop())
        self.y += GAP

    def level(self, names: t.Sequence[str], left: int, right: int) -> None:
        """Folders side by side. One that stands alone has its subject beside its name, others below."""
        alone = len(names) == 1
        width = (right - left - GAP * (len(names) - 1)) // len(names)
        lines = {name: textwrap.wrap(self.subjects[name], MOST if alone else MOST // len(names) + 6) for name in names}
        height = 16 + LINE * (max(map(len, lines.values())) + (not alone))
        for number, name in enumerate(names):
            x = left + number * (width + GAP)
            self.rectangle("box", x, self.y, width, height)
            self.text("layer", x + 14, self.y + 22, name)
            for row, line in enumerate(lines[name]):
                self.text("subject", x + 14 + NAMES * alone, self.y + 22 + LINE * (row + (not alone)), line)
        self.y += height + GAP


def layers_picture() -> str:
    """The picture as a whole."""
    contracts = {each["containers"][0].rpartition(".")[2]: each["layers"] for each in _contracts()}
    drawing = Drawing({**_subjects(), **SUBJECTS})
    left, right = EDGE, WIDTH - EDGE - 40
    for level in [*ABOVE, *contracts["plugins"]]:
        if level in contracts:
            drawing.folder(level, contracts[level], left, right)
        else:
            drawing.level(level.split(" : "), left, right)
    height = drawing.y - GAP + EDGE
    x, end = WIDTH - EDGE - 10, height - EDGE
    shapes = [
        *drawing.shapes,
        f'<path class="down" d="M{x} {EDGE}V{end - 12}" /><path class="head" d="M{x - 7} {end - 14}h14l-7 14z" />',
        f'<text class="subject turned" transform="translate({x - 8} {end // 2}) rotate(-90)">imports run down</text>',
    ]
    return HEAD.format(width=WIDTH, height=height) + "".join(f"  {shape}\n" for shape in shapes) + "</svg>\n"


def _contracts() -> list[dict[str, t.Any]]:
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    return list(settings["tool"]["importlinter"]["contracts"])


def _subjects() -> dict[str, str]:
    """What each folder is about, as CONTRIBUTING.md says."""
    text = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", text, re.MULTILINE)
    return {name: subject.replace("`", "") for name, subject in rows}
