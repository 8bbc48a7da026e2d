# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which failed check explains the others."""

from __future__ import annotations

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.health.checks import (
    CACHE_TO_DTR,
    CLIENT_TO_CACHE,
    CLIENT_TO_DTR,
    Check,
    likely_cause,
    without_follow_ups,
)


class TestCause:
    @pytest.mark.parametrize(
        ("wrong", "cause"),
        [
            ([(CACHE_TO_DTR, "upstream"), (CLIENT_TO_DTR, "tcp")], (CLIENT_TO_DTR, "tcp")),
            ([(CACHE_TO_DTR, "upstream"), (CLIENT_TO_CACHE, "api")], (CLIENT_TO_CACHE, "api")),
            ([(CLIENT_TO_CACHE, "validity"), (CLIENT_TO_CACHE, "clock")], (CLIENT_TO_CACHE, "clock")),
            ([(CLIENT_TO_DTR, "registration"), (CACHE_TO_DTR, "upstream")], (CACHE_TO_DTR, "upstream")),
            ([], None),
        ],
    )
    def test_before_its_consequences(self, wrong: list[tuple[str, str]], cause: tuple[str, str] | None) -> None:
        checks = [Check(CLIENT_TO_CACHE, "tcp", True, "connected")]
        checks += [Check(edge, name, False, "wrong.", "Mend it.") for edge, name in wrong]
        found = likely_cause(checks)
        assert (found and (found.edge, found.check)) == cause

    def test_a_cache_is_not_blamed_for_a_dtr_that_is_down(self) -> None:
        upstream = Check(CACHE_TO_DTR, "upstream", False, "no.", "Look at cas.")
        down = Check(CLIENT_TO_DTR, "tcp", False, "refused.", "Start DTR.")
        assert without_follow_ups([upstream, down])[0].hint == (
            "DTR does not answer this machine either: fix that first, and check again."
        )
        untrusted = down._replace(check="chain")
        assert without_follow_ups([upstream, untrusted])[0].hint == "Look at cas."

    def test_an_older_certificate_is_replaced_and_not_renewed(self) -> None:
        expired = Check(CLIENT_TO_CACHE, "validity", False, "expired.", "Renew it.")
        older = Check(CLIENT_TO_CACHE, "certificate", False, "another one.", "Deploy the wanted one.")
        assert [check.hint for check in without_follow_ups([expired, older])] == ["Deploy the wanted one."] * 2
        assert without_follow_ups([expired])[0].hint == "Renew it."

    @pytest.mark.parametrize(
        ("there", "hint"),
        [
            ("5 hours behind", "Cache and DTR agree on that: set this machine's clock right (NTP)."),
            ("5 hours ahead of", "Set NTP."),
            (None, "DTR's clock agrees with this machine's: set that of the cache's node (NTP)."),
        ],
    )
    def test_whose_clock_is_wrong(self, there: str | None, hint: str) -> None:
        clock = Check(
            CLIENT_TO_CACHE, "clock", False, "the server's clock is 5 hours behind this machine's.", "Set NTP."
        )
        upstream = Check(CACHE_TO_DTR, "upstream", False, "no.", "Look at cas.")
        checks = [clock, upstream, Check(CLIENT_TO_DTR, "api", True, "GET /_ping answers 200 OK")]
        if there:
            told = f"the server's clock is {there} this machine's."
            checks.append(Check(CLIENT_TO_DTR, "clock", False, told, "Set NTP."))
        found = without_follow_ups(checks)
        assert found[0].hint == hint
        blamed = found[1].hint != "Look at cas."
        assert blamed == (there != "5 hours behind")
