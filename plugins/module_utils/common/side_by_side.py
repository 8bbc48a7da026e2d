# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Different tasks side by side, with what is done in time as the result."""

from __future__ import annotations

import queue
import threading
import time
import typing as t


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
