# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses are judged by their parts; where an Engine is reached through the network, it is verified."""

from __future__ import annotations

import pytest
from ansible_collections.dtr.cache.tests.unit.support.settings import only_problem, read

VERIFIED = {"validate_certs": True}


@pytest.mark.parametrize("around", ["{}", " {}", "{} ", "\t{}\n"])
@pytest.mark.parametrize(
    ("address", "more"),
    [
        ("unix:///var/run/docker.sock", {}),
        ("npipe:////./pipe/docker_engine", {}),
        ("ssh://manager", {}),
        ("ssh://admin@manager:2222", {}),
        ("tcp://localhost:2375", {}),
        ("tcp://127.0.0.1:2375", {}),
        ("tcp://127.8.8.8:2375", {}),
        ("tcp://[::1]:2375", {}),
        ("tcp://manager:2376", VERIFIED),
        ("https://manager.example.org:2376", VERIFIED),
        ("tcp://10.0.0.1:2376", VERIFIED),
        ("tcp://[2001:db8::1]:2376", VERIFIED),
        ("tcp://localhost.example.org:2376", VERIFIED),
        ("tcp://127.0.0.1.example.org:2376", VERIFIED),
        ("tcp://manager_1:2376", VERIFIED),
    ],
)
def test_an_engine_in_the_network_is_verified(around: str, address: str, more: dict[str, bool]) -> None:
    settings, problems = read(docker_host=around.format(address))
    assert problems == []
    assert settings.engine == {"docker_host": address, **more}


@pytest.mark.parametrize("address", [None, "", "  "])
def test_the_engine_of_the_host_itself_is_the_default(address: str | None) -> None:
    assert read(docker_host=address)[0].engine == {"docker_host": "unix:///var/run/docker.sock"}


def test_a_scheme_in_capitals_is_the_same() -> None:
    assert read(docker_host="TCP://manager:2376/")[0].engine == {"docker_host": "tcp://manager:2376", **VERIFIED}


@pytest.mark.parametrize(
    "address",
    [
        "http://manager:2375",
        "manager:2375",
        "tcp://127.0.0.1@other:2375",
        "tcp://127.0.0.1:2375@other:2375",
        "tcp://admin:hunter2@manager:2376",
        "tcp://manager:2376/path",
        "tcp://manager:2376?tls=false",
        "tcp://manager:2376#127.0.0.1",
        "tcp://other\\@127.0.0.1:2375",
        "tcp://manager",
        "tcp://manager:",
        "tcp://manager:0",
        "tcp://127.1:2376",
        "tcp://[fe80::1%eth0]:2376",
        "tcp://manager:99999",
        "tcp://:2376",
        "tcp://man ager:2376",
        "tcp://[127.0.0.1]:2375",
        "tcp://[::1:2375",
        "tcp://*:2376",
        "unix://var/run/docker.sock",
        "unix://",
        "ssh://admin:hunter2@manager",
        "ssh://-oProxyCommand=x@manager",
        "ssh://-oProxyCommand=x",
        "ssh://",
        "fd://",
    ],
)
def test_any_other_address_of_an_engine_is_refused(address: str) -> None:
    problem = only_problem(docker_host=address)
    assert problem.startswith("dtr_cache_docker_host: ")
    assert "is not an Engine's address such as" in problem
    assert "hunter2" not in problem
    assert read(docker_host=address)[0].engine == {}


@pytest.mark.parametrize("address", ["tcp://man\0ager:2376", "tcp://man\nager:2376", "unix:///var/\x1b[2J", "a\u2028b"])
def test_control_characters_are_no_part_of_an_address(address: str) -> None:
    assert only_problem(docker_host=address).startswith("dtr_cache_docker_host: ")


@pytest.mark.parametrize(
    ("url", "read_as"),
    [
        ("https://dtr.example.org", "https://dtr.example.org"),
        (" https://dtr.example.org/\n", "https://dtr.example.org"),
        ("HTTPS://dtr.example.org:4443/", "https://dtr.example.org:4443"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
        ("https://dtr_1", "https://dtr_1"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_addresses_of_a_dtr(url: str, read_as: str) -> None:
    settings, problems = read(registry_url=url)
    assert problems == []
    assert settings.registry_url == read_as


@pytest.mark.parametrize(
    "url",
    [
        "dtr.example.org",
        "http://dtr.example.org",
        "https://",
        "https://dtr.example.org:",
        "https://dtr.example.org:0",
        "https://dtr.example.org:port",
        "https://dtr example.org",
        "https://dtr..example.org",
        "https://dtr.example.org..",
        "https://127.1",
        "https://256.1.1.1",
        "https://0x7f.0x1",
        "https://dtr.exam\u200bple.org",
        "https://dtr.example.org/api",
        "https://dtr.example.org?",
        "https://dtr.example.org#x",
        "https://dtr.exam\nple.org",
        "https://dtr.exam\0ple.org",
        "https://[2001:db8::1",
        ["https://dtr.example.org"],
    ],
)
def test_any_other_address_of_a_dtr_is_refused(url: object) -> None:
    assert only_problem(registry_url=url).startswith("dtr_cache_registry_url: ")


@pytest.mark.parametrize(
    "host", ["256.1.1.1", "010.0.0.1", "0x7f.1", "127.0x1", "12345", "10.0.0.1.", "fe80::1%eth0", "a..b"]
)
def test_a_host_that_may_be_another_one_is_refused(host: str) -> None:
    assert any(problem.startswith("dtr_cache_host: ") for problem in read(host=host)[1])


@pytest.mark.parametrize("host", ["cache.example.org.", "10.0.0.1", "2001:db8::1", "1.example.org", "cache1", "1cache"])
def test_hosts(host: str) -> None:
    assert not any(problem.startswith("dtr_cache_host: ") for problem in read(host=host)[1])
