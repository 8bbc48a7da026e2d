# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The half of M(dtr.cache.restore) that runs on the control node."""

from __future__ import annotations

from ..modules.restore import MODULE
from ..plugin_utils.actions.of_dtr import DtrAction


class ActionModule(DtrAction):
    """Reads all accounts, and writes those that differ."""

    module = MODULE
    reports_progress = True
