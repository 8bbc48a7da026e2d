# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulls until each replica has everything."""

from __future__ import annotations

import typing as t

from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.pulling.replicas import by_all_addresses
from ansible_collections.dtr.cache.plugins.module_utils.pulling.report import Report
from ansible_collections.dtr.cache.tests.unit.support.pulling import (
    APP,
)


class TestReplicas:
    """Pulls by addresses; each is a function of how often an address was pulled by."""

    @staticmethod
    def report(brought: bool, failure: Failure | None = None, cached: int | None = 0) -> Report:
        transferred = {"blobs": int(brought), "bytes": 10 * brought, "seconds": 0.5, "cached_blobs": cached}
        transferred |= {"cached_bytes": cached, "brought_bytes": None if cached is None else 10 * brought}
        return Report([], transferred, brought, {APP: failure} if failure else {})

    def pull_by(
        self, addresses: t.Sequence[str], replicas: int, *reports: Report, passes: int | None = None
    ) -> tuple[Report, list[str], list[str | None]]:
        left, asked = list(reports), []

        def pull_by(address: str | None) -> Report:
            asked.append(address)
            return left.pop(0)

        report, warnings = by_all_addresses(
            pull_by, "region-asia", addresses, replicas, replicas if passes is None else passes
        )
        assert not left
        return report, warnings, asked

    def test_one_replica_is_pulled_through_by_its_name(self) -> None:
        report, warnings, asked = self.pull_by([], 1, self.report(True))
        assert (report.brought, warnings, asked) == (True, [], [None])

    def test_there_is_what_each_replica_has(self) -> None:
        report, _warnings, _asked = self.pull_by(["a", "b"], 2, self.report(False, cached=7), self.report(True))
        assert [report.transferred[name] for name in ("cached_bytes", "brought_bytes")] == [0, 10]

    def test_each_address_gets_everything_once(self) -> None:
        report, warnings, asked = self.pull_by(["a", "b"], 2, self.report(True), self.report(True))
        assert (report.transferred["bytes"], report.transferred["blobs"]) == (20, 2)
        assert (warnings, asked) == ([], ["a", "b"])

    def test_behind_one_address_until_nothing_comes(self) -> None:
        came = [self.report(True), self.report(True), self.report(False)]
        report, warnings, asked = self.pull_by(["a"], 4, *came)
        assert (report.brought, warnings, asked) == (True, [], ["a"] * 3)

    def test_what_remains_unknown_is_a_warning(self) -> None:
        for last in (self.report(True), self.report(False, cached=None)):
            _report, (warning,), asked = self.pull_by([], 2, self.report(True), last)
            assert asked == [None, None]
            assert warning.startswith("region-asia has 2 replicas, and several behind one address. Whether each of")

    def test_a_preview_is_made_once(self) -> None:
        _report, _warnings, asked = self.pull_by(["a"], 3, self.report(True), passes=1)
        assert asked == ["a"]

    def test_an_address_that_is_closed_is_told_and_the_others_are_warmed(self) -> None:
        closed = self.report(False, Failure("CONNECTION_FAILED", "Nobody listens."))
        report, (warning,), asked = self.pull_by(["a", "b"], 2, closed, self.report(True))
        assert (report.failures, asked) == ({}, ["a", "b"])
        assert warning == "region-asia was not reached at a, and what is there got nothing: Nobody listens."
        report, warnings, _asked = self.pull_by(["a", "b"], 2, closed, closed)
        assert report.failures
        assert len(warnings) == 2

    def test_a_failure_ends_it(self) -> None:
        refused = self.report(False, Failure("SIGNATURE_REFUSED", "No."))
        report, _warnings, asked = self.pull_by(["a", "b"], 2, self.report(True), refused)
        assert [failure.code for failure in report.failures.values()] == ["SIGNATURE_REFUSED"]
        assert asked == ["a", "b"]
