# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""One real registry and one stand-in before it for all tests; each test finds the stand-in as after its start."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
import standin_harness as harness
from standin_harness import ACCOUNTS, Client


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return tmp_path_factory.mktemp("standin")


@pytest.fixture(scope="session")
def ca(folder: pathlib.Path) -> harness.Issued:
    return harness.issue(folder, "ca")


@pytest.fixture(scope="session")
def client_ca(folder: pathlib.Path) -> harness.Issued:
    return harness.issue(folder, "client-ca")


@pytest.fixture(scope="session")
def upstream(folder: pathlib.Path) -> t.Iterator[str]:
    with harness.docker_registry(folder) as url:
        yield url


@pytest.fixture(scope="session")
def _running(
    folder: pathlib.Path, upstream: str, ca: harness.Issued, client_ca: harness.Issued
) -> t.Iterator[harness.Standin]:
    with harness.running(folder, upstream, accounts=ACCOUNTS, ca=ca, client_ca=client_ca) as standin:
        yield standin


@pytest.fixture
def standin(_running: harness.Standin) -> harness.Standin:
    _running.control.reset(data=True)
    return _running


@pytest.fixture
def admin(standin: harness.Standin) -> Client:
    return Client(standin, "admin")


@pytest.fixture
def alice(standin: harness.Standin) -> Client:
    """An admin of the organisation engineering."""
    return Client(standin, "alice")


@pytest.fixture
def bob(standin: harness.Standin) -> Client:
    """A member of the organisation engineering."""
    return Client(standin, "bob")


@pytest.fixture
def heidi(standin: harness.Standin) -> Client:
    """A user without any organisation."""
    return Client(standin, "heidi")


@pytest.fixture
def nobody(standin: harness.Standin) -> Client:
    return Client(standin)
