# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The half of M(dtr.cache.backup) that runs on the control node."""

from __future__ import annotations

import os
import typing as t

from ..modules.backup import MODULE
from ..plugin_utils.actions.of_dtr import DtrAction
from ..plugin_utils.actions.paths import not_kept, vanishes_with_job


class ActionModule(DtrAction):
    """Reads all accounts."""

    module = MODULE
    reports_progress = True

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        path = str(self._task.args.get("path") or "")
        if path and vanishes_with_job(path, os.environ):
            return {"failed": True, "changed": False, **not_kept("dtr_cache_backup_file", path).as_result()}
        return super().run(tmp, task_vars)
