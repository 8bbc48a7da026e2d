# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an exclusive assignment resets more accounts than it may. Pure functions."""

from __future__ import annotations

import collections
import typing as t

from ..common.amounts import named
from ..common.failure import Failure
from ..common.vocabulary import word
from .assignments_plan import Change, cache_label
from .model import ContentCache


def too_many_resets(
    changes: t.Iterable[Change], unclaimed: t.Container[str], most: int | None, caches: t.Iterable[ContentCache]
) -> Failure | None:
    """The refusal where an exclusive assignment would reset more accounts than it may.

    Args:
        changes: What is to be changed.
        unclaimed: Whom no assignment claims.
        most: How many of them may be reset; C(None) for any number.
        caches: The caches, for their names.
    """
    reset = [change for change in changes if change.account in unclaimed]
    if most is None or len(reset) <= most:
        return None
    names = {cache.id: cache.name for cache in caches}
    held = collections.Counter(cache_label(change.before, names) for change in reset)
    shown = named([f"{count:,} of {name}" for name, count in held.most_common()])
    return Failure(
        "TOO_MANY_RESETS",
        f"This exclusive assignment would reset {_accounts(len(reset))} that it does not name ({shown}), and "
        f"{word('max_resets')} allows {most:,}.",
        hint=f"Nothing was changed. Check that no region, team or organisation is missing. If all of them are to be "
        f"reset, set {word('max_resets')} to {len(reset)} for this run.",
        resets=len(reset),
    )


def _accounts(count: int) -> str:
    return "1 account" if count == 1 else f"{count:,} accounts"
