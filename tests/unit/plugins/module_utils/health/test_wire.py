# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an old Python knows of a server's certificates."""

from __future__ import annotations

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.x509 import certificates
from ansible_collections.dtr.cache.tests.unit.support.endpoints import (
    Authority,
    chain_context,
    failed,
    only_failure,
    probe_server,
)
from ansible_collections.dtr.cache.tests.unit.support.web import make_identity


class TestOldPython:
    """Before 3.10 Python shows nothing but the server's own certificate."""

    @pytest.fixture(autouse=True)
    def no_chains(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(certificates, "_chain_by", lambda _connection, _method: [])

    def test_healthy(self, authority: Authority) -> None:
        context = chain_context(
            authority.folder, make_identity("server", authority.lower), authority.lower, authority.upper
        )
        report = probe_server(context, authority.root)
        assert failed(report) == {}
        assert report.days_left == 29

    def test_nothing_is_said_of_what_cannot_be_seen(self, authority: Authority) -> None:
        context = chain_context(authority.folder, make_identity("server", authority.lower), authority.upper)
        detail, hint = only_failure(probe_server(context, authority.root), "chain")
        assert detail == "the certificate does not lead to a trusted CA."
        assert "intermediate certificates" in hint
