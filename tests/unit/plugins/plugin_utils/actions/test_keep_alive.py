# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""SSH notices that a manager is gone, and says so when the user has not said when it should."""

from __future__ import annotations

import pytest
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader
from ansible_collections.dtr.cache.plugins.plugin_utils.actions.keep_alive import keep_alive

OURS = "-o ServerAliveInterval=10 -o ServerAliveCountMax=3"


@pytest.mark.parametrize(
    ("variables", "arguments"),
    [
        ({}, OURS),
        ({"ansible_ssh_extra_args": "-o Compression=yes"}, f"-o Compression=yes {OURS}"),
        ({"ansible_ssh_common_args": "-o serveraliveinterval=60"}, None),
        ({"ansible_ssh_extra_args": "-oServerAliveInterval=0"}, "-oServerAliveInterval=0"),
        ({"ansible_ssh_args": "-C -o ServerAliveInterval=5"}, None),
    ],
)
def test_what_the_user_has_set_is_kept(variables: dict[str, str], arguments: str | None) -> None:
    connection = connection_loader.get("ssh", PlayContext(), "/dev/null")
    connection.set_options(var_options=variables)
    keep_alive(connection)
    # As each task sets them anew on a connection that is kept.
    assert (connection.get_option("ssh_extra_args") or None) == arguments
    keep_alive(connection)
    assert (connection.get_option("ssh_extra_args") or None) == arguments


def test_other_connections_are_left_alone() -> None:
    connection = connection_loader.get("local", PlayContext(), "/dev/null")
    keep_alive(connection)
    connection.transport = "ssh"
    keep_alive(connection)
