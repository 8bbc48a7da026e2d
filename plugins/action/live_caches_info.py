# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The half of M(dtr.cache.live_caches_info) that runs on the control node."""

from __future__ import annotations

from ..plugin_utils.actions.of_manager import OnManager


class ActionModule(OnManager):
    """Read the Swarm from its manager."""
