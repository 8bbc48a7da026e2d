# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Misbehaviour on request: rules that say which requests go wrong, how, and how often."""

from __future__ import annotations

import dataclasses
import itertools
import re
import typing as t

Action = t.Literal[
    "delay",
    "drop",
    "status",
    "html",
    "redirect",
    "empty",
    "cut_body",
    "cut_json",
    "late_act",
    "huge",
    "deep",
    "endless",
]


@dataclasses.dataclass
class Fault:
    """A rule.

    Of the requests whose method and path fit, the first C(after) are left alone; of those that follow each C(every)-th
    is hit, until C(count) were. Requests that no rule hits are answered as ever.

    The actions, each of them C(seconds) late:

    - C(delay): nothing but late;
    - C(drop): the connection is closed without an answer;
    - C(status): C(status) with DTR's envelope;
    - C(html): C(status) with the page of a proxy;
    - C(redirect): 302 to C(url);
    - C(empty): C(status) without a body;
    - C(cut_body): the connection is closed in the middle of the true body, or at once where that is empty;
    - C(cut_json): half of the true body as if it were whole;
    - C(late_act): the connection is closed at once, as by a load balancer that waits no longer, and the request is
      carried out C(seconds) later;
    - C(huge): C(status) with C(megabytes) of JSON;
    - C(deep): C(status) with JSON of C(levels) levels;
    - C(endless): one more page of a list of accounts, with a thousand that nobody has and the start of the next page.
    """

    action: Action
    method: str = "*"  # "*": any
    path: str = ""  # a regular expression, searched for in the path
    acts: bool = False  # the request is carried out before it goes wrong; the cut actions always do
    status: int = 200
    seconds: float = 0.0
    retry_after: str = ""  # the header Retry-After
    url: str = ""
    megabytes: int = 0
    levels: int = 0
    count: int = 0  # 0: always
    every: int = 1
    after: int = 0
    id: int = 0
    matched: int = 0
    fired: int = 0

    def __post_init__(self) -> None:
        self._pattern = re.compile(self.path)

    def hits(self, method: str, path: str) -> bool:
        """Whether this very request goes wrong; counts it."""
        if self.method not in ("*", method) or not self._pattern.search(path):
            return False
        self.matched += 1
        late = self.matched - self.after
        if late <= 0 or late % self.every or (self.count and self.fired >= self.count):
            return False
        self.fired += 1
        return True

    @property
    def acts_first(self) -> bool:
        return self.acts or self.action in ("cut_body", "cut_json")


#: What a rule may say, with the type of each; the rest of a rule is its own book-keeping.
_GIVEN: dict[str, type | tuple[type, ...]] = {
    "method": str,
    "path": str,
    "acts": bool,
    "status": int,
    "seconds": (int, float),
    "retry_after": str,
    "url": str,
    "megabytes": int,
    "levels": int,
    "count": int,
    "every": int,
    "after": int,
}


class Faults:
    """The rules in force, in the order in which they came; the first that hits decides."""

    def __init__(self) -> None:
        self.rules: list[Fault] = []
        self._ids = itertools.count(1)

    def add(self, rule: t.Mapping[str, t.Any]) -> Fault:
        """Puts a rule in force.

        Raises:
            ValueError: It says something that no rule can say.
        """
        given = dict(rule)
        action = given.pop("action", None)
        if action not in t.get_args(Action):
            raise ValueError(f"action is one of {', '.join(t.get_args(Action))}, not {action!r}")
        for name, value in given.items():
            kind = _GIVEN.get(name)
            if kind is None:
                raise ValueError(f"a fault has no {name}")
            if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
                raise ValueError(f"{name} cannot be {value!r}")
        if given.get("every", 1) < 1:
            raise ValueError("every is 1 or more")
        if action == "status" and not 400 <= given.get("status", 0) <= 599:
            raise ValueError("the action status wants a status from 400 to 599")
        try:
            fault = Fault(action, **given, id=next(self._ids))
        except re.error as error:
            raise ValueError(f"path is no regular expression: {error}") from error
        self.rules.append(fault)
        return fault

    def remove(self, rule_id: int) -> bool:
        before = len(self.rules)
        self.rules = [rule for rule in self.rules if rule.id != rule_id]
        return len(self.rules) < before

    def hitting(self, method: str, path: str) -> Fault | None:
        for rule in self.rules:
            if rule.hits(method, path):
                return rule
        return None
