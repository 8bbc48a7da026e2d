# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses at which the nodes of a Swarm know each other."""

from __future__ import annotations

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.swarm.model import Moment
from ansible_collections.dtr.cache.plugins.module_utils.swarm.planning import _node_addresses

ANY = ".".join("0" * 4)


@pytest.mark.parametrize(
    ("node", "manager", "known"),
    [
        ("192.0.2.21", "192.0.2.21:2377", ["192.0.2.21"]),
        # What a manager calls itself.
        (ANY, "192.0.2.21:2377", ["192.0.2.21"]),
        ("127.0.0.1", "[2001:db8::1]:2377", ["2001:db8::1"]),
        ("192.0.2.22", "", ["192.0.2.22"]),
        ("", "", []),
    ],
)
def test_what_names_no_other_machine_is_left_out(node: str, manager: str, known: list[str]) -> None:
    status = {"Status": {"State": "ready", "Addr": node}, "ManagerStatus": {"Addr": manager} if manager else None}
    nodes = {"id": {"Description": {"Hostname": "n"}, **status}}
    assert _node_addresses(Moment({}, [], nodes)) == {"n": known}
