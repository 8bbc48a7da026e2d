# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.dtr.cache.tests.unit.support.endpoints import Authority
from ansible_collections.dtr.cache.tests.unit.support.web import make_identity


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    root = make_identity("root", ca=True)
    upper = make_identity("upper", root, ca=True)
    return Authority(root, upper, make_identity("lower", upper, ca=True), tmp_path_factory.mktemp("servers"))
