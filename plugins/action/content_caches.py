# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The half of M(dtr.cache.content_caches) that runs on the control node."""

from __future__ import annotations

from ansible_collections.dtr.cache.plugins.plugin_utils.shown_progress import ActionWithProgress


class ActionModule(ActionWithProgress):
    """A registration, which takes long where the accounts of a cache have to move."""

    module = "dtr.cache.content_caches"
