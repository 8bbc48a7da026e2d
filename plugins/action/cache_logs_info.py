# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The half of M(dtr.cache.cache_logs_info) that runs on the control node: what of the log explains a failure."""

from __future__ import annotations

import typing as t

from ..plugin_utils.actions.of_manager import OnManager
from ..plugin_utils.fleet.diagnosis import explanation


class ActionModule(OnManager):
    """Read the logs from the manager; the failure that they are to explain stays on the control node."""

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        arguments = self._task.args
        explained = arguments.get("explains")
        # The task runs again with C(until).
        self._task.args = {name: value for name, value in arguments.items() if name != "explains"}
        try:
            result = super().run(tmp, task_vars)
        finally:
            self._task.args = arguments
        if explained is not None:
            result["explanation"] = explanation(explained, result.get("findings") or [])
        return result
