# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which addresses are accepted, and in which form they are used."""

from __future__ import annotations

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.http.base_url import normalise_url
from ansible_collections.dtr.cache.tests.unit.support.transports import PASSWORD


class TestUrl:
    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            ("dtr.example.org", "https://dtr.example.org"),
            ("https://dtr.example.org:8443/", "https://dtr.example.org:8443"),
            (" https://dtr.example.org/dtr/ ", "https://dtr.example.org/dtr"),
            ("http://127.0.0.1:80", "http://127.0.0.1:80"),
            ("http://[::1]:80", "http://[::1]:80"),
            ("https://dtr.bücher.example:8443/ä/", "https://dtr.xn--bcher-kva.example:8443/%C3%A4"),
            ("bücher.example", "https://xn--bcher-kva.example"),
            ("https://dtr.example.org/a%2Fb", "https://dtr.example.org/a%2Fb"),
        ],
    )
    def test_accepted(self, given: str, kept: str) -> None:
        assert normalise_url(given) == kept

    @pytest.mark.parametrize(
        "given",
        [
            "",
            "https://",
            "ftp://dtr.example.org",
            "https://dtr.example.org:port",
            "https://dtr.example.org:99999",
            "https://dtr example.org",
            "https://dtr.example.org/?a=b",
            "https://dtr.example.org/#a",
            "http://dtr.example.org",
            f"https://{'ü' * 70}.example",
        ],
    )
    def test_refused(self, given: str) -> None:
        with pytest.raises(Failure) as raised:
            normalise_url(given)
        assert raised.value.code == "INVALID_INPUT"

    @pytest.mark.parametrize(
        "given",
        [
            f"https://admin:{PASSWORD}@dtr.example.org",
            f"https://{PASSWORD}@dtr.example.org",
            f"admin:{PASSWORD}@dtr.example.org",
            f"https://admin:s3cret/{PASSWORD}@dtr.example.org",
            f"https://admin:s3cret?{PASSWORD}@dtr.example.org:443/x",
            f"https://admin:s3cret#{PASSWORD}@dtr.example.org",
            f"https://admin:s3cret@{PASSWORD}@dtr.example.org",
            f"ftp://admin:{PASSWORD}@dtr.example.org",
        ],
    )
    def test_credentials_are_refused_and_not_repeated(self, given: str) -> None:
        with pytest.raises(Failure, match=r"credentials do not belong into the URL of dtr\.example\.org") as raised:
            normalise_url(given)
        assert "s3cret" not in str(raised.value.as_result())

    def test_plain_http_only_by_choice(self) -> None:
        assert normalise_url("http://dtr.example.org", allow_plain=True) == "http://dtr.example.org"
