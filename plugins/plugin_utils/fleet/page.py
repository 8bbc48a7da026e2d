# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A status report as one HTML page: what it says is worked out here, how it looks is in the template and the style.

Names and messages come from servers that may be hostile. Everything is escaped, none of it stands in a link or a style,
and the page's policy lets no browser run a script, load anything or apply another style.
"""

from __future__ import annotations

import base64
import collections
import datetime
import functools
import hashlib
import pathlib
import re
import typing as t

import jinja2

from ...module_utils.common.vocabulary import MEASURED
from .status import STATES, CacheStatus, Edge, RegistryStatus, state_of
from .table import size_words

_FOLDER = pathlib.Path(__file__).parent
# In a larger fleet, the cards of healthy caches are one line that opens, and a chart shows its first lines.
SMALL_FLEET = 12
# Longer names and messages are cut: one of them must not bury all others. More of a region's name is in its title.
_LABEL, _MESSAGE = 96, 400
# More names than this in one place are a number.
_NAMES = 24
# Certificates that expire in fewer days are marked, and in far fewer, more so.
_SOON, _VERY_SOON = 30, 14
_EDGE_WORDS = {
    "client->cache": ("client", "cache"),
    "cache->DTR": ("cache", "DTR"),
    "client->DTR": ("client", "DTR"),
    "DTR->cache": ("DTR", "cache"),
}
_CHECK_WORDS = {"ok": "right: ", "failed": "wrong: ", "unseen": "not known: "}
_STATE_WORDS = {"ok": "works", "failed": "fails", "unseen": "not seen", "unsure": "not known"}
_VALUES = t.Sequence[t.Optional[float]]


class Axis(t.NamedTuple):
    """A scale that begins at 0; values beyond its end are marked as such."""

    end: float
    ticks: t.Sequence[float]

    def percent(self, value: float) -> str:
        """Return how far from the beginning a value is."""
        return f"{100 * min(max(value, 0.0), self.end) / self.end:.2f}%"


class Bar(t.NamedTuple):
    """A value as a length."""

    width: str
    beyond: bool


class Card(t.NamedTuple):
    """One cache of the fleet."""

    id: str
    status: CacheStatus
    compact: bool


class Line(t.NamedTuple):
    """One cache in a chart."""

    card: Card
    text: str
    length: Bar | None
    tone: str


def render_page(
    caches: t.Sequence[CacheStatus], registries: t.Sequence[RegistryStatus], moment: datetime.datetime
) -> str:
    """Return the page; the caches are in order, worst first."""
    troubled = [registry for registry in registries if registry.cause]
    large = len(caches) > SMALL_FLEET
    cards = [
        Card(f"cache-{number}", cache, large and cache.state == "healthy") for number, cache in enumerate(caches, 1)
    ]
    counts = {state: sum(cache.state == state for cache in caches) for state in STATES}
    known_accounts = [cache.accounts for cache in caches if cache.accounts is not None]
    style = _style()
    return _template().render(
        style=style,
        policy=_policy(style),
        moment=moment,
        cards=cards,
        groups=_groups(cards, large),
        places={card.status.state: card.status.state if large else card.id for card in reversed(cards)},
        counts=counts,
        worst="unhealthy" if troubled else next((state for state in STATES if counts[state]), "unknown"),
        verdict=_verdict(counts, len(troubled), len(registries)),
        causes=_common_causes(caches),
        registries=_distinct(cache.registry_url for cache in caches),
        troubled=troubled,
        accounts=sum(known_accounts) if known_accounts else None,
        certificates=_certificates(cards),
        latencies=_latencies(cards),
        assignments=_assignments(cards),
        first_lines=SMALL_FLEET,
        names=_NAMES,
        check_words=_CHECK_WORDS,
    )


def days_text(days: int | None) -> str:
    """Return the days left in words."""
    if days is None:
        return "not seen"
    if days < 0:
        return "expired" if days == -1 else f"expired {-days - 1} day{'s' if days < -2 else ''} ago"
    return f"{days} day{'' if days == 1 else 's'}"


def days_tone(days: int | None) -> str:
    """Return how much the time that is left matters."""
    return "none" if days is None else "bad" if days < _VERY_SOON else "soon" if days < _SOON else ""


def until(cache: CacheStatus) -> str:
    """Return the day on which clients begin to refuse the cache."""
    ended = cache.days_left is not None and cache.days_left < 0
    return f"{'on' if ended else 'until'} {cache.expires:%Y-%m-%d}"


def seconds_text(seconds: float | None) -> str:
    """Return a latency with the digits that matter."""
    if seconds is None:
        return ""
    milliseconds = seconds * 1000
    if milliseconds < 9.95:
        return f"{milliseconds:.1f} ms"
    return (
        f"{milliseconds:.0f} ms"
        if milliseconds < 999.5
        else f"{seconds:.2f} s"
        if seconds < 9.995
        else f"{seconds:.0f} s"
    )


def edge_text(edge: Edge) -> str:
    """Return the state of an edge in a word or two, with its latency."""
    latency = seconds_text(edge.seconds)
    if edge.state == "ok":
        return latency or _STATE_WORDS["ok"]
    return _state_word(edge)


def edge_name(name: str) -> str:
    """Return the name of an edge as people read it."""
    return " → ".join(_EDGE_WORDS.get(name, (name,)))


def edge_description(edge: Edge) -> str:
    """Describe an edge for people who do not see the picture."""
    text = f"{' to '.join(_EDGE_WORDS[edge.name])}: {_state_word(edge)}"
    if edge.state == "ok" and edge.seconds is not None:
        text += f", first answer after {seconds_text(edge.seconds)}"
    wrong = next((check for check in edge.checks if check.failed), None)
    return text + (f", {wrong.check.replace('_', ' ')}" if wrong else "")


def _state_word(edge: Edge) -> str:
    """Return the word for an edge: where nothing can be said although it was checked, that is another one."""
    return _STATE_WORDS["unsure" if edge.state == "unseen" and edge.checks else edge.state]


def label(text: str, limit: int = _LABEL) -> str:
    """Return the beginning of a long name."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def message(text: str) -> str:
    """Return the beginning of a long message."""
    return label(text, _MESSAGE)


