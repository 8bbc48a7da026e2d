# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines on the terminal while a long module runs: that it works, and how far it got."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import typing as t

from ansible import constants, context
from ansible.utils.display import Display

from ...module_utils.common.progress import sentence

SECONDS_BETWEEN_LINES = 5.0
# What these write is read by people. Others' output is parsed, and often together with the standard error.
_CALLBACKS_FOR_PEOPLE = ("default", "minimal", "debug", "yaml", "awx_display")

display = Display()


def read_by_people() -> bool:
    """Whether the output of this run is for people, and not one line a host as C(ansible -o) promises."""
    callback = str(constants.DEFAULT_STDOUT_CALLBACK).rpartition(".")[2]
    return callback in _CALLBACKS_FOR_PEOPLE and not context.CLIARGS.get("one_line")


@contextlib.contextmanager
def progress_shown(title: str, shown: bool) -> t.Iterator[str | None]:
    """A file whose content is shown while the context lasts, or C(None) where nothing is to be shown."""
    if not shown:
        yield None
        return
    # Only its owner can read the file or reach its folder, which Ansible removes at the end of the run.
    handle, path = tempfile.mkstemp(prefix="dtr-cache-progress-", dir=constants.DEFAULT_LOCAL_TMP)
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(handle, title, ended), daemon=True)
    watcher.start()
    try:
        yield path
    finally:
        ended.set()
        watcher.join()
        os.close(handle)
        os.unlink(path)


def _watch(handle: int, title: str, ended: threading.Event) -> None:
    while not ended.wait(SECONDS_BETWEEN_LINES):
        # Before the first count, and of a module on another host, nothing is known but that it has not ended.
        line = sentence(os.pread(handle, 4096, 0).decode("utf-8", "replace")) or "still working"
        display.display(f"{title}: {line}", stderr=True)
