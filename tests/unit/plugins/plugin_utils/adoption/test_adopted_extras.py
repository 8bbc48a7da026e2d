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
    written = adopted(live_with(labels={"note": "password=hush"}))
    assert written.notes[0].startswith("labels of its service is not kept: ") and "credential" in written.notes[0]
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


FILE = {"Name": "cache.key.pem", "UID": "1000", "GID": "0", "Mode": 0o400}


@pytest.mark.parametrize(
    ("parts", "named"),
    [
        (
            {"container": {"DNSConfig": {"Options": ["ndots:1", "rotate"]}}},
            "dns_options ndots:1, rotate of its service",
        ),
        ({"container": {"Groups": ["27"]}}, "groups 27 of its service is not kept: no variable sets it"),
        ({"container": {"User": "1000"}}, "user 1000 of its service is not kept"),
        ({"container": {"OomScoreAdj": -5}}, "ContainerSpec.OomScoreAdj -5 of its service is not kept"),
        ({"task": {"Resources": {"SwapBytes": 5}}}, "Resources.SwapBytes 5 of its service is not kept"),
        (
            {
                "task": {
                    "Resources": {
                        "Reservations": {"GenericResources": [{"NamedResourceSpec": {"Kind": "a", "Value": "b"}}]}
                    }
                }
            },
            "its service reserves a=b, which no variable keeps",
        ),
    ],
)
def test_what_no_variable_sets_is_named(parts: dict[str, t.Any], named: str) -> None:
    """A deployment takes it away, and the cache may have needed it."""
    written = adopted(vendors(**parts))
    assert written.notes[0].startswith(named)
    (change,) = set(written.changes) - set(adopted(vendors()).changes)
    assert change.startswith("service: ") and change.endswith(" -> none")


@pytest.mark.parametrize(
    ("mount", "named"),
    [
        ({"ReadOnly": True}, "is mounted so: read only. No variable keeps that"),
        ({"BindOptions": {"Propagation": "rslave"}}, "is mounted so: propagation rslave."),
        ({"BindOptions": {"Propagation": "rprivate"}}, ""),
        ({"Type": "volume", "VolumeOptions": {"NoCopy": True}}, "is mounted so: no copy."),
        ({"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"Mode": 0o700}}, "the tmpfs at /t has mode 0700"),
        ({"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"Mode": 0o1777}}, ""),
        (
            {"BindOptions": {"NonRecursive": True}},
            "ContainerSpec.Mounts[/var/lib/registry].BindOptions.NonRecursive True",
        ),
    ],
    ids=str,
)
def test_how_something_is_mounted_is_named(mount: dict[str, t.Any], named: str) -> None:
    whole = {"Type": "bind", "Source": "/srv", "Target": "/var/lib/registry", **mount}
    notes = " ".join(adopted(vendors(container={"Mounts": [whole]})).notes)
    assert named in notes if named else notes == ""


def test_whose_a_mounted_file_is_is_a_change() -> None:
    changes = adopted(vendors(container={"Secrets": [{"File": FILE, "SecretName": "x"}]})).changes
    assert "cache.key.pem uid 1000, gid 0, mode 0400 -> mounted" in " ".join(changes)