def _groups(cards: t.Sequence[Card], large: bool) -> list[tuple[str, str, list[Card]]]:
    """Return title, anchor and cards: a large fleet by its states, a small one as a whole."""
    if not large:
        return [("Caches", "caches", list(cards))] if cards else []
    groups = [(state, [card for card in cards if card.status.state == state]) for state in STATES]
    return [(state.capitalize(), state, group) for state, group in groups if group]


def _verdict(counts: t.Mapping[str, int], troubled: int, registries: int) -> str:
    verdict = _verdict_on_caches(counts)
    if not troubled:
        return verdict
    whose = "the DTR is" if registries == 1 else f"{troubled} of {registries} DTRs {'is' if troubled == 1 else 'are'}"
    well = counts["healthy"] and counts["healthy"] == sum(counts.values())
    return f"{verdict}, {'but' if well else 'and'} {whose} not well"


def _verdict_on_caches(counts: t.Mapping[str, int]) -> str:
    total = sum(counts.values())
    if not total:
        return "There is no cache in this report"
    if counts["healthy"] == total:
        return "The cache is healthy" if total == 1 else f"All {total} caches are healthy"
    if total == 1:
        return "The cache is unhealthy" if counts["unhealthy"] else "Nothing could be found out about the cache"
    parts = []
    if counts["unhealthy"]:
        parts.append(f"{counts['unhealthy']} of {total} caches {'is' if counts['unhealthy'] == 1 else 'are'} unhealthy")
    if counts["unknown"]:
        of_what = "" if parts else f" of {total} caches"
        parts.append(f"nothing is known of {counts['unknown']}{of_what}")
    text = ", ".join(parts)
    return text[0].upper() + text[1:]


def _common_causes(caches: t.Iterable[CacheStatus]) -> list[tuple[str, int]]:
    """Return the causes that more than one cache has, most frequent first."""
    counts = collections.Counter(cache.cause for cache in caches if cache.state != "healthy" and cache.cause)
    return [(cause, count) for cause, count in counts.most_common(5) if count > 1]


def _distinct(values: t.Iterable[str]) -> list[str]:
    return [value for value in dict.fromkeys(values) if value]


# Charts


def _certificates(cards: t.Sequence[Card]) -> dict[str, t.Any]:
    axis = _axis([card.status.days_left for card in cards], {30: 3, 90: 3, 180: 3, 400: 4, 800: 4})
    lines = []
    for card in sorted(cards, key=lambda card: (card.status.days_left is None, card.status.days_left or 0)):
        left = card.status.days_left
        lines.append(Line(card, days_text(left), _bar(axis, left), days_tone(left)))
    return {"lines": lines, "axis": axis}


def _latencies(cards: t.Sequence[Card]) -> dict[str, t.Any]:
    axis = _axis(
        [edge.seconds for card in cards for edge in _measured(card)],
        dict.fromkeys((0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10), 1),
    )

    def line(card: Card, edge: Edge) -> Line:
        tone = "bad" if edge.state == "failed" else "" if edge.seconds is not None else "none"
        return Line(card, seconds_text(edge.seconds) or _state_word(edge), _bar(axis, edge.seconds), tone)

    slowest = sorted(cards, key=lambda card: -max((edge.seconds or 0 for edge in _measured(card)), default=0))
    lines = [{"card": card, "edges": [line(card, edge) for edge in _measured(card)]} for card in slowest]
    return {"lines": lines, "end": seconds_text(axis.end)}


def _measured(card: Card) -> list[Edge]:
    return [edge for edge in card.status.edges if edge.name in MEASURED]


def _assignments(cards: t.Sequence[Card]) -> dict[str, t.Any]:
    def number(card: Card) -> int:
        return -1 if card.status.accounts is None else card.status.accounts

    axis = Axis(max(1, *map(number, cards)) if cards else 1, ())
    lines = []
    for card in sorted(cards, key=number)[::-1]:
        accounts = card.status.accounts
        text, tone = ("not known", "none") if accounts is None else (f"{accounts:,}", "")
        lines.append(Line(card, text, _bar(axis, accounts), tone))
    return {"lines": lines}


def _axis(values: _VALUES, ends: t.Mapping[float, int]) -> Axis:
    """Return the shortest axis that holds nineteen of twenty values: a single far one must not squeeze all others."""
    known = sorted(value for value in values if value is not None)
    most = known[max(0, -(-19 * len(known) // 20) - 1)] if known else 0
    end = next((end for end in ends if end >= most), max(ends))
    return Axis(end, [end * part / ends[end] for part in range(ends[end] + 1)])


def _bar(axis: Axis, value: float | None) -> Bar | None:
    return None if value is None else Bar(axis.percent(value), value > axis.end)


# Template


@functools.lru_cache(maxsize=1)
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (
        days_text,
        days_tone,
        seconds_text,
        until,
        edge_text,
        edge_name,
        edge_description,
        label,
        message,
        state_of,
    )
    environment.filters.update({each.__name__: each for each in filters}, size=size_words)
    return environment.get_template("page.html.j2")


@functools.lru_cache(maxsize=1)
def _style() -> str:
    text = (_FOLDER / "page.css").read_text(encoding="utf-8")
    return re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL).strip()


def _policy(style: str) -> str:
    """Return what a browser lets the page do: show its own style and its own icon."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
