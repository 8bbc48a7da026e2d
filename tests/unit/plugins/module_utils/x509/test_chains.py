# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chains as servers send them."""

from __future__ import annotations

import datetime

from ansible_collections.dtr.cache.plugins.module_utils.x509 import chains
from ansible_collections.dtr.cache.tests.unit.support.web import make_identity

HOST = "cache.example.org"


def test_days_left_are_whole_days() -> None:
    certificate = make_identity("short", addresses=[HOST], days=(-1, 3)).certificate
    end = certificate.not_valid_after_utc
    assert chains.days_left(certificate, end - datetime.timedelta(days=2, hours=1)) == 2
    assert chains.days_left(certificate, end + datetime.timedelta(hours=1)) == -1
