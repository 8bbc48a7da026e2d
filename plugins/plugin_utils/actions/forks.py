# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory that processes share: Ansible forks one for each task of each host, after it has loaded the action."""

from __future__ import annotations

import gc
import typing as t


class SharedByForks:
    """An action whose code, and all that is loaded by then, stays shared between the processes of the tasks.

    A garbage collection in one of them would write into these memory pages, and so copy them (see C(gc.freeze) in
    Python's documentation).
    """

    def __init_subclass__(cls, **options: t.Any) -> None:
        super().__init_subclass__(**options)
        gc.freeze()
