# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a request without a usable answer is sent again, and what is known of the one before."""

from __future__ import annotations

import email.utils
import enum
import random
import time
import typing as t

from ..common.failure import Failure
from ..common.vocabulary import word

RETRIED_STATUSES = frozenset({429, 502, 503, 504})
# A server that was never there is given up after so long. One that has answered before may be starting again.
SECONDS_OF_FIRST_CONTACT = 2.0
_PAUSE_OF_FIRST_CONTACT = 0.5


class Fate(enum.Enum):
    """What is known of a request whose answer did not come, or came from something in between."""

    NOT_PROCESSED = "the server did not act on it"
    UNKNOWN = "the server may or may not have acted on it"
    PENDING = "the server may still be acting on it"


FATE_OF_STATUS = {429: Fate.NOT_PROCESSED, 504: Fate.PENDING}


class Lost(Exception):
    """One attempt without a usable answer, which another attempt may get.

    Args:
        failure: What to raise when there is no further attempt.
        fate: Whether the server may have acted.
        retry_after: Seconds the server asked to wait, if it did.
        summary: A few words for the warning about the retry.
        refused: Whether the server's machine refused the connection: nothing listens there.
    """

    def __init__(
        self,
        failure: Failure,
        fate: Fate,
        summary: str,
        retry_after: float | None = None,
        *,
        refused: bool = False,
    ) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.fate = fate
        self.summary = summary
        self.retry_after = retry_after
        self.refused = refused


class Backoff(t.NamedTuple):
    """How long to wait between attempts, in seconds: full jitter below a bound that doubles from base to cap.

    C(budget) bounds one request with all its attempts and pauses: no new attempt starts after it.
    """

    base: float = 0.5
    cap: float = 10.0
    budget: float = 120.0

    def pause(self, attempt: int) -> float:
        """Seconds to wait after the given attempt, counted from 1."""
        return random.uniform(0, min(self.cap, self.base * 2 ** (attempt - 1)))


class Retrying(t.Protocol):
    """What a request's patience needs to know of its transport."""

    retries: int
    backoff: Backoff
    answered: bool
    patient: bool

    @property
    def down(self) -> bool:
        """Whether the last requests all ended without an answer."""

    def note_retry(self, sentence: str) -> None:
        """Record a retry."""

    def note_given_up(self) -> None:
        """Record that a request used up its retries."""


class Patience:
    """The attempts and the time that are left for one request."""

    def __init__(self, transport: Retrying, request: str, begin: float) -> None:
        self._transport = transport
        self._request = request
        self._retries = transport.retries
        self._used = 0
        self._begin = begin
        self._deadline = begin + transport.backoff.budget

    def wait(self, lost: Lost) -> None:
        """Pause before the next attempt.

        Raises:
            Failure: The one of the lost attempt, when no retry or no time is left.
        """
        self._used += 1
        left = self._retries - self._used
        if lost.refused and not (self._transport.answered or self._transport.patient):
            self._wait_for_the_first(lost, left)
            return
        pause = self._transport.backoff.pause(self._used)
        if lost.retry_after is not None:
            pause = max(pause, lost.retry_after)
        too_late = time.monotonic() + pause > self._deadline
        if left < 0 or too_late or self._transport.down:
            self._transport.note_given_up()
            if too_late and lost.retry_after:
                lost.failure.hint = f"The server asked to wait {lost.retry_after:.0f} seconds; run the task again then."
            raise lost.failure
        self._transport.note_retry(f"{self._request}: {lost.summary}, {left} of {self._retries} retries left")
        time.sleep(pause)

    def _wait_for_the_first(self, lost: Lost, left: int) -> None:
        """Pause for a server of which there was no answer yet, with one warning for all attempts."""
        end = self._begin + SECONDS_OF_FIRST_CONTACT
        if left < 0 or time.monotonic() + _PAUSE_OF_FIRST_CONTACT > end:
            self._transport.note_given_up()
            raise lost.failure
        if self._used == 1:
            seconds = f"{SECONDS_OF_FIRST_CONTACT:g} seconds"
            self._transport.note_retry(f"{self._request}: {lost.summary}; it is tried again for {seconds}")
        time.sleep(_PAUSE_OF_FIRST_CONTACT)


def outcome_unknown(lost: Lost) -> Failure:
    """The failure of a request that may have been acted on, and that must not be sent a second time."""
    return Failure(
        "OUTCOME_UNKNOWN",
        f"{lost.failure.message} It is unknown whether the server acted on the request, so it was not sent again.",
        http_status=lost.failure.http_status,
        url=lost.failure.url,
        hint=f"{word('again')}: it reads what is there before it writes.",
    )


def retry_after(value: str | None) -> float | None:
    """Seconds named by a C(Retry-After) header, given as a number or as an HTTP date; C(None) if it says nothing."""
    if not value:
        return None
    text = value.strip()
    # Other alphabets have digits as well, and not all of them make a number.
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    return max(0.0, moment - time.time())
