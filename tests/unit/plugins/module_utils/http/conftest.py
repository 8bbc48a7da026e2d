# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the HTTP layer have in common."""

from __future__ import annotations

import pytest
from ansible_collections.dtr.cache.tests.unit.support.web import Identity, make_identity


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="module")
def authority() -> Identity:
    return make_identity("The test's CA", ca=True)


@pytest.fixture(scope="module")
def server(authority: Identity) -> Identity:
    return make_identity("dtr", authority)
