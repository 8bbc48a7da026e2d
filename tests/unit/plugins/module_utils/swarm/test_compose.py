# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The short and long forms of a docker-stack.yml mean the same, and what Docker would not take is refused."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.swarm import compose
from ansible_collections.dtr.cache.plugins.module_utils.swarm.compose import FileReference, Mount, Port


@pytest.mark.parametrize(
    ("text", "nanoseconds"), [("5s", 5 * 10**9), ("1m30s", 90 * 10**9), ("10ms", 10**7), (None, None), (7, 7)]
)
def test_durations(text: t.Any, nanoseconds: int | None) -> None:
    assert compose.duration(text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "size"),
    [("512M", 2**29), ("512MiB", 2**29), ("512mb", 2**29), ("1gb", 2**30), ("1PiB", 2**50), ("10", 10), ("10b", 10)],
)
def test_sizes(text: str, size: int) -> None:
    assert compose.byte_size(text) == size


def test_sizes_that_are_numbers_already() -> None:
    assert [compose.byte_size(value) for value in ("1.5k", 7, None)] == [1536, 7, None]


@pytest.mark.parametrize("text", ["5", "five seconds", "s", "5s later"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(Failure):
        compose.duration(text)


@pytest.mark.parametrize("text", ["lots", "5 apples", "", "5 MiBs"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(Failure):
        compose.byte_size(text)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("443:8443", [Port(443, 8443)]),
        (443, [Port(0, 443)]),
        ("53:53/udp", [Port(53, 53, "udp")]),
        ("127.0.0.1:443:8443", [Port(443, 8443)]),
        ("[::1]:443:8443", [Port(443, 8443)]),
        ("127.0.0.1::8443", [Port(0, 8443)]),
        ("443-444:8443-8444", [Port(443, 8443), Port(444, 8444)]),
        ({"target": 443}, [Port(0, 443)]),
        ({"target": 443, "published": "443", "mode": "host"}, [Port(443, 443, "tcp", "host")]),
    ],
)
def test_ports(given: t.Any, found: list[Port]) -> None:
    assert compose.ports({"ports": [given]}) == found


@pytest.mark.parametrize("given", ["https", "443:https", "443-445:443", ""])
def test_what_is_no_port_is_refused(given: str) -> None:
    with pytest.raises(Failure, match="port"):
        compose.ports({"ports": [given]})


def test_an_environment_is_a_list_or_a_mapping() -> None:
    wanted = {"A": "1", "B": "", "C": "x=y", "D": "true", "E": "1.5", "F": "2"}
    as_list = ["A=1", "B", "C=x=y", "D=true", "E=1.5", "F=2"]
    as_mapping = {"A": 1, "B": None, "C": "x=y", "D": True, "E": 1.5, "F": 2.0}
    assert compose.environment({"environment": as_list}) == compose.environment({"environment": as_mapping}) == wanted
    with pytest.raises(Failure, match="env_file"):
        compose.environment({"env_file": "./env"})


def test_a_command_is_a_list_or_a_line() -> None:
    assert (
        compose.words("/start.sh '/a b.yml'") == compose.words(["/start.sh", "/a b.yml"]) == ["/start.sh", "/a b.yml"]
    )
    assert compose.words(None) == []


@pytest.mark.parametrize(
    ("declared", "name"),
    [
        ({"file": "./config.yml"}, "stack_config.yml"),
        ({"file": "./config.yml", "name": "mine"}, "mine"),
        ({"external": True}, "config.yml"),
        ({"external": True, "name": "theirs"}, "theirs"),
        ({"external": {"name": "theirs"}}, "theirs"),
        (None, "stack_config.yml"),
    ],
)
def test_the_name_that_swarm_knows_an_object_by(declared: t.Any, name: str) -> None:
    definition = {"configs": {"config.yml": declared}}
    service = {"configs": ["config.yml"]}
    assert compose.files("stack", service, definition, "configs") == {"/config.yml": FileReference(name)}


def test_what_is_declared_and_made_elsewhere() -> None:
    declared = {
        "own": {"file": "own.pem"},
        "none": None,
        "not": {"external": False},
        "plain": {"external": True},
        "named": {"external": True, "name": "known-as"},
        "old": {"external": {"name": "known-as-well"}},
    }
    definition = {"secrets": declared}
    assert compose.external_names(definition, "secrets") == ["plain", "known-as", "known-as-well"]
    assert compose.external_names(definition, "configs") == []


def test_files_with_owners_and_places_of_their_own() -> None:
    reference = {"source": "key", "target": "key.pem", "uid": "1000", "gid": 1000, "mode": 0o400}
    found = compose.files("stack", {"secrets": [reference]}, {"secrets": {"key": {"external": True}}}, "secrets")
    assert {place: str(file) for place, file in found.items()} == {"key.pem": "key (uid 1000, gid 1000, mode 0400)"}


VOLUMES = {
    "layers": {},
    "named": {"name": "mine"},
    "theirs": {"external": True},
    "nfs": {"driver": "local", "driver_opts": {"type": "nfs", "timeo": 5}},
    "other": {"driver": "flocker"},
}


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("layers:/data", "volume stack_layers at /data"),
        ("layers:/data:ro,nocopy", "volume stack_layers at /data (read only,no copy)"),
        ("named:/data", "volume mine at /data"),
        ("theirs:/data", "volume theirs at /data"),
        ("nfs:/data", "volume stack_nfs at /data (timeo=5,type=nfs)"),
        ("other:/data", "volume stack_other at /data (driver flocker)"),
        ("/data", "volume  at /data"),
        ("/srv:/data:ro", "bind /srv at /data (read only)"),
        ({"type": "bind", "source": "/srv", "target": "/data"}, "bind /srv at /data"),
        (
            {"type": "volume", "source": "layers", "target": "/data", "volume": {"nocopy": True}},
            "volume stack_layers at /data (no copy)",
        ),
        ({"type": "tmpfs", "target": "/data", "tmpfs": {"size": "1k"}}, "tmpfs  at /data (size=1024)"),
        ("/a:/b:rslave", "bind /a at /b (propagation rslave)"),
        ("/a:/b:ro,rprivate", "bind /a at /b (read only)"),
        (
            {"type": "bind", "source": "/a", "target": "/b", "bind": {"propagation": "shared"}},
            "bind /a at /b (propagation shared)",
        ),
    ],
)
def test_mounts(given: t.Any, shown: str) -> None:
    (mount,) = compose.mounts("stack", {"volumes": [given]}, {"volumes": VOLUMES})
    assert isinstance(mount, Mount)
    assert str(mount) == shown


