# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The half of a long module that runs on the control node: it shows that the module lives, and how far it got."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import typing as t

from ansible import constants, context
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible.utils.vars import merge_hash
from ansible_collections.dtr.cache.plugins.module_utils.progress import sentence

SECONDS_BETWEEN_LINES = 5.0
# What these write is read by people. Others' output is parsed, and often together with the standard error.
_CALLBACKS_FOR_PEOPLE = ("default", "minimal", "debug", "yaml", "awx_display")

display = Display()


class ActionWithProgress(ActionBase):
    """Runs a module that takes C(progress_path), and tells from time to time how far it got.

    A task with C(async) runs without: Ansible waits for it elsewhere.
    """

    module: t.ClassVar[str]

    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        result: dict[str, t.Any] = super().run(tmp, variables)
        name = self.module.rpartition(".")[2]
        title = f"{name} ({variables.get('inventory_hostname', '')})"
        with progress_shown(title, read_by_people() and not self._task.async_val) as path:
            arguments = {**self._task.args, **({"progress_path": path} if path else {})}
            answer = self._execute_module(
                module_name=self.module,
                module_args=arguments,
                task_vars=variables,
                wrap_async=self._task.async_val,
            )
        return t.cast("dict[str, t.Any]", merge_hash(result, answer))


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
        told = sentence(os.pread(handle, 4096, 0).decode("utf-8", "replace")) or "still working"
        display.display(f"{title}: {told}", stderr=True)
