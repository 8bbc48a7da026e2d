# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service has besides, in the form of the compose file."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.tests.unit.support.adopted import adopted, variables
from ansible_collections.dtr.cache.tests.unit.support.live import vendors


def live_with(**parts: t.Any) -> dict[str, t.Any]:
    live = vendors()
    return {**live, "view": {**live["view"], **parts}}


@pytest.mark.parametrize(
    ("part", "extra"),
    [
        ({"logging": {"driver": "json-file", "options": {"max-size": "10m"}}}, None),
        ({"dns": ["192.0.2.53"]}, None),
        ({"hostname": "cache"}, None),
        ({"extra_hosts": ["192.0.2.1 dtr.example.org"]}, {"extra_hosts": ["dtr.example.org:192.0.2.1"]}),
        (
            {"labels": {"team": "a", "com.docker.ucp.collection": "x", "com.docker.ucp.access.label": "/a"}},
            {"labels": {"team": "a", "com.docker.ucp.access.label": "/a"}},
        ),
        ({"service_labels": {"team": "a"}}, {"deploy": {"labels": {"team": "a"}}}),
        ({"ulimits": {"nofile": "1024:2048"}}, {"ulimits": {"nofile": {"soft": 1024, "hard": 2048}}}),
        ({"healthcheck": {"test": ["NONE"]}}, {"healthcheck": {"disable": True}}),
        ({"healthcheck": {"test": ["CMD", "true"], "interval": "30s"}}, None),
    ],
    ids=str,
)
def test_a_key_of_the_compose_file(part: dict[str, t.Any], extra: dict[str, t.Any] | None) -> None:
    written = adopted(live_with(**part))
    assert variables(written)["service_extra"] == (extra or part)
    assert written.notes == [] and "service" not in " ".join(written.changes[3:])


def test_labels_that_the_platform_gave_are_no_change() -> None:
    labels = {"com.docker.ucp.collection": "x"}
    written = adopted(live_with(labels=labels, service_labels=labels))
    assert not any("labels" in change for change in written.changes)
    assert written.notes == []


def test_what_the_variable_refuses_is_named() -> None:
    written = adopted(live_with(sysctls={"kernel.panic": "1"}))
    assert written.notes[0].startswith("sysctls of its service is not kept: ") and "kernel.panic" in written.notes[0]
    assert "service_extra" not in variables(written)


def test_more_time_for_the_last_requests_is_kept() -> None:
    assert variables(adopted(live_with(stop_grace_period="120s")))["service_extra"] == {"stop_grace_period": "120s"}
    assert "service_extra" not in variables(adopted(live_with(stop_grace_period="40s")))


def test_a_credential_is_not_kept() -> None:
    written = adopted(live_with(logging={"driver": "splunk", "options": {"splunk-token": "(secret)"}}))
    assert "service_extra" not in variables(written)
    assert written.notes[0].startswith("logging of its service holds a credential")


def test_the_port_of_the_metrics() -> None:
    live = vendors(("http.debug", {"addr": "0.0.0.0:5001", "prometheus": {"enabled": True}}))
    port = {"published": 5001, "target": 5001, "protocol": "tcp", "mode": "host"}
    found = variables(adopted({**live, "ports": [*live["ports"], port]}))
    assert (found["port"], found["metrics_port"]) == (443, 5001)
    elsewhere = {**live, "ports": [*live["ports"], {**port, "published": 9001}]}
    assert any("also publishes port 9001" in note for note in adopted(elsewhere).notes)
