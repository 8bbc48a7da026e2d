# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SSH connections to managers that notice when the other end is gone.

By itself, ssh waits for an answer for ever. The first task of a run that goes to a manager opens the connection that
all others share (C(ControlPersist)), also those of community.docker's modules, so it is enough to set this there.
"""

from __future__ import annotations

import contextlib
import typing as t

from ansible.errors import AnsibleError

SECONDS_BETWEEN = 10
MOST_UNANSWERED = 3
_ARGUMENTS = f"-o ServerAliveInterval={SECONDS_BETWEEN} -o ServerAliveCountMax={MOST_UNANSWERED}"
_GIVEN_AS = ("ssh_args", "ssh_common_args", "ssh_extra_args")


def keep_alive(connection: t.Any) -> None:
    """Let an SSH connection end when its other end does not answer any more, unless the user has said when."""
    if getattr(connection, "transport", "") != "ssh":
        return
    # Others that speak SSH, such as Mitogen's, may have no such options.
    with contextlib.suppress(AnsibleError, KeyError, AttributeError):
        given = [str(connection.get_option(name) or "") for name in _GIVEN_AS]
        if "serveraliveinterval" not in " ".join(given).lower():
            connection.set_option(_GIVEN_AS[-1], f"{given[-1]} {_ARGUMENTS}".strip())
