# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a status report in a real browser: C(tests/pytest tests/page).

Pictures of every page are taken, and left in the folder that the environment's DTR_CACHE_PICTURES names.
"""

from __future__ import annotations

import os
import struct
import typing as t
import zlib
from pathlib import Path

import pytest
from ansible_collections.dtr.cache.plugins.filter.status_metrics import status_metrics
from prometheus_client.parser import text_string_to_metric_families

from .browser import Browser
from .fleets import FLEETS, HOSTILE, TIME

PHONE, DESKTOP = 360, 1440

# The contrast of a text against what is painted behind it, of a shape against the ground: WCAG 2.1, level AA.
MEASURE = """
(() => {
  const channel = part => part <= 10 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4;
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const known = new Map();
  const colour = text => {
    if (!known.has(text)) {
      canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
      known.set(text, [...canvas.getImageData(0, 0, 1, 1).data]);
    }
    return known.get(text);
  };
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const contrast = (one, other) => {
    const [a, b] = [light(one), light(other)].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  };
  const ground = element => {
    for (; element; element = element.parentElement) {
      if (element.matches('g.node')) return colour(getComputedStyle(element.querySelector('rect')).fill);
      const found = colour(getComputedStyle(element).backgroundColor);
      if (found[3] === 255) return found;
    }
    return [255, 255, 255, 255];
  };
  const poor = [];
  const note = (element, kind, ratio, least) => {
    if (ratio < least) poor.push(`${kind} ${ratio.toFixed(2)}: ${element.outerHTML.slice(0, 90)}`);
  };
  let texts = 0, shapes = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.getClientRects().length || element.closest('title, desc')) continue;
    const style = getComputedStyle(element);
    texts++;
    note(element, 'text', contrast(colour(element.closest('svg') ? style.fill : style.color), ground(element)), 4.5);
  }
  for (const shape of document.querySelectorAll('.edge .way, .small .edge, .bar, .icon, .shares rect, .node rect')) {
    if (!shape.getClientRects().length) continue;
    const style = getComputedStyle(shape);
    const tone = shape.matches('.icon') ? style.getPropertyValue('--tone') || style.getPropertyValue('--soft')
      : shape.matches('.bar, .shares rect') ? style.fill : style.stroke;
    shapes++;
    note(shape, 'shape', contrast(colour(tone), ground(shape.closest('svg').parentElement)), 3);
  }
  return {poor, texts, shapes};
})()
"""

# What sticks out of the window, or of the card or panel that it belongs to.
OUTSIDE = """
[...document.querySelectorAll('body *')].filter(element => {
  if (element.closest('.symbols, .skip, .hidden') || element.closest('svg') && !element.matches('svg')) return false;
  const box = element.getBoundingClientRect();
  if (!box.width || !box.height) return false;
  const frame = element.parentElement.closest('.card, .panel, .causes');
  const limit = frame ? frame.getBoundingClientRect() : {left: 0, right: document.documentElement.clientWidth};
  return box.left < limit.left - 1 || box.right > limit.right + 1;
}).map(element => element.outerHTML.slice(0, 120))
"""

OPEN_ALL = "document.querySelectorAll('details').forEach(details => { details.open = true; })"


@pytest.fixture(params=[PHONE, DESKTOP], ids=["phone", "desktop"])
def width(request: pytest.FixtureRequest) -> int:
    return t.cast("int", request.param)


@pytest.fixture(params=[False, True], ids=["light", "dark"])
def dark(request: pytest.FixtureRequest) -> bool:
    return t.cast("bool", request.param)


@pytest.fixture(params=list(FLEETS))
def fleet(request: pytest.FixtureRequest) -> str:
    return t.cast("str", request.param)


def quiet(chromium: Browser, path: Path) -> None:
    """The page has run nothing, complained of nothing and asked nobody."""
    complaints = chromium.seen("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
    assert complaints == []
    asked = [event["request"]["url"] for event in chromium.seen("Network.requestWillBeSent")]
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
    assert chromium.run("document.title") not in ("run", "")


def distinct_lines(picture: Path, width: int, height: int) -> int:
    """How many lines of a picture of that size differ from all others: of an empty one, none but one or two."""
    content, position, packed = picture.read_bytes(), 8, b""
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    while position < len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        data = content[position + 8 : position + 8 + length]
        if kind == b"IHDR":
            assert struct.unpack_from(">II", data) == (width, height)
        packed += data if kind == b"IDAT" else b""
        position += length + 12
    pixels = zlib.decompress(packed)
    line = len(pixels) // height
    return len({pixels[start : start + line] for start in range(0, len(pixels), line)})


def test_the_page_is_quiet_readable_and_fits(
    chromium: Browser, pages: dict[str, Path], fleet: str, width: int, dark: bool, tmp_path: Path
) -> None:
    chromium.look(width, dark=dark)
    chromium.open(pages[fleet].as_uri())
    picture = Path(
        os.environ.get("DTR_CACHE_PICTURES") or tmp_path, f"{fleet}-{width}-{'dark' if dark else 'light'}.png"
    )
    chromium.picture(picture)
    whole = chromium.run("document.documentElement.scrollHeight")
    # Nothing is painted twice alike but what lies between.
    assert distinct_lines(picture, width, whole) > whole / 10
    ground = chromium.run("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert max(ground) < 40 if dark else min(ground) > 215
    for opened in (False, True):
        if opened:
            chromium.run(OPEN_ALL)
        assert chromium.run("document.documentElement.scrollWidth") == width
        assert chromium.run(OUTSIDE) == []
        measured = chromium.run(MEASURE)
        assert measured["poor"] == []
        assert measured["texts"] > 30
        assert measured["shapes"] > 10
    quiet(chromium, pages[fleet])


def test_each_card_says_its_state_in_a_word_a_shape_and_a_colour(
    chromium: Browser, pages: dict[str, Path], fleet: str, width: int
) -> None:
    chromium.look(width)
    chromium.open(pages[fleet].as_uri())
    cards = chromium.run(
        """[...document.querySelectorAll('article')].map(card => {
          const state = card.querySelector('.state'), box = state.getBoundingClientRect();
          const icon = card.querySelector('.icon use').getAttribute('href');
          const middle = document.elementsFromPoint ? state.checkVisibility({opacityProperty: true}) : true;
          return {word: state.innerText.trim(), seen: middle && box.width > 20 && box.height > 10, icon,
                  colour: getComputedStyle(state).color, class: card.className};
        })"""
    )
    rows = FLEETS[fleet]()
    order = ["unhealthy", "unknown", "healthy"]
    assert [card["word"] for card in cards] == sorted((row["state"] for row in rows), key=order.index)
    assert all(card["seen"] and card["word"] in card["class"].split() for card in cards)
    for part in ("icon", "colour"):
        looks = {(card["word"], card[part]) for card in cards}
        assert len(looks) == len({word for word, _look in looks}) == len({look for _word, look in looks})


def test_the_keyboard_reaches_everything_that_opens(chromium: Browser, pages: dict[str, Path], fleet: str) -> None:
    chromium.look(DESKTOP)
    chromium.open(pages[fleet].as_uri())
    chromium.run("document.querySelectorAll('summary').forEach((each, number) => { each.dataset.number = number; })")
    summaries = chromium.run("document.querySelectorAll('summary').length")
    focusable = chromium.run(
        "[...document.querySelectorAll('a[href], summary')].filter(e => e.checkVisibility()).length"
    )
    where = """(() => { const at = document.activeElement, style = getComputedStyle(at);
      return {tag: at.tagName, text: at.innerText, number: at.dataset.number, box: at.getBoundingClientRect().width,
              outline: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2}; })()"""
    visited = []
    for _stop in range(focusable):
        chromium.press("Tab")
        visited.append(chromium.run(where))
    assert visited[0]["text"] == "Skip to the caches"
    assert all(each["outline"] and each["box"] > 8 for each in visited)
    assert [int(each["number"]) for each in visited if each["tag"] == "SUMMARY"] == list(range(summaries))
    # From the top, Enter on the skip link goes past the navigation; the next stop is in the caches.
    chromium.open(pages[fleet].as_uri())
    chromium.press("Tab")
    chromium.press("Enter")
    chromium.press("Tab")
    assert chromium.run("document.activeElement.closest('main') !== null")
    # Enter on what opens does open it.
    chromium.run("document.querySelector('summary').focus()")
    chromium.press("Enter")
    assert chromium.run("document.querySelector('details').open") is True


def test_a_screen_reader_finds_its_way(chromium: Browser, pages: dict[str, Path], fleet: str) -> None:
    chromium.look(DESKTOP)
    chromium.open(pages[fleet].as_uri())
    chromium.run(OPEN_ALL)
    nodes = chromium.call("Accessibility.getFullAXTree")["nodes"]
    named: dict[str, list[str]] = {}
    for node in nodes:
        if not node.get("ignored"):
            named.setdefault(node["role"]["value"], []).append((node.get("name") or {}).get("value", ""))
    rows = FLEETS[fleet]()
    for landmark in ("banner", "navigation", "main", "contentinfo"):
        assert len(named[landmark]) == 1, landmark
    assert len(named["article"]) == len(rows)
    tables = named["table"]
    assert tables
    for role in ("article", "table", "region", "link", "heading", "navigation"):
        assert all(name.strip() for name in named.get(role, [])), role
    pictures = [name for role in ("img", "image", "graphics-document") for name in named.get(role, [])]
    assert len(pictures) >= len(rows)
    assert all("client to" in name or name == "Trust edges" or "Trust edges" in name for name in pictures)
    levels = chromium.run("[...document.querySelectorAll('h1, h2, h3')].map(each => Number(each.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in zip(levels, levels[1:]))
    assert chromium.run("document.documentElement.lang") == "en"


def test_hostile_names_are_shown_as_they_are(chromium: Browser, pages: dict[str, Path]) -> None:
    chromium.look(DESKTOP)
    chromium.open(pages["hostile"].as_uri())
    names = chromium.run("[...document.querySelectorAll('article h3')].map(each => each.textContent)")
    for text in HOSTILE[:4]:
        assert names.count(text) == 3
    assert chromium.run("document.scripts.length") == 0
    assert chromium.run("document.querySelectorAll('[onerror], [onload], img').length") == 0
    # A name that is read from right to left leaves the state at its side alone.
    arabic = """(() => { const card = [...document.querySelectorAll('article')].find(
      each => /[\\u0600-\\u06ff]/.test(each.textContent));
      return [getComputedStyle(card).direction, card.querySelector('.state').getBoundingClientRect().left
              > card.querySelector('h3 bdi').getBoundingClientRect().left]; })()"""
    assert chromium.run(arabic) == ["ltr", True]


def test_the_policy_of_the_page_is_in_force(chromium: Browser, pages: dict[str, Path], tmp_path: Path) -> None:
    """What the escaping keeps out would not run either: a page into which somebody has put a script."""
    path = tmp_path / "page.html"
    planted = (
        "<script>document.title = 'run'</script>"
        "<img src=http://192.0.2.1/x onerror=\"document.title = 'run'\">"
        "<style>h1 { display: none }</style>"
    )
    path.write_text(pages["one"].read_text(encoding="utf-8").replace("</main>", f"{planted}</main>"), encoding="utf-8")
    chromium.look(DESKTOP)
    chromium.open(path.as_uri())
    assert chromium.run("document.title") != "run"
    assert chromium.run("getComputedStyle(document.querySelector('h1')).display") != "none"
    # Told to the console, which also shows that complaints are heard by these tests.
    told = [event["entry"]["text"] for event in chromium.seen("Log.entryAdded")]
    assert sum("Content Security Policy" in text for text in told) >= 3
    answers = chromium.seen("Network.responseReceived")
    assert [answer["response"]["url"] for answer in answers if "192.0.2.1" in answer["response"]["url"]] == []


def test_prometheus_own_parser_reads_the_metrics(fleet: str) -> None:
    rows = FLEETS[fleet]()
    families = {family.name: family for family in text_string_to_metric_families(status_metrics(rows, TIME))}
    assert {family.type for family in families.values()} == {"gauge"}
    assert all(family.documentation.endswith(".") for family in families.values())
    observed = families["dtr_cache_observed"].samples
    assert len(observed) == len({row["region"] for row in rows})
    series = [
        (sample.name, *sorted(sample.labels.items())) for family in families.values() for sample in family.samples
    ]
    assert len(set(series)) == len(series)
    healthy = sum(sample.value for sample in families["dtr_cache_healthy"].samples)
    # Of the hostile ones, three at a time have one name: the unhealthy one is reported.
    assert healthy == (0 if fleet == "hostile" else sum(row["state"] == "healthy" for row in rows))