@pytest.mark.parametrize("given", ["./data:/data", "~/data:/data", "nowhere:/data"])
def test_mounts_that_cannot_be_known_are_refused(given: str) -> None:
    with pytest.raises(Failure):
        compose.mounts("stack", {"volumes": [given]}, {"volumes": VOLUMES})


@pytest.mark.parametrize(
    ("service", "policy"),
    [
        ({}, {}),
        ({"restart": "always"}, {}),
        ({"restart": "on-failure:3"}, {"condition": "on-failure", "max_attempts": 3}),
        ({"restart": "on-failure:3", "deploy": {"restart_policy": {"condition": "none"}}}, {"condition": "none"}),
    ],
)
def test_a_restart_policy(service: dict[str, t.Any], policy: dict[str, t.Any]) -> None:
    assert compose.restart_policy(service) == policy


def test_networks_with_other_names_of_the_service_and_reserved_things() -> None:
    service = {"networks": {"default": None, "other": {"aliases": ["b", "a"]}}}
    assert compose.networks("stack", service, {"networks": {"other": {"external": True}}}) == [
        "other (aliases a, b)",
        "stack_default",
    ]
    reserved = {"generic_resources": [{"discrete_resource_spec": {"kind": "ssd", "value": 2}}]}
    assert compose.generic_resources(reserved) == ["ssd=2"] and compose.generic_resources({}) == []
