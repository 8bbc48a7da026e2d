# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same thing done for many items side by side, where one failure does not stop the others."""

from __future__ import annotations

import dataclasses
import queue
import threading
import time
import typing as t

from .failure import Failure

_SECONDS_OF_ONE_WAIT = 1.0
# A connection to a server costs more than some requests over one that is there.
_SECONDS_BETWEEN_STARTS = 0.004

Item = t.TypeVar("Item", bound=t.Hashable)
Result = t.TypeVar("Result")


@dataclasses.dataclass(frozen=True)
class Results(t.Generic[Item, Result]):
    """What came out for each item: a result, or the reason why there is none."""

    done: dict[Item, Result]
    failed: dict[Item, Failure]


def fan_out(
    work: t.Callable[[Item], Result],
    items: t.Iterable[Item],
    concurrency: int,
    hopeless: t.Callable[[Failure], bool],
) -> Results[Item, Result]:
    """Do C(work) for every item in at most C(concurrency) threads.

    Threads that fetch their next item themselves cost a fraction of a future an item. More and more of them start as
    long as items are left, so that a few quick items make a few connections only.

    Args:
        work: Called with one item; a C(Failure) it raises is that item's failure.
        items: Different items.
        concurrency: The most threads.
        hopeless: Whether a failure means that all further items would fail as well. They then fail untried.

    Raises:
        Exception: Anything that C(work) raises and that is no C(Failure); the other threads stop first.
    """
    pending = list(items)
    pending.reverse()
    results: Results[Item, Result] = Results({}, {})
    broken: list[Exception] = []
    stopped: list[Failure] = []

    def run() -> None:
        while not broken:
            try:
                item = pending.pop()
            except IndexError:
                return
            try:
                if stopped:
                    raise _untried(stopped[0])
                results.done[item] = work(item)
            except Failure as failure:
                results.failed[item] = _without_frames(failure)
                if not stopped and hopeless(failure):
                    stopped.append(failure)
            except Exception as error:  # noqa: BLE001 (raised again below, in the thread of the caller)
                broken.append(error)

    # Daemons, so that an interrupted task does not wait for requests that hang.
    threads = [threading.Thread(target=run, daemon=True) for _each in range(min(concurrency, len(pending)))]
    started = 0
    while pending and started < len(threads):
        time.sleep(_SECONDS_BETWEEN_STARTS if started else 0)
        as_many = max(1, started)
        for thread in threads[started : started + as_many]:
            thread.start()
        started += as_many
    for thread in threads[:started]:
        # A signal that comes right before a wait is handled only after it, so no wait is without end.
        while thread.is_alive():
            thread.join(_SECONDS_OF_ONE_WAIT)
    if broken:
        raise broken[0]
    return results


def failed_accounts(failures: t.Mapping[str, Failure]) -> list[dict[str, t.Any]]:
    """Accounts with the reasons why nothing came of them, and what else a reason carries, as results name them."""
    return [
        {"name": name, "code": failure.code, "message": failure.message, **failure.result}
        for name, failure in sorted(failures.items())
    ]


def _without_frames(failure: Failure) -> Failure:
    """The failure without where it came from: the frames hold answers, and there may be ten thousand of them."""
    failure.__cause__ = failure.__context__ = None
    return failure.with_traceback(None)


def _untried(cause: Failure) -> Failure:
    return Failure(
        "NOT_TRIED",
        f"Not tried after an earlier failure: {cause.message}",
        http_status=cause.http_status,
        url=cause.url,
        hint=cause.hint,
    )


def side_by_side(tasks: t.Mapping[str, t.Callable[[], t.Any]], seconds: float) -> dict[str, t.Any]:
    """The results of the tasks that end in time. A task that hangs, in name resolution for example, is left behind.

    Raises:
        Exception: What a task raised.
    """
    done: queue.SimpleQueue[tuple[str, t.Any, Exception | None]] = queue.SimpleQueue()

    def run(name: str, task: t.Callable[[], t.Any]) -> None:
        try:
            done.put((name, task(), None))
        except Exception as error:  # noqa: BLE001 (raised again in the thread of the caller)
            done.put((name, None, error))

    for name, task in tasks.items():
        threading.Thread(target=run, args=(name, task), daemon=True).start()
    end = time.monotonic() + seconds
    results: dict[str, t.Any] = {}
    while len(results) < len(tasks):
        try:
            name, result, error = done.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            break
        if error is not None:
            raise error
        results[name] = result
    return results
