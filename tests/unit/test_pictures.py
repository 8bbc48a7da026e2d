# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of the pages: the layers are those that import-linter checks, in light and in dark."""

from __future__ import annotations

import typing as t
from pathlib import Path
from xml.etree import ElementTree

import pytest
import tomllib

PROJECT = Path(__file__).parents[2]
PICTURES = sorted((PROJECT / "docs" / "pictures").glob("*.svg"))
SVG = "{http://www.w3.org/2000/svg}"

Box = tuple[int, int, int, int]  # left, upper, right and lower edge


def contracts() -> dict[str, list[list[str]]]:
    """The levels of each folder, from above, each with the folders that stand side by side."""
    linter = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    return {
        contract["containers"][0].rpartition(".")[2]: [level.split(" : ") for level in contract["layers"]]
        for contract in linter["contracts"]
    }


def boxes() -> dict[str, Box]:
    """Where each folder is drawn: the smallest rectangle behind its name."""
    root = ElementTree.parse(PROJECT / "docs" / "pictures" / "layers.svg").getroot()
    rectangles = []
    for shape in root.iter(f"{SVG}rect"):
        x, y, width, height = (int(shape.get(name, "0")) for name in ("x", "y", "width", "height"))
        rectangles.append((x, y, x + width, y + height))
    found = {}
    for text in root.iter(f"{SVG}text"):
        if text.get("class") == "layer":
            x, y = int(text.get("x", "")), int(text.get("y", ""))
            around = [each for each in rectangles if each[0] < x < each[2] and each[1] < y < each[3]]
            found[str(text.text)] = min(around, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))
    return found


@pytest.mark.parametrize("folder", contracts())
def test_the_layers_are_drawn_as_they_are_checked(folder: str) -> None:
    drawn = boxes()
    lower = 0
    for level in contracts()[folder]:
        assert {drawn[name][1] for name in level} == {drawn[level[0]][1]}, "side by side"
        assert drawn[level[0]][1] >= lower, f"{level} below what stands above it"
        lower = max(drawn[name][3] for name in level)
        if folder in drawn:
            left, upper, right, end = drawn[folder]
            assert all(
                left < drawn[name][0] and upper < drawn[name][1] and drawn[name][2] < right and drawn[name][3] < end
                for name in level
            ), f"{level} in {folder}"


def test_no_other_layer_is_drawn() -> None:
    checked = {name for levels in contracts().values() for level in levels for name in level}
    assert set(boxes()) == checked | {"playbooks", "roles"}


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_a_picture_has_words_and_both_schemes(picture: Path) -> None:
    root = ElementTree.parse(picture).getroot()
    words: t.Any = [root.findtext(f"{SVG}{name}") for name in ("title", "desc")]
    assert all(words)
    style = root.findtext(f"{SVG}style") or ""
    light, _media, dark = style.partition("@media (prefers-color-scheme: dark)")
    used = {name.partition(")")[0] for name in style.split("var(")[1:]}
    assert used
    for name in used:
        assert f"{name}:" in light, f"{picture.name} has no {name} in light"
        assert f"{name}:" in dark, f"{picture.name} has no {name} in dark"
